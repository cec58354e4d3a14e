//! The witness's key, and what it signs (C2SP tlog-cosignature, Ed25519).

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use signed_note::{Signature, Verifier, is_key_name_valid, key_id};

use super::WitnessFault;
use crate::pem;

/// The signature type of cosignatures.
const COSIGNATURE: u8 = 4;

/// A witness's name and key.
pub struct Cosigner {
    name: String,
    pair: Ed25519KeyPair,
}

impl Cosigner {
    /// Reads the key, or makes one if there is none.
    pub fn open(path: &Path, name: &str) -> Result<Self, WitnessFault> {
        if !is_key_name_valid(name) || name.chars().any(char::is_control) {
            return Err(WitnessFault::Name(name.to_owned()));
        }
        let unusable = || WitnessFault::Key(path.to_owned());
        if !path.exists() {
            let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| WitnessFault::Signing)?;
            pem::write_secret(path, pem::encode(pem::PRIVATE_KEY, made.as_ref())).map_err(|_| unusable())?;
        }
        let pkcs8 = pem::read(path, pem::PRIVATE_KEY).map_err(|_| unusable())?;
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| unusable())?;
        Ok(Self { name: name.to_owned(), pair })
    }

    /// The verifier key that others know the witness by.
    pub fn vkey(&self) -> String {
        format!("{}+{:08x}+{}", self.name, self.key_id(), STANDARD.encode(self.typed_key()))
    }

    /// Cosigns the text of a checkpoint, with the time of this machine.
    pub fn cosign(&self, text: &[u8]) -> Result<Signature, WitnessFault> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| WitnessFault::Signing)?.as_secs();
        let signature = self.pair.sign(&message(seconds, text));
        let octets = [seconds.to_be_bytes().as_slice(), signature.as_ref()].concat();
        Signature::new(self.name.clone(), self.key_id(), octets).map_err(|_| WitnessFault::Signing)
    }

    fn typed_key(&self) -> Vec<u8> {
        [[COSIGNATURE].as_slice(), self.pair.public_key().as_ref()].concat()
    }
}

impl Verifier for Cosigner {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        key_id(&self.name, &self.typed_key())
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let Some((seconds, signature)) = signature.split_first_chunk() else { return false };
        let message = message(u64::from_be_bytes(*seconds), text);
        UnparsedPublicKey::new(&ED25519, self.pair.public_key().as_ref()).verify(&message, signature).is_ok()
    }
}

impl std::fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cosigner").field("name", &self.name).finish_non_exhaustive()
    }
}

fn message(seconds: u64, text: &[u8]) -> Vec<u8> {
    [format!("cosignature/v1\ntime {seconds}\n").as_bytes(), text].concat()
}
