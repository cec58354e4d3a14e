//! A card-signed application: from bytes nobody vouches for to what a certificate may be issued on.

pub mod challenge;
pub mod refusal;
pub mod request;
pub mod statement;
pub mod verified;
pub mod verifier;

use const_oid::ObjectIdentifier;

/// The eContentType of an application's CMS SignedData: an OID of Tsunagi's own, so that a card signature given elsewhere
/// "as a document" is no application here.
pub const APPLICATION_CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.25.1953723758.1");

/// The row of an application in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationId(pub i64);

#[cfg(test)]
mod tests;
