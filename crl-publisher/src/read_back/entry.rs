//! Reading one entry.

use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use const_oid::db::rfc5280::{ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE};

use super::octets::{self, Values};
use schema::crl::ListedRevocation;

/// The content of an entry; `None` if it is none that is written here.
pub(super) fn read(content: &[u8]) -> Option<ListedRevocation> {
    let mut values = Values(content);
    let serial = octets::magnitude(values.take(octets::INTEGER)?)?;
    let serial = SerialNumber::from_magnitude(serial).ok()?;
    let at = octets::time(&mut values)?;
    let (reason, invalidity) = match values.take_if(octets::SEQUENCE)? {
        Some(extensions) => read_extensions(Values(extensions))?,
        None => (RevocationReason::Unspecified, None),
    };
    values.end()?;
    Some(ListedRevocation { serial, revocation: Revocation { at, reason, invalidity } })
}

/// At least one of reasonCode, which does not say unspecified, and invalidityDate, in that order.
fn read_extensions(mut values: Values<'_>) -> Option<(RevocationReason, Option<DateTime<Utc>>)> {
    let mut reason = RevocationReason::Unspecified;
    let (mut oid, mut value) = read_extension(&mut values)?;
    if oid == ID_CE_CRL_REASONS.as_bytes() {
        let &[code] = octets::only(value, octets::ENUMERATED)? else { return None };
        reason = RevocationReason::from_code(code).filter(|reason| *reason != RevocationReason::Unspecified)?;
        if values.is_empty() {
            return Some((reason, None));
        }
        (oid, value) = read_extension(&mut values)?;
    }
    values.end()?;
    if oid != ID_CE_INVALIDITY_DATE.as_bytes() {
        return None;
    }
    let invalidity = octets::generalized_time(octets::only(value, octets::GENERALIZED_TIME)?, 1970)?;
    Some((reason, Some(invalidity)))
}

/// Identifier and value of an extension that is not critical.
fn read_extension<'a>(values: &mut Values<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut fields = Values(values.take(octets::SEQUENCE)?);
    let oid = fields.take(octets::OBJECT_IDENTIFIER)?;
    let value = fields.take(octets::OCTET_STRING)?;
    fields.end()?;
    Some((oid, value))
}
