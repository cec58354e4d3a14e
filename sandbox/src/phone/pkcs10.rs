//! PKCS#10 (RFC 2986) with the challenge as challengePassword (RFC 2985 section 5.4.1).

use crate::keys::{Key, KeyFault};
use crate::{asn1, names, oids};

/// The commonName of a report of a compromised key.
pub const KEY_COMPROMISE_NAME: &str = "This key is compromised";

/// A certification request to be; [`Self::new`] is right in every point.
#[derive(Debug)]
pub struct Pkcs10<'a> {
    /// The key asked about.
    pub key: &'a Key,
    /// The key that signs: the same, or the proof of possession fails.
    pub signing_key: &'a Key,
    /// challengePassword; left out if `None`.
    pub challenge: Option<&'a str>,
    /// The subject's commonName: the CA chooses its own.
    pub common_name: &'a str,
}

impl<'a> Pkcs10<'a> {
    /// A request for a key.
    pub fn new(key: &'a Key, challenge: &'a str) -> Self {
        Self { key, signing_key: key, challenge: Some(challenge), common_name: "phone" }
    }

    /// A report that this key is compromised: whoever can sign it has the key.
    pub fn key_compromise(key: &'a Key) -> Self {
        Self { key, signing_key: key, challenge: None, common_name: KEY_COMPROMISE_NAME }
    }
}

/// Signs the request, DER.
pub fn pkcs10(request: &Pkcs10<'_>) -> Result<Vec<u8>, KeyFault> {
    let attributes = request.challenge.map_or_else(Vec::new, |challenge| {
        asn1::sequence(&[asn1::oid(&oids::CHALLENGE_PASSWORD), asn1::set_of(vec![asn1::utf8(challenge)])])
    });
    let info = asn1::sequence(&[
        asn1::integer(0),
        names::name(&[(oids::COMMON_NAME, request.common_name)]),
        request.key.public_key_info().to_vec(),
        asn1::implicit_constructed(0, &attributes),
    ]);
    request.signing_key.seal(&info)
}
