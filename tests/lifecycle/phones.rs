//! Commands to phones: what ended is to be erased, what is lost locked, what is found unlocked; how far each has come is known, and nothing waits for it.

use std::sync::Arc;
use std::sync::Mutex;

use chrono::{SecondsFormat, Utc};
use push::{PushFault, PushGateway, PushMessage, PushOutcome};
use sandbox::jws;
use sandbox::keys::Key;
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, OperatorAction, Target};
use sandbox::phone::NamedCertificate;
use schema::device::Erasure;
use schema::device_command::{CommandState, DeviceAction, DeviceCommand, NewCommandResult};
use schema::on_each_database;
use serde_json::json;

use crate::instructions::{hold, lift, lifting};
use crate::rooms::desk::end;
use crate::rooms::{Ca, CaWish, Phone, Rooms};

/// A push service that does as it is told, and remembers.
struct Pushed {
    says: Mutex<PushOutcome>,
    messages: Mutex<Vec<PushMessage>>,
}

impl PushGateway for Pushed {
    fn send(&self, message: &PushMessage) -> Result<PushOutcome, PushFault> {
        self.messages.lock().unwrap().push(message.clone());
        Ok(*self.says.lock().unwrap())
    }
}

impl Pushed {
    fn that_says(says: PushOutcome) -> Arc<Self> {
        Arc::new(Self { says: Mutex::new(says), messages: Mutex::default() })
    }

    fn count(&self) -> usize {
        self.messages.lock().unwrap().len()
    }
}

fn ca(rooms: &Rooms<'_>, push: &Arc<Pushed>) -> Ca {
    let push: Arc<dyn PushGateway> = Arc::clone(push) as _;
    rooms.outfit.ca(CaWish { push: Some(push), ..CaWish::named("one") }).leading()
}

fn make_commands(ca: &Ca) {
    while ca.role.follow_commands().unwrap() > 0 {}
}

fn commands(rooms: &Rooms<'_>, phone: &Phone) -> Vec<DeviceCommand> {
    rooms.reader.device(&phone.device).unwrap().unwrap().commands
}

fn command_states(rooms: &Rooms<'_>, phone: &Phone) -> Vec<CommandState> {
    commands(rooms, phone).iter().map(|command| command.state).collect()
}

fn erasure(rooms: &Rooms<'_>, phone: &Phone) -> Erasure {
    rooms.reader.device(&phone.device).unwrap().unwrap().summary.erasure
}

/// What a phone answers, as the RA stores it.
fn answer(rooms: &Rooms<'_>, command: &DeviceCommand, result: &str, key: Option<&Key>) {
    let mut body = json!({"result": result});
    if let Some(key) = key {
        let payload = json!({
            "type": "tsunagi.device-command-result.v1", "command": command.public_id, "device": command.device, "result": result,
            "at": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        });
        body["signed"] = json!(jws::sign(&json!({"alg": "ES256"}), &payload, key).unwrap());
    }
    let result = NewCommandResult { command: command.public_id.clone(), body: body.to_string(), signed: key.is_some() };
    rooms.store.writer().write(move |tx| tx.receive_command_result(&result, Utc::now())).unwrap();
}

on_each_database! {
    fn what_ends_is_erased_and_only_the_phones_own_signature_confirms_it(store) {
        let rooms = Rooms::furnish(store);
        let push = Pushed::that_says(PushOutcome::Sent);
        let ca = ca(&rooms, &push);
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        assert_eq!(erasure(&rooms, &phone), Erasure::NotNeeded);
        rooms.holder_instructs(phone.signer(Kind::Signature), &end("this-phone", "cessationOfOperation"));
        ca.role.take_instructions().unwrap();
        make_commands(&ca);
        assert_eq!(command_states(&rooms, &phone), [CommandState::Pending; 2]);
        assert_eq!(ca.role.send_commands().unwrap(), 2);
        assert_eq!(command_states(&rooms, &phone), [CommandState::Sent; 2]);
        assert_eq!(erasure(&rooms, &phone), Erasure::Owed);
        assert_eq!(ca.role.send_commands().unwrap(), 0, "sent again at once");
        let [first, second] = <[_; 2]>::try_from(commands(&rooms, &phone)).unwrap();
        // Whoever has broken into the RA can say as much.
        answer(&rooms, &first, "done", None);
        answer(&rooms, &first, "failed", None);
        answer(&rooms, &second, "done", Some(&phone.keys[0].1));
        assert_eq!(ca.role.judge_results().unwrap(), 3);
        assert_eq!(command_states(&rooms, &phone), [CommandState::Sent; 2], "nobody's, or another key's, word counts");
        for command in [&first, &second] {
            answer(&rooms, command, "done", Some(&phone.command_key));
        }
        ca.role.judge_results().unwrap();
        assert_eq!(command_states(&rooms, &phone), [CommandState::Confirmed; 2]);
        assert_eq!(erasure(&rooms, &phone), Erasure::Confirmed);
        rooms.sound();
    }

    fn of_a_phone_that_has_no_key_for_it_a_claim_is_all_there_is(store) {
        let rooms = Rooms::furnish(store);
        let ca = ca(&rooms, &Pushed::that_says(PushOutcome::Sent));
        let card = rooms.card();
        let phone = rooms.phone_like(&ca, &card, |device| device.command_key = None);
        rooms.holder_instructs(phone.signer(Kind::Signature), &end("this-phone", "cessationOfOperation"));
        ca.role.take_instructions().unwrap();
        make_commands(&ca);
        let [first, second] = <[_; 2]>::try_from(commands(&rooms, &phone)).unwrap();
        answer(&rooms, &first, "done", None);
        answer(&rooms, &second, "failed", None);
        ca.role.judge_results().unwrap();
        assert_eq!(command_states(&rooms, &phone), [CommandState::Claimed, CommandState::Failed]);
        assert_eq!(erasure(&rooms, &phone), Erasure::Owed);
    }

    fn a_lost_phone_is_locked_and_the_old_one_erased_when_a_new_one_comes(store) {
        let rooms = Rooms::furnish(store);
        let push = Pushed::that_says(PushOutcome::TryLater { after: None });
        let ca = ca(&rooms, &push);
        let card = rooms.card();
        let old = rooms.phone(&ca, &card);
        rooms.instruct(&rooms.operators.operator("alice", "call-centre"), &hold(Target::device(&old.device)));
        ca.role.take_instructions().unwrap();
        make_commands(&ca);
        let new = rooms.phone(&ca, &card);
        make_commands(&ca);
        let actions: Vec<_> = commands(&rooms, &old).iter().map(|command| command.action).collect();
        assert_eq!(actions, [DeviceAction::Lock, DeviceAction::Lock, DeviceAction::Erase, DeviceAction::Erase]);
        assert!(commands(&rooms, &new).is_empty());
        assert_eq!(ca.role.send_commands().unwrap(), 0);
        assert_eq!(push.count(), 4);
        ca.clock.set_ahead(301);
        *push.says.lock().unwrap() = PushOutcome::Sent;
        assert_eq!(ca.role.send_commands().unwrap(), 4, "what was put off is not tried again");
        // Nobody answers: in the end it is over, and the list of what was never erased still shows it.
        ca.clock.set_ahead(91 * 86_400);
        assert_eq!(ca.role.expire_commands().unwrap(), 4);
        assert_eq!(command_states(&rooms, &old), [CommandState::Expired; 4]);
        assert_eq!(erasure(&rooms, &old), Erasure::Owed);
    }

    fn a_lift_undoes_the_lock_and_one_that_comes_first_prevents_it(store) {
        use CommandState::{Confirmed, Expired, Pending};
        let rooms = Rooms::furnish(store);
        let ca = lifting(&rooms);
        let phone = rooms.phone(&ca, &rooms.card());
        let desk = rooms.operators.operator("alice", "call-centre");
        let told = || Target::device(&phone.device);
        let carry_out = |action: OperatorAction| {
            let instruction = rooms.instruct(&desk, &action);
            ca.role.take_instructions().unwrap();
            rooms.outcome(&instruction);
        };
        let follow = || {
            make_commands(&ca);
            let commands = commands(&rooms, &phone);
            commands.iter().step_by(2).map(|command| (command.action, command.state)).collect::<Vec<_>>()
        };
        carry_out(hold(told()));
        carry_out(lift(told(), HoldCause::PhoneLost));
        assert_eq!(follow(), [], "locked, though live again");

        carry_out(hold(told()));
        assert_eq!(follow(), [(DeviceAction::Lock, Pending)]);
        carry_out(OperatorAction::Hold { target: told(), cause: HoldCause::Operator, ticket: "asked for".to_owned() });
        carry_out(lift(told(), HoldCause::PhoneLost));
        assert_eq!(follow(), [(DeviceAction::Lock, Pending)], "unlocked, though another hold stands");
        carry_out(lift(told(), HoldCause::Operator));
        assert_eq!(follow(), [(DeviceAction::Lock, Expired), (DeviceAction::Unlock, Pending)]);
        // As if the follower had been killed before its cursor moved.
        rooms.store.execute("DELETE FROM follower").unwrap();
        assert_eq!(follow(), [(DeviceAction::Lock, Expired), (DeviceAction::Unlock, Pending)]);

        carry_out(hold(told()));
        assert_eq!(follow(), [(DeviceAction::Lock, Expired), (DeviceAction::Unlock, Expired), (DeviceAction::Lock, Pending)]);
        for command in &commands(&rooms, &phone)[4..] {
            answer(&rooms, command, "done", Some(&phone.command_key));
        }
        ca.role.judge_results().unwrap();
        carry_out(lift(told(), HoldCause::PhoneLost));
        assert_eq!(follow()[2..], [(DeviceAction::Lock, Confirmed), (DeviceAction::Unlock, Pending)]);
        // A hold for another cause locks nothing, and so its end unlocks nothing.
        carry_out(OperatorAction::Hold { target: told(), cause: HoldCause::Operator, ticket: "asked for".to_owned() });
        carry_out(lift(told(), HoldCause::Operator));
        assert_eq!(follow().len(), 4);
        assert_eq!(erasure(&rooms, &phone), Erasure::NotNeeded);
        rooms.sound();
    }

    fn a_dead_token_is_left_alone_until_the_phone_has_another(store) {
        let rooms = Rooms::furnish(store);
        let push = Pushed::that_says(PushOutcome::DeadToken);
        let ca = ca(&rooms, &push);
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        let desk = rooms.operators.operator("alice", "administrator");
        let lock = OperatorAction::Lock { device: phone.device.clone(), ticket: "asked for".to_owned() };
        let erase = OperatorAction::Erase { device: phone.device.clone(), ticket: "asked for".to_owned() };
        let (locked, erased) = (rooms.instruct(&desk, &lock), rooms.instruct(&desk, &erase));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.outcome(&locked)["device"], phone.device);
        assert_eq!(rooms.refused(&erased), "nothing_to_erase");
        assert_eq!(ca.role.send_commands().unwrap(), 0);
        ca.clock.set_ahead(86_400);
        ca.role.send_commands().unwrap();
        assert_eq!(push.count(), 1, "a dead token was tried again");
        ca.role.draw_beacon_if_due().unwrap();
        *push.says.lock().unwrap() = PushOutcome::Sent;
        let changed = rooms.holder_instructs(phone.signer(Kind::Authentication), &json!({"action": "push-token", "push_token": "another"}));
        ca.role.take_instructions().unwrap();
        rooms.outcome(&changed);
        assert_eq!(ca.role.send_commands().unwrap(), 1);
        assert_eq!(push.messages.lock().unwrap().last().unwrap().token, "another");
    }

    fn a_push_service_out_of_reach_is_tried_a_few_times_and_takes_all_when_it_is_back(store) {
        let rooms = Rooms::furnish(store);
        let push = Pushed::that_says(PushOutcome::TryLater { after: None });
        let ca = ca(&rooms, &push);
        let phone = rooms.phone(&ca, &rooms.card());
        let desk = rooms.operators.operator("alice", "administrator");
        let lock = OperatorAction::Lock { device: phone.device.clone(), ticket: "asked for".to_owned() };
        for _ in 0..17 {
            rooms.instruct(&desk, &lock);
        }
        assert_eq!(ca.role.take_instructions().unwrap(), 17);
        assert_eq!(ca.role.send_commands().unwrap(), 0);
        let tried = push.count();
        assert!((1..=8).contains(&tried), "{tried} times");
        *push.says.lock().unwrap() = PushOutcome::Sent;
        assert_eq!(ca.role.send_commands().unwrap(), 17 - tried);
        ca.clock.set_ahead(301);
        assert_eq!(ca.role.send_commands().unwrap(), 17, "those that were put off, and nobody has answered the others");
    }

    fn a_phone_whose_certificates_have_ended_gives_no_other_token(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let phone = rooms.phone(&ca, &rooms.card());
        let signer = || phone.signer(Kind::Authentication);
        rooms.holder_instructs(signer(), &end("this-phone", "cessationOfOperation"));
        ca.role.take_instructions().unwrap();
        let late = rooms.holder_instructs(signer(), &json!({"action": "push-token", "push_token": "another"}));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&late), "certificate_ended");
    }

    fn without_a_push_service_commands_wait_until_the_phone_asks(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        rooms.holder_instructs(phone.signer(Kind::Authentication), &end("this-phone", "unspecified"));
        ca.role.take_instructions().unwrap();
        make_commands(&ca);
        assert_eq!(ca.role.send_commands().unwrap(), 0);
        let detail = &phone.certificates[0].0;
        let application = rooms.reader.certificate_detail(Some(detail.kind), &detail.serial).unwrap().unwrap().application_digest;
        assert_eq!(rooms.reader.commands_of_application(&application, Utc::now()).unwrap().len(), 2);
    }

    fn what_an_earlier_owner_left_behind_is_cleaned_in_that_phone_and_ends_nothing(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let [first, second] = [rooms.card(), rooms.card()];
        let sold = rooms.phone(&ca, &first);
        let name = NamedCertificate { kind: Kind::Signature, serial: sold.serial(Kind::Signature) };
        let bought = rooms.phone_like(&ca, &second, |device| device.left_behind = vec![name.clone(), name]);
        let [command] = <[_; 1]>::try_from(commands(&rooms, &bought)).unwrap();
        assert_eq!((command.action, command.certificates.len()), (DeviceAction::Erase, 1));
        assert_eq!(command.certificates[0].serial.to_string(), sold.serial(Kind::Signature));
        assert_eq!((rooms.live(&first).len(), rooms.live(&second).len()), (2, 2));
        rooms.sound();
    }

    fn commands_are_made_once_whoever_leads(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        rooms.revoke_card(&card, &Kind::ALL);
        ca.role.follow_feed().unwrap();
        make_commands(&ca);
        // As if the first had been killed before its cursor moved.
        rooms.store.execute("DELETE FROM follower").unwrap();
        let next = rooms.successor();
        make_commands(&next);
        assert_eq!(commands(&rooms, &phone).len(), 2);
        rooms.sound();
    }
}
