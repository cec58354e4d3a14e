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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::{Memory, signed};
    use crate::proof::inclusion_proof;

    fn proof(leaf: u64) -> (TlogProof, Memory, crate::LogKey) {
        let (memory, edge) = Memory::of(300);
        let (key, checkpoint) = signed(&edge);
        let hashes = inclusion_proof(&memory, leaf, 300).unwrap();
        (TlogProof { leaf, hashes, note: checkpoint.note().to_owned() }, memory, key)
    }

    #[test]
    fn a_proof_survives_its_text_and_holds() {
        let (proof, memory, key) = proof(17);
        let text = proof.text();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 17\n"));
        assert_eq!(TlogProof::parse(&text).as_ref(), Ok(&proof));
        assert_eq!(TlogProof::parse(&text.replacen("\nindex", "\nextra AAAA\nindex", 1)).as_ref(), Ok(&proof));
        assert_eq!(proof.verify(&memory.entries[17], key.verifier()).unwrap().size(), 300);
        let wrong = Err(TlogProofRefusal::Proof(ProofRefusal::Wrong));
        assert_eq!(proof.verify(&memory.entries[18], key.verifier()), wrong);
        let elsewhere = TlogProof { leaf: 18, ..proof.clone() };
        assert_eq!(elsewhere.verify(&memory.entries[17], key.verifier()), wrong);
        let beyond = TlogProof { leaf: 300, ..proof };
        assert_eq!(beyond.verify(&memory.entries[17], key.verifier()), Err(TlogProofRefusal::Proof(ProofRefusal::Bounds)));
    }

    #[test]
    fn a_proof_of_another_form_is_none() {
        let (proof, ..) = proof(17);
        let text = proof.text();
        let many = TlogProof { hashes: vec![[0; 32]; MAX_PROOF + 1], ..proof };
        for other in [
            String::new(),
            text.replacen("@v1", "@v2", 1),
            text.replacen("index 17", "index 017", 1),
            text.replacen("index 17", "index +17", 1),
            text.replacen("index 17", "index -1", 1),
            text.replacen("index 17", "index 18446744073709551616", 1),
            text.replacen("index 17\n", "", 1),
            text.replacen("=\n", "\n", 1),
            text.replacen("\nindex", "\nextra ?\nindex", 1),
            text.replace('\n', "\r\n"),
            many.text(),
        ] {
            assert_eq!(TlogProof::parse(&other), Err(TlogProofRefusal::Malformed), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_character_changed_is_found(leaf in 0_u64..300, place: prop::sample::Index, other in "[ -~\n]") {
            let (proof, memory, key) = proof(leaf);
            let mut text = proof.text();
            let place = place.index(text.len());
            prop_assume!(text.is_char_boundary(place) && text.is_char_boundary(place + 1));
            text.replace_range(place..=place, &other);
            let entry = &memory.entries[usize::try_from(leaf).unwrap()];
            let holds = TlogProof::parse(&text).is_ok_and(|changed| changed.verify(entry, key.verifier()).is_ok());
            prop_assert_eq!(holds, text == proof.text());
        }
    }
}
