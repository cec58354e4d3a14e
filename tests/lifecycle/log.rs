//! A log that cannot be written stops what nobody could prove, issuance and the lifting of holds, and nothing that ends or holds a
//! certificate; and all that waited is done once it is written again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audit_log::{LogKey, TileDirectory};
use ca_core::digest::Sha256Digest;
use ca_service::{CaFault, LogKeeper, LogParts, LogSettings, ScheduleName, WitnessPace};
use chrono::{TimeDelta, Utc};
use policies::LifecyclePolicy;
use sandbox::back_office::{CardOrder, OrderDetail};
use sandbox::card::Card;
use sandbox::instruction::{Instruction, Signer};
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, OperatorAction, Target};
use sandbox::reason::Reason;
use schema::application::ApplicationState;
use schema::certificate::CertificateState;
use schema::instruction::{InstructionForm, InstructionState};
use schema::log::LogIdentity;
use schema::{Event, EventKind, on_each_database};

use crate::instructions::{hold, lift};
use crate::rooms::{Ca, CaWish, RA_NAME, Rooms};

/// For how long events may wait here.
const MAX_LAG: Duration = Duration::from_millis(200);

/// Derived credentials that follow a card's hold and its release.
fn following() -> Arc<LifecyclePolicy> {
    let text = include_str!("../../policies/lifecycle/derived-piv.toml").replace("held = \"none\"", "held = \"hold\"");
    Arc::new(LifecyclePolicy::parse("following.toml", &text).unwrap())
}

/// A process that waits for no log, to make what the others find.
fn careless(rooms: &Rooms<'_>) -> Ca {
    rooms.outfit.ca(CaWish { lifecycle: following(), ..CaWish::named("careless") }).leading()
}

/// A process that does, when the log is late: nobody writes it.
fn late(rooms: &Rooms<'_>) -> Ca {
    let log_max_lag = TimeDelta::from_std(MAX_LAG).unwrap();
    let ca = rooms.outfit.ca(CaWish { lifecycle: following(), log_max_lag, ..CaWish::named("careful") }).leading();
    let begin = Instant::now();
    while !ca.role.log_is_late().unwrap() {
        assert!(begin.elapsed() < Duration::from_secs(10), "the log is never late");
        thread::sleep(Duration::from_millis(10));
    }
    ca
}

/// While this lives, what `ca` does is brought into the log.
struct LogAtWork<'c> {
    ca: &'c Ca,
    keeper: LogKeeper,
    stop: AtomicBool,
    _directory: tempfile::TempDir,
}

impl<'c> LogAtWork<'c> {
    fn new(ca: &'c Ca) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = Arc::new(LogKey::generate("ra.test/log").unwrap());
        let identity = LogIdentity { origin: "ra.test/log".to_owned(), verifier_key: key.verifier().vkey() };
        ca.database.writer().write(move |tx| tx.begin_log(&identity, Utc::now())).map(drop).unwrap();
        let keeper = LogKeeper::new(LogParts {
            key,
            directory: TileDirectory::new(directory.path()),
            reader: ca.database.reader(),
            writer: ca.database.writer(),
            wake: ca.database.wake(),
            clock: Arc::clone(&ca.clock) as _,
            settings: LogSettings { interval_milliseconds: 10, ..LogSettings::default() },
            pace: WitnessPace::default(),
        });
        Self { ca, keeper: keeper.unwrap(), stop: AtomicBool::new(false), _directory: directory }
    }

    /// Does `work` with a log that is written.
    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            scope.spawn(|| self.keeper.run(&|| self.ca.role.lease(), &self.stop));
            let begin = Instant::now();
            while self.ca.role.log_is_late().unwrap() {
                if begin.elapsed() > Duration::from_secs(10) {
                    self.stop.store(true, Ordering::Relaxed);
                    panic!("the log stays late");
                }
                thread::sleep(Duration::from_millis(10));
            }
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            self.stop.store(true, Ordering::Relaxed);
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

fn order(rooms: &Rooms<'_>, card: &Card, order: CardOrder) {
    rooms.back_office.order(card.card_id.as_ref().unwrap(), order, &OrderDetail { pooled_keys: true, ..OrderDetail::default() }).unwrap();
}

fn states(rooms: &Rooms<'_>, card: &Card) -> Vec<CertificateState> {
    rooms.certificates(card).iter().map(|certificate| certificate.state).collect()
}

/// Until there is nothing to be decided that can be.
fn take_all(ca: &Ca) {
    let begin = Instant::now();
    while ca.role.take_instructions().unwrap() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(10), "instructions are decided without end");
    }
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

const LIVE: [CertificateState; 2] = [CertificateState::Live; 2];
const HELD: [CertificateState; 2] = [CertificateState::Held; 2];
const REVOKED: [CertificateState; 2] = [CertificateState::Revoked; 2];

on_each_database! {
    fn what_is_applied_for_waits_for_the_log_and_is_issued_then(store) {
        let rooms = Rooms::furnish(store);
        let ca = late(&rooms);
        let (application, _) = rooms.apply(&rooms.card());
        assert_eq!(ca.role.issue_batch().unwrap().taken, 0);
        assert!(matches!(ca.role.renew_test_certificates(), Err(CaFault::LogLate)));
        assert!(matches!(rooms.state(application), ApplicationState::Accepted), "it waits, and is not refused");
        LogAtWork::new(&ca).during(|| {
            let begin = Instant::now();
            while !rooms.is_issued(application) {
                // What is committed has to come into the log before more is.
                ca.role.issue_batch().unwrap();
                assert!(begin.elapsed() < Duration::from_secs(10), "it is never issued");
            }
        });
        rooms.sound();
    }

    fn holds_revocations_ends_and_lists_go_on_without_the_log(store) {
        let rooms = Rooms::furnish(store);
        let cards = [rooms.card(), rooms.card(), rooms.card(), rooms.card(), rooms.card()];
        let first = careless(&rooms);
        let phones = cards.each_ref().map(|card| rooms.phone(&first, card));
        first.stand_down();
        let ca = late(&rooms);
        let desk = rooms.operators.operator("alice", "call-centre");
        let boss = rooms.operators.operator("bob", "administrator");
        let revoke = OperatorAction::Revoke {
            target: Target::device(&phones[1].device),
            reason: Reason::KeyCompromise,
            invalid_since: None,
            ticket: "a stolen key".to_owned(),
        };
        let asked = [rooms.instruct(&desk, &hold(Target::device(&phones[0].device))), rooms.instruct(&boss, &revoke)];
        take_all(&ca);
        asked.iter().for_each(|digest| drop(rooms.outcome(digest)));
        rooms.revoke_card(&cards[2], &Kind::ALL);
        order(&rooms, &cards[3], CardOrder::Hold);
        ca.role.follow_feed().unwrap();
        ca.clock.set_ahead(20 * 365 * 86_400);
        assert!(ca.role.expire_certificates().unwrap() > 0);
        ca.clock.set_ahead(0);
        assert!(ca.role.log_is_late().unwrap(), "all of this was done without the log");
        assert_eq!(states(&rooms, &cards[1]), REVOKED);
        assert_eq!(states(&rooms, &cards[2]), REVOKED);
        let events = rooms.events_after(schema::EventPosition(0));
        for kind in [EventKind::CertificateHeld, EventKind::CardHeld, EventKind::CardRevoked, EventKind::CertificateExpired] {
            assert!(kinds(&events).contains(&kind), "{kind:?}");
        }
        let lists = ca.publisher().run_once(Some(&ca.lease())).unwrap();
        assert!(!lists.is_empty() && lists.iter().all(Result::is_ok), "{lists:?}");
    }

    fn a_lift_that_is_asked_for_waits_for_the_log_however_long_that_takes(store) {
        let rooms = Rooms::furnish(store);
        let [card, another] = [rooms.card(), rooms.card()];
        let first = careless(&rooms);
        let phone = rooms.phone(&first, &card);
        rooms.phone(&first, &another);
        let desk = rooms.operators.operator("alice", "call-centre");
        rooms.instruct(&desk, &hold(Target::device(&phone.device)));
        take_all(&first);
        first.stand_down();

        let ca = late(&rooms);
        let asked = rooms.instruct(&desk, &lift(Target::device(&phone.device), HoldCause::PhoneLost));
        // Behind it there is what does not wait.
        let other = rooms.instruct(&desk, &hold(Target::holder(another.holder_id.as_ref().unwrap())));
        take_all(&ca);
        assert!(matches!(rooms.instruction(&asked), InstructionState::Waiting));
        rooms.outcome(&other);
        assert_eq!(states(&rooms, &card), HELD);
        // Another process, long after its challenge has grown old.
        ca.stand_down();
        let next = late(&rooms);
        next.clock.set_ahead(3_600);
        take_all(&next);
        assert!(matches!(rooms.instruction(&asked), InstructionState::Waiting));
        LogAtWork::new(&next).during(|| {
            next.clock.set_ahead(3_600 + 10);
            take_all(&next);
        });
        rooms.outcome(&asked);
        assert_eq!((states(&rooms, &card), states(&rooms, &another)), (LIVE.to_vec(), HELD.to_vec()));
    }

    fn a_lift_that_waited_for_the_log_undoes_no_hold_that_was_asked_for_after_it(store) {
        let rooms = Rooms::furnish(store);
        let [again, anew, found] = [rooms.card(), rooms.card(), rooms.card()];
        let first = careless(&rooms);
        let phones = [&again, &anew, &found].map(|card| rooms.phone(&first, card));
        let [again_phone, anew_phone, found_phone] = phones.each_ref().map(|phone| Target::device(&phone.device));
        let desk = rooms.operators.operator("alice", "call-centre");
        for target in [&again_phone, &found_phone] {
            rooms.instruct(&desk, &hold(target.clone()));
        }
        take_all(&first);
        first.stand_down();

        let ca = late(&rooms);
        let lifts = [&again_phone, &anew_phone, &found_phone].map(|target| rooms.instruct(&desk, &lift(target.clone(), HoldCause::PhoneLost)));
        take_all(&ca);
        // Another process goes on.
        ca.stand_down();
        let next = late(&rooms);
        let lost = [&again_phone, &anew_phone].map(|target| rooms.instruct(&desk, &hold(target.clone())));
        take_all(&next);
        lost.iter().for_each(|digest| drop(rooms.outcome(digest)));
        LogAtWork::new(&next).during(|| {
            next.clock.set_ahead(10);
            take_all(&next);
        });
        assert_eq!(lifts[..2].iter().map(|digest| rooms.refused(digest)).collect::<Vec<_>>(), ["hold_renewed"; 2]);
        rooms.outcome(&lifts[2]);
        assert_eq!([&again, &anew, &found].map(|card| states(&rooms, card)), [HELD, HELD, LIVE].map(Vec::from));
        // Whoever means it asks for it anew.
        let lifted = rooms.instruct(&desk, &lift(again_phone, HoldCause::PhoneLost));
        LogAtWork::new(&next).during(|| take_all(&next));
        rooms.outcome(&lifted);
        assert_eq!(states(&rooms, &again), LIVE);
    }

    fn a_lift_that_was_never_in_order_is_refused_although_the_log_is_late(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let first = careless(&rooms);
        let phone = rooms.phone(&first, &card);
        first.stand_down();
        let ca = late(&rooms);
        let verifier = rooms.operators.operator("eve", "verifier");
        let asked = rooms.instruct(&verifier, &lift(Target::device(&phone.device), HoldCause::PhoneLost));
        take_all(&ca);
        assert_eq!(rooms.refused(&asked), "role_not_allowed");
    }

    fn a_lift_that_waits_has_spent_its_challenge(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let first = careless(&rooms);
        let phone = rooms.phone(&first, &card);
        first.stand_down();
        let ca = late(&rooms);
        let desk = rooms.operators.operator("alice", "call-centre");
        let (challenge, action) = (rooms.ra.challenge().to_base64(), lift(Target::device(&phone.device), HoldCause::PhoneLost));
        let sign = || {
            let signer = Signer { certificate: &desk.certificate, key: &desk.key };
            Instruction::of_operator(RA_NAME, &challenge, &action).sign(signer).unwrap()
        };
        let one = rooms.store_instruction(InstructionForm::Operator, sign());
        take_all(&ca);
        let other = rooms.store_instruction(InstructionForm::Operator, sign());
        assert_ne!(one, other, "no two signatures are the same");
        take_all(&ca);
        assert!(matches!(rooms.instruction(&one), InstructionState::Waiting));
        assert_eq!(rooms.refused(&other), "challenge_spent");
    }

    fn a_cards_release_is_known_at_once_and_reaches_the_phone_once_the_log_is_written(store) {
        let rooms = Rooms::furnish(store);
        let [released, held_again, ended] = [rooms.card(), rooms.card(), rooms.card()];
        let first = careless(&rooms);
        for card in [&released, &held_again, &ended] {
            rooms.phone(&first, card);
            order(&rooms, card, CardOrder::Hold);
        }
        first.role.follow_feed().unwrap();
        first.stand_down();

        let ca = late(&rooms);
        for card in [&released, &held_again, &ended] {
            order(&rooms, card, CardOrder::Release);
        }
        order(&rooms, &held_again, CardOrder::Hold);
        order(&rooms, &ended, CardOrder::Death);
        let before = rooms.reader.position().unwrap();
        ca.role.follow_feed().unwrap();
        assert_eq!(ca.role.lift_what_waited().unwrap(), 0);
        assert_eq!((states(&rooms, &released), states(&rooms, &held_again)), (HELD.to_vec(), HELD.to_vec()));
        assert_eq!(states(&rooms, &ended), REVOKED, "what ends does not wait");
        assert!(kinds(&rooms.events_after(before)).contains(&EventKind::CardReleased));
        // Whoever leads then knows of it.
        ca.stand_down();
        let next = late(&rooms);
        LogAtWork::new(&next).during(|| next.role.lift_what_waited().unwrap());
        assert_eq!((states(&rooms, &released), states(&rooms, &held_again)), (LIVE.to_vec(), HELD.to_vec()));
        assert_eq!(states(&rooms, &ended), REVOKED);
        assert_eq!(next.role.lift_what_waited().unwrap(), 0, "each once");
        let lifted = rooms.events_after(before).into_iter().filter(|event| event.kind == EventKind::CertificateReleased);
        let lifted: Vec<Event> = lifted.collect();
        assert_eq!(lifted.len(), 2);
        assert!(lifted.iter().all(|event| event.data["card_change"] == "released"), "{lifted:?}");
        rooms.sound();
    }

    fn whoever_takes_the_lead_puts_its_settings_on_record_and_has_its_clock_checked(store) {
        let rooms = Rooms::furnish(store);
        let digest = |text: &str| Sha256Digest::of(text.as_bytes());
        let with = |name: &str, topics: &[(&str, &str)]| {
            let topics: BTreeMap<_, _> = topics.iter().map(|(topic, text)| ((*topic).to_owned(), digest(text))).collect();
            rooms.outfit.ca(CaWish { topics, ..CaWish::named(name) }).leading()
        };
        let changed = || {
            let events = rooms.events_after(schema::EventPosition(0)).into_iter();
            let of_settings = events.filter(|event| event.kind == EventKind::SettingsChanged);
            of_settings.map(|event| event.data["changed"].clone()).collect::<Vec<_>>()
        };
        let first = with("one", &[("ca", "a"), ("ra", "b")]);
        first.role.take_over().unwrap();
        first.role.take_over().unwrap();
        assert_eq!(changed(), [serde_json::json!(["ca", "ra"])], "the first record names all");
        assert_eq!(first.role.run_schedules().unwrap(), ScheduleName::ALL);
        first.stand_down();

        let same = with("two", &[("ca", "a"), ("ra", "b")]);
        same.role.take_over().unwrap();
        assert_eq!(changed().len(), 1);
        assert_eq!(same.role.run_schedules().unwrap(), [ScheduleName::CheckClock]);
        same.stand_down();

        let other = with("three", &[("ca", "A"), ("push", "c")]);
        other.role.take_over().unwrap();
        assert_eq!(changed()[1..], [serde_json::json!(["ca", "push", "ra"])]);

        let clocks: Vec<Event> = rooms.events_after(schema::EventPosition(0)).into_iter().filter(|event| event.kind == EventKind::ClockChecked).collect();
        let sources: Vec<&str> = clocks.iter().map(|event| event.data["source"].as_str().unwrap()).collect();
        let each: &[&str] = if store.is_postgres() { &["database", "back_office"] } else { &["back_office"] };
        assert_eq!(sources, each.repeat(2));
        assert!(clocks.iter().all(|event| event.data["within"] == true), "{clocks:?}");

        other.clock.set_ahead(60);
        other.role.check_clock().unwrap();
        let last = rooms.events_after(schema::EventPosition(0)).into_iter().next_back().unwrap();
        let [offset, uncertainty] = ["offset_milliseconds", "uncertainty_milliseconds"].map(|name| last.data[name].as_i64().unwrap());
        // As long as the answer took, it says what it can; the last millisecond is cut off from both.
        // The server of the sandbox makes its date anew twice a second only.
        assert!((offset - 60_000).abs() <= uncertainty + 600, "{last:?}");
        assert_eq!(last.data["within"], false, "{last:?}");
    }
}
