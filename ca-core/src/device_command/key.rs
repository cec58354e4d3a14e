//! The key that signs commands to phones.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::SecondsFormat;
use der::asn1::UintRef;
use der::{Decode, Sequence};
use serde::Serialize;
use serde_json::json;

use super::{COMMAND_HEADER_TYPE, COMMAND_TYPE, DeviceCommand, jws};
use crate::digest::Sha256Digest;
use crate::key::{PublicKey, PublicKeyKind};
use crate::signer::{KeyType, Signer, SignerFault};

/// A key on P-256 that signs commands and nothing else. Phones know its public half.
#[derive(Clone)]
pub struct CommandKey {
    signer: Arc<dyn Signer>,
    public_key: PublicKey,
    key_id: String,
}

/// Why a key cannot sign commands: a mistake in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandKeyFault {
    /// Not on P-256.
    #[error("the key for device commands is not on P-256")]
    NotP256,
}

impl CommandKey {
    /// Takes a key on P-256.
    pub fn new(signer: Arc<dyn Signer>) -> Result<Self, CommandKeyFault> {
        if signer.key_type() != KeyType::EcdsaP256 {
            return Err(CommandKeyFault::NotP256);
        }
        let public_key = PublicKey::from_der(signer.public_key_info()).map_err(|_| CommandKeyFault::NotP256)?;
        let key_id = Sha256Digest::of(signer.public_key_info()).to_string();
        Ok(Self { signer, public_key, key_id })
    }

    /// What it is called: the SHA-256 of its SubjectPublicKeyInfo, in lower-case hexadecimal.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Its public half: SubjectPublicKeyInfo in DER.
    pub fn public_key_info(&self) -> &[u8] {
        self.signer.public_key_info()
    }

    /// Signs a command: a JWS in the compact form.
    pub fn sign(&self, command: &DeviceCommand) -> Result<String, SignerFault> {
        let time = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let header = json!({ "alg": "ES256", "kid": self.key_id, "typ": COMMAND_HEADER_TYPE });
        let payload = json!({
            "type": COMMAND_TYPE,
            "command": command.command,
            "device": command.device,
            "action": command.action.as_str(),
            "certificates": command.certificates,
            "issued_at": time(command.issued_at),
            "expires_at": time(command.expires_at),
        });
        let signed = jws::signing_input(&header.to_string(), &payload.to_string());
        let signature = fixed_length(&self.signer.sign(signed.as_bytes())?).ok_or(SignerFault::WrongSignature)?;
        self.public_key.verify_es256(signed.as_bytes(), &signature).map_err(|_| SignerFault::WrongSignature)?;
        Ok(jws::with_signature(&signed, &signature))
    }
}

/// ```text
/// ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }
/// ```
/// RFC 3279 section 2.2.3.
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// r and s of 32 octets each (RFC 7518 section 3.4), from the DER that signers give.
pub(super) fn fixed_length(der: &[u8]) -> Option<[u8; 64]> {
    let EcdsaSignature { r, s } = EcdsaSignature::from_der(der).ok()?;
    let mut octets = [0; 64];
    for (number, end) in [(r, 32), (s, 64)] {
        let magnitude = number.as_bytes();
        let begin = end - Some(magnitude.len()).filter(|length| *length <= 32)?;
        octets[begin..end].copy_from_slice(magnitude);
    }
    Some(octets)
}

/// The public half of a command key as a JSON Web Key (RFC 7517, RFC 7518 section 6.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    /// "EC"
    pub kty: &'static str,
    /// "P-256"
    pub crv: &'static str,
    /// "ES256"
    pub alg: &'static str,
    /// "sig"
    pub r#use: &'static str,
    /// What the key is called in the headers of commands.
    pub kid: String,
    /// The point's x in base64url: 43 characters.
    pub x: String,
    /// The point's y, the same.
    pub y: String,
}

impl PublicJwk {
    /// From the key's name and its SubjectPublicKeyInfo in DER; `None` if that is no key on P-256.
    pub fn new(key_id: &str, public_key_info: &[u8]) -> Option<Self> {
        let key = PublicKey::from_der(public_key_info).ok().filter(|key| *key.kind() == PublicKeyKind::P256)?;
        // 4, x, y: an uncompressed point.
        let coordinate = |range| key.octets().get(range).map(|octets: &[u8]| URL_SAFE_NO_PAD.encode(octets));
        Some(Self {
            kty: "EC",
            crv: "P-256",
            alg: "ES256",
            r#use: "sig",
            kid: key_id.to_owned(),
            x: coordinate(1..33)?,
            y: coordinate(33..65)?,
        })
    }
}
