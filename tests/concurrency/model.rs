//! A model of holders, cards and phones over their whole life, held against the real store: whatever is done in whatever order,
//! store, events, OCSP and CRL say after every step what the rules of life say.
//!
//! `PROPTEST_CASES` says how many lives are walked through; a failure tells the shortest way to it that was found.

mod cards;
mod checks;
mod issuing;
mod orders;
pub(crate) mod rules;
mod telling;
mod world;

use std::sync::Arc;

use ca_service::IssuanceStep;
use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestError, TestRunner};
use sandbox::back_office::{BackOffice, BackOfficeSettings, CardEventType, CardOrder};
use sandbox::kind::Kind;
use sandbox::operator::HoldCause;
use sandbox::reason::Reason;
use schema::testing::TestDatabase;

use crate::rooms::Rooms;
use orders::Meant;
use rules::Rules;
use telling::CardDeed;
use world::{CARDS, World};

/// Places (`usize`) are taken among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// A phone applies with a card; the CA decides at once or later.
    Apply {
        card: usize,
        kinds: Vec<Kind>,
        replaces: bool,
        decided: bool,
    },
    Decide,
    /// The process dies in the middle of an issuance.
    BreakOff(IssuanceStep),
    HandOver,
    Hold {
        certificate: usize,
        meant: Meant,
        cause: HoldCause,
    },
    Lift {
        certificate: usize,
        meant: Meant,
        cause: HoldCause,
    },
    Revoke {
        certificate: usize,
        meant: Meant,
        reason: Reason,
    },
    EndByPhone {
        certificate: usize,
        reason: Reason,
    },
    EndByCard {
        card: usize,
        reason: Reason,
    },
    ReportKey {
        certificate: usize,
    },
    Mass {
        half: usize,
        whole: bool,
        reason: Option<Reason>,
        counted_right: bool,
    },
    /// The back office changes a card; nobody has been told yet, unless at once.
    Happen {
        card: usize,
        deed: CardDeed,
        told: Option<ToldBy>,
    },
    /// The same to many cards.
    HappenToMany {
        half: usize,
        whole: bool,
        reason: Option<Reason>,
        told: bool,
    },
    TellFeed {
        which: usize,
    },
    FollowFeed {
        pages: Option<usize>,
    },
    Push {
        which: usize,
    },
    /// The RA makes an event up.
    MakeUp {
        half: usize,
        change: CardEventType,
        reason: Reason,
        sequence: i64,
    },
    ReadCardCrls,
    Compare,
    LookAgain,
    AdvanceBatches,
    Expire,
    EnforceDeadlines,
    Jump {
        hours: i64,
    },
}

#[derive(Debug, Clone, Copy)]
enum ToldBy {
    Push,
    Feed,
}

fn step() -> BoxedStrategy<Step> {
    let kind = prop_oneof![Just(vec![Kind::Signature]), Just(vec![Kind::Authentication])];
    let kinds = prop_oneof![3 => Just(Kind::ALL.to_vec()), 1 => kind];
    let any_certificate = || 0..12_usize;
    let meant = || select(vec![Meant::Itself, Meant::Phone, Meant::Holder]);
    let cause = || select(vec![HoldCause::PhoneLost, HoldCause::Operator]);
    let permanent: Vec<Reason> = Reason::ALL.into_iter().filter(|reason| *reason != Reason::CertificateHold).collect();
    let reason = move || select(permanent.clone());
    let of_holder = || select(vec![Reason::CessationOfOperation, Reason::KeyCompromise, Reason::Unspecified]);
    let orders: Vec<CardOrder> = CardOrder::ALL.into_iter().filter(|order| *order != CardOrder::Transfer).collect();
    let with_kinds = [CardOrder::Hold, CardOrder::Release, CardOrder::Expire];
    let deed = prop_oneof![
        1 => (kinds.clone(), reason()).prop_map(|(kinds, reason)| CardDeed::Revoke(kinds, reason)),
        3 => select(orders).prop_map(|order| CardDeed::Order(order, None)),
        4 => (select(with_kinds.to_vec()), kinds.clone()).prop_map(|(order, kinds)| CardDeed::Order(order, Some(kinds))),
    ];
    let told = prop_oneof![2 => Just(None), 2 => Just(Some(ToldBy::Feed)), 1 => Just(Some(ToldBy::Push))];
    let hold_or = || prop_oneof![2 => Just(None), 1 => reason().prop_map(Some)];
    let sequence = prop_oneof![3 => 0..5_i64, 1 => Just(i64::MAX)];
    prop_oneof![
        10 => (0..CARDS, kinds, prop::bool::weighted(0.8), prop::bool::weighted(0.8))
            .prop_map(|(card, kinds, replaces, decided)| Step::Apply { card, kinds, replaces, decided }),
        1 => Just(Step::Decide),
        2 => select(IssuanceStep::ALL.to_vec()).prop_map(Step::BreakOff),
        1 => Just(Step::HandOver),
        5 => (any_certificate(), meant(), cause()).prop_map(|(certificate, meant, cause)| Step::Hold { certificate, meant, cause }),
        4 => (any_certificate(), meant(), cause()).prop_map(|(certificate, meant, cause)| Step::Lift { certificate, meant, cause }),
        2 => (any_certificate(), meant(), reason()).prop_map(|(certificate, meant, reason)| Step::Revoke { certificate, meant, reason }),
        2 => (any_certificate(), of_holder()).prop_map(|(certificate, reason)| Step::EndByPhone { certificate, reason }),
        1 => (0..CARDS, of_holder()).prop_map(|(card, reason)| Step::EndByCard { card, reason }),
        2 => any_certificate().prop_map(|certificate| Step::ReportKey { certificate }),
        2 => (0..8_usize, any::<bool>(), hold_or(), prop::bool::weighted(0.8))
            .prop_map(|(half, whole, reason, counted_right)| Step::Mass { half, whole, reason, counted_right }),
        9 => (0..CARDS, deed, told).prop_map(|(card, deed, told)| Step::Happen { card, deed, told }),
        2 => (0..8_usize, any::<bool>(), hold_or(), any::<bool>())
            .prop_map(|(half, whole, reason, told)| Step::HappenToMany { half, whole, reason, told }),
        5 => (0..16_usize).prop_map(|which| Step::TellFeed { which }),
        4 => prop_oneof![3 => Just(None), 1 => (0..3_usize).prop_map(Some)].prop_map(|pages| Step::FollowFeed { pages }),
        4 => (0..16_usize).prop_map(|which| Step::Push { which }),
        3 => (0..8_usize, select(CardEventType::ALL.to_vec()), reason(), sequence)
            .prop_map(|(half, change, reason, sequence)| Step::MakeUp { half, change, reason, sequence }),
        2 => Just(Step::ReadCardCrls),
        2 => Just(Step::Compare),
        1 => Just(Step::LookAgain),
        3 => Just(Step::AdvanceBatches),
        2 => Just(Step::Expire),
        2 => Just(Step::EnforceDeadlines),
        2 => select(vec![1, 2, 8 * 24, 31 * 24, 61 * 24]).prop_map(|hours| Step::Jump { hours }),
    ]
    .boxed()
}

impl World<'_, '_> {
    fn take(&mut self, step: &Step) {
        self.go_on(TimeDelta::seconds(1));
        let some = |place: usize, among: usize| (among > 0).then(|| place % among.max(1));
        let certificate = |place| some(place, self.certificates.len());
        match step {
            Step::Apply { card, kinds, replaces, decided } => {
                self.apply(*card, kinds, *replaces);
                if *decided {
                    self.decide();
                }
            }
            Step::Decide => self.decide(),
            Step::BreakOff(at) => self.break_off(*at),
            Step::HandOver => self.hand_over(),
            Step::Hold { certificate: place, meant, cause } => {
                if let Some(place) = certificate(*place) {
                    self.hold(place, *meant, *cause);
                }
            }
            Step::Lift { certificate: place, meant, cause } => {
                if let Some(place) = certificate(*place) {
                    self.lift(place, *meant, *cause);
                }
            }
            Step::Revoke { certificate: place, meant, reason } => {
                if let Some(place) = certificate(*place) {
                    self.revoke(place, *meant, *reason);
                }
            }
            Step::EndByPhone { certificate: place, reason } => {
                if let Some(place) = certificate(*place) {
                    self.end_by_phone(place, *reason);
                }
            }
            Step::EndByCard { card, reason } => self.end_by_card(*card, *reason),
            Step::ReportKey { certificate: place } => {
                if let Some(place) = certificate(*place) {
                    self.report_key(place);
                }
            }
            Step::Mass { half, whole, reason, counted_right } => self.mass(*half, *whole, *reason, *counted_right),
            Step::Happen { card, deed, told } => {
                let before = self.happened.len();
                self.happen(*card, deed);
                self.tell_since(before, *told);
            }
            Step::HappenToMany { half, whole, reason, told } => {
                let before = self.happened.len();
                self.happen_to_many(*half, *whole, *reason);
                self.tell_since(before, told.then_some(ToldBy::Feed));
            }
            Step::TellFeed { which } => self.tell_feed(*which),
            Step::FollowFeed { pages } => self.follow_feed(*pages),
            Step::Push { which } => self.push(*which),
            Step::MakeUp { half, change, reason, sequence } => self.make_up(*half, *change, *reason, *sequence),
            Step::ReadCardCrls => self.read_card_crls(),
            Step::Compare => self.compare(),
            Step::LookAgain => self.look_again(),
            Step::AdvanceBatches => self.advance_batches(),
            Step::Expire => self.expire(),
            Step::EnforceDeadlines => self.enforce_deadlines(),
            Step::Jump { hours } => self.jump(TimeDelta::hours(*hours)),
        }
        self.agrees(&format!("{step:?}"));
    }

    fn tell_since(&mut self, before: usize, by: Option<ToldBy>) {
        for which in before..self.happened.len() {
            match by {
                None => {}
                Some(ToldBy::Feed) => self.tell_feed(which),
                Some(ToldBy::Push) => self.push(which),
            }
        }
        if let Some(ToldBy::Feed) = by {
            self.follow_feed(None);
        }
    }
}

/// Walks through random lives, each in a store of its own, under each of the policies in turn.
fn walk(new_store: impl Fn() -> TestDatabase, cases: u32) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    let back_office = Arc::new(BackOffice::start(&BackOfficeSettings::default()).unwrap());
    let all_rules = Rules::all();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let lives = (0..all_rules.len(), prop::collection::vec(step(), 8..28));
    let result = TestRunner::new(config).run(&lives, |(rules, steps)| {
        let (store, rules) = (new_store(), &all_rules[rules]);
        let rooms = Rooms::furnish_beside(&store, Arc::clone(&back_office));
        let mut world = World::new(&rooms, rules);
        steps.iter().for_each(|step| world.take(step));
        // What is past its end counts no more, once that is written down.
        world.take(&Step::Expire);
        if rules.policy.name == "jpki" {
            rooms.sound()
        } else {
            rooms.sound_under_any_policy()
        };
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, (rules, steps))) => {
            let steps: Vec<_> = steps.iter().map(|step| format!("\n    {step:?}")).collect();
            panic!("{why}\nunder {}:{}", all_rules[rules].policy.name, steps.concat());
        }
        Err(aborted) => panic!("{aborted}"),
    }
}

mod in_whatever_order_things_happen_everything_says_what_the_rules_of_life_say {
    use super::*;

    #[test]
    fn on_sqlite() {
        walk(TestDatabase::sqlite, 48);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn on_postgres() {
        // A new database of it takes a second.
        walk(TestDatabase::postgres, 12);
    }
}
