//! Two at once, for every pair of what may happen to a phone's certificates: the end is that of one order or of the other, and
//! never a mixture; each change has its one event.
//!
//! What each order leads to is not computed but tried, on phones of their own. `RACES` says how often each pair runs.

use std::fmt::Write as _;
use std::sync::Arc;

use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use ca_core::lifecycle::{Command, HoldCause as Cause};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use policies::LifecyclePolicy;
use sandbox::back_office::{CardEventType, NewCard};
use sandbox::card::Card;
use sandbox::keys::Key;
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, OperatorAction, Target};
use sandbox::phone::{Pkcs10, Replaces, pkcs10};
use sandbox::reason::Reason;
use schema::application::ApplicationState;
use schema::change::{Order, Origin};
use schema::instruction::{InstructionForm, InstructionState};
use schema::on_each_database;
use schema::testing::{replayed, stored};

use crate::at_once;
use crate::model::rules::Rules;
use crate::rooms::desk::end;
use crate::rooms::{Ca, CaWish, Operator, Rooms};
use crate::stage::{self, Office};

/// What may happen to the certificates of a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Hold,
    Lift,
    Revoke,
    EndByPhone,
    EndByCard,
    Supersede,
    CardRevoked,
    CardHeld,
    Expire,
    Deadline,
    KeyReport,
    Batch,
}
use Deed::{Batch, CardHeld, CardRevoked, Deadline, EndByCard, EndByPhone, Expire, Hold, KeyReport, Lift, Revoke, Supersede};

const DEEDS: [Deed; 12] = [Hold, Lift, Revoke, EndByPhone, EndByCard, Supersede, CardRevoked, CardHeld, Expire, Deadline, KeyReport, Batch];

/// A house in which two processes go by one name, so that both lead and both write.
struct House<'r, 's> {
    rooms: &'r Rooms<'s>,
    office: Arc<Office>,
    policy: LifecyclePolicy,
    processes: [Ca; 2],
    operator: Operator,
    /// When everything but the sweep of what has ended happens.
    now: DateTime<Utc>,
    scenes: u32,
}

/// A holder with a phone, and what two deeds do there.
struct Scene {
    card: Card,
    keys: Vec<(Kind, Key)>,
    device: String,
    /// The first phone's, and those by which the deeds bring another.
    applications: [Option<ApplicationId>; 3],
    instructions: [Option<Sha256Digest>; 2],
    name: String,
}

/// When the certificates of every scene end, and for how long those that are held have been.
const LIFE: TimeDelta = TimeDelta::seconds(1_000);
const HELD_FOR: TimeDelta = TimeDelta::days(31);

impl<'r, 's> House<'r, 's> {
    fn new(rooms: &'r Rooms<'s>) -> Self {
        let (office, policy) = (Office::new(rooms), Rules::every_word().policy);
        let now = Utc::now().trunc_subsecs(0) + TimeDelta::seconds(60);
        let first = stage::leader(rooms, &office, &policy, now, CaWish::named("both"));
        let second = stage::fellow(rooms, &office, &policy, now, CaWish::named("both"));
        let operator = rooms.operators.operator("Ada", "administrator");
        Self { rooms, office, policy, processes: [first, second], operator, now, scenes: 0 }
    }

    /// A phone with both certificates, which are live, or held since long for the phone was lost.
    fn scene(&mut self, is_held: bool) -> Scene {
        self.scenes += 1;
        let letters = self.scenes.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect::<String>();
        let card = self.rooms.card_with(NewCard {
            prefecture: Some("Tokyo".to_owned()),
            city: Some(format!("City-{letters}")),
            not_before: Some(self.now - TimeDelta::hours(1)),
            not_after: Some(self.now + LIFE),
            ..NewCard::default()
        });
        let (application, keys) = stage::apply(self.rooms, &card, &Kind::ALL, Replaces::None, self.now);
        self.set_clocks([Hold, Hold]);
        self.processes[0].issue_all();
        let first = &stage::issued(self.rooms, &card, application)[0];
        let device = self.rooms.reader.device_of_certificate(first.ca_key, &first.serial).unwrap().unwrap().public_id;
        if is_held {
            let targets = [schema::change::Target::Device(device.clone())];
            let (policy, at) = (self.policy.clone(), self.now - HELD_FOR);
            let order = Order::from(Origin::Operator { name: "Ada".to_owned(), role: "call-centre".to_owned() });
            let command = Command::Hold { cause: Cause::PhoneLost };
            let held = self.rooms.store.writer().write(move |tx| tx.change_certificates(&targets, &command, &policy, &order, at));
            assert_eq!(held.unwrap().len(), 2);
        }
        let name = format!("scene-{}", self.scenes);
        Scene { card, keys, device, applications: [Some(application), None, None], instructions: [None; 2], name }
    }

    /// The sweep comes when the certificates have ended; everything else while they are valid.
    fn set_clocks(&self, deeds: [Deed; 2]) {
        for (process, deed) in self.processes.iter().zip(deeds) {
            process.clock.stop_at(if deed == Expire { self.now + LIFE + TimeDelta::seconds(1) } else { self.now });
        }
    }

    /// Leaves what a deed needs to be done: the first comes through the RA where it can, the second by the feed.
    fn prepare(&self, scene: &mut Scene, place: usize, deed: Deed) {
        let ticket = || "race".to_owned();
        let phone = || Target::device(&scene.device);
        let key = |kind| &scene.keys.iter().find(|(of, _)| *of == kind).unwrap().1;
        let by_operator = |action| Some(self.rooms.instruct(&self.operator, &action));
        let instruction = match deed {
            Hold => by_operator(OperatorAction::Hold { target: phone(), cause: HoldCause::Operator, ticket: ticket() }),
            Lift => by_operator(OperatorAction::Lift { target: phone(), cause: HoldCause::PhoneLost, ticket: ticket() }),
            Revoke => {
                let target = Target::holder(scene.card.holder_id.as_ref().unwrap());
                by_operator(OperatorAction::Revoke { target, reason: Reason::PrivilegeWithdrawn, invalid_since: None, ticket: ticket() })
            }
            EndByPhone => {
                let certificate = self.certificate_of_phone(scene);
                let signer = sandbox::instruction::Signer { certificate: &certificate, key: key(Kind::Authentication) };
                Some(self.rooms.holder_instructs(signer, &end("this-phone", "unspecified")))
            }
            EndByCard => Some(self.rooms.holder_instructs((&scene.card.signature).into(), &end("all", "cessationOfOperation"))),
            KeyReport => {
                let report = pkcs10(&Pkcs10::key_compromise(key(Kind::Signature))).unwrap();
                Some(self.rooms.store_instruction(InstructionForm::KeyCompromise, report))
            }
            Supersede => {
                let (application, _) = stage::apply(self.rooms, &scene.card, &Kind::ALL, Replaces::Any, self.now);
                scene.applications[place + 1] = Some(application);
                None
            }
            CardRevoked | CardHeld => {
                self.tell(scene, place, deed);
                None
            }
            Batch => {
                let event_id = format!("{}-{place}-batch", scene.name);
                self.office.tell(stage::batch_item(&scene.card.signature.scope().unwrap(), &event_id, Some(Reason::CaCompromise)));
                None
            }
            Expire | Deadline => None,
        };
        scene.instructions[place] = instruction;
    }

    fn tell(&self, scene: &Scene, place: usize, deed: Deed) {
        let (change, sequence) = match deed {
            CardHeld => ((CardEventType::Held, None), 1),
            _ => ((CardEventType::Revoked, Some(Reason::KeyCompromise)), 2),
        };
        for (kind, side) in scene.card.sides() {
            let event_id = format!("{}-{place}-{kind}", scene.name);
            if place == 0 {
                stage::push(self.rooms, side, &event_id, change, sequence);
            } else {
                self.office.tell(stage::card_item(side, &event_id, change, sequence));
            }
        }
    }

    fn certificate_of_phone(&self, scene: &Scene) -> Vec<u8> {
        let of_phone = stage::issued(self.rooms, &scene.card, scene.applications[0].unwrap());
        let authentication = of_phone.last().unwrap();
        self.rooms.reader.certificate_detail(Some(authentication.kind), &authentication.serial).unwrap().unwrap().der
    }

    /// Has it done by one of the processes.
    fn carry_out(&self, place: usize, deed: Deed) {
        let Ca { role, .. } = &self.processes[place];
        match deed {
            Hold | Lift | Revoke | EndByPhone | EndByCard | KeyReport => drop(role.take_instructions().unwrap()),
            Supersede => drop(self.processes[place].issue_all()),
            CardRevoked | CardHeld if place == 0 => drop(role.apply_inbox().unwrap()),
            CardRevoked | CardHeld => drop(role.follow_feed().unwrap()),
            Expire => drop(role.expire_certificates().unwrap()),
            Deadline => drop(role.enforce_hold_deadlines().unwrap()),
            Batch => {
                role.follow_feed().unwrap();
                while role.advance_batches().unwrap() > 0 {}
            }
        }
    }

    /// What comes of them one after the other, either way. A sweep is several transactions: the other may come between two.
    fn orders(&mut self, is_held: bool, deeds: [Deed; 2]) -> Vec<String> {
        let mut orders = vec![self.in_order(is_held, deeds, &[0, 1]), self.in_order(is_held, deeds, &[1, 0])];
        if let Some(sweep) = deeds.iter().position(|deed| *deed == Expire) {
            orders.push(self.in_order(is_held, deeds, &[sweep, 1 - sweep, sweep]));
        }
        orders
    }

    /// One after the other, by their places.
    fn in_order(&mut self, is_held: bool, deeds: [Deed; 2], places: &[usize]) -> String {
        let mut scene = self.scene(is_held);
        self.set_clocks(deeds);
        for (turn, place) in places.iter().enumerate() {
            if !places[..turn].contains(place) {
                self.prepare(&mut scene, *place, deeds[*place]);
            }
            self.carry_out(*place, deeds[*place]);
        }
        self.tale(&scene)
    }

    fn race(&mut self, is_held: bool, deeds: [Deed; 2]) -> String {
        let mut scene = self.scene(is_held);
        self.set_clocks(deeds);
        for place in [0, 1] {
            self.prepare(&mut scene, place, deeds[place]);
        }
        at_once(2, |place| self.carry_out(place, deeds[place]));
        self.tale(&scene)
    }

    /// What came of it: certificates with their events, what became of the instructions and of the applications.
    fn tale(&self, scene: &Scene) -> String {
        let mut tale = String::new();
        for (place, application) in scene.applications.iter().enumerate() {
            let Some(application) = application else { continue };
            if let ApplicationState::Refused { code, .. } = self.rooms.state(*application) {
                writeln!(tale, "phone {place}: {code}").unwrap();
            }
            for summary in stage::issued(self.rooms, &scene.card, *application) {
                let detail = self.rooms.reader.certificate_detail(Some(summary.kind), &summary.serial).unwrap().unwrap();
                let revocation =
                    summary.revocation.map(|revocation| (revocation.reason.as_str(), (revocation.at - self.now).num_seconds()));
                let mut causes: Vec<_> = self.rooms.reader.holds(summary.id).unwrap().iter().map(|hold| hold.cause.to_string()).collect();
                causes.sort();
                write!(tale, "phone {place} {}: {} {revocation:?} {causes:?};", summary.kind, summary.state.as_str()).unwrap();
                for event in detail.events {
                    let word = |key: &str| event.data[key].as_str().unwrap_or_default().to_owned();
                    write!(tale, " {} {}{}", event.kind.as_str(), word("cause"), word("reason")).unwrap();
                }
                tale.push('\n');
            }
        }
        for digest in scene.instructions.iter().flatten() {
            let told = match self.rooms.instruction(digest) {
                InstructionState::Done { outcome, .. } => {
                    let changed = outcome["certificates"].as_array().unwrap().iter();
                    changed.map(|changed| format!("{} {}; ", changed["kind"], changed["change"])).collect()
                }
                InstructionState::Refused { code, .. } => code,
                other => format!("{other:?}"),
            };
            writeln!(tale, "instruction: {told}").unwrap();
        }
        tale
    }
}

fn every_pair(rooms: &Rooms<'_>) {
    let times = std::env::var("RACES").ok().and_then(|times| times.parse().ok()).unwrap_or(2);
    let mut house = House::new(rooms);
    let (mut races, mut either_way) = (0, [0, 0]);
    for (place, first) in DEEDS.into_iter().enumerate() {
        for second in &DEEDS[place..] {
            for is_held in [false, true] {
                let deeds = [first, *second];
                let orders = house.orders(is_held, deeds);
                for _ in 0..times {
                    let tale = house.race(is_held, deeds);
                    let which = orders.iter().position(|order| *order == tale);
                    let (one, other) = (&orders[0], &orders[1]);
                    let which = which.unwrap_or_else(|| {
                        panic!("{deeds:?}, held: {is_held}: a mixture\n{tale}\nneither this order\n{one}\nnor the other\n{other}")
                    });
                    races += 1;
                    if let Some(count) = either_way.get_mut(which) {
                        *count += usize::from(one != other);
                    }
                }
            }
        }
    }
    assert_eq!(replayed(&rooms.reader), stored(&rooms.reader), "the events tell something else than the rows");
    rooms.sound_under_any_policy();
    println!("{races} races; where the order matters, {either_way:?} ended in the one and in the other");
}

on_each_database! {
    fn of_two_that_happen_at_once_one_comes_first_whichever_they_are(store) {
        every_pair(&Rooms::furnish(store));
    }
}
