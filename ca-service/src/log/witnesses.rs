//! Witnesses: who they are, what they cosigned last, and asking all of them at the same time.

use std::thread;
use std::time::{Duration, Instant};

use audit_log::{Cosignature, NoteRefusal, SignedCheckpoint, TileFault, TileSource, WitnessVerifier, consistency_proof};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::chain::Chain;

use super::settings::WitnessSettings;
use super::submission::{Submission, SubmissionFault, WitnessAnswer};

/// How long a checkpoint waits for its witnesses.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a witness is left alone that gave no answer to go by, so that the next checkpoints do not wait for it: at first, and at most.
const REST_FIRST: Duration = Duration::from_secs(2);
const REST_LONGEST: Duration = Duration::from_secs(60);
/// A witness is asked so often for one checkpoint: with the size that is remembered, and with the size that it tells.
const ATTEMPTS: u32 = 3;

/// A witness, and what is known of it.
pub(super) struct Witness {
    verifier: WitnessVerifier,
    submission: Submission,
    /// The size of the tree that it cosigned last, as far as this process knows.
    size: u64,
    rest: Duration,
    rests_until: Option<Instant>,
}

/// What a witness knows that speaks against the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Objection {
    /// Whose.
    pub(super) witness: String,
    /// The size of the tree that it knows, if that is larger than what it was asked to cosign. Without one, the tree that it was asked to
    /// cosign does not follow from its own.
    pub(super) size: Option<u64>,
}

/// What came of asking all of them.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) cosignatures: Vec<Cosignature>,
    pub(super) objections: Vec<Objection>,
}

/// What one answered.
enum Outcome {
    Cosigned(Cosignature),
    Objection(Option<u64>),
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
    pub(super) fn new(settings: &WitnessSettings) -> Result<Self, String> {
        let verifier = WitnessVerifier::parse(&settings.key).map_err(|refusal| format!("{}: {refusal}", settings.url))?;
        let submission = Submission::new(settings)?;
        Ok(Self { verifier, submission, size: 0, rest: Duration::ZERO, rests_until: None })
    }

    /// Whether the checkpoint lacks its cosignature, and it may be asked for it now.
    pub(super) fn is_owed(&self, checkpoint: &SignedCheckpoint) -> bool {
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        !rests && !matches!(checkpoint.cosigned_by(&self.verifier), Ok(Some(_)))
    }

    /// What it cosigned is remembered from the last note of the log.
    pub(super) fn remember(&mut self, checkpoint: &SignedCheckpoint) {
        if matches!(checkpoint.cosigned_by(&self.verifier), Ok(Some(_))) {
            self.size = checkpoint.size();
        }
    }

    /// Asks it, and notes how that went.
    fn ask(&mut self, checkpoint: &SignedCheckpoint, source: &impl TileSource, deadline: Instant) -> Option<Outcome> {
        let name = self.verifier.name().to_owned();
        match self.submit(checkpoint, source, deadline) {
            Ok(outcome) => {
                (self.rest, self.rests_until) = (Duration::ZERO, None);
                if let Outcome::Cosigned(cosignature) = &outcome {
                    self.size = checkpoint.size();
                    metrics::gauge!("tsunagi_log_witness_last_seconds", "witness" => name).set(cosignature.at().timestamp() as f64);
                }
                Some(outcome)
            }
            Err(fault) => {
                self.rest = (self.rest * 2).clamp(REST_FIRST, REST_LONGEST);
                self.rests_until = Some(Instant::now() + self.rest);
                metrics::counter!("tsunagi_log_witness_faults_total", "witness" => name.clone(), "fault" => fault.word()).increment(1);
                tracing::warn!(witness = name, fault = %Chain(&fault), "a checkpoint goes out without a witness's cosignature");
                None
            }
        }
    }

    fn submit(&self, checkpoint: &SignedCheckpoint, source: &impl TileSource, deadline: Instant) -> Result<Outcome, WitnessFault> {
        let size = checkpoint.size();
        // What it is not known to have cosigned, it tells.
        let mut old = self.size.min(size);
        for _ in 0..ATTEMPTS {
            let proof: Vec<String> = consistency_proof(source, old, size)?.iter().map(|hash| STANDARD.encode(hash)).collect();
            match self.submission.add_checkpoint(old, &proof, checkpoint.note(), deadline)? {
                WitnessAnswer::Cosigned(lines) => return Ok(Outcome::Cosigned(self.verifier.read(&lines, checkpoint)?)),
                WitnessAnswer::Conflict(told) if told > size => return Ok(Outcome::Objection(Some(told))),
                WitnessAnswer::Conflict(told) => old = told,
                WitnessAnswer::Inconsistent => return Ok(Outcome::Objection(None)),
            }
        }
        Err(WitnessFault::Unsteady)
    }
}

/// Asks all from whom the checkpoint lacks a cosignature, at the same time, for a second at most.
pub(super) fn ask_all<S: TileSource + Sync>(witnesses: &mut [Witness], checkpoint: &SignedCheckpoint, source: &S) -> Asked {
    let deadline = Instant::now() + PATIENCE;
    let mut asked = Asked::default();
    thread::scope(|scope| {
        let owed = witnesses.iter_mut().filter(|witness| witness.is_owed(checkpoint));
        let asking: Vec<_> = owed
            .map(|witness| {
                let name = witness.verifier.name().to_owned();
                (name, scope.spawn(move || witness.ask(checkpoint, source, deadline)))
            })
            .collect();
        for (witness, answer) in asking {
            match answer.join() {
                Ok(Some(Outcome::Cosigned(cosignature))) => asked.cosignatures.push(cosignature),
                Ok(Some(Outcome::Objection(size))) => asked.objections.push(Objection { witness, size }),
                Ok(None) => {}
                Err(_) => tracing::error!(witness, "asking a witness panicked"),
            }
        }
    });
    asked
}
