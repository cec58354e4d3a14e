//! The second look at a card certificate some days after issuance: a card may have been stolen before it was reported (NIST SP
//! 800-157 of 2014, section 2.1; its revision looks from the other end, section 2.4).

use ca_core::card::identity::CardIdentity;
use ca_core::kind::CertificateKind;
use chrono::{DateTime, Utc};

use crate::certificate::CertificateId;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, placeholders, sql};
use crate::transaction::Transaction;

/// A second look that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondLook {
    /// The certificate that hangs on the card certificate.
    pub certificate: CertificateId,
    /// Of which kind both are.
    pub kind: CertificateKind,
    /// The card certificate.
    pub card: CardIdentity,
    /// The Name (DER) of its CRL distribution point, if it has one.
    pub distribution_point: Option<Vec<u8>>,
    /// Whether the certificate is live or held; if it ended meanwhile, there is nothing to look for.
    pub stands: bool,
}

impl Reader {
    /// The second looks that are due at `now`, the longest due first; `limit` at most.
    pub fn second_looks_due(&self, limit: u32, now: DateTime<Utc>) -> Result<Vec<SecondLook>, StoreFault> {
        self.read(|session| {
            sql("SELECT l.certificate_id, c.kind, s.issuer_key_id, s.serial, l.card_sha256, p.name, c.state \
                 FROM link AS l JOIN certificate AS c ON c.id = l.certificate_id JOIN card_state AS s ON s.id = l.card_id \
                 LEFT JOIN card_distribution_point AS p ON p.id = l.distribution_point_id \
                 WHERE l.second_look_at <= ? ORDER BY l.second_look_at LIMIT ?")
            .bind(now)
            .bind(i64::from(limit))
            .rows(session, decode)
        })
    }
}

impl Transaction<'_> {
    /// Notes that the card certificates of these certificates, at most 1,000, were looked at again.
    pub fn second_look_done(&mut self, certificates: &[CertificateId]) -> Result<(), StoreFault> {
        if certificates.is_empty() {
            return Ok(());
        }
        if certificates.len() > 1_000 {
            return Err(StoreFault::Misuse("more than 1,000 second looks at once"));
        }
        let text = format!("UPDATE link SET second_look_at = NULL WHERE certificate_id IN ({})", placeholders(certificates.len()));
        certificates.iter().fold(sql(text), |statement, id| statement.bind(id.0)).execute(self.session)?;
        Ok(())
    }
}

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<SecondLook, StoreFault> {
    Ok(SecondLook {
        certificate: CertificateId(row.big()?),
        kind: row.kind()?,
        card: CardIdentity { issuer_key_id: row.key_identifier()?, serial: row.serial()?, sha256: row.digest()? },
        distribution_point: row.optional_bytes()?,
        stands: crate::certificate::CertificateState::from_code(row.small()?)?.stands(),
    })
}
