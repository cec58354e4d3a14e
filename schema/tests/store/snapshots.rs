//! Statuses of one moment, and what changed of them since.

use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::lifecycle::{Command, HoldCause};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use policies::LifecyclePolicy;
use schema::certificate::CertificateState;
use schema::change::{Order, Origin, Target};
use schema::forgotten::ForgottenRevocation;
use schema::status_change::StatusChangeKind;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment, replayed, stored};
use schema::{EventPosition, StoreFault, WriteError, on_each_database};

const KIND: CertificateKind = CertificateKind::Signature;
const COMPROMISED: RevocationReason = RevocationReason::KeyCompromise;
const HOLD: RevocationReason = RevocationReason::CertificateHold;

fn serial(number: u32) -> SerialNumber {
    let octets = number.to_be_bytes();
    SerialNumber::from_magnitude(&[0x40, octets[2], octets[3]]).unwrap()
}

fn forget(store: &TestDatabase, key: CaKeyId, number: u32, revocation: Revocation) -> u64 {
    let forgotten = [ForgottenRevocation { ca_key: key, serial: serial(number), shard: 0, revocation }];
    store.writer().write(move |tx| tx.remember_forgotten(&forgotten, moment(3))).unwrap()
}

on_each_database! {
    fn a_snapshot_has_its_moment_and_every_status_in_the_order_asked(store) {
        let key = add_ca_keys(&store.writer())[0];
        for number in 0..200 {
            store.put_certificate(key, &serial(number), moment(1000));
        }
        store.revoke(key, &serial(150), Revocation::new(moment(1), COMPROMISED));
        let position = store.reader().position().unwrap();
        for count in [0, 1, 2, 3, 64, 65, 201] {
            let asked: Vec<_> = (0..count).map(|number| serial(200 - number)).collect();
            let snapshot = store.reader().status_at(key, &asked).unwrap();
            assert_eq!((snapshot.epoch, snapshot.position, snapshot.reconciling), (1, position, false), "{count}");
            assert_eq!(snapshot.statuses.len(), asked.len());
            for (number, status) in (0..count).zip(&snapshot.statuses) {
                let expected = match 200 - number {
                    200 => None,
                    150 => Some(CertificateState::Revoked),
                    _ => Some(CertificateState::Live),
                };
                assert_eq!(status.map(|status| status.state), expected, "{number} of {count}");
            }
        }
        store.writer().write(|tx| tx.begin_epoch(5, &[], moment(2))).unwrap();
        let snapshot = store.reader().status_at(key, &[serial(1)]).unwrap();
        assert_eq!((snapshot.epoch, snapshot.position.0, snapshot.reconciling), (5, position.0 + 1, true));
    }

    fn what_was_forgotten_is_told_as_it_was_published(store) {
        let keys = add_ca_keys(&store.writer());
        let told = Revocation { invalidity: Some(moment(1)), ..Revocation::new(moment(2), COMPROMISED) };
        assert_eq!(forget(store, keys[0], 1, Revocation::new(moment(1), HOLD)), 1);
        let status = |key, number| store.reader().certificate_status(key, &serial(number)).unwrap();
        assert_eq!(status(keys[0], 1).unwrap().state, CertificateState::Held);
        assert_eq!(forget(store, keys[0], 1, told), 1, "a hold gives way");
        assert_eq!(forget(store, keys[0], 1, Revocation::new(moment(1), HOLD)), 0, "and nothing else does");
        assert_eq!(forget(store, keys[0], 1, Revocation::new(moment(9), RevocationReason::Superseded)), 0);
        let found = status(keys[0], 1).unwrap();
        let ends = store.reader().ca_keys().unwrap()[0].not_after();
        assert_eq!((found.state, found.revocation, found.not_after, found.is_forgotten), (CertificateState::Revoked, Some(told), ends, true));
        assert_eq!(status(keys[1], 1), None, "another CA key's");
        assert_eq!(store.reader().forgotten_revocations(keys[0]).unwrap(), 1);

        store.put_certificate(keys[0], &serial(2), moment(1000));
        assert_eq!(forget(store, keys[0], 2, told), 0, "what is known is not forgotten");
        // Should both be there after all, the worse counts.
        store.put_certificate(keys[0], &serial(1), moment(1000));
        let found = status(keys[0], 1).unwrap();
        assert_eq!((found.state, found.revocation, found.not_after), (CertificateState::Revoked, Some(told), moment(1000)));
        let later = Revocation::new(moment(7), RevocationReason::CessationOfOperation);
        store.revoke(keys[0], &serial(1), later);
        assert_eq!(status(keys[0], 1).unwrap().revocation, Some(later));
    }

    fn changes_of_statuses_come_in_order_and_up_to_a_position(store) {
        let keys = add_ca_keys(&store.writer());
        let before = store.reader().position().unwrap();
        let sample = Sample { kinds: vec![KIND], ..Sample::new(1, keys) };
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let own = sample.serial(KIND);
        let cause = |cause| Command::Hold { cause };
        for (seconds, command) in [
            (3, cause(HoldCause::Operator)),
            (4, cause(HoldCause::PhoneLost)),
            (5, Command::Lift { cause: HoldCause::Operator }),
            (6, Command::Lift { cause: HoldCause::PhoneLost }),
            (7, Command::Revoke { reason: COMPROMISED, invalid_since: None }),
        ] {
            store.command(keys[0], &own, command, moment(seconds));
        }
        let (changes, until) = store.reader().status_changes_after(before, 100).unwrap();
        assert_eq!(until, store.reader().position().unwrap());
        use StatusChangeKind::{Held, HoldAdded, HoldLifted, Issued, Released, Revoked};
        assert_eq!(changes.iter().map(|change| change.kind).collect::<Vec<_>>(), [Issued, Held, HoldAdded, HoldLifted, Released, Revoked]);
        assert!(changes.iter().all(|change| (change.ca_key, &change.serial, change.shard) == (keys[0], &own, 0)));
        assert_eq!((changes[5].at, changes[5].reason), (moment(7), Some(COMPROMISED)));

        let mut pieces = Vec::new();
        let mut after = before;
        while after < until {
            let (some, next) = store.reader().status_changes_after(after, 2).unwrap();
            assert!(some.len() <= 2 && next > after && some.iter().all(|change| change.position <= next));
            pieces.extend(some);
            after = next;
        }
        assert_eq!(pieces, changes);
        assert_eq!(store.reader().status_changes_after(until, 2).unwrap(), (vec![], until));
    }

    fn since_when_it_was_invalid_is_kept_with_a_revocation_and_told_by_its_event(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample { kinds: vec![KIND], ..Sample::new(1, keys) };
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let own = sample.serial(KIND);
        store.command(keys[0], &own, Command::Revoke { reason: COMPROMISED, invalid_since: Some(moment(5)) }, moment(9));
        let expected = Revocation { invalidity: Some(moment(5)), ..Revocation::new(moment(9), COMPROMISED) };
        assert_eq!(store.reader().certificate_status(keys[0], &own).unwrap().unwrap().revocation, Some(expected));
        assert_eq!(store.reader().certificate_detail(None, &own).unwrap().unwrap().summary.revocation, Some(expected));
        let mut listed = Vec::new();
        store.reader().revoked_in_scope(keys[0], 0, moment(0), None, 10, |entry| listed.push(entry.revocation)).unwrap();
        assert_eq!(listed, [expected]);
        assert_eq!(replayed(&store.reader()), stored(&store.reader()));
        assert!(store.execute("UPDATE certificate SET state = 1, reason = NULL, revoked_at = NULL").is_err(), "invalid since, and not revoked");
    }

    fn nothing_is_issued_and_no_hold_is_lifted_before_a_restored_store_is_reconciled(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let own = sample.serial(KIND);
        store.command(keys[0], &own, Command::Hold { cause: HoldCause::Operator }, moment(3));
        assert_eq!(store.writer().write(move |tx| tx.begin_epoch(1, &[], moment(4))).unwrap(), 2);
        assert_eq!(store.writer().write(move |tx| tx.begin_epoch(2, &[], moment(5))).unwrap(), 3);
        assert_eq!(store.reader().store_state().unwrap().reconciling_since, Some(moment(4)), "since the first");
        let lift = || {
            let targets = [Target::Serial { serial: own.clone(), kind: Some(KIND) }];
            let policy = LifecyclePolicy::derived_piv().unwrap();
            let order = Order::from(Origin::Operator { name: "Test".to_owned(), role: "administrator".to_owned() });
            let lift = Command::Lift { cause: HoldCause::Operator };
            store.writer().write(move |tx| tx.change_certificates(&targets, &lift, &policy, &order, moment(6)))
        };
        assert_eq!(lift(), Err(WriteError::Fault(StoreFault::Reconciling)));
        let application = Sample::new(2, keys).accept(&store.writer());
        let issue = |application| {
            let issuance = Sample::new(2, keys).issuance(application);
            store.writer().write(move |tx| tx.issue(&issuance, &jpki(), moment(6)))
        };
        let intents = Sample::new(2, keys).intents(Some(application));
        store.writer().write(move |tx| tx.record_intents(&intents, moment(6))).unwrap();
        assert_eq!(issue(application), Err(WriteError::Fault(StoreFault::Reconciling)));
        store.command(keys[1], &sample.serial(CertificateKind::Authentication), Command::Revoke { reason: COMPROMISED, invalid_since: None }, moment(6));
        let end = || store.writer().write(|tx| tx.end_reconciliation(moment(7))).unwrap();
        assert_eq!((end(), end()), (true, false));
        assert_eq!(lift().unwrap().len(), 1);
        assert_eq!(issue(application).unwrap().certificates.len(), 2, "the application has waited");
        assert_eq!(store.reader().events_after(EventPosition(0), 1000).unwrap().iter().filter(|event| event.kind.as_str().starts_with("store.")).count(), 3);
    }
}
