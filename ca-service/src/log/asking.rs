//! What witnesses know of the log, for those who do not keep it: they are shown a checkpoint that was signed long ago, and nothing is signed.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use audit_log::{SignedCheckpoint, TileSource, WitnessVerifier, consistency_proof};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::chain::Chain;

use super::settings::WitnessSettings;
use super::submission::{Submission, WitnessAnswer};

/// How long all of them are waited for together.
const PATIENCE: Duration = Duration::from_secs(3);
/// With no size, with the size that it tells, and once more, for it may be asked by the CA role at the same time.
const ATTEMPTS: u32 = 3;

/// What a witness says to a checkpoint that it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessTold {
    /// Its name.
    pub witness: String,
    /// What it says.
    pub says: WitnessSays,
}

/// What one says. Only its cosignature is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessSays {
    /// It cosigned the checkpoint: what it cosigned before is part of that tree.
    Cosigned,
    /// It cosigned a tree of so many leaves, more than the checkpoint has.
    Larger(u64),
    /// The checkpoint does not follow from what it cosigned.
    Inconsistent,
    /// Nothing to go by, and why.
    Nothing(String),
}

impl fmt::Display for WitnessTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the witness {} ", self.witness)?;
        match &self.says {
            WitnessSays::Cosigned => f.write_str("has cosigned the last checkpoint of the store"),
            WitnessSays::Larger(size) => write!(f, "says that it cosigned a tree of {size} leaves"),
            WitnessSays::Inconsistent => f.write_str("says that the store's tree does not follow from what it cosigned"),
            WitnessSays::Nothing(why) => write!(f, "could not be asked: {why}"),
        }
    }
}

/// Shows a checkpoint to all of them at the same time, and tells what they say, in their order. `source` has the tiles of its tree.
pub fn ask_witnesses<S: TileSource + Sync>(witnesses: &[WitnessSettings], checkpoint: &SignedCheckpoint, source: &S) -> Vec<WitnessTold> {
    let deadline = Instant::now() + PATIENCE;
    thread::scope(|scope| {
        let asking: Vec<_> =
            witnesses.iter().map(|witness| (witness, scope.spawn(move || ask(witness, checkpoint, source, deadline)))).collect();
        let told = asking.into_iter().map(|(witness, asked)| {
            let name = WitnessVerifier::parse(&witness.key).map_or_else(|_| witness.url.clone(), |verifier| verifier.name().to_owned());
            let says = asked.join().unwrap_or_else(|_| Err("asking it panicked".to_owned()));
            WitnessTold { witness: name, says: says.unwrap_or_else(WitnessSays::Nothing) }
        });
        told.collect()
    })
}

fn ask(
    witness: &WitnessSettings,
    checkpoint: &SignedCheckpoint,
    source: &impl TileSource,
    deadline: Instant,
) -> Result<WitnessSays, String> {
    let verifier = WitnessVerifier::parse(&witness.key).map_err(|refusal| refusal.to_string())?;
    let submission = Submission::new(witness)?;
    let size = checkpoint.size();
    let mut old = 0;
    for _ in 0..ATTEMPTS {
        let proof = consistency_proof(source, old, size).map_err(|fault| Chain(&fault).to_string())?;
        let proof: Vec<String> = proof.iter().map(|hash| STANDARD.encode(hash)).collect();
        match submission.add_checkpoint(old, &proof, checkpoint.note(), deadline).map_err(|fault| Chain(&fault).to_string())? {
            WitnessAnswer::Cosigned(lines) => {
                return verifier.read(&lines, checkpoint).map(|_| WitnessSays::Cosigned).map_err(|refusal| refusal.to_string());
            }
            WitnessAnswer::Conflict(told) if told > size => return Ok(WitnessSays::Larger(told)),
            // It was asked with its own size, which is that of the checkpoint: so the roots differ.
            WitnessAnswer::Conflict(told) if told == old && told == size => return Ok(WitnessSays::Inconsistent),
            WitnessAnswer::Conflict(told) => old = told,
            WitnessAnswer::Inconsistent => return Ok(WitnessSays::Inconsistent),
        }
    }
    Err("it tells one size after the other".to_owned())
}
