//! Signing the tree as it is committed, having it cosigned, and publishing it.

use audit_log::{SignedCheckpoint, TileFault, consistency_proof, verify_consistency};
use schema::lease::Lease;
use schema::log::{LogHead, LogNote};

use super::examination::hold_against;
use super::state::{DisputedBy, KnownTree, LogDispute};
use super::witnesses::Witness;
use super::{LogFault, LogKeeper};

impl LogKeeper {
    /// Signs the committed tree if it has grown, asks the witnesses for what the checkpoint lacks of cosignatures, and stores the note;
    /// whether there was anything to do.
    ///
    /// Size and root are committed before, and nobody is shown a checkpoint that is not in the store or about to be: one that is
    /// forgotten here was of a tree that every later one extends.
    pub fn sign(&self, lease: &Lease) -> Result<bool, LogFault> {
        let signed = self.sign_as(lease);
        if let Err(LogFault::Disputed(dispute)) = &signed {
            self.state.disputed(dispute.clone());
        }
        signed
    }

    fn sign_as(&self, lease: &Lease) -> Result<bool, LogFault> {
        if !self.state.is_examined(lease.epoch) {
            return Ok(false);
        }
        let head = self.reader.log_head()?;
        self.require_own(&head)?;
        if head.size == 0 {
            return Ok(false);
        }
        let mut witnesses = self.lock_witnesses();
        let (signed, is_new) = match self.last_note(&head)? {
            Some(last) if last.size() == head.size => (last, false),
            last => (self.sign_next(&head, last.as_ref())?, true),
        };
        if !is_new && !witnesses.iter().any(|witness| witness.is_owed(&signed)) {
            return Ok(false);
        }
        let had = signed.note().len();
        let signed = self.cosigned(&mut witnesses, signed)?;
        if is_new || signed.note().len() > had {
            self.store(lease, &signed)?;
        }
        Ok(true)
    }

    /// Signs the tree, if it is seen to extend the one that was signed last.
    fn sign_next(&self, head: &LogHead, last: Option<&SignedCheckpoint>) -> Result<SignedCheckpoint, LogFault> {
        if let Some(last) = last {
            let proof = consistency_proof(&self.source(), last.size(), head.size)?;
            verify_consistency(&proof, last.size(), last.root(), head.size, &head.root).map_err(|_| LogDispute {
                by: DisputedBy::Note,
                known: KnownTree::OtherRoot(last.size()),
                size: head.size,
            })?;
        }
        // Verifies its own signature.
        Ok(self.key.sign_checkpoint(head.size, head.root)?)
    }

    fn cosigned(&self, witnesses: &mut [Witness], signed: SignedCheckpoint) -> Result<SignedCheckpoint, LogFault> {
        let cosignatures = self.ask_witnesses(witnesses, &signed)?;
        Ok(cosignatures.iter().fold(signed, SignedCheckpoint::with_cosignature))
    }

    fn store(&self, lease: &Lease, signed: &SignedCheckpoint) -> Result<(), LogFault> {
        let note = LogNote { size: signed.size(), text: signed.note().to_owned(), at: self.clock.now() };
        let lease = lease.clone();
        self.writer.write(move |tx| tx.store_note(&lease, &note)).map_err(LogFault::Store)?;
        metrics::counter!("tsunagi_log_checkpoints_total").increment(1);
        metrics::gauge!("tsunagi_log_signed_size").set(signed.size() as f64);
        self.state.noted();
        Ok(())
    }

    /// Brings the tile directory up to the last stored note: tiles first, then the checkpoint. What is lost there is written again from the
    /// store. Whether there was anything to do.
    pub fn publish(&self, lease: &Lease) -> Result<bool, LogFault> {
        let published = self.publish_as(lease);
        if let Err(LogFault::Disputed(dispute)) = &published {
            self.state.disputed(dispute.clone());
        }
        published
    }

    fn publish_as(&self, lease: &Lease) -> Result<bool, LogFault> {
        if !self.state.is_examined(lease.epoch) {
            return Ok(false);
        }
        let head = self.reader.log_head()?;
        let Some(note) = self.last_note(&head)? else { return Ok(false) };
        let there = self.published()?;
        if let Some(there) = &there {
            if there.note() == note.note() {
                return Ok(false);
            }
            hold_against(there.checkpoint(), DisputedBy::Directory, &head, &self.source())?;
            if there.size() > note.size() {
                // Another process has led on meanwhile.
                return Ok(false);
            }
        }
        match self.directory.publish(&self.source(), &note) {
            // Whoever gives the log out has brought a later note there meanwhile; the next look judges it.
            Err(TileFault::Ahead { .. }) => return Ok(false),
            published => published?,
        }
        metrics::gauge!("tsunagi_log_directory_size").set(note.size() as f64);
        Ok(true)
    }
}
