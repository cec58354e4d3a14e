//! The cascade: a card certificate's revocation ends the linked smartphone certificate of its kind, in one transaction with
//! its event.
//!
//! Events come from the inbox, which the RA fills with what the back office pushes, and from the back office's feed, which the
//! CA pulls itself. What the inbox says can only bring a revocation forward: the feed is applied whether or not the inbox
//! seems to have had the same event, so an RA that lies cannot swallow one.

use ca_core::card::identity::KeyIdentifier;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::DateTime;
use schema::card_event::{CardChange, CardEvent, CardEventSource};

use crate::CaFault;
use crate::role::CaRole;

/// What the feed's cursor is called in the store.
const FEED: &str = "back-office";
/// Events of one page of the feed, and of one round over the inbox.
const PAGE: u32 = 500;

impl CaRole {
    /// Applies what has been pushed; how many events there were.
    pub fn apply_inbox(&self) -> Result<usize, CaFault> {
        let events = self.reader.unapplied_card_events(PAGE)?;
        let count = events.len();
        self.apply(events)?;
        Ok(count)
    }

    /// Makes events of the RA's refusals, which it cannot do itself; how many there were.
    pub fn take_rejections(&self) -> Result<usize, CaFault> {
        if !self.reader.rejections_wait()? {
            return Ok(0);
        }
        self.write(|tx| tx.take_rejections())
    }

    /// Follows the back office's feed to its end; how many events there were.
    ///
    /// The cursor is stored after the events of its page, so that a crash repeats events and loses none.
    pub fn follow_feed(&self) -> Result<usize, CaFault> {
        let mut count = 0;
        loop {
            let cursor = self.reader.feed_cursor(FEED)?.unwrap_or_default();
            let page = self.back_office.card_events(&cursor, PAGE)?;
            count += page.items.len();
            self.apply(page.items.into_iter().filter_map(readable).collect())?;
            let next = page.cursor.clone();
            self.write(move |tx| tx.set_feed_cursor(FEED, &next))?;
            if !page.more {
                let now = self.clock.now().timestamp();
                metrics::gauge!("tsunagi_ca_feed_last_success_timestamp_seconds").set(now as f64);
                return Ok(count);
            }
        }
    }

    /// Applies events, each wholly or not at all.
    pub(crate) fn apply(&self, events: Vec<CardEvent>) -> Result<(), CaFault> {
        if events.is_empty() {
            return Ok(());
        }
        let lease = self.current_lease()?;
        let now = self.clock.now();
        let pending: Vec<_> = events
            .into_iter()
            .map(|event| {
                let lease = lease.clone();
                self.writer.submit(move |tx| {
                    tx.check_lease(&lease)?;
                    tx.apply_card_event(&event, now)
                })
            })
            .collect();
        let mut ended = 0;
        for pending in pending {
            ended += pending.wait().map_err(CaFault::from)?.len();
        }
        metrics::counter!("tsunagi_ca_cascaded_revocations_total").increment(ended as u64);
        Ok(())
    }
}

/// An event of the feed in the store's terms. One that names no certificate, or a hold, which is no revocation, is passed over
/// with an alarm: to stop at it would keep every later revocation from being heard.
fn readable(item: back_office::FeedItem) -> Option<CardEvent> {
    let (event_id, read) = match item {
        back_office::FeedItem::Event(event) => (Some(event.event_id.clone()), read_event(event)),
        back_office::FeedItem::Unreadable { event_id, .. } => (event_id, None),
    };
    if read.is_none() {
        metrics::counter!("tsunagi_ca_card_events_unreadable_total").increment(1);
        tracing::error!(event_id, "an event of the back office's feed cannot be understood and was passed over");
    }
    read
}

/// A revocation whose reason is unknown to us is one all the same, for an unspecified reason.
fn read_event(event: back_office::CardEvent) -> Option<CardEvent> {
    let back_office::CardChange::Revoked { reason } = event.change else { return None };
    let back_office::EventSubject::Card { issuer_key_id, serial, sequence } = event.subject else { return None };
    let reason = reason.parse().unwrap_or_else(|_| {
        tracing::error!(event_id = event.event_id, "an event of the back office's feed has an unknown reason");
        RevocationReason::Unspecified
    });
    if reason == RevocationReason::CertificateHold {
        return None;
    }
    Some(CardEvent {
        event_id: event.event_id,
        issuer_key_id: KeyIdentifier::new(issuer_key_id)?,
        serial: SerialNumber::from_magnitude(&serial).ok()?,
        sequence,
        // A clock gone wrong at the back office is no reason not to revoke.
        change: CardChange::Revoked { reason, at: event.at.max(DateTime::UNIX_EPOCH) },
        source: CardEventSource::Feed,
    })
}
