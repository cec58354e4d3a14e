//! What stands between a list and the public.

use ca_core::issuer::Issuer;
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use ca_core::signer::{signature_algorithm, verify};
use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_ISSUING_DISTRIBUTION_POINT};
use der::asn1::UintRef;
use der::{Decode, Encode};
use schema::StoreFault;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

use crate::before::entry::RevokedCertificate;
use crate::before::list::{Heading, issuing_distribution_point};
use crate::before::read_back::ReadBack;

/// A list must not be published: it is not what it should be. Ours to find out why; the list before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum GateFault {
    /// The new list does not decode strictly.
    #[error("the new list does not read back")]
    Unreadable(#[source] der::Error),
    /// Another algorithm than that of the CA key, or a signature that does not verify.
    #[error("the new list's signature does not verify")]
    Signature,
    /// A field is not what was to be written.
    #[error("the new list's {0} is not what was to be written")]
    Field(&'static str),
    /// Entries are not in order, or one stands there twice.
    #[error("the new list's entries are out of order")]
    Order,
    /// Another number of entries than the store gave.
    #[error("the new list has {found} entries instead of {expected}")]
    Count {
        /// From the store.
        expected: u64,
        /// In the list.
        found: u64,
    },
    /// The list before does not decode: nothing to compare with.
    #[error("the list before does not read back")]
    PreviousUnreadable(#[source] der::Error),
    /// The new list's thisUpdate is before the last one's: a clock was set back.
    #[error("the new list would be older than the one before")]
    Older,
    /// A certificate on the list before is missing, has not expired long enough ago, and was not on a hold that was lifted.
    #[error("certificate {0} was on the list before and is not on the new one")]
    Missing(SerialNumber),
    /// A permanent revocation reads differently than on the list before, or a hold began earlier than was said there.
    #[error("the revocation of certificate {0} is not what it was on the list before")]
    Changed(SerialNumber),
    /// The store could not say how a missing certificate stands.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// How a certificate stands that the list before has and the new one has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It expired so long ago that no entry is needed, whatever became of it.
    LongExpired,
    /// It is neither revoked nor on hold.
    Free,
    /// It belongs on the list: it is revoked or on hold, or was never issued as far as the store knows.
    Listed,
}

/// Reads the new list back and compares it with what it should say and, entry by entry, with the list before.
///
/// `previous` is the DER of the list before. `standing` says how a certificate stands whose entry is missing now. Both lists are
/// walked side by side: neither is held in memory a second time.
///
/// # Errors
/// See [`GateFault`].
pub fn check(
    der: &[u8],
    issuer: &Issuer,
    heading: &Heading,
    entries: u64,
    previous: Option<&[u8]>,
    standing: impl FnMut(&SerialNumber) -> Result<Standing, StoreFault>,
) -> Result<(), GateFault> {
    let list = ReadBack::from_der(der).map_err(GateFault::Unreadable)?;
    check_signature(&list, issuer)?;
    check_heading(&list, issuer, heading)?;
    check_entries(&list, entries)?;
    match previous {
        Some(previous) => check_against(&list, previous, standing),
        None => Ok(()),
    }
}

fn check_signature(list: &ReadBack<'_>, issuer: &Issuer) -> Result<(), GateFault> {
    let key_type = issuer.signer().key_type();
    let by_our_key = verify(key_type, issuer.ca_key().subject_public_key(), list.tbs, &list.signature);
    if by_our_key && list.algorithm == signature_algorithm(key_type) { Ok(()) } else { Err(GateFault::Signature) }
}

fn check_heading(list: &ReadBack<'_>, issuer: &Issuer, heading: &Heading) -> Result<(), GateFault> {
    let ca_key = issuer.ca_key();
    let expect = |right: bool, field| if right { Ok(()) } else { Err(GateFault::Field(field)) };
    expect(list.issuer == ca_key.subject_name_der(), "issuer")?;
    expect(list.this_update == heading.this_update, "thisUpdate")?;
    expect(list.next_update == heading.next_update && list.this_update < list.next_update, "nextUpdate")?;

    let [identifier, number, distribution_point] = list.extensions.as_slice() else {
        return Err(GateFault::Field("set of extensions"));
    };
    let key_identifier = AuthorityKeyIdentifier::from_der(identifier.extn_value.as_bytes()).ok().and_then(|found| found.key_identifier);
    expect(
        identifier.extn_id == ID_CE_AUTHORITY_KEY_IDENTIFIER
            && !identifier.critical
            && key_identifier.is_some_and(|found| found.as_bytes() == ca_key.key_identifier().as_bytes()),
        "authorityKeyIdentifier",
    )?;
    let written = UintRef::from_der(number.extn_value.as_bytes()).map_err(GateFault::Unreadable)?;
    let reserved = heading.number.to_be_bytes();
    let reserved = &reserved[reserved.iter().position(|octet| *octet != 0).unwrap_or(7)..];
    expect(number.extn_id == ID_CE_CRL_NUMBER && !number.critical && written.as_bytes() == reserved, "cRLNumber")?;
    let point = issuing_distribution_point(ca_key).map_err(GateFault::Unreadable)?;
    expect(
        distribution_point.extn_id == ID_CE_ISSUING_DISTRIBUTION_POINT
            && distribution_point.critical
            && distribution_point.extn_value.as_bytes() == point,
        "issuingDistributionPoint",
    )
}

/// Strictly rising serial numbers, each entry one that we could have written, and as many as there should be.
fn check_entries(list: &ReadBack<'_>, expected: u64) -> Result<(), GateFault> {
    let mut found = 0;
    let mut last: Option<SerialNumber> = None;
    for entry in list.entries() {
        let entry = entry.map_err(GateFault::Unreadable)?;
        let serial = entry.serial().ok_or(GateFault::Field("serial number of an entry"))?;
        entry.revocation().ok_or(GateFault::Field("revocation of an entry"))?;
        if last.as_ref().is_some_and(|last| *last >= serial) {
            return Err(GateFault::Order);
        }
        last = Some(serial);
        found += 1;
    }
    if found == expected { Ok(()) } else { Err(GateFault::Count { expected, found }) }
}

fn check_against(
    list: &ReadBack<'_>,
    previous: &[u8],
    mut standing: impl FnMut(&SerialNumber) -> Result<Standing, StoreFault>,
) -> Result<(), GateFault> {
    let previous = ReadBack::from_der(previous).map_err(GateFault::PreviousUnreadable)?;
    if list.this_update < previous.this_update {
        return Err(GateFault::Older);
    }
    let mut present = list.entries().flatten().peekable();
    for before in previous.entries() {
        let before = before.map_err(GateFault::PreviousUnreadable)?;
        let Some(serial) = before.serial() else { return Err(GateFault::Field("entry of the list before")) };
        while present.next_if(|entry| entry.serial().is_some_and(|present| present < serial)).is_some() {}
        match present.next_if(|entry| entry.serial().as_ref() == Some(&serial)) {
            Some(now) => check_unchanged(&before, &now, serial)?,
            None => check_left(&before, serial, &mut standing)?,
        }
    }
    Ok(())
}

/// A permanent revocation never changes. A hold may become one, from its own date; if it was lifted meanwhile, whatever stands now
/// began later.
fn check_unchanged(before: &RevokedCertificate, now: &RevokedCertificate, serial: SerialNumber) -> Result<(), GateFault> {
    let unchanged = before.to_der().ok() == now.to_der().ok();
    let not_earlier = hold_of(before).zip(now.revocation()).is_some_and(|(hold, now)| hold.at <= now.at);
    if unchanged || not_earlier { Ok(()) } else { Err(GateFault::Changed(serial)) }
}

/// An entry leaves when its certificate has expired for long enough, or if it was a hold and the certificate is free of it. There is
/// no removeFromCRL for that: it belongs into delta CRLs (RFC 5280 section 5.3.1).
fn check_left(
    before: &RevokedCertificate,
    serial: SerialNumber,
    standing: &mut impl FnMut(&SerialNumber) -> Result<Standing, StoreFault>,
) -> Result<(), GateFault> {
    match standing(&serial)? {
        Standing::LongExpired => Ok(()),
        Standing::Free if hold_of(before).is_some() => Ok(()),
        Standing::Free | Standing::Listed => Err(GateFault::Missing(serial)),
    }
}

fn hold_of(entry: &RevokedCertificate) -> Option<Revocation> {
    entry.revocation().filter(|revocation| revocation.reason == RevocationReason::CertificateHold)
}
