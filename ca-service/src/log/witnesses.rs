//! Witnesses: who they are, what they cosigned last, and asking all of them at the same time.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use audit_log::{
    Checkpoint, Cosignature, LogVerifier, NoteRefusal, SignedCheckpoint, TileFault, TileSource, WitnessVerifier, consistency_proof,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::chain::Chain;
use chrono::{DateTime, Utc};

use super::settings::WitnessSettings;
use super::submission::{Submission, SubmissionFault, WitnessAnswer};

/// A witness is asked so often for one checkpoint: with the size that is remembered, and with the size that it tells.
const ATTEMPTS: u32 = 3;

/// How long witnesses are waited for, and left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WitnessPace {
    /// How long a checkpoint waits for all of them together.
    pub patience: Duration,
    /// How long one is left alone at first that gave no answer to go by, so that the next checkpoints do not wait for it.
    pub rest_first: Duration,
    /// How long it is left alone at most, when it goes on like that: each time twice as long.
    pub rest_longest: Duration,
}

impl Default for WitnessPace {
    fn default() -> Self {
        Self { patience: Duration::from_secs(1), rest_first: Duration::from_secs(2), rest_longest: Duration::from_secs(60) }
    }
}

/// A witness, and what is known of it.
pub(super) struct Witness {
    verifier: WitnessVerifier,
    submission: Submission,
    pace: WitnessPace,
    /// The size of the tree that it cosigned last, as far as this process knows.
    size: u64,
    rest: Duration,
    rests_until: Option<Instant>,
}

/// What a witness says that speaks against the store. Nobody has signed that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WitnessClaim {
    /// It cosigned a tree of so many leaves, more than it was asked to cosign.
    Larger(u64),
    /// The tree that it was asked to cosign does not follow from its own.
    Inconsistent,
}

/// A claim, and what it is worth.
#[derive(Debug, Clone)]
pub(super) struct Objection {
    pub(super) claim: WitnessClaim,
    /// The latest checkpoint that the witness shows, if our own key has signed it.
    pub(super) shown: Option<SignedCheckpoint>,
}

/// What one answered.
pub(super) enum Outcome {
    Cosigned(Cosignature),
    Objection(Objection),
}

/// Why a witness did not cosign, where nothing speaks against the store.
#[derive(Debug, thiserror::Error)]
enum WitnessFault {
    #[error(transparent)]
    Submission(#[from] SubmissionFault),
    #[error("its answer is not to be believed")]
    Unbelievable(#[from] NoteRefusal),
    #[error("it tells one size after the other")]
    Unsteady,
    #[error("the proof for it could not be made")]
    Proof(#[from] TileFault),
}

impl fmt::Display for WitnessClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Larger(size) => write!(f, "says that it cosigned a tree of {size} leaves"),
            Self::Inconsistent => f.write_str("says that our tree does not follow from what it cosigned"),
        }
    }
}

impl WitnessClaim {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Larger(_) => "larger",
            Self::Inconsistent => "inconsistent",
        }
    }
}

impl WitnessFault {
    fn word(&self) -> &'static str {
        match self {
            Self::Submission(SubmissionFault::Unreachable(_)) => "unreachable",
            Self::Submission(SubmissionFault::Refused(_)) => "refused",
            Self::Submission(SubmissionFault::Unreadable(_)) => "unreadable",
            Self::Unbelievable(_) | Self::Unsteady => "unbelievable",
            Self::Proof(_) => "proof",
        }
    }
}

impl Witness {
    /// Nothing is asked yet. The error is a sentence about the settings.
    pub(super) fn new(settings: &WitnessSettings, pace: WitnessPace) -> Result<Self, String> {
        let verifier = WitnessVerifier::parse(&settings.key).map_err(|refusal| format!("{}: {refusal}", settings.url))?;
        let submission = Submission::new(settings)?;
        // One that never answers is silent from now on.
        told_last(verifier.name(), Utc::now());
        Ok(Self { verifier, submission, pace, size: 0, rest: Duration::ZERO, rests_until: None })
    }

    /// Whether the checkpoint lacks its cosignature, and it may be asked for it now.
    pub(super) fn is_owed(&self, checkpoint: &SignedCheckpoint) -> bool {
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        !rests && !matches!(checkpoint.cosigned_by(&self.verifier), Ok(Some(_)))
    }

    /// What it cosigned is remembered from the last note of the log.
    pub(super) fn remember(&mut self, checkpoint: &SignedCheckpoint) {
        if let Ok(Some(cosignature)) = checkpoint.cosigned_by(&self.verifier) {
            self.size = checkpoint.size();
            told_last(self.verifier.name(), cosignature.at());
        }
    }

    /// Asks it, and notes how that went.
    fn ask(&mut self, checkpoint: &SignedCheckpoint, source: &impl TileSource, log: &LogVerifier, deadline: Instant) -> Option<Outcome> {
        let name = self.verifier.name().to_owned();
        match self.submit(checkpoint, source, log, deadline) {
            Ok(Outcome::Cosigned(cosignature)) => {
                (self.rest, self.rests_until) = (Duration::ZERO, None);
                self.size = checkpoint.size();
                told_last(&name, cosignature.at());
                Some(Outcome::Cosigned(cosignature))
            }
            Ok(objection) => {
                self.leave_alone();
                Some(objection)
            }
            Err(fault) => {
                self.leave_alone();
                metrics::counter!("tsunagi_log_witness_faults_total", "witness" => name.clone(), "fault" => fault.word()).increment(1);
                tracing::warn!(witness = name, fault = %Chain(&fault), "a checkpoint goes out without a witness's cosignature");
                None
            }
        }
    }

    fn leave_alone(&mut self) {
        self.rest = (self.rest * 2).clamp(self.pace.rest_first, self.pace.rest_longest);
        self.rests_until = Some(Instant::now() + self.rest);
    }

    fn submit(
        &self,
        checkpoint: &SignedCheckpoint,
        source: &impl TileSource,
        log: &LogVerifier,
        deadline: Instant,
    ) -> Result<Outcome, WitnessFault> {
        let objection = |claim| {
            let shown = self.submission.latest_checkpoint(log.name(), deadline);
            Outcome::Objection(Objection { claim, shown: shown.and_then(|note| Checkpoint::verify(&note, log).ok()) })
        };
        let size = checkpoint.size();
        // What it is not known to have cosigned, it tells.
        let mut old = self.size.min(size);
        for _ in 0..ATTEMPTS {
            let proof: Vec<String> = consistency_proof(source, old, size)?.iter().map(|hash| STANDARD.encode(hash)).collect();
            match self.submission.add_checkpoint(old, &proof, checkpoint.note(), deadline)? {
                WitnessAnswer::Cosigned(lines) => return Ok(Outcome::Cosigned(self.verifier.read(&lines, checkpoint)?)),
                WitnessAnswer::Conflict(told) if told > size => return Ok(objection(WitnessClaim::Larger(told))),
                WitnessAnswer::Conflict(told) => old = told,
                WitnessAnswer::Inconsistent => return Ok(objection(WitnessClaim::Inconsistent)),
            }
        }
        Err(WitnessFault::Unsteady)
    }
}

/// Shows when a witness cosigned last.
fn told_last(witness: &str, at: DateTime<Utc>) {
    metrics::gauge!("tsunagi_log_witness_last_seconds", "witness" => witness.to_owned()).set(at.timestamp() as f64);
}

/// Asks all from whom the checkpoint lacks a cosignature, at the same time, for as long as their pace allows; who answered what. `log` is
/// our own key.
pub(super) fn ask_all<S: TileSource + Sync>(
    witnesses: &mut [Witness],
    checkpoint: &SignedCheckpoint,
    source: &S,
    log: &LogVerifier,
) -> Vec<(String, Outcome)> {
    let deadline = Instant::now() + witnesses.iter().map(|witness| witness.pace.patience).max().unwrap_or_default();
    let mut answers = Vec::new();
    thread::scope(|scope| {
        let owed = witnesses.iter_mut().filter(|witness| witness.is_owed(checkpoint));
        let asking: Vec<_> = owed
            .map(|witness| {
                let name = witness.verifier.name().to_owned();
                (name, scope.spawn(move || witness.ask(checkpoint, source, log, deadline)))
            })
            .collect();
        for (witness, answer) in asking {
            match answer.join() {
                Ok(outcome) => answers.extend(outcome.map(|outcome| (witness, outcome))),
                Err(_) => tracing::error!(witness, "asking a witness panicked"),
            }
        }
    });
    answers
}
