//! What relying parties ask.

use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use schema::on_each_database;
use schema::testing::{Sample, add_ca_keys, jpki, moment};

const KIND: CertificateKind = CertificateKind::Signature;

on_each_database! {
    fn a_serial_number_is_known_to_the_key_that_used_it_only(store) {
        let keys = add_ca_keys(&store.writer());
        let samples = [Sample::new(1, keys), Sample::new(2, keys)];
        for sample in &samples {
            sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        }
        let never = SerialNumber::from_magnitude(&[1, 2, 3]).unwrap();
        assert!(store.reader().certificate_status(keys[1], &samples[0].serial(KIND)).unwrap().is_none());
        let asked = [samples[1].serial(KIND), never, samples[0].serial(KIND), samples[0].serial(CertificateKind::Authentication)];
        let statuses = store.reader().certificate_statuses(keys[0], &asked).unwrap();
        assert_eq!(statuses.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, false]);
        assert_eq!(store.reader().certificate_statuses(keys[0], &[]).unwrap(), []);
        let many = vec![samples[0].serial(KIND); 150];
        assert_eq!(store.reader().certificate_statuses(keys[0], &many).unwrap().iter().flatten().count(), 150);
    }

    fn revoked_certificates_come_in_pages_by_rising_serial_number_and_leave_after_expiry(store) {
        let keys = add_ca_keys(&store.writer());
        for number in 0..7 {
            let mut sample = Sample::new(number, keys);
            if number == 0 {
                sample.not_after = moment(500);
            }
            sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
            if number != 6 {
                let event = sample.card_revoked(KIND, 1, RevocationReason::KeyCompromise);
                store.writer().write(move |tx| tx.apply_card_event(&event, &jpki(), moment(3))).unwrap();
            }
        }
        let reader = store.reader();
        let mut all = Vec::new();
        let after = reader.revoked_in_scope(keys[0], 0, moment(0), None, 4, |entry| all.push(entry.clone())).unwrap();
        assert_eq!(all.len(), 4);
        let after = reader.revoked_in_scope(keys[0], 0, moment(0), after.as_ref(), 4, |entry| all.push(entry.clone())).unwrap();
        assert_eq!(after, None);
        assert_eq!(all.len(), 6);
        assert!(all.windows(2).all(|pair| pair[0].serial < pair[1].serial));
        assert!(all.iter().all(|entry| entry.revocation == Revocation::new(moment(3), RevocationReason::KeyCompromise)));
        let count = |key, ended_by| {
            let mut count = 0;
            reader.revoked_in_scope(key, 0, ended_by, None, 10, |_| count += 1).unwrap();
            count
        };
        assert_eq!((count(keys[0], moment(500)), count(keys[1], moment(0))), (5, 0));
    }
}
