//! What changed of certificates' statuses, for those who keep what they have read.

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::codes;
use crate::connection::Session;
use crate::event::{self, EventKind, EventPosition};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;

/// So many positions are passed in one look at most.
const SPAN: i64 = 65_536;

/// What happened to a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusChangeKind {
    /// It was issued: until then its serial number was none.
    Issued,
    /// It went on hold.
    Held,
    /// On hold, it has one more cause for it: its status stays.
    HoldAdded,
    /// On hold, it has one cause less: its status stays.
    HoldLifted,
    /// The last cause is gone: it is live again.
    Released,
    /// It was revoked.
    Revoked,
    /// Its end had come.
    Expired,
}

/// A change of one certificate's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// Its event's place.
    pub position: EventPosition,
    /// When it was committed, by the clock of who did it.
    pub at: DateTime<Utc>,
    /// The key that signed the certificate.
    pub ca_key: CaKeyId,
    /// The certificate's serial number.
    pub serial: SerialNumber,
    /// The CRL shard that it names.
    pub shard: u16,
    /// What happened.
    pub kind: StatusChangeKind,
    /// Whether it is a test certificate, which nobody holds.
    pub is_test: bool,
    /// Why it is revoked or held at the time of reading, if it is: of a revocation, its reason, which is for ever.
    pub reason: Option<RevocationReason>,
}

impl Reader {
    /// The status changes after a position, in order; `limit` at most. With them, the position up to which there are no others:
    /// `position` itself where nothing has happened since, and less than the store's where one look was not enough.
    pub fn status_changes_after(&self, position: EventPosition, limit: u32) -> Result<(Vec<StatusChange>, EventPosition), StoreFault> {
        self.read(|session| changes_after(session, position, limit))
    }

    /// The same for those who remember what stood at `position` (see [`Self::store_state_since`]): with what stands at the position up to
    /// which there are no others. `None` if another event stands at `position`, or none: then these are not the events that follow it.
    #[expect(clippy::type_complexity, reason = "the changes, and what the next call begins with")]
    pub fn status_changes_following(
        &self,
        (position, remembered): (EventPosition, Option<Sha256Digest>),
        limit: u32,
    ) -> Result<Option<(Vec<StatusChange>, (EventPosition, Option<Sha256Digest>))>, StoreFault> {
        // All on one connection, so that all is said by one server.
        self.read(|session| {
            if event::digest_at(session, position)? != remembered {
                return Ok(None);
            }
            let (changes, until) = changes_after(session, position, limit)?;
            Ok(Some((changes, (until, event::digest_at(session, until)?))))
        })
    }
}

fn changes_after(session: &mut Session, position: EventPosition, limit: u32) -> Result<(Vec<StatusChange>, EventPosition), StoreFault> {
    // Read first: whatever has a position up to this one is committed, and seen by what is read next.
    let until = event::position(session)?.0.min(position.0.saturating_add(SPAN));
    let changes = sql("SELECT e.position, e.at, c.ca_key_id, c.serial, c.shard, e.kind, c.reason, \
                 CASE WHEN EXISTS (SELECT 1 FROM test_certificate AS t WHERE t.certificate_id = c.id) THEN 1 ELSE 0 END FROM event AS e \
                 CROSS JOIN certificate AS c WHERE e.position > ? AND e.position <= ? AND c.id = e.certificate_id \
                 AND e.kind IN ('certificate.issued', 'certificate.held', 'certificate.hold_added', 'certificate.hold_lifted', \
                 'certificate.released', 'certificate.revoked', 'certificate.expired') ORDER BY e.position LIMIT ?")
    .bind(position.0)
    .bind(until)
    .bind(i64::from(limit))
    .rows(session, |row| {
        Ok(StatusChange {
            position: EventPosition(row.big()?),
            at: row.time()?,
            ca_key: CaKeyId(row.int()?),
            serial: row.serial()?,
            shard: codes::shard(row.small()?)?,
            kind: kind(&row.text()?)?,
            reason: row.optional_small()?.map(codes::reason).transpose()?,
            is_test: row.int()? == 1,
        })
    })?;
    let is_full = changes.len() >= limit as usize;
    let until = changes.last().filter(|_| is_full).map_or(EventPosition(until.max(position.0)), |last| last.position);
    Ok((changes, until))
}

fn kind(word: &str) -> Result<StatusChangeKind, StoreFault> {
    Ok(match EventKind::from_word(word) {
        EventKind::CertificateIssued => StatusChangeKind::Issued,
        EventKind::CertificateHeld => StatusChangeKind::Held,
        EventKind::CertificateHoldAdded => StatusChangeKind::HoldAdded,
        EventKind::CertificateHoldLifted => StatusChangeKind::HoldLifted,
        EventKind::CertificateReleased => StatusChangeKind::Released,
        EventKind::CertificateRevoked => StatusChangeKind::Revoked,
        EventKind::CertificateExpired => StatusChangeKind::Expired,
        _ => return Err(StoreFault::Corrupt("an event's kind")),
    })
}
