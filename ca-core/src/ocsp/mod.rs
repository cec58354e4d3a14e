//! The structures of the Online Certificate Status Protocol (RFC 6960), strict DER, one structure a file.
//!
//! Two sides use them: the `ocsp` room answers for our own certificates, and the verification of a card reads the answers of the
//! card's CA. [`BasicOcspResponse`] and [`OcspRequest`] keep the signed octets as they came, for whoever verifies them.
//!
//! Asking about one certificate:
//!
//! ```
//! # use ca_core::ocsp::{CertId, CertIdHash, OcspRequest};
//! # use ca_core::serial::SerialNumber;
//! # use der::Encode;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (issuer_name_der, issuer_public_key) = (vec![0x30, 0x00], vec![4; 65]);
//! let id = CertId::new(CertIdHash::Sha256, &issuer_name_der, &issuer_public_key, &SerialNumber::from_hex("1234")?)?;
//! let request = OcspRequest::for_certificate(id, None)?;
//! let octets = request.to_der()?;
//! # assert_eq!(octets[0], 0x30);
//! # Ok(())
//! # }
//! ```

mod archive_cutoff;
mod basic_ocsp_response;
mod cert_id;
mod cert_status;
mod extended_revoke;
mod inquiry;
mod nonce;
mod ocsp_request;
mod ocsp_response;
mod ocsp_response_status;
pub mod oid;
mod request;
mod responder_id;
mod response_bytes;
mod response_data;
mod revoked_info;
mod signature;
mod signed_request;
mod single_response;
mod tbs_request;
mod witness;

#[cfg(test)]
mod tests;

pub use archive_cutoff::ArchiveCutoff;
pub use basic_ocsp_response::BasicOcspResponse;
pub use cert_id::{CertId, CertIdHash};
pub use cert_status::{CertStatus, UnknownInfo};
pub use extended_revoke::ExtendedRevoke;
pub use inquiry::{Inquiry, InquiryFault};
pub use nonce::{Nonce, NonceError};
pub use ocsp_request::OcspRequest;
pub use ocsp_response::{NotBasic, OcspResponse};
pub use ocsp_response_status::OcspResponseStatus;
pub use request::Request;
pub use responder_id::ResponderId;
pub use response_bytes::ResponseBytes;
pub use response_data::ResponseData;
pub use revoked_info::RevokedInfo;
pub use signature::Signature;
pub use signed_request::{RequestSignatureRefusal, SignedOcspRequest};
pub use single_response::SingleResponse;
pub use tbs_request::{TbsRequest, Version};
pub use witness::{StatusWitness, ToldStatus, WitnessFault};
