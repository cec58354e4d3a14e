//! What a log sends: the size it believes the witness to be at, the proof from there, and the checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signed_note::Note;
use tlog_tiles::{Checkpoint, Hash};

use super::Declined;

/// Lines of a proof at most.
const MOST_HASHES: usize = 63;

/// A request of `add-checkpoint`, taken apart; nothing is verified.
#[derive(Debug)]
pub struct Submission {
    /// The size that the proof begins at.
    pub old: u64,
    /// Consistency proof (RFC 6962 section 2.1.2).
    pub proof: Vec<Hash>,
    /// The checkpoint with its signatures.
    pub note: Note,
    /// What it says.
    pub checkpoint: Checkpoint,
}

impl Submission {
    /// Reads the body of a request.
    pub fn parse(body: &str) -> Result<Self, Declined> {
        let (head, note) = body.split_once("\n\n").ok_or(Declined::Malformed)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(Declined::Malformed)?;
        let size: u64 = old.parse().map_err(|_| Declined::Malformed)?;
        let hash = |line: &str| STANDARD.decode(line).ok().and_then(|octets| octets.try_into().ok()).map(Hash);
        let proof: Vec<Hash> = lines.map(hash).collect::<Option<_>>().ok_or(Declined::Malformed)?;
        if size.to_string() != old || proof.len() > MOST_HASHES {
            return Err(Declined::Malformed);
        }
        let note = Note::from_bytes(note.as_bytes()).map_err(|_| Declined::Malformed)?;
        let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|_| Declined::Malformed)?;
        Ok(Self { old: size, proof, note, checkpoint })
    }
}
