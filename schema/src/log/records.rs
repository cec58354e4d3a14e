//! Leaves with their events, and events that have no leaf yet, page by page.

use std::cell::{Cell, RefCell};

use ca_core::application::ApplicationId;

use super::{EventRow, HASH_OCTETS, LeafContent, LogRecord, hash};
use crate::certificate::CertificateId;
use crate::codes;
use crate::event::EventPosition;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};

/// So many leaves or events are read in one look.
pub const PAGE_LEAVES: u32 = 4096;

/// The columns that [`visit_record`] takes, of `log_leaf AS l` and `event AS e`.
pub(super) const COLUMNS: &str =
    "l.leaf, l.commitment, l.absent, l.salt, e.position, e.at, e.kind, e.certificate_id, e.application_id, e.data";

impl Reader {
    /// The leaves from an index on, in order, `limit` at most; how many there were. No snapshot is held from one page of
    /// [`PAGE_LEAVES`] to the next: leaves do not change, but that one may be purged meanwhile.
    ///
    /// `visit` must not wait: while it runs, the page's snapshot is held.
    pub fn log_records<E: From<StoreFault>>(
        &self,
        first_leaf: u64,
        limit: u64,
        mut visit: impl FnMut(LogRecord<'_>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let Ok(first) = i64::try_from(first_leaf) else { return Ok(0) };
        let end = first.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX));
        let (next, count) = (Cell::new(first), Cell::new(0));
        let outcome = RefCell::new(Ok(()));
        let visit = RefCell::new(|record: LogRecord<'_>| {
            next.set(i64::try_from(record.leaf).unwrap_or(i64::MAX).saturating_add(1));
            count.set(count.get() + 1);
            visit(record)
        });
        while next.get() < end {
            let (from, before) = (next.get(), count.get());
            let until = end.min(from.saturating_add(PAGE_LEAVES.into()));
            // A page that breaks off with its connection goes on where it was.
            self.read(|session| {
                sql(format!(
                    "SELECT {COLUMNS} FROM log_leaf AS l LEFT JOIN event AS e ON e.position = l.position \
                     WHERE l.leaf >= ? AND l.leaf < ? ORDER BY l.leaf"
                ))
                .bind(next.get())
                .bind(until)
                .each(session, |row| {
                    let visited = visit_record(row, &mut *visit.borrow_mut())?;
                    let goes_on = visited.is_ok();
                    *outcome.borrow_mut() = visited;
                    Ok(goes_on)
                })
            })?;
            outcome.replace(Ok(()))?;
            if count.get() == before {
                break;
            }
        }
        Ok(count.get())
    }

    /// The events after a position, in order, `limit` at most, as those see them who make leaves of them; how many there were.
    pub fn events_to_sequence<E: From<StoreFault>>(
        &self,
        after: EventPosition,
        limit: u32,
        mut visit: impl FnMut(EventRow<'_>) -> Result<(), E>,
    ) -> Result<u32, E> {
        let (seen, last) = (Cell::new(0), Cell::new(after.0));
        let outcome = RefCell::new(Ok(()));
        let visit = RefCell::new(|event: EventRow<'_>| {
            seen.set(seen.get() + 1);
            last.set(event.position.0);
            visit(event)
        });
        self.read(|session| {
            sql("SELECT position, at, kind, certificate_id, application_id, data FROM event WHERE position > ? ORDER BY position LIMIT ?")
                .bind(last.get())
                .bind(i64::from(limit - seen.get()))
                .each(session, |row| {
                    let visited = visit_event(row, &mut *visit.borrow_mut())?;
                    let goes_on = visited.is_ok();
                    *outcome.borrow_mut() = visited;
                    Ok(goes_on)
                })
        })?;
        outcome.into_inner()?;
        Ok(seen.get())
    }

    /// The commitments of leaves, in order: the log's entries. Fewer than `count` if the log ends before.
    pub fn log_commitments(&self, first_leaf: u64, count: u32) -> Result<Vec<[u8; HASH_OCTETS]>, StoreFault> {
        let Ok(first) = i64::try_from(first_leaf) else { return Ok(Vec::new()) };
        self.read(|session| {
            sql("SELECT commitment FROM log_leaf WHERE leaf >= ? AND leaf < ? ORDER BY leaf")
                .bind(first)
                .bind(first.saturating_add(count.into()))
                .rows(session, |row| hash(&row.bytes()?))
        })
    }

    /// How many of the leaves from `from` to before `to` have no content any more, because it was purged.
    pub fn purged_leaves(&self, from: u64, to: u64) -> Result<u64, StoreFault> {
        let (Ok(from), Ok(to)) = (i64::try_from(from), i64::try_from(to)) else { return Ok(0) };
        let found = self.read(|session| {
            sql("SELECT COUNT(*) FROM log_leaf WHERE leaf >= ? AND leaf < ? AND absent = ?")
                .bind(from)
                .bind(to)
                .bind(codes::PURGED)
                .optional(session, |row| row.unsigned())
        })?;
        Ok(found.unwrap_or_default())
    }

    /// A tile above level 0, as far as it has grown.
    pub fn log_tile(&self, level: u8, number: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        self.read(|session| {
            sql("SELECT hashes FROM log_tile WHERE level = ? AND number = ?")
                .bind(i16::from(level))
                .bind(number)
                .optional(session, |row| row.bytes())
        })
    }
}

/// Decodes a row of [`COLUMNS`] and hands it over: outside what came of decoding, inside what came of that.
pub(super) fn visit_record<E>(
    row: &mut Fields<'_, '_, '_>,
    visit: &mut impl FnMut(LogRecord<'_>) -> Result<(), E>,
) -> Result<Result<(), E>, StoreFault> {
    let (leaf, commitment, absent, salt) = (row.unsigned()?, hash(&row.bytes()?)?, row.optional_small()?, row.optional_bytes()?);
    match (absent, salt) {
        (None, Some(salt)) => {
            let salt = hash(&salt)?;
            visit_event(row, &mut |event| visit(LogRecord { leaf, commitment, content: LeafContent::Present { event, salt } }))
        }
        (Some(codes::PURGED), None) => Ok(visit(LogRecord { leaf, commitment, content: LeafContent::Purged })),
        (Some(codes::LOST), None) => Ok(visit(LogRecord { leaf, commitment, content: LeafContent::Lost })),
        _ => Err(StoreFault::Corrupt("a leaf that is neither there nor absent")),
    }
}

fn visit_event<E>(
    row: &mut Fields<'_, '_, '_>,
    visit: &mut impl FnMut(EventRow<'_>) -> Result<(), E>,
) -> Result<Result<(), E>, StoreFault> {
    let (position, at, kind) = (EventPosition(row.big()?), row.time()?, row.text()?);
    let (certificate, application) = (row.optional_big()?.map(CertificateId), row.optional_big()?.map(ApplicationId));
    let data = row.text()?;
    Ok(visit(EventRow { position, at, kind: &kind, certificate, application, data: &data }))
}
