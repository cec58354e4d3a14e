//! Purging: what is kept of applications and their certificates is destroyed once its time is over.
//!
//! A *life* is an application with the certificates issued on it. What goes is everything that tells of the person: the card-signed
//! message and its evidence, the certificates' octets, links to cards, phones and what was sent to them, notices, and the events with
//! the salts of their leaves. The leaves' commitments stay, so the tree goes on to be verifiable, and nobody learns from them what they
//! stood for. Narrow rows stay: serial numbers, digests of messages and of keys are never to be accepted or given out again.

use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use crate::codes;
use crate::connection::{AnyConnection, Session};
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{few_sizes, placeholders, sql};
use crate::transaction::Transaction;

/// What a holder is called of whom nothing is kept any more, before the row's number.
const NOBODY: &str = "purged-";

/// Events that are about no one application or certificate, and may still tell of somebody's: they go when all lives of their time have.
const LOOSE: [&str; 15] = [
    "application.rejected",
    "card_event.received",
    "card.held",
    "card.released",
    "card.revoked",
    "device.added",
    "device_command.claimed",
    "device_command.confirmed",
    "device_command.created",
    "device_command.expired",
    "device_command.failed",
    "device_command.sent",
    "instruction.awaiting_approval",
    "instruction.done",
    "instruction.refused",
];

/// Some applications whose time is over, and how far was looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueLives {
    /// Those whose time is over.
    pub applications: Vec<ApplicationId>,
    /// Whom to ask after next; `None` if there are no others that were decided so long ago.
    pub next: Option<ApplicationId>,
}

/// What was purged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Applications with all that hung on them.
    pub lives: u64,
    /// Leaves of the log whose content is gone.
    pub leaves: u64,
    /// Instructions, card events, answers of phones and lookups.
    pub others: u64,
}

impl std::ops::AddAssign for Purged {
    fn add_assign(&mut self, more: Self) {
        self.lives += more.lives;
        self.leaves += more.leaves;
        self.others += more.others;
    }
}

/// Which applications `a` are over by a moment, which is bound four times: decided, every certificate ended, every event under a signed
/// note, and all of that before it.
const IS_OVER: &str = "a.decided_at < ? \
     AND EXISTS (SELECT 1 FROM application_evidence AS v WHERE v.application_id = a.id) \
     AND NOT EXISTS (SELECT 1 FROM certificate_body AS b JOIN certificate AS c ON c.id = b.certificate_id \
       WHERE b.application_id = a.id AND (c.state IN (1, 2) OR c.not_after >= ?)) \
     AND NOT EXISTS (SELECT 1 FROM event AS e WHERE e.application_id = a.id \
       AND (e.at >= ? OR e.position > (SELECT note_position FROM log_head))) \
     AND NOT EXISTS (SELECT 1 FROM certificate_body AS b JOIN event AS e ON e.certificate_id = b.certificate_id \
       WHERE b.application_id = a.id AND (e.at >= ? OR e.position > (SELECT note_position FROM log_head)))";

impl Reader {
    /// The first application of which more than narrow rows is kept; `None` if there is none.
    pub fn first_kept_life(&self) -> Result<Option<ApplicationId>, StoreFault> {
        self.read(first_kept)
    }

    /// Applications from `from` on that were over before `before`: looks at `limit` at most, in the order of acceptance.
    pub fn overdue_lives(&self, from: ApplicationId, before: DateTime<Utc>, limit: u32) -> Result<OverdueLives, StoreFault> {
        self.read(|session| {
            let page = sql("SELECT id, decided_at FROM application WHERE id >= ? ORDER BY id LIMIT ?")
                .bind(from)
                .bind(i64::from(limit))
                .rows(session, |row| Ok((row.big()?, row.optional_time()?)))?;
            let is_old = page.iter().any(|(_, decided)| decided.is_some_and(|decided| decided < before));
            let Some((last, _)) = page.last().filter(|_| is_old) else { return Ok(OverdueLives { applications: Vec::new(), next: None }) };
            let applications = sql(format!("SELECT a.id FROM application AS a WHERE a.id >= ? AND a.id <= ? AND {IS_OVER} ORDER BY a.id"))
                .bind(from)
                .bind(*last)
                .bind(before)
                .bind(before)
                .bind(before)
                .bind(before)
                .rows(session, |row| Ok(ApplicationId(row.big()?)))?;
            Ok(OverdueLives { applications, next: Some(ApplicationId(last + 1)) })
        })
    }
}

impl Transaction<'_> {
    /// Purges the applications among these that were over before `before`, and says so in an event.
    pub fn purge_lives(&mut self, applications: &[ApplicationId], before: DateTime<Utc>, now: DateTime<Utc>) -> Result<Purged, StoreFault> {
        overwrite_what_is_deleted(self.session)?;
        let mut purged = Purged::default();
        for application in applications {
            let is_over = sql(format!("SELECT a.id FROM application AS a WHERE a.id = ? AND {IS_OVER}"))
                .bind(*application)
                .bind(before)
                .bind(before)
                .bind(before)
                .bind(before)
                .optional(self.session, |row| row.big())?;
            if is_over.is_some() {
                purged.leaves += purge_life(self.session, *application)?;
                purged.lives += 1;
            }
        }
        self.tell(purged, before, now);
        Ok(purged)
    }

    /// Purges what hangs on no one application, `limit` of each sort at most: events about cards, phones and instructions, the
    /// instructions themselves, card events, answers of phones, lookups. Only what is older than `before`, and than everything of which a
    /// life is kept. Nothing is left when nothing was purged.
    pub fn purge_others(&mut self, before: DateTime<Utc>, limit: u32, now: DateTime<Utc>) -> Result<Purged, StoreFault> {
        overwrite_what_is_deleted(self.session)?;
        let before = before.min(first_kept_since(self.session)?.unwrap_or(before));
        let kinds = placeholders(LOOSE.len());
        let events = sql(format!(
            "SELECT position FROM event WHERE at < ? AND position <= (SELECT note_position FROM log_head) AND kind IN ({kinds}) \
             AND certificate_id IS NULL AND application_id IS NULL ORDER BY at, position LIMIT ?"
        ))
        .bind(before);
        let events = LOOSE.iter().fold(events, |events, kind| events.bind(*kind)).bind(i64::from(limit));
        let events = events.rows(self.session, |row| row.big())?;
        let mut purged = Purged { leaves: purge_events(self.session, &events)?, ..Purged::default() };
        for statement in [
            // What it said is gone; that it was taken is known, so it is not taken again.
            "UPDATE instruction SET message = ?, outcome = NULL, refusal_detail = CASE WHEN refusal_detail IS NOT NULL THEN '' END \
             WHERE id IN (SELECT id FROM instruction WHERE decided_at < ? AND octet_length(message) > 1 ORDER BY id LIMIT ?)",
            "DELETE FROM card_event_inbox WHERE octet_length(?) = 1 \
             AND id IN (SELECT id FROM card_event_inbox WHERE applied_at < ? ORDER BY id LIMIT ?)",
            "DELETE FROM device_command_result WHERE octet_length(?) = 1 \
             AND id IN (SELECT id FROM device_command_result WHERE taken_at < ? ORDER BY id LIMIT ?)",
            "DELETE FROM lookup WHERE octet_length(?) = 1 AND id IN (SELECT id FROM lookup WHERE at < ? ORDER BY id LIMIT ?)",
        ] {
            let written = sql(statement).bind([0_u8].as_slice()).bind(before).bind(i64::from(limit)).execute(self.session)?;
            purged.others += written as u64;
        }
        self.tell(purged, before, now);
        Ok(purged)
    }

    fn tell(&mut self, purged: Purged, before: DateTime<Utc>, now: DateTime<Utc>) {
        if purged.leaves > 0 {
            let before = before.to_rfc3339_opts(SecondsFormat::Millis, true);
            self.emit(NewEvent::new(EventKind::LogPurged, now, json!({"before": before, "leaves": purged.leaves})));
        }
    }
}

/// Everything of one application; how many leaves have lost their content.
fn purge_life(session: &mut Session, application: ApplicationId) -> Result<u64, StoreFault> {
    let certificates = sql("SELECT b.certificate_id, c.holder, c.kind, c.serial FROM certificate_body AS b \
         JOIN certificate AS c ON c.id = b.certificate_id WHERE b.application_id = ?")
    .bind(application)
    .rows(session, |row| Ok((row.big()?, row.big()?, row.kind()?, row.serial()?)))?;
    let mut events = sql("SELECT position FROM event WHERE application_id = ?").bind(application).rows(session, |row| row.big())?;
    let mut cards = Vec::new();
    for (certificate, _, kind, serial) in &certificates {
        events.extend(sql("SELECT position FROM event WHERE certificate_id = ?").bind(*certificate).rows(session, |row| row.big())?);
        cards.extend(sql("SELECT card_id FROM link WHERE certificate_id = ?").bind(*certificate).rows(session, |row| row.big())?);
        for table in ["link", "hold", "certificate_body"] {
            sql(format!("DELETE FROM {table} WHERE certificate_id = ?")).bind(*certificate).execute(session)?;
        }
        let commands = sql("SELECT command_id FROM device_command_certificate WHERE serial = ? AND kind = ?").bind(serial).bind(*kind);
        let commands = commands.rows(session, |row| row.big())?;
        commands.into_iter().try_for_each(|command| purge_command(session, command))?;
    }
    events.sort_unstable();
    events.dedup();
    let leaves = purge_events(session, &events)?;
    for card in cards {
        sql("DELETE FROM card_state WHERE id = ? AND NOT EXISTS (SELECT 1 FROM link WHERE card_id = ?)")
            .bind(card)
            .bind(card)
            .execute(session)?;
    }
    purge_evidence(session, application)?;
    purge_device(session, application)?;
    for (_, holder, _, _) in certificates {
        purge_holder(session, holder)?;
    }
    Ok(leaves)
}

/// Takes events away, with what was made of them; their leaves keep the commitments alone. How many leaves there were.
fn purge_events(session: &mut Session, positions: &[i64]) -> Result<u64, StoreFault> {
    let mut leaves = 0;
    for some in few_sizes(positions) {
        let these = placeholders(some.len());
        let mut run =
            |statement: String| some.iter().fold(sql(statement), |statement, position| statement.bind(*position)).execute(session);
        leaves += run(format!("UPDATE log_leaf SET position = NULL, salt = NULL, absent = 1 WHERE position IN ({these})"))?;
        run(format!("DELETE FROM notice WHERE event_position IN ({these})"))?;
        run(format!("UPDATE device_command SET event_position = NULL WHERE event_position IN ({these})"))?;
        run(format!("DELETE FROM event WHERE position IN ({these})"))?;
    }
    Ok(leaves as u64)
}

/// The card-signed message, and the card CRLs that nobody else's acceptance rests on.
fn purge_evidence(session: &mut Session, application: ApplicationId) -> Result<(), StoreFault> {
    let lists = sql("SELECT signature_crl, authentication_crl FROM application_evidence WHERE application_id = ?")
        .bind(application)
        .rows(session, |row| Ok([row.optional_digest()?, row.optional_digest()?]))?;
    sql("DELETE FROM application_evidence WHERE application_id = ?").bind(application).execute(session)?;
    let lists: Vec<Sha256Digest> = lists.into_iter().flatten().flatten().collect();
    for list in &lists {
        sql("DELETE FROM card_crl WHERE sha256 = ? AND NOT EXISTS (SELECT 1 FROM application_evidence WHERE signature_crl = ?) \
             AND NOT EXISTS (SELECT 1 FROM application_evidence WHERE authentication_crl = ?)")
        .bind(list)
        .bind(list)
        .bind(list)
        .execute(session)?;
    }
    Ok(())
}

/// A command that names no certificate any more of which more than narrow rows is kept.
fn purge_command(session: &mut Session, command: i64) -> Result<(), StoreFault> {
    let kept =
        sql("SELECT COUNT(*) FROM device_command_certificate AS n JOIN certificate AS c ON c.serial = n.serial AND c.kind = n.kind \
         JOIN certificate_body AS b ON b.certificate_id = c.id WHERE n.command_id = ?")
        .bind(command)
        .optional(session, |row| row.big())?;
    if kept == Some(0) { remove_command(session, command) } else { Ok(()) }
}

fn remove_command(session: &mut Session, command: i64) -> Result<(), StoreFault> {
    for statement in ["DELETE FROM device_command_certificate WHERE command_id = ?", "DELETE FROM device_command WHERE id = ?"] {
        sql(statement).bind(command).execute(session)?;
    }
    Ok(())
}

/// The phone, if no application that is kept was issued to it.
fn purge_device(session: &mut Session, application: ApplicationId) -> Result<(), StoreFault> {
    let device = sql("SELECT device_id FROM application WHERE id = ?").bind(application).optional(session, |row| row.optional_big())?;
    sql("UPDATE application SET device_id = NULL, refusal_detail = CASE WHEN refusal_detail IS NOT NULL THEN '' END WHERE id = ?")
        .bind(application)
        .execute(session)?;
    let Some(device) = device.flatten() else { return Ok(()) };
    let others = sql("SELECT COUNT(*) FROM application WHERE device_id = ?").bind(device).optional(session, |row| row.big())?;
    if others != Some(0) {
        return Ok(());
    }
    let commands = sql("SELECT id FROM device_command WHERE device_id = ?").bind(device).rows(session, |row| row.big())?;
    commands.into_iter().try_for_each(|command| remove_command(session, command))?;
    sql("DELETE FROM device WHERE id = ?").bind(device).execute(session)?;
    Ok(())
}

/// The holder's name, if no certificate of theirs is kept or stands.
fn purge_holder(session: &mut Session, holder: i64) -> Result<(), StoreFault> {
    let kept = sql("SELECT COUNT(*) FROM certificate AS c LEFT JOIN certificate_body AS b ON b.certificate_id = c.id \
         WHERE c.holder = ? AND (b.certificate_id IS NOT NULL OR c.state IN (1, 2))")
    .bind(holder)
    .optional(session, |row| row.big())?;
    let phones = sql("SELECT COUNT(*) FROM device WHERE holder = ?").bind(holder).optional(session, |row| row.big())?;
    if (kept, phones) == (Some(0), Some(0)) {
        sql("UPDATE holder SET holder_id = ? WHERE id = ?").bind(format!("{NOBODY}{holder}").as_str()).bind(holder).execute(session)?;
    }
    Ok(())
}

fn first_kept(session: &mut Session) -> Result<Option<ApplicationId>, StoreFault> {
    let first = sql("SELECT MIN(application_id) FROM application_evidence").optional(session, |row| row.optional_big())?;
    Ok(first.flatten().map(ApplicationId))
}

/// When the first application was accepted that is kept.
fn first_kept_since(session: &mut Session) -> Result<Option<DateTime<Utc>>, StoreFault> {
    let Some(first) = first_kept(session)? else { return Ok(None) };
    sql("SELECT accepted_at FROM application WHERE id = ?").bind(first).optional(session, |row| codes::time(row.big()?))
}

/// SQLite leaves the octets of deleted rows in the file until something else takes their place. PostgreSQL does so until the next VACUUM,
/// which it runs by itself.
fn overwrite_what_is_deleted(session: &mut Session) -> Result<(), StoreFault> {
    match session.connection {
        AnyConnection::Sqlite(_) => session.batch("PRAGMA secure_delete = ON"),
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => Ok(()),
    }
}
