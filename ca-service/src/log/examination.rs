//! What whoever takes the lead does first: holds the store against everybody who knows the log. A store that went back must neither be
//! appended to nor be signed for, for what was published of it is not undone.

use audit_log::{Checkpoint, Cosignature, Edge, SignedCheckpoint, TileSource, tree_root};
use schema::lease::Lease;
use schema::log::{LogHead, LogIdentity};

use super::sequencing::Sequencer;
use super::state::{DisputedBy, KnownTree, LogDispute};
use super::witnesses::{Objection, Outcome, Witness, WitnessClaim, ask_all};
use super::{LogFault, LogKeeper};

impl LogKeeper {
    /// Reads what is needed to append, once nothing speaks against it.
    pub(super) fn begin(&self, lease: &Lease) -> Result<Sequencer, LogFault> {
        self.state.forget();
        let examined = self.examine();
        if let Err(LogFault::Disputed(dispute)) = &examined {
            self.state.disputed(dispute.clone());
        }
        let (head, edge) = examined?;
        self.state.examined(lease.epoch, head.size);
        metrics::gauge!("tsunagi_log_size").set(head.size as f64);
        Ok(Sequencer::new(lease.epoch, edge, head.position))
    }

    fn examine(&self) -> Result<(LogHead, Edge), LogFault> {
        let head = self.reader.log_head()?;
        self.require_own(&head)?;
        let source = self.source();
        let edge = Edge::load(&source, head.size)?;
        if edge.root() != head.root {
            return Err(LogFault::Damaged { size: head.size });
        }
        let note = self.last_note(&head)?;
        if let Some(note) = &note {
            hold_against(note.checkpoint(), DisputedBy::Note, &head, &source)?;
        }
        if let Some(published) = self.published()? {
            hold_against(published.checkpoint(), DisputedBy::Directory, &head, &source)?;
        }
        if head.size > 0 {
            let mut witnesses = self.lock_witnesses();
            if let Some(note) = &note {
                witnesses.iter_mut().for_each(|witness| witness.remember(note));
            }
            // The tree is committed: its checkpoint would be signed next in any case.
            let checkpoint = self.key.sign_checkpoint(head.size, head.root)?;
            self.ask_witnesses(&mut witnesses, &checkpoint)?;
        }
        Ok((head, edge))
    }

    /// Whether the log is the one whose key this is.
    pub(super) fn require_own(&self, head: &LogHead) -> Result<(), LogFault> {
        let began = head.identity.as_ref().ok_or(LogFault::NotBegun)?;
        let here = LogIdentity { origin: self.key.origin().to_owned(), verifier_key: self.key.verifier().vkey() };
        if *began == here {
            return Ok(());
        }
        Err(LogFault::OtherLog { began: began.verifier_key.clone(), here: here.verifier_key })
    }

    /// The last note of the store, verified.
    pub(super) fn last_note(&self, head: &LogHead) -> Result<Option<SignedCheckpoint>, LogFault> {
        let note = head.note.as_ref().map(|note| Checkpoint::verify(&note.text, self.key.verifier()));
        note.transpose().map_err(LogFault::Note)
    }

    /// Asks the witnesses from whom a checkpoint lacks a cosignature; what they cosigned. What one claims without a signature of ours stops
    /// nothing: everybody could. It is told, and the checkpoint does without that witness.
    pub(super) fn ask_witnesses(&self, witnesses: &mut [Witness], checkpoint: &SignedCheckpoint) -> Result<Vec<Cosignature>, LogFault> {
        let mut cosignatures = Vec::new();
        for (witness, outcome) in ask_all(witnesses, checkpoint, &self.source(), self.key.verifier()) {
            match outcome {
                Outcome::Cosigned(cosignature) => {
                    self.state.agreed(&witness);
                    cosignatures.push(cosignature);
                }
                Outcome::Objection(objection) => self.judge(witness, &objection)?,
            }
        }
        Ok(cosignatures)
    }

    fn judge(&self, witness: String, objection: &Objection) -> Result<(), LogFault> {
        // As it is now: another process may have led on since the checkpoint was made.
        let head = self.reader.log_head()?;
        if let Some(shown) = &objection.shown {
            hold_against(shown.checkpoint(), DisputedBy::Witness(witness.clone()), &head, &self.source())?;
        }
        if matches!(objection.claim, WitnessClaim::Larger(size) if size <= head.size) {
            return Ok(());
        }
        let word = objection.claim.word();
        metrics::counter!("tsunagi_log_witness_faults_total", "witness" => witness.clone(), "fault" => word).increment(1);
        tracing::error!(witness, size = head.size, "a witness {}, and shows no checkpoint of ours that says so", objection.claim);
        self.state.objected(witness, objection.claim);
        Ok(())
    }
}

/// Whether a tree that somebody knows is one that the store's has grown from.
pub(super) fn hold_against(known: &Checkpoint, by: DisputedBy, head: &LogHead, source: &impl TileSource) -> Result<(), LogFault> {
    let known = if known.size > head.size {
        KnownTree::Larger(known.size)
    } else if tree_root(source, known.size)? != known.root {
        KnownTree::OtherRoot(known.size)
    } else {
        return Ok(());
    };
    Err(LogDispute { by, known, size: head.size }.into())
}
