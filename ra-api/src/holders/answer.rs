//! What holders are told of their applications.

use audit_log::Receipt;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::digest::Sha256Digest;
use schema::application::IssuedCertificate;
use serde::Serialize;
use utoipa::ToSchema;

use super::receipts::ReceiptDocument;
use super::ticket::Ticket;

/// The state of an application that was not refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ApplicationAnswer {
    /// The certificates are issued.
    Issued(IssuedAnswer),
    /// Accepted; the CA has not decided yet.
    Accepted(AcceptedAnswer),
}

/// An application whose certificates are issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct IssuedAnswer {
    /// The SHA-256 of the application's octets, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub application_id: String,
    /// `issued`.
    #[schema(example = "issued")]
    pub state: &'static str,
    /// The certificates: one of each requested kind.
    pub certificates: Vec<CertificateAnswer>,
    /// One for each certificate, once a signed checkpoint of the log covers the issuance, which takes about a second; `Prefer: wait=N`
    /// waits for them. Before, and where there are none, they are not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<ReceiptDocument>)]
    pub receipts: Vec<Receipt>,
    /// What the phone that has them is called here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub device: Option<String>,
    /// What is known of the certificates of an earlier owner that the application named. Only in the answer to the application
    /// itself, which may be sent again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<LeftBehindAnswer>,
    /// Opens what there is for this phone, in the header `Tsunagi-Application-Token`. A secret.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    pub token: String,
}

/// A certificate of an earlier owner that the phone found in itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LeftBehindAnswer {
    /// `signature` or `authentication`, as the phone named it.
    #[schema(example = "signature")]
    pub kind: &'static str,
    /// The serial number in hexadecimal, as the phone named it.
    #[schema(pattern = "^[0-9A-F]{2,40}$")]
    pub serial: String,
    /// Whether it was issued here.
    pub ours: bool,
    /// Whether it is known here to have ended. The phone is told to erase its key by command either way.
    pub ended: bool,
}

/// One issued certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CertificateAnswer {
    /// `signature` or `authentication`.
    #[schema(example = "signature")]
    pub kind: &'static str,
    /// The serial number in hexadecimal.
    #[schema(pattern = "^[0-9A-F]{2,40}$")]
    pub serial: String,
    /// The certificate: DER in base64. Its authorityInfoAccess says where the issuer's is.
    pub certificate: String,
}

/// An application that is accepted and not yet decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AcceptedAnswer {
    /// The SHA-256 of the application's octets, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub application_id: String,
    /// `accepted`.
    #[schema(example = "accepted")]
    pub state: &'static str,
    /// Where to ask for the outcome, relative to this RA.
    #[schema(example = "/v1/applications/6f1e…")]
    pub status_url: String,
    /// Opens it, in the header `Tsunagi-Application-Token`. A secret.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    pub token: String,
}

impl AcceptedAnswer {
    pub(crate) fn new(digest: &Sha256Digest, ticket: &Ticket) -> Self {
        Self {
            application_id: digest.to_string(),
            state: "accepted",
            status_url: format!("/v1/applications/{digest}"),
            token: ticket.to_text(),
        }
    }
}

impl From<&IssuedCertificate> for CertificateAnswer {
    fn from(certificate: &IssuedCertificate) -> Self {
        Self { kind: certificate.kind.as_str(), serial: certificate.serial.to_string(), certificate: STANDARD.encode(&certificate.der) }
    }
}
