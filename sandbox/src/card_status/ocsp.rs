//! The card CA's OCSP (RFC 6960). Questions are read by the x509-ocsp crate, answers are written by hand.

use chrono::{DateTime, Duration, Utc};
use der::asn1::ObjectIdentifier;
use ring::digest;
// x509-ocsp is of the der 0.7 generation, which rsa carries.
use rsa::pkcs8::der::{Decode as _, Encode as _};
use x509_ocsp::OcspRequest;

use crate::card_ca::CardCa;
use crate::keys::KeyFault;
use crate::reason::Reason;
use crate::{asn1, oids};

/// OCSPResponseStatus successful.
pub const SUCCESSFUL: u8 = 0;
/// OCSPResponseStatus malformedRequest.
pub const MALFORMED_REQUEST: u8 = 1;
/// OCSPResponseStatus internalError.
pub const INTERNAL_ERROR: u8 = 2;
/// OCSPResponseStatus unauthorized.
pub const UNAUTHORIZED: u8 = 6;

/// The hash in a CertID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CertIdHash {
    /// SHA-1, what most clients ask with.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl CertIdHash {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its object identifier.
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => oids::SHA1,
            Self::Sha256 => oids::SHA256,
            Self::Sha384 => oids::SHA384,
            Self::Sha512 => oids::SHA512,
        }
    }

    /// The digest of some octets.
    pub fn digest(self, content: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, content).as_ref().to_vec()
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspQuestion {
    /// At least one certificate.
    pub certificates: Vec<AskedCertificate>,
    /// The nonce extension's value: DER of the inner OCTET STRING, to be echoed.
    pub nonce: Option<Vec<u8>>,
}

/// One CertID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedCertificate {
    /// CertID as it was sent, DER, to be echoed.
    pub cert_id: Vec<u8>,
    /// Its hash; `None` if it is none of ours.
    pub hash: Option<CertIdHash>,
    /// issuerNameHash
    pub issuer_name_hash: Vec<u8>,
    /// issuerKeyHash
    pub issuer_key_hash: Vec<u8>,
    /// Serial number, unsigned big-endian without leading zeros.
    pub serial: Vec<u8>,
}

/// The question is no OCSPRequest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an OCSPRequest")]
pub struct UnreadableQuestion;

/// What is known about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardStatus {
    /// Issued, and not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// Since when.
        at: DateTime<Utc>,
        /// Why.
        reason: Reason,
    },
    /// Never issued.
    Unknown,
}

/// Reads an OCSPRequest of at most 16 certificates.
pub fn read_question(der: &[u8]) -> Result<OcspQuestion, UnreadableQuestion> {
    let request = OcspRequest::from_der(der).map_err(|_| UnreadableQuestion)?.tbs_request;
    if request.request_list.is_empty() || request.request_list.len() > 16 {
        return Err(UnreadableQuestion);
    }
    let certificates = request.request_list.iter().map(|asked| {
        let id = &asked.req_cert;
        let hash = CertIdHash::ALL.into_iter().find(|hash| hash.oid().as_bytes() == id.hash_algorithm.oid.as_bytes());
        let serial: Vec<u8> = id.serial_number.as_bytes().iter().copied().skip_while(|octet| *octet == 0).collect();
        Ok(AskedCertificate {
            cert_id: id.to_der().map_err(|_| UnreadableQuestion)?,
            hash,
            issuer_name_hash: id.issuer_name_hash.as_bytes().to_vec(),
            issuer_key_hash: id.issuer_key_hash.as_bytes().to_vec(),
            serial,
        })
    });
    let certificates = certificates.collect::<Result<Vec<_>, UnreadableQuestion>>()?;
    let extensions = request.request_extensions.unwrap_or_default();
    let nonce = extensions.iter().find(|extension| extension.extn_id.as_bytes() == oids::OCSP_NONCE.as_bytes());
    Ok(OcspQuestion { certificates, nonce: nonce.map(|extension| extension.extn_value.as_bytes().to_vec()) })
}

/// CertID with NULL parameters; `issuer_key` is the content of the issuer's public key BIT STRING.
pub fn cert_id(hash: CertIdHash, issuer_name: &[u8], issuer_key: &[u8], serial: &[u8]) -> Vec<u8> {
    asn1::sequence(&[
        asn1::sequence(&[asn1::oid(&hash.oid()), asn1::null()]),
        asn1::octet_string(&hash.digest(issuer_name)),
        asn1::octet_string(&hash.digest(issuer_key)),
        asn1::unsigned(serial),
    ])
}

/// A successful answer for CertIDs of one CA key, signed by its responder and valid from `at` for `validity`.
pub fn answer(
    ca: &CardCa,
    statuses: &[(Vec<u8>, CardStatus)],
    nonce: Option<&[u8]>,
    at: DateTime<Utc>,
    validity: Duration,
) -> Result<Vec<u8>, KeyFault> {
    let responder = ca.responder();
    let singles: Vec<Vec<u8>> = statuses
        .iter()
        .map(|(cert_id, status)| {
            let next_update = asn1::explicit(0, &asn1::generalized_time(at + validity));
            asn1::sequence(&[cert_id.clone(), encoded_status(*status), asn1::generalized_time(at), next_update])
        })
        .collect();
    let extensions =
        nonce.map_or_else(Vec::new, |nonce| asn1::explicit(1, &asn1::sequence(&[asn1::extension(&oids::OCSP_NONCE, false, nonce)])));
    let tbs = asn1::sequence(&[
        asn1::explicit(2, &asn1::octet_string(&responder.key.key_identifier())),
        asn1::generalized_time(at),
        asn1::sequence(&singles),
        extensions,
    ]);
    let signature = asn1::bit_string(&responder.key.sign(&tbs)?);
    let certificates = asn1::explicit(0, &asn1::sequence(&[&responder.certificate]));
    let basic = asn1::sequence(&[tbs, responder.key.signature_algorithm(), signature, certificates]);
    let bytes = asn1::sequence(&[asn1::oid(&oids::OCSP_BASIC), asn1::octet_string(&basic)]);
    Ok(asn1::sequence(&[asn1::enumerated(SUCCESSFUL), asn1::explicit(0, &bytes)]))
}

/// An unsigned answer that only says what went wrong.
pub fn error_answer(status: u8) -> Vec<u8> {
    asn1::sequence(&[asn1::enumerated(status)])
}

fn encoded_status(status: CardStatus) -> Vec<u8> {
    match status {
        CardStatus::Good => asn1::implicit_primitive(0, &[]),
        CardStatus::Revoked { at, reason } => {
            let reason = if reason == Reason::Unspecified { Vec::new() } else { asn1::explicit(0, &asn1::enumerated(reason.code())) };
            asn1::implicit_constructed(1, &[asn1::generalized_time(at), reason].concat())
        }
        CardStatus::Unknown => asn1::implicit_primitive(2, &[]),
    }
}
