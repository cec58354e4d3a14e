//! Checkpoints: a log's name, its size and its root, signed.

use super::verifier::verified_text;
use super::{Cosignature, LogVerifier, NoteRefusal, WitnessVerifier};
use crate::hash::{EMPTY_ROOT, Hash, MAX_SIZE};

/// The head of the tree at one size, not signed or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Further lines, each with its newline; the log has none, others may.
    pub extension: String,
}

/// A checkpoint that the log key signed, and perhaps witnesses too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    text: String,
    note: String,
}

impl Checkpoint {
    /// A checkpoint without further lines.
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.to_owned(), size, root, extension: String::new() }
    }

    /// The text to be signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n{}", self.origin, self.size, tlog_tiles::Hash(self.root), self.extension)
    }

    /// Reads the text of a checkpoint, which may not even be signed.
    pub fn parse(text: &str) -> Result<Self, NoteRefusal> {
        let parsed = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).map_err(|_| NoteRefusal::Checkpoint)?;
        let checkpoint = Self {
            origin: parsed.origin().to_owned(),
            size: parsed.size(),
            root: parsed.hash().0,
            extension: parsed.extension().to_owned(),
        };
        let sound = checkpoint.size <= MAX_SIZE && (checkpoint.size > 0 || checkpoint.root == EMPTY_ROOT) && checkpoint.text() == text;
        if sound { Ok(checkpoint) } else { Err(NoteRefusal::Checkpoint) }
    }

    /// Verifies that the log signed this note and that it is a checkpoint of that log.
    pub fn verify(note: &str, log: &LogVerifier) -> Result<SignedCheckpoint, NoteRefusal> {
        let text = verified_text(note, log)?;
        let checkpoint = Self::parse(&text)?;
        if checkpoint.origin != log.name() {
            return Err(NoteRefusal::Origin { expected: log.name().to_owned(), found: checkpoint.origin });
        }
        Ok(SignedCheckpoint { checkpoint, text, note: note.to_owned() })
    }
}

impl SignedCheckpoint {
    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The root over them.
    pub fn root(&self) -> &Hash {
        &self.checkpoint.root
    }

    /// The signed text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole note, with its signatures.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The cosignature of a witness; `None` if there is none. One that does not hold is refused.
    pub fn cosigned_by(&self, witness: &WitnessVerifier) -> Result<Option<Cosignature>, NoteRefusal> {
        let (_, signatures) = self.note.rsplit_once("\n\n").ok_or(NoteRefusal::Malformed)?;
        witness.find(signatures, &self.text)
    }

    /// The same with a cosignature more, unless it has it already.
    pub fn with_cosignature(mut self, cosignature: &Cosignature) -> Self {
        if !self.note.contains(cosignature.line()) {
            self.note.push_str(cosignature.line());
        }
        self
    }
}
