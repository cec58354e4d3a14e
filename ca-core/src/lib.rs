//! The domain of Tsunagi: card applications and their verification, certificate templates and issuance, the life of a
//! certificate after that, signed instructions, commands to phones, signers, issuers and their key generations.
//!
//! Nothing here speaks HTTP or SQL or runs an async runtime. Whatever comes from outside is an *unverified* type until one
//! function has turned it into a *verified* one; whatever is signed was linted and recorded first, because the types allow
//! nothing else.

pub mod application;
pub mod card;
pub mod chain;
pub mod clock;
pub mod device_command;
pub mod digest;
pub mod instruction;
pub mod issuance;
pub mod issuer;
pub mod key;
pub mod kind;
pub mod lifecycle;
pub mod message;
pub mod ocsp;
pub mod pseudonym;
pub mod refusal;
pub mod revocation;
pub mod serial;
pub mod signed_object;
pub mod signer;
pub mod time;

#[cfg(test)]
mod workshop;
