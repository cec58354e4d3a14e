//! Who answers.

use der::Choice;
use der::asn1::OctetString;
use x509_cert::name::Name;

use crate::digest::sha1;

/// ResponderID (RFC 6960 section 4.2.1).
///
/// ```text
/// ResponderID ::= CHOICE {
///     byName              [1] Name,
///     byKey               [2] KeyHash }
///
/// KeyHash ::= OCTET STRING -- SHA-1 hash of responder's public key
///                          -- (i.e., the SHA-1 hash of the value of the
///                          -- BIT STRING subjectPublicKey [excluding
///                          -- the tag, length, and number of unused
///                          -- bits] in the responder's certificate)
/// ```
///
/// The module's tags are EXPLICIT (RFC 6960 appendix B.1).
#[derive(Clone, Debug, PartialEq, Eq, Choice)]
pub enum ResponderId {
    /// The subject of the responder's certificate.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", constructed = "true")]
    ByName(Name),
    /// SHA-1 of the responder's key: 20 octets.
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    ByKey(OctetString),
}

impl ResponderId {
    /// Names the responder by its key: the content octets of its subjectPublicKey BIT STRING.
    ///
    /// # Errors
    /// None in practice: 20 octets are not too long for DER.
    pub fn by_key(public_key: &[u8]) -> der::Result<Self> {
        OctetString::new(sha1(public_key).to_vec()).map(Self::ByKey)
    }

    /// Whether this names a responder with that subject and that key.
    pub fn names(&self, subject: &Name, public_key: &[u8]) -> bool {
        match self {
            Self::ByName(name) => name == subject,
            Self::ByKey(hash) => hash.as_bytes() == sha1(public_key),
        }
    }
}
