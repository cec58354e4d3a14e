//! The writer: grouped commits, isolated pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schema::fault::FaultClass;
use schema::testing::{Sample, TestDatabase, add_ca_keys, moment};
use schema::{EventKind, EventPosition, NewEvent, Pending, StoreFault, WriteError, on_each_database};

/// Keeps every writing thread busy until the flag is raised, so that what is submitted meanwhile shares a commit.
fn hold(store: &TestDatabase) -> (Arc<AtomicBool>, Vec<Pending<(), StoreFault>>) {
    let go = Arc::new(AtomicBool::new(false));
    let threads = if store.is_postgres() { 2 } else { 1 };
    let held = (0..threads).map(|_| {
        let (flag, begun) = (Arc::clone(&go), Arc::new(AtomicBool::new(false)));
        let running = Arc::clone(&begun);
        let held = store.writer().submit(move |_| -> Result<(), StoreFault> {
            running.store(true, Ordering::Release);
            until(&flag);
            Ok(())
        });
        until(&begun);
        held
    });
    (Arc::clone(&go), held.collect())
}

fn until(flag: &AtomicBool) {
    while !flag.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn note(number: u32) -> NewEvent {
    NewEvent::new(EventKind::ApplicationRejected, moment(0), serde_json::json!({"number": number}))
}

on_each_database! {
    fn a_failing_piece_undoes_itself_alone(store) {
        let writer = store.writer();
        let (go, held) = hold(store);
        let before = writer.submit(|tx| { tx.emit(note(1)); tx.set_feed_cursor("before", "1") });
        let failing = writer.submit(|tx| -> Result<(), WriteError<&'static str>> {
            tx.emit(note(2));
            tx.set_feed_cursor("failing", "1")?;
            Err(WriteError::Refused("changed its mind"))
        });
        let breaking = writer.submit(|tx| { tx.emit(note(4)); tx.set_feed_cursor("", "breaks a constraint") });
        let after = writer.submit(|tx| { tx.emit(note(3)); tx.set_feed_cursor("after", "1") });
        go.store(true, Ordering::Release);
        held.into_iter().for_each(|held| held.wait().unwrap());
        before.wait().unwrap();
        assert_eq!(failing.wait(), Err(WriteError::Refused("changed its mind")));
        assert_eq!(breaking.wait().err().and_then(|fault| fault.class()), Some(FaultClass::Check));
        after.wait().unwrap();

        let reader = store.reader();
        assert_eq!(reader.feed_cursor("before").unwrap().as_deref(), Some("1"));
        assert_eq!(reader.feed_cursor("failing").unwrap(), None);
        assert_eq!(reader.feed_cursor("after").unwrap().as_deref(), Some("1"));
        let numbers: Vec<_> = reader.events_after(EventPosition(0), 10).unwrap().iter().map(|event| event.data["number"].clone()).collect();
        assert_eq!(numbers, [1, 3]);
    }

    fn a_statement_that_failed_fails_its_piece_even_if_the_closure_lets_it_pass(store) {
        let writer = store.writer();
        let swallowed = writer.write(|tx| -> Result<(), StoreFault> {
            tx.set_feed_cursor("swallowed", "1")?;
            let _ = tx.set_feed_cursor("", "breaks a constraint");
            // Refused as well, for the piece is spoilt.
            let _ = tx.set_feed_cursor("later", "1");
            Ok(())
        });
        assert_eq!(swallowed.err().and_then(|fault| fault.class()), Some(FaultClass::Check));
        assert_eq!(store.reader().feed_cursor("swallowed").unwrap(), None);
        assert_eq!(store.reader().feed_cursor("later").unwrap(), None);
        writer.write(|tx| tx.set_feed_cursor("next", "1")).unwrap();
    }

    fn a_piece_that_panics_is_rolled_back_and_the_writer_goes_on(store) {
        let writer = store.writer();
        let panicking = writer.write(|tx| -> Result<(), StoreFault> {
            tx.set_feed_cursor("panicking", "1")?;
            panic!("on purpose");
        });
        assert_eq!(panicking, Err(StoreFault::Panicked));
        assert_eq!(store.reader().feed_cursor("panicking").unwrap(), None);
        writer.write(|tx| tx.set_feed_cursor("next", "1")).unwrap();
    }

    fn submitted_pieces_all_happen_once_and_on_sqlite_in_order(store) {
        let writer = store.writer();
        let pending: Vec<_> = (0..200).map(|number| writer.submit(move |tx| -> Result<_, StoreFault> { tx.emit(note(number)); Ok(()) })).collect();
        pending.into_iter().for_each(|pending| pending.wait().unwrap());
        let events = store.reader().events_after(EventPosition(0), 1000).unwrap();
        let mut numbers: Vec<_> = events.iter().map(|event| event.data["number"].as_u64().unwrap()).collect();
        if store.is_postgres() {
            numbers.sort_unstable();
        }
        assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    }

    fn what_is_answered_is_committed_and_the_waiting_are_woken(store) {
        let wake = store.database().wake();
        let start = wake.position();
        let waiting = std::thread::spawn(move || wake.wait_timeout(start, Duration::from_secs(60)));
        store.writer().write(|tx| -> Result<_, StoreFault> { tx.emit(note(1)); Ok(()) }).unwrap();
        assert_eq!(store.open_again().reader().position().unwrap(), EventPosition(start.0 + 1));
        assert_eq!(waiting.join().unwrap(), EventPosition(start.0 + 1));
    }

    fn a_pending_write_can_be_awaited(store) {
        let writer = store.writer();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let number = runtime.block_on(writer.submit(|tx| -> Result<_, StoreFault> { tx.emit(note(1)); Ok(7) })).unwrap();
        assert_eq!(number, 7);
        assert_eq!(store.reader().position().unwrap(), EventPosition(1));
    }

    fn a_thousand_writes_of_many_threads_all_happen_once(store) {
        std::thread::scope(|scope| {
            for _ in 0..10 {
                let writer = store.writer();
                scope.spawn(move || {
                    for _ in 0..100 {
                        writer.write(|tx| -> Result<_, StoreFault> { tx.emit(note(0)); Ok(()) }).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.reader().position().unwrap(), EventPosition(1000));
    }

    fn writes_go_on_after_the_writers_connection_was_lost(store) {
        let keys = add_ca_keys(&store.writer());
        if store.is_postgres() {
            store.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").unwrap();
        }
        Sample::new(1, keys).accept(&store.writer());
        assert_eq!(store.reader().accepted_applications(10).unwrap().len(), 1);
    }

    fn writers_that_lock_rows_crosswise_both_succeed(store) {
        let other = store.open_again();
        let crosswise = |writer: schema::Writer, owner: &'static str, names: [&'static str; 2]| {
            writer.write(move |tx| -> Result<(), StoreFault> {
                for name in names {
                    tx.set_feed_cursor(name, owner)?;
                    std::thread::sleep(Duration::from_millis(150));
                }
                Ok(())
            })
        };
        store.writer().write(|tx| { tx.set_feed_cursor("a", "")?; tx.set_feed_cursor("b", "") }).unwrap();
        std::thread::scope(|scope| {
            let one = scope.spawn(|| crosswise(store.writer(), "one", ["a", "b"]));
            let two = scope.spawn(|| crosswise(other.writer(), "two", ["b", "a"]));
            one.join().unwrap().unwrap();
            two.join().unwrap().unwrap();
        });
        let reader = store.reader();
        assert_eq!(reader.feed_cursor("a").unwrap(), reader.feed_cursor("b").unwrap(), "one after the other, not mixed");
    }
}
