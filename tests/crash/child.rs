//! What the processes that are to be killed do until then.

use std::sync::Arc;

use back_office::{
    BackOffice, BackOfficeFault, CardEventPage, CardHolder, CardName, CardReference, EventSubject, FeedItem, HttpBackOffice, Notice,
    RegisterState,
};
use ca_core::card::identity::KeyIdentifier;
use ca_core::digest::Sha256Digest;
use ca_core::serial::SerialNumber;
use ca_service::IssuanceStep;
use chrono::Utc;
use crl_publisher::Cause;
use schema::application::NewApplication;
use schema::card_event::{CardChange, CardEvent, CardEventSource};
use schema::{Pending, StoreFault};
use serde::{Deserialize, Serialize};

use crate::rooms::child::{die, order};
use crate::rooms::{CaWish, Outfit, StepsTaken};

/// What to do, and where to be killed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    /// The CA issues, and is killed at a step.
    Issue { step: String },
    /// The RA accepts, and is killed before or after the commit.
    Accept { cms: Vec<u8>, committed: bool },
    /// The CA has read a page of the feed.
    CascadeFetched,
    /// It has written the revocations, but not committed.
    CascadeUncommitted,
    /// It has committed the revocations; the feed's cursor still stands before them.
    CascadeCursorBehind,
    /// The publisher has a CRL's number, and is about to sign.
    Publish,
}

#[test]
fn does_as_it_is_told() {
    let Some((outfit, order)) = order::<Order>() else { return };
    match &order {
        Order::Issue { step } => issue(&outfit, step),
        Order::Accept { cms, committed } => accept(&outfit, cms, *committed),
        Order::CascadeFetched => follow_feed(&outfit, AtPage::Die),
        Order::CascadeUncommitted => cascade_uncommitted(&outfit),
        Order::CascadeCursorBehind => follow_feed(&outfit, AtPage::SpoilCursor),
        Order::Publish => publish(&outfit),
    }
    panic!("{order:?}: lived on");
}

fn issue(outfit: &Outfit, step: &str) {
    let last = IssuanceStep::ALL.into_iter().find(|known| known.as_str() == step).unwrap();
    let steps = Arc::new(StepsTaken(move |step: IssuanceStep| {
        if step == last {
            die();
        }
    }));
    let ca = outfit.ca(CaWish { steps, ..CaWish::named("to be killed while it issues") }).leading();
    ca.issue_all();
}

fn accept(outfit: &Outfit, cms: &[u8], committed: bool) {
    let ra = outfit.ra();
    let verified = ra.verify(cms).unwrap();
    let new = NewApplication::new(&verified, Sha256Digest::of(b"ticket"));
    let accepted = ra.database.writer().write(move |tx| {
        let accepted = tx.accept_application(&new, Utc::now());
        if !committed {
            die();
        }
        accepted
    });
    accepted.unwrap();
    die();
}

/// What becomes of a page of the feed.
#[derive(Clone, Copy)]
enum AtPage {
    Die,
    /// Its cursor cannot be stored, so that the CA gets no further than the events themselves.
    SpoilCursor,
}

struct Feed(HttpBackOffice, AtPage);

impl BackOffice for Feed {
    fn look_up(&self, cards: &[CardReference]) -> Result<Vec<Option<CardHolder>>, BackOfficeFault> {
        self.0.look_up(cards)
    }

    fn card_events(&self, after: &str, limit: u32) -> Result<CardEventPage, BackOfficeFault> {
        let page = self.0.card_events(after, limit)?;
        assert!(!page.items.is_empty(), "the feed is empty");
        match self.1 {
            AtPage::Die => {
                die();
                Ok(page)
            }
            AtPage::SpoilCursor => Ok(CardEventPage { cursor: "x".repeat(2_000), ..page }),
        }
    }

    fn card_states(&self, cards: &[CardName]) -> Result<Vec<Option<RegisterState>>, BackOfficeFault> {
        self.0.card_states(cards)
    }

    fn notify(&self, notices: &[Notice]) -> Result<Vec<String>, BackOfficeFault> {
        self.0.notify(notices)
    }
}

fn follow_feed(outfit: &Outfit, at_page: AtPage) {
    let back_office = Some(Arc::new(Feed(outfit.back_office(), at_page)) as _);
    let ca = outfit.ca(CaWish { back_office, ..CaWish::named("to be killed while it reads the feed") }).leading();
    ca.role.follow_feed().expect_err("the cursor was stored");
    die();
}

fn cascade_uncommitted(outfit: &Outfit) {
    let ca = outfit.ca(CaWish::named("to be killed while it revokes")).leading();
    let cursor = ca.database.reader().feed_cursor("back-office").unwrap().unwrap_or_default();
    let page = outfit.back_office().card_events(&cursor, 10).unwrap();
    let events: Vec<_> = page.items.into_iter().map(in_the_stores_terms).collect();
    let lease = ca.lease();
    let pending: Pending<(), StoreFault> = ca.database.writer().submit(move |tx| {
        tx.check_lease(&lease)?;
        for event in &events {
            assert_eq!(tx.apply_card_event(event, &policies::LifecyclePolicy::jpki().unwrap(), Utc::now())?.len(), 1);
        }
        die();
        Ok(())
    });
    pending.wait().unwrap();
}

fn in_the_stores_terms(item: FeedItem) -> CardEvent {
    let FeedItem::Event(event) = item else { panic!("{item:?}") };
    let back_office::CardChange::Revoked { reason } = event.change else { panic!("{:?}", event.change) };
    let EventSubject::Card { issuer_key_id, serial, sequence } = event.subject else { panic!("{:?}", event.subject) };
    CardEvent {
        event_id: event.event_id,
        issuer_key_id: KeyIdentifier::new(issuer_key_id).unwrap(),
        serial: SerialNumber::from_magnitude(&serial).unwrap(),
        sequence,
        change: CardChange::Revoked { reason: reason.parse().unwrap(), at: event.at },
        source: CardEventSource::Feed,
    }
}

fn publish(outfit: &Outfit) {
    let ca = outfit.ca(CaWish { before_signing: Some(Arc::new(die)), ..CaWish::named("to be killed while it publishes") }).leading();
    let first = ca.database.reader().ca_keys().unwrap()[0].id();
    ca.publisher().publish(first, Cause::Revocation, Some(&ca.lease())).unwrap();
}
