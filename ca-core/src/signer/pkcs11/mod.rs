//! Keys on a token: a hardware security module, or a program that acts as one, reached by PKCS #11 (OASIS, version 2.40).
//!
//! Messages are hashed here, so that a token need have no mechanism but CKM_ECDSA and CKM_RSA_PKCS.

mod key;
mod pool;

use std::path::PathBuf;
use std::sync::Arc;

use cryptoki::error::Error;
use secrecy::SecretString;

pub use self::key::Pkcs11Signer;
use self::pool::Pool;
use super::KeyType;

/// Where keys lie that are no files.
#[derive(Debug, Clone)]
pub struct TokenPlace {
    /// The token's PKCS #11 library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The user's PIN.
    pub pin: SecretString,
    /// How many sessions sign at the same time at most.
    pub sessions: u32,
}

/// A token that is logged in to. What is lost on the way to it (a session, the token for a while) is opened again by whoever
/// signs next.
#[derive(Clone)]
pub struct Token {
    pool: Arc<Pool>,
}

/// A key on a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Pkcs11Fault {
    /// The library does not load.
    #[error("the PKCS #11 library {path} does not load")]
    Module {
        /// The library.
        path: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// There is no token, or there are several, with this label.
    #[error("there is no token labelled {0:?}, or more than one")]
    NoToken(String),
    /// The token does not take the PIN. It is not shown a second time: each wrong one brings the token nearer to locking.
    #[error("the token does not take the PIN; it is not tried again before a restart")]
    Pin,
    /// No key of that label.
    #[error("there is no key {0} on the token")]
    NoKey(String),
    /// Several keys of that label: none of them is taken.
    #[error("there is more than one key {0} on the token")]
    AmbiguousKey(String),
    /// A key of that label is there already: none is made beside it.
    #[error("there is a key {0} on the token already")]
    Exists(String),
    /// The key, or its public half, is of no type that we sign with.
    #[error("the key {0} on the token has no public half beside it, or is of no type that is used here")]
    UnsupportedKey(String),
    /// All sessions were at work for too long.
    #[error("no session with the token became free in time")]
    Busy,
    /// The token was lost, and was looked for only just now.
    #[error("the token is lost")]
    Lost,
    /// The token said no.
    #[error("the token")]
    Token(#[source] Error),
}

impl Token {
    /// Loads the library and logs in.
    pub fn open(place: TokenPlace) -> Result<Self, Pkcs11Fault> {
        let pool = Arc::new(Pool::new(place)?);
        pool.with_seat(|_| Ok(()))?;
        Ok(Self { pool })
    }

    /// The key of that label; `None` if there is none.
    pub fn key(&self, label: &str) -> Result<Option<Pkcs11Signer>, Pkcs11Fault> {
        match Pkcs11Signer::find(&self.pool, label) {
            Ok(signer) => Ok(Some(signer)),
            Err(Pkcs11Fault::NoKey(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Makes a key on the token, which never leaves it (CKA_SENSITIVE, not CKA_EXTRACTABLE), under a label that none has yet.
    pub fn create_key(&self, label: &str, key_type: KeyType) -> Result<Pkcs11Signer, Pkcs11Fault> {
        Pkcs11Signer::create(&self.pool, label, key_type)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("place", self.pool.place()).finish()
    }
}
