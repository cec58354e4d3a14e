//! Where CA keys lie: each in an encrypted file, or on a token (PKCS #11) if the settings name one and there is no file.

use std::path::PathBuf;
use std::sync::Arc;
#[cfg(feature = "pkcs11")]
use std::sync::Mutex;

use ca_core::chain::Chain;
use ca_core::kind::CertificateKind;
use ca_core::signer::{FileSigner, Signer};
use policies::KeyType;
use secrecy::SecretString;

use crate::failure::Failure;
use crate::installation::read_passphrase;
use crate::settings::{Pkcs11Topic, Settings};

/// The CA keys that are at hand.
pub(crate) struct Vault {
    directory: PathBuf,
    passphrase: SecretString,
    token: Option<TokenKeys>,
}

/// Where a key lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// In this file.
    File(PathBuf),
    /// On the token of this label.
    Token(String),
}

impl Vault {
    /// The keys of the settings' directory and token. The token is not opened before a key is looked for there.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            directory: settings.path(&settings.ca.keys),
            passphrase: read_passphrase(&settings.path(&settings.ca.passphrase_file))?,
            token: settings.ca.pkcs11.as_ref().map(|topic| TokenKeys::new(settings, topic)).transpose()?,
        })
    }

    /// The key of a generation; `None` if it is not here.
    pub(crate) fn signer(&self, kind: CertificateKind, generation: u32) -> Result<Option<Arc<dyn Signer>>, Failure> {
        let file = self.file(kind, generation);
        if file.exists() {
            let signer = FileSigner::open(&file, &self.passphrase).map_err(|fault| Failure::settings(Chain(&fault).to_string()))?;
            return Ok(Some(Arc::new(signer)));
        }
        self.token.as_ref().map_or(Ok(None), |token| token.signer(&token_label(kind, generation)))
    }

    /// Where the key of a generation lies; `None` if it is not here.
    pub(crate) fn whereabouts(&self, kind: CertificateKind, generation: u32) -> Result<Option<Whereabouts>, Failure> {
        let file = self.file(kind, generation);
        if file.exists() {
            return Ok(Some(Whereabouts::File(file)));
        }
        let Some(token) = &self.token else { return Ok(None) };
        let there = token.signer(&token_label(kind, generation))?.is_some();
        Ok(there.then(|| Whereabouts::Token(token.name().to_owned())))
    }

    /// Makes the key of a generation: on the token if there is one, else in a file. None may be there yet.
    pub(crate) fn create(&self, kind: CertificateKind, generation: u32, key_type: KeyType) -> Result<Arc<dyn Signer>, Failure> {
        if let Some(there) = self.whereabouts(kind, generation)? {
            return Err(Failure::exists(format!(
                "{there} has a CA key {kind}-{generation} that the store does not know: left there by an attempt that failed, or the \
                 store is older than the key. It is never used again and never overwritten: take it away first"
            )));
        }
        if let Some(token) = &self.token {
            return token.create(&token_label(kind, generation), key_type);
        }
        let signer = FileSigner::generate(key_type).map_err(|fault| Failure::other(fault.to_string()))?;
        signer.save(&self.file(kind, generation), &self.passphrase).map_err(|fault| Failure::other(Chain(&fault).to_string()))?;
        Ok(Arc::new(signer))
    }

    /// Takes a key away again that was just made and came to nothing, as far as that goes.
    pub(crate) fn discard(&self, kind: CertificateKind, generation: u32) {
        let _ = std::fs::remove_file(self.file(kind, generation));
        if let Some(token) = &self.token {
            token.discard(&token_label(kind, generation));
        }
    }

    /// Where a CA key lies if it is a file.
    fn file(&self, kind: CertificateKind, generation: u32) -> PathBuf {
        self.directory.join(format!("ca-{kind}-{generation}.key.pem"))
    }
}

impl std::fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Token(label) => write!(f, "token {label}"),
        }
    }
}

/// What a CA key is called on a token.
fn token_label(kind: CertificateKind, generation: u32) -> String {
    format!("ca-{kind}-{generation}")
}

/// The keys on the token of the settings.
#[cfg(feature = "pkcs11")]
struct TokenKeys {
    place: ca_core::signer::pkcs11::TokenPlace,
    opened: Mutex<Option<ca_core::signer::pkcs11::Token>>,
}

#[cfg(feature = "pkcs11")]
impl TokenKeys {
    fn new(settings: &Settings, topic: &Pkcs11Topic) -> Result<Self, Failure> {
        let place = ca_core::signer::pkcs11::TokenPlace {
            module: settings.path(&topic.module),
            token: topic.token.clone(),
            pin: read_passphrase(&settings.path(&topic.pin_file))?,
            sessions: topic.sessions,
        };
        Ok(Self { place, opened: Mutex::new(None) })
    }

    fn name(&self) -> &str {
        &self.place.token
    }

    fn signer(&self, label: &str) -> Result<Option<Arc<dyn Signer>>, Failure> {
        let found = self.token()?.key(label).map_err(refused)?;
        Ok(found.map(|signer| Arc::new(signer) as Arc<dyn Signer>))
    }

    fn create(&self, label: &str, key_type: KeyType) -> Result<Arc<dyn Signer>, Failure> {
        Ok(Arc::new(self.token()?.create_key(label, key_type).map_err(refused)?))
    }

    fn discard(&self, label: &str) {
        if let Ok(token) = self.token()
            && let Ok(Some(signer)) = token.key(label)
        {
            let _ = signer.destroy();
        }
    }

    /// The token, opened once for all keys.
    fn token(&self) -> Result<ca_core::signer::pkcs11::Token, Failure> {
        let mut opened = self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(token) = &*opened {
            return Ok(token.clone());
        }
        let token = ca_core::signer::pkcs11::Token::open(self.place.clone()).map_err(refused)?;
        Ok(opened.insert(token).clone())
    }
}

#[cfg(feature = "pkcs11")]
fn refused(fault: ca_core::signer::pkcs11::Pkcs11Fault) -> Failure {
    Failure::settings(format!("ca.pkcs11: {}", Chain(&fault)))
}

/// This program has no way to tokens; the settings that name one are refused.
#[cfg(not(feature = "pkcs11"))]
enum TokenKeys {}

#[cfg(not(feature = "pkcs11"))]
impl TokenKeys {
    fn new(_: &Settings, _: &Pkcs11Topic) -> Result<Self, Failure> {
        Err(Failure::settings(crate::settings::WITHOUT_PKCS11))
    }

    fn name(&self) -> &str {
        match *self {}
    }

    fn signer(&self, _: &str) -> Result<Option<Arc<dyn Signer>>, Failure> {
        match *self {}
    }

    fn create(&self, _: &str, _: KeyType) -> Result<Arc<dyn Signer>, Failure> {
        match *self {}
    }

    fn discard(&self, _: &str) {
        match *self {}
    }
}
