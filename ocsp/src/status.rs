//! What became of a certificate, as it is remembered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ca_core::revocation::Revocation;
use chrono::{DateTime, Utc};
use schema::event::EventPosition;
use schema::status::CertificateStatus;

/// What became of a certificate, or of a serial number that is none's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What is told.
    pub told: Told,
    /// When its validity ends, if that is known.
    pub not_after: Option<DateTime<Utc>>,
}

/// What is told of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Neither revoked nor on hold; also of one that has meanwhile expired, which anyone can see from the certificate.
    Good,
    /// Revoked, or on hold (then the reason is certificateHold).
    Revoked(Revocation),
    /// The CA key issued no certificate of this serial number.
    NeverIssued,
}

impl Status {
    /// Of a serial number that was never given out.
    pub const NEVER_ISSUED: Self = Self { told: Told::NeverIssued, not_after: None };

    /// As the store has it.
    pub fn of(stored: Option<CertificateStatus>) -> Self {
        stored.map_or(Self::NEVER_ISSUED, |stored| Self {
            told: stored.revocation.map_or(Told::Good, Told::Revoked),
            not_after: Some(stored.not_after),
        })
    }
}

/// A status that was read at a position, for as long as nothing is known to have changed since.
#[derive(Debug)]
pub struct StatusEntry {
    status: Status,
    position: EventPosition,
    /// Since when it is kept: ticks.
    kept_at: AtomicU64,
    alive: AtomicBool,
}

impl StatusEntry {
    /// As it was at `position`, alive.
    pub fn new(status: Status, position: EventPosition) -> Self {
        Self { status, position, kept_at: AtomicU64::new(0), alive: AtomicBool::new(true) }
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The position of the snapshot that it was read from.
    pub fn position(&self) -> EventPosition {
        self.position
    }

    /// It is kept from `tick` on.
    pub(crate) fn keep_from(&self, tick: u64) {
        self.kept_at.store(tick, Ordering::Relaxed);
    }

    /// Since when it is kept: ticks.
    pub(crate) fn kept_at(&self) -> u64 {
        self.kept_at.load(Ordering::Relaxed)
    }

    /// Whether it may still be told. An entry never lives again.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// It changed, or can no longer be found by whoever would learn that it did.
    pub fn kill(&self) {
        self.alive.store(false, Ordering::Release);
    }
}
