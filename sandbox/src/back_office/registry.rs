//! What the back office knows: cards, events and what was already signed about them.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::wire::CardEvent;
use crate::card_status::{CardStatus, RevokedCertificate};
use crate::kind::Kind;
use crate::reason::Reason;

/// A card handed out.
#[derive(Debug, Clone)]
pub(crate) struct IssuedCard {
    pub(crate) card_id: String,
    pub(crate) holder_id: String,
    pub(crate) certificates: Vec<IssuedCertificate>,
}

/// A certificate on a card.
#[derive(Debug, Clone)]
pub(crate) struct IssuedCertificate {
    pub(crate) kind: Kind,
    pub(crate) generation: u32,
    pub(crate) issuer_key_id: [u8; 20],
    pub(crate) serial: [u8; 4],
    pub(crate) der: Vec<u8>,
    pub(crate) sha256: [u8; 32],
    pub(crate) distribution_point: Vec<u8>,
    pub(crate) sequence: i64,
    pub(crate) revoked: Option<(DateTime<Utc>, Reason)>,
    /// OCSP answers without nonce, signed earlier; dropped when the status changes.
    pub(crate) answers: Vec<SignedAnswer>,
}

/// An OCSP answer kept for the next who asks with the same CertID.
#[derive(Debug, Clone)]
pub(crate) struct SignedAnswer {
    pub(crate) cert_id: Vec<u8>,
    pub(crate) produced_at: DateTime<Utc>,
    pub(crate) der: Vec<u8>,
}

/// A municipality's CRL of one CA key.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    pub(crate) kind: Kind,
    pub(crate) generation: u32,
    pub(crate) name: Vec<u8>,
    pub(crate) revoked: BTreeMap<Vec<u8>, RevokedCertificate>,
    /// The CRL as last signed, until something changes.
    pub(crate) signed: Option<(DateTime<Utc>, Vec<u8>)>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) cards: Vec<IssuedCard>,
    pub(crate) events: Vec<CardEvent>,
    pub(crate) partitions: HashMap<(Kind, String), Partition>,
    pub(crate) last_crl_number: u64,
    /// How many events the operators' listener has acknowledged.
    pub(crate) pushed: usize,
    by_card_id: HashMap<String, usize>,
    by_certificate: HashMap<([u8; 20], Vec<u8>), (usize, usize)>,
    serials: HashSet<(Kind, [u8; 4])>,
}

impl Registry {
    /// Takes a serial number of a kind; `false` if it is taken. Unique per issuer name, not per key.
    pub(crate) fn reserve(&mut self, kind: Kind, serial: [u8; 4]) -> bool {
        self.serials.insert((kind, serial))
    }

    pub(crate) fn add(&mut self, card: IssuedCard) {
        let index = self.cards.len();
        self.by_card_id.insert(card.card_id.clone(), index);
        for (side, certificate) in card.certificates.iter().enumerate() {
            self.serials.insert((certificate.kind, certificate.serial));
            self.by_certificate.insert((certificate.issuer_key_id, certificate.serial.to_vec()), (index, side));
            let key = (certificate.kind, hex::encode(crate::keys::sha256(&certificate.distribution_point)));
            let partition = self.partitions.entry(key).or_insert_with(|| Partition {
                kind: certificate.kind,
                generation: certificate.generation,
                name: certificate.distribution_point.clone(),
                revoked: BTreeMap::new(),
                signed: None,
            });
            if let Some((at, reason)) = certificate.revoked {
                let entry = RevokedCertificate { serial: certificate.serial.to_vec(), at, reason };
                partition.revoked.insert(certificate.serial.to_vec(), entry);
            }
        }
        self.cards.push(card);
    }

    pub(crate) fn certificate(&self, issuer_key_id: &[u8], serial: &[u8]) -> Option<(&IssuedCard, &IssuedCertificate)> {
        let key = (<[u8; 20]>::try_from(issuer_key_id).ok()?, serial.to_vec());
        let (card, side) = self.by_certificate.get(&key)?;
        let card = self.cards.get(*card)?;
        Some((card, card.certificates.get(*side)?))
    }

    pub(crate) fn certificate_mut(&mut self, issuer_key_id: &[u8], serial: &[u8]) -> Option<&mut IssuedCertificate> {
        let key = (<[u8; 20]>::try_from(issuer_key_id).ok()?, serial.to_vec());
        let (card, side) = self.by_certificate.get(&key)?;
        self.cards.get_mut(*card)?.certificates.get_mut(*side)
    }

    /// Revokes certificates of a card and tells what is new; what is revoked already stays as it is. `None`: no such card.
    pub(crate) fn revoke(&mut self, card_id: &str, kinds: &[Kind], reason: Reason, at: DateTime<Utc>) -> Option<Vec<CardEvent>> {
        let card = self.cards.get_mut(*self.by_card_id.get(card_id)?)?;
        let mut new = Vec::new();
        for certificate in card.certificates.iter_mut().filter(|certificate| kinds.contains(&certificate.kind)) {
            if certificate.revoked.is_some() {
                continue;
            }
            certificate.revoked = Some((at, reason));
            certificate.answers.clear();
            certificate.sequence += 1;
            let entry = RevokedCertificate { serial: certificate.serial.to_vec(), at, reason };
            let key = (certificate.kind, hex::encode(crate::keys::sha256(&certificate.distribution_point)));
            if let Some(partition) = self.partitions.get_mut(&key) {
                partition.revoked.insert(certificate.serial.to_vec(), entry);
                partition.signed = None;
            }
            new.push(CardEvent {
                event_id: format!("{}-{}", hex::encode(&certificate.sha256[..16]), certificate.sequence),
                issuer_key_id: hex::encode(certificate.issuer_key_id),
                serial: hex::encode(certificate.serial),
                sequence: certificate.sequence,
                event_type: "revoked".to_owned(),
                reason,
                occurred_at: at,
            });
        }
        self.events.extend(new.iter().cloned());
        Some(new)
    }

    /// The next CRL number: rising within a run, and over runs because it is never behind the clock in milliseconds.
    pub(crate) fn next_crl_number(&mut self, now: DateTime<Utc>) -> u64 {
        self.last_crl_number = (self.last_crl_number + 1).max(u64::try_from(now.timestamp_millis()).unwrap_or(0));
        self.last_crl_number
    }
}

impl IssuedCertificate {
    pub(crate) fn status(&self) -> CardStatus {
        self.revoked.map_or(CardStatus::Good, |(at, reason)| CardStatus::Revoked { at, reason })
    }
}
