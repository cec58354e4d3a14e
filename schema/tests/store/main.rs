//! The store, on each database: `cargo nextest run -p schema --features testing`, and on PostgreSQL
//! `scripts/with-postgres cargo nextest run -p schema --features postgres,testing`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod applications;
mod audit_exports;
mod batches;
mod bulk;
mod cards;
mod cascade;
mod changes;
mod copies;
mod crls;
mod devices;
mod events;
#[cfg(feature = "postgres")]
mod grants;
mod histories;
mod instructions;
mod issuing;
mod leases;
mod leaves;
#[cfg(feature = "postgres")]
mod log_roles;
mod notices;
mod populations;
mod purges;
mod races;
mod reading;
mod restored;
#[cfg(feature = "postgres")]
mod roles;
mod schedules;
mod scopes;
mod searches;
mod serving;
mod snapshots;
mod statuses;
mod sweeps;
mod telling;
mod test_certificates;
mod upgrades;
mod versions;
mod writing;
