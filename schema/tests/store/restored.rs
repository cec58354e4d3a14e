//! A database that went back: what it refuses, and how published revocations come into it again.

use ca_core::kind::CertificateKind;
use ca_core::lifecycle::{Command, HoldCause};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use chrono::TimeDelta;
use schema::certificate::CertificateState;
use schema::change::{Order, Origin, Target};
use schema::crl::ListedRevocation;
use schema::testing::{Sample, add_ca_keys, jpki, moment, replayed, stored};
use schema::{EventKind, EventPosition, StoreFault, on_each_database};

const KIND: CertificateKind = CertificateKind::Signature;

on_each_database! {
    fn published_revocations_come_back_as_they_were_told_and_change_nothing_that_was_revoked(store) {
        let keys = add_ca_keys(&store.writer());
        let samples = [1, 2, 3, 4].map(|number| Sample::new(number, keys));
        for sample in &samples {
            sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        }
        let [revoked, held, was_held, ended] = samples.each_ref().map(|sample| sample.serial(KIND));
        let order = Order::from(Origin::Operator { name: "Test".to_owned(), role: "administrator".to_owned() });
        let (hold, target) = (Command::Hold { cause: HoldCause::PhoneLost }, [Target::Serial { serial: was_held.clone(), kind: Some(KIND) }]);
        store.writer().write({ let order = order.clone(); move |tx| tx.change_certificates(&target, &hold, &jpki(), &order, moment(3)) }).unwrap();
        let event = samples[3].card_revoked(KIND, 1, RevocationReason::Superseded);
        store.writer().write(move |tx| tx.apply_card_event(&event, &jpki(), moment(4))).unwrap();

        let told = |seconds, reason| Revocation { invalidity: Some(moment(seconds - 60)), ..Revocation::new(moment(seconds), reason) };
        let listed = |serial: &SerialNumber, revocation| ListedRevocation { serial: serial.clone(), revocation };
        let entries = vec![
            listed(&revoked, told(50, RevocationReason::KeyCompromise)),
            listed(&held, Revocation::new(moment(60), RevocationReason::CertificateHold)),
            listed(&was_held, told(70, RevocationReason::CessationOfOperation)),
            listed(&ended, told(80, RevocationReason::KeyCompromise)),
            listed(&SerialNumber::from_magnitude(&[1, 2, 3]).unwrap(), told(90, RevocationReason::KeyCompromise)),
        ];
        for expected in [3, 0] {
            let entries = entries.clone();
            let changed = store.writer().write(move |tx| tx.put_back(keys[0], &entries, &jpki(), moment(100))).unwrap();
            assert_eq!(changed.len(), expected);
        }
        let status = |serial| store.reader().certificate_status(keys[0], serial).unwrap().unwrap();
        assert_eq!((status(&revoked).state, status(&revoked).revocation), (CertificateState::Revoked, Some(told(50, RevocationReason::KeyCompromise))));
        assert_eq!(
            (status(&held).state, status(&held).revocation),
            (CertificateState::Held, Some(Revocation::new(moment(60), RevocationReason::CertificateHold)))
        );
        let detail = store.reader().certificate_detail(Some(KIND), &held).unwrap().unwrap();
        assert_eq!(store.reader().holds(detail.summary.id).unwrap()[0].cause, HoldCause::Operator);
        assert_eq!(detail.events.last().unwrap().data["by"], serde_json::json!({"reconciliation": true}));
        assert_eq!(status(&was_held).revocation, Some(told(70, RevocationReason::CessationOfOperation)));
        assert_eq!(status(&ended).revocation.unwrap().reason, RevocationReason::Superseded);
        assert_eq!(replayed(&store.reader()), stored(&store.reader()));
    }

    fn what_expired_only_because_its_revocation_was_forgotten_is_revoked_again(store) {
        let keys = add_ca_keys(&store.writer());
        let samples = [1, 2, 3, 4].map(|number| Sample { not_after: moment(50), ..Sample::new(number, keys) });
        for sample in &samples {
            sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        }
        let serials = samples.each_ref().map(|sample| sample.serial(KIND));
        let order = Order::from(Origin::Schedule { name: "expire".to_owned() });
        assert_eq!(store.writer().write(move |tx| tx.expire_due(10, &jpki(), &order, moment(60))).unwrap().len(), 8, "of both kinds");
        let before = Revocation { invalidity: Some(moment(30)), ..Revocation::new(moment(40), RevocationReason::KeyCompromise) };
        let at_the_end = Revocation::new(moment(50), RevocationReason::Superseded);
        let after = Revocation::new(moment(51), RevocationReason::KeyCompromise);
        let held = Revocation::new(moment(40), RevocationReason::CertificateHold);
        let told = [before, at_the_end, after, held];
        let listed = serials.iter().cloned().zip(told).map(|(serial, revocation)| ListedRevocation { serial, revocation });
        let entries: Vec<ListedRevocation> = listed.collect();
        let since = store.reader().position().unwrap();
        for expected in [2, 0] {
            let entries = entries.clone();
            assert_eq!(store.writer().write(move |tx| tx.put_back(keys[0], &entries, &jpki(), moment(100))).unwrap().len(), expected);
        }
        let statuses = store.reader().certificate_statuses(keys[0], &serials).unwrap();
        let found: Vec<_> = statuses.into_iter().map(|status| status.map(|status| (status.state, status.revocation)).unwrap()).collect();
        let (revoked, expired) = (CertificateState::Revoked, (CertificateState::Expired, None));
        assert_eq!(found, [(revoked, Some(before)), (revoked, Some(at_the_end)), expired, expired]);
        let (changes, _) = store.reader().status_changes_after(since, 10).unwrap();
        assert_eq!(changes.iter().map(|change| &change.serial).collect::<Vec<_>>(), [&serials[0], &serials[1]], "OCSP hears of them");
        assert_eq!(replayed(&store.reader()), stored(&store.reader()));
    }

    fn a_new_epoch_ends_every_lead_and_refuses_issuance_until_it_is_reconciled(store) {
        let keys = add_ca_keys(&store.writer());
        let lease = store.writer().write(|tx| tx.acquire_lease("ca", "one", moment(0), TimeDelta::seconds(15))).unwrap().unwrap();
        let epoch = store.writer().write(move |tx| tx.begin_epoch(7, &[(keys[0], 1_000)], moment(1))).unwrap();
        assert_eq!(epoch, 7);
        let state = store.reader().store_state().unwrap();
        assert_eq!((state.epoch, state.reconciling_since), (7, Some(moment(1))));
        let fenced = store.writer().write(move |tx| tx.check_lease(&lease));
        assert!(matches!(fenced, Err(StoreFault::Fenced(_))), "{fenced:?}");
        assert!(store.writer().write(|tx| tx.is_reconciling()).unwrap());
        assert!(Sample::new(1, keys).accept_and_issue(&store.writer(), moment(2)).is_err());
        assert_eq!(store.writer().write(move |tx| tx.reserve_crl_number_in(keys[0], 0, moment(2))).unwrap(), 1_001);
        assert!(store.writer().write(|tx| tx.end_reconciliation(moment(3))).unwrap());
        assert!(!store.writer().write(|tx| tx.is_reconciling()).unwrap());
        Sample::new(2, keys).accept_and_issue(&store.writer(), moment(4)).unwrap();
    }

    fn on_a_database_that_went_back_under_this_process_nothing_is_written_but_a_new_epoch(store) {
        let keys = add_ca_keys(&store.writer());
        for number in 1..4 {
            Sample::new(number, keys).accept_and_issue(&store.writer(), moment(2)).unwrap();
        }
        let reached = store.reader().position().unwrap();
        // As a backup from before the last issuances would have it.
        store.execute(&format!("UPDATE event_counter SET position = {}", reached.0 - 4)).unwrap();
        store.execute("CREATE TABLE kept AS SELECT * FROM event").unwrap();
        store.tamper(&format!("DELETE FROM event WHERE position > {}", reached.0 - 4)).unwrap();
        let refused = store.writer().write(move |tx| tx.reserve_crl_number_in(keys[0], 0, moment(5)).map(drop));
        assert_eq!(refused, Ok(()), "what leaves no event tells nobody anything");
        let issued = Sample::new(9, keys).accept_and_issue(&store.writer(), moment(5));
        assert!(issued.is_err(), "{issued:?}");
        let revoked = Sample::new(1, keys).card_revoked(KIND, 1, RevocationReason::KeyCompromise);
        let write = { let revoked = revoked.clone(); move |tx: &mut schema::Transaction<'_>| tx.apply_card_event(&revoked, &jpki(), moment(5)) };
        assert_eq!(store.writer().write(write), Err(StoreFault::WentBack));
        assert_eq!(store.reader().position().unwrap().0, reached.0 - 4);

        let epoch = store.writer().write(|tx| tx.begin_epoch(2, &[], moment(6))).unwrap();
        assert_eq!(epoch, 2);
        store.database().wake().restart(store.reader().position().unwrap());
        store.writer().write(move |tx| tx.apply_card_event(&revoked, &jpki(), moment(7))).unwrap();
        let since = store.reader().events_after(EventPosition(reached.0 - 4), 10).unwrap();
        let kinds: Vec<EventKind> = since.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::EpochBegan, EventKind::CardRevoked, EventKind::CertificateRevoked]);
    }
}
