//! Card certificates: what is known of their state, which certificates hang on them, and the cascade.

use ca_core::card::identity::KeyIdentifier;
use ca_core::issuer::CaKeyId;
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::card_event::{CardChange, CardEvent};
use crate::certificate::{self, CertificateId, CertificateSummary};
use crate::codes;
use crate::connection::Session;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, placeholders, sql, value_rows};
use crate::transaction::Transaction;

/// What is known of a card certificate: it has links, or was reported revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardState {
    /// Its revocation, if it was reported; permanent.
    pub revocation: Option<Revocation>,
    /// The highest sequence number of its events so far.
    pub last_sequence: Option<i64>,
}

impl Reader {
    /// What is known of a card certificate; `None` if it was never heard of.
    pub fn card_state(&self, issuer_key_id: &KeyIdentifier, serial: &SerialNumber) -> Result<Option<CardState>, StoreFault> {
        self.read(|session| {
            sql("SELECT revoked_at, reason, last_sequence FROM card_state WHERE issuer_key_id = ? AND serial = ?")
                .bind(issuer_key_id)
                .bind(serial)
                .optional(session, |row| {
                    let revocation = codes::revocation(row.optional_big()?, row.optional_small()?)?;
                    Ok(CardState { revocation, last_sequence: row.optional_big()? })
                })
        })
    }

    /// The certificates linked to a card certificate, oldest first; a thousand at most.
    pub fn links_of_card(&self, issuer_key_id: &KeyIdentifier, serial: &SerialNumber) -> Result<Vec<CertificateSummary>, StoreFault> {
        self.read(|session| {
            sql(format!(
                "SELECT {} FROM card_state AS s JOIN link AS l ON l.card_id = s.id JOIN certificate AS c ON c.id = l.certificate_id \
                 JOIN holder AS h ON h.id = c.holder WHERE s.issuer_key_id = ? AND s.serial = ? ORDER BY c.id LIMIT 1000",
                certificate::SUMMARY_COLUMNS
            ))
            .bind(issuer_key_id)
            .bind(serial)
            .rows(session, certificate::decode_summary)
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

    /// The key identifiers of all card CA keys whose distribution points are known.
    pub fn card_issuers(&self) -> Result<Vec<KeyIdentifier>, StoreFault> {
        self.read(|session| {
            sql("SELECT DISTINCT issuer_key_id FROM card_distribution_point ORDER BY issuer_key_id")
                .rows(session, |row| row.key_identifier())
        })
    }
}

impl Reader {
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
                "SELECT serial FROM card_state WHERE issuer_key_id = ? AND state = 1 AND serial IN ({})",
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

impl Transaction<'_> {
    /// The cascade: the card certificate is revoked for good, and with it every live or held certificate linked to it, for
    /// the same reason and at `now`. Returns the certificates that this call revoked.
    ///
    /// Idempotent, and indifferent to order: an event that comes again, late or after a later one changes nothing more. It
    /// goes by the card's state and not by the inbox, which others can write.
    ///
    /// Errors: [`StoreFault::Misuse`] for the reason certificateHold, which is no revocation.
    pub fn apply_card_event(&mut self, event: &CardEvent, now: DateTime<Utc>) -> Result<Vec<CertificateId>, StoreFault> {
        let CardChange::Revoked { reason, at } = event.change;
        if reason == RevocationReason::CertificateHold {
            return Err(StoreFault::Misuse("a hold of a card certificate is no revocation"));
        }
        let card = lock(self.session, &[(&event.issuer_key_id, &event.serial)])?
            .into_iter()
            .next()
            .ok_or(StoreFault::Corrupt("an upsert returned no row"))?;
        if !card.revoked {
            sql("UPDATE card_state SET state = 2, reason = ?, revoked_at = ? WHERE id = ?")
                .bind(i16::from(reason.code()))
                .bind(codes::whole_seconds(at))
                .bind(card.id)
                .execute(self.session)?;
            self.emit(NewEvent::new(EventKind::CardRevoked, now, json!({"event_id": event.event_id, "reason": reason})));
        }
        if card.last_sequence.is_none_or(|last| event.sequence > last) {
            sql("UPDATE card_state SET last_sequence = ? WHERE id = ?").bind(event.sequence).bind(card.id).execute(self.session)?;
        }
        let revoked = self.revoke_linked(card.id, reason, now)?;
        self.mark_applied(event, now)?;
        Ok(revoked)
    }

    fn revoke_linked(&mut self, card: i64, reason: RevocationReason, now: DateTime<Utc>) -> Result<Vec<CertificateId>, StoreFault> {
        let revoked = sql("UPDATE certificate SET state = 3, reason = ?, revoked_at = ? \
             WHERE state IN (1, 2) AND id IN (SELECT certificate_id FROM link WHERE card_id = ?) RETURNING id, kind, ca_key_id, serial")
        .bind(i16::from(reason.code()))
        .bind(codes::whole_seconds(now))
        .bind(card)
        .rows(self.session, Ended::decode)?;
        for ended in &revoked {
            self.emit(ended.revoked(reason, now));
        }
        Ok(revoked.iter().map(|ended| ended.id).collect())
    }
}

/// A certificate that just ended, for the event of it.
pub(crate) struct Ended {
    pub(crate) id: CertificateId,
    kind: ca_core::kind::CertificateKind,
    ca_key: CaKeyId,
    serial: SerialNumber,
}

impl Ended {
    /// From the columns id, kind, ca_key_id, serial.
    pub(crate) fn decode(row: &mut Fields<'_, '_, '_>) -> Result<Self, StoreFault> {
        Ok(Self { id: CertificateId(row.big()?), kind: row.kind()?, ca_key: CaKeyId(row.int()?), serial: row.serial()? })
    }

    /// The event of its revocation.
    pub(crate) fn revoked(&self, reason: RevocationReason, now: DateTime<Utc>) -> NewEvent {
        let data = json!({"kind": self.kind, "ca_key": self.ca_key.0, "serial": self.serial.to_string(), "reason": reason});
        NewEvent::new(EventKind::CertificateRevoked, now, data).about_certificate(self.id)
    }

    /// The event of its expiry.
    pub(crate) fn expired(&self, now: DateTime<Utc>) -> NewEvent {
        let data = json!({"kind": self.kind, "ca_key": self.ca_key.0, "serial": self.serial.to_string()});
        NewEvent::new(EventKind::CertificateExpired, now, data).about_certificate(self.id)
    }
}

/// A card certificate's row, locked.
pub(crate) struct LockedCard {
    pub(crate) id: i64,
    pub(crate) issuer_key_id: KeyIdentifier,
    pub(crate) serial: SerialNumber,
    pub(crate) revoked: bool,
    pub(crate) last_sequence: Option<i64>,
}

/// Makes or finds the rows of card certificates, and locks them until the end of the transaction, so that an issuance and a
/// cascade of the same card come one after the other.
pub(crate) fn lock(session: &mut Session, cards: &[(&KeyIdentifier, &SerialNumber)]) -> Result<Vec<LockedCard>, StoreFault> {
    // Always in the same order, so that two writers do not wait for each other.
    let mut cards = cards.to_vec();
    cards.sort_unstable();
    let mut upsert = sql(format!(
        "INSERT INTO card_state (issuer_key_id, serial) VALUES {} \
         ON CONFLICT (issuer_key_id, serial) DO UPDATE SET state = card_state.state \
         RETURNING id, issuer_key_id, serial, state, last_sequence",
        value_rows(cards.len(), 2)
    ));
    for (issuer_key_id, serial) in cards {
        upsert = upsert.bind(issuer_key_id).bind(serial);
    }
    upsert.rows(session, |row| {
        Ok(LockedCard {
            id: row.big()?,
            issuer_key_id: row.key_identifier()?,
            serial: row.serial()?,
            revoked: match row.small()? {
                codes::CARD_GOOD => false,
                codes::CARD_REVOKED => true,
                _ => return Err(StoreFault::Corrupt("a card's state")),
            },
            last_sequence: row.optional_big()?,
        })
    })
}
