//! What holders are to be told.

use schema::notice::NewNotice;
use schema::testing::{Sample, add_ca_keys, moment};
use schema::{EventKind, EventPosition, on_each_database};
use serde_json::json;

on_each_database! {
    fn a_notice_is_made_once_for_each_event_and_told_once(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let events = store.reader().events_after(EventPosition(0), 100).unwrap();
        let notices: Vec<_> = events.iter().filter(|event| event.kind == EventKind::CertificateIssued).map(|event| NewNotice {
            event: event.position,
            certificate: event.certificate.unwrap(),
            template: "certificate-issued".to_owned(),
            arguments: json!({"kind": event.data["kind"]}),
        }).collect();
        assert_eq!(notices.len(), 2);
        for (new, expected) in [(&notices[0], true), (&notices[0], false), (&notices[1], true)] {
            let new = new.clone();
            assert_eq!(store.writer().write(move |tx| tx.create_notice(&new, moment(10))).unwrap(), expected);
        }
        let due = |second| store.reader().due_notices(10, moment(second)).unwrap();
        assert!(due(9).is_empty());
        let found = due(10);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].event, found[0].holder_id.as_str(), found[0].occurred_at), (notices[0].event, "holder-1", moment(2)));
        assert_eq!((found[0].template.as_str(), &found[0].arguments), ("certificate-issued", &notices[0].arguments));

        let both = notices.iter().map(|notice| notice.event).collect::<Vec<_>>();
        let later = both.clone();
        store.writer().write(move |tx| tx.retry_notices(&later, moment(20))).unwrap();
        assert!(due(19).is_empty());
        assert_eq!(due(20).iter().map(|notice| notice.attempts).collect::<Vec<_>>(), [1, 1]);
        let told = both[0];
        store.writer().write(move |tx| tx.notices_told(&[told], moment(21))).unwrap();
        assert_eq!(due(100).iter().map(|notice| notice.event).collect::<Vec<_>>(), both[1..]);
        // Told once and for all: neither told nor tried again.
        store.writer().write(move |tx| tx.retry_notices(&[told], moment(22))).unwrap();
        assert_eq!(due(100).len(), 1);
        let again = notices[0].clone();
        assert!(!store.writer().write(move |tx| tx.create_notice(&again, moment(30))).unwrap());
    }
}
