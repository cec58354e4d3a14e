//! Card certificates in the model: how they stand in truth, what the CA was told of it, and batches over many of them.

use sandbox::back_office::CardEventType::{self, *};
use sandbox::card::CardSide;
use sandbox::kind::Kind;
use sandbox::reason::Reason;

/// How a card certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Held,
    Ended(Reason),
}

/// By which way the CA hears of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through the RA: not believed where it helps anybody.
    Push,
    Feed,
    Crl,
    Comparison,
}

/// One certificate of a card.
pub(crate) struct Half {
    pub(crate) holder: usize,
    pub(crate) kind: Kind,
    pub(crate) side: CardSide,
    /// In truth: what CRL and comparison tell.
    pub(crate) truth: Standing,
    pub(crate) sequence: i64,
    /// What the CA knows.
    pub(crate) known: Standing,
    /// The highest number of a hold or release that the CA heard and believed.
    last: Option<i64>,
    /// When the CA heard of it first; a batch comes by in this order.
    pub(crate) heard_at: Option<u64>,
    /// Whether a certificate was ever linked to it.
    pub(crate) linked: bool,
    /// When it was last released: batches of holds from before do not cover it.
    pub(crate) released_at: u64,
}

impl Half {
    pub(crate) fn new(holder: usize, kind: Kind, side: CardSide) -> Self {
        let (truth, known) = (Standing::Good, Standing::Good);
        Self { holder, kind, side, truth, sequence: 0, known, last: None, heard_at: None, linked: false, released_at: 0 }
    }

    /// What becomes of the certificate itself, in the eyes of somebody who knows what it is for, or does not.
    fn after(&self, change: CardEventType, reason: Option<Reason>, is_kind_known: bool) -> Option<Standing> {
        Some(match change {
            Revoked => Standing::Ended(reason.unwrap()),
            Held => Standing::Held,
            Released => Standing::Good,
            Renewed => Standing::Ended(Reason::Superseded),
            RecordChanged if self.kind == Kind::Signature && is_kind_known => Standing::Ended(Reason::AffiliationChanged),
            Expired | RecordChanged => return None,
            Died | Emigrated => Standing::Ended(Reason::CessationOfOperation),
            RecordError => Standing::Ended(Reason::Unspecified),
        })
    }

    /// It happened.
    pub(crate) fn happen(&mut self, change: CardEventType, reason: Option<Reason>, sequence: i64) {
        self.sequence = sequence;
        self.truth = self.after(change, reason, true).unwrap_or(self.truth);
    }

    /// The CA is told of it at `turn`; whether that counts for what hangs on the card. What has ended has ended, and holds nothing
    /// any more; of holds and releases the latest counts.
    pub(crate) fn hear(&mut self, news: News, way: Way, turn: u64) -> bool {
        let News { change, reason, sequence, is_kind_known } = news;
        self.heard_at.get_or_insert(turn);
        if change == Released && way == Way::Push {
            return false;
        }
        let is_numbered = matches!(change, Held | Released);
        // Who is asked how it stands tells it as of the latest event, which may be known.
        let is_late = self.last.is_some_and(|last| if way == Way::Comparison { sequence < last } else { sequence <= last });
        if is_numbered && is_late || change == Held && matches!(self.known, Standing::Ended(_)) {
            return false;
        }
        if is_numbered && way != Way::Push {
            self.last = Some(sequence);
        }
        if change == Released {
            self.released_at = turn;
        }
        self.become_known(change, reason, is_kind_known);
        true
    }

    fn become_known(&mut self, change: CardEventType, reason: Option<Reason>, is_kind_known: bool) {
        if !matches!(self.known, Standing::Ended(_)) {
            self.known = self.after(change, reason, is_kind_known).unwrap_or(self.known);
        }
    }

    /// A batch over cards comes by; whether that counts for what hangs on the card.
    pub(crate) fn be_in_batch(&mut self, batch: &Batch) -> bool {
        let has_ended = matches!(self.known, Standing::Ended(_));
        if batch.reason.is_none() && (has_ended || self.released_at > batch.started_at) {
            return false;
        }
        self.become_known(batch.change(), batch.reason, true);
        true
    }
}

/// What the CA is told of a card certificate.
pub(crate) struct News {
    pub(crate) change: CardEventType,
    pub(crate) reason: Option<Reason>,
    pub(crate) sequence: i64,
    /// Whether it knows what the card certificate is for: it does once a certificate was issued on any of the same card CA.
    pub(crate) is_kind_known: bool,
}

/// Something that happened, to be told late, again, in any order.
#[derive(Clone)]
pub(crate) struct Happened {
    pub(crate) event_id: String,
    pub(crate) what: What,
}

#[derive(Clone)]
pub(crate) enum What {
    ToHalf {
        half: usize,
        change: CardEventType,
        reason: Option<Reason>,
        sequence: i64,
    },
    /// With a reason: revocation; without: hold.
    ToMany {
        scope: Scope,
        reason: Option<Reason>,
    },
}

/// All card certificates of a kind, or those in the municipality of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) kind: Kind,
    pub(crate) holder: Option<usize>,
}

impl Scope {
    pub(crate) fn covers(&self, half: &Half) -> bool {
        self.kind == half.kind && self.holder.is_none_or(|holder| holder == half.holder)
    }
}

/// A change of all that hangs on the cards of a scope.
pub(crate) struct Batch {
    pub(crate) scope: Scope,
    pub(crate) reason: Option<Reason>,
    /// Whether operators asked for it; it then happens to certificates and not to cards.
    pub(crate) by_operator: bool,
    pub(crate) started_at: u64,
    /// It has come by what was heard of up to then.
    pub(crate) cursor: u64,
    pub(crate) runs: bool,
    pub(crate) event_id: String,
}

impl Batch {
    pub(crate) fn change(&self) -> CardEventType {
        if self.reason.is_some() { Revoked } else { Held }
    }

    /// Whether nothing may be issued on a card certificate because of it.
    pub(crate) fn forbids(&self, half: &Half) -> bool {
        let has_passed = !self.runs && self.by_operator;
        let was_released = self.reason.is_none() && !self.by_operator && half.released_at > self.started_at;
        self.scope.covers(half) && !has_passed && !was_released
    }
}
