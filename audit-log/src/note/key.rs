//! The key that signs checkpoints and manifests, and its file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use pkcs8::der::{Decode as _, SecretDocument};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use secrecy::{ExposeSecret, SecretString};
use signed_note::{Note, Signature, Verifier as _};
use zeroize::Zeroizing;

use super::verifier::{ALGORITHM_ED25519, LogVerifier, NamedKey};
use super::{Checkpoint, NoteRefusal, SignedCheckpoint};

/// The PEM label of an encrypted PKCS #8 key (RFC 7468 section 11).
const PEM_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// PKCS #8 of an Ed25519 key up to its 32 octets (RFC 8410 section 7).
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Longer key files are refused unread.
const MAX_FILE_OCTETS: u64 = 64 * 1024;

/// The key of a log, of Ed25519. Between runs it lies in a file as encrypted PKCS #8 (PBES2 with scrypt and AES-256-CBC), which
/// `openssl pkey` reads too.
pub struct LogKey {
    pair: Ed25519KeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    verifier: LogVerifier,
}

/// The key of a log cannot be made, written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum LogKeyFault {
    /// Something is there already: a key is never overwritten.
    #[error("key file {0} exists already")]
    Exists(String),
    /// The file system said no.
    #[error("key file {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file's content is no encrypted Ed25519 key in PEM.
    #[error("key file {0} is no encrypted PKCS #8 key of Ed25519 in PEM")]
    NotAKey(String),
    /// The passphrase does not open it.
    #[error("the passphrase does not open key file {0}")]
    Passphrase(String),
    /// The key could not be encrypted.
    #[error("the key for {0} could not be encrypted")]
    Encryption(String),
    /// No randomness.
    #[error("the system gave no random octets")]
    Randomness,
    /// The log's name cannot be a key's, or the text is none that can be signed.
    #[error(transparent)]
    Note(#[from] NoteRefusal),
}

impl LogKey {
    /// Makes a new key for the log of that origin.
    pub fn generate(origin: &str) -> Result<Self, LogKeyFault> {
        let mut pkcs8 = Zeroizing::new([ED25519_PKCS8, [0; 16]].concat());
        pkcs8.extend_from_slice(&[0; 16]);
        SystemRandom::new().fill(&mut pkcs8[ED25519_PKCS8.len()..]).map_err(|_| LogKeyFault::Randomness)?;
        Self::from_pkcs8(pkcs8, origin)?.ok_or(LogKeyFault::Randomness)
    }

    /// Writes the key, encrypted under the passphrase, to a new file that only its owner may read; durable on return.
    pub fn save(&self, path: &Path, passphrase: &SecretString) -> Result<(), LogKeyFault> {
        let name = || path.display().to_string();
        let pem = PrivateKeyInfoRef::from_der(&self.pkcs8)
            .ok()
            .and_then(|info| info.encrypt(passphrase.expose_secret()).ok())
            .and_then(|document| document.to_pem(PEM_LABEL, LineEnding::LF).ok())
            .ok_or_else(|| LogKeyFault::Encryption(name()))?;
        let mut file = create_private(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => LogKeyFault::Exists(name()),
            _ => LogKeyFault::File { path: name(), source },
        })?;
        let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| sync_directory(path));
        written.map_err(|source| {
            // Half a key is worse than none: the next attempt would find it and stop.
            let _ = fs::remove_file(path);
            LogKeyFault::File { path: name(), source }
        })
    }

    /// Reads the key of the log of that origin back.
    pub fn open(path: &Path, origin: &str, passphrase: &SecretString) -> Result<Self, LogKeyFault> {
        let name = || path.display().to_string();
        let mut pem = Zeroizing::new(String::new());
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_OCTETS).read_to_string(&mut pem))
            .map_err(|source| LogKeyFault::File { path: name(), source })?;
        let document = match SecretDocument::from_pem(&pem) {
            Ok((PEM_LABEL, document)) => document,
            _ => return Err(LogKeyFault::NotAKey(name())),
        };
        let encrypted = EncryptedPrivateKeyInfoRef::from_der(document.as_bytes()).map_err(|_| LogKeyFault::NotAKey(name()))?;
        let opened = encrypted.decrypt(passphrase.expose_secret()).map_err(|_| LogKeyFault::Passphrase(name()))?;
        Self::from_pkcs8(Zeroizing::new(opened.as_bytes().to_vec()), origin)?.ok_or_else(|| LogKeyFault::NotAKey(name()))
    }

    /// What verifies its signatures.
    pub fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// The log's name, which is the key's.
    pub fn origin(&self) -> &str {
        self.verifier.name()
    }

    /// Signs a text, which must end in a newline and have no other control characters: a whole note with one signature.
    pub fn sign(&self, text: &str) -> Result<String, LogKeyFault> {
        let signature = self.pair.sign(text.as_bytes()).as_ref().to_vec();
        let note = Signature::new(self.origin().to_owned(), self.verifier.key_id(), signature)
            .and_then(|signature| Note::new(text.as_bytes(), &[signature]))
            .map_err(|_| NoteRefusal::Malformed)?;
        let note = String::from_utf8(note.to_bytes()).map_err(|_| NoteRefusal::Malformed)?;
        // What is signed must read back as the same text: a faulty computation must not get out either.
        if self.verifier.open(&note)?.text() == text { Ok(note) } else { Err(NoteRefusal::Malformed.into()) }
    }

    /// Signs a checkpoint of this log. Whoever calls has the tree committed, so that no other of that size is ever signed.
    pub fn sign_checkpoint(&self, size: u64, root: crate::Hash) -> Result<SignedCheckpoint, LogKeyFault> {
        let note = self.sign(&Checkpoint::new(self.origin(), size, root).text())?;
        Ok(Checkpoint::verify(&note, &self.verifier)?)
    }

    /// `None` if it is no key of Ed25519.
    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>, origin: &str) -> Result<Option<Self>, NoteRefusal> {
        let Some(seed) = pkcs8.strip_prefix(&ED25519_PKCS8) else { return Ok(None) };
        let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(seed) else { return Ok(None) };
        let Ok(public_key) = pair.public_key().as_ref().try_into() else { return Ok(None) };
        let verifier = LogVerifier(NamedKey::new(origin, ALGORITHM_ED25519, public_key)?);
        Ok(Some(Self { pair, pkcs8, verifier }))
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogKey").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the file's name durable, not only its content.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
