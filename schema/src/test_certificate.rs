//! Certificates that nobody holds, with which relying parties try their checks: one for each status of each CA key.

use ca_core::digest::Sha256Digest;
use ca_core::issuance::SignedCertificate;
use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::lifecycle::Command;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;
use serde_json::json;

use crate::certificate::CertificateId;
use crate::change::standing::{self, Grounds};
use crate::change::{Changed, Order};
use crate::codes;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};
use crate::transaction::Transaction;

/// What a test certificate is an example of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TestStatus {
    /// It is valid.
    Good,
    /// It is revoked.
    Revoked,
    /// It is on hold.
    Held,
    /// Its end has come.
    Expired,
}

impl TestStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Good, Self::Revoked, Self::Held, Self::Expired];

    /// The word used in JSON and in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Held => "held",
            Self::Expired => "expired",
        }
    }

    fn code(self) -> i16 {
        match self {
            Self::Good => 1,
            Self::Revoked => 2,
            Self::Held => 3,
            Self::Expired => 4,
        }
    }

    fn from_code(code: i16) -> Result<Self, StoreFault> {
        Self::ALL.into_iter().find(|status| status.code() == code).ok_or(StoreFault::Corrupt("a test certificate's status"))
    }
}

/// A test certificate to be stored. Its intent is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTestCertificate {
    /// What it is an example of. That it is revoked or held is done to it afterwards, as to any other certificate.
    pub status: TestStatus,
    /// What it is for.
    pub kind: CertificateKind,
    /// The key that signed it.
    pub ca_key: CaKeyId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// The CRL shard that it names.
    pub shard: u16,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// When it begins.
    pub not_before: DateTime<Utc>,
    /// When it ends.
    pub not_after: DateTime<Utc>,
}

impl NewTestCertificate {
    /// A signed certificate as an example of a status.
    pub fn new(signed: &SignedCertificate, status: TestStatus) -> Self {
        Self {
            status,
            kind: signed.kind(),
            ca_key: signed.ca_key(),
            serial: signed.serial().clone(),
            shard: signed.shard(),
            der: signed.der().to_vec(),
            not_before: signed.not_before(),
            not_after: signed.not_after(),
        }
    }
}

/// A stored test certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCertificate {
    /// Its row among the certificates.
    pub id: CertificateId,
    /// What it is an example of.
    pub status: TestStatus,
    /// The key that signed it.
    pub ca_key: CaKeyId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// When it begins.
    pub not_before: DateTime<Utc>,
    /// When it ends.
    pub not_after: DateTime<Utc>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

impl Reader {
    /// The newest test certificate for each status of each CA key, by CA key and status.
    pub fn test_certificates(&self) -> Result<Vec<TestCertificate>, StoreFault> {
        self.read(|session| {
            sql("SELECT c.id, t.status, t.ca_key_id, c.serial, t.der, c.not_before, c.not_after, t.made_at \
                 FROM test_certificate AS t JOIN certificate AS c ON c.id = t.certificate_id \
                 WHERE t.certificate_id IN (SELECT MAX(certificate_id) FROM test_certificate GROUP BY ca_key_id, status) \
                 ORDER BY t.ca_key_id, t.status")
            .rows(session, decode)
        })
    }
}

impl Transaction<'_> {
    /// Stores a test certificate, live, for the holder of its status, whom the back office does not know. Being issued, it is told and
    /// listed as any other; what is done for holders (notices, commands to phones) is not done for it.
    ///
    /// Errors: [`StoreFault::Reconciling`]; [`StoreFault::Misuse`] if the CA key is retired; a fault of class `Unique` if that
    /// holder's earlier one of this kind has not ended.
    pub fn add_test_certificate(&mut self, new: &NewTestCertificate, now: DateTime<Utc>) -> Result<CertificateId, StoreFault> {
        let holder = format!("{TEST_HOLDER}{}", new.status.as_str());
        let holder = sql("INSERT INTO holder (holder_id) VALUES (?) \
             ON CONFLICT (holder_id) DO UPDATE SET holder_id = excluded.holder_id RETURNING id")
        .bind(holder.as_str())
        .optional(self.session, |row| row.big())?
        .ok_or(StoreFault::Corrupt("an insert returned no row"))?;
        let id = sql("INSERT INTO certificate (kind, ca_key_id, serial, shard, holder, state, not_before, not_after) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id")
        .bind(new.kind)
        .bind(new.ca_key.0)
        .bind(&new.serial)
        .bind(codes::shard_code(new.shard))
        .bind(holder)
        .bind(codes::LIVE)
        .bind(new.not_before)
        .bind(new.not_after)
        .optional(self.session, |row| Ok(CertificateId(row.big()?)))?
        .ok_or(StoreFault::Corrupt("an insert returned no row"))?;
        self.refuse_issuing_with(&[new.ca_key])?;
        sql("INSERT INTO test_certificate (certificate_id, ca_key_id, status, der, made_at) VALUES (?, ?, ?, ?, ?)")
            .bind(id.0)
            .bind(new.ca_key.0)
            .bind(new.status.code())
            .bind(new.der.as_slice())
            .bind(now)
            .execute(self.session)?;
        let data = json!({
            "kind": new.kind, "ca_key": new.ca_key.0, "serial": new.serial.to_string(), "test": new.status.as_str(), "holder": holder,
            "sha256": Sha256Digest::of(&new.der).to_string(), "not_before": new.not_before, "not_after": new.not_after, "shard": new.shard,
        });
        self.emit(NewEvent::new(EventKind::CertificateIssued, now, data).about_certificate(id));
        Ok(id)
    }

    /// Revokes, for cessationOfOperation, the test certificates of a CA key that are live or held: in the transaction that retires the
    /// key, for which they do not stand in the way.
    pub fn end_test_certificates(
        &mut self,
        ca_key: CaKeyId,
        policy: &LifecyclePolicy,
        order: &Order,
        now: DateTime<Utc>,
    ) -> Result<Vec<Changed>, StoreFault> {
        let ids = sql("SELECT c.id FROM test_certificate AS t JOIN certificate AS c ON c.id = t.certificate_id \
             WHERE t.ca_key_id = ? AND c.state IN (1, 2)")
        .bind(ca_key.0)
        .rows(self.session, |row| Ok(CertificateId(row.big()?)))?;
        let mut standings = standing::by_rows(self.session, &ids)?;
        let grounds = Grounds { by: &order.origin, card_change: None, instruction: None, policy };
        let end = Command::End { reason: RevocationReason::CessationOfOperation };
        let (changed, _) = self.change(&mut standings, &end, &grounds, now);
        standing::write(self.session, &standings, None, now)?;
        Ok(changed)
    }
}

/// How the identifiers of test certificates' holders begin; a status follows.
const TEST_HOLDER: &str = "tsunagi-test-";

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<TestCertificate, StoreFault> {
    Ok(TestCertificate {
        id: CertificateId(row.big()?),
        status: TestStatus::from_code(row.small()?)?,
        ca_key: CaKeyId(row.int()?),
        serial: row.serial()?,
        der: row.bytes()?,
        not_before: row.time()?,
        not_after: row.time()?,
        made_at: row.time()?,
    })
}
