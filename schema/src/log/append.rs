//! Appending leaves: by the leader, in one transaction with the tiles that they change and the head that they make.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{HASH_OCTETS, head::head};
use crate::codes;
use crate::event::{EventKind, EventPosition, NewEvent};
use crate::fault::StoreFault;
use crate::lease::Lease;
use crate::sql::{few_sizes, sql, value_rows};
use crate::transaction::Transaction;

/// Rows in one statement: what is taken to pieces is walked through from its beginning for each.
const STATEMENT_ROWS: usize = 1024;

/// The numbers from 0 to a parameter less one.
const NUMBERS: &str = "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)";

/// Leaves to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafBatch {
    /// The size of the tree that they are appended to: the first one's index.
    pub first_leaf: u64,
    /// Of the next events, one for each, in their order.
    pub leaves: Vec<NewLeaf>,
    /// Every tile above level 0 that they make or make longer, whole.
    pub tiles: Vec<LogTile>,
    /// The root of the tree with them.
    pub root: [u8; HASH_OCTETS],
}

/// A leaf to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLeaf {
    /// Its event.
    pub position: EventPosition,
    /// The salt of its commitment.
    pub salt: [u8; HASH_OCTETS],
    /// SHA-256 of salt and content.
    pub commitment: [u8; HASH_OCTETS],
}

/// A tile above level 0 (C2SP tlog-tiles).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTile {
    /// Its level, 1 to 7.
    pub level: u8,
    /// Its number on that level.
    pub number: u64,
    /// 1 to 256 hashes of 32 octets each.
    pub hashes: Vec<u8>,
}

/// Leaves of a published tree that a restored store has forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostLeaves {
    /// The size of the tree that they are appended to: the first one's index.
    pub first_leaf: u64,
    /// Their commitments.
    pub commitments: Vec<[u8; HASH_OCTETS]>,
    /// Every tile above level 0 that they make or make longer, whole.
    pub tiles: Vec<LogTile>,
    /// The root of the tree with them.
    pub root: [u8; HASH_OCTETS],
}

impl Transaction<'_> {
    /// Appends the leaves of the next events, if the tree is the one that the batch was made upon.
    ///
    /// Errors: [`StoreFault::Fenced`]; [`StoreFault::Misuse`] if the tree is another, or if the batch passes over an event.
    pub fn append_leaves(&mut self, lease: &Lease, batch: &LeafBatch, now: DateTime<Utc>) -> Result<(), StoreFault> {
        self.check_lease(lease)?;
        let last = self.head_before(batch.first_leaf)?;
        if batch.leaves.is_empty() || !(last.0 + 1..).zip(&batch.leaves).all(|(next, leaf)| leaf.position.0 == next) {
            return Err(StoreFault::Misuse("the leaves are not those of the next events"));
        }
        let mut leaf = codes::stored(batch.first_leaf)?;
        for rows in batch.leaves.chunks(STATEMENT_ROWS) {
            let salts: Vec<u8> = rows.iter().flat_map(|row| row.salt).collect();
            let commitments: Vec<u8> = rows.iter().flat_map(|row| row.commitment).collect();
            let count = rows.len() as i64;
            // A few long values taken to pieces are faster than very many short ones.
            let inserted = sql(format!(
                "{NUMBERS} INSERT INTO log_leaf (leaf, position, salt, commitment) \
                 SELECT ? + n, ? + n, substr(?, n * 32 + 1, 32), substr(?, n * 32 + 1, 32) FROM numbers"
            ))
            .bind(count)
            .bind(leaf)
            .bind(rows[0].position.0)
            .bind(salts.as_slice())
            .bind(commitments.as_slice())
            .execute(self.session)?;
            if inserted != rows.len() {
                return Err(StoreFault::Corrupt("an insert of other rows"));
            }
            leaf += count;
        }
        let position = EventPosition(last.0 + batch.leaves.len() as i64);
        self.grow(leaf, &batch.tiles, &batch.root, position, now)
    }

    /// Appends leaves that were published, and that the store has forgotten since: the log goes on from them. Leaves the event of it.
    ///
    /// Errors: [`StoreFault::Misuse`] if the tree is not the one that these leaves follow.
    pub fn adopt_lost_leaves(&mut self, lost: &LostLeaves, now: DateTime<Utc>) -> Result<(), StoreFault> {
        let position = self.head_before(lost.first_leaf)?;
        if lost.commitments.is_empty() {
            return Err(StoreFault::Misuse("no leaves are lost"));
        }
        let first = codes::stored(lost.first_leaf)?;
        let mut leaf = first;
        for rows in lost.commitments.chunks(STATEMENT_ROWS) {
            let count = rows.len() as i64;
            sql(format!(
                "{NUMBERS} INSERT INTO log_leaf (leaf, commitment, absent) SELECT ? + n, substr(?, n * 32 + 1, 32), ? FROM numbers"
            ))
            .bind(count)
            .bind(leaf)
            .bind(rows.concat().as_slice())
            .bind(codes::LOST)
            .execute(self.session)?;
            leaf += count;
        }
        self.grow(leaf, &lost.tiles, &lost.root, position, now)?;
        self.emit(NewEvent::new(EventKind::LogLeavesLost, now, json!({"from": first, "to": leaf})));
        Ok(())
    }

    /// The last event that has a leaf, if the tree has this size; nobody changes it before this transaction's end.
    fn head_before(&mut self, size: u64) -> Result<EventPosition, StoreFault> {
        let lock = self.session.update_lock();
        sql(format!("SELECT size FROM log_head{lock}")).optional(self.session, |row| row.unsigned())?;
        let head = head(self.session)?;
        if head.size == size { Ok(head.position) } else { Err(StoreFault::Misuse("the log has another size")) }
    }

    fn grow(
        &mut self,
        size: i64,
        tiles: &[LogTile],
        root: &[u8; HASH_OCTETS],
        position: EventPosition,
        now: DateTime<Utc>,
    ) -> Result<(), StoreFault> {
        for some in few_sizes(tiles) {
            let mut upsert = sql(format!(
                "INSERT INTO log_tile (level, number, hashes) VALUES {} ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
                value_rows(some.len(), 3)
            ));
            for tile in some {
                upsert = upsert.bind(i16::from(tile.level)).bind(codes::stored(tile.number)?).bind(tile.hashes.as_slice());
            }
            upsert.execute(self.session)?;
        }
        sql("UPDATE log_head SET size = ?, root = ?, position = ?, sequenced_at = ?")
            .bind(size)
            .bind(root.as_slice())
            .bind(position.0)
            .bind(now)
            .execute(self.session)?;
        Ok(())
    }
}
