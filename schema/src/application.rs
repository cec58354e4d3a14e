//! Accepted applications, their evidence and what became of them.

use std::collections::HashMap;

use ca_core::application::ApplicationId;
use ca_core::application::verified::{AuthenticationEvidence, Evidence, StatusEvidence, VerifiedApplication};
use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::refusal::Refusal;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::codes;
use crate::connection::Session;
use crate::fault::{StoreFault, WriteError};
use crate::reader::Reader;
use crate::sql::{Fields, sql};
use crate::transaction::Transaction;

/// An application to be accepted, drawn up outside the writing threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApplication {
    cms: Vec<u8>,
    digest: Sha256Digest,
    challenge: [u8; 48],
    evidence: Evidence,
    ticket_hash: Sha256Digest,
    crls: Vec<(Sha256Digest, Vec<u8>)>,
}

impl NewApplication {
    /// A verified application; `ticket_hash` is the SHA-256 of the token that opens its state to the holder.
    pub fn new(application: &VerifiedApplication, ticket_hash: Sha256Digest) -> Self {
        Self::from_parts(application.cms().to_vec(), *application.challenge(), application.evidence().clone(), ticket_hash)
    }

    /// The parts of a verified application: the card-signed message in DER, the challenge it answers, and what it was
    /// verified against.
    pub fn from_parts(cms: Vec<u8>, challenge: [u8; 48], evidence: Evidence, ticket_hash: Sha256Digest) -> Self {
        let statuses = [Some(&evidence.signature_status), evidence.authentication.as_ref().map(|authentication| &authentication.status)];
        let mut crls: Vec<(Sha256Digest, Vec<u8>)> = Vec::new();
        for status in statuses.into_iter().flatten() {
            if let StatusEvidence::Crl(der) = status {
                crls.push((Sha256Digest::of(der), der.clone()));
            }
        }
        Self { digest: Sha256Digest::of(&cms), cms, challenge, evidence, ticket_hash, crls }
    }

    /// The SHA-256 of the card-signed message.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }
}

/// What accepting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is new: the CA role will decide.
    Accepted(ApplicationId),
    /// The same bytes were accepted before; nothing was written.
    Existing(ApplicationId),
}

/// Why an application was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptRefusal {
    /// Another application answered the same challenge.
    #[error("the challenge was used before")]
    ChallengeSpent,
}

impl Refusal for AcceptRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::ChallengeSpent => "challenge_spent",
        }
    }
}

/// An application's state, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationState {
    /// The CA role has not decided yet.
    Accepted,
    /// Its certificates are issued; signature before authentication.
    Issued {
        /// One or two.
        certificates: Vec<IssuedCertificate>,
    },
    /// The CA role refused it.
    Refused {
        /// The refusal's stable code.
        code: String,
        /// A sentence, without personal data.
        detail: String,
    },
}

/// A certificate of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// What it is for.
    pub kind: CertificateKind,
    /// The key that signed it.
    pub ca_key: CaKeyId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// The certificate in DER.
    pub der: Vec<u8>,
}

/// An application as its holder may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationRecord {
    /// Its row.
    pub id: ApplicationId,
    /// What became of it.
    pub state: ApplicationState,
    /// The SHA-256 of the token that opens its state to the holder.
    pub ticket_hash: Sha256Digest,
    /// The public identifier of the phone to which its certificates were issued.
    pub device: Option<String>,
}

/// An application that waits for the CA role, with all that is needed to verify it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApplication {
    /// Its row.
    pub id: ApplicationId,
    /// The SHA-256 of the card-signed message.
    pub digest: Sha256Digest,
    /// When the RA accepted it.
    pub accepted_at: DateTime<Utc>,
    /// The card-signed message in DER.
    pub cms: Vec<u8>,
    /// What the RA verified it against.
    pub evidence: Evidence,
}

/// A waiting application as far as it could be read.
pub type ReadApplication = (ApplicationId, Result<StoredApplication, StoreFault>);

impl Reader {
    /// The application with this digest.
    pub fn application_by_digest(&self, digest: &Sha256Digest) -> Result<Option<ApplicationRecord>, StoreFault> {
        self.read(|session| record(session, "digest", digest.as_bytes().into()))
    }

    /// The application with this id.
    pub fn application(&self, id: ApplicationId) -> Result<Option<ApplicationRecord>, StoreFault> {
        self.read(|session| record(session, "id", id.into()))
    }

    /// Applications that wait for the CA role, oldest first; `limit` at most.
    pub fn accepted_applications(&self, limit: u32) -> Result<Vec<StoredApplication>, StoreFault> {
        let ids = self.accepted_application_ids(limit)?;
        self.read_accepted(&ids)?.into_iter().map(|(_, application)| application).collect()
    }

    /// The same by their ids alone: who has some of them in hand need not read those again.
    pub fn accepted_application_ids(&self, limit: u32) -> Result<Vec<ApplicationId>, StoreFault> {
        self.read(|session| {
            sql("SELECT id FROM application WHERE state = 1 ORDER BY id LIMIT ?")
                .bind(i64::from(limit))
                .rows(session, |row| Ok(ApplicationId(row.big()?)))
        })
    }

    /// Those of `ids` that still wait, with their evidence. One that cannot be read has a fault of its own and does not keep the
    /// others from being read.
    pub fn read_accepted(&self, ids: &[ApplicationId]) -> Result<Vec<ReadApplication>, StoreFault> {
        self.read(|session| {
            let mut crls = HashMap::new();
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let waiting = sql("SELECT a.id, a.digest, a.accepted_at, e.cms, e.holder_id, e.signature_ocsp, e.signature_crl, \
                     e.authentication_certificate, e.authentication_ocsp, e.authentication_crl \
                     FROM application AS a JOIN application_evidence AS e ON e.application_id = a.id \
                     WHERE a.state = 1 AND a.id = ?")
                .bind(*id)
                .optional(session, Waiting::decode);
                match waiting.and_then(|waiting| waiting.map(|row| row.complete(session, &mut crls)).transpose()) {
                    Ok(application) => found.extend(application.map(|application| (*id, Ok(application)))),
                    Err(fault @ StoreFault::Corrupt(_)) => found.push((*id, Err(fault))),
                    Err(fault) => return Err(fault),
                }
            }
            Ok(found)
        })
    }
}

impl Transaction<'_> {
    /// Accepts an application for the CA role to decide. The same bytes again are the same application.
    ///
    /// Leaves no event, for the RA can write none: the CA role leaves it with its decision.
    pub fn accept_application(&mut self, new: &NewApplication, now: DateTime<Utc>) -> Result<Acceptance, WriteError<AcceptRefusal>> {
        let inserted = sql("INSERT INTO application (digest, challenge, accepted_at, ticket_hash) VALUES (?, ?, ?, ?) \
             ON CONFLICT DO NOTHING RETURNING id")
        .bind(&new.digest)
        .bind(new.challenge.as_slice())
        .bind(now)
        .bind(&new.ticket_hash)
        .optional(self.session, |row| row.big())?;
        let Some(id) = inserted else {
            let existing = sql("SELECT id FROM application WHERE digest = ?").bind(&new.digest).optional(self.session, |row| row.big())?;
            return existing.map(|id| Acceptance::Existing(ApplicationId(id))).ok_or(WriteError::Refused(AcceptRefusal::ChallengeSpent));
        };
        for (sha256, der) in &new.crls {
            store_card_crl(self.session, sha256, der)?;
        }
        let evidence = &new.evidence;
        let authentication = evidence.authentication.as_ref();
        let mut crl_digests = new.crls.iter().map(|(sha256, _)| sha256.as_bytes());
        let (signature_ocsp, signature_crl) = columns(Some(&evidence.signature_status), &mut crl_digests);
        let (authentication_ocsp, authentication_crl) = columns(authentication.map(|evidence| &evidence.status), &mut crl_digests);
        sql("INSERT INTO application_evidence (application_id, cms, holder_id, signature_ocsp, signature_crl, \
             authentication_certificate, authentication_ocsp, authentication_crl) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(id)
        .bind(new.cms.as_slice())
        .bind(evidence.holder_id.as_str())
        .bind(signature_ocsp)
        .bind(signature_crl)
        .bind(authentication.map(|evidence| evidence.certificate.as_slice()))
        .bind(authentication_ocsp)
        .bind(authentication_crl)
        .execute(self.session)?;
        Ok(Acceptance::Accepted(ApplicationId(id)))
    }
}

/// Stores a card CA's CRL once. Its octets are sent to the database only if it does not have them.
fn store_card_crl(session: &mut Session, sha256: &Sha256Digest, der: &[u8]) -> Result<(), StoreFault> {
    let known = sql("SELECT 1 FROM card_crl WHERE sha256 = ?").bind(sha256).optional(session, |_| Ok(()))?;
    if known.is_none() {
        sql("INSERT INTO card_crl (sha256, der) VALUES (?, ?) ON CONFLICT DO NOTHING").bind(sha256).bind(der).execute(session)?;
    }
    Ok(())
}

/// A status' two columns: an OCSP response itself, or a CRL's digest.
fn columns<'a>(
    status: Option<&'a StatusEvidence>,
    crl_digests: &mut impl Iterator<Item = &'a [u8]>,
) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    match status {
        None => (None, None),
        Some(StatusEvidence::Ocsp(der)) => (Some(der), None),
        Some(StatusEvidence::Crl(_)) => (None, crl_digests.next()),
    }
}

fn record(session: &mut Session, column: &'static str, value: crate::sql::Parameter<'_>) -> Result<Option<ApplicationRecord>, StoreFault> {
    let found = sql(format!(
        "SELECT id, state, ticket_hash, refusal_code, refusal_detail, \
         (SELECT public_id FROM device WHERE id = application.device_id) FROM application WHERE {column} = ?"
    ))
    .bind(value)
    .optional(session, |row| {
        let (id, state, ticket_hash) = (ApplicationId(row.big()?), row.small()?, row.digest()?);
        Ok((id, state, ticket_hash, row.optional_text()?, row.optional_text()?, row.optional_text()?))
    })?;
    let Some((id, state, ticket_hash, code, detail, device)) = found else { return Ok(None) };
    let state = match (state, code, detail) {
        (codes::ACCEPTED, None, None) => ApplicationState::Accepted,
        (codes::ISSUED, None, None) => ApplicationState::Issued { certificates: issued_certificates(session, id)? },
        (codes::REFUSED, Some(code), Some(detail)) => ApplicationState::Refused { code, detail },
        _ => return Err(StoreFault::Corrupt("an application's state")),
    };
    Ok(Some(ApplicationRecord { id, state, ticket_hash, device }))
}

fn issued_certificates(session: &mut Session, id: ApplicationId) -> Result<Vec<IssuedCertificate>, StoreFault> {
    sql("SELECT c.kind, c.ca_key_id, c.serial, b.der FROM certificate_body AS b JOIN certificate AS c ON c.id = b.certificate_id \
         WHERE b.application_id = ? ORDER BY c.kind")
    .bind(id)
    .rows(session, |row| Ok(IssuedCertificate { kind: row.kind()?, ca_key: CaKeyId(row.int()?), serial: row.serial()?, der: row.bytes()? }))
}

/// A waiting application whose CRLs are still digests.
struct Waiting {
    id: ApplicationId,
    digest: Sha256Digest,
    accepted_at: DateTime<Utc>,
    cms: Vec<u8>,
    holder_id: String,
    signature: (Option<Vec<u8>>, Option<Vec<u8>>),
    authentication_certificate: Option<Vec<u8>>,
    authentication: (Option<Vec<u8>>, Option<Vec<u8>>),
}

impl Waiting {
    fn decode(row: &mut Fields<'_, '_, '_>) -> Result<Self, StoreFault> {
        Ok(Self {
            id: ApplicationId(row.big()?),
            digest: row.digest()?,
            accepted_at: row.time()?,
            cms: row.bytes()?,
            holder_id: row.text()?,
            signature: (row.optional_bytes()?, row.optional_bytes()?),
            authentication_certificate: row.optional_bytes()?,
            authentication: (row.optional_bytes()?, row.optional_bytes()?),
        })
    }

    fn complete(self, session: &mut Session, crls: &mut HashMap<Vec<u8>, Vec<u8>>) -> Result<StoredApplication, StoreFault> {
        let signature_status =
            status(session, crls, self.signature)?.ok_or(StoreFault::Corrupt("an application without status evidence"))?;
        let authentication = match (self.authentication_certificate, status(session, crls, self.authentication)?) {
            (None, None) => None,
            (Some(certificate), Some(status)) => Some(AuthenticationEvidence { certificate, status }),
            _ => return Err(StoreFault::Corrupt("half an authentication certificate's evidence")),
        };
        let evidence = Evidence { signature_status, holder_id: self.holder_id, authentication };
        Ok(StoredApplication { id: self.id, digest: self.digest, accepted_at: self.accepted_at, cms: self.cms, evidence })
    }
}

fn status(
    session: &mut Session,
    crls: &mut HashMap<Vec<u8>, Vec<u8>>,
    columns: (Option<Vec<u8>>, Option<Vec<u8>>),
) -> Result<Option<StatusEvidence>, StoreFault> {
    match columns {
        (None, None) => Ok(None),
        (Some(ocsp), None) => Ok(Some(StatusEvidence::Ocsp(ocsp))),
        (None, Some(sha256)) => {
            if let Some(der) = crls.get(&sha256) {
                return Ok(Some(StatusEvidence::Crl(der.clone())));
            }
            let der = sql("SELECT der FROM card_crl WHERE sha256 = ?")
                .bind(sha256.as_slice())
                .optional(session, |row| row.bytes())?
                .ok_or(StoreFault::Corrupt("a card CRL is missing"))?;
            crls.insert(sha256, der.clone());
            Ok(Some(StatusEvidence::Crl(der)))
        }
        (Some(_), Some(_)) => Err(StoreFault::Corrupt("two kinds of status evidence in one row")),
    }
}
