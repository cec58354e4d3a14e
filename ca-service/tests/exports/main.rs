//! Exports for auditors: prepared from a store, checked against its log, and nothing believed that was changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../log/stage.rs"]
#[allow(dead_code, reason = "the stage of the tests of the log; not all of it is needed here")]
mod log_stage;

mod evidence;
mod preparing;
mod stage;
mod tampering;
