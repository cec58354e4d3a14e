//! Whoever the CA talks to, killing it in the middle of the conversation.

use std::sync::Arc;

use back_office::{BackOffice, BackOfficeFault, CardEventPage, CardHolder, CardName, CardReference, HttpBackOffice, Notice, RegisterState};
use chrono::{DateTime, Utc};
use push::{FcmClient, PushFault, PushGateway, PushMessage, PushOutcome};

use crate::rooms::Outfit;
use crate::rooms::child::die;

/// When the process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// A page of the feed has been read.
    FeedRead,
    /// Not here: the page's cursor cannot be stored, so that the CA gets no further than the events themselves.
    CursorSpoiled,
    /// It is known whose cards they are.
    CardsLookedUp,
    /// The back office has taken notices.
    NoticesTaken,
}

/// The back office, and when the process dies that asks it.
pub(crate) struct Mortal {
    inner: HttpBackOffice,
    at: At,
}

impl Mortal {
    pub(crate) fn back_office(outfit: &Outfit, at: At) -> Arc<dyn BackOffice> {
        Arc::new(Self { inner: outfit.back_office(), at })
    }

    fn die_if(&self, at: At) {
        if self.at == at {
            die();
        }
    }
}

impl BackOffice for Mortal {
    fn look_up(&self, cards: &[CardReference]) -> Result<Vec<Option<CardHolder>>, BackOfficeFault> {
        let holders = self.inner.look_up(cards)?;
        self.die_if(At::CardsLookedUp);
        Ok(holders)
    }

    fn card_events(&self, after: &str, limit: u32) -> Result<CardEventPage, BackOfficeFault> {
        let page = self.inner.card_events(after, limit)?;
        assert!(!page.items.is_empty(), "the feed is empty");
        self.die_if(At::FeedRead);
        Ok(if self.at == At::CursorSpoiled { CardEventPage { cursor: "x".repeat(2_000), ..page } } else { page })
    }

    fn card_states(&self, cards: &[CardName]) -> Result<Vec<Option<RegisterState>>, BackOfficeFault> {
        self.inner.card_states(cards)
    }

    fn notify(&self, notices: &[Notice]) -> Result<Vec<String>, BackOfficeFault> {
        let accepted = self.inner.notify(notices)?;
        self.die_if(At::NoticesTaken);
        Ok(accepted)
    }

    fn clock(&self) -> Result<DateTime<Utc>, BackOfficeFault> {
        self.inner.clock()
    }
}

/// A push service that takes one message, and nobody hears of it.
pub(crate) struct MortalPush(pub(crate) FcmClient);

impl PushGateway for MortalPush {
    fn send(&self, message: &PushMessage) -> Result<PushOutcome, PushFault> {
        let outcome = self.0.send(message)?;
        assert_eq!(outcome, PushOutcome::Sent);
        die();
        Ok(outcome)
    }
}
