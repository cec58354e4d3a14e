//! The evidence of applications, to be encrypted for an auditor, and what was made of it.

use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;

use super::ExportId;
use crate::event::EventKind;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};

/// What an accepted application rests on. Holds personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedEvidence {
    /// The leaf of its acceptance.
    pub leaf: u64,
    /// The application.
    pub application: ApplicationId,
    /// The SHA-256 of the card-signed message, as it was accepted.
    pub digest: Sha256Digest,
    /// The card-signed message in DER.
    pub cms: Vec<u8>,
    /// The OCSP answer for the card's signature certificate in DER, if it rests on one and not on a CRL.
    pub signature_ocsp: Option<Vec<u8>>,
    /// The card's authentication certificate in DER, if one was asked for.
    pub authentication_certificate: Option<Vec<u8>>,
}

impl Reader {
    /// The evidence of the applications whose acceptance is among these leaves, in their order, `limit` at most. Purged evidence is not there.
    pub fn accepted_evidence(&self, from_leaf: u64, to_leaf: u64, limit: u32) -> Result<Vec<AcceptedEvidence>, StoreFault> {
        let (Ok(from), Ok(to)) = (i64::try_from(from_leaf), i64::try_from(to_leaf)) else { return Ok(Vec::new()) };
        self.read(|session| {
            sql("SELECT l.leaf, a.id, a.digest, v.cms, v.signature_ocsp, v.authentication_certificate FROM log_leaf AS l \
                 JOIN event AS e ON e.position = l.position JOIN application AS a ON a.id = e.application_id \
                 JOIN application_evidence AS v ON v.application_id = a.id \
                 WHERE l.leaf >= ? AND l.leaf < ? AND e.kind = ? ORDER BY l.leaf LIMIT ?")
            .bind(from)
            .bind(to)
            .bind(EventKind::ApplicationAccepted.as_str())
            .bind(i64::from(limit))
            .rows(session, decode)
        })
    }

    /// One piece of the encrypted evidence of an export's part, by its place from 0 on.
    pub fn evidence_chunk(&self, export: ExportId, number: u64, sequence: u32) -> Result<Option<Vec<u8>>, StoreFault> {
        let (Ok(number), Ok(sequence)) = (i64::try_from(number), i32::try_from(sequence)) else { return Ok(None) };
        self.read(|session| {
            sql("SELECT octets FROM audit_evidence_chunk WHERE export_id = ? AND number = ? AND sequence = ?")
                .bind(export.0)
                .bind(number)
                .bind(sequence)
                .optional(session, |row| row.bytes())
        })
    }
}

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<AcceptedEvidence, StoreFault> {
    Ok(AcceptedEvidence {
        leaf: row.unsigned()?,
        application: ApplicationId(row.big()?),
        digest: row.digest()?,
        cms: row.bytes()?,
        signature_ocsp: row.optional_bytes()?,
        authentication_certificate: row.optional_bytes()?,
    })
}
