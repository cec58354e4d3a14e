//! Issuers: CA keys, what is known about them publicly, and what they issue by.

mod authority;
mod ca_key;
mod distribution_point;
mod responder;
mod rules;

pub use authority::{CaCertificateFault, create_ca_certificate};
pub use ca_key::{CaKey, CaKeyFault, CaKeyId, CaUrls};
pub use distribution_point::DistributionPoint;
pub use responder::{ResponderFault, create_responder_certificate};
pub use rules::{Issuer, IssuerFault};
pub(crate) use rules::{encode_name, extension, key_usage};

use policies::ProfileKind;

use crate::kind::CertificateKind;

impl From<CertificateKind> for ProfileKind {
    fn from(kind: CertificateKind) -> Self {
        match kind {
            CertificateKind::Signature => Self::Signature,
            CertificateKind::Authentication => Self::Authentication,
        }
    }
}
