//! Batches: one change of all certificates that hang on the cards of one card CA key, or of one of its distribution points; page
//! by page, resumable, in bounded memory.
//!
//! A batch that the back office's feed asked for happens to the *cards*, as if each had an event of its own. One that operators
//! asked for, by instruction, happens to the *certificates*; what is known of the cards stays.

use ca_core::digest::Sha256Digest;
pub use ca_core::instruction::operator::Scope;
use ca_core::lifecycle::{CardChange, CardRecord, CardStanding, Command, HoldCause};
use ca_core::revocation::RevocationReason;
use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;
use serde_json::{Value, json};

use crate::card::{self, LockedCard};
use crate::cascade::{Lifts, Linked};
use crate::change::standing::Grounds;
use crate::change::{Order, Origin};
use crate::codes;
use crate::connection::Session;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, Statement, placeholders, sql};
use crate::transaction::Transaction;

/// A batch's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub i64);

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchChange {
    /// Revocation.
    Revoke {
        /// Why; never certificateHold.
        reason: RevocationReason,
    },
    /// A hold: for the cards' sake, or an operator's.
    Hold,
}

/// A batch to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// The card event or instruction that asks for it, 1 to 300 octets: the same starts no second batch.
    pub name: String,
    /// Which cards.
    pub scope: Scope,
    /// What is done.
    pub change: BatchChange,
    /// Who asks. With an instruction, it happens to certificates; without, to cards.
    pub order: Order,
}

/// A batch as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its row.
    pub id: BatchId,
    /// Which cards.
    pub scope: Scope,
    /// What is done.
    pub change: BatchChange,
    /// Who asked.
    pub order: Order,
    /// Cards done so far.
    pub cards: u64,
    /// Certificates changed so far.
    pub changed: u64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was done; `None` while it runs.
    pub finished_at: Option<DateTime<Utc>>,
}

impl Reader {
    /// A batch.
    pub fn batch(&self, id: BatchId) -> Result<Option<Batch>, StoreFault> {
        self.read(|session| sql(format!("{SELECT} WHERE b.id = ?")).bind(id.0).optional(session, decode))
    }

    /// The batches that run, oldest first.
    pub fn batches_running(&self) -> Result<Vec<BatchId>, StoreFault> {
        self.read(|session| sql("SELECT id FROM batch WHERE state = 1 ORDER BY id").rows(session, |row| Ok(BatchId(row.big()?))))
    }

    /// How many live or held certificates hang on the cards of a scope.
    pub fn count_scope(&self, scope: &Scope) -> Result<u64, StoreFault> {
        self.read(|session| {
            let count = match &scope.distribution_point_sha256 {
                None => sql("SELECT COUNT(*) FROM card_state AS s JOIN link AS l ON l.card_id = s.id \
                     JOIN certificate AS c ON c.id = l.certificate_id WHERE s.issuer_key_id = ? AND c.state IN (1, 2)")
                .bind(&scope.issuer_key_id),
                Some(point) => sql("SELECT COUNT(*) FROM card_distribution_point AS p JOIN link AS l ON l.distribution_point_id = p.id \
                     JOIN certificate AS c ON c.id = l.certificate_id WHERE p.issuer_key_id = ? AND p.name_sha256 = ? AND c.state IN (1, 2)")
                .bind(&scope.issuer_key_id)
                .bind(point),
            };
            count.optional(session, |row| row.unsigned())?.ok_or(StoreFault::Corrupt("a count gave no row"))
        })
    }
}

impl Transaction<'_> {
    /// Starts a batch, once: the batch of the same name is returned as it is.
    ///
    /// From then on no certificate is issued on a card of the scope; issuances that had begun are waited for, so that the pages
    /// find what they issued.
    ///
    /// Errors: [`StoreFault::Misuse`] for a revocation for the reason certificateHold, which is none.
    pub fn start_batch(&mut self, new: &NewBatch, now: DateTime<Utc>) -> Result<BatchId, StoreFault> {
        let (change, reason) = match new.change {
            BatchChange::Revoke { reason: RevocationReason::CertificateHold } => {
                return Err(StoreFault::Misuse("a batch revokes for no hold"));
            }
            BatchChange::Revoke { reason } => (REVOKE, Some(reason)),
            BatchChange::Hold => (HOLD, None),
        };
        let lock = self.session.update_lock();
        sql(format!("SELECT id FROM ca_key ORDER BY id{lock}")).rows(self.session, |row| row.int())?;
        let started = sql("INSERT INTO batch (name, issuer_key_id, distribution_point_sha256, change, reason, origin, instruction_id, \
             started_at) VALUES (?, ?, ?, ?, ?, ?, (SELECT id FROM instruction WHERE digest = ?), ?) ON CONFLICT DO NOTHING RETURNING id")
        .bind(new.name.as_str())
        .bind(&new.scope.issuer_key_id)
        .bind(new.scope.distribution_point_sha256.as_ref())
        .bind(change)
        .bind(reason)
        .bind(new.order.origin.to_data().to_string().as_str())
        .bind(new.order.instruction.as_ref())
        .bind(now)
        .optional(self.session, |row| Ok(BatchId(row.big()?)))?;
        let Some(id) = started else {
            return sql("SELECT id FROM batch WHERE name = ?")
                .bind(new.name.as_str())
                .optional(self.session, |row| Ok(BatchId(row.big()?)))?
                .ok_or(StoreFault::Corrupt("an insert conflicted with no row"));
        };
        self.emit(NewEvent::new(EventKind::BatchStarted, now, told(id, &new.scope, &new.change, &new.order)));
        Ok(id)
    }

    /// Does the next `page` cards of a batch, or finishes it if there are none left; how it stands then. To be called again until it
    /// is finished: what a call did is committed with how far it came.
    pub fn advance_batch(&mut self, id: BatchId, page: u32, policy: &LifecyclePolicy, now: DateTime<Utc>) -> Result<Batch, StoreFault> {
        let lock = self.session.update_lock_of("b");
        let (mut batch, cursor) = sql(format!("{SELECT} WHERE b.id = ?{lock}"))
            .bind(id.0)
            .optional(self.session, |row| Ok((decode(row)?, row.big()?)))?
            .ok_or(StoreFault::Misuse("there is no such batch"))?;
        if batch.finished_at.is_some() {
            return Ok(batch);
        }
        let ids = page_of(&batch.scope, cursor, page).rows(self.session, |row| row.big())?;
        let Some(last) = ids.last() else {
            sql("UPDATE batch SET state = 2, finished_at = ? WHERE id = ?").bind(now).bind(id.0).execute(self.session)?;
            batch.finished_at = Some(now);
            let mut data = told(id, &batch.scope, &batch.change, &batch.order);
            data["cards"] = json!(batch.cards);
            data["changed"] = json!(batch.changed);
            self.emit(NewEvent::new(EventKind::BatchFinished, now, data));
            return Ok(batch);
        };
        let changed = self.do_page(&batch, &ids, policy, now)?;
        batch.cards += ids.len() as u64;
        batch.changed += changed as u64;
        sql("UPDATE batch SET cursor = ?, cards = ?, changed = ? WHERE id = ?")
            .bind(*last)
            .bind(codes::stored(batch.cards)?)
            .bind(codes::stored(batch.changed)?)
            .bind(id.0)
            .execute(self.session)?;
        Ok(batch)
    }

    /// Changes what hangs on these cards; how many certificates it changed.
    fn do_page(&mut self, batch: &Batch, ids: &[i64], policy: &LifecyclePolicy, now: DateTime<Utc>) -> Result<usize, StoreFault> {
        let mut cards = card::lock_rows(self.session, ids)?;
        let mut linked = Linked::lock(self.session, &cards)?;
        let at = batch.started_at;
        let change = match batch.change {
            BatchChange::Revoke { reason } => CardChange::Revoked { reason, at },
            BatchChange::Hold => CardChange::Held { at },
        };
        let instruction = batch.order.instruction.as_ref();
        let card_change = instruction.is_none().then_some(change.kind());
        let grounds = Grounds { by: &batch.order.origin, card_change, instruction, policy };
        let mut changed = 0;
        for card in &mut cards {
            let command = match (instruction, batch.change) {
                (None, BatchChange::Hold) if was_released_since(card, at) || has_ended(card) => continue,
                (None, _) => {
                    let before = card.record;
                    // A batch has no sequence number: in the feed it comes after what it comes after.
                    let unnumbered = CardRecord { last_sequence: None, ..before };
                    card.record = CardRecord { last_sequence: before.last_sequence, ..unnumbered.after(&change, 0, None) };
                    let Origin::CardEvent { id } = &batch.order.origin else {
                        return Err(StoreFault::Corrupt("a batch of neither event nor instruction"));
                    };
                    self.tell_card(card, before.standing, (id, at), now);
                    Command::Card(change)
                }
                (Some(_), BatchChange::Revoke { reason }) => Command::End { reason },
                (Some(_), BatchChange::Hold) => Command::Hold { cause: HoldCause::Operator },
            };
            changed += self.reach(linked.of(card.id), &command, Lifts::Done, &grounds, now).len();
        }
        card::write(self.session, &cards)?;
        linked.write(self.session, instruction, now)?;
        Ok(changed)
    }
}

/// What a batch does that covers one of these cards (with the digests of their distribution points), if one does: any that runs;
/// of those that are done, what happened to cards. Of such, a revocation is for good, and a hold for as long as the card was not
/// released.
///
/// Right only after the transaction inserted a certificate, which keeps batches from being started.
pub(crate) fn covering(session: &mut Session, cards: &[(&LockedCard, Option<Sha256Digest>)]) -> Result<Option<BatchChange>, StoreFault> {
    let text = format!(
        "{SELECT} WHERE b.issuer_key_id IN ({}) AND (b.state = 1 OR b.instruction_id IS NULL) ORDER BY b.change, b.id",
        placeholders(cards.len())
    );
    let select = cards.iter().fold(sql(text), |select, (card, _)| select.bind(&card.issuer_key_id));
    let covers = |batch: &Batch| {
        cards.iter().any(|(card, point)| {
            card.issuer_key_id == batch.scope.issuer_key_id
                && batch.scope.distribution_point_sha256.is_none_or(|named| *point == Some(named))
                && !(batch.change == BatchChange::Hold && batch.order.instruction.is_none() && was_released_since(card, batch.started_at))
        })
    };
    Ok(select.rows(session, decode)?.into_iter().find(covers).map(|batch| batch.change))
}

/// What has ended holds nothing any more.
fn has_ended(card: &LockedCard) -> bool {
    matches!(card.record.standing, CardStanding::Ended(_))
}

fn was_released_since(card: &LockedCard, started_at: DateTime<Utc>) -> bool {
    card.released_at.is_some_and(|released_at| released_at > started_at)
}

fn page_of(scope: &Scope, cursor: i64, page: u32) -> Statement<'_> {
    match &scope.distribution_point_sha256 {
        None => sql("SELECT id FROM card_state WHERE issuer_key_id = ? AND id > ? ORDER BY id LIMIT ?")
            .bind(&scope.issuer_key_id)
            .bind(cursor)
            .bind(i64::from(page)),
        Some(point) => sql("SELECT DISTINCT card_id FROM link WHERE distribution_point_id = \
             (SELECT id FROM card_distribution_point WHERE issuer_key_id = ? AND name_sha256 = ?) AND card_id > ? ORDER BY card_id LIMIT ?")
        .bind(&scope.issuer_key_id)
        .bind(point)
        .bind(cursor)
        .bind(i64::from(page)),
    }
}

/// `batch.change`
const REVOKE: i16 = 1;
/// `batch.change`
const HOLD: i16 = 2;

/// The columns that [`decode`] takes, and the cursor.
const SELECT: &str = "SELECT b.id, b.issuer_key_id, b.distribution_point_sha256, b.change, b.reason, b.origin, i.digest, b.cards, b.changed, \
     b.started_at, b.finished_at, b.cursor FROM batch AS b LEFT JOIN instruction AS i ON i.id = b.instruction_id";

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<Batch, StoreFault> {
    Ok(Batch {
        id: BatchId(row.big()?),
        scope: Scope { issuer_key_id: row.key_identifier()?, distribution_point_sha256: row.optional_digest()? },
        change: match (row.small()?, row.optional_small()?) {
            (REVOKE, Some(reason)) => BatchChange::Revoke { reason: codes::reason(reason)? },
            (HOLD, None) => BatchChange::Hold,
            _ => return Err(StoreFault::Corrupt("a batch's change")),
        },
        order: Order {
            origin: Origin::from_data(&row.json()?).ok_or(StoreFault::Corrupt("a batch's origin"))?,
            instruction: row.optional_digest()?,
        },
        cards: row.unsigned()?,
        changed: row.unsigned()?,
        started_at: row.time()?,
        finished_at: row.optional_time()?,
    })
}

/// What a batch's events tell.
fn told(id: BatchId, scope: &Scope, change: &BatchChange, order: &Order) -> Value {
    let mut data = json!({
        "batch": id.0, "by": order.origin,
        "scope": {"issuer_key_id": scope.issuer_key_id.to_string()},
    });
    if let Some(point) = &scope.distribution_point_sha256 {
        data["scope"]["distribution_point_sha256"] = json!(point.to_string());
    }
    if let Some(digest) = &order.instruction {
        data["instruction"] = json!(digest.to_string());
    }
    match change {
        BatchChange::Revoke { reason } => {
            data["change"] = json!("revoke");
            data["reason"] = json!(reason);
        }
        BatchChange::Hold => data["change"] = json!("hold"),
    }
    data
}
