//! Accepting applications.

use std::sync::Barrier;

use ca_core::application::ApplicationId;
use ca_core::application::challenge::Beacon;
use ca_core::application::verified::{Evidence, StatusEvidence};
use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use schema::application::{AcceptRefusal, Acceptance, ApplicationState, NewApplication};
use schema::fault::FaultClass;
use schema::testing::{Sample, add_ca_keys, moment};
use schema::{EventKind, EventPosition, WriteError, Writer, on_each_database};
use serde_json::json;

fn accept(writer: &Writer, application: NewApplication) -> Result<Acceptance, WriteError<AcceptRefusal>> {
    writer.write(move |tx| tx.accept_application(&application, moment(1)))
}

/// Makes one part of an application so many octets long.
type Lengthen = fn(usize, &mut Vec<u8>, &mut Evidence);

fn octets(length: usize) -> Vec<u8> {
    vec![0x30; length]
}

on_each_database! {
    fn the_same_bytes_again_are_the_same_application(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let Ok(Acceptance::Accepted(id)) = accept(&store.writer(), sample.application()) else { panic!("not accepted") };
        let position = store.reader().position().unwrap();
        assert_eq!(accept(&store.writer(), sample.application()), Ok(Acceptance::Existing(id)));
        assert_eq!(store.reader().position().unwrap(), position, "nothing new happened");
        let record = store.reader().application_by_digest(&sample.digest()).unwrap().unwrap();
        assert_eq!((record.id, record.state), (id, ApplicationState::Accepted));
        assert_eq!(record.ticket_hash, Sha256Digest::of(&sample.challenge()));
        assert_eq!(store.reader().application(id).unwrap().map(|record| record.id), Some(id));
        assert_eq!(store.reader().application(ApplicationId(999)).unwrap(), None);
    }

    fn a_challenge_serves_one_application_only(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        accept(&store.writer(), sample.application()).unwrap();
        let other = NewApplication::from_parts(b"other bytes".to_vec(), sample.challenge(), sample.evidence(), Sha256Digest::of(b""));
        assert_eq!(accept(&store.writer(), other), Err(WriteError::Refused(AcceptRefusal::ChallengeSpent)));
        assert_eq!(store.reader().accepted_applications(10).unwrap().len(), 1);
    }

    fn of_many_applications_at_once_with_one_challenge_one_is_accepted(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let other = store.open_again();
        let barrier = Barrier::new(8);
        let accepted = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8u8).map(|number| {
                let writer = if number % 2 == 0 { store.writer() } else { other.writer() };
                let application = NewApplication::from_parts(vec![number; 9], sample.challenge(), sample.evidence(), Sha256Digest::of(b""));
                let barrier = &barrier;
                scope.spawn(move || { barrier.wait(); accept(&writer, application).is_ok() })
            }).collect();
            tries.into_iter().map(|thread| thread.join().unwrap()).filter(|accepted| *accepted).count()
        });
        assert_eq!(accepted, 1);
    }

    fn the_evidence_comes_back_as_it_was_and_a_shared_crl_is_stored_once(store) {
        let keys = add_ca_keys(&store.writer());
        let mut samples = vec![Sample::new(1, keys), Sample::new(2, keys), Sample::new(3, keys)];
        samples[1].kinds = vec![CertificateKind::Signature];
        for sample in &samples {
            sample.accept(&store.writer());
        }
        let waiting = store.reader().accepted_applications(10).unwrap();
        assert_eq!(waiting.len(), 3);
        for (stored, sample) in waiting.iter().zip(&samples) {
            assert_eq!((&stored.cms, &stored.digest), (&sample.cms(), &sample.digest()));
            assert_eq!(stored.evidence, sample.evidence());
            assert_eq!(stored.accepted_at, moment(1));
        }
        assert_eq!(store.reader().accepted_applications(2).unwrap(), waiting[..2]);
        let ids: Vec<_> = waiting.iter().map(|application| application.id).collect();
        assert_eq!(store.reader().accepted_application_ids(2).unwrap(), ids[..2]);
        // The digest is the key: a second row would have been refused, and a missing one could not be read back.
        store.execute("INSERT INTO card_crl (sha256, der) SELECT sha256, der FROM card_crl").unwrap_err();
    }

    fn evidence_is_stored_up_to_its_limits_and_not_beyond(store) {
        let keys = add_ca_keys(&store.writer());
        let attempt = |number: u32, change: &dyn Fn(&mut Vec<u8>, &mut Evidence)| {
            let sample = Sample::new(number, keys);
            let (mut cms, mut evidence) = (vec![number as u8; 9], sample.evidence());
            change(&mut cms, &mut evidence);
            match accept(&store.writer(), NewApplication::from_parts(cms, sample.challenge(), evidence, Sha256Digest::of(b""))) {
                Ok(Acceptance::Accepted(_)) => true,
                Err(WriteError::Fault(fault)) if fault.class() == Some(FaultClass::Check) => false,
                other => panic!("{other:?}"),
            }
        };
        let mut number = 0;
        let limits: [(usize, Lengthen); 6] = [
            (65_536, |length, cms, _| *cms = octets(length)),
            (255, |length, _, evidence| evidence.holder_id = "h".repeat(length)),
            (16_384, |length, _, evidence| evidence.signature_status = StatusEvidence::Ocsp(octets(length))),
            (16_777_216, |length, _, evidence| evidence.signature_status = StatusEvidence::Crl(octets(length))),
            (8_192, |length, _, evidence| evidence.authentication.as_mut().unwrap().certificate = octets(length)),
            (16_384, |length, _, evidence| evidence.authentication.as_mut().unwrap().status = StatusEvidence::Ocsp(octets(length))),
        ];
        for (limit, lengthen) in limits {
            for (length, stored) in [(limit, true), (limit + 1, false)] {
                number += 1;
                assert_eq!(attempt(number, &|cms, evidence| lengthen(length, cms, evidence)), stored, "{limit}");
            }
        }
        assert!(!attempt(100, &|_, evidence| evidence.holder_id.clear()), "a holder without a name");
    }

    fn a_refused_application_says_why_and_is_decided_once(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let id = sample.accept(&store.writer());
        store.writer().write(move |tx| tx.refuse_application(id, "evidence_too_old", "The card's status is too old.", moment(3))).unwrap();
        let record = store.reader().application_by_digest(&sample.digest()).unwrap().unwrap();
        assert_eq!(record.state, ApplicationState::Refused { code: "evidence_too_old".to_owned(), detail: "The card's status is too old.".to_owned() });
        assert!(store.reader().accepted_applications(10).unwrap().is_empty());
        assert!(store.writer().write(move |tx| tx.refuse_application(id, "again", "", moment(3))).is_err());
        assert!(sample.issue(&store.writer(), id, moment(4)).is_err());
        let events = store.reader().events_after(EventPosition(0), 100).unwrap();
        let decided = events.last().unwrap();
        assert_eq!((decided.kind, decided.application), (EventKind::ApplicationRefused, Some(id)));
    }

    fn what_the_ra_dates_later_than_it_is_is_told_as_of_now(store) {
        // What another clock says stays readable beside it.
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let id = sample.accept(&store.writer());
        store.writer().write(move |tx| tx.refuse_application(id, "evidence_too_old", "", moment(-7))).unwrap();
        let digest = sample.digest();
        store.writer().write(move |tx| tx.leave_rejection(&digest, "card_revoked", moment(90))).unwrap();
        store.writer().write(move |tx| tx.leave_rejection(&digest, "card_revoked", moment(2))).unwrap();
        assert_eq!(store.writer().write(|tx| tx.take_rejections(moment(5))), Ok(2));
        let events = store.reader().events_after(EventPosition(0), 100).unwrap();
        let of = |kind: EventKind| events.iter().filter(move |event| event.kind == kind).collect::<Vec<_>>();
        let accepted = of(EventKind::ApplicationAccepted)[0];
        assert_eq!((accepted.at, &accepted.data["accepted_at"]), (moment(-7), &json!(moment(1))));
        let rejected = of(EventKind::ApplicationRejected);
        assert_eq!((rejected[0].at, &rejected[0].data["rejected_at"]), (moment(5), &json!(moment(90))));
        assert_eq!((rejected[1].at, rejected[1].data.get("rejected_at")), (moment(2), None));
    }

    fn beacons_are_read_back_in_order_and_forgotten_after_a_day(store) {
        for minute in 0..5u8 {
            let beacon = Beacon { value: [minute; 32], drawn_at: moment(i64::from(minute) * 60) };
            store.writer().write(move |tx| tx.draw_beacon(&beacon)).unwrap();
        }
        let values = |since| store.reader().beacons(moment(since)).unwrap().iter().map(|beacon| beacon.value[0]).collect::<Vec<_>>();
        assert_eq!(values(0), [0, 1, 2, 3, 4]);
        assert_eq!(values(180), [3, 4]);
        let late = Beacon { value: [9; 32], drawn_at: moment(86_400 + 180) };
        store.writer().write(move |tx| tx.draw_beacon(&late)).unwrap();
        assert_eq!(values(0), [3, 4, 9]);
        assert_eq!(store.reader().latest_beacon().unwrap(), Some(late));
    }
}
