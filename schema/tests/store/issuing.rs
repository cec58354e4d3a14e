//! Issuing: everything in one transaction, and one live certificate of a kind.

use std::sync::Barrier;

use ca_core::issuance::IntentLedger;
use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason};
use schema::application::ApplicationState;
use schema::certificate::{CertificateFilter, CertificateState};
use schema::fault::FaultClass;
use schema::intent::StoredIntents;
use schema::issuance::IssueRefusal;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment};
use schema::{EventKind, EventPosition, StoreFault, WriteError, on_each_database};

fn live(store: &TestDatabase, holder_id: &str) -> usize {
    let filter = CertificateFilter { state: Some(CertificateState::Live), holder_id: Some(holder_id.to_owned()), ..Default::default() };
    store.reader().list_certificates(&filter, None, 100).unwrap().len()
}

on_each_database! {
    fn an_application_becomes_two_linked_certificates(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        let application = sample.accept(&store.writer());
        let issued = sample.issue(&store.writer(), application, moment(2)).unwrap();
        assert_eq!((issued.certificates.len(), issued.superseded.len()), (2, 0));

        let record = store.reader().application_by_digest(&sample.digest()).unwrap().unwrap();
        let ApplicationState::Issued { certificates } = record.state else { panic!("not issued") };
        assert_eq!(certificates.iter().map(|certificate| certificate.kind).collect::<Vec<_>>(), CertificateKind::ALL);
        for (certificate, ca_key) in certificates.iter().zip(keys) {
            assert_eq!((certificate.ca_key, &certificate.serial), (ca_key, &sample.serial(certificate.kind)));
            assert_eq!(certificate.der.len(), 1200);
        }
        assert!(store.reader().accepted_applications(10).unwrap().is_empty());

        let detail = store.reader().certificate_detail(None, &sample.serial(CertificateKind::Signature)).unwrap().unwrap();
        assert_eq!(detail.summary.holder_id, sample.holder_id);
        assert_eq!(detail.link.card, sample.card(CertificateKind::Signature));
        assert_eq!(detail.link.distribution_point.as_deref(), Some(b"distribution point".as_slice()));
        assert_eq!((detail.application, detail.application_digest), (application, sample.digest()));
        assert_eq!(detail.events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::CertificateIssued]);
        assert!(store.reader().certificate_detail(Some(CertificateKind::Authentication), &detail.summary.serial).unwrap().is_none());

        let card = sample.card(CertificateKind::Authentication);
        assert_eq!(store.reader().card_distribution_points(&card.issuer_key_id).unwrap(), [b"distribution point".to_vec()]);
        let by_card = CertificateFilter { card: Some((card.issuer_key_id, card.serial)), ..Default::default() };
        let linked = store.reader().list_certificates(&by_card, None, 10).unwrap();
        assert_eq!(linked.iter().map(|summary| summary.kind).collect::<Vec<_>>(), [CertificateKind::Authentication]);

        let kinds: Vec<_> = store.reader().events_after(EventPosition(2), 10).unwrap().iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::ApplicationAccepted, EventKind::CertificateIssued, EventKind::CertificateIssued, EventKind::ApplicationIssued]);
    }

    fn a_new_phone_ends_the_old_phones_certificates_in_the_same_transaction(store) {
        let keys = add_ca_keys(&store.writer());
        let old = Sample::new(1, keys);
        let first = old.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let new = Sample { holder_id: old.holder_id.clone(), ..Sample::new(2, keys) };
        let second = new.accept_and_issue(&store.writer(), moment(100)).unwrap();
        assert_eq!(second.superseded, first.certificates);
        for (kind, ca_key) in CertificateKind::ALL.into_iter().zip(keys) {
            let status = store.reader().certificate_status(ca_key, &old.serial(kind)).unwrap().unwrap();
            assert_eq!(status.state, CertificateState::Revoked);
            assert_eq!(status.revocation, Some(Revocation::new(moment(100), RevocationReason::Superseded)));
            let status = store.reader().certificate_status(ca_key, &new.serial(kind)).unwrap().unwrap();
            assert_eq!((status.state, status.revocation), (CertificateState::Live, None));
        }
        assert_eq!(live(store, &old.holder_id), 2);
    }

    fn an_expired_certificate_makes_room_without_being_asked(store) {
        let keys = add_ca_keys(&store.writer());
        let old = Sample { not_after: moment(50), ..Sample::new(1, keys) };
        old.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let new = Sample { holder_id: old.holder_id.clone(), supersede: false, ..Sample::new(2, keys) };
        new.accept_and_issue(&store.writer(), moment(100)).unwrap();
        let status = store.reader().certificate_status(keys[0], &old.serial(CertificateKind::Signature)).unwrap().unwrap();
        assert_eq!((status.state, status.revocation), (CertificateState::Expired, None));
    }

    fn a_live_certificate_stands_if_its_ending_was_not_asked_for(store) {
        let keys = add_ca_keys(&store.writer());
        let old = Sample::new(1, keys);
        old.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let new = Sample { holder_id: old.holder_id.clone(), supersede: false, ..Sample::new(2, keys) };
        let application = new.accept(&store.writer());
        let refused = new.issue(&store.writer(), application, moment(3));
        assert_eq!(refused, Err(WriteError::Refused(IssueRefusal::HolderHasLiveCertificate)));
        assert_eq!(live(store, &old.holder_id), 2);
        // The refusal left nothing behind: the same application can still be decided.
        store.writer().write(move |tx| tx.refuse_application(application, "holder_has_live_certificate", "", moment(4))).unwrap();
    }

    fn a_key_is_certified_once(store) {
        let keys = add_ca_keys(&store.writer());
        let first = Sample::new(1, keys);
        first.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let second = Sample::new(2, keys);
        let application = second.accept(&store.writer());
        let intents = second.intents(Some(application));
        let mut issuance = second.issuance(application);
        issuance.certificates[1].public_key_sha256 = first.certificates()[1].public_key_sha256;
        let refused = store.writer().write(move |tx| {
            tx.record_intents(&intents, moment(3))?;
            tx.issue(&issuance, &jpki(), moment(3))
        });
        assert_eq!(refused, Err(WriteError::Refused(IssueRefusal::KeyAlreadyCertified)));
        assert_eq!(live(store, &second.holder_id), 0);
    }

    fn a_challenge_is_issued_on_once_whatever_the_application_table_says(store) {
        let keys = add_ca_keys(&store.writer());
        let first = Sample::new(1, keys);
        first.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let second = Sample::new(2, keys);
        let application = second.accept(&store.writer());
        let intents = second.intents(Some(application));
        let mut issuance = second.issuance(application);
        issuance.challenge = first.challenge();
        let refused = store.writer().write(move |tx| {
            tx.record_intents(&intents, moment(3))?;
            tx.issue(&issuance, &jpki(), moment(3))
        });
        assert_eq!(refused, Err(WriteError::Refused(IssueRefusal::ChallengeSpent)));
    }

    fn an_application_is_decided_once(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        let application = sample.accept(&store.writer());
        sample.issue(&store.writer(), application, moment(2)).unwrap();
        let again = sample.issuance(application);
        let refused = store.writer().write(move |tx| tx.issue(&again, &jpki(), moment(3)));
        assert_eq!(refused, Err(WriteError::Refused(IssueRefusal::AlreadyDecided)));
    }

    fn nothing_is_stored_whose_intent_is_not_on_record(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let application = sample.accept(&store.writer());
        let issuance = sample.issuance(application);
        let refused = store.writer().write(move |tx| tx.issue(&issuance, &jpki(), moment(2)));
        let Err(WriteError::Fault(fault)) = refused else { panic!("issued without intent") };
        assert_eq!(fault.class(), Some(FaultClass::ForeignKey));
    }

    fn a_serial_number_is_recorded_once(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let intents = sample.intents(None);
        let mut ledger = StoredIntents::new(store.writer(), moment(1));
        ledger.record(&intents).unwrap();
        let recorded = || store.open_again().reader().octets_for_test("SELECT tbs_sha256 FROM issuance_intent ORDER BY kind").unwrap();
        assert_eq!(recorded(), intents.iter().map(|intent| intent.tbs_sha256.0.to_vec()).collect::<Vec<_>>());
        assert_eq!(ledger.record(&intents[1..]).unwrap_err().class(), Some(FaultClass::Unique));
        // Many at once, in chunks.
        let keys = [sample.ca_keys[0], sample.ca_keys[1]];
        let many: Vec<_> = (10..110).flat_map(|number| Sample::new(number, keys).intents(None)).collect();
        ledger.record(&many).unwrap();
        assert_eq!(recorded().len(), 202);
    }

    fn two_issuances_at_once_for_one_holder_leave_one_live_certificate_of_each_kind(store) {
        let keys = add_ca_keys(&store.writer());
        let other = store.open_again();
        for round in 0..6 {
            let pair = [2 * round, 2 * round + 1].map(|number| Sample { holder_id: format!("shared-{round}"), ..Sample::new(100 + number, keys) });
            let applications = [pair[0].accept(&store.writer()), pair[1].accept(&store.writer())];
            let barrier = Barrier::new(2);
            std::thread::scope(|scope| {
                for (index, writer) in [store.writer(), other.writer()].into_iter().enumerate() {
                    let (sample, application, barrier) = (&pair[index], applications[index], &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        sample.issue(&writer, application, moment(2)).unwrap();
                    });
                }
            });
            assert_eq!(live(store, &format!("shared-{round}")), 2);
        }
    }

    fn the_index_itself_refuses_a_second_live_or_held_certificate(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let more = Sample::new(2, keys).intents(None);
        store.writer().write(move |tx| tx.record_intents(&more, moment(2))).unwrap();
        let second = |state: &str| store.execute(&format!(
            "INSERT INTO certificate (kind, ca_key_id, serial, holder, state, reason, revoked_at, not_before, not_after) \
             SELECT i.kind, c.ca_key_id, i.serial, c.holder, {state}, c.not_before, c.not_after FROM certificate AS c \
             JOIN issuance_intent AS i ON i.kind = c.kind AND i.serial <> c.serial"));
        assert_eq!(second("1, NULL, NULL").unwrap_err().class(), Some(FaultClass::Unique));
        assert_eq!(second("2, 6, 5000").unwrap_err().class(), Some(FaultClass::Unique));
        second("3, 4, 5000").unwrap();
        // And each state has what belongs to it.
        for wrong in ["state = 3", "state = 2, reason = 1, revoked_at = 5000", "state = 1, reason = 6, revoked_at = 5000", "state = 9"] {
            assert_eq!(store.execute(&format!("UPDATE certificate SET {wrong} WHERE id = 1")).unwrap_err().class(), Some(FaultClass::Check), "{wrong}");
        }
    }

    fn lists_are_filtered_and_continued(store) {
        let keys = add_ca_keys(&store.writer());
        for number in 0..5 {
            Sample::new(number, keys).accept_and_issue(&store.writer(), moment(2)).unwrap();
        }
        let filter = CertificateFilter { kind: Some(CertificateKind::Signature), ..Default::default() };
        let first = store.reader().list_certificates(&filter, None, 3).unwrap();
        let rest = store.reader().list_certificates(&filter, first.last().map(|summary| summary.id), 10).unwrap();
        assert_eq!((first.len(), rest.len()), (3, 2));
        assert_eq!(store.reader().ca_keys().unwrap().iter().map(|key| key.id()).collect::<Vec<_>>(), keys);
    }

    fn responders_are_kept_for_each_key(store) {
        use schema::authority::NewResponder;
        let keys = add_ca_keys(&store.writer());
        for number in 0..3u8 {
            let new = NewResponder {
                ca_key: keys[0],
                serial: ca_core::serial::SerialNumber::from_magnitude(&[number + 1]).unwrap(),
                der: vec![number; 500],
                public_key_sha256: ca_core::digest::Sha256Digest::of(&[number]),
                not_before: moment(i64::from(number)),
                not_after: moment(1000),
            };
            store.writer().write(move |tx| tx.add_responder(&new, moment(0))).unwrap();
        }
        assert_eq!(store.reader().responders().unwrap().len(), 3);
        assert_eq!(store.reader().latest_responder(keys[0]).unwrap().unwrap().der, vec![2; 500]);
        assert_eq!(store.reader().latest_responder(keys[1]).unwrap(), None);
    }

    fn what_is_no_ca_certificate_is_not_added(store) {
        let mut new = schema::testing::new_ca_key(CertificateKind::Signature);
        new.certificate.truncate(100);
        assert!(matches!(store.writer().write(move |tx| tx.add_ca_key(&new, moment(0))), Err(StoreFault::Misuse(_))));
    }
}
