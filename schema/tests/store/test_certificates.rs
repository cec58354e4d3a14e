//! Certificates that nobody holds, and the history of how long revocations took to be told.

use ca_core::issuer::CaKeyId;
use ca_core::lifecycle::{Command, HoldCause};
use ca_core::revocation::RevocationReason;
use chrono::TimeDelta;
use schema::certificate::CertificateState;
use schema::change::{Order, Origin};
use schema::crl::RetireRefusal;
use schema::fault::FaultClass;
use schema::latency::{LATENCY_BUCKETS, LatencyStage, LatencySummary};
use schema::notice::NewNotice;
use schema::test_certificate::{NewTestCertificate, TestStatus};
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment, replayed, stored};
use schema::{EventPosition, StoreFault, WriteError, on_each_database};

const ENDED: Command = Command::Revoke { reason: RevocationReason::Superseded, invalid_since: None };

fn add(store: &TestDatabase, keys: [CaKeyId; 2], number: u32, status: TestStatus) -> Result<(), StoreFault> {
    let sample = Sample::new(number, keys);
    let intents = sample.intents(None);
    let certificate = sample.certificates().remove(0);
    let new = NewTestCertificate {
        status,
        kind: certificate.kind,
        ca_key: certificate.ca_key,
        serial: certificate.serial,
        shard: 0,
        der: format!("certificate {number}").into_bytes(),
        not_before: moment(0),
        not_after: moment(1000),
    };
    store.writer().write(move |tx| {
        tx.record_intents(&intents, moment(1))?;
        tx.add_test_certificate(&new, moment(i64::from(number))).map(drop)
    })
}

on_each_database! {
    fn the_newest_test_certificate_of_each_status_is_shown_and_the_one_before_must_have_ended(store) {
        let keys = add_ca_keys(&store.writer());
        for (number, status) in (1..).zip(TestStatus::ALL) {
            add(store, keys, number, status).unwrap();
        }
        assert_eq!(add(store, keys, 9, TestStatus::Good).unwrap_err().class(), Some(FaultClass::Unique));
        let first = store.reader().test_certificates().unwrap();
        assert_eq!(first.iter().map(|test| test.status).collect::<Vec<_>>(), TestStatus::ALL);
        store.command(keys[0], &first[0].serial, ENDED, moment(9));
        add(store, keys, 10, TestStatus::Good).unwrap();
        let second = store.reader().test_certificates().unwrap();
        assert_eq!((second.len(), second[0].der.as_slice(), second[0].made_at), (4, b"certificate 10".as_slice(), moment(10)));
        assert!(store.reader().certificate_status(keys[0], &second[0].serial).unwrap().is_some());
    }

    fn test_certificates_end_with_their_ca_key_or_stay_if_it_is_not_retired(store) {
        let keys = add_ca_keys(&store.writer());
        for (number, status) in (1..).zip(TestStatus::ALL) {
            add(store, keys, number, status).unwrap();
        }
        let phone = Sample::new(9, keys);
        phone.accept_and_issue(&store.writer(), moment(5)).unwrap();
        let real = phone.serial(ca_core::kind::CertificateKind::Signature);
        let held = Sample::new(3, keys).serial(ca_core::kind::CertificateKind::Signature);
        store.command(keys[0], &held, Command::Hold { cause: HoldCause::Operator }, moment(6));
        let retire = || {
            store.writer().write(move |tx| {
                let order = Order::from(Origin::Schedule { name: "test_certificates".to_owned() });
                tx.end_test_certificates(keys[0], &jpki(), &order, moment(9))?;
                tx.retire_ca_key(keys[0], moment(9))
            })
        };
        assert_eq!(retire(), Err(WriteError::Refused(RetireRefusal::CertificatesStand { standing: 1 })));
        let state = |serial| store.reader().certificate_status(keys[0], serial).unwrap().unwrap().state;
        assert_eq!(state(&held), CertificateState::Held, "all or nothing");
        store.command(keys[0], &real, ENDED, moment(8));
        assert_eq!(retire(), Ok(true));
        assert_eq!(state(&held), CertificateState::Revoked);
        assert_eq!(replayed(&store.reader()), stored(&store.reader()));
    }

    fn nothing_is_done_for_the_holder_of_a_test_certificate(store) {
        let keys = add_ca_keys(&store.writer());
        add(store, keys, 1, TestStatus::Good).unwrap();
        let serial = Sample::new(1, keys).serial(ca_core::kind::CertificateKind::Signature);
        store.command(keys[0], &serial, ENDED, moment(9));
        let position = store.reader().position().unwrap();
        assert_eq!(store.reader().certificate_events_after(EventPosition(0), 1000, 1000).unwrap(), (vec![], position));
        assert_eq!(store.reader().status_changes_after(EventPosition(0), 1000).unwrap().0.len(), 2, "relying parties are told");
        assert_eq!(store.reader().certificate_detail(None, &serial).unwrap(), None);
        assert_eq!(store.reader().history(None, &serial).unwrap(), None);
        let event = store.reader().events_after(EventPosition(0), 100).unwrap().pop().unwrap();
        let notice = NewNotice {
            event: event.position,
            certificate: event.certificate.unwrap(),
            template: "certificate-revoked".to_owned(),
            arguments: serde_json::json!({}),
        };
        assert!(!store.writer().write(move |tx| tx.create_notice(&notice, moment(10))).unwrap());
    }

    fn how_long_revocations_took_is_summed_up_by_the_minutes_of_their_commits(store) {
        let start = chrono::DateTime::from_timestamp(1_800_000_000 / 60 * 60, 0).unwrap();
        let at = move |seconds| start + TimeDelta::seconds(seconds);
        let took = |seconds, milliseconds| (at(seconds), TimeDelta::milliseconds(milliseconds));
        let record = |stage, measured: Vec<_>| store.writer().write(move |tx| tx.record_latency(stage, &measured)).unwrap();
        record(LatencyStage::Ocsp, vec![took(59, 40), took(0, 60), took(60, 7_000)]);
        record(LatencyStage::Ocsp, vec![took(30, 200), took(31, -5)]);
        record(LatencyStage::Crl, vec![took(1, 100_000_000)]);
        store.writer().write(move |tx| tx.record_lost(LatencyStage::Ocsp, &[at(61), at(150)])).unwrap();
        let history = |stage, from, to| store.reader().latency_history(stage, at(from), at(to)).unwrap();
        let ocsp = history(LatencyStage::Ocsp, 0, 240);
        let told: Vec<_> = ocsp.iter().map(|minute| (minute.minute, minute.count, minute.sum_milliseconds, minute.max_milliseconds, minute.lost)).collect();
        assert_eq!(told, [(at(0), 4, 300, 200, 0), (at(60), 1, 7_000, 7_000, 1), (at(120), 0, 0, 0, 1)]);
        assert_eq!(ocsp[0].buckets[..3], [2, 1, 1]);
        assert_eq!(history(LatencyStage::Crl, 0, 60)[0].buckets[LATENCY_BUCKETS - 1], 1);
        assert_eq!(history(LatencyStage::Ocsp, 1, 60), [], "a minute that has begun before is none of these");
        assert_eq!(history(LatencyStage::Ocsp, 60, 120), ocsp[1..2]);
        assert_eq!(LatencySummary::of(&ocsp).percentile(50), Some(250), "of seven, four within that bound");
    }
}
