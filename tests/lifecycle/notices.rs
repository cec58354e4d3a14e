//! The holder is told of everything, at least once and by one name each, whatever breaks in between.

use sandbox::back_office::{CardOrder, Faults, KeptNotice, OrderDetail};
use sandbox::operator::Target;
use schema::on_each_database;

use crate::instructions::hold;
use crate::rooms::Rooms;

fn templates(notices: &[KeptNotice]) -> Vec<&str> {
    let mut templates: Vec<_> = notices.iter().map(|kept| kept.notice.template.as_str()).collect();
    templates.sort_unstable();
    templates
}

on_each_database! {
    fn binding_hold_and_revocation_are_told_once_in_both_languages(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        rooms.instruct(&rooms.operators.operator("alice", "call-centre"), &hold(Target::device(&phone.device)));
        ca.role.take_instructions().unwrap();
        let renewal = OrderDetail { pooled_keys: true, ..OrderDetail::default() };
        rooms.back_office.order(card.card_id.as_ref().unwrap(), CardOrder::Renew, &renewal).unwrap();
        ca.role.follow_feed().unwrap();
        while ca.role.follow_notices().unwrap() > 0 {}
        assert_eq!(ca.role.tell_holders().unwrap(), 6);
        assert_eq!((ca.role.follow_notices().unwrap(), ca.role.tell_holders().unwrap()), (0, 0));
        let told = rooms.back_office.notices();
        assert_eq!(
            templates(&told),
            ["card-renewed", "card-renewed", "certificate-held", "certificate-held", "certificate-issued", "certificate-issued"]
        );
        for kept in &told {
            assert_eq!(kept.notice.holder_id, *card.holder_id.as_ref().unwrap());
            assert_eq!((kept.deliveries, kept.contradicted), (1, false));
            for serial in phone.certificates.iter().map(|(summary, _)| summary.serial.to_string()) {
                assert!(!format!("{:?}", kept.notice.text).contains(&serial), "a notice tells a serial number");
            }
        }
    }

    fn a_lost_answer_and_a_killed_teller_tell_nobody_another_thing(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        rooms.phone(&ca, &rooms.card());
        while ca.role.follow_notices().unwrap() > 0 {}
        // The client itself asks once more where a connection breaks.
        rooms.back_office.set_faults(Faults { lose_notice_answers: 2, ..Faults::default() }).unwrap();
        ca.role.tell_holders().unwrap_err();
        // Whoever leads next knows no more than the store; the wait for the next attempt has passed by its clock.
        let next = rooms.successor();
        next.clock.set_ahead(120);
        assert_eq!(next.role.follow_notices().unwrap(), 0);
        assert_eq!(next.role.tell_holders().unwrap(), 2);
        let told = rooms.back_office.notices();
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|kept| kept.deliveries > 1 && !kept.contradicted), "{told:?}");
    }

    fn what_is_refused_waits_longer_each_time_and_is_told_in_the_end(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        rooms.phone(&ca, &rooms.card());
        while ca.role.follow_notices().unwrap() > 0 {}
        rooms.back_office.set_faults(Faults { refuse_notices: 2, ..Faults::default() }).unwrap();
        ca.role.tell_holders().unwrap_err();
        assert_eq!(ca.role.tell_holders().unwrap(), 0, "tried again at once");
        ca.clock.set_ahead(31);
        ca.role.tell_holders().unwrap_err();
        ca.clock.set_ahead(31 + 31);
        assert_eq!(ca.role.tell_holders().unwrap(), 0, "the second wait is no longer than the first");
        ca.clock.set_ahead(31 + 61);
        assert_eq!(ca.role.tell_holders().unwrap(), 2);
    }
}
