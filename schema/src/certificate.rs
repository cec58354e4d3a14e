//! Issued certificates: lists and details.

use std::str::FromStr;

use ca_core::application::ApplicationId;
use ca_core::card::identity::{CardIdentity, KeyIdentifier};
use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::codes;
use crate::connection::Session;
use crate::event::{self, Event};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, Parameter, sql};

/// A certificate's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateId(pub i64);

/// A certificate's state as last written. Expiry is written when it is swept up, or when another certificate takes the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateState {
    /// It stands.
    Live,
    /// On hold; counts as live for its holder.
    Held,
    /// Ended before its time, for good.
    Revoked,
    /// It was found to have reached its end.
    Expired,
}

impl CertificateState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Live, Self::Held, Self::Revoked, Self::Expired];

    /// The word used in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Held => "held",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    /// Whether it counts as live for its holder: held or not.
    pub const fn stands(self) -> bool {
        matches!(self, Self::Live | Self::Held)
    }

    pub(crate) fn from_code(code: i16) -> Result<Self, StoreFault> {
        Self::ALL.into_iter().find(|state| state.code() == code).ok_or(StoreFault::Corrupt("a certificate's state"))
    }

    pub(crate) fn code(self) -> i16 {
        match self {
            Self::Live => codes::LIVE,
            Self::Held => codes::HELD,
            Self::Revoked => codes::REVOKED,
            Self::Expired => codes::EXPIRED,
        }
    }
}

/// The word names no state of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a state is \"live\", \"held\", \"revoked\" or \"expired\"")]
pub struct UnknownState;

impl FromStr for CertificateState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or(UnknownState)
    }
}

/// Which certificates are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFilter {
    /// What it is for.
    pub kind: Option<CertificateKind>,
    /// Its state.
    pub state: Option<CertificateState>,
    /// Its holder.
    pub holder_id: Option<String>,
    /// The card certificate it is linked to: issuer's key identifier and serial number.
    pub card: Option<(KeyIdentifier, SerialNumber)>,
}

/// A certificate in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Its row.
    pub id: CertificateId,
    /// What it is for.
    pub kind: CertificateKind,
    /// The key that signed it.
    pub ca_key: CaKeyId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// Its holder.
    pub holder_id: String,
    /// Its state.
    pub state: CertificateState,
    /// Present if it is revoked or held.
    pub revocation: Option<Revocation>,
    /// When its validity begins.
    pub not_before: DateTime<Utc>,
    /// When its validity ends.
    pub not_after: DateTime<Utc>,
    /// Whether nobody holds it: relying parties try their checks with it.
    pub is_test: bool,
}

/// What a certificate hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardLink {
    /// The card certificate.
    pub card: CardIdentity,
    /// The Name (DER) of its CRL distribution point, if it has one.
    pub distribution_point: Option<Vec<u8>>,
    /// The card certificate's revocation, if it was reported.
    pub card_revocation: Option<Revocation>,
    /// Since when the card certificate is on hold, if it is.
    pub card_held_since: Option<DateTime<Utc>>,
}

/// Everything about a certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateDetail {
    /// What lists show.
    pub summary: CertificateSummary,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// The SHA-256 of the profile by which it was issued.
    pub policy_sha256: Sha256Digest,
    /// The application it was issued on.
    pub application: ApplicationId,
    /// The SHA-256 of that application's card-signed message.
    pub application_digest: Sha256Digest,
    /// The card certificate it hangs on.
    pub link: CardLink,
    /// Its events, in order; a thousand at most.
    pub events: Vec<Event>,
}

impl Reader {
    /// Certificates that pass the filter, in the order of their rows from beyond `after`; `limit` at most.
    pub fn list_certificates(
        &self,
        filter: &CertificateFilter,
        after: Option<CertificateId>,
        limit: u32,
    ) -> Result<Vec<CertificateSummary>, StoreFault> {
        self.read(|session| {
            let mut text = format!("SELECT {SUMMARY_COLUMNS} FROM certificate AS c JOIN holder AS h ON h.id = c.holder");
            let mut parameters: Vec<Parameter<'_>> = Vec::new();
            if let Some((issuer_key_id, serial)) = &filter.card {
                text += " JOIN link AS l ON l.certificate_id = c.id \
                         JOIN card_state AS s ON s.id = l.card_id AND s.issuer_key_id = ? AND s.serial = ?";
                parameters.extend([issuer_key_id.into(), serial.into()]);
            }
            text += " WHERE c.id > ?";
            parameters.push(after.map_or(0, |id| id.0).into());
            if let Some(kind) = filter.kind {
                text += " AND c.kind = ?";
                parameters.push(kind.into());
            }
            if let Some(state) = filter.state {
                text += " AND c.state = ?";
                parameters.push(state.code().into());
            }
            if let Some(holder_id) = &filter.holder_id {
                text += " AND h.holder_id = ?";
                parameters.push(holder_id.as_str().into());
            }
            text += " ORDER BY c.id LIMIT ?";
            parameters.push(i64::from(limit).into());
            parameters.into_iter().fold(sql(text), |statement, parameter| statement.bind(parameter)).rows(session, decode_summary)
        })
    }

    /// The certificate that was issued for a public key, by the SHA-256 of its SubjectPublicKeyInfo: a key is certified once.
    pub fn certificate_of_key(&self, public_key_sha256: &Sha256Digest) -> Result<Option<CertificateSummary>, StoreFault> {
        self.read(|session| {
            sql(format!(
                "SELECT {SUMMARY_COLUMNS} FROM certified_key AS k JOIN certificate AS c ON c.id = k.certificate_id \
                 JOIN holder AS h ON h.id = c.holder WHERE k.spki_sha256 = ?"
            ))
            .bind(public_key_sha256)
            .optional(session, decode_summary)
        })
    }

    /// Everything about the certificate with this serial number; the kind may be left out, for serial numbers are random. `None` for
    /// a test certificate, too: it hangs on no card, and nobody applied for it.
    pub fn certificate_detail(
        &self,
        kind: Option<CertificateKind>,
        serial: &SerialNumber,
    ) -> Result<Option<CertificateDetail>, StoreFault> {
        self.read(|session| {
            let mut text = format!("SELECT {SUMMARY_COLUMNS} FROM certificate AS c JOIN holder AS h ON h.id = c.holder WHERE c.serial = ?");
            let mut parameters: Vec<Parameter<'_>> = vec![serial.into()];
            if let Some(kind) = kind {
                text += " AND c.kind = ?";
                parameters.push(kind.into());
            }
            text += " ORDER BY c.kind LIMIT 1";
            let statement = parameters.into_iter().fold(sql(text), |statement, parameter| statement.bind(parameter));
            statement
                .optional(session, decode_summary)?
                .filter(|summary| !summary.is_test)
                .map(|summary| detail(session, summary))
                .transpose()
        })
    }
}

/// The columns that [`decode_summary`] takes, of `certificate AS c` and `holder AS h`.
pub(crate) const SUMMARY_COLUMNS: &str = "c.id, c.kind, c.ca_key_id, c.serial, h.holder_id, c.state, c.revoked_at, c.reason, c.invalidity_at, c.not_before, c.not_after, \
     (SELECT COUNT(*) FROM test_certificate AS t WHERE t.certificate_id = c.id)";

pub(crate) fn decode_summary(row: &mut Fields<'_, '_, '_>) -> Result<CertificateSummary, StoreFault> {
    Ok(CertificateSummary {
        id: CertificateId(row.big()?),
        kind: row.kind()?,
        ca_key: CaKeyId(row.int()?),
        serial: row.serial()?,
        holder_id: row.text()?,
        state: CertificateState::from_code(row.small()?)?,
        revocation: codes::certificate_revocation(row.optional_big()?, row.optional_small()?, row.optional_big()?)?,
        not_before: row.time()?,
        not_after: row.time()?,
        is_test: row.unsigned()? > 0,
    })
}

pub(crate) fn detail(session: &mut Session, summary: CertificateSummary) -> Result<CertificateDetail, StoreFault> {
    let (der, policy_sha256, application, application_digest, link) =
        sql("SELECT b.der, b.policy_sha256, a.id, a.digest, s.issuer_key_id, s.serial, l.card_sha256, p.name, s.revoked_at, s.reason, s.held_since \
         FROM certificate_body AS b JOIN application AS a ON a.id = b.application_id \
         JOIN link AS l ON l.certificate_id = b.certificate_id JOIN card_state AS s ON s.id = l.card_id \
         LEFT JOIN card_distribution_point AS p ON p.id = l.distribution_point_id WHERE b.certificate_id = ?")
        .bind(summary.id.0)
        .optional(session, |row| Ok((row.bytes()?, row.digest()?, ApplicationId(row.big()?), row.digest()?, decode_link(row)?)))?
        .ok_or(StoreFault::Corrupt("a certificate without body or link"))?;
    let events = event::of_certificate(session, summary.id, 1000)?;
    Ok(CertificateDetail { summary, der, policy_sha256, application, application_digest, link, events })
}

fn decode_link(row: &mut Fields<'_, '_, '_>) -> Result<CardLink, StoreFault> {
    Ok(CardLink {
        card: CardIdentity { issuer_key_id: row.key_identifier()?, serial: row.serial()?, sha256: row.digest()? },
        distribution_point: row.optional_bytes()?,
        card_revocation: codes::revocation(row.optional_big()?, row.optional_small()?)?,
        card_held_since: row.optional_time()?,
    })
}
