//! Lists as they are written, as they are read back, and the gate that they must pass.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod encoding;
mod house;
mod judges;
mod mutations;
mod oracle;
mod previous;
mod status;
#[path = "../support/mod.rs"]
mod support;
