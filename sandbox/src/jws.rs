//! JSON Web Signatures (RFC 7515) with ES256 in their compact form, and the public keys that go with them (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::keys::{Key, KeyFault};

/// A public key on P-256, as a JWKS has it; members that do not matter here are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `EC`
    pub kty: String,
    /// `P-256`
    pub crv: String,
    /// Its name in headers.
    pub kid: String,
    /// base64url of 32 octets.
    pub x: String,
    /// base64url of 32 octets.
    pub y: String,
}

/// A set of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// Header and payload, the signature on which is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The protected header.
    pub header: Value,
    /// The payload.
    pub payload: Value,
}

/// Not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsFault {
    /// Not three parts of base64url with JSON in the first two.
    #[error("not a compact JWS with JSON inside")]
    Structure,
    /// `alg` is not ES256, or the header demands something (`crit`).
    #[error("not signed with ES256 alone")]
    Algorithm,
    /// `kid` names none of the keys.
    #[error("signed with a key that nobody vouches for")]
    UnknownKey,
    /// The signature is not by that key.
    #[error("the signature is wrong")]
    Signature,
}

/// Signs; the key is on P-256.
pub fn sign(header: &Value, payload: &Value, key: &Key) -> Result<String, KeyFault> {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload.to_string()));
    let signature = key.sign_es256(signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Verifies with the key that the header names.
pub fn verify(text: &str, keys: &Jwks) -> Result<Verified, JwsFault> {
    let (signed, signature) = text.rsplit_once('.').ok_or(JwsFault::Structure)?;
    let (header, payload) = signed.split_once('.').ok_or(JwsFault::Structure)?;
    let json = |part: &str| {
        let octets = URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsFault::Structure)?;
        serde_json::from_slice::<Value>(&octets).map_err(|_| JwsFault::Structure)
    };
    let verified = Verified { header: json(header)?, payload: json(payload)? };
    if verified.header["alg"] != "ES256" || verified.header.get("crit").is_some() {
        return Err(JwsFault::Algorithm);
    }
    let key = keys.keys.iter().find(|key| verified.header["kid"] == key.kid.as_str() && key.kty == "EC" && key.crv == "P-256");
    let point = key.and_then(Jwk::point).ok_or(JwsFault::UnknownKey)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwsFault::Structure)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).map_err(|_| JwsFault::Signature)?;
    Ok(verified)
}

impl Jwk {
    /// The public half of a key on P-256 under a name; any other key makes one that verifies nothing.
    pub fn of(kid: &str, key: &Key) -> Self {
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(key.public_key().get(from..from + 32).unwrap_or_default());
        Self { kty: "EC".to_owned(), crv: "P-256".to_owned(), kid: kid.to_owned(), x: coordinate(1), y: coordinate(33) }
    }

    /// The uncompressed point: 4, x, y.
    fn point(&self) -> Option<Vec<u8>> {
        let (x, y) = (URL_SAFE_NO_PAD.decode(&self.x).ok()?, URL_SAFE_NO_PAD.decode(&self.y).ok()?);
        (x.len() == 32 && y.len() == 32).then(|| [vec![4], x, y].concat())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keys::KeyAlgorithm;

    #[test]
    fn what_was_signed_verifies_with_the_named_key_only() {
        let (key, other) = (Key::generate(KeyAlgorithm::P256).unwrap(), Key::generate(KeyAlgorithm::P256).unwrap());
        let text = sign(&json!({ "alg": "ES256", "kid": "a" }), &json!({ "n": 1 }), &key).unwrap();
        let keys = |key: &Key| Jwks { keys: vec![Jwk::of("a", key)] };
        assert_eq!(verify(&text, &keys(&key)).unwrap().payload, json!({ "n": 1 }));
        assert_eq!(verify(&text, &keys(&other)), Err(JwsFault::Signature));
        assert_eq!(verify(&text, &Jwks { keys: vec![Jwk::of("b", &key)] }), Err(JwsFault::UnknownKey));
        assert_eq!(verify("a.b", &keys(&key)), Err(JwsFault::Structure));
        let unsigned = sign(&json!({ "alg": "none", "kid": "a" }), &json!({}), &key).unwrap();
        assert_eq!(verify(&unsigned, &keys(&key)), Err(JwsFault::Algorithm));
    }
}
