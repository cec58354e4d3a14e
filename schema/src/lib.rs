//! The store: tables, migrations for SQLite and PostgreSQL, and queries by topic.
//!
//! A [`Database`] gives out [`Reader`]s, which cannot write, and [`Writer`]s, whose writes are grouped: a thread takes what has
//! gathered, runs it in one transaction, in which a piece that fails is undone alone, and answers when that is on disk.
//! Every change of state leaves an event in the same transaction; the events' positions have no gaps and rise in the order
//! of commits, so whoever follows them with a cursor misses nothing.
//!
//! Nothing is decided here but what a constraint can decide: whether a challenge was redeemed, a key certified, a card
//! revoked, a holder already served. Stored rows are not trusted: what does not decode is a [`StoreFault`], never a panic.

pub mod application;
pub mod audit_export;
pub mod authority;
pub mod batch;
pub mod beacon;
pub mod card;
pub mod card_event;
mod cascade;
pub mod certificate;
mod challenge;
pub mod change;
pub mod channel;
mod codes;
pub mod command_key;
mod connection;
pub mod copy;
pub mod crl;
pub mod database;
mod database_clock;
mod deferred_instruction;
mod deferred_lift;
pub mod device;
pub mod device_command;
pub mod epoch;
pub mod event;
pub mod examination;
pub mod fault;
pub mod follower;
pub mod forgotten;
pub mod generation;
#[cfg(feature = "postgres")]
pub mod grants;
pub mod history;
pub mod hold;
pub mod instruction;
pub mod intent;
pub mod issuance;
pub mod latency;
pub mod lease;
mod location;
pub mod log;
pub mod log_health;
pub mod lookup;
mod migrations;
pub mod notice;
pub mod purge;
pub mod reader;
pub mod rejection;
pub mod schedule;
pub mod search;
pub mod second_look;
mod settings_topic;
mod sql;
pub mod status;
pub mod status_change;
pub mod test_certificate;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transaction;
pub mod wake;
pub mod writer;

pub use database::{Database, OpenOptions};
pub use event::{Event, EventKind, EventPosition, NewEvent};
pub use fault::{StoreFault, WriteError};
pub use reader::Reader;
pub use transaction::Transaction;
pub use wake::Wake;
pub use writer::{Pending, Writer};
