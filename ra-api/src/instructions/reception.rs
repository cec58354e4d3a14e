//! From an instruction's octets to the store.

use ca_core::application::challenge::Challenge;
use ca_core::digest::Sha256Digest;
use ca_core::instruction::{HolderInstruction, HolderSigner, InstructionRefusal, PhoneSigner, UnverifiedInstruction};
use ca_core::refusal::Refusal;
use chrono::{DateTime, Utc};
use schema::instruction::{InstructionForm, InstructionRecord, NewInstruction};
use serde_json::Value;

use super::{InstructionDesk, ListingDesk};
use crate::challenges::ChallengeFault;
use crate::problem::Problem;
use crate::store;

/// Whose instructions a listener takes.
pub(crate) enum Side {
    /// Holders', signed by a phone or a card; and who answers what changes nothing.
    Holders(ListingDesk),
    /// Operators'.
    Operators,
}

/// An instruction that passed.
pub(crate) enum Received {
    /// It asked something and changes nothing: the answer.
    Answered(Sha256Digest, Value),
    /// It was received before: what has become of it.
    Known(Sha256Digest, InstructionRecord),
    /// All that the RA can check of it is in order; it is not in the store yet.
    Verified(NewInstruction),
}

/// What is for the CA role to carry out, and what the RA answers itself.
enum Signed {
    Operators,
    Holders { signer: HolderSigner, instruction: HolderInstruction },
}

impl InstructionDesk {
    /// Receives a CMS instruction. Blocks: computes, asks the store and for a card's list the back office.
    pub(super) fn receive(&self, octets: Vec<u8>) -> Result<Received, Problem> {
        let now = self.clock.now();
        let instruction = UnverifiedInstruction::from_bytes(octets).map_err(|refusal| self.refused(&refusal))?;
        let digest = instruction.digest();
        let (challenge, signed) = self.verify(&instruction, now).map_err(|refusal| self.refused(&refusal))?;
        self.challenges.check_ours(&challenge).map_err(|refusal| self.refused(&refusal))?;
        // Before anything that passes with time: whoever asks again hears the same.
        if let Some(record) = self.known(&digest)? {
            return Ok(Received::Known(digest, record));
        }
        self.challenges.check_fresh(&challenge, now).map_err(|fault| match fault {
            ChallengeFault::Refused(refusal) => self.refused(&refusal),
            ChallengeFault::Store(fault) => store::problem("reading the beacons", &fault),
        })?;
        let form = match (&self.side, signed) {
            (Side::Holders(listing), Signed::Holders { signer, instruction }) => {
                if let HolderSigner::Phone(signer) = &signer {
                    self.check_signer(signer)?;
                }
                if instruction == (HolderInstruction::List {}) {
                    let outcome = listing.answer(&self.reader, &signer, &challenge).map_err(|problem| self.counted(problem))?;
                    return Ok(Received::Answered(digest, outcome));
                }
                InstructionForm::Holder
            }
            _ => InstructionForm::Operator,
        };
        Ok(Received::Verified(NewInstruction::new(form, instruction.as_bytes().to_vec())))
    }

    /// Receives a report that a key is compromised: a PKCS#10 in DER. Blocks.
    pub(crate) fn receive_key_report(&self, octets: Vec<u8>) -> Result<Received, Problem> {
        let instruction = UnverifiedInstruction::from_bytes(octets).map_err(|refusal| self.refused(&refusal))?;
        let report = self.verifier.verify_key_report(&instruction).map_err(|refusal| self.refused(&refusal))?;
        if let Some(record) = self.known(&report.digest())? {
            return Ok(Received::Known(report.digest(), record));
        }
        // Keys are made by anybody: what was never certified here is not worth keeping, and neither is what ended long ago.
        let key = report.public_key_sha256();
        match self.reader.certificate_of_key(&key).map_err(|fault| store::problem("looking for a key", &fault))? {
            None => return Err(self.counted(Problem::new("key_unknown", "No certificate was ever issued here for this key."))),
            Some(certificate) if !certificate.state.stands() => {
                return Err(self.counted(Problem::new("certificate_ended", "The key's certificate has ended already.")));
            }
            Some(_) => {}
        }
        Ok(Received::Verified(NewInstruction::new(InstructionForm::KeyCompromise, instruction.as_bytes().to_vec())))
    }

    fn verify(&self, instruction: &UnverifiedInstruction, now: DateTime<Utc>) -> Result<(Challenge, Signed), InstructionRefusal> {
        match self.side {
            Side::Operators => {
                let signed = self.verifier.verify_operator(instruction, now)?;
                Ok((*signed.challenge(), Signed::Operators))
            }
            Side::Holders(_) => {
                let signed = self.verifier.verify_holder(instruction, now)?;
                let (signer, instruction) = (signed.signer().clone(), signed.instruction().clone());
                Ok((*signed.challenge(), Signed::Holders { signer, instruction }))
            }
        }
    }

    fn known(&self, digest: &Sha256Digest) -> Result<Option<InstructionRecord>, Problem> {
        self.reader.instruction(digest).map_err(|fault| store::problem("looking for an instruction", &fault))
    }

    /// Whether the certificate that signed is in the store, and neither revoked nor expired there.
    fn check_signer(&self, signer: &PhoneSigner) -> Result<(), Problem> {
        let found = self.reader.certificate_detail(Some(signer.kind), &signer.serial);
        let found = found.map_err(|fault| store::problem("looking for the signer's certificate", &fault))?;
        match found.filter(|found| found.summary.ca_key == signer.ca_key) {
            None => Err(self.refused(&InstructionRefusal::SignerUnknown)),
            Some(found) if !found.summary.state.stands() => {
                Err(self.counted(Problem::new("certificate_ended", "The certificate that signed the instruction has ended.")))
            }
            Some(_) => Ok(()),
        }
    }

    /// Refusals are told and counted, not kept: what an instruction is refused for here changes nothing.
    fn refused(&self, refusal: &impl Refusal) -> Problem {
        self.counted(Problem::refusal(refusal))
    }

    fn counted(&self, problem: Problem) -> Problem {
        let listener = if matches!(self.side, Side::Operators) { "operators" } else { "holders" };
        metrics::counter!("tsunagi_instructions_refused_total", "listener" => listener, "code" => problem.code().to_owned()).increment(1);
        problem
    }
}
