//! How fast the cascade is for very many events; to be run by hand:
//! `cargo nextest run --release -p schema --features testing --run-ignored only bulk --no-capture`

use std::time::Instant;

use ca_core::kind::CertificateKind::Signature;
use ca_core::revocation::RevocationReason;
use schema::batch::{BatchChange, Scope};
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment};

use crate::batches::{of_feed, start};

const PAGE: usize = 500;

fn seconds(what: &str, count: usize, work: impl FnOnce()) {
    let started = Instant::now();
    work();
    let elapsed = started.elapsed().as_secs_f64();
    println!("{what}: {count} in {elapsed:.1} s, {:.0} a second", count as f64 / elapsed);
}

#[test]
#[ignore = "takes minutes; measures"]
fn so_many_events_go_through_the_inbox_in_a_second() {
    let count: u32 = std::env::var("TSUNAGI_BULK_EVENTS").map_or(200_000, |count| count.parse().unwrap());
    let store = TestDatabase::sqlite();
    let keys = add_ca_keys(&store.writer());
    let numbers: Vec<u32> = (0..count).collect();
    seconds("issued, of one kind", numbers.len(), || {
        for page in numbers.chunks(PAGE) {
            let pending: Vec<_> = page
                .chunks(50)
                .map(|some| {
                    let samples: Vec<_> =
                        some.iter().map(|number| Sample { kinds: vec![Signature], ..Sample::new(*number, keys) }).collect();
                    store.writer().submit(move |tx| -> Result<(), schema::StoreFault> {
                        for sample in &samples {
                            let application = match tx.accept_application(&sample.application(), moment(1)) {
                                Ok(schema::application::Acceptance::Accepted(id)) => id,
                                _ => panic!("not accepted"),
                            };
                            tx.record_intents(&sample.intents(Some(application)), moment(1))?;
                            tx.issue(&sample.issuance(application), &jpki(), moment(2)).unwrap();
                        }
                        Ok(())
                    })
                })
                .collect();
            pending.into_iter().for_each(|pending| pending.wait().unwrap());
        }
    });
    seconds("held by a batch", numbers.len(), || {
        let scope = Scope { issuer_key_id: Sample::new(0, keys).card(Signature).issuer_key_id, distribution_point_sha256: None };
        let id = start(&store, &of_feed("batch", scope, BatchChange::Hold), 2);
        let advance = || store.writer().write(move |tx| tx.advance_batch(id, PAGE as u32, &jpki(), moment(2))).unwrap();
        while advance().finished_at.is_none() {}
        assert_eq!(advance().changed, u64::from(count));
    });
    seconds("received", numbers.len(), || {
        for page in numbers.chunks(PAGE) {
            let events: Vec<_> =
                page.iter().map(|number| Sample::new(*number, keys).card_revoked(Signature, 1, RevocationReason::Superseded)).collect();
            store
                .writer()
                .write(move |tx| events.iter().try_for_each(|event| tx.receive_card_event(event, moment(3)).map(|_| ())))
                .unwrap();
        }
    });
    seconds("applied", numbers.len(), || {
        let mut applied = 0;
        loop {
            let events = store.reader().unapplied_card_events(PAGE as u32).unwrap();
            if events.is_empty() {
                break;
            }
            applied += store.writer().write(move |tx| tx.apply_card_events(&events, &jpki(), moment(4))).unwrap().len();
        }
        assert_eq!(applied, numbers.len());
    });
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    }
}
