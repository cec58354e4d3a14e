//! The rules, as data: what each certificate looks like, what an application must bring, how a certificate's life runs, and the
//! lints that prove every certificate against both RFC 5280 and the practice statement before it is signed.
//!
//! A policy is a TOML document. It is read strictly (an unknown key is an error), its fields are checked against each other,
//! and the SHA-256 of its text is kept with it, so that each certificate can say by which rules it was issued. One set of
//! documents is shipped inside the program ([`Policies::shipped`]); another can be read from a directory of the same layout
//! ([`Policies::load`]).
//!
//! No keys here, and no reading or writing but that of the documents.

mod application;
mod authority;
mod document;
mod key;
mod lifecycle;
pub mod lint;
mod name;
mod profile;
mod reason;
mod responder;
mod set;
mod usage;

pub use application::{ApplicationPolicy, CardRules, ChallengePolicy, EvidencePolicy};
pub use authority::AuthorityProfile;
pub use document::PolicyFault;
pub use key::{Curve, KeyPolicy, KeyType};
pub use lifecycle::{CardEffects, Effect, HoldRules, LifecyclePolicy, RevokedEffect};
pub use name::{AttributeKind, NameAttribute, OPAQUE_ALPHABET};
pub use profile::{CertificatePolicy, Profile, ProfileKind, SubjectTemplate, ValidityEnd, ValidityRule};
pub use reason::{RevocationReason, UnknownReason};
pub use responder::ResponderProfile;
pub use set::{PRACTICE_STATEMENT, Policies, shipped};
pub use usage::KeyUsageBit;
