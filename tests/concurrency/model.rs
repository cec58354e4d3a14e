//! A small model of holders, cards and phones, held against the real store: whatever is done in whatever order, exactly those
//! certificates live that should.

use std::collections::{BTreeMap, BTreeSet};

use ca_core::kind::CertificateKind;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sandbox::card::Card;
use sandbox::kind::Kind;
use sandbox::phone::Replaces;
use schema::card_event::CardEvent;
use schema::certificate::{CertificateId, CertificateState};
use schema::on_each_database;
use schema::testing::TestDatabase;

use crate::events::{push, revocation};
use crate::rooms::{Ca, CaWish, Rooms};

/// Two holders, each with a first card and a renewed one.
const CARDS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// A phone applies with a card; the CA decides at once or later.
    Apply { card: usize, kinds: Vec<Kind>, replaces: bool, decided: bool },
    /// The CA decides what waits.
    Decide,
    /// The back office ends one half of a card; nobody has been told yet.
    Revoke { card: usize, kind: Kind },
    /// It pushes the event of an earlier revocation, with whatever sequence number: late, again, out of order.
    Push { which: usize, sequence: i64 },
    /// The CA reads the feed to its end.
    Feed,
    /// Another process takes the lead.
    HandOver,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![Just(Kind::Signature), Just(Kind::Authentication)];
    let kinds = prop_oneof![3 => Just(Kind::ALL.to_vec()), 1 => kind.clone().prop_map(|kind| vec![kind])];
    let apply = (0..CARDS, kinds, prop::bool::weighted(0.8), any::<bool>()).prop_map(|(card, kinds, replaces, decided)| Step::Apply {
        card,
        kinds,
        replaces,
        decided,
    });
    let step = prop_oneof![
        6 => apply,
        2 => Just(Step::Decide),
        3 => (0..CARDS, kind).prop_map(|(card, kind)| Step::Revoke { card, kind }),
        4 => (0..8_usize, prop_oneof![0..4_i64, Just(i64::MAX)]).prop_map(|(which, sequence)| Step::Push { which, sequence }),
        1 => Just(Step::Feed),
        1 => Just(Step::HandOver),
    ];
    prop::collection::vec(step, 4..14)
}

/// An application as the model knows it.
struct Waiting {
    card: usize,
    kinds: Vec<Kind>,
    replaces: bool,
    application: ca_core::application::ApplicationId,
}

/// What should be.
#[derive(Default)]
struct Model {
    /// Halves that the back office has ended, in order, and whether the CA has been told.
    ended: Vec<(usize, Kind)>,
    told: BTreeSet<(usize, Kind)>,
    waiting: Vec<Waiting>,
    /// Holder and kind: on which card the live certificate hangs.
    live: BTreeMap<(usize, Kind), usize>,
}

impl Model {
    fn is_told(&mut self, card: usize, kind: Kind) {
        self.told.insert((card, kind));
        self.live.retain(|(_, live_kind), live_card| (*live_card, *live_kind) != (card, kind));
    }

    /// What becomes of an application: `None` if it is issued on, else the code.
    fn decide(&mut self, waiting: &Waiting) -> Option<&'static str> {
        let holder = waiting.card / 2;
        let told = |kind| self.told.contains(&(waiting.card, kind));
        if told(Kind::Signature) || waiting.kinds.iter().any(|kind| told(*kind)) {
            return Some("card_revoked");
        }
        if !waiting.replaces && waiting.kinds.iter().any(|kind| self.live.contains_key(&(holder, *kind))) {
            return Some("holder_has_live_certificate");
        }
        for kind in &waiting.kinds {
            self.live.insert((holder, *kind), waiting.card);
        }
        None
    }

    /// The RA asks the card CA, which knows at once: about the half that signs, and about each that is asked for.
    fn passes_the_ra(&self, card: usize, kinds: &[Kind]) -> bool {
        !self.ended.iter().any(|(ended, kind)| *ended == card && (*kind == Kind::Signature || kinds.contains(kind)))
    }
}

/// The house with cards of its own for each run.
struct World<'r, 's> {
    rooms: &'r Rooms<'s>,
    ca: Ca,
    leaders: u32,
    cards: Vec<Card>,
    events: Vec<CardEvent>,
    ever_ended: BTreeSet<CertificateId>,
    model: Model,
}

impl<'r, 's> World<'r, 's> {
    fn new(rooms: &'r Rooms<'s>) -> Self {
        let mut cards = Vec::with_capacity(CARDS);
        for _ in 0..CARDS / 2 {
            let first = rooms.card();
            let renewed = rooms.card_of_same_holder(&first);
            cards.extend([first, renewed]);
        }
        let ca = leader(rooms, 0);
        Self { rooms, ca, leaders: 0, cards, events: Vec::new(), ever_ended: BTreeSet::new(), model: Model::default() }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Apply { card, kinds, replaces, decided } => self.apply(*card, kinds, *replaces, *decided),
            Step::Decide => self.decide(),
            Step::Revoke { card, kind } => self.revoke(*card, *kind),
            Step::Push { which, sequence } => self.push(*which, *sequence),
            Step::Feed => self.feed(),
            Step::HandOver => self.hand_over(),
        }
        self.agrees(step);
    }

    fn apply(&mut self, card: usize, kinds: &[Kind], replaces: bool, decided: bool) {
        let wish = if replaces { Replaces::Any } else { Replaces::None };
        let cms = self.rooms.application_for(&self.cards[card], wish, kinds).cms;
        if !self.model.passes_the_ra(card, kinds) {
            assert_eq!(self.rooms.ra.verify(&cms).unwrap_err(), "card_revoked");
            return;
        }
        let application = self.rooms.ra.accept(&cms);
        self.model.waiting.push(Waiting { card, kinds: kinds.to_vec(), replaces, application });
        if decided {
            self.decide();
        }
    }

    fn decide(&mut self) {
        self.ca.issue_all();
        for waiting in std::mem::take(&mut self.model.waiting) {
            match self.model.decide(&waiting) {
                None => assert!(self.rooms.is_issued(waiting.application), "{:?}", self.rooms.state(waiting.application)),
                Some(code) => assert_eq!(self.rooms.refusal(waiting.application), code),
            }
        }
    }

    fn revoke(&mut self, card: usize, kind: Kind) {
        for event in self.rooms.revoke_card(&self.cards[card], &[kind]) {
            self.model.ended.push((card, kind));
            self.events.push(revocation(&self.cards[card], kind, &event.event_id, event.sequence));
        }
    }

    fn push(&mut self, which: usize, sequence: i64) {
        let Some(event) = self.events.get(which) else { return };
        push(self.rooms, &CardEvent { sequence, ..event.clone() });
        self.ca.role.apply_inbox().unwrap();
        let (card, kind) = self.model.ended[which];
        self.model.is_told(card, kind);
    }

    fn feed(&mut self) {
        self.ca.role.follow_feed().unwrap();
        for (card, kind) in self.model.ended.clone() {
            self.model.is_told(card, kind);
        }
    }

    fn hand_over(&mut self) {
        self.leaders += 1;
        let former = std::mem::replace(&mut self.ca, leader(self.rooms, self.leaders));
        assert!(self.model.waiting.is_empty() || former.role.issue_batch().is_err());
    }

    /// What is in the store is what the model says, and what ever ended is still ended.
    fn agrees(&mut self, step: &Step) {
        self.rooms.sound();
        for holder in 0..CARDS / 2 {
            let mut live = Vec::new();
            for certificate in self.rooms.certificates(&self.cards[2 * holder]) {
                if certificate.state == CertificateState::Live {
                    assert!(!self.ever_ended.contains(&certificate.id), "{step:?}: a revoked certificate lives again");
                    let detail = self.rooms.reader.certificate_detail(Some(certificate.kind), &certificate.serial).unwrap().unwrap();
                    assert_eq!(detail.link.card_revocation, None, "{step:?}: live on a card that is known to be revoked");
                    live.push((certificate.kind, detail.link.card.sha256));
                } else {
                    self.ever_ended.insert(certificate.id);
                }
            }
            live.sort_unstable();
            let mut expected: Vec<_> = self
                .model
                .live
                .iter()
                .filter(|((owner, _), _)| *owner == holder)
                .map(|((_, kind), card)| self.link(*card, *kind))
                .collect();
            expected.sort_unstable();
            assert_eq!(live, expected, "{step:?}");
        }
    }

    fn link(&self, card: usize, kind: Kind) -> (CertificateKind, ca_core::digest::Sha256Digest) {
        let side = crate::events::side(&self.cards[card], kind);
        (kind.as_str().parse().unwrap(), ca_core::digest::Sha256Digest::of(&side.certificate))
    }
}

/// A process of the CA that decides one application after the other, so that it is known which of two comes first. Whoever
/// leads is cut short.
fn leader(rooms: &Rooms<'_>, number: u32) -> Ca {
    rooms.store.execute("UPDATE lease SET expires_at = 0").unwrap();
    rooms.outfit.ca(CaWish { batch: 1, ..CaWish::named(&format!("leader {number}")) }).leading()
}

fn walk(store: &TestDatabase) {
    let rooms = Rooms::furnish(store);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(16);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() });
    let result = runner.run(&steps(), |steps| {
        let mut world = World::new(&rooms);
        steps.iter().for_each(|step| world.take(step));
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

on_each_database! {
    fn in_whatever_order_phones_apply_and_cards_end_exactly_those_certificates_live_that_should(store) {
        walk(store);
    }
}
