//! Exports of the log: what an auditor asks for becomes a range of leaves under the last signed checkpoint.

use audit_log::export::{PARTS, Recipient, part_of};
use ca_core::instruction::operator::{AuditExport, Bound, RecordFormat, Role, SignedOperatorInstruction};
use schema::audit_export::{ExportFormat, NewExport};

use super::operator::{Judgement, origin};
use super::refused::Refused;
use super::work::Work;
use crate::CaFault;
use crate::device_commands::random_public_id;
use crate::role::CaRole;

impl CaRole {
    pub(super) fn judge_export(&self, signed: &SignedOperatorInstruction, asked: &AuditExport) -> Judgement {
        let Some(note) = self.reader.log_head()?.note else {
            return Ok(Err(Refused::new("log_not_begun", "no checkpoint of the log has been signed yet")));
        };
        let (from, to) = (self.first_leaf(asked.from, note.size)?, self.end(asked.to, note.size)?);
        let refusal = refuse(asked, from, to, note.size);
        if let Some(refusal) = refusal.or_else(|| refuse_evidence(asked, signed.operator().role, &self.settings.evidence_recipients)) {
            return Ok(Err(refusal));
        }
        let export = NewExport {
            public_id: random_public_id()?,
            instruction: signed.digest(),
            taken_by: origin(signed),
            from_leaf: from,
            to_leaf: to,
            format: match asked.format {
                RecordFormat::Jsonl => ExportFormat::Jsonl,
                RecordFormat::Csv => ExportFormat::Csv,
            },
            previous_size: asked.previous_size,
            recipient: asked.recipient.clone(),
            checkpoint: note.text,
        };
        Ok(Ok(Work::Export(Box::new(export))))
    }

    fn first_leaf(&self, bound: Option<Bound>, size: u64) -> Result<u64, CaFault> {
        Ok(match bound {
            None => 0,
            Some(Bound::Leaf(leaf)) => leaf,
            Some(Bound::Time(time)) => self.reader.first_leaf_at(time)?.unwrap_or(size),
        })
    }

    fn end(&self, bound: Option<Bound>, size: u64) -> Result<u64, CaFault> {
        Ok(match bound {
            None => size,
            Some(Bound::Leaf(leaf)) => leaf,
            Some(Bound::Time(time)) => self.reader.leaf_before(time)?.min(size),
        })
    }
}

/// Why this range is not exported, if it is not.
fn refuse(asked: &AuditExport, from: u64, to: u64, size: u64) -> Option<Refused> {
    if let Some(previous) = asked.previous_size.filter(|previous| *previous > size) {
        // Whoever holds a checkpoint of it holds the proof that something was taken away.
        let detail = format!("the log has {size} leaves under its checkpoint, fewer than the {previous} that are known already");
        return Some(Refused { code: "log_shrunk", detail });
    }
    if to > size {
        let detail = format!("the log has {size} leaves under its checkpoint");
        return Some(Refused { code: "beyond_checkpoint", detail });
    }
    if from >= to {
        let detail = format!("there is nothing between the leaves {from} and {to}");
        return Some(Refused { code: "nothing_to_export", detail });
    }
    let parts = part_of(to - 1) - part_of(from) + 1;
    if parts > PARTS {
        let detail = format!("{} leaves are too many for one export: take shorter stretches, one after the other", to - from);
        return Some(Refused { code: "export_too_large", detail });
    }
    match asked.recipient.as_deref().map(str::parse::<Recipient>) {
        Some(Err(fault)) => Some(Refused { code: "recipient_invalid", detail: fault.to_string() }),
        _ => None,
    }
}

/// Why evidence, which is personal data, is not given to whoever asks for it, if it is not. `recipients` are those that may have it; empty:
/// any.
fn refuse_evidence(asked: &AuditExport, role: Role, recipients: &[String]) -> Option<Refused> {
    let recipient = asked.recipient.as_ref()?;
    if role != Role::Auditor {
        return Some(Refused::new("role_not_allowed", "evidence is given to auditors alone"));
    }
    if !recipients.is_empty() && !recipients.contains(recipient) {
        return Some(Refused::new("recipient_not_allowed", "evidence is not encrypted to this key: audit.evidence_recipients has others"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_for_auditors_and_their_keys() {
        let plain = AuditExport { from: None, to: None, format: RecordFormat::Csv, previous_size: None, recipient: None };
        let asked = AuditExport { recipient: Some("age1one".to_owned()), ..plain.clone() };
        let (one, other) = (["age1one".to_owned()], ["age1other".to_owned()]);
        let code = |role, recipients: &[String]| refuse_evidence(&asked, role, recipients).map(|refusal| refusal.code);
        assert_eq!((code(Role::Auditor, &[]), code(Role::Auditor, &one)), (None, None));
        assert_eq!(code(Role::Auditor, &other), Some("recipient_not_allowed"));
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Auditor) {
            assert_eq!(code(role, &one), Some("role_not_allowed"));
            assert_eq!(refuse_evidence(&plain, role, &other), None, "records are no evidence");
        }
    }

    #[test]
    fn only_what_a_checkpoint_covers_is_exported() {
        let asked = AuditExport { from: None, to: None, format: RecordFormat::Csv, previous_size: None, recipient: None };
        let code = |asked: &AuditExport, from, to, size| refuse(asked, from, to, size).map(|refusal| refusal.code);
        assert_eq!(code(&asked, 0, 10, 10), None);
        assert_eq!(code(&asked, 0, 11, 10), Some("beyond_checkpoint"));
        assert_eq!(code(&asked, 10, 10, 10), Some("nothing_to_export"));
        assert_eq!(code(&asked, 5, 65_536_005, 70_000_000), Some("export_too_large"));
        assert_eq!(code(&AuditExport { previous_size: Some(10), ..asked.clone() }, 0, 1, 10), None);
        assert_eq!(code(&AuditExport { previous_size: Some(11), ..asked.clone() }, 0, 1, 10), Some("log_shrunk"));
        let nobody = Some(format!("age1{}", "q".repeat(58)));
        assert_eq!(code(&AuditExport { recipient: nobody, ..asked }, 0, 1, 10), Some("recipient_invalid"));
    }
}
