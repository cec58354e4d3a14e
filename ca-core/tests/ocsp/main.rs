//! OCSP's structures: whatever we write is read again as what it was, by us and by another's reader; and nothing that is read makes a
//! reader panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod mutations;
mod requests;
mod responses;
mod values;
