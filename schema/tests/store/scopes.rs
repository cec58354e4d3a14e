//! CRL scopes: shards that are opened for ever, what belongs on their lists, and the retirement of a CA key.

use ca_core::issuer::CaKeyId;
use ca_core::lifecycle::{Command, HoldCause};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use schema::crl::{CrlScope, RetireRefusal};
use schema::forgotten::ForgottenRevocation;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment};
use schema::{EventKind, EventPosition, Reader, StoreFault, WriteError, on_each_database};

const COMPROMISED: RevocationReason = RevocationReason::KeyCompromise;

fn serial(number: u8) -> SerialNumber {
    SerialNumber::from_magnitude(&[0x40, number]).unwrap()
}

fn open(store: &TestDatabase, key: CaKeyId, count: u16) -> usize {
    store.writer().write(move |tx| tx.open_crl_shards(key, count, moment(0))).unwrap()
}

fn revoked(store: &TestDatabase, key: CaKeyId, shard: u16, number: u8, not_after: DateTime<Utc>) {
    store.put_certificate_in(key, shard, &serial(number), not_after);
    store.revoke(key, &serial(number), Revocation::new(moment(1), COMPROMISED));
}

fn forget(store: &TestDatabase, key: CaKeyId, shard: u16, number: u8, reason: RevocationReason) -> u64 {
    let forgotten = [ForgottenRevocation { ca_key: key, serial: serial(number), shard, revocation: Revocation::new(moment(2), reason) }];
    store.writer().write(move |tx| tx.remember_forgotten(&forgotten, moment(3))).unwrap()
}

/// Everything in a scope, read in pages of this many.
fn listed(reader: &Reader, key: CaKeyId, shard: u16, page: u32) -> Vec<SerialNumber> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        after = reader.revoked_in_scope(key, shard, moment(100), after.as_ref(), page, |entry| seen.push(entry.serial.clone())).unwrap();
        if after.is_none() {
            return seen;
        }
    }
}

on_each_database! {
    fn shards_are_opened_once_and_stay_open(store) {
        let keys = add_ca_keys(&store.writer());
        assert_eq!((open(store, keys[0], 130), open(store, keys[0], 130), open(store, keys[0], 2)), (129, 0, 0));
        let scopes = store.reader().crl_scopes().unwrap();
        assert_eq!(scopes.len(), 131);
        assert_eq!(scopes[129], CrlScope { ca_key: keys[0], shard: 129, retired_at: None });
        assert_eq!(scopes[130], CrlScope { ca_key: keys[1], shard: 0, retired_at: None });
        let key = keys[0];
        assert!(store.writer().write(move |tx| tx.open_crl_shards(key, 5000, moment(0))).is_err(), "4096 at most");
    }

    fn no_certificate_is_in_a_shard_that_is_not_open(store) {
        let keys = add_ca_keys(&store.writer());
        open(store, keys[0], 4);
        let mut sample = Sample::new(1, keys);
        sample.kinds.truncate(1);
        let application = sample.accept(&store.writer());
        let intents = sample.intents(Some(application));
        store.writer().write(move |tx| tx.record_intents(&intents, moment(1))).unwrap();
        let issue = |shard| {
            let mut issuance = sample.issuance(application);
            issuance.certificates[0].shard = shard;
            store.writer().write(move |tx| tx.issue(&issuance, &jpki(), moment(1)))
        };
        assert!(matches!(issue(4), Err(WriteError::Fault(StoreFault::Database { .. }))));
        let id = issue(3).unwrap().certificates[0];
        assert_eq!(store.reader().count_for_test("SELECT shard FROM certificate").unwrap(), 3);
        let (changes, _) = store.reader().status_changes_after(EventPosition(0), 10).unwrap();
        assert_eq!((changes.len(), changes[0].shard), (1, 3));
        assert!(store.execute(&format!("UPDATE certificate SET shard = 4 WHERE id = {}", id.0)).is_err());
        assert!(store.execute(&format!("DELETE FROM crl_shard WHERE ca_key_id = {} AND shard = 3", keys[0].0)).is_err());
    }

    fn a_page_of_a_scopes_list_goes_on_where_the_last_one_ended(store) {
        let key = add_ca_keys(&store.writer())[0];
        open(store, key, 2);
        for number in [9, 3, 7, 1] {
            revoked(store, key, 1, number, moment(1000));
        }
        revoked(store, key, 1, 5, moment(50));
        revoked(store, key, 0, 12, moment(1000));
        store.put_certificate_in(key, 1, &serial(4), moment(1000));
        for number in [10, 2, 8] {
            assert_eq!(forget(store, key, 1, number, COMPROMISED), 1);
        }
        assert_eq!(forget(store, key, 1, 3, COMPROMISED), 0, "what is known is not forgotten");
        let expected: Vec<_> = [1, 2, 3, 7, 8, 9, 10].map(serial).into();
        for page in 1..9 {
            assert_eq!(listed(&store.reader(), key, 1, page), expected, "in pages of {page}");
        }
        assert_eq!(listed(&store.reader(), key, 0, 10), [serial(12)]);
        let count = store.reader().gate_count(key, 1, moment(100), EventPosition(0)).unwrap();
        assert_eq!(count.count, 7);
        assert_eq!(count.position, store.reader().position().unwrap());
    }

    fn the_gate_learns_what_changed_since_a_list_was_begun(store) {
        let key = add_ca_keys(&store.writer())[0];
        open(store, key, 2);
        for number in 1..=4 {
            store.put_certificate_in(key, 0, &serial(number), moment(1000));
        }
        store.put_certificate_in(key, 1, &serial(5), moment(1000));
        store.put_certificate_in(key, 0, &serial(6), moment(50));
        let hold = Revocation::new(moment(1), RevocationReason::CertificateHold);
        store.revoke(key, &serial(1), hold);
        store.revoke(key, &serial(2), hold);
        let since = store.reader().position().unwrap();
        store.lift(key, &serial(1), moment(2));
        store.command(key, &serial(2), Command::Hold { cause: HoldCause::PhoneLost }, moment(2));
        for number in [3, 5, 6] {
            store.revoke(key, &serial(number), Revocation::new(moment(3), COMPROMISED));
        }
        let gate = store.reader().gate_count(key, 0, moment(100), since).unwrap();
        assert_eq!(gate.count, 2, "2 and 3: 4 is live, 6 has ended");
        assert_eq!(gate.changed, [(serial(1), false), (serial(3), true), (serial(6), false)]);
        assert_eq!(store.reader().gate_count(key, 0, moment(100), gate.position).unwrap().changed, []);
    }

    fn a_ca_key_is_retired_when_nothing_of_it_stands_and_issues_no_more(store) {
        let keys = add_ca_keys(&store.writer());
        let retire = |key| store.writer().write(move |tx| tx.retire_ca_key(key, moment(9)));
        store.put_certificate(keys[0], &serial(1), moment(1000));
        store.put_certificate(keys[0], &serial(2), moment(1000));
        store.revoke(keys[0], &serial(2), Revocation::new(moment(1), RevocationReason::CertificateHold));
        assert_eq!(retire(keys[0]), Err(WriteError::Refused(RetireRefusal::CertificatesStand { standing: 2 })));
        store.revoke(keys[0], &serial(1), Revocation::new(moment(1), COMPROMISED));
        store.revoke(keys[0], &serial(2), Revocation::new(moment(1), COMPROMISED));
        assert_eq!((retire(keys[0]), retire(keys[0])), (Ok(true), Ok(false)));
        assert_eq!(retire(CaKeyId(99)), Err(WriteError::Fault(StoreFault::Misuse("there is no such CA key"))));
        assert_eq!(store.reader().crl_scopes().unwrap()[0].retired_at, Some(moment(9)));
        let events = store.reader().events_after(EventPosition(0), 100).unwrap();
        assert_eq!(events.iter().filter(|event| event.kind == EventKind::CaKeyRetired).count(), 1);
        let mut sample = Sample::new(1, keys);
        let issued = sample.accept_and_issue(&store.writer(), moment(10));
        assert_eq!(issued, Err(WriteError::Fault(StoreFault::Misuse("the CA key is retired"))));
        sample.number = 2;
        sample.kinds.remove(0);
        sample.accept_and_issue(&store.writer(), moment(10)).unwrap();
    }
}
