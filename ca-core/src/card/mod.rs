//! Card certificates: what they are, which CAs issue them, and whether they still stand.

pub mod authority;
pub mod certificate;
pub mod identity;
pub mod path;
pub mod status;
