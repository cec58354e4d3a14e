//! Events: no gaps, in the order of commits, whoever writes.

use std::sync::atomic::{AtomicBool, Ordering};

use schema::testing::{Sample, add_ca_keys, moment};
use schema::{EventKind, EventPosition, NewEvent, StoreFault, WriteError, on_each_database};

on_each_database! {
    fn a_follower_never_sees_a_gap_while_two_writing_threads_commit(store) {
        const WRITES: i64 = 150;
        let other = store.open_again();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let follower = scope.spawn(|| {
                let reader = store.reader();
                let mut last = EventPosition(0);
                loop {
                    let ended = done.load(Ordering::Acquire);
                    let events = reader.events_after(last, 50).unwrap();
                    for event in &events {
                        assert_eq!(event.position.0, last.0 + 1, "a gap, or a late commit");
                        last = event.position;
                    }
                    if ended && events.is_empty() {
                        return last;
                    }
                }
            });
            let writers: Vec<_> = (0..4)
                .map(|thread| {
                    let writer = if thread % 2 == 0 { store.writer() } else { other.writer() };
                    scope.spawn(move || {
                        for number in 0..WRITES {
                            let result = writer.write(move |tx| -> Result<(), WriteError<()>> {
                                for _ in 0..=number % 3 {
                                    tx.emit(NewEvent::new(EventKind::ApplicationRejected, moment(number), serde_json::json!({"by": thread})));
                                }
                                if number % 5 == 0 { Err(WriteError::Refused(())) } else { Ok(()) }
                            });
                            assert_eq!(result.is_err(), number % 5 == 0);
                        }
                    })
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::Release);
            let expected: i64 = 4 * (0..WRITES).filter(|number| number % 5 != 0).map(|number| number % 3 + 1).sum::<i64>();
            assert_eq!(follower.join().unwrap(), EventPosition(expected));
        });
        assert_eq!(store.reader().position().unwrap(), other.reader().position().unwrap());
    }

    fn an_event_of_an_unknown_kind_does_not_stop_its_followers(store) {
        store.writer().write(|tx| -> Result<(), StoreFault> {
            tx.emit(NewEvent::new(EventKind::CrlPublished, moment(0), serde_json::json!({})));
            Ok(())
        }).unwrap();
        store.tamper("UPDATE event SET kind = 'something.new'").unwrap();
        assert_eq!(store.reader().events_after(EventPosition(0), 10).unwrap()[0].kind, EventKind::Unrecognised);
    }

    fn an_event_whose_data_is_no_json_cannot_be_stored(store) {
        assert!(store.execute("INSERT INTO event (position, at, kind, data) VALUES (1, 0, 'crl.published', '{')").is_err());
        assert!(store.execute("INSERT INTO event (position, at, kind, data) VALUES (1, -1, 'crl.published', '{}')").is_err());
        store.execute("INSERT INTO event (position, at, kind, data) VALUES (1, 0, 'crl.published', '{}')").unwrap();
    }

    fn events_about_certificates_are_read_past_all_others_and_none_is_passed_over(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates;
        store.writer().write(|tx| -> Result<(), StoreFault> {
            for _ in 0..7 {
                tx.emit(NewEvent::new(EventKind::CrlPublished, moment(0), serde_json::json!({})));
            }
            Ok(())
        }).unwrap();
        let (reader, last) = (store.reader(), store.reader().position().unwrap());
        for (span, limit) in [(1, 1), (3, 1), (2, 10), (100, 1), (100, 100)] {
            let (mut position, mut seen) = (EventPosition(0), Vec::new());
            while position < last {
                let (events, until) = reader.certificate_events_after(position, span, limit).unwrap();
                assert!(until > position && until.0 <= position.0 + i64::from(span) && events.len() <= limit as usize, "{span} {limit}");
                assert!(events.iter().all(|event| event.position > position && event.position <= until));
                seen.extend(events.iter().filter_map(|event| event.certificate));
                position = until;
            }
            assert_eq!(seen, issued, "{span} {limit}");
            assert_eq!(reader.certificate_events_after(last, span, limit).unwrap(), (Vec::new(), last));
        }
    }
}
