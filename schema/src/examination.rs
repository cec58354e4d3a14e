//! What whoever examines the store asks besides: events against leaves, and certificates against events.

use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use chrono::{DateTime, Utc};

use crate::certificate::CertificateId;
use crate::event::{self, Event, EventPosition};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};

/// What is stored of a certificate that its issuance told, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCertificate {
    /// Its row.
    pub id: CertificateId,
    /// Its holder's row.
    pub holder: i64,
    /// When it begins.
    pub not_before: DateTime<Utc>,
    /// When it ends.
    pub not_after: DateTime<Utc>,
    /// The SHA-256 of the certificate in DER.
    pub sha256: Sha256Digest,
    /// The SHA-256 of the profile by which it was issued.
    pub policy_sha256: Sha256Digest,
    /// The row of the card certificate that it hangs on; `None` if it hangs on none.
    pub card: Option<i64>,
    /// The application upon which it was issued.
    pub application: ApplicationId,
    /// The SHA-256 under which that application was accepted.
    pub application_sha256: Sha256Digest,
    /// The SHA-256 of the card-signed message that is kept of it; `None` if none is, or it was not asked for.
    pub evidence_sha256: Option<Sha256Digest>,
}

impl Reader {
    /// Whether this user of the database may read the card-signed messages: the CA role's may, and the owner of the tables.
    pub fn may_read_evidence(&self) -> Result<bool, StoreFault> {
        self.read(|session| {
            if !session.has_users() {
                return Ok(true);
            }
            let may = sql("SELECT 1 WHERE has_table_privilege('application_evidence', 'SELECT')");
            Ok(may.optional(session, |row| row.int())?.is_some())
        })
    }

    /// What is kept of the certificates from one row to another, as far as more than a narrow row is; of the card-signed messages only
    /// `with_evidence`. One that does not decode is passed over.
    pub fn kept_certificates(
        &self,
        first: CertificateId,
        last: CertificateId,
        with_evidence: bool,
    ) -> Result<Vec<KeptCertificate>, StoreFault> {
        let (cms, join) = match with_evidence {
            true => ("v.cms", "LEFT JOIN application_evidence AS v ON v.application_id = a.id "),
            false => ("CAST(NULL AS BYTEA)", ""),
        };
        let kept = self.read(|session| {
            sql(format!(
                "SELECT c.id, c.holder, c.not_before, c.not_after, b.der, b.policy_sha256, l.card_id, a.id, a.digest, {cms} \
                 FROM certificate AS c JOIN certificate_body AS b ON b.certificate_id = c.id \
                 JOIN application AS a ON a.id = b.application_id LEFT JOIN link AS l ON l.certificate_id = c.id {join}\
                 WHERE c.id >= ? AND c.id <= ? ORDER BY c.id"
            ))
            .bind(first.0)
            .bind(last.0)
            .rows(session, |row| Ok(KeptCertificate::decode(row).ok()))
        })?;
        Ok(kept.into_iter().flatten().collect())
    }

    /// Events up to this one that no leaf is of; `limit` at most. There are none where the log is whole.
    pub fn events_without_leaf(&self, until: EventPosition, limit: u32) -> Result<Vec<EventPosition>, StoreFault> {
        self.read(|session| {
            sql("SELECT e.position FROM event AS e LEFT JOIN log_leaf AS l ON l.position = e.position \
                 WHERE e.position <= ? AND l.leaf IS NULL ORDER BY e.position LIMIT ?")
            .bind(until.0)
            .bind(i64::from(limit))
            .rows(session, |row| Ok(EventPosition(row.big()?)))
        })
    }

    /// The events about the certificates from one row to another, by certificate and then in their order. One that does not decode is
    /// passed over: its leaf tells that it is not what it was.
    pub fn events_of_certificates(
        &self,
        first: CertificateId,
        last: CertificateId,
        mut visit: impl FnMut(Event),
    ) -> Result<(), StoreFault> {
        let events = self.read(|session| {
            sql("SELECT position, at, kind, certificate_id, application_id, data FROM event \
                 WHERE certificate_id >= ? AND certificate_id <= ? ORDER BY certificate_id, position")
            .bind(first.0)
            .bind(last.0)
            .rows(session, |row| Ok(event::decode(row).ok()))
        })?;
        events.into_iter().flatten().for_each(&mut visit);
        Ok(())
    }

    /// Whether more than a narrow row of the certificate is kept: it was not purged.
    pub fn is_certificate_kept(&self, certificate: CertificateId) -> Result<bool, StoreFault> {
        self.read(|session| {
            let kept = sql("SELECT COUNT(*) FROM certificate AS c LEFT JOIN certificate_body AS b ON b.certificate_id = c.id \
                 LEFT JOIN test_certificate AS t ON t.certificate_id = c.id \
                 WHERE c.id = ? AND (b.certificate_id IS NOT NULL OR t.certificate_id IS NOT NULL)");
            Ok(kept.bind(certificate.0).optional(session, |row| row.big())?.unwrap_or(0) > 0)
        })
    }
}

impl KeptCertificate {
    fn decode(row: &mut Fields<'_, '_, '_>) -> Result<Self, StoreFault> {
        Ok(Self {
            id: CertificateId(row.big()?),
            holder: row.big()?,
            not_before: row.time()?,
            not_after: row.time()?,
            sha256: Sha256Digest::of(&row.bytes()?),
            policy_sha256: row.digest()?,
            card: row.optional_big()?,
            application: ApplicationId(row.big()?),
            application_sha256: row.digest()?,
            evidence_sha256: row.optional_bytes()?.map(|cms| Sha256Digest::of(&cms)),
        })
    }
}
