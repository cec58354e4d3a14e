//! Taking an export, preparing it part by part, and ending it.

use ca_core::digest::Sha256Digest;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{EXPIRED, ExportFormat, ExportId, ExportPart, FAILED, READY};
use crate::change::Origin;
use crate::codes;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::lease::Lease;
use crate::sql::sql;
use crate::transaction::Transaction;

/// An export to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExport {
    /// Its name: 32 hexadecimal digits.
    pub public_id: String,
    /// The SHA-256 of the instruction by which it is asked for, which is stored.
    pub instruction: Sha256Digest,
    /// Who takes it: an operator.
    pub taken_by: Origin,
    /// Its first leaf.
    pub from_leaf: u64,
    /// The leaf after its last: not beyond the checkpoint.
    pub to_leaf: u64,
    /// How its records are written.
    pub format: ExportFormat,
    /// The size of the tree that the auditor knows already.
    pub previous_size: Option<u64>,
    /// The age key to which evidence is encrypted; without one there is no evidence.
    pub recipient: Option<String>,
    /// The signed note that it stands under.
    pub checkpoint: String,
}

impl Transaction<'_> {
    /// Takes an export, to be prepared; leaves the event of it. Belongs into the transaction that decides the instruction.
    ///
    /// Errors: [`StoreFault::Misuse`] if it is not an operator who takes it, or the instruction is not stored; a fault of class `Unique` if
    /// the instruction has been done before.
    pub fn take_export(&mut self, new: &NewExport, now: DateTime<Utc>) -> Result<ExportId, StoreFault> {
        let Origin::Operator { name, .. } = &new.taken_by else { return Err(StoreFault::Misuse("an export is taken by an operator")) };
        let id = sql("INSERT INTO audit_export (public_id, instruction_id, taken_by, taken_at, from_leaf, to_leaf, format, previous_size, \
             recipient, cursor, checkpoint) SELECT ?, i.id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM instruction AS i WHERE i.digest = ? RETURNING id")
        .bind(new.public_id.as_str())
        .bind(name.as_str())
        .bind(now)
        .bind(codes::stored(new.from_leaf)?)
        .bind(codes::stored(new.to_leaf)?)
        .bind(new.format.code())
        .bind(new.previous_size.map(codes::stored).transpose()?)
        .bind(new.recipient.as_deref())
        .bind(codes::stored(new.from_leaf)?)
        .bind(new.checkpoint.as_str())
        .bind(&new.instruction)
        .optional(self.session, |row| Ok(ExportId(row.big()?)))?
        .ok_or(StoreFault::Misuse("there is no such instruction"))?;
        let data = json!({
            "export": new.public_id, "from": new.from_leaf, "to": new.to_leaf, "format": new.format.as_str(),
            "with_evidence": new.recipient.is_some(), "by": new.taken_by, "instruction": new.instruction.to_string(),
        });
        self.emit(NewEvent::new(EventKind::ExportTaken, now, data));
        Ok(id)
    }

    /// Stores the next part of an export that is being prepared: the one that begins where the last ended.
    ///
    /// Errors: [`StoreFault::Fenced`]; [`StoreFault::Misuse`] if it is not the next, or the export is not being prepared.
    pub fn add_export_part(&mut self, lease: &Lease, export: ExportId, part: &ExportPart) -> Result<(), StoreFault> {
        self.check_lease(lease)?;
        let (from, to) = (codes::stored(part.from_leaf)?, codes::stored(part.to_leaf)?);
        let moved = sql("UPDATE audit_export SET cursor = ? WHERE id = ? AND state = 1 AND cursor = ?")
            .bind(to)
            .bind(export.0)
            .bind(from)
            .execute(self.session)?;
        if moved != 1 {
            return Err(StoreFault::Misuse("the part is not the next of an export that is being prepared"));
        }
        sql("INSERT INTO audit_export_part (export_id, number, from_leaf, to_leaf, detail) VALUES (?, ?, ?, ?, ?)")
            .bind(export.0)
            .bind(codes::stored(part.number)?)
            .bind(from)
            .bind(to)
            .bind(part.detail.to_string().as_str())
            .execute(self.session)?;
        Ok(())
    }

    /// Stores a piece of a part's encrypted evidence, before the part itself: 1 octet to 16 MiB; pieces count from 0 on. Piece 0 takes
    /// the place of whatever was stored by a preparation of this part that was broken off.
    ///
    /// Errors: [`StoreFault::Fenced`]; a fault of class `Unique` if the piece is there.
    pub fn add_evidence_chunk(
        &mut self,
        lease: &Lease,
        (export, number): (ExportId, u64),
        sequence: u32,
        octets: &[u8],
    ) -> Result<(), StoreFault> {
        self.check_lease(lease)?;
        let number = codes::stored(number)?;
        if sequence == 0 {
            sql("DELETE FROM audit_evidence_chunk WHERE export_id = ? AND number = ?").bind(export.0).bind(number).execute(self.session)?;
        }
        sql("INSERT INTO audit_evidence_chunk (export_id, number, sequence, octets) VALUES (?, ?, ?, ?)")
            .bind(export.0)
            .bind(number)
            .bind(i32::try_from(sequence).map_err(|_| StoreFault::Misuse("too many pieces of evidence"))?)
            .bind(octets)
            .execute(self.session)?;
        Ok(())
    }

    /// The export is ready: all its parts are there, and its manifest is signed.
    ///
    /// Errors: [`StoreFault::Fenced`]; [`StoreFault::Misuse`] if it is not being prepared, or not to its end.
    pub fn finish_export(&mut self, lease: &Lease, export: ExportId, manifest: &str, now: DateTime<Utc>) -> Result<(), StoreFault> {
        self.check_lease(lease)?;
        let finished =
            sql("UPDATE audit_export SET state = ?, manifest = ?, settled_at = ? WHERE id = ? AND state = 1 AND cursor = to_leaf")
                .bind(READY)
                .bind(manifest)
                .bind(now)
                .bind(export.0)
                .execute(self.session)?;
        if finished == 1 { Ok(()) } else { Err(StoreFault::Misuse("the export is not prepared to its end")) }
    }

    /// The export cannot be made; `failure` is a sentence of 1 to 1000 octets without personal data. What was kept for it goes.
    ///
    /// Errors: [`StoreFault::Fenced`]; [`StoreFault::Misuse`] if it is not being prepared.
    pub fn fail_export(&mut self, lease: &Lease, export: ExportId, failure: &str, now: DateTime<Utc>) -> Result<(), StoreFault> {
        self.check_lease(lease)?;
        let failed = sql("UPDATE audit_export SET state = ?, failure = ?, settled_at = ? WHERE id = ? AND state = 1")
            .bind(FAILED)
            .bind(failure)
            .bind(now)
            .bind(export.0)
            .execute(self.session)?;
        if failed != 1 {
            return Err(StoreFault::Misuse("the export is not being prepared"));
        }
        self.remove_parts(export)
    }

    /// The export can be fetched no more. What was kept for it goes.
    ///
    /// Errors: [`StoreFault::Fenced`]; [`StoreFault::Misuse`] if it is not ready.
    pub fn expire_export(&mut self, lease: &Lease, export: ExportId, now: DateTime<Utc>) -> Result<(), StoreFault> {
        self.check_lease(lease)?;
        let expired = sql("UPDATE audit_export SET state = ?, settled_at = ? WHERE id = ? AND state = 2")
            .bind(EXPIRED)
            .bind(now)
            .bind(export.0)
            .execute(self.session)?;
        if expired != 1 {
            return Err(StoreFault::Misuse("the export is not ready"));
        }
        self.remove_parts(export)
    }

    fn remove_parts(&mut self, export: ExportId) -> Result<(), StoreFault> {
        sql("DELETE FROM audit_evidence_chunk WHERE export_id = ?").bind(export.0).execute(self.session)?;
        sql("DELETE FROM audit_export_part WHERE export_id = ?").bind(export.0).execute(self.session)?;
        Ok(())
    }
}
