//! The high-water file: how far the store had come, kept each second outside of it and of its backups, so that a store that went
//! back is noticed.
//!
//! A restored database looks like any other: nothing in it tells that it has forgotten revocations. What only rises (the epoch, the
//! position of events, the numbers of published CRLs) is therefore written to files beside it, one at least on another disk or
//! machine; the highest of them counts. A store below its high-water mark *went back*: the CA role begins a new epoch in it, under
//! which nothing is issued and OCSP answers `tryLater`, until `tsunagi restore reconcile`.

mod file;
mod mark;
mod watch;

pub(crate) use self::file::{Found, HighWater, HighWaterFiles};
pub(crate) use self::mark::{CRL_NUMBER_GAP, Mark};
pub(crate) use self::watch::{StoreTrust, Watch, begin_epoch};
