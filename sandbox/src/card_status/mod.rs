//! What the card CA says about its certificates: OCSP answers and CRLs partitioned per municipality.

mod crl;
mod ocsp;

pub use crl::{RevokedCertificate, crl};
pub use ocsp::{
    AskedCertificate, CardStatus, CertIdHash, INTERNAL_ERROR, MALFORMED_REQUEST, OcspQuestion, SUCCESSFUL, UNAUTHORIZED,
    UnreadableQuestion, answer, cert_id, error_answer, read_question,
};
