//! Verifier keys: `NAME+ID+KEY`, a key's name, its identifier and the key itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use signed_note::{Note, VerificationError, Verifier, Verifiers};

use super::NoteRefusal;

/// Ed25519 over the text of a note.
pub(super) const ALGORITHM_ED25519: u8 = 1;
/// Ed25519 over a checkpoint with the time before it (tlog-cosignature).
pub(super) const ALGORITHM_COSIGNATURE: u8 = 4;

/// The public key of a log: verifies checkpoints and whatever else the log key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogVerifier(pub(super) NamedKey);

/// A text that the log key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedNote {
    text: String,
    note: String,
}

/// A public key with its name and what it is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedKey {
    pub(super) name: String,
    algorithm: u8,
    public_key: [u8; 32],
    id: u32,
}

impl LogVerifier {
    /// Reads a verifier key: `example.com/log+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k`.
    pub fn parse(vkey: &str) -> Result<Self, NoteRefusal> {
        NamedKey::parse(vkey, ALGORITHM_ED25519).map(Self)
    }

    /// The key's name, which is the log's origin.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The text that [`LogVerifier::parse`] reads.
    pub fn vkey(&self) -> String {
        self.0.vkey()
    }

    /// Verifies a signed note of any text. Signatures of other keys are ignored.
    pub fn open(&self, note: &str) -> Result<VerifiedNote, NoteRefusal> {
        let text = verified_text(note, self)?;
        Ok(VerifiedNote { text, note: note.to_owned() })
    }
}

impl Verifier for LogVerifier {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn key_id(&self) -> u32 {
        self.0.id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        self.0.verifies(text, signature)
    }
}

impl VerifiedNote {
    /// What is signed, up to the last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole of it, with its signatures.
    pub fn note(&self) -> &str {
        &self.note
    }
}

impl NamedKey {
    pub(super) fn new(name: &str, algorithm: u8, public_key: [u8; 32]) -> Result<Self, NoteRefusal> {
        // The text of a note has no control characters either.
        if !signed_note::is_key_name_valid(name) || name.chars().any(char::is_control) {
            return Err(NoteRefusal::Name);
        }
        let id = signed_note::key_id(name, &[[algorithm].as_slice(), &public_key].concat());
        Ok(Self { name: name.to_owned(), algorithm, public_key, id })
    }

    pub(super) fn parse(vkey: &str, algorithm: u8) -> Result<Self, NoteRefusal> {
        let mut parts = vkey.trim_end_matches('\n').splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteRefusal::VerifierKey);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteRefusal::VerifierKey)?;
        let public_key = key.strip_prefix(&[algorithm]).and_then(|key| key.try_into().ok()).ok_or(NoteRefusal::VerifierKey)?;
        let named = Self::new(name, algorithm, public_key)?;
        if id == format!("{:08x}", named.id) { Ok(named) } else { Err(NoteRefusal::VerifierKey) }
    }

    pub(super) fn vkey(&self) -> String {
        let key = STANDARD.encode([[self.algorithm].as_slice(), &self.public_key].concat());
        format!("{}+{:08x}+{key}", self.name, self.id)
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public_key).verify(message, signature).is_ok()
    }
}

/// The text of a note that this key signed.
pub(super) fn verified_text(note: &str, verifier: &impl Verifier) -> Result<String, NoteRefusal> {
    let note = Note::from_bytes(note.as_bytes()).map_err(|_| NoteRefusal::Malformed)?;
    note.verify(&Only(verifier)).map_err(|error| match error {
        signed_note::NoteError::UnverifiedNote => NoteRefusal::Unsigned(verifier.name().to_owned()),
        signed_note::NoteError::InvalidSignature { name, .. } => NoteRefusal::Signature(name),
        _ => NoteRefusal::Malformed,
    })?;
    String::from_utf8(note.text().to_vec()).map_err(|_| NoteRefusal::Malformed)
}

/// One key alone is known.
struct Only<'a, V>(&'a V);

impl<V: Verifier> Verifiers for Only<'_, V> {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        let known = self.0.name() == name && self.0.key_id() == id;
        if known { Ok(self.0) } else { Err(VerificationError::UnknownKey { name: name.to_owned(), id }) }
    }
}
