//! Certificates as they stand against the events: from these alone the same states must follow.

use std::collections::HashMap;

use ca_core::lifecycle::{self, Change, HoldCause, Holds, State};
use ca_core::revocation::Revocation;
use schema::certificate::{CertificateFilter, CertificateId, CertificateState, CertificateSummary};
use schema::examination::KeptCertificate;
use schema::{Event, EventKind, Reader, StoreFault};
use serde::de::DeserializeOwned;

use super::{Findings, bodies};

/// Certificates looked at at a time.
const SOME: u32 = 1_000;

/// What was looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Examined {
    pub(crate) certificates: u64,
    /// Whether the card-signed messages were, too: not everybody may read them.
    pub(crate) with_evidence: bool,
}

/// Looks at every certificate.
pub(super) fn examine(reader: &Reader, findings: &mut Findings, mut progress: impl FnMut(u64)) -> Result<Examined, StoreFault> {
    let (mut after, mut count) = (None, 0);
    let with_evidence = reader.may_read_evidence()?;
    loop {
        let page = reader.list_certificates(&CertificateFilter::default(), after, SOME)?;
        let (Some(first), Some(last)) = (page.first(), page.last()) else {
            return Ok(Examined { certificates: count, with_evidence });
        };
        // First what is kept, then the events: what is purged goes with its events.
        let kept = reader.kept_certificates(first.id, last.id, with_evidence)?;
        let kept: HashMap<CertificateId, KeptCertificate> = kept.into_iter().map(|kept| (kept.id, kept)).collect();
        let mut events: HashMap<CertificateId, Vec<Event>> = HashMap::new();
        reader.events_of_certificates(first.id, last.id, |event| {
            if let Some(id) = event.certificate {
                events.entry(id).or_default().push(event);
            }
        })?;
        for certificate in &page {
            let events = events.remove(&certificate.id).unwrap_or_default();
            if let Some(issued) = events.first().filter(|event| event.kind == EventKind::CertificateIssued && !certificate.is_test) {
                let complaint = match kept.get(&certificate.id) {
                    Some(kept) => bodies::complaint(kept, issued, with_evidence),
                    None => Some("the certificate itself or its application is gone"),
                };
                if let Some(complaint) = complaint {
                    let words = format!("{complaint}: see event {}", issued.position.0);
                    findings.add(format!("certificate {}", certificate.id.0), None, "certificate_body", words);
                }
            }
            if examine_one(reader, certificate, &events)?.is_some()
                && let Some(complaint) = examine_again(reader, certificate.id)?
            {
                findings.add(format!("certificate {}", certificate.id.0), None, "certificate_state", complaint);
            }
        }
        count += page.len() as u64;
        after = Some(last.id);
        progress(count);
    }
}

/// The same of one certificate, whose row and events may have been read before and after a change: again and again, until nothing has
/// changed while it was looked at.
fn examine_again(reader: &Reader, id: CertificateId) -> Result<Option<String>, StoreFault> {
    let before = Some(CertificateId(id.0 - 1));
    let look = || -> Result<_, StoreFault> {
        let mut events = Vec::new();
        reader.events_of_certificates(id, id, |event| events.push(event))?;
        let row = reader.list_certificates(&CertificateFilter::default(), before, 1)?.pop().filter(|row| row.id == id);
        Ok((row, events))
    };
    let (mut row, mut events) = look()?;
    loop {
        // What is gone meanwhile was purged, which is judged by the leaves.
        let complaint = row.as_ref().map_or(Ok(None), |row| examine_one(reader, row, &events))?;
        let now = look()?;
        if complaint.is_none() || (&row, &events) == (&now.0, &now.1) {
            return Ok(complaint);
        }
        (row, events) = now;
    }
}

/// What is wrong with a certificate. One of which nothing is kept any more has no events.
fn examine_one(reader: &Reader, certificate: &CertificateSummary, events: &[Event]) -> Result<Option<String>, StoreFault> {
    let Some((issued, later)) = events.split_first() else {
        let kept = reader.is_certificate_kept(certificate.id)?;
        return Ok(kept.then(|| "no event tells of it".to_owned()));
    };
    let stored = match state_of(reader, certificate)? {
        Some(stored) => stored,
        None => return Ok(Some("its state contradicts itself".to_owned())),
    };
    if issued.kind != EventKind::CertificateIssued {
        return Ok(Some(format!("its first event, {}, is not its issuance", issued.position.0)));
    }
    if issued.data["serial"].as_str() != Some(certificate.serial.to_string().as_str()) {
        return Ok(Some(format!("its serial number is not that of event {}", issued.position.0)));
    }
    let mut state = State::Live;
    for event in later {
        if event.kind == EventKind::CertificateIssued {
            return Ok(Some(format!("event {} issues it a second time", event.position.0)));
        }
        match change(event) {
            Some(Ok(change)) => state = lifecycle::apply(state, &change),
            Some(Err(())) => return Ok(Some(format!("event {} does not tell what changed", event.position.0))),
            None => {}
        }
    }
    Ok((state != stored).then(|| format!("it is stored as {}, and by its events is {}", word(&stored), word(&state))))
}

fn word(state: &State) -> String {
    match state {
        State::Live => "live".to_owned(),
        State::Held(holds) => {
            let causes: Vec<&str> = holds.causes().iter().map(HoldCause::as_str).collect();
            format!("held (since {}, cause {})", crate::output::time(holds.since()), causes.join(", "))
        }
        State::Ended(revocation) => format!("revoked ({}, {})", revocation.reason, crate::output::time(revocation.at)),
        State::Expired => "expired".to_owned(),
    }
}

fn state_of(reader: &Reader, certificate: &CertificateSummary) -> Result<Option<State>, StoreFault> {
    Ok(match (certificate.state, certificate.revocation) {
        (CertificateState::Live, None) => Some(State::Live),
        (CertificateState::Held, Some(revocation)) => {
            let causes = reader.holds(certificate.id)?.iter().map(|hold| hold.cause).collect();
            Holds::new(revocation.at, causes).map(State::Held)
        }
        (CertificateState::Revoked, Some(revocation)) => Some(State::Ended(revocation)),
        (CertificateState::Expired, None) => Some(State::Expired),
        _ => None,
    })
}

/// The change that an event tells of: `None` if of none, an error if it does not say which.
fn change(event: &Event) -> Option<Result<Change, ()>> {
    let change = match event.kind {
        EventKind::CertificateHeld => read(event, "cause").and_then(|cause| Ok(Change::Held { cause, at: read(event, "effective_at")? })),
        EventKind::CertificateHoldAdded => read(event, "cause").map(|cause| Change::HoldAdded { cause }),
        EventKind::CertificateHoldLifted => read(event, "cause").map(|cause| Change::HoldLifted { cause }),
        EventKind::CertificateReleased => read(event, "cause").map(|cause| Change::Released { cause }),
        EventKind::CertificateRevoked => read(event, "effective_at")
            .and_then(|at| Ok(Change::Revoked(Revocation { at, reason: read(event, "reason")?, invalidity: read(event, "invalidity")? }))),
        EventKind::CertificateExpired => Ok(Change::Expired),
        _ => return None,
    };
    Some(change)
}

fn read<T: DeserializeOwned>(event: &Event, key: &str) -> Result<T, ()> {
    serde_json::from_value(event.data[key].clone()).map_err(|_| ())
}
