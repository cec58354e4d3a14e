//! Cosignatures: a witness's word that it saw this checkpoint follow all it saw before (C2SP tlog-cosignature, Ed25519).

use chrono::{DateTime, Utc};
use signed_note::Signature;

use super::verifier::{ALGORITHM_COSIGNATURE, NamedKey};
use super::{NoteRefusal, SignedCheckpoint};

/// The public key of a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessVerifier(NamedKey);

/// A witness's signature that holds for a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    line: String,
    at: DateTime<Utc>,
}

impl WitnessVerifier {
    /// Reads a verifier key, of signature type 4.
    pub fn parse(vkey: &str) -> Result<Self, NoteRefusal> {
        NamedKey::parse(vkey, ALGORITHM_COSIGNATURE).map(Self)
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The text that [`WitnessVerifier::parse`] reads.
    pub fn vkey(&self) -> String {
        self.0.vkey()
    }

    /// Takes the witness's cosignature of this checkpoint out of its answer, which is signature lines; those of unknown keys are
    /// ignored.
    pub fn read(&self, answer: &str, checkpoint: &SignedCheckpoint) -> Result<Cosignature, NoteRefusal> {
        self.find(answer, checkpoint.text())?.ok_or_else(|| NoteRefusal::Unsigned(self.name().to_owned()))
    }

    /// The first line by this key, verified over the text of the checkpoint.
    pub(super) fn find(&self, lines: &str, text: &str) -> Result<Option<Cosignature>, NoteRefusal> {
        let lines = lines.strip_suffix('\n').ok_or(NoteRefusal::Malformed)?;
        for line in lines.split('\n') {
            let signature = Signature::from_bytes(line.as_bytes()).map_err(|_| NoteRefusal::Malformed)?;
            if signature.name() != self.name() || signature.id() != self.0.id() {
                continue;
            }
            let wrong = || NoteRefusal::Signature(self.name().to_owned());
            let (time, octets) = signature.signature().split_first_chunk().ok_or_else(wrong)?;
            let seconds = i64::try_from(u64::from_be_bytes(*time)).map_err(|_| wrong())?;
            let at = DateTime::from_timestamp(seconds, 0).ok_or_else(wrong)?;
            if !self.0.verifies(message(seconds, text).as_bytes(), octets) {
                return Err(wrong());
            }
            return Ok(Some(Cosignature { line: format!("{line}\n"), at }));
        }
        Ok(None)
    }
}

impl Cosignature {
    /// The signature line, with its newline.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// When the witness signed, by its own clock.
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }
}

/// What a witness signs.
fn message(seconds: i64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}
