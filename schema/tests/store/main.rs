//! The store, on each database: `cargo nextest run -p schema --features testing`, and on PostgreSQL
//! `scripts/with-postgres cargo nextest run -p schema --features postgres,testing`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod applications;
mod cascade;
mod crls;
mod events;
#[cfg(feature = "postgres")]
mod grants;
mod issuing;
mod leases;
mod reading;
mod statuses;
mod versions;
mod writing;
