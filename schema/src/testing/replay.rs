//! Replaying the events: what the certificates' states must be if the events are all that happened.

use std::collections::BTreeMap;

use ca_core::lifecycle::{self, Change, Holds, State};
use ca_core::revocation::Revocation;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

use crate::certificate::{CertificateFilter, CertificateId, CertificateState};
use crate::event::{Event, EventKind, EventPosition};
use crate::reader::Reader;

/// The certificates' states as their events alone tell them. Panics where an event tells of a change that cannot have been one.
pub fn replayed(reader: &Reader) -> BTreeMap<CertificateId, State> {
    let mut states = BTreeMap::new();
    let mut after = EventPosition(0);
    loop {
        let events = reader.events_after(after, 1_000).expect("events");
        let Some(last) = events.last() else { return states };
        after = last.position;
        for event in &events {
            let Some(id) = event.certificate else { continue };
            if event.kind == EventKind::CertificateIssued {
                assert_eq!(states.insert(id, State::Live), None, "issued twice");
            } else if let Some(change) = change(event) {
                let state = states.get_mut(&id).expect("a certificate that was issued");
                let before = *state;
                *state = lifecycle::apply(before, &change);
                assert_ne!(before, *state, "an event of no change: {event:?}");
            }
        }
    }
}

/// The certificates' states as they are stored.
pub fn stored(reader: &Reader) -> BTreeMap<CertificateId, State> {
    let mut states = BTreeMap::new();
    let mut after = None;
    loop {
        let page = reader.list_certificates(&CertificateFilter::default(), after, 1_000).expect("certificates");
        let Some(last) = page.last() else { return states };
        after = Some(last.id);
        for summary in &page {
            let causes = reader.holds(summary.id).expect("holds").iter().map(|hold| hold.cause).collect();
            let state = match (summary.state, summary.revocation) {
                (CertificateState::Live, None) => State::Live,
                (CertificateState::Held, Some(revocation)) => State::Held(Holds::new(revocation.at, causes).expect("a cause")),
                (CertificateState::Revoked, Some(revocation)) => State::Ended(revocation),
                (CertificateState::Expired, None) => State::Expired,
                contradiction => panic!("{contradiction:?}"),
            };
            states.insert(summary.id, state);
        }
    }
}

fn change(event: &Event) -> Option<Change> {
    Some(match event.kind {
        EventKind::CertificateHeld => Change::Held { cause: read(event, "cause"), at: read::<DateTime<Utc>>(event, "effective_at") },
        EventKind::CertificateHoldAdded => Change::HoldAdded { cause: read(event, "cause") },
        EventKind::CertificateHoldLifted => Change::HoldLifted { cause: read(event, "cause") },
        EventKind::CertificateReleased => Change::Released { cause: read(event, "cause") },
        EventKind::CertificateRevoked => Change::Revoked(Revocation {
            at: read(event, "effective_at"),
            reason: read(event, "reason"),
            invalidity: read(event, "invalidity"),
        }),
        EventKind::CertificateExpired => Change::Expired,
        _ => return None,
    })
}

fn read<T: DeserializeOwned>(event: &Event, key: &str) -> T {
    serde_json::from_value(event.data[key].clone()).unwrap_or_else(|error| panic!("{key} of {event:?}: {error}"))
}
