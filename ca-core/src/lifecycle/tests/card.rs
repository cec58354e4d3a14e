//! What is known of a card certificate, whatever order its events come in.

use super::*;

const SIGNATURE: Option<CertificateKind> = Some(CertificateKind::Signature);

fn hour(hour: i64) -> DateTime<Utc> {
    now() + TimeDelta::hours(hour)
}

fn told(events: &[(i64, CardChange)]) -> CardRecord {
    events.iter().fold(CardRecord::NEW, |record, (sequence, change)| record.after(change, *sequence, SIGNATURE))
}

/// Every order of the events.
fn orders(events: &[(i64, CardChange)]) -> Vec<Vec<(i64, CardChange)>> {
    let Some((first, rest)) = events.split_first() else { return vec![Vec::new()] };
    let insert = |shorter: Vec<_>| {
        (0..=shorter.len()).map(move |place| {
            let mut longer = shorter.clone();
            longer.insert(place, *first);
            longer
        })
    };
    orders(rest).into_iter().flat_map(insert).collect()
}

#[test]
fn holds_and_releases_lead_to_the_same_in_any_order() {
    let events = [
        (1, CardChange::Held { at: hour(1) }),
        (2, CardChange::Released { at: hour(2) }),
        (4, CardChange::Held { at: hour(4) }),
        (5, CardChange::RecordError { at: hour(5) }),
    ];
    for events in orders(&events[..3]) {
        assert_eq!(told(&events).last_sequence, Some(4), "{events:?}");
        // Since when it is held depends on which hold was heard of first, if the release between came late.
        assert!(matches!(told(&events).standing, CardStanding::Held { since } if since >= hour(1)), "{events:?}");
    }
    for events in orders(&events[..2]) {
        assert_eq!(told(&events), CardRecord { standing: CardStanding::Good, last_sequence: Some(2) }, "{events:?}");
    }
    let end = CardStanding::Ended(Revocation::new(hour(5), Reason::Unspecified));
    for events in orders(&events) {
        assert_eq!(told(&events).standing, end, "{events:?}");
    }
}

#[test]
fn an_ending_counts_however_late_and_nothing_ends_it() {
    for change in card_changes() {
        let ending = told(&[(9, CardChange::Released { at: hour(0) }), (3, change)]);
        let ends = !matches!(change.kind(), CardChangeKind::Held | CardChangeKind::Released | CardChangeKind::Expired);
        assert_eq!(matches!(ending.standing, CardStanding::Ended(_)), ends, "{change:?}");
        if !ends {
            assert_eq!(ending.standing, CardStanding::Good);
            continue;
        }
        for later in card_changes() {
            assert_eq!(ending.after(&later, 10, SIGNATURE).standing, ending.standing, "{later:?}");
        }
    }
}

#[test]
fn the_same_hold_again_or_an_older_one_has_no_effect() {
    let held = CardChange::Held { at: hour(1) };
    let record = told(&[(5, held)]);
    assert!(!record.counts(&held, 5) && !record.counts(&CardChange::Released { at: hour(2) }, 4));
    assert!(record.counts(&CardChange::Released { at: hour(2) }, 6));
    assert_eq!(record.after(&CardChange::Held { at: hour(3) }, 7, SIGNATURE).standing, record.standing);
    // What is no hold and no release always counts, and does not overtake a hold.
    assert!(record.counts(&CardChange::RecordChanged { at: hour(0) }, 0));
    let changed = CardRecord::NEW.after(&CardChange::RecordChanged { at: hour(2) }, 6, None);
    assert_eq!(changed, CardRecord::NEW);
    assert!(changed.counts(&held, 5));
}

#[test]
fn a_change_of_the_record_ends_a_signature_card_certificate_and_no_other() {
    let change = CardChange::RecordChanged { at: hour(1) };
    let ended = CardStanding::Ended(Revocation::new(hour(1), Reason::AffiliationChanged));
    assert_eq!(CardRecord::NEW.after(&change, 1, SIGNATURE).standing, ended);
    for kind in [None, Some(CertificateKind::Authentication)] {
        assert_eq!(CardRecord::NEW.after(&change, 1, kind).standing, CardStanding::Good);
    }
}

#[test]
fn what_has_ended_holds_nothing_any_more_however_late_its_hold_is_heard_of() {
    let ended = CardRecord::NEW.after(&CardChange::Renewed { at: hour(2) }, 7, SIGNATURE);
    assert!(!ended.counts(&CardChange::Held { at: hour(1) }, 6));
    // But what held on its account until then may be let go.
    assert!(ended.counts(&CardChange::Released { at: hour(1) }, 6));
}

#[test]
fn a_reason_belongs_to_a_revocation_and_to_nothing_else() {
    for kind in CardChangeKind::ALL {
        let with = CardChange::new(kind, Some(Reason::Superseded), hour(0));
        let without = CardChange::new(kind, None, hour(0));
        assert_eq!((with.is_some(), without.is_some()), (kind == CardChangeKind::Revoked, kind != CardChangeKind::Revoked));
        let change = with.or(without).unwrap();
        assert_eq!((change.kind(), change.at()), (kind, hour(0)));
        assert_eq!(CardChange::new(kind, change.reason(), hour(0)), Some(change));
        assert_eq!(CardChange::new(kind, Some(Reason::CertificateHold), hour(0)), None);
    }
}
