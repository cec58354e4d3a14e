//! Many certificates at once: not more than were shown, and not by one person alone.

use sandbox::back_office::EventScope;
use sandbox::kind::Kind;
use sandbox::operator::{MassChange, OperatorAction};
use sandbox::reason::Reason;
use schema::on_each_database;

use crate::rooms::{Ca, CaWish, Rooms};

fn ca(rooms: &Rooms<'_>) -> Ca {
    let mut wish = CaWish::named("one");
    wish.life.mass.second_person_above = 1;
    rooms.outfit.ca(wish).leading()
}

fn mass(scope: &EventScope, expected: u64) -> OperatorAction {
    OperatorAction::Mass {
        change: MassChange::Revoke,
        reason: Some(Reason::CaCompromise),
        scope: scope.clone(),
        expected,
        ticket: "the card CA's key".to_owned(),
    }
}

fn run_batches(ca: &Ca) {
    while ca.role.advance_batches().unwrap() > 0 {}
}

on_each_database! {
    fn a_mass_command_above_the_threshold_waits_for_a_second_person(store) {
        let rooms = Rooms::furnish(store);
        let ca = ca(&rooms);
        let cards = [rooms.card(), rooms.card()];
        for card in &cards {
            rooms.phone(&ca, card);
        }
        let scope = EventScope { distribution_point_sha256: None, ..rooms.back_office.scope(cards[0].card_id.as_ref().unwrap(), Kind::Signature).unwrap() };
        let [alice, bob] = ["alice", "bob"].map(|name| rooms.operators.operator(name, "administrator"));
        let miscounted = rooms.instruct(&alice, &mass(&scope, 3));
        let asked = rooms.instruct(&alice, &mass(&scope, 2));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&miscounted), "count_changed");
        assert!(matches!(rooms.instruction(&asked), schema::instruction::InstructionState::AwaitingApproval { .. }));
        run_batches(&ca);
        assert!(cards.iter().all(|card| rooms.live(card).len() == 2), "done before anybody approved");

        let approve = OperatorAction::Approve { instruction: asked.to_string() };
        let by_herself = rooms.instruct(&alice, &approve);
        let under_her_name = rooms.instruct(&rooms.operators.operator("alice", "administrator"), &approve);
        let by_the_desk = rooms.instruct(&rooms.operators.operator("carol", "call-centre"), &approve);
        ca.role.take_instructions().unwrap();
        assert_eq!([&by_herself, &under_her_name].map(|digest| rooms.refused(digest)), ["second_person_needed", "second_person_needed"]);
        assert_eq!(rooms.refused(&by_the_desk), "role_not_allowed");

        let approved = rooms.instruct(&bob, &approve);
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.outcome(&approved)["approved"], asked.to_string());
        rooms.outcome(&asked);
        let again = rooms.instruct(&bob, &approve);
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&again), "not_awaiting_approval");
        run_batches(&ca);
        for card in &cards {
            assert_eq!(rooms.live(card).iter().map(|live| live.kind.as_str()).collect::<Vec<_>>(), ["authentication"]);
        }
        rooms.sound();
    }

    fn an_approval_that_comes_too_late_or_to_another_count_does_nothing(store) {
        let rooms = Rooms::furnish(store);
        let ca = ca(&rooms);
        let cards = [rooms.card(), rooms.card()];
        for card in &cards {
            rooms.phone(&ca, card);
        }
        let scope = EventScope { distribution_point_sha256: None, ..rooms.back_office.scope(cards[0].card_id.as_ref().unwrap(), Kind::Signature).unwrap() };
        let [alice, bob] = ["alice", "bob"].map(|name| rooms.operators.operator(name, "administrator"));
        let asked = rooms.instruct(&alice, &mass(&scope, 2));
        ca.role.take_instructions().unwrap();
        let one_more = rooms.card();
        rooms.phone(&ca, &one_more);
        let approve = OperatorAction::Approve { instruction: asked.to_string() };
        let miscounted = rooms.instruct(&bob, &approve);
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&miscounted), "count_changed");
        ca.clock.set_ahead(25 * 3_600);
        ca.role.draw_beacon_if_due().unwrap();
        let late = rooms.instruct(&bob, &approve);
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&late), "approval_expired");
        run_batches(&ca);
        assert_eq!(rooms.live(&one_more).len(), 2);
    }

    fn an_approval_may_come_as_late_as_the_settings_say(store) {
        let rooms = Rooms::furnish(store);
        let mut wish = CaWish::named("one");
        wish.life.mass.second_person_above = 0;
        wish.life.mass.approval_hours = 48;
        let ca = rooms.outfit.ca(wish).leading();
        let card = rooms.card();
        rooms.phone(&ca, &card);
        let scope = rooms.back_office.scope(card.card_id.as_ref().unwrap(), Kind::Signature).unwrap();
        let [alice, bob] = ["alice", "bob"].map(|name| rooms.operators.operator(name, "administrator"));
        let asked = rooms.instruct(&alice, &mass(&scope, 1));
        ca.role.take_instructions().unwrap();
        // The beacon by which it was fresh is forgotten after a day.
        ca.clock.set_ahead(30 * 3_600);
        ca.role.draw_beacon_if_due().unwrap();
        let approved = rooms.instruct(&bob, &OperatorAction::Approve { instruction: asked.to_string() });
        ca.role.take_instructions().unwrap();
        rooms.outcome(&approved);
        rooms.outcome(&asked);
    }

    fn below_the_threshold_one_person_is_enough(store) {
        let rooms = Rooms::furnish(store);
        let ca = ca(&rooms);
        let card = rooms.card();
        rooms.phone(&ca, &card);
        let scope = rooms.back_office.scope(card.card_id.as_ref().unwrap(), Kind::Authentication).unwrap();
        let asked = rooms.instruct(&rooms.operators.operator("alice", "administrator"), &mass(&scope, 1));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.outcome(&asked)["count"], 1);
        run_batches(&ca);
        assert_eq!(rooms.live(&card).iter().map(|live| live.kind.as_str()).collect::<Vec<_>>(), ["signature"]);
        rooms.sound();
    }
}
