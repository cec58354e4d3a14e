//! What must be true after every step: store, events, OCSP and CRL say what the model says, and nothing revoked lives again.

use std::collections::{BTreeMap, BTreeSet};

use ca_core::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use ocsp::{OcspService, OcspSettings};
use sandbox::card_status::CertIdHash;
use sandbox::kind::Kind;
use sandbox::relying_party::{Status, ocsp_request, verify_crl_at, verify_ocsp_at};
use schema::Event;
use schema::certificate::{CertificateState, CertificateSummary};
use schema::testing::latest_crl_der;

use super::cards::Standing;
use super::rules::{Cause, Life};
use super::world::World;
use crate::rooms::Ca;

/// A responder for this process's CA keys.
pub(crate) fn responder(ca: &Ca) -> OcspService {
    let keys = ca.appoint_responders(TimeDelta::days(30));
    OcspService::new(OcspSettings::default(), ca.database.reader(), keys, ca.clock.clone() as std::sync::Arc<dyn Clock>).unwrap()
}

const CAUSES: [Cause; 3] = [Cause::CardHeld, Cause::PhoneLost, Cause::Operator];

impl World<'_, '_> {
    /// Holds everything against the model.
    pub(crate) fn agrees(&mut self, step: &str) {
        self.events_are_those_of_the_changes(step);
        self.store_agrees(step);
        self.cards_agree(step);
        self.ocsp_agrees(step);
        self.crl_agrees(step);
    }

    fn events_are_those_of_the_changes(&mut self, step: &str) {
        let events = self.rooms.events_after(self.position);
        self.position = events.last().map_or(self.position, |event| event.position);
        let mut told = Vec::new();
        for event in events.iter().filter(|event| event.certificate.is_some()) {
            let place = self.certificates.iter().position(|known| Some(known.id) == event.certificate);
            let place = place.unwrap_or_else(|| panic!("{step}: an event of a certificate that the model does not know: {event:?}"));
            let word = |key: &str| event.data[key].as_str().unwrap_or_default().to_owned();
            told.push((place, event.kind.as_str(), [word("cause"), word("reason")].concat()));
            let replayed = &mut self.certificates[place].replayed;
            *replayed = replay(replayed, event, step);
        }
        let mut expected: Vec<_> = self.told.drain(..).map(|(place, kind, detail)| (place, kind, detail.to_owned())).collect();
        expected.sort();
        told.sort();
        assert_eq!(told, expected, "{step}: events and changes are not one to one");
        for certificate in &self.certificates {
            assert_eq!(certificate.replayed, certificate.life, "{step}: {} after replaying its events", certificate.serial);
        }
    }

    fn store_agrees(&mut self, step: &str) {
        let mut standing = BTreeSet::new();
        for holder in 0..2 {
            for summary in self.rooms.certificates(&self.cards[2 * holder].card) {
                let life = self.stored(&summary);
                let certificate = self.certificates.iter_mut().find(|known| known.id == summary.id);
                let certificate = certificate.unwrap_or_else(|| panic!("{step}: a certificate from nowhere: {summary:?}"));
                assert_eq!(life, certificate.life, "{step}: {} in the store", certificate.serial);
                if matches!(life, Life::Live | Life::Held { .. }) {
                    assert!(!certificate.has_ended, "{step}: what had ended lives again");
                    assert!(standing.insert((holder, certificate.kind)), "{step}: two of a kind live");
                } else {
                    certificate.has_ended = true;
                }
            }
        }
    }

    fn stored(&self, summary: &CertificateSummary) -> Life {
        let holds = self.rooms.reader.holds(summary.id).unwrap();
        let cause = |word: String| CAUSES.into_iter().find(|cause| cause.as_str() == word).unwrap();
        let causes: BTreeSet<Cause> = holds.iter().map(|hold| cause(hold.cause.to_string())).collect();
        assert_eq!(causes.is_empty(), summary.state != CertificateState::Held);
        match (summary.state, summary.revocation) {
            (CertificateState::Live, None) => Life::Live,
            (CertificateState::Held, Some(revocation)) => Life::Held { since: revocation.at, causes },
            (CertificateState::Revoked, Some(revocation)) => {
                Life::Ended { at: revocation.at, reason: revocation.reason.as_str().parse().unwrap() }
            }
            (CertificateState::Expired, None) => Life::Expired,
            contradiction => panic!("{contradiction:?}"),
        }
    }

    fn cards_agree(&self, step: &str) {
        use schema::card::CardStanding;
        for half in self.halves.iter().filter(|half| half.heard_at.is_some()) {
            let (issuer, serial) = crate::events::identity(&half.side);
            let record = self.rooms.reader.card_record(&issuer, &serial).unwrap();
            let record = record.unwrap_or_else(|| panic!("{step}: a card certificate that was heard of is not known"));
            let agrees = match (record.standing, half.known) {
                (CardStanding::Good, Standing::Good) | (CardStanding::Held { .. }, Standing::Held) => true,
                (CardStanding::Ended(revocation), Standing::Ended(reason)) => revocation.reason.as_str() == reason.as_str(),
                _ => false,
            };
            assert!(agrees, "{step}: {:?} of holder {}: {record:?}, and not {:?}", half.kind, half.holder, half.known);
        }
    }

    fn ocsp_agrees(&self, step: &str) {
        for certificate in &self.certificates {
            let issuer = self.issuer(certificate.kind);
            let request = ocsp_request(&certificate.der, &issuer, CertIdHash::Sha256, None).unwrap();
            let reply = self.ocsp.reply(&request);
            let answer = verify_ocsp_at(&reply.der, &request, (&certificate.der, &issuer), CertIdHash::Sha256, None, self.now).unwrap();
            let expected = match told(&certificate.life) {
                None => Status::Good,
                Some((at, reason)) => Status::Revoked { at, reason },
            };
            assert_eq!(answer.status, expected, "{step}: OCSP of {}", certificate.serial);
        }
    }

    /// Lists that are due now are published, and all in force say the same; of what is past its end they may say nothing any more.
    fn crl_agrees(&self, step: &str) {
        for published in self.ca.publisher().run_once(Some(&self.ca.lease())).unwrap() {
            published.unwrap_or_else(|fault| panic!("{step}: {fault}"));
        }
        let mut lists = BTreeMap::new();
        for ca_key in self.rooms.reader.ca_keys().unwrap() {
            let kind: Kind = ca_key.kind().as_str().parse().unwrap();
            lists.insert(kind, latest_crl_der(&self.rooms.reader, ca_key.id(), 0).unwrap());
        }
        for certificate in &self.certificates {
            let answer = verify_crl_at(&lists[&certificate.kind], &certificate.der, &self.issuer(certificate.kind), self.now).unwrap();
            let (found, expected) = (answer.entry.map(|entry| (entry.at, entry.reason)), told(&certificate.life));
            let may_be_gone = certificate.not_after < self.now && found.is_none();
            assert!(found == expected || may_be_gone, "{step}: the CRL says {found:?} of {}, and not {expected:?}", certificate.serial);
        }
    }

    fn issuer(&self, kind: Kind) -> Vec<u8> {
        let keys = self.rooms.reader.ca_keys().unwrap();
        keys.iter().find(|key| key.kind().as_str() == kind.as_str()).unwrap().certificate_der().to_vec()
    }
}

/// What relying parties are told.
fn told(life: &Life) -> Option<(DateTime<Utc>, sandbox::reason::Reason)> {
    match life {
        Life::Live | Life::Expired => None,
        Life::Held { since, .. } => Some((*since, sandbox::reason::Reason::CertificateHold)),
        Life::Ended { at, reason } => Some((*at, *reason)),
    }
}

/// What a certificate is after an event, going by the event alone.
fn replay(before: &Life, event: &Event, step: &str) -> Life {
    let at = || serde_json::from_value(event.data["effective_at"].clone()).unwrap();
    let word = |key: &str| event.data[key].as_str().unwrap_or_else(|| panic!("{step}: no {key} in {event:?}"));
    let cause = || CAUSES.into_iter().find(|cause| cause.as_str() == word("cause")).unwrap();
    let mut causes = match before {
        Life::Held { causes, .. } => causes.clone(),
        _ => BTreeSet::new(),
    };
    match (event.kind.as_str(), before) {
        ("certificate.issued", Life::Live) => Life::Live,
        ("certificate.held", Life::Live) => Life::Held { since: at(), causes: [cause()].into() },
        ("certificate.hold_added", Life::Held { since, .. }) => {
            assert!(causes.insert(cause()), "{step}: {event:?}");
            Life::Held { since: *since, causes }
        }
        ("certificate.hold_lifted", Life::Held { since, .. }) => {
            assert!(causes.remove(&cause()) && !causes.is_empty(), "{step}: {event:?}");
            Life::Held { since: *since, causes }
        }
        ("certificate.released", Life::Held { .. }) => {
            assert!(causes.remove(&cause()) && causes.is_empty(), "{step}: {event:?}");
            Life::Live
        }
        ("certificate.revoked", Life::Live | Life::Held { .. }) => Life::Ended { at: at(), reason: word("reason").parse().unwrap() },
        ("certificate.expired", Life::Live) => Life::Expired,
        _ => panic!("{step}: {event:?} of what was {before:?}"),
    }
}
