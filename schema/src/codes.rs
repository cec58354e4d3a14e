//! The small integers that rows hold for words, and their strict decoding.

use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason};
use chrono::{DateTime, SubsecRound, Utc};

use crate::fault::StoreFault;

/// `certificate.state`
pub(crate) const LIVE: i16 = 1;
/// `certificate.state`
pub(crate) const HELD: i16 = 2;
/// `certificate.state`
pub(crate) const REVOKED: i16 = 3;
/// `certificate.state`
pub(crate) const EXPIRED: i16 = 4;

/// `application.state`
pub(crate) const ACCEPTED: i16 = 1;
/// `application.state`
pub(crate) const ISSUED: i16 = 2;
/// `application.state`
pub(crate) const REFUSED: i16 = 3;

/// `card_state.state`
pub(crate) const CARD_GOOD: i16 = 1;
/// `card_state.state`
pub(crate) const CARD_REVOKED: i16 = 2;
/// `card_state.state`
pub(crate) const CARD_HELD: i16 = 3;

/// `crl.state`
pub(crate) const RESERVED: i16 = 1;
/// `crl.state`
pub(crate) const PUBLISHED: i16 = 2;

/// `log_leaf.absent`
pub(crate) const PURGED: i16 = 1;
/// `log_leaf.absent`
pub(crate) const LOST: i16 = 2;

pub(crate) fn kind_code(kind: CertificateKind) -> i16 {
    match kind {
        CertificateKind::Signature => 1,
        CertificateKind::Authentication => 2,
    }
}

pub(crate) fn kind(code: i16) -> Result<CertificateKind, StoreFault> {
    match code {
        1 => Ok(CertificateKind::Signature),
        2 => Ok(CertificateKind::Authentication),
        _ => Err(StoreFault::Corrupt("a certificate's kind")),
    }
}

pub(crate) fn reason(code: i16) -> Result<RevocationReason, StoreFault> {
    u8::try_from(code).ok().and_then(RevocationReason::from_code).ok_or(StoreFault::Corrupt("a revocation reason"))
}

/// A revocation of two columns that are both there or both not.
pub(crate) fn revocation(revoked_at: Option<i64>, code: Option<i16>) -> Result<Option<Revocation>, StoreFault> {
    match (revoked_at, code) {
        (None, None) => Ok(None),
        (Some(at), Some(code)) => Ok(Some(Revocation::new(time(at)?, reason(code)?))),
        _ => Err(StoreFault::Corrupt("half a revocation")),
    }
}

/// A certificate's revocation: the two columns, and since when it was invalid before that, if anybody said so.
pub(crate) fn certificate_revocation(
    revoked_at: Option<i64>,
    code: Option<i16>,
    invalidity_at: Option<i64>,
) -> Result<Option<Revocation>, StoreFault> {
    let invalidity = invalidity_at.map(time).transpose()?;
    match revocation(revoked_at, code)? {
        Some(revocation) => Ok(Some(Revocation { invalidity, ..revocation })),
        None if invalidity.is_none() => Ok(None),
        None => Err(StoreFault::Corrupt("invalid since a time, and not revoked")),
    }
}

/// A CRL shard's number.
pub(crate) fn shard(code: i16) -> Result<u16, StoreFault> {
    u16::try_from(code).map_err(|_| StoreFault::Corrupt("a CRL shard"))
}

/// A CRL shard's number as it is stored; the database refuses those beyond 4095.
pub(crate) fn shard_code(shard: u16) -> i16 {
    i16::try_from(shard).unwrap_or(i16::MAX)
}

pub(crate) fn time(milliseconds: i64) -> Result<DateTime<Utc>, StoreFault> {
    DateTime::from_timestamp_millis(milliseconds).ok_or(StoreFault::Corrupt("a time"))
}

/// Whole seconds, as revocation times are told to relying parties (RFC 5280 section 5.1.2.4).
pub(crate) fn whole_seconds(time: DateTime<Utc>) -> DateTime<Utc> {
    time.trunc_subsecs(0)
}

/// A count as it is stored.
pub(crate) fn stored(count: u64) -> Result<i64, StoreFault> {
    i64::try_from(count).map_err(|_| StoreFault::Misuse("a count beyond all bounds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_codes_are_corruption() {
        assert!(kind(0).is_err());
        assert!(reason(7).is_err());
        assert!(reason(-1).is_err());
        assert!(time(i64::MAX).is_err());
        assert!(revocation(Some(0), None).is_err());
        assert!(revocation(None, Some(1)).is_err());
        assert!(certificate_revocation(None, None, Some(0)).is_err());
        assert!(shard(-1).is_err());
    }
}
