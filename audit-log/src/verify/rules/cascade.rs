//! What happened to a card certificate reaches what hangs on it within a time: counted from when the CA role or the RA heard of it (the
//! `received_at` of the card's event) to the change of the smartphone certificate.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use serde::Deserialize;

use super::super::event::{CertificateData, Event, Milliseconds, milliseconds, shown, told};
use super::super::finding::Rule;
use super::super::table::Table;
use super::super::unjudged::Why;
use super::certificates::{Certificates, State, Transition};
use super::{Scene, row};

/// What of a card certificate's changes its smartphone certificate outlives, by the installation's life cycle policy. The default is
/// nothing, as in the Japanese Public Key Infrastructure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlives {
    /// Signature certificates: reasons of revocations, as in RFC 5280.
    pub signature: Vec<String>,
    /// Authentication certificates: the same.
    pub authentication: Vec<String>,
    /// Whether a hold of the card leaves signature certificates as they are.
    pub signature_hold: bool,
    /// The same of authentication certificates.
    pub authentication_hold: bool,
}

impl Outlives {
    fn outlives(&self, is_authentication: bool, reason: Option<&str>) -> bool {
        match (is_authentication, reason) {
            (false, Some(reason)) => self.signature.iter().any(|outlived| outlived == reason),
            (true, Some(reason)) => self.authentication.iter().any(|outlived| outlived == reason),
            (false, None) => self.signature_hold,
            (true, None) => self.authentication_hold,
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Cascade {
    cards: Table<Card>,
    /// What hangs on a card besides what was issued upon it last.
    others: HashMap<u32, Vec<u32>>,
    /// The card events told last, for what they do to certificates follows in the same transaction.
    recent: VecDeque<(String, Milliseconds)>,
    /// What has to be reached, and most likely is by the records that follow at once: the earliest due first.
    fresh: VecDeque<Due>,
    /// What was not, the earliest due first.
    waiting: BinaryHeap<Reverse<Due>>,
}

/// What is kept in mind of a card certificate.
#[derive(Debug, Clone, Copy, Default)]
struct Card {
    /// What was issued upon it last; 0 where nothing was.
    certificate: u32,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Standing {
    #[default]
    Good,
    Held,
    Ended,
}

/// A certificate that a card's change has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Milliseconds,
    leaf: u64,
    card: u32,
    certificate: u32,
    ends: bool,
}

#[derive(Deserialize)]
struct CardData<'a> {
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    card: Option<u64>,
    #[serde(borrow)]
    received_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
}

/// So many card events are remembered, and so many certificates are expected to be reached before it is looked whether they were.
const SOON: usize = 4_096;

/// What one more certificate on a card that has one takes, about.
const OTHER_OCTETS: usize = 96;

/// So much later than it was told nobody hears of anything, however clocks go wrong.
const CLOCKS: Milliseconds = 3_600_000;

/// What one more waiting certificate takes.
const DUE_OCTETS: usize = size_of::<Due>();

impl Cascade {
    /// A `card.*` event; whether it says what it has to.
    pub(super) fn card(&mut self, event: &Event<'_>, certificates: &Certificates, scene: &mut Scene<'_>) -> bool {
        let Some(data) = event.data::<CardData<'_>>() else { return false };
        let received_at = data.received_at.as_deref().map(milliseconds);
        if received_at == Some(None) {
            return false;
        }
        let Some((received_at, row)) = received_at.flatten().zip(row(data.card)) else {
            scene.poorer(Rule::Cascade);
            return true;
        };
        if received_at > event.at.saturating_add(CLOCKS) {
            let words = format!("it is said to have been heard at {}, after it was told", told(received_at));
            scene.find(Rule::Cascade, event, words);
        }
        let received_at = received_at.min(event.at);
        if self.recent.len() == SOON {
            self.recent.pop_front();
        }
        self.recent.push_back((shown(&data.event_id), received_at));
        let (standing, reason) = match event.kind() {
            "card.revoked" => match data.reason.as_deref() {
                Some(reason) => (Standing::Ended, Some(reason)),
                None => return false,
            },
            "card.held" => (Standing::Held, None),
            _ => (Standing::Good, None),
        };
        let mut card = self.cards.read(row);
        let ends = standing == Standing::Ended;
        let others = self.others.get(&row).cloned().unwrap_or_default();
        for certificate in others.into_iter().chain([card.certificate]).filter(|certificate| *certificate != 0) {
            let linked = certificates.read(certificate);
            let must = match standing {
                Standing::Good => false,
                Standing::Held => linked.state == State::Live,
                Standing::Ended => linked.state.counts(),
            };
            let past_its_end = linked.not_after != 0 && event.at / 1_000 > i64::from(linked.not_after);
            if must && !past_its_end && !scene.measures.outlives.outlives(linked.is_authentication, reason) {
                let at = received_at.saturating_add(scene.measures.cascade_limit);
                self.expect(Due { at, leaf: event.leaf, card: row, certificate, ends }, certificates, scene);
            }
        }
        card.standing = standing;
        let written = self.cards.write(row, card, scene.room);
        scene.kept(Rule::Cascade, written);
        true
    }

    /// Something happened to a certificate.
    pub(super) fn transition(
        &mut self,
        event: &Event<'_>,
        data: &CertificateData<'_>,
        transition: &Transition,
        certificates: &Certificates,
        scene: &mut Scene<'_>,
    ) {
        if event.kind() == "certificate.issued" {
            self.issued(event, data, transition, certificates, scene);
        }
        let Some(cause) = data.by.as_ref().and_then(|by| by.card_event.as_deref()) else { return };
        let cause = shown(cause);
        let Some((_, received_at)) = self.recent.iter().rev().find(|(event_id, _)| *event_id == cause) else {
            // Such a card stood as it does now already, so that there is no event of its own to say when it was heard.
            scene.unjudged.add(Rule::Cascade, Why::PoorerRecord);
            return;
        };
        let took = event.at - received_at;
        if took > scene.measures.cascade_limit {
            let words = format!("the cascade took {} s: its cause was heard at {}", took / 1_000, told(*received_at));
            scene.find(Rule::Cascade, event, words);
        }
    }

    fn issued(
        &mut self,
        event: &Event<'_>,
        data: &CertificateData<'_>,
        transition: &Transition,
        certificates: &Certificates,
        scene: &mut Scene<'_>,
    ) {
        let Some(row) = row(data.card) else {
            if data.test.is_none() {
                scene.poorer(Rule::Cascade);
            }
            return;
        };
        let mut card = self.cards.read(row);
        match card.standing {
            Standing::Good => {}
            Standing::Held => scene.find(Rule::Cascade, event, format!("issued while its card certificate {row} was on hold")),
            Standing::Ended => scene.find(Rule::Cascade, event, format!("issued after its card certificate {row} had ended")),
        }
        if card.certificate != 0 && card.certificate != transition.row && certificates.read(card.certificate).state.counts() {
            let room = scene.room.take(OTHER_OCTETS);
            if scene.kept(Rule::Cascade, room).is_some() {
                self.others.entry(row).or_default().push(card.certificate);
            }
        }
        card.certificate = transition.row;
        let written = self.cards.write(row, card, scene.room);
        scene.kept(Rule::Cascade, written);
    }

    fn expect(&mut self, due: Due, certificates: &Certificates, scene: &mut Scene<'_>) {
        if self.fresh.back().is_some_and(|last| last.at > due.at) {
            return self.wait(due, scene);
        }
        if self.fresh.len() == SOON {
            self.set_aside(certificates, scene);
        }
        self.fresh.push_back(due);
    }

    /// The oldest of what was expected to be reached at once is awaited from now on, unless it was reached.
    fn set_aside(&mut self, certificates: &Certificates, scene: &mut Scene<'_>) {
        let oldest = self.fresh.pop_front();
        if let Some(unreached) = oldest.filter(|oldest| !self.is_reached(oldest, certificates)) {
            self.wait(unreached, scene);
        }
    }

    fn wait(&mut self, due: Due, scene: &mut Scene<'_>) {
        let room = scene.room.take(DUE_OCTETS);
        if scene.kept(Rule::Cascade, room).is_some() {
            self.waiting.push(Reverse(due));
        }
    }

    fn is_reached(&self, due: &Due, certificates: &Certificates) -> bool {
        let state = certificates.read(due.certificate).state;
        // A hold that the card was freed of again has nothing to reach any more.
        let is_void = !due.ends && self.cards.read(due.card).standing != Standing::Held;
        is_void || if due.ends { !state.counts() } else { state != State::Live }
    }

    /// It is so late now by the records.
    pub(super) fn time(&mut self, now: Milliseconds, certificates: &Certificates, scene: &mut Scene<'_>) {
        while let Some(due) = self.fresh.front().copied().filter(|due| due.at < now) {
            self.fresh.pop_front();
            self.judge(&due, certificates, scene);
        }
        while let Some(due) = self.waiting.peek().map(|Reverse(due)| *due).filter(|due| due.at < now) {
            self.waiting.pop();
            scene.room.give(DUE_OCTETS);
            self.judge(&due, certificates, scene);
        }
    }

    /// The records are over.
    pub(super) fn end(&mut self, until: Milliseconds, certificates: &Certificates, scene: &mut Scene<'_>) {
        while !self.fresh.is_empty() {
            self.set_aside(certificates, scene);
        }
        self.time(until, certificates, scene);
        let open = self.waiting.iter().filter(|Reverse(due)| !self.is_reached(due, certificates));
        scene.unjudged.add_many(Rule::Cascade, Why::NotOverYet, open.count() as u64);
    }

    fn judge(&self, due: &Due, certificates: &Certificates, scene: &mut Scene<'_>) {
        if !self.is_reached(due, certificates) {
            let words = format!(
                "what happened to card certificate {} did not reach certificate {}, which hangs on it, until {}",
                due.card,
                due.certificate,
                told(due.at)
            );
            scene.findings.add(Rule::Cascade, &scene.place.leaf(due.leaf), words);
        }
    }
}
