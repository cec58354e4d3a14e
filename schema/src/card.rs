//! Card certificates: what is known of their standing, and which certificates hang on them.

use ca_core::card::identity::KeyIdentifier;
pub use ca_core::lifecycle::{CardRecord, CardStanding};
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::codes;
use crate::connection::Session;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, few_sizes, placeholders, sql, value_rows};

/// A card certificate that live or held certificates hang on, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedCard {
    /// Its row: from where to go on.
    pub cursor: i64,
    /// The key identifier of the card CA's key.
    pub issuer_key_id: KeyIdentifier,
    /// Its serial number.
    pub serial: SerialNumber,
    /// What events have told of it.
    pub record: CardRecord,
}

impl Reader {
    /// What is known of a card certificate; `None` if it was never heard of.
    pub fn card_record(&self, issuer_key_id: &KeyIdentifier, serial: &SerialNumber) -> Result<Option<CardRecord>, StoreFault> {
        self.read(|session| {
            sql(format!("SELECT {RECORD_COLUMNS} FROM card_state WHERE issuer_key_id = ? AND serial = ?"))
                .bind(issuer_key_id)
                .bind(serial)
                .optional(session, decode_record)
        })
    }

    /// Card certificates that live or held certificates hang on, in the order of their rows from beyond `cursor` (0: from the
    /// first); `limit` at most. For the comparison with what the back office knows.
    pub fn linked_cards_after(&self, cursor: i64, limit: u32) -> Result<Vec<LinkedCard>, StoreFault> {
        self.read(|session| {
            sql(format!(
                "SELECT id, issuer_key_id, serial, {RECORD_COLUMNS} FROM card_state WHERE id > ? \
                 AND EXISTS (SELECT 1 FROM link AS l JOIN certificate AS c ON c.id = l.certificate_id \
                             WHERE l.card_id = card_state.id AND c.state IN (1, 2)) ORDER BY id LIMIT ?"
            ))
            .bind(cursor)
            .bind(i64::from(limit))
            .rows(session, |row| {
                Ok(LinkedCard {
                    cursor: row.big()?,
                    issuer_key_id: row.key_identifier()?,
                    serial: row.serial()?,
                    record: decode_record(row)?,
                })
            })
        })
    }

    /// The distribution points (Name in DER) of the card certificates of one card CA key that certificates are linked to.
    pub fn card_distribution_points(&self, issuer_key_id: &KeyIdentifier) -> Result<Vec<Vec<u8>>, StoreFault> {
        self.read(|session| {
            sql("SELECT name FROM card_distribution_point WHERE issuer_key_id = ? ORDER BY id")
                .bind(issuer_key_id)
                .rows(session, |row| row.bytes())
        })
    }

    /// Which of these card certificates, at most 1,000, are known here and not known to be revoked.
    pub fn good_cards_among(&self, issuer_key_id: &KeyIdentifier, serials: &[SerialNumber]) -> Result<Vec<SerialNumber>, StoreFault> {
        if serials.is_empty() {
            return Ok(Vec::new());
        }
        if serials.len() > 1_000 {
            return Err(StoreFault::Misuse("more than 1,000 serial numbers asked for"));
        }
        self.read(|session| {
            let mut select = sql(format!(
                "SELECT serial FROM card_state WHERE issuer_key_id = ? AND state IN (1, 3) AND serial IN ({})",
                placeholders(serials.len())
            ))
            .bind(issuer_key_id);
            for serial in serials {
                select = select.bind(serial);
            }
            select.rows(session, |row| row.serial())
        })
    }
}

/// The columns of a card's record.
const RECORD_COLUMNS: &str = "state, revoked_at, reason, held_since, last_sequence";

/// From the columns [`RECORD_COLUMNS`].
fn decode_record(row: &mut Fields<'_, '_, '_>) -> Result<CardRecord, StoreFault> {
    let (state, revocation) = (row.small()?, codes::revocation(row.optional_big()?, row.optional_small()?)?);
    let standing = match (state, revocation, row.optional_time()?) {
        (codes::CARD_GOOD, None, None) => CardStanding::Good,
        (codes::CARD_HELD, None, Some(since)) => CardStanding::Held { since },
        (codes::CARD_REVOKED, Some(revocation), None) => CardStanding::Ended(revocation),
        _ => return Err(StoreFault::Corrupt("a card's state")),
    };
    Ok(CardRecord { standing, last_sequence: row.optional_big()? })
}

/// A card certificate's row, locked, and what became of it since.
pub(crate) struct LockedCard {
    pub(crate) id: i64,
    pub(crate) issuer_key_id: KeyIdentifier,
    pub(crate) serial: SerialNumber,
    /// As it is now; [`write()`] brings it to the database.
    pub(crate) record: CardRecord,
    /// When it was last released: batches of holds that began before cover it no more.
    pub(crate) released_at: Option<DateTime<Utc>>,
    stored: (CardRecord, Option<DateTime<Utc>>),
}

impl LockedCard {
    fn decode(row: &mut Fields<'_, '_, '_>) -> Result<Self, StoreFault> {
        let (id, issuer_key_id, serial, released_at) = (row.big()?, row.key_identifier()?, row.serial()?, row.optional_time()?);
        let record = decode_record(row)?;
        Ok(Self { id, issuer_key_id, serial, record, released_at, stored: (record, released_at) })
    }
}

/// Makes or finds the rows of card certificates, and locks them until the end of the transaction, so that an issuance and a
/// cascade of the same card come one after the other. The cards come back in their order, each once.
pub(crate) fn lock(session: &mut Session, cards: &[(&KeyIdentifier, &SerialNumber)]) -> Result<Vec<LockedCard>, StoreFault> {
    // Always in the same order, so that two writers do not wait for each other; and one statement can lock a row only once.
    let mut cards = cards.to_vec();
    cards.sort_unstable();
    cards.dedup();
    let mut locked = Vec::with_capacity(cards.len());
    for some in few_sizes(&cards) {
        let mut upsert = sql(format!(
            "INSERT INTO card_state (issuer_key_id, serial) VALUES {} \
             ON CONFLICT (issuer_key_id, serial) DO UPDATE SET state = card_state.state \
             RETURNING id, issuer_key_id, serial, released_at, {RECORD_COLUMNS}",
            value_rows(some.len(), 2)
        ));
        for (issuer_key_id, serial) in some {
            upsert = upsert.bind(*issuer_key_id).bind(*serial);
        }
        locked.extend(upsert.rows(session, LockedCard::decode)?);
    }
    // The order of returned rows is not promised.
    locked.sort_unstable_by(|one, other| (&one.issuer_key_id, &one.serial).cmp(&(&other.issuer_key_id, &other.serial)));
    if locked.len() != cards.len() {
        return Err(StoreFault::Corrupt("an upsert returned other rows"));
    }
    Ok(locked)
}

/// Locks the cards of these rows; in the order of [`lock()`].
pub(crate) fn lock_rows(session: &mut Session, ids: &[i64]) -> Result<Vec<LockedCard>, StoreFault> {
    let mut locked = Vec::with_capacity(ids.len());
    for some in few_sizes(ids) {
        let update_lock = session.update_lock();
        let text = format!(
            "SELECT id, issuer_key_id, serial, released_at, {RECORD_COLUMNS} FROM card_state WHERE id IN ({}) \
             ORDER BY issuer_key_id, serial{update_lock}",
            placeholders(some.len())
        );
        locked.extend(some.iter().fold(sql(text), |select, id| select.bind(*id)).rows(session, LockedCard::decode)?);
    }
    Ok(locked)
}

/// Brings what became of cards to the database.
pub(crate) fn write(session: &mut Session, cards: &[LockedCard]) -> Result<(), StoreFault> {
    let changed: Vec<&LockedCard> = cards.iter().filter(|card| card.stored != (card.record, card.released_at)).collect();
    for some in few_sizes(&changed) {
        let mut update = sql(format!(
            "WITH v (id, state, reason, revoked_at, held_since, released_at, last_sequence) AS (VALUES {}) UPDATE card_state \
             SET state = v.state, reason = v.reason, revoked_at = v.revoked_at, held_since = v.held_since, \
             released_at = v.released_at, last_sequence = v.last_sequence FROM v WHERE card_state.id = v.id",
            value_rows(some.len(), 7)
        ));
        for card in some {
            let (state, revocation, held_since) = match card.record.standing {
                CardStanding::Good => (codes::CARD_GOOD, None, None),
                CardStanding::Held { since } => (codes::CARD_HELD, None, Some(since)),
                CardStanding::Ended(revocation) => (codes::CARD_REVOKED, Some(revocation), None),
            };
            update = update
                .bind(card.id)
                .bind(state)
                .bind(revocation.map(|revocation| revocation.reason))
                .bind(revocation.map(|revocation| revocation.at))
                .bind(held_since)
                .bind(card.released_at)
                .bind(card.record.last_sequence);
        }
        if update.execute(session)? != some.len() {
            return Err(StoreFault::Corrupt("a locked card is not there"));
        }
    }
    Ok(())
}
