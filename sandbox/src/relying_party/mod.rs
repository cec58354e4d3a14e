//! A relying party: asks the status of a certificate as a stranger would, and believes nothing that it has not verified.

mod crl;
mod ocsp;

use std::fmt;

use chrono::{DateTime, Utc};
use der::Decode as _;
use der::asn1::GeneralizedTime;
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, CrlDistributionPoints};

pub use crl::{CrlAnswer, CrlEntry, fetch_crl, verify_crl, verify_crl_at};
pub use ocsp::{OcspAnswer, OcspMethod, OcspWish, ask_ocsp, ocsp_request, verify_ocsp, verify_ocsp_at};

use crate::http::HttpFault;
use crate::keys::KeyFault;
use crate::reason::Reason;
use crate::signed::{self, SignatureFault};
use crate::{asn1, oids};

/// What a certificate's status is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Issued and not revoked.
    Good,
    /// Revoked or on hold.
    Revoked {
        /// Since when.
        at: DateTime<Utc>,
        /// Why; `Unspecified` if nothing is said.
        reason: Reason,
    },
    /// Told as revoked, and by that as never issued (RFC 6960 section 2.2).
    NeverIssued,
    /// The responder does not know it.
    Unknown,
}

impl Status {
    /// Whether it is on hold: revoked for now, with certificateHold.
    pub fn is_on_hold(&self) -> bool {
        matches!(self, Self::Revoked { reason: Reason::CertificateHold, .. })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Revoked { at, reason: Reason::CertificateHold } => write!(f, "on hold (certificateHold) since {at}"),
            Self::Revoked { at, reason } => write!(f, "revoked ({reason}) since {at}"),
            Self::NeverIssued => f.write_str("never issued"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// The answer cannot be had or cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum RelyingPartyFault {
    /// Not reached.
    #[error(transparent)]
    Http(#[from] HttpFault),
    /// No randomness.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A signature is wrong.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
    /// Not to be decoded.
    #[error("{what} cannot be decoded: {reason}")]
    Decoding {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The responder answered with an error and no signature.
    #[error("the responder answered {0}")]
    Error(String),
    /// Anything that a careful reader must not accept.
    #[error("not to be believed: {0}")]
    Unbelievable(String),
}

/// The OCSP URL in a certificate's authorityInfoAccess.
pub fn ocsp_url(certificate: &[u8]) -> Result<String, RelyingPartyFault> {
    let certificate = decode(certificate)?;
    let access = certificate.tbs_certificate().get_extension::<AuthorityInfoAccessSyntax>();
    let access = access.map_err(|error| decoding("authorityInfoAccess", error))?;
    let url = access.iter().flat_map(|(_, access)| access.0.iter()).find_map(|description| match &description.access_location {
        GeneralName::UniformResourceIdentifier(url) if description.access_method == oids::OCSP => Some(url.to_string()),
        _ => None,
    });
    url.ok_or_else(|| unbelievable("the certificate names no OCSP responder"))
}

/// The CRL URL in a certificate's cRLDistributionPoints.
pub fn crl_url(certificate: &[u8]) -> Result<String, RelyingPartyFault> {
    let certificate = decode(certificate)?;
    let points = certificate.tbs_certificate().get_extension::<CrlDistributionPoints>();
    let points = points.map_err(|error| decoding("cRLDistributionPoints", error))?;
    let names = points.iter().flat_map(|(_, points)| points.0.iter()).filter_map(|point| match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => Some(names),
        _ => None,
    });
    let url = names.flatten().find_map(|name| match name {
        GeneralName::UniformResourceIdentifier(url) => Some(url.to_string()),
        _ => None,
    });
    url.ok_or_else(|| unbelievable("the certificate names no CRL by URL"))
}

/// Whether a certificate was signed by an issuer, and bears its name. Path validation it is not.
pub fn verify_issued_by(certificate: &[u8], issuer: &[u8]) -> Result<(), RelyingPartyFault> {
    let issuer = decode(issuer)?;
    if decode(certificate)?.tbs_certificate().issuer() != issuer.tbs_certificate().subject() {
        return Err(unbelievable("the certificate names another issuer"));
    }
    Ok(signed::verify(&signed::split(certificate)?, issuer.tbs_certificate().subject_public_key_info())?)
}

fn decode(certificate: &[u8]) -> Result<Certificate, RelyingPartyFault> {
    Certificate::from_der(certificate).map_err(|error| decoding("the certificate", error))
}

fn decoding(what: &'static str, reason: impl std::fmt::Display) -> RelyingPartyFault {
    RelyingPartyFault::Decoding { what, reason: reason.to_string() }
}

fn unbelievable(reason: impl Into<String>) -> RelyingPartyFault {
    RelyingPartyFault::Unbelievable(reason.into())
}

/// A moment given in seconds since 1970.
fn moment(since_1970: std::time::Duration) -> Result<DateTime<Utc>, RelyingPartyFault> {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    DateTime::from_timestamp(seconds, 0).ok_or_else(|| unbelievable("a time beyond all times"))
}

/// A GeneralizedTime in DER: what invalidityDate and ArchiveCutoff are.
fn generalized_time(what: &'static str, der: &[u8]) -> Result<DateTime<Utc>, RelyingPartyFault> {
    moment(GeneralizedTime::from_der(der).map_err(|error| decoding(what, error))?.to_unix_duration())
}

/// Clocks differ: what lies less than a minute ahead counts as now.
fn is_current(this_update: DateTime<Utc>, next_update: DateTime<Utc>, at: DateTime<Utc>) -> bool {
    this_update <= at + chrono::Duration::minutes(1) && at < next_update
}

/// Serial number as an INTEGER's content, to compare with what came over the wire.
fn serial_content(serial: &[u8]) -> Vec<u8> {
    asn1::unsigned_content(serial)
}
