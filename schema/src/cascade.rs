//! The cascade: what happens to a card certificate reaches the certificates that hang on it.

use std::collections::{BTreeMap, HashMap};

use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use ca_core::lifecycle::{CardChange, CardStanding, Change, Command};
use ca_core::revocation::RevocationReason;
use chrono::{DateTime, SubsecRound, Utc};
use policies::LifecyclePolicy;
use serde_json::json;

use crate::card::{self, LockedCard};
use crate::card_event::{CardEvent, CardEventSource};
use crate::certificate::CertificateId;
use crate::change::Origin;
use crate::change::standing::{self, Grounds, Standing};
use crate::connection::Session;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::sql::{few_sizes, placeholders, sql};
use crate::transaction::Transaction;

impl Transaction<'_> {
    /// The cascade: remembers what happened to each card certificate, and changes the certificates linked to it as policy says.
    /// Returns the certificates that this call changed. Hundreds of events take a few dozens of statements.
    ///
    /// Idempotent, and indifferent to order: an event that comes again, late or after a later one changes nothing more. It goes
    /// by what is known of the cards and not by the inbox, which others can write. What was pushed came through the RA, which is not
    /// believed: it can hold and end, but it neither releases or lifts anything, nor does its sequence number put off what is heard
    /// otherwise.
    ///
    /// Errors: [`StoreFault::Misuse`] for a revocation for the reason certificateHold, which is none.
    pub fn apply_card_events(
        &mut self,
        events: &[CardEvent],
        policy: &LifecyclePolicy,
        now: DateTime<Utc>,
    ) -> Result<Vec<CertificateId>, StoreFault> {
        self.apply_in_order(events, policy, false, now)
    }

    /// The same, but holds of certificates that were to be lifted are so only by [`Transaction::lift_deferred`].
    pub fn apply_card_events_without_lifts(
        &mut self,
        events: &[CardEvent],
        policy: &LifecyclePolicy,
        now: DateTime<Utc>,
    ) -> Result<Vec<CertificateId>, StoreFault> {
        self.apply_in_order(events, policy, true, now)
    }

    fn apply_in_order(
        &mut self,
        events: &[CardEvent],
        policy: &LifecyclePolicy,
        lifts_wait: bool,
        now: DateTime<Utc>,
    ) -> Result<Vec<CertificateId>, StoreFault> {
        if events.iter().any(|event| event.change.reason() == Some(RevocationReason::CertificateHold)) {
            return Err(StoreFault::Misuse("a hold of a card certificate is no revocation"));
        }
        let named: Vec<_> = events.iter().map(|event| (&event.issuer_key_id, &event.serial)).collect();
        let mut cards = card::lock(self.session, &named)?;
        let mut linked = Linked::lock(self.session, &cards)?;
        let received = self.mark_applied(events, now)?;
        let mut changed = Vec::new();
        let mut later = LaterLifts { lifts_wait, lifts: BTreeMap::new() };
        for event in events {
            // What was not pushed is applied when it was heard.
            let received_at = received.get(&event.event_id).copied().unwrap_or(now.trunc_subsecs(3));
            let place = cards.binary_search_by(|card| (&card.issuer_key_id, &card.serial).cmp(&(&event.issuer_key_id, &event.serial)));
            let card = place.ok().and_then(|place| cards.get_mut(place)).ok_or(StoreFault::Corrupt("a card was not locked"))?;
            changed.extend(self.apply_one(card, linked.of(card.id), (event, received_at), policy, &mut later, now)?);
        }
        self.defer_lifts(&later.lifts, now)?;
        card::write(self.session, &cards)?;
        linked.write(self.session, None, now)?;
        self.tell_received(&received, now);
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    fn apply_one<'e>(
        &mut self,
        card: &mut LockedCard,
        linked: &mut [Standing],
        (event, received_at): (&'e CardEvent, DateTime<Utc>),
        policy: &LifecyclePolicy,
        later: &mut LaterLifts<'e>,
        now: DateTime<Utc>,
    ) -> Result<Vec<CertificateId>, StoreFault> {
        let is_believed = event.source != CardEventSource::Push;
        let is_release = matches!(event.change, CardChange::Released { .. });
        if is_release && !is_believed {
            return Ok(Vec::new());
        }
        let mut record = card.record;
        if event.source == CardEventSource::Comparison {
            // Who is asked how a card stands tells it as of the last event, which may be known already, and overrules a made-up one.
            record.last_sequence = record.last_sequence.filter(|last| event.sequence < *last);
        }
        if !record.counts(&event.change, event.sequence) {
            return Ok(Vec::new());
        }
        let kind = self.kind_of_card(linked, event)?;
        let mut after = record.after(&event.change, event.sequence, kind);
        if !is_believed {
            after.last_sequence = card.record.last_sequence;
        }
        if is_release {
            card.released_at = Some(now);
        }
        let before = std::mem::replace(&mut card.record, after);
        self.tell_card(card, before.standing, (&event.event_id, received_at), now);
        let origin = Origin::CardEvent { id: event.event_id.clone() };
        let grounds = Grounds { by: &origin, card_change: Some(event.change.kind()), instruction: None, policy };
        let mut deferred = Vec::new();
        let lifts = match (is_believed, later.lifts_wait) {
            (false, _) => Lifts::Denied,
            (true, false) => Lifts::Done,
            (true, true) => Lifts::Deferred(&mut deferred),
        };
        let command = Command::Card(event.change);
        let changed = self.reach(linked, &command, lifts, &grounds, now);
        later.lifts.extend(deferred.into_iter().map(|id| (id, Some(event.event_id.as_str()))));
        let held = linked.iter().filter(|standing| command.placed(standing.certificate.kind, policy).is_some());
        later.lifts.extend(held.map(|standing| (standing.id, None)));
        Ok(changed)
    }

    /// What a card certificate is for, as far as that is known and matters: as what hangs on it; or else, where the record changed, as
    /// what hangs on others of the same card CA's key, which issues for one purpose only. So the end of a signature certificate that
    /// nothing hangs on yet is remembered.
    fn kind_of_card(&mut self, linked: &[Standing], event: &CardEvent) -> Result<Option<CertificateKind>, StoreFault> {
        if let Some(standing) = linked.first() {
            return Ok(Some(standing.certificate.kind));
        }
        if !matches!(event.change, CardChange::RecordChanged { .. }) {
            return Ok(None);
        }
        sql("SELECT c.kind FROM card_distribution_point AS p JOIN link AS l ON l.distribution_point_id = p.id \
             JOIN certificate AS c ON c.id = l.certificate_id WHERE p.issuer_key_id = ? LIMIT 1")
        .bind(&event.issuer_key_id)
        .optional(self.session, |row| row.kind())
    }

    /// Leaves the event of a card's new standing, if it is new; with what its sender calls the news of it, and when that was heard.
    pub(crate) fn tell_card(
        &mut self,
        card: &LockedCard,
        before: CardStanding,
        (event_id, received_at): (&str, DateTime<Utc>),
        now: DateTime<Utc>,
    ) {
        if card.record.standing == before {
            return;
        }
        let mut data = json!({"event_id": event_id, "card": card.id, "received_at": received_at});
        let kind = match card.record.standing {
            CardStanding::Ended(revocation) => {
                data["reason"] = json!(revocation.reason);
                EventKind::CardRevoked
            }
            CardStanding::Held { .. } => EventKind::CardHeld,
            CardStanding::Good => EventKind::CardReleased,
        };
        self.emit(NewEvent::new(kind, now, data));
    }

    /// Does what follows from a card's change, or from a batch, to the certificates that hang on the card; those that it changed.
    pub(crate) fn reach(
        &mut self,
        linked: &mut [Standing],
        command: &Command,
        mut lifts: Lifts<'_>,
        grounds: &Grounds<'_>,
        now: DateTime<Utc>,
    ) -> Vec<CertificateId> {
        let mut changed = Vec::new();
        for standing in linked {
            let before = standing.certificate.state;
            // What follows is refused only for certificates that a batch's hold comes too late for.
            let Ok(Some(change)) = standing.take(command, grounds.policy, now) else { continue };
            if matches!(change, Change::HoldLifted { .. } | Change::Released { .. }) {
                match &mut lifts {
                    Lifts::Done => {}
                    Lifts::Denied => {
                        standing.certificate.state = before;
                        continue;
                    }
                    Lifts::Deferred(deferred) => {
                        standing.certificate.state = before;
                        deferred.push(standing.id);
                        continue;
                    }
                }
            }
            self.emit(standing.event(&change, grounds, now));
            changed.push(standing.id);
        }
        changed
    }
}

/// What is to be known of lifts that are done later.
struct LaterLifts<'e> {
    /// Whether they are done later.
    lifts_wait: bool,
    /// The certificates whose hold is to be lifted then, and the event by which; `None` for those that were to be held after that, whose
    /// hold stays.
    lifts: BTreeMap<CertificateId, Option<&'e str>>,
}

/// What becomes of lifts that follow from something.
pub(crate) enum Lifts<'a> {
    /// They are done.
    Done,
    /// They are not: who asks for them is not believed.
    Denied,
    /// They are to be done later, to these certificates.
    Deferred(&'a mut Vec<CertificateId>),
}

/// The certificates linked to some cards, locked.
pub(crate) struct Linked {
    by_card: HashMap<i64, Vec<Standing>>,
}

impl Linked {
    /// Locks everything that hangs on these cards, which are locked themselves.
    pub(crate) fn lock(session: &mut Session, cards: &[LockedCard]) -> Result<Self, StoreFault> {
        let mut ids: Vec<i64> = cards.iter().map(|card| card.id).collect();
        ids.sort_unstable();
        let mut by_card: HashMap<i64, Vec<Standing>> = HashMap::new();
        for some in few_sizes(&ids) {
            let lock = session.update_lock_of("c");
            let text = format!(
                "SELECT l.card_id, {} FROM link AS l JOIN certificate AS c ON c.id = l.certificate_id \
                 WHERE l.card_id IN ({}) ORDER BY c.id{lock}",
                standing::COLUMNS,
                placeholders(some.len())
            );
            let select = some.iter().fold(sql(text), |select, id| select.bind(*id));
            for (card, standing) in standing::read(session, select, |row| row.big())? {
                by_card.entry(card).or_default().push(standing);
            }
        }
        Ok(Self { by_card })
    }

    /// What hangs on one card.
    pub(crate) fn of(&mut self, card: i64) -> &mut [Standing] {
        self.by_card.get_mut(&card).map_or(&mut [], Vec::as_mut_slice)
    }

    /// Brings what was done to the certificates to the database.
    pub(crate) fn write(&self, session: &mut Session, instruction: Option<&Sha256Digest>, now: DateTime<Utc>) -> Result<(), StoreFault> {
        standing::write(session, self.by_card.values().flatten(), instruction, now)
    }
}
