//! Operators' instructions: who may what, their certificates say; that many are not changed by one person alone is seen to here.

use ca_core::application::challenge::Beacon;
use ca_core::device_command::{DeviceAction, NamedCertificate};
use ca_core::instruction::UnverifiedInstruction;
use ca_core::instruction::operator::{self as asked, OperatorInstruction, SignedOperatorInstruction};
use ca_core::lifecycle::Command;
use chrono::{DateTime, Utc};
use schema::certificate::{CertificateState, CertificateSummary};
use schema::change::{Origin, Target};

use super::Judged;
use super::refused::Refused;
use super::work::{Signed, Verified, Work};
use crate::CaFault;
use crate::device_commands::Ordered;
use crate::role::CaRole;

/// What is to be done, or why not.
pub(super) type Judgement = Result<Result<Work, Refused>, CaFault>;

impl CaRole {
    pub(super) fn judge_operator(
        &self,
        instruction: &UnverifiedInstruction,
        beacons: &[Beacon],
        now: DateTime<Utc>,
    ) -> Result<Judged, CaFault> {
        let given = match self.instructions.verify_operator(instruction, now) {
            Ok(given) => given,
            Err(refusal) => return Ok(Judged::unsigned(instruction.digest(), Refused::of(&refusal))),
        };
        let digest = given.digest();
        let is_lift = matches!(given.instruction(), OperatorInstruction::Lift { .. });
        // Then its challenge was fresh when it was spent.
        let has_waited = is_lift && self.reader.deferred_since(&digest)?.is_some();
        if !has_waited && let Err(refusal) = self.instructions.check_beacon(given.challenge(), beacons, now) {
            return Ok(Judged::unsigned(digest, Refused::of(&refusal)));
        }
        let signed = Signed {
            challenge: (!has_waited).then(|| *given.challenge().as_bytes()),
            by: origin(&given),
            action: given.instruction().as_str(),
        };
        let work = match self.work_for(&given, now)? {
            Ok(work) => Verified { digest, signed, work },
            Err(refusal) => return Ok(Judged::refused(digest, signed, refusal)),
        };
        if !is_lift || !self.log_is_late()? {
            return Ok(Judged::verified(work));
        }
        self.log_rest.begin_unless_resting(now);
        Ok(if has_waited { Judged::Waits } else { Judged::Deferred(Box::new(work)) })
    }

    fn work_for(&self, signed: &SignedOperatorInstruction, now: DateTime<Utc>) -> Judgement {
        match signed.instruction() {
            OperatorInstruction::Hold { target: which, cause, .. } => Ok(Ok(change(which, Command::Hold { cause: *cause }))),
            OperatorInstruction::Lift { target: which, cause, .. } => Ok(Ok(change(which, Command::Lift { cause: *cause }))),
            OperatorInstruction::Revoke { target: which, reason, invalid_since, .. } => {
                Ok(Ok(change(which, Command::Revoke { reason: *reason, invalid_since: *invalid_since })))
            }
            OperatorInstruction::Erase { device, .. } => {
                let if_none = Refused::new("nothing_to_erase", "no certificate in this device was revoked");
                self.command_device(device, DeviceAction::Erase, |state| state == CertificateState::Revoked, if_none, now)
            }
            OperatorInstruction::Lock { device, .. } => {
                let if_none = Refused::new("nothing_to_lock", "every certificate in this device has ended");
                self.command_device(device, DeviceAction::Lock, CertificateState::stands, if_none, now)
            }
            OperatorInstruction::RunSchedule { schedule } => Ok(match schedule.as_str().parse() {
                Ok(name) => Ok(Work::RunSchedule(name)),
                Err(unknown) => Err(Refused { code: "schedule_unknown", detail: format!("{unknown}") }),
            }),
            OperatorInstruction::Mass(mass) => self.judge_mass(signed, mass),
            OperatorInstruction::Approve { instruction } => self.judge_approval(signed, instruction, now),
            OperatorInstruction::AuditExport(export) => self.judge_export(signed, export),
        }
    }

    /// A phone erases the keys of what has ended in it, or locks those of what has not.
    fn command_device(
        &self,
        device: &str,
        action: DeviceAction,
        is_meant: impl Fn(CertificateState) -> bool,
        if_none: Refused,
        now: DateTime<Utc>,
    ) -> Judgement {
        let Some(detail) = self.reader.device(device)? else {
            return Ok(Err(Refused::new("target_unknown", "there is no such device")));
        };
        let named = |certificate: &CertificateSummary| NamedCertificate { kind: certificate.kind, serial: certificate.serial.clone() };
        let certificates: Vec<_> = detail.certificates.iter().filter(|certificate| is_meant(certificate.state)).map(named).collect();
        if certificates.is_empty() {
            return Ok(Err(if_none));
        }
        let ordered = Ordered { device: device.to_owned(), action, certificates, event: None };
        Ok(Ok(Work::Command(self.command(ordered, now)?)))
    }
}

/// An operator, as events tell who asked.
pub(super) fn origin(signed: &SignedOperatorInstruction) -> Origin {
    let operator = signed.operator();
    Origin::Operator { name: operator.name.clone(), role: operator.role.as_str().to_owned() }
}

fn change(which: &asked::Target, command: Command) -> Work {
    let targets = vec![match which {
        asked::Target::Certificate { serial, kind } => Target::Serial { serial: serial.clone(), kind: *kind },
        asked::Target::Device(device) => Target::Device(device.clone()),
        asked::Target::Holder(holder_id) => Target::Holder(holder_id.clone()),
    }];
    let if_none = Refused::new("target_unknown", "there is no such certificate, or none that has not ended");
    Work::Change { targets, command, signer: None, if_none }
}
