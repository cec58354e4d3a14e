//! Changes of certificates, by people or because the time has come: decided purely, written with exactly one event for each.

mod origin;
mod put_back;
pub(crate) mod standing;

use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use ca_core::lifecycle::{Change, Command, LifecycleRefusal};
use ca_core::refusal::Refusal;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;

use crate::certificate::CertificateId;
use crate::codes;
use crate::deferred_instruction;
use crate::fault::{StoreFault, WriteError};
use crate::sql::sql;
use crate::transaction::Transaction;
pub use origin::Origin;
use standing::{Grounds, Standing};

/// The certificates that somebody wants changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The certificate with this serial number, however it stands; the kind may be left out.
    Serial {
        /// Its serial number.
        serial: SerialNumber,
        /// What it is for.
        kind: Option<CertificateKind>,
    },
    /// What is live or held in the phone with this public identifier.
    Device(String),
    /// What the holder has that is live or held.
    Holder(String),
    /// What is live or held with this public key: the SHA-256 of its SubjectPublicKeyInfo.
    PublicKey(Sha256Digest),
}

/// A certificate that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its row.
    pub id: CertificateId,
    /// What it is for.
    pub kind: CertificateKind,
    /// Its serial number.
    pub serial: SerialNumber,
    /// What was done.
    pub change: Change,
}

/// Why nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefusal {
    /// No certificate, or none that still stands, is meant.
    #[error("there is no such certificate, or none that has not ended")]
    TargetUnknown,
    /// A lift that was put off, and the hold was asked for again since.
    #[error("the hold was asked for again after this lift, which had to wait")]
    HoldRenewed,
    /// The rules of life forbid it.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleRefusal),
}

impl Refusal for ChangeRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::TargetUnknown => "target_unknown",
            Self::HoldRenewed => "hold_renewed",
            Self::Lifecycle(refusal) => refusal.code(),
        }
    }
}

/// What may be changed, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who asks.
    pub origin: Origin,
    /// The instruction by which it is asked for.
    pub instruction: Option<Sha256Digest>,
}

impl From<Origin> for Order {
    fn from(origin: Origin) -> Self {
        Self { origin, instruction: None }
    }
}

impl Transaction<'_> {
    /// Changes all certificates that the targets mean, as far as the rules of life allow: what there is nothing to do about is left
    /// as it is, and only if every one of them forbids it is the (first) refusal the answer.
    ///
    /// The rows are locked until the end of the transaction, always in the same order, so whatever happens to a certificate at the
    /// same time comes before or after. Nothing was written if it is refused. Each change has exactly one event. A lift by an instruction
    /// that was put off leaves holds alone that were placed, or asked for again, since.
    ///
    /// Errors besides refusals: [`StoreFault::Reconciling`] for the lift of a hold.
    pub fn change_certificates(
        &mut self,
        targets: &[Target],
        command: &Command,
        policy: &LifecyclePolicy,
        order: &Order,
        now: DateTime<Utc>,
    ) -> Result<Vec<Changed>, WriteError<ChangeRefusal>> {
        if matches!(command, Command::Lift { .. }) {
            self.refuse_while_reconciling()?;
        }
        let mut ids = Vec::new();
        for target in targets {
            ids.extend(self.certificates_of(target)?);
        }
        let mut standings = standing::by_rows(self.session, &ids)?;
        // What ended between the look and the lock is none any more; by its serial number, a certificate is meant however it stands.
        if !targets.iter().any(|target| matches!(target, Target::Serial { .. })) {
            standings.retain(|standing| !standing.certificate.state.is_final());
        }
        if standings.is_empty() {
            return Err(WriteError::Refused(ChangeRefusal::TargetUnknown));
        }
        let is_renewed = self.leave_renewed_holds(&mut standings, command, order)?;
        let grounds = Grounds { by: &order.origin, card_change: None, instruction: order.instruction.as_ref(), policy };
        let (changed, refusals) = self.change(&mut standings, command, &grounds, now);
        if is_renewed && refusals.len() == standings.len() {
            return Err(WriteError::Refused(ChangeRefusal::HoldRenewed));
        }
        if let Some(refusal) = refusals.first().filter(|_| refusals.len() == standings.len()) {
            return Err(WriteError::Refused((*refusal).into()));
        }
        standing::write(self.session, &standings, order.instruction.as_ref(), now)?;
        Ok(changed)
    }

    /// Takes the certificates away that a lift came too late for: they were held again while it waited. Whether there were any.
    fn leave_renewed_holds(&mut self, standings: &mut Vec<Standing>, command: &Command, order: &Order) -> Result<bool, StoreFault> {
        let (Command::Lift { cause }, Some(digest)) = (command, &order.instruction) else { return Ok(false) };
        let ids: Vec<CertificateId> = standings.iter().map(|standing| standing.id).collect();
        let renewed = deferred_instruction::held_since(self.session, digest, *cause, &ids)?;
        standings.retain(|standing| !renewed.contains(&standing.id));
        Ok(!renewed.is_empty())
    }

    /// Writes down that live certificates have reached their end, and makes the holds of those that were held permanent; `limit`
    /// at most, the longest expired first.
    pub fn expire_due(
        &mut self,
        limit: u32,
        policy: &LifecyclePolicy,
        order: &Order,
        now: DateTime<Utc>,
    ) -> Result<Vec<Changed>, StoreFault> {
        let due = sql("SELECT id FROM certificate WHERE state IN (1, 2) AND not_after < ? ORDER BY not_after LIMIT ?")
            .bind(codes::whole_seconds(now))
            .bind(i64::from(limit))
            .rows(self.session, |row| Ok(CertificateId(row.big()?)))?;
        self.change_due(&due, &Command::Expire, policy, order, now)
    }

    /// Revokes certificates whose holds have stood for as long as policy allows; `limit` at most, the longest held first. Test
    /// certificates are held for as long as they last.
    pub fn holds_past_deadline(
        &mut self,
        limit: u32,
        policy: &LifecyclePolicy,
        order: &Order,
        now: DateTime<Utc>,
    ) -> Result<Vec<Changed>, StoreFault> {
        let Some(after) = policy.holds.revoke_after() else { return Ok(Vec::new()) };
        let due = sql("SELECT c.id FROM certificate AS c WHERE c.state = 2 AND c.revoked_at <= ? \
             AND NOT EXISTS (SELECT 1 FROM test_certificate AS t WHERE t.certificate_id = c.id) ORDER BY c.revoked_at LIMIT ?")
        .bind(now - after)
        .bind(i64::from(limit))
        .rows(self.session, |row| Ok(CertificateId(row.big()?)))?;
        self.change_due(&due, &Command::Deadline, policy, order, now)
    }

    fn change_due(
        &mut self,
        due: &[CertificateId],
        command: &Command,
        policy: &LifecyclePolicy,
        order: &Order,
        now: DateTime<Utc>,
    ) -> Result<Vec<Changed>, StoreFault> {
        let mut standings = standing::by_rows(self.session, due)?;
        let grounds = Grounds { by: &order.origin, card_change: None, instruction: order.instruction.as_ref(), policy };
        // A consequence is not refused: what changed meanwhile needs nothing more.
        let (changed, _) = self.change(&mut standings, command, &grounds, now);
        standing::write(self.session, &standings, None, now)?;
        Ok(changed)
    }

    /// Does the same to several certificates, and leaves the events: what was changed, and what was refused.
    pub(crate) fn change(
        &mut self,
        standings: &mut [Standing],
        command: &Command,
        grounds: &Grounds<'_>,
        now: DateTime<Utc>,
    ) -> (Vec<Changed>, Vec<LifecycleRefusal>) {
        let (mut changed, mut refusals) = (Vec::new(), Vec::new());
        for standing in standings {
            match standing.take(command, grounds.policy, now) {
                Ok(None) => {}
                Ok(Some(change)) => {
                    self.emit(standing.event(&change, grounds, now));
                    let kind = standing.certificate.kind;
                    changed.push(Changed { id: standing.id, kind, serial: standing.serial.clone(), change });
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        (changed, refusals)
    }

    /// The rows that a target means, before they are locked.
    fn certificates_of(&mut self, target: &Target) -> Result<Vec<CertificateId>, StoreFault> {
        let select = match target {
            Target::Serial { serial, kind: None } => sql("SELECT id FROM certificate WHERE serial = ?").bind(serial),
            Target::Serial { serial, kind: Some(kind) } => {
                sql("SELECT id FROM certificate WHERE serial = ? AND kind = ?").bind(serial).bind(*kind)
            }
            Target::Device(public_id) => sql("SELECT c.id FROM device AS d JOIN application AS a ON a.device_id = d.id \
                 JOIN certificate_body AS b ON b.application_id = a.id JOIN certificate AS c ON c.id = b.certificate_id \
                 WHERE d.public_id = ? AND c.state IN (1, 2)")
            .bind(public_id.as_str()),
            Target::Holder(holder_id) => {
                // An issuance locks the holder too, so a new phone's certificate is there now or comes after all this.
                let lock = self.session.update_lock();
                let holder = sql(format!("SELECT id FROM holder WHERE holder_id = ?{lock}"))
                    .bind(holder_id.as_str())
                    .optional(self.session, |row| row.big())?;
                let Some(holder) = holder else { return Ok(Vec::new()) };
                sql("SELECT id FROM certificate WHERE holder = ? AND state IN (1, 2)").bind(holder)
            }
            Target::PublicKey(sha256) => sql("SELECT c.id FROM certified_key AS k JOIN certificate AS c ON c.id = k.certificate_id \
                 WHERE k.spki_sha256 = ? AND c.state IN (1, 2)")
            .bind(sha256),
        };
        select.rows(self.session, |row| Ok(CertificateId(row.big()?)))
    }
}
