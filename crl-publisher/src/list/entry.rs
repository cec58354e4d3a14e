//! Writing one entry.

use ca_core::revocation::{CrlReason, RevocationReason};
use chrono::{DateTime, Utc};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE};

use super::der;
use schema::crl::ListedRevocation;

/// Appends an entry: some 40 octets, 81 at most. `None`, and no use for what was appended, if a time lies before 1970 or after 9999.
pub(super) fn append(to: &mut Vec<u8>, entry: &ListedRevocation) -> Option<()> {
    let start = to.len();
    // The length comes last: an entry's fits one octet.
    to.extend_from_slice(&[der::SEQUENCE, 0]);
    der::append_unsigned(to, entry.serial.as_bytes());
    der::append_time(to, entry.revocation.at)?;
    append_extensions(to, entry.revocation.reason, entry.revocation.invalidity)?;
    to[start + 1] = u8::try_from(to.len() - start - 2).ok()?;
    Some(())
}

/// ```text
/// CRLReason ::= ENUMERATED { … }
/// InvalidityDate ::=  GeneralizedTime
/// ```
fn append_extensions(to: &mut Vec<u8>, reason: RevocationReason, invalidity: Option<DateTime<Utc>>) -> Option<()> {
    let told = Some(reason).filter(|reason| *reason != RevocationReason::Unspecified);
    if told.is_none() && invalidity.is_none() {
        return Some(());
    }
    let start = to.len();
    to.extend_from_slice(&[der::SEQUENCE, 0]);
    if let Some(reason) = told {
        let value = [der::ENUMERATED, 1, CrlReason::from(reason) as u8];
        append_extension(to, &ID_CE_CRL_REASONS, value.len());
        to.extend_from_slice(&value);
    }
    if let Some(invalidity) = invalidity {
        append_extension(to, &ID_CE_INVALIDITY_DATE, 17);
        der::append_generalized_time(to, invalidity)?;
    }
    to[start + 1] = u8::try_from(to.len() - start - 2).ok()?;
    Some(())
}

/// Appends an extension that is not critical up to its value, of which there are to follow `length` octets.
fn append_extension(to: &mut Vec<u8>, oid: &ObjectIdentifier, length: usize) {
    let oid = oid.as_bytes();
    der::append_header(to, der::SEQUENCE, (2 + oid.len() + 2 + length) as u64);
    der::append(to, der::OBJECT_IDENTIFIER, oid);
    der::append_header(to, der::OCTET_STRING, length as u64);
}
