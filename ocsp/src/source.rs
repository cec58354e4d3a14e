//! Where the status of a certificate is known.

use ca_core::issuer::CaKeyId;
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;

/// What became of a certificate that was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuedStatus {
    /// Neither revoked nor on hold; also one that has meanwhile expired, which anyone can see from the certificate.
    NotRevoked,
    /// Revoked, or on hold (then the reason is certificateHold).
    Revoked(Revocation),
}

/// Knows what became of certificates. The store is one; tests have a simpler one.
pub trait StatusSource {
    /// Why it could not say. Not to be mistaken for "never issued".
    type Fault: std::error::Error + Send + Sync + 'static;

    /// What became of the certificates that `ca_key` issued under `serials`, in that order; `None` where it issued none. Each
    /// status was true at some moment during the call.
    ///
    /// # Errors
    /// If it cannot say: then nothing is known of any of them.
    fn statuses(&self, ca_key: CaKeyId, serials: &[SerialNumber]) -> Result<Vec<Option<IssuedStatus>>, Self::Fault>;
}
