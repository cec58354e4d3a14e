//! The publisher over a real store.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crashes;
mod evidence;
mod house;
mod leading;
mod schedule;
#[path = "../support/mod.rs"]
mod support;
