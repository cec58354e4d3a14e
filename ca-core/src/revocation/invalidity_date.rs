//! Since when a certificate has been invalid, as CRL entries and OCSP answers write it.

use chrono::{DateTime, Utc};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::ID_CE_INVALIDITY_DATE;
use der::asn1::{GeneralizedTime, OctetString};
use der::{Decode, Encode};
use x509_cert::ext::Extension;

use crate::time::{from_generalized_time, to_generalized_time};

/// InvalidityDate (RFC 5280 section 5.3.2): when the private key is known or suspected to have been compromised, or the
/// certificate otherwise became invalid. An extension of a CRL entry, and of a single answer of OCSP (RFC 6960 section 4.4.5).
///
/// ```text
/// id-ce-invalidityDate OBJECT IDENTIFIER ::= { id-ce 24 }
///
/// InvalidityDate ::=  GeneralizedTime
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidityDate(pub DateTime<Utc>);

/// The extension is no invalidity date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the invalidityDate is no GeneralizedTime in Zulu and whole seconds, or stands there twice")]
pub struct InvalidityDateError;

impl InvalidityDate {
    /// id-ce-invalidityDate.
    pub const OID: ObjectIdentifier = ID_CE_INVALIDITY_DATE;

    /// The one among the extensions of a CRL entry or an answer.
    ///
    /// # Errors
    /// If it cannot be read or stands there twice.
    pub fn among(extensions: &[Extension]) -> Result<Option<Self>, InvalidityDateError> {
        let mut found = extensions.iter().filter(|extension| extension.extn_id == Self::OID);
        let Some(extension) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(InvalidityDateError);
        }
        let time = GeneralizedTime::from_der(extension.extn_value.as_bytes()).map_err(|_| InvalidityDateError)?;
        from_generalized_time(time).map(|at| Some(Self(at))).ok_or(InvalidityDateError)
    }

    /// The extension, not critical; the time in whole seconds.
    ///
    /// # Errors
    /// If the time lies before 1970 or after 9999.
    pub fn to_extension(self) -> der::Result<Extension> {
        let value = to_generalized_time(self.0)?.to_der()?;
        Ok(Extension { extn_id: Self::OID, critical: false, extn_value: OctetString::new(value)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_generalized_time_also_before_2050_and_is_read_back() {
        let date = InvalidityDate("2026-01-02T03:04:05Z".parse().unwrap());
        let extension = date.to_extension().unwrap();
        assert_eq!(extension.to_der().unwrap(), b"\x30\x18\x06\x03\x55\x1d\x18\x04\x11\x18\x0f20260102030405Z");
        assert_eq!(InvalidityDate::among(std::slice::from_ref(&extension)), Ok(Some(date)));
        assert_eq!(InvalidityDate::among(&[]), Ok(None));
        assert_eq!(InvalidityDate::among(&[extension.clone(), extension.clone()]), Err(InvalidityDateError));
        let utc_time = Extension { extn_value: OctetString::new(*b"\x17\x0d260102030405Z").unwrap(), ..extension };
        assert_eq!(InvalidityDate::among(&[utc_time]), Err(InvalidityDateError));
    }
}
