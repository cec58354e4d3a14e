//! The cascade: what happens to a card certificate reaches the smartphone certificates linked to it, in one transaction with its
//! events, as the installation's policy says.
//!
//! Events come from the inbox, which the RA fills with what the back office pushes, and from the back office's feed, which the
//! CA pulls itself. What the inbox says can only bring a hold or a revocation forward: the feed is applied whether or not the
//! inbox seems to have had the same event, so an RA that lies cannot swallow one.

use back_office::{EventSubject, FeedItem};
use ca_core::card::identity::KeyIdentifier;
use ca_core::digest::Sha256Digest;
use ca_core::lifecycle::CardChange;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use schema::batch::{BatchChange, NewBatch, Scope};
use schema::card_event::{CardEvent, CardEventSource};
use schema::change::{Order, Origin};
use schema::channel::Channel;

use crate::CaFault;
use crate::role::CaRole;

/// What the feed's cursor is called in the store.
pub(crate) const FEED: &str = "back-office";
/// Events of one page of the feed.
const PAGE: u32 = 500;
/// Events that are applied in one transaction: so few that whoever else writes has its turn in between, so many that a million
/// are done in minutes.
pub(crate) const AT_ONCE: u32 = 256;

/// What reading the feed came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FeedReading {
    /// Its events.
    pub(crate) events: usize,
    /// The certificates that they changed.
    pub(crate) changed: usize,
}

/// What an entry of the feed means.
enum Heard {
    /// Something happened to one card certificate.
    Card(CardEvent),
    /// Something happened to all of a scope.
    Batch(NewBatch),
}

impl CaRole {
    /// Applies what has been pushed; how many events there were.
    pub fn apply_inbox(&self) -> Result<usize, CaFault> {
        let mut events = self.reader.unapplied_card_events(AT_ONCE)?;
        if events.is_empty() {
            return Ok(0);
        }
        // However it is marked: the RA, which is not believed, wrote it.
        events.iter_mut().for_each(|event| event.source = CardEventSource::Push);
        let count = events.len();
        self.apply(events)?;
        self.heard(Channel::Push)?;
        Ok(count)
    }

    /// Makes events of the RA's refusals, which it cannot do itself; how many there were.
    pub fn take_rejections(&self) -> Result<usize, CaFault> {
        if !self.reader.rejections_wait()? {
            return Ok(0);
        }
        let now = self.clock.now();
        self.write(move |tx| tx.take_rejections(now))
    }

    /// Follows the back office's feed to its end; how many events there were.
    ///
    /// The cursor is stored after the events of its page, so that a crash repeats events and loses none.
    pub fn follow_feed(&self) -> Result<usize, CaFault> {
        Ok(self.read_feed(FEED, |_| {})?.events)
    }

    /// Reads the feed to its end from where the cursor of this name stands: at its beginning, if there is none. `progress` is told how
    /// many events have been read.
    pub(crate) fn read_feed(&self, name: &str, mut progress: impl FnMut(usize)) -> Result<FeedReading, CaFault> {
        let mut reading = FeedReading::default();
        loop {
            self.go_on()?;
            let cursor = self.reader.feed_cursor(name)?.unwrap_or_default();
            let page = self.back_office.card_events(&cursor, PAGE)?;
            reading.events += page.items.len();
            let mut events = Vec::with_capacity(page.items.len());
            for item in page.items {
                match readable(item) {
                    Some(Heard::Card(event)) => events.push(event),
                    Some(Heard::Batch(batch)) => {
                        // In the feed's order: what a batch comes after is not to look as if it had come after the batch.
                        reading.changed += self.apply(std::mem::take(&mut events))?;
                        self.start_batch(batch)?;
                    }
                    None => {}
                }
            }
            reading.changed += self.apply(events)?;
            progress(reading.events);
            let next = page.cursor.clone();
            if next != cursor {
                let name = name.to_owned();
                self.write(move |tx| tx.set_feed_cursor(&name, &next))?;
            }
            if !page.more {
                self.heard(Channel::Feed)?;
                return Ok(reading);
            }
        }
    }

    /// Applies events, a few hundred in a transaction; how many certificates that changed. While the log cannot be written, what is to be
    /// lifted after a release waits for it, and all else goes on.
    pub(crate) fn apply(&self, mut events: Vec<CardEvent>) -> Result<usize, CaFault> {
        let mut count = 0;
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(AT_ONCE as usize));
            let some = std::mem::replace(&mut events, rest);
            let (policy, now) = (self.lifecycle.clone(), self.clock.now());
            let lifts_wait = some.iter().any(|event| matches!(event.change, CardChange::Released { .. })) && self.log_is_late()?;
            let changed = self.write(move |tx| match lifts_wait {
                true => tx.apply_card_events_without_lifts(&some, &policy, now),
                false => tx.apply_card_events(&some, &policy, now),
            })?;
            metrics::counter!("tsunagi_ca_cascaded_changes_total").increment(changed.len() as u64);
            count += changed.len();
        }
        Ok(count)
    }

    fn start_batch(&self, batch: NewBatch) -> Result<(), CaFault> {
        let now = self.clock.now();
        let started = self.write(move |tx| tx.start_batch(&batch, now))?;
        tracing::info!(batch = started.0, "the back office's feed tells of a change of all cards of a scope");
        Ok(())
    }
}

/// An entry of the feed in the store's terms. One that cannot be understood is passed over with an alarm: to stop at it would
/// keep every later one from being heard, and the comparison and the card CA's CRL find what it would have told.
fn readable(item: FeedItem) -> Option<Heard> {
    let (event_id, complaint) = match item {
        FeedItem::Event(event) => {
            let event_id = event.event_id.clone();
            match read_event(event) {
                Some(heard) => return Some(heard),
                None => (Some(event_id), "a member is out of its range"),
            }
        }
        FeedItem::Unreadable { event_id, complaint } => (event_id, complaint),
    };
    metrics::counter!("tsunagi_ca_card_events_unreadable_total").increment(1);
    tracing::error!(event_id, complaint, "an event of the back office's feed cannot be understood and was passed over");
    None
}

fn read_event(event: back_office::CardEvent) -> Option<Heard> {
    // A clock gone wrong at the back office is no reason not to revoke.
    let change = card_change(&event.change, &event.event_id, event.at.max(DateTime::UNIX_EPOCH));
    match event.subject {
        EventSubject::Card { issuer_key_id, serial, sequence } => Some(Heard::Card(CardEvent {
            event_id: event.event_id,
            issuer_key_id: KeyIdentifier::new(issuer_key_id)?,
            serial: SerialNumber::from_magnitude(&serial).ok()?,
            sequence,
            change,
            source: CardEventSource::Feed,
        })),
        EventSubject::Scope { issuer_key_id, distribution_point_sha256 } => {
            let change = match change {
                CardChange::Revoked { reason, .. } => BatchChange::Revoke { reason },
                CardChange::Held { .. } => BatchChange::Hold,
                _ => return None,
            };
            let scope = Scope {
                issuer_key_id: KeyIdentifier::new(issuer_key_id)?,
                distribution_point_sha256: distribution_point_sha256.map(Sha256Digest),
            };
            let name = format!("card-event:{}", event.event_id);
            Some(Heard::Batch(NewBatch { name, scope, change, order: Order::from(Origin::CardEvent { id: event.event_id }) }))
        }
    }
}

fn card_change(change: &back_office::CardChange, event_id: &str, at: DateTime<Utc>) -> CardChange {
    match change {
        back_office::CardChange::Revoked { reason } => revoked(reason, event_id, at),
        back_office::CardChange::Held => CardChange::Held { at },
        back_office::CardChange::Released => CardChange::Released { at },
        back_office::CardChange::Renewed => CardChange::Renewed { at },
        back_office::CardChange::Expired => CardChange::Expired { at },
        back_office::CardChange::RecordChanged => CardChange::RecordChanged { at },
        back_office::CardChange::Died => CardChange::Died { at },
        back_office::CardChange::Emigrated => CardChange::Emigrated { at },
        back_office::CardChange::RecordError => CardChange::RecordError { at },
    }
}

/// A revocation in the store's terms. One whose reason is unknown to us is one all the same, for an unspecified reason; one for
/// certificateHold is a hold, whatever it is called.
pub(crate) fn revoked(reason: &str, told_by: &str, at: DateTime<Utc>) -> CardChange {
    let reason = reason.parse().unwrap_or_else(|_| {
        tracing::error!(told_by, "the back office tells of a revocation for an unknown reason");
        RevocationReason::Unspecified
    });
    match reason {
        RevocationReason::CertificateHold => CardChange::Held { at },
        reason => CardChange::Revoked { reason, at },
    }
}
