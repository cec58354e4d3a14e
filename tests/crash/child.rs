//! What the processes that are to be killed do until then.

use std::path::PathBuf;
use std::sync::Arc;

use back_office::{BackOffice as _, EventSubject, FeedItem};
use ca_core::card::identity::KeyIdentifier;
use ca_core::digest::Sha256Digest;
use ca_core::serial::SerialNumber;
use ca_service::IssuanceStep;
use chrono::Utc;
use schema::application::NewApplication;
use schema::card_event::{CardChange, CardEvent, CardEventSource};
use schema::{Pending, StoreFault};
use serde::{Deserialize, Serialize};

use crate::acts;
use crate::mortal::{At, Mortal};
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
    /// The CA has verified instructions signed with cards, and asked whose cards they are.
    InstructionVerified,
    /// It has written all that an instruction to hold a phone's certificates asks for, but not committed.
    InstructionUncommitted { digest: String, challenge: Vec<u8>, device: String },
    /// It has carried out instructions, and would go on.
    InstructionsDone,
    /// The back office has taken notices; nothing says so in the store.
    HoldersTold,
    /// The push service at this URL, which wants to see the token in that file, has taken a command.
    CommandSent { url: String, project: String, token_file: PathBuf },
    /// A batch has changed one card more.
    BatchPage { committed: bool },
}

#[test]
fn does_as_it_is_told() {
    let Some((outfit, order)) = order::<Order>() else { return };
    match &order {
        Order::Issue { step } => issue(&outfit, step),
        Order::Accept { cms, committed } => accept(&outfit, cms, *committed),
        Order::CascadeFetched => follow_feed(&outfit, At::FeedRead),
        Order::CascadeUncommitted => cascade_uncommitted(&outfit),
        Order::CascadeCursorBehind => follow_feed(&outfit, At::CursorSpoiled),
        Order::Publish => publish(&outfit),
        Order::InstructionVerified => acts::instruction_verified(&outfit),
        Order::InstructionUncommitted { digest, challenge, device } => acts::instruction_uncommitted(&outfit, digest, challenge, device),
        Order::InstructionsDone => acts::instructions_done(&outfit),
        Order::HoldersTold => acts::holders_told(&outfit),
        Order::CommandSent { url, project, token_file } => acts::command_sent(&outfit, url, project, token_file),
        Order::BatchPage { committed } => acts::batch_page(&outfit, *committed),
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

fn follow_feed(outfit: &Outfit, at: At) {
    let back_office = Some(Mortal::back_office(outfit, at));
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
    ca.publisher().run_once(Some(&ca.lease())).unwrap();
}
