//! The one transaction in which an instruction is carried out: its challenge is spent, what it asks for happens, it is decided.

use ca_core::lifecycle::Change;
use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;
use schema::change::{ChangeRefusal, Changed};
use schema::instruction::{Asked, Decision};
use schema::{Transaction, WriteError};
use serde_json::{Value, json};

use super::refused::{Refused, refused};
use super::work::{Verified, Work};

type CarriedOut<T> = Result<T, WriteError<Refused>>;

impl Verified {
    /// Everything or nothing.
    pub(super) fn carry_out(&self, tx: &mut Transaction<'_>, policy: &LifecyclePolicy, now: DateTime<Utc>) -> CarriedOut<()> {
        if let Some(challenge) = &self.signed.challenge {
            tx.redeem_challenge(challenge, now).map_err(refused)?;
        }
        let decision = self.do_work(tx, policy, now)?;
        tx.decide_instruction(&self.digest, &decision, self.signed.asked(), now).map_err(refused)
    }

    /// Remembers that it is in order, and spends its challenge: nothing of it happens yet.
    pub(super) fn defer(&self, tx: &mut Transaction<'_>, now: DateTime<Utc>) -> CarriedOut<()> {
        if let Some(challenge) = &self.signed.challenge {
            tx.redeem_challenge(challenge, now).map_err(refused)?;
        }
        tx.defer_instruction(&self.digest, now).map_err(refused)
    }

    fn do_work(&self, tx: &mut Transaction<'_>, policy: &LifecyclePolicy, now: DateTime<Utc>) -> CarriedOut<Decision> {
        let outcome = match &self.work {
            Work::Change { targets, command, signer, if_none } => {
                let changed = match tx.change_certificates(targets, command, policy, &self.order(), now) {
                    Err(WriteError::Refused(ChangeRefusal::TargetUnknown)) => return Err(WriteError::Refused(if_none.clone())),
                    answer => answer.map_err(refused)?,
                };
                if let Some((kind, serial)) = signer
                    && !changed.iter().any(|changed| changed.kind == *kind && changed.serial == *serial)
                {
                    return Err(WriteError::Refused(Refused::certificate_ended()));
                }
                json!({"certificates": changed.iter().map(told).collect::<Vec<_>>()})
            }
            Work::PushToken { device, push_token, signer: (ca_key, serial) } => {
                if !tx.certificate_stands(*ca_key, serial)? {
                    return Err(WriteError::Refused(Refused::certificate_ended()));
                }
                if !tx.set_push_token(device, push_token, now)? {
                    return Err(WriteError::Refused(Refused::new("target_unknown", "there is no such device")));
                }
                json!({"device": device})
            }
            Work::Command(command) => {
                tx.create_device_command(command, now)?;
                json!({"command": command.public_id, "device": command.device})
            }
            Work::RunSchedule(name) => {
                if !tx.request_schedule(name.as_str(), now)? {
                    return Err(WriteError::Refused(Refused::new("schedule_unknown", "there is no such schedule")));
                }
                json!({"schedule": name.as_str()})
            }
            Work::Mass { batch, count } => {
                let id = tx.start_batch(batch, now)?;
                json!({"batch": id.0.to_string(), "count": count})
            }
            Work::Export(export) => {
                tx.take_export(export, now)?;
                json!({"export": export.public_id, "from_leaf": export.from_leaf, "to_leaf": export.to_leaf})
            }
            Work::AwaitApproval { outcome } => return Ok(Decision::AwaitingApproval(outcome.clone())),
            Work::Approve { approved, by, batch, count } => {
                let id = tx.start_batch(batch, now)?;
                let outcome = json!({"batch": id.0.to_string(), "count": count});
                tx.approve_instruction(approved, &self.digest, &outcome, Asked { by: Some(by), action: Some("mass") }, now)
                    .map_err(refused)?;
                json!({"approved": approved.to_string(), "batch": id.0.to_string(), "count": count})
            }
        };
        Ok(Decision::Done(outcome))
    }
}

/// A changed certificate as the outcome tells it.
fn told(changed: &Changed) -> Value {
    let word = match changed.change {
        Change::Held { .. } => "held",
        Change::HoldAdded { .. } => "hold-added",
        Change::HoldLifted { .. } => "hold-lifted",
        Change::Released { .. } => "released",
        Change::Revoked(_) => "revoked",
        Change::Expired => "expired",
    };
    json!({"kind": changed.kind, "serial": changed.serial.to_string(), "change": word})
}
