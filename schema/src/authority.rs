//! CA keys and their OCSP responders' certificates.

use ca_core::digest::Sha256Digest;
use ca_core::issuance::SignedCertificate;
use ca_core::issuer::{CaKey, CaKeyId, CaUrls};
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};
use crate::transaction::Transaction;

/// A CA key to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCaKey {
    /// What it issues.
    pub kind: CertificateKind,
    /// Which of the issuer's keys, counted from 1.
    pub generation: u32,
    /// Its certificate in DER.
    pub certificate: Vec<u8>,
    /// Where relying parties find what belongs to it.
    pub urls: CaUrls,
}

/// A responder certificate to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResponder {
    /// The key that signed it, and for which it answers.
    pub ca_key: CaKeyId,
    /// Its serial number, whose intent is on record.
    pub serial: SerialNumber,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// The SHA-256 of its SubjectPublicKeyInfo in DER.
    pub public_key_sha256: Sha256Digest,
    /// When it begins.
    pub not_before: DateTime<Utc>,
    /// When it ends.
    pub not_after: DateTime<Utc>,
}

impl From<&SignedCertificate> for NewResponder {
    fn from(signed: &SignedCertificate) -> Self {
        Self {
            ca_key: signed.ca_key(),
            serial: signed.serial().clone(),
            der: signed.der().to_vec(),
            public_key_sha256: signed.public_key_sha256(),
            not_before: signed.not_before(),
            not_after: signed.not_after(),
        }
    }
}

/// A stored responder certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    /// The key that signed it, and for which it answers.
    pub ca_key: CaKeyId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// The SHA-256 of its SubjectPublicKeyInfo in DER.
    pub public_key_sha256: Sha256Digest,
    /// When it begins.
    pub not_before: DateTime<Utc>,
    /// When it ends.
    pub not_after: DateTime<Utc>,
}

impl Reader {
    /// All CA keys, oldest first within each kind.
    pub fn ca_keys(&self) -> Result<Vec<CaKey>, StoreFault> {
        self.read(|session| {
            sql("SELECT id, kind, generation, certificate, crl_url, ocsp_url, ca_url FROM ca_key ORDER BY kind, generation")
                .rows(session, decode_ca_key)
        })
    }

    /// All responder certificates, of each CA key oldest first.
    pub fn responders(&self) -> Result<Vec<Responder>, StoreFault> {
        self.read(|session| {
            sql("SELECT ca_key_id, serial, certificate, public_key_sha256, not_before, not_after FROM responder \
                 ORDER BY ca_key_id, not_before, id")
            .rows(session, decode_responder)
        })
    }

    /// The responder certificate that was made last for a CA key.
    pub fn latest_responder(&self, ca_key: CaKeyId) -> Result<Option<Responder>, StoreFault> {
        self.read(|session| {
            sql("SELECT ca_key_id, serial, certificate, public_key_sha256, not_before, not_after FROM responder \
                 WHERE ca_key_id = ? ORDER BY not_before DESC, id DESC LIMIT 1")
            .bind(ca_key.0)
            .optional(session, decode_responder)
        })
    }
}

impl Transaction<'_> {
    /// Adds a key generation, with the first of its CRL shards.
    ///
    /// Errors: [`StoreFault::Misuse`] if the certificate is no CA certificate or an address no URL; a fault of class
    /// `Unique` if the generation or the key is there already.
    pub fn add_ca_key(&mut self, new: &NewCaKey, now: DateTime<Utc>) -> Result<CaKeyId, StoreFault> {
        let key = CaKey::new(CaKeyId(0), new.kind, new.generation, new.certificate.clone(), new.urls.clone())
            .map_err(|_| StoreFault::Misuse("what was to be added is no CA key"))?;
        let generation = i32::try_from(new.generation).map_err(|_| StoreFault::Misuse("no such generation"))?;
        let id = sql("INSERT INTO ca_key (kind, generation, certificate, key_identifier, crl_url, ocsp_url, ca_url, not_after, added_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id")
        .bind(new.kind)
        .bind(generation)
        .bind(new.certificate.as_slice())
        .bind(key.key_identifier())
        .bind(new.urls.crl.as_str())
        .bind(new.urls.ocsp.as_str())
        .bind(new.urls.certificate.as_str())
        .bind(key.not_after())
        .bind(now)
        .optional(self.session, |row| row.int())?
        .ok_or(StoreFault::Corrupt("an insert returned no row"))?;
        self.open_crl_shards(CaKeyId(id), 1, now)?;
        let sha256 = Sha256Digest::of(&new.certificate).to_string();
        let data = json!({"ca_key": id, "kind": new.kind, "generation": new.generation, "sha256": sha256});
        self.emit(NewEvent::new(EventKind::CaKeyAdded, now, data));
        Ok(CaKeyId(id))
    }

    /// Adds a responder certificate.
    pub fn add_responder(&mut self, new: &NewResponder, now: DateTime<Utc>) -> Result<(), StoreFault> {
        sql("INSERT INTO responder (ca_key_id, serial, certificate, public_key_sha256, not_before, not_after, added_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?)")
        .bind(new.ca_key.0)
        .bind(&new.serial)
        .bind(new.der.as_slice())
        .bind(&new.public_key_sha256)
        .bind(new.not_before)
        .bind(new.not_after)
        .bind(now)
        .execute(self.session)?;
        let sha256 = Sha256Digest::of(&new.der).to_string();
        let data = json!({"ca_key": new.ca_key.0, "serial": new.serial.to_string(), "sha256": sha256});
        self.emit(NewEvent::new(EventKind::ResponderAdded, now, data));
        Ok(())
    }
}

fn decode_ca_key(row: &mut Fields<'_, '_, '_>) -> Result<CaKey, StoreFault> {
    let (id, kind, generation) = (CaKeyId(row.int()?), row.kind()?, row.int()?);
    let certificate = row.bytes()?;
    let urls = CaUrls { crl: row.text()?, ocsp: row.text()?, certificate: row.text()? };
    let generation = u32::try_from(generation).map_err(|_| StoreFault::Corrupt("a CA key's generation"))?;
    CaKey::new(id, kind, generation, certificate, urls).map_err(|_| StoreFault::Corrupt("a CA key"))
}

fn decode_responder(row: &mut Fields<'_, '_, '_>) -> Result<Responder, StoreFault> {
    Ok(Responder {
        ca_key: CaKeyId(row.int()?),
        serial: row.serial()?,
        der: row.bytes()?,
        public_key_sha256: row.digest()?,
        not_before: row.time()?,
        not_after: row.time()?,
    })
}
