//! The proof of one entry as a text (C2SP tlog-proof): its index, the inclusion proof, the checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::note::{LogVerifier, NoteRefusal, SignedCheckpoint};
use crate::proof::{MAX_PROOF, ProofRefusal, verify_inclusion};
use crate::{Checkpoint, Commitment};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof that an entry is in a log, for whoever has the log's public key and the entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// The leaf.
    pub leaf: u64,
    /// From the leaf's sibling upwards.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint of the tree, as text.
    pub note: String,
}

/// A proof is none, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofRefusal {
    /// It has not the form.
    #[error("this is no tlog-proof")]
    Malformed,
    /// The checkpoint is not of the log.
    #[error(transparent)]
    Checkpoint(#[from] NoteRefusal),
    /// The entry is not in the tree.
    #[error(transparent)]
    Proof(#[from] ProofRefusal),
}

impl TlogProof {
    /// The text.
    pub fn text(&self) -> String {
        let mut text = format!("{HEADER}\nindex {}\n", self.leaf);
        for hash in &self.hashes {
            STANDARD.encode_string(hash, &mut text);
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }

    /// Reads the text. Nothing is verified. Extra data, which has no place in our proofs, is passed over.
    pub fn parse(text: &str) -> Result<Self, TlogProofRefusal> {
        let (proof, note) = text.split_once("\n\n").ok_or(TlogProofRefusal::Malformed)?;
        let mut lines = proof.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(TlogProofRefusal::Malformed);
        }
        if let Some(extra) = lines.next_if(|line| line.starts_with("extra ")) {
            STANDARD.decode(&extra["extra ".len()..]).map_err(|_| TlogProofRefusal::Malformed)?;
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(TlogProofRefusal::Malformed)?;
        let leaf: u64 = index.parse().map_err(|_| TlogProofRefusal::Malformed)?;
        let hashes = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect::<Option<Vec<Hash>>>();
        let hashes = hashes.filter(|hashes| hashes.len() <= MAX_PROOF).ok_or(TlogProofRefusal::Malformed)?;
        if leaf.to_string() == index { Ok(Self { leaf, hashes, note: note.to_owned() }) } else { Err(TlogProofRefusal::Malformed) }
    }

    /// Whether the log signed the checkpoint, and the entry is in its tree at that index.
    pub fn verify(&self, commitment: &Commitment, log: &LogVerifier) -> Result<SignedCheckpoint, TlogProofRefusal> {
        let checkpoint = Checkpoint::verify(&self.note, log)?;
        verify_inclusion(&self.hashes, self.leaf, &commitment.leaf_hash(), checkpoint.size(), checkpoint.root())?;
        Ok(checkpoint)
    }
}
