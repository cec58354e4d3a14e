//! Whatever happens, and in whichever order it is noticed: nothing older is told than what the follower has seen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use ocsp::OcspSettings;
use proptest::prelude::*;
use support::house::{COMPROMISED, HELD, House, Told};

#[derive(Debug, Clone, Copy)]
enum Step {
    Issue(u64),
    Hold(u64),
    Lift(u64),
    Revoke(u64),
    Ask(u64),
    Look,
    /// Milliseconds.
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    // Few numbers, so that they meet.
    let number = 0_u64..3;
    prop_oneof![
        1 => number.clone().prop_map(Step::Issue),
        1 => number.clone().prop_map(Step::Hold),
        1 => number.clone().prop_map(Step::Lift),
        1 => number.clone().prop_map(Step::Revoke),
        6 => number.prop_map(Step::Ask),
        3 => Just(Step::Look),
        3 => prop_oneof![Just(1_i64), Just(400), Just(1_000), Just(1_001), Just(31_000)].prop_map(Step::Pass),
    ]
}

/// What every number has been, from which moment on: milliseconds.
#[derive(Default)]
struct History(BTreeMap<u64, Vec<(i64, Told)>>);

impl History {
    fn now(&self, number: u64) -> Told {
        self.0.get(&number).and_then(|history| history.last()).map_or(Told::NeverIssued, |(_, told)| *told)
    }

    fn becomes(&mut self, number: u64, at: i64, told: Told) {
        self.0.entry(number).or_default().push((at, told));
    }

    /// What was true at `moment` or at any time after.
    fn since(&self, number: u64, moment: i64) -> Vec<Told> {
        let history = self.0.get(&number).map(Vec::as_slice).unwrap_or_default();
        let before = history.iter().rev().find(|(at, _)| *at <= moment).map_or(Told::NeverIssued, |(_, told)| *told);
        [before].into_iter().chain(history.iter().filter(|(at, _)| *at > moment).map(|(_, told)| *told)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nothing_older_is_told_than_what_was_seen_or_a_second_ago(steps in prop::collection::vec(step(), 1..60)) {
        let house = House::new(OcspSettings::default());
        let mut history = History::default();
        // Nothing that a complete look has seen is told otherwise afterwards. Each step takes a tick, so that they have an order.
        let (mut elapsed, mut looked) = (0, 0);
        for step in steps {
            house.time.pass(TimeDelta::milliseconds(1));
            elapsed += 1;
            match step {
                Step::Issue(number) => if history.now(number) == Told::NeverIssued {
                    house.issue(number);
                    history.becomes(number, elapsed, Told::Good);
                },
                Step::Hold(number) => if history.now(number) == Told::Good {
                    house.hold(number);
                    history.becomes(number, elapsed, HELD);
                },
                Step::Lift(number) => if history.now(number) == HELD {
                    house.lift(number);
                    history.becomes(number, elapsed, Told::Good);
                },
                Step::Revoke(number) => if matches!(history.now(number), Told::Good | HELD) {
                    house.revoke(number);
                    history.becomes(number, elapsed, COMPROMISED);
                },
                Step::Look => {
                    house.service.look().unwrap();
                    looked = elapsed;
                }
                Step::Pass(milliseconds) => {
                    house.time.pass(TimeDelta::milliseconds(milliseconds));
                    elapsed += milliseconds;
                }
                Step::Ask(number) => {
                    let told = house.told(number);
                    let possible = history.since(number, looked.max(elapsed - 1_000));
                    prop_assert!(possible.contains(&told), "{told:?} of {number}, which was {possible:?} since the last look");
                }
            }
        }
        house.service.look().unwrap();
        for number in 0..3 {
            prop_assert_eq!(house.told(number), history.now(number));
        }
    }
}
