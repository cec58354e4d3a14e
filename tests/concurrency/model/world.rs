//! The house and the model side by side: each step is taken in both.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use ca_core::application::ApplicationId;
use ca_core::serial::SerialNumber;
use ca_service::{IssuanceStep, Steps};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use ocsp::OcspService;
use sandbox::back_office::{CardEventType, NewCard};
use sandbox::card::Card;
use sandbox::keys::Key;
use sandbox::kind::Kind;
use sandbox::reason::Reason;
use schema::EventPosition;
use schema::certificate::CertificateId;

use super::cards::{Batch, Half, Happened, News, Way};
use super::rules::{Does, Life, Living, Rules, Told};
use crate::rooms::{Ca, CaWish, Operator, Rooms};
use crate::stage::{self, Office};

/// Two holders in two municipalities, each with two cards; the first holder's end after sixty days.
pub(crate) const CARDS: usize = 4;

pub(crate) struct World<'r, 's> {
    pub(crate) rooms: &'r Rooms<'s>,
    pub(crate) rules: &'r Rules,
    pub(crate) office: Arc<Office>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) ca: Ca,
    pub(crate) ocsp: OcspService,
    pub(crate) administrator: Operator,
    leaders: u32,
    /// The moment of the step, in whole seconds.
    pub(crate) now: DateTime<Utc>,
    /// Counts whatever happens, one after the other.
    pub(crate) turn: u64,
    pub(crate) cards: Vec<ModelCard>,
    pub(crate) halves: Vec<Half>,
    pub(crate) happened: Vec<Happened>,
    /// What stands in the feed, by its place in `happened`, and how far the CA has read.
    pub(crate) feed: Vec<usize>,
    pub(crate) read: usize,
    pub(crate) pushed: BTreeSet<String>,
    pub(crate) batches: Vec<Batch>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) phones: Vec<Phone>,
    pub(crate) certificates: Vec<Certificate>,
    /// What the events of this step must tell: certificate, kind of event, cause or reason.
    pub(crate) told: Vec<(usize, &'static str, &'static str)>,
    pub(crate) position: EventPosition,
}

pub(crate) struct ModelCard {
    pub(crate) card: Card,
    pub(crate) holder: usize,
    pub(crate) not_after: DateTime<Utc>,
    /// Signature, authentication.
    pub(crate) halves: [usize; 2],
}

/// An application that the CA has yet to decide.
pub(crate) struct Waiting {
    pub(crate) application: ApplicationId,
    pub(crate) card: usize,
    /// The card's halves when it was signed.
    pub(crate) halves: [usize; 2],
    pub(crate) not_after: DateTime<Utc>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) replaces: bool,
    pub(crate) at: DateTime<Utc>,
    pub(crate) keys: Vec<(Kind, Key)>,
}

pub(crate) struct Phone {
    pub(crate) keys: Vec<(Kind, Key)>,
    pub(crate) certificates: Vec<usize>,
    pub(crate) device: String,
}

pub(crate) struct Certificate {
    pub(crate) id: CertificateId,
    pub(crate) serial: SerialNumber,
    pub(crate) der: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) holder: usize,
    pub(crate) half: usize,
    pub(crate) phone: usize,
    pub(crate) not_after: DateTime<Utc>,
    /// When its card is to be looked at again, unless that was done.
    pub(crate) second_look: Option<DateTime<Utc>>,
    pub(crate) life: Life,
    /// As its events alone tell it.
    pub(crate) replayed: Life,
    pub(crate) has_ended: bool,
}

impl Certificate {
    pub(crate) fn stands(&self) -> bool {
        matches!(self.life, Life::Live | Life::Held { .. })
    }
}

/// Breaks an issuance off at a step, as a crash would.
#[derive(Default)]
pub(crate) struct Breaker(Mutex<Option<IssuanceStep>>);

impl Breaker {
    pub(crate) fn set(&self, at: Option<IssuanceStep>) {
        *self.0.lock().unwrap() = at;
    }
}

impl Steps for Breaker {
    fn reached(&self, step: IssuanceStep) {
        let is_here = *self.0.lock().unwrap() == Some(step);
        if is_here {
            std::panic::resume_unwind(Box::new("broken off"));
        }
    }
}

impl<'r, 's> World<'r, 's> {
    pub(crate) fn new(rooms: &'r Rooms<'s>, rules: &'r Rules) -> Self {
        // Ahead of every clock that goes: nothing of this comes from the future.
        let now = Utc::now().trunc_subsecs(0) + TimeDelta::seconds(120);
        let (office, breaker) = (Office::new(rooms), Arc::new(Breaker::default()));
        let wish = CaWish { steps: Arc::clone(&breaker) as _, ..CaWish::named("leader 0") };
        let ca = stage::leader(rooms, &office, &rules.policy, now, wish);
        let ocsp = super::checks::responder(&ca);
        let administrator = rooms.operators.operator("Ada", "administrator");
        let position = rooms.reader.position().unwrap();
        let mut world = Self {
            rooms,
            rules,
            office,
            breaker,
            ca,
            ocsp,
            administrator,
            leaders: 0,
            now,
            turn: 0,
            cards: Vec::new(),
            halves: Vec::new(),
            happened: Vec::new(),
            feed: Vec::new(),
            read: 0,
            pushed: BTreeSet::new(),
            batches: Vec::new(),
            waiting: Vec::new(),
            phones: Vec::new(),
            certificates: Vec::new(),
            told: Vec::new(),
            position,
        };
        for (holder, (prefecture, city)) in [("Tokyo", "Chiyoda"), ("Hokkaido", "Otaru")].into_iter().enumerate() {
            let ends = now + TimeDelta::days(if holder == 0 { 60 } else { 1_500 });
            let wish = NewCard {
                prefecture: Some(prefecture.to_owned()),
                city: Some(city.to_owned()),
                not_after: Some(ends),
                ..NewCard::default()
            };
            let first = rooms.card_with(wish.clone());
            let second = rooms.card_with(NewCard { holder_id: first.holder_id.clone(), ..wish });
            for card in [first, second] {
                let halves = [world.add_half(holder, Kind::Signature, &card), world.add_half(holder, Kind::Authentication, &card)];
                world.cards.push(ModelCard { card, holder, not_after: ends, halves });
            }
        }
        world
    }

    pub(crate) fn add_half(&mut self, holder: usize, kind: Kind, card: &Card) -> usize {
        self.halves.push(Half::new(holder, kind, crate::events::side(card, kind).clone()));
        self.halves.len() - 1
    }

    /// Time goes on, and the next thing happens.
    pub(crate) fn go_on(&mut self, by: TimeDelta) {
        self.now += by;
        self.turn += 1;
        self.ca.clock.stop_at(self.now);
        self.ca.role.draw_beacon_if_due().unwrap();
    }

    /// Another process takes the lead; whoever led changes nothing any more.
    pub(crate) fn hand_over(&mut self) {
        self.leaders += 1;
        self.breaker.set(None);
        let wish = CaWish { steps: Arc::clone(&self.breaker) as _, ..CaWish::named(&format!("leader {}", self.leaders)) };
        let next = stage::leader(self.rooms, &self.office, &self.rules.policy, self.now, wish);
        let former = std::mem::replace(&mut self.ca, next);
        assert!(self.waiting.is_empty() || former.role.issue_batch().is_err(), "who leads no more has issued");
    }

    /// Does something to a certificate of the model, and notes what its event must tell; whether there was anything to do.
    pub(crate) fn change(&mut self, certificate: usize, act: impl FnOnce(&mut Living<'_>) -> Told) -> bool {
        let now = self.now;
        let of = &mut self.certificates[certificate];
        let told = act(&mut Living { life: &mut of.life, now, not_after: of.not_after });
        self.told.extend(told.map(|(kind, detail)| (certificate, kind, detail)));
        told.is_some()
    }

    /// Certificates that pass, oldest first.
    pub(crate) fn which(&self, passes: impl Fn(&Certificate) -> bool) -> Vec<usize> {
        (0..self.certificates.len()).filter(|place| passes(&self.certificates[*place])).collect()
    }

    /// What happened to a card reaches what hangs on it.
    pub(crate) fn reach(&mut self, half: usize, effect: Does, is_believed: bool) {
        for certificate in self.which(|certificate| certificate.half == half) {
            self.change(certificate, |living| living.suffer(effect, is_believed));
        }
    }

    /// The CA hears of something.
    pub(crate) fn hear(&mut self, half: usize, change: CardEventType, reason: Option<Reason>, sequence: i64, way: Way) {
        self.turn += 1;
        let kind = self.halves[half].kind;
        let is_kind_known = self.halves.iter().any(|half| half.kind == kind && half.linked);
        if self.halves[half].hear(News { change, reason, sequence, is_kind_known }, way, self.turn) {
            let effect = self.rules.effect(self.halves[half].kind, change, reason);
            self.reach(half, effect, way != Way::Push);
        }
    }

    pub(crate) fn scope_of(&self, half: &Half, whole: bool) -> sandbox::back_office::EventScope {
        let mut scope = half.side.scope().unwrap();
        if whole {
            scope.distribution_point_sha256 = None;
        }
        scope
    }
}
