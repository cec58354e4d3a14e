//! What the back office knows: cards, what happened to them, whom that was told, and what was already signed about them.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::events::{CardEvent, CardEventType, EventScope};
use super::notices::{KeptNotice, Notice};
use super::telling::Telling;
use crate::card_ca::Person;
use crate::card_status::{CardStatus, RevokedCertificate};
use crate::kind::Kind;
use crate::reason::Reason;

/// A card handed out.
#[derive(Debug, Clone)]
pub(crate) struct IssuedCard {
    pub(crate) card_id: String,
    pub(crate) holder_id: String,
    pub(crate) person: Person,
    /// All it ever had; of each kind the last one is what it has now.
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
    pub(crate) standing: Standing,
    /// OCSP answers without nonce, signed earlier; dropped when the status changes.
    pub(crate) answers: Vec<SignedAnswer>,
}

/// How a card certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    Good,
    Held { since: DateTime<Utc> },
    Ended { at: DateTime<Utc>, reason: Reason },
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

/// Something that happens to one certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Happening {
    pub(crate) event_type: CardEventType,
    /// Told with `revoked` only.
    pub(crate) reason: Option<Reason>,
    /// How the certificate stands after it.
    pub(crate) standing: Standing,
    pub(crate) at: DateTime<Utc>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) cards: Vec<IssuedCard>,
    pub(crate) telling: Telling,
    pub(crate) notices: Vec<KeptNotice>,
    by_notice_id: HashMap<String, usize>,
    pub(crate) partitions: HashMap<(Kind, String), Partition>,
    pub(crate) last_crl_number: u64,
    by_card_id: HashMap<String, usize>,
    by_certificate: HashMap<([u8; 20], Vec<u8>), (usize, usize)>,
    serials: HashSet<(Kind, [u8; 4])>,
}

impl Registry {
    /// Takes a serial number of a kind; `false` if it is taken. Unique per issuer name, not per key.
    pub(crate) fn reserve(&mut self, kind: Kind, serial: [u8; 4]) -> bool {
        self.serials.insert((kind, serial))
    }

    pub(crate) fn add(&mut self, mut card: IssuedCard) {
        let index = self.cards.len();
        self.by_card_id.insert(card.card_id.clone(), index);
        let certificates = std::mem::take(&mut card.certificates);
        self.cards.push(card);
        for certificate in certificates {
            self.add_certificate(index, certificate);
        }
    }

    /// Puts another certificate on a card.
    pub(crate) fn add_certificate(&mut self, card: usize, certificate: IssuedCertificate) {
        self.serials.insert((certificate.kind, certificate.serial));
        let partition = self.partitions.entry(certificate.partition()).or_insert_with(|| Partition {
            kind: certificate.kind,
            generation: certificate.generation,
            name: certificate.distribution_point.clone(),
            revoked: BTreeMap::new(),
            signed: None,
        });
        if let Some(entry) = certificate.crl_entry() {
            partition.revoked.insert(certificate.serial.to_vec(), entry);
        }
        if let Some(card_entry) = self.cards.get_mut(card) {
            let key = (certificate.issuer_key_id, certificate.serial.to_vec());
            self.by_certificate.insert(key, (card, card_entry.certificates.len()));
            card_entry.certificates.push(certificate);
        }
    }

    /// Where a card is among [`Self::cards`].
    pub(crate) fn place(&self, card_id: &str) -> Option<usize> {
        self.by_card_id.get(card_id).copied()
    }

    pub(crate) fn certificate(&self, issuer_key_id: &[u8], serial: &[u8]) -> Option<(&IssuedCard, &IssuedCertificate)> {
        let (card, side) = self.place_of_certificate(issuer_key_id, serial)?;
        let card = self.cards.get(card)?;
        Some((card, card.certificates.get(side)?))
    }

    pub(crate) fn certificate_mut(&mut self, issuer_key_id: &[u8], serial: &[u8]) -> Option<&mut IssuedCertificate> {
        let (card, side) = self.place_of_certificate(issuer_key_id, serial)?;
        self.cards.get_mut(card)?.certificates.get_mut(side)
    }

    /// Changes how certificates of a card stand and gives the events of it, not yet told. `decide` says what happens to a
    /// certificate, `None` if nothing does; what has ended is not asked about.
    pub(crate) fn change(&mut self, card: usize, decide: impl Fn(&IssuedCertificate) -> Option<Happening>) -> Vec<CardEvent> {
        let Some(card) = self.cards.get_mut(card) else { return Vec::new() };
        let mut events = Vec::new();
        for certificate in &mut card.certificates {
            if matches!(certificate.standing, Standing::Ended { .. }) {
                continue;
            }
            let Some(happening) = decide(certificate) else { continue };
            certificate.sequence += 1;
            if certificate.standing != happening.standing {
                certificate.standing = happening.standing;
                certificate.answers.clear();
                if let Some(partition) = self.partitions.get_mut(&certificate.partition()) {
                    match certificate.crl_entry() {
                        Some(entry) => partition.revoked.insert(certificate.serial.to_vec(), entry),
                        None => partition.revoked.remove(certificate.serial.as_slice()),
                    };
                    partition.signed = None;
                }
            }
            events.push(certificate.event(happening));
        }
        events
    }

    /// Keeps a notice, or notes that it came again.
    pub(crate) fn keep_notice(&mut self, notice: Notice) {
        let known = self.by_notice_id.get(&notice.notice_id).and_then(|place| self.notices.get_mut(*place));
        if let Some(kept) = known {
            kept.deliveries += 1;
            kept.contradicted |= kept.notice != notice;
        } else {
            self.restore_notice(KeptNotice { notice, deliveries: 1, contradicted: false });
        }
    }

    pub(crate) fn restore_notice(&mut self, kept: KeptNotice) {
        self.by_notice_id.insert(kept.notice.notice_id.clone(), self.notices.len());
        self.notices.push(kept);
    }

    /// The next CRL number: rising within a run, and over runs because it is never behind the clock in milliseconds.
    pub(crate) fn next_crl_number(&mut self, now: DateTime<Utc>) -> u64 {
        self.last_crl_number = (self.last_crl_number + 1).max(u64::try_from(now.timestamp_millis()).unwrap_or(0));
        self.last_crl_number
    }

    fn place_of_certificate(&self, issuer_key_id: &[u8], serial: &[u8]) -> Option<(usize, usize)> {
        // Whoever writes an INTEGER may put a zero before it.
        let serial: Vec<u8> = serial.iter().copied().skip_while(|octet| *octet == 0).collect();
        self.by_certificate.get(&(<[u8; 20]>::try_from(issuer_key_id).ok()?, serial)).copied()
    }
}

impl IssuedCard {
    /// The certificate of a kind that it has now.
    pub(crate) fn current(&self, kind: Kind) -> Option<&IssuedCertificate> {
        self.certificates.iter().rfind(|certificate| certificate.kind == kind)
    }
}

impl IssuedCertificate {
    pub(crate) fn status(&self) -> CardStatus {
        match self.standing {
            Standing::Good => CardStatus::Good,
            Standing::Held { since } => CardStatus::Revoked { at: since, reason: Reason::CertificateHold },
            Standing::Ended { at, reason } => CardStatus::Revoked { at, reason },
        }
    }

    /// The narrowest scope that holds it.
    pub(crate) fn scope(&self) -> EventScope {
        EventScope {
            issuer_key_id: hex::encode(self.issuer_key_id),
            distribution_point_sha256: Some(hex::encode(crate::keys::sha256(&self.distribution_point))),
        }
    }

    fn partition(&self) -> (Kind, String) {
        (self.kind, hex::encode(crate::keys::sha256(&self.distribution_point)))
    }

    fn crl_entry(&self) -> Option<RevokedCertificate> {
        match self.status() {
            CardStatus::Revoked { at, reason } => Some(RevokedCertificate { serial: self.serial.to_vec(), at, reason }),
            CardStatus::Good | CardStatus::Unknown => None,
        }
    }

    fn event(&self, happening: Happening) -> CardEvent {
        CardEvent {
            event_id: format!("{}-{}", hex::encode(&self.sha256[..16]), self.sequence),
            issuer_key_id: hex::encode(self.issuer_key_id),
            serial: hex::encode(self.serial),
            sequence: self.sequence,
            event_type: happening.event_type.as_str().to_owned(),
            reason: happening.reason,
            occurred_at: happening.at,
        }
    }
}
