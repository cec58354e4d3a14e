//! How far back answers about ended certificates reach.

use chrono::{DateTime, Utc};
use der::asn1::{GeneralizedTime, OctetString};
use der::{Decode, Encode};
use x509_cert::ext::Extension;

use super::oid;
use crate::time::{from_generalized_time, to_generalized_time};

/// ArchiveCutoff (RFC 6960 section 4.4.4), a single extension: a certificate that ended after this moment is still answered for
/// as it stood.
///
/// ```text
/// id-pkix-ocsp-archive-cutoff  OBJECT IDENTIFIER ::= { id-pkix-ocsp 6 }
///
/// ArchiveCutoff ::= GeneralizedTime
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveCutoff(pub DateTime<Utc>);

impl ArchiveCutoff {
    /// The one among the extensions of an answer; `None` also if it cannot be read or stands there twice.
    pub fn among(extensions: &[Extension]) -> Option<Self> {
        let mut found = extensions.iter().filter(|extension| extension.extn_id == oid::ARCHIVE_CUTOFF);
        let extension = found.next().filter(|_| found.next().is_none())?;
        from_generalized_time(GeneralizedTime::from_der(extension.extn_value.as_bytes()).ok()?).map(Self)
    }

    /// The extension, not critical; the time in whole seconds.
    ///
    /// # Errors
    /// If the time lies before 1970 or after 9999.
    pub fn to_extension(self) -> der::Result<Extension> {
        let value = to_generalized_time(self.0)?.to_der()?;
        Ok(Extension { extn_id: oid::ARCHIVE_CUTOFF, critical: false, extn_value: OctetString::new(value)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_generalized_time_and_is_read_back() {
        let cutoff = ArchiveCutoff("2026-01-02T03:04:05Z".parse().unwrap());
        let extension = cutoff.to_extension().unwrap();
        assert_eq!(extension.extn_value.as_bytes(), b"\x18\x0f20260102030405Z");
        assert_eq!(ArchiveCutoff::among(std::slice::from_ref(&extension)), Some(cutoff));
        assert_eq!(ArchiveCutoff::among(&[extension.clone(), extension.clone()]), None);
        let utc_time = Extension { extn_value: OctetString::new(*b"\x17\x0d260102030405Z").unwrap(), ..extension };
        assert_eq!(ArchiveCutoff::among(&[utc_time]), None);
        assert!(ArchiveCutoff("1969-12-31T23:59:59Z".parse().unwrap()).to_extension().is_err());
    }
}
