//! One entry of a list.

use ca_core::revocation::{CrlReason, Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use ca_core::time::{from_time, to_time};
use const_oid::db::rfc5280::ID_CE_CRL_REASONS;
use der::asn1::{Int, OctetString};
use der::{Decode, Encode, Sequence};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::time::Time;

/// An element of revokedCertificates (RFC 5280 section 5.1).
///
/// ```text
/// revokedCertificates     SEQUENCE OF SEQUENCE  {
///      userCertificate         CertificateSerialNumber,
///      revocationDate          Time,
///      crlEntryExtensions      Extensions OPTIONAL
///                                    -- if present, version MUST be v2
///                           }  OPTIONAL,
/// ```
///
/// The only extension that we write is reasonCode, left out when unspecified (RFC 5280 section 5.3.1); invalidityDate is nothing
/// that we know.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct RevokedCertificate {
    user_certificate: Int,
    revocation_date: Time,
    crl_entry_extensions: Option<Extensions>,
}

impl RevokedCertificate {
    /// An entry for a revoked or held certificate; the time in whole seconds.
    ///
    /// # Errors
    /// If the time lies before 1970 or after 9999.
    pub fn new(serial: &SerialNumber, revocation: &Revocation) -> der::Result<Self> {
        let extension = |reason: RevocationReason| {
            Ok::<_, der::Error>(vec![Extension {
                extn_id: ID_CE_CRL_REASONS,
                critical: false,
                extn_value: OctetString::new(CrlReason::from(reason).to_der()?)?,
            }])
        };
        let told = Some(revocation.reason).filter(|reason| *reason != RevocationReason::Unspecified);
        Ok(Self {
            user_certificate: Int::new(&serial.to_der_content())?,
            revocation_date: to_time(revocation.at)?,
            crl_entry_extensions: told.map(extension).transpose()?,
        })
    }

    /// The serial number; `None` if it is none that RFC 5280 allows.
    pub fn serial(&self) -> Option<SerialNumber> {
        let content = self.user_certificate.as_bytes();
        if content.first().is_none_or(|octet| octet & 0x80 != 0) {
            return None;
        }
        SerialNumber::from_magnitude(content).ok()
    }

    /// When and why; `None` if there is anything but a reasonCode that we could have written.
    pub fn revocation(&self) -> Option<Revocation> {
        let at = from_time(&self.revocation_date)?;
        let reason = match self.crl_entry_extensions.as_deref() {
            None => RevocationReason::Unspecified,
            Some([only]) if only.extn_id == ID_CE_CRL_REASONS && !only.critical => {
                let reason = CrlReason::from_der(only.extn_value.as_bytes()).ok()?.to_reason()?;
                // That one is told by leaving the extension out.
                Some(reason).filter(|reason| *reason != RevocationReason::Unspecified)?
            }
            Some(_) => return None,
        };
        Some(Revocation::new(at, reason))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    #[test]
    fn every_reason_survives_and_unspecified_leaves_no_extension() {
        let serial = SerialNumber::from_hex("80FF").unwrap();
        let at: DateTime<Utc> = "2049-12-31T23:59:59Z".parse().unwrap();
        for reason in RevocationReason::ALL {
            let entry = RevokedCertificate::new(&serial, &Revocation::new(at, reason)).unwrap();
            let read = RevokedCertificate::from_der(&entry.to_der().unwrap()).unwrap();
            assert_eq!(read.serial().unwrap(), serial);
            assert_eq!(read.revocation(), Some(Revocation::new(at, reason)));
            assert_eq!(read.crl_entry_extensions.is_none(), reason == RevocationReason::Unspecified);
        }
    }

    #[test]
    fn times_are_utc_time_through_2049_and_generalized_time_from_2050() {
        let serial = SerialNumber::from_hex("01").unwrap();
        let tag = |text: &str| {
            let revocation = Revocation::new(text.parse().unwrap(), RevocationReason::Unspecified);
            RevokedCertificate::new(&serial, &revocation).unwrap().to_der().unwrap()[5]
        };
        assert_eq!(tag("2049-12-31T23:59:59.999Z"), 0x17);
        assert_eq!(tag("2050-01-01T00:00:00Z"), 0x18);
    }
}
