//! The back office's memory between runs: one JSON file for what stays (CA keys, TLS, token), one for what moves (cards, events).

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::BackOfficeFault;
use super::events::FeedEvent;
use super::notices::KeptNotice;
use super::registry::{IssuedCard, IssuedCertificate, Registry, Standing};
use super::telling::Telling;
use super::tls::TlsAuthority;
use crate::card_ca::{CardCa, KeptCardCa, Person};
use crate::keys::sha256;
use crate::kind::Kind;
use crate::pem;

/// Made once, at the first start in a directory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Foundation {
    pub(crate) token: String,
    pub(crate) tls: TlsAuthority,
    authorities: Vec<KeptCardCa>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptRegistry {
    happened: Vec<FeedEvent>,
    feed: Vec<usize>,
    push: Vec<usize>,
    pushed: usize,
    notices: Vec<KeptNotice>,
    cards: Vec<KeptCard>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptCard {
    card_id: String,
    holder_id: String,
    person: Person,
    certificates: Vec<KeptCertificate>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptCertificate {
    kind: Kind,
    generation: u32,
    issuer_key_id: String,
    serial: String,
    der: String,
    distribution_point: String,
    sequence: i64,
    standing: Standing,
}

impl Foundation {
    pub(crate) fn new(token: String, tls: TlsAuthority, authorities: &[CardCa]) -> Self {
        Self { token, tls, authorities: authorities.iter().map(CardCa::keep).collect() }
    }

    pub(crate) fn authorities(&self) -> Result<Vec<CardCa>, BackOfficeFault> {
        Ok(self.authorities.iter().map(CardCa::from_kept).collect::<Result<_, _>>()?)
    }

    pub(crate) fn keep(&self, path: &Path) -> Result<(), BackOfficeFault> {
        write_whole(path, self)
    }
}

/// Reads a kept file; `None` if it is not there.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, BackOfficeFault> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| BackOfficeFault::Kept(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BackOfficeFault::Kept(error.to_string())),
    }
}

/// Writes the registry whole, so that a stopped process leaves either the old or the new state.
pub(crate) fn keep(path: &Path, registry: &Registry) -> Result<(), BackOfficeFault> {
    let cards = registry.cards.iter().map(|card| KeptCard {
        card_id: card.card_id.clone(),
        holder_id: card.holder_id.clone(),
        person: card.person.clone(),
        certificates: card.certificates.iter().map(keep_certificate).collect(),
    });
    let telling = &registry.telling;
    let kept = KeptRegistry {
        happened: telling.happened.clone(),
        feed: telling.feed.clone(),
        push: telling.push.clone(),
        pushed: telling.pushed,
        notices: registry.notices.clone(),
        cards: cards.collect(),
    };
    write_whole(path, &kept)
}

/// Reads the registry; an empty one if there is no file.
pub(crate) fn read_registry(path: &Path) -> Result<Registry, BackOfficeFault> {
    let mut registry = Registry::default();
    let Some(kept) = read::<KeptRegistry>(path)? else { return Ok(registry) };
    for card in kept.cards {
        let certificates = card.certificates.into_iter().map(restore_certificate).collect::<Option<Vec<_>>>();
        let certificates = certificates.ok_or_else(|| BackOfficeFault::Kept("a certificate".to_owned()))?;
        registry.add(IssuedCard { card_id: card.card_id, holder_id: card.holder_id, person: card.person, certificates });
    }
    registry.telling = Telling::restored(kept.happened, kept.feed, kept.push, kept.pushed);
    for notice in kept.notices {
        registry.restore_notice(notice);
    }
    Ok(registry)
}

fn keep_certificate(certificate: &IssuedCertificate) -> KeptCertificate {
    KeptCertificate {
        kind: certificate.kind,
        generation: certificate.generation,
        issuer_key_id: hex::encode(certificate.issuer_key_id),
        serial: hex::encode(certificate.serial),
        der: STANDARD.encode(&certificate.der),
        distribution_point: STANDARD.encode(&certificate.distribution_point),
        sequence: certificate.sequence,
        standing: certificate.standing,
    }
}

fn restore_certificate(kept: KeptCertificate) -> Option<IssuedCertificate> {
    let der = STANDARD.decode(&kept.der).ok()?;
    Some(IssuedCertificate {
        kind: kept.kind,
        generation: kept.generation,
        issuer_key_id: hex::decode(&kept.issuer_key_id).ok()?.try_into().ok()?,
        serial: hex::decode(&kept.serial).ok()?.try_into().ok()?,
        sha256: sha256(&der),
        der,
        distribution_point: STANDARD.decode(&kept.distribution_point).ok()?,
        sequence: kept.sequence,
        standing: kept.standing,
        answers: Vec::new(),
    })
}

fn write_whole(path: &Path, content: &impl Serialize) -> Result<(), BackOfficeFault> {
    let json = serde_json::to_vec(content).map_err(|error| BackOfficeFault::Kept(error.to_string()))?;
    let new = path.with_extension("new");
    pem::write_secret(&new, json)?;
    fs::rename(&new, path).map_err(|error| BackOfficeFault::Kept(error.to_string()))
}
