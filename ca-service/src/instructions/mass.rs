//! Mass commands: done only if as many certificates are meant as the operator was shown, and above a threshold only if a second
//! administrator agrees.

use ca_core::digest::Sha256Digest;
use ca_core::instruction::UnverifiedInstruction;
use ca_core::instruction::operator::{MassChange, MassInstruction, OperatorInstruction, SignedOperatorInstruction};
use chrono::{DateTime, Utc};
use schema::batch::{BatchChange, NewBatch, Scope};
use schema::change::Order;
use serde_json::json;

use super::operator::{Judgement, origin};
use super::refused::Refused;
use super::work::Work;
use crate::CaFault;
use crate::role::CaRole;

impl CaRole {
    pub(super) fn judge_mass(&self, signed: &SignedOperatorInstruction, mass: &MassInstruction) -> Judgement {
        let batch = batch(signed, mass);
        let count = match self.count(mass, &batch.scope)? {
            Ok(count) => count,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if count > u64::from(self.settings.life.mass.second_person_above) {
            return Ok(Ok(Work::AwaitApproval { outcome: json!({"count": count}) }));
        }
        Ok(Ok(Work::Mass { batch, count }))
    }

    /// The count may have changed while the command waited, so it is taken again. The instruction to be approved is verified again,
    /// too; its challenge was fresh when it was spent, as it began to wait, and that must be no longer ago than it may wait.
    pub(super) fn judge_approval(&self, approval: &SignedOperatorInstruction, approved: &Sha256Digest, now: DateTime<Utc>) -> Judgement {
        let not_awaiting = || Ok(Err(Refused::new("not_awaiting_approval", "no instruction of this digest waits for an approval")));
        let Some(stored) = self.reader.instruction_awaiting_approval(approved)? else { return not_awaiting() };
        let verified = UnverifiedInstruction::from_bytes(stored.message).and_then(|first| self.instructions.verify_operator(&first, now));
        let first = match verified {
            Ok(first) => first,
            Err(refusal) => return Ok(Err(Refused::of(&refusal))),
        };
        let OperatorInstruction::Mass(mass) = first.instruction() else { return not_awaiting() };
        if first.key_sha256() == approval.key_sha256() || first.operator().name == approval.operator().name {
            return Ok(Err(Refused::new("second_person_needed", "another administrator must approve, with another name and another key")));
        }
        let since = self.reader.challenge_redeemed_at(first.challenge().as_bytes())?;
        if since.is_none_or(|since| now - since > self.settings.life.approval_time()) {
            return Ok(Err(Refused::new(
                "approval_expired",
                "the instruction has waited too long for its approval: it must be given again",
            )));
        }
        let batch = batch(&first, mass);
        let count = match self.count(mass, &batch.scope)? {
            Ok(count) => count,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(Ok(Work::Approve { approved: *approved, by: origin(&first), batch, count }))
    }

    /// Counted before the transaction, in which to count a country's certificates would hold up all that is written: between the two
    /// the count can change by what is issued or ends in that moment, as it does while the batch runs.
    fn count(&self, mass: &MassInstruction, scope: &Scope) -> Result<Result<u64, Refused>, CaFault> {
        let count = self.reader.count_scope(scope)?;
        if count == mass.expected {
            return Ok(Ok(count));
        }
        let detail = format!("{count} certificates are meant now, and not {}", mass.expected);
        Ok(Err(Refused { code: "count_changed", detail }))
    }
}

fn batch(signed: &SignedOperatorInstruction, mass: &MassInstruction) -> NewBatch {
    NewBatch {
        name: format!("instruction:{}", signed.digest()),
        scope: Scope { issuer_key_id: mass.scope.issuer_key_id.clone(), distribution_point_sha256: mass.scope.distribution_point_sha256 },
        change: match mass.change {
            MassChange::Revoke(reason) => BatchChange::Revoke { reason },
            MassChange::Hold => BatchChange::Hold,
        },
        order: Order { origin: origin(signed), instruction: Some(signed.digest()) },
    }
}
