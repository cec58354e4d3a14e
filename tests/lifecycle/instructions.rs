//! What holders and operators ask for is done once, by those who may, and as the policy says.

use std::sync::Arc;

use ca_core::revocation::RevocationReason;
use policies::LifecyclePolicy;
use sandbox::card::Card;
use sandbox::instruction::Signer;
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, OperatorAction, Target};
use sandbox::phone::build_key_compromise_report;
use sandbox::reason::Reason;
use schema::certificate::CertificateState;
use schema::instruction::InstructionForm;
use schema::on_each_database;

use crate::rooms::desk::end;
use crate::rooms::{Ca, CaWish, Phone, Rooms};

pub(crate) fn hold(target: Target) -> OperatorAction {
    OperatorAction::Hold { target, cause: HoldCause::PhoneLost, ticket: "the holder called".to_owned() }
}

pub(crate) fn lift(target: Target, cause: HoldCause) -> OperatorAction {
    OperatorAction::Lift { target, cause, ticket: "found again".to_owned() }
}

/// A CA under whose policy holds are lifted.
pub(crate) fn lifting(rooms: &Rooms<'_>) -> Ca {
    let lifecycle = Arc::new(LifecyclePolicy::derived_piv().unwrap());
    rooms.outfit.ca(CaWish { lifecycle, ..CaWish::named("lifting") }).leading()
}

fn state(rooms: &Rooms<'_>, phone: &Phone, kind: Kind) -> CertificateState {
    let serial = phone.serial(kind);
    let found = phone.certificates.iter().find(|(summary, _)| summary.serial.to_string() == serial).unwrap();
    rooms.reader.certificate_detail(Some(found.0.kind), &found.0.serial).unwrap().unwrap().summary.state
}

fn states(rooms: &Rooms<'_>, phone: &Phone) -> [CertificateState; 2] {
    Kind::ALL.map(|kind| state(rooms, phone, kind))
}

fn card_signer(card: &Card) -> Signer<'_> {
    (&card.signature).into()
}

const LIVE: [CertificateState; 2] = [CertificateState::Live; 2];
const HELD: [CertificateState; 2] = [CertificateState::Held; 2];
const REVOKED: [CertificateState; 2] = [CertificateState::Revoked; 2];

on_each_database! {
    fn a_lost_phone_is_held_and_under_jpki_stays_so_until_the_holder_applies_again(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        let desk = rooms.operators.operator("alice", "call-centre");
        let held = rooms.instruct(&desk, &hold(Target::device(&phone.device)));
        assert_eq!(ca.role.take_instructions().unwrap(), 1);
        assert_eq!(rooms.outcome(&held)["certificates"].as_array().unwrap().len(), 2);
        assert_eq!(states(&rooms, &phone), HELD);
        let since = rooms.certificates(&card)[0].revocation.unwrap();
        assert_eq!(since.reason, RevocationReason::CertificateHold);
        let refused = rooms.instruct(&desk, &lift(Target::device(&phone.device), HoldCause::PhoneLost));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&refused), "hold_not_liftable");
        assert_eq!(states(&rooms, &phone), HELD);
        // A new phone takes the place of the one on hold, which keeps the hold's date.
        let new = rooms.phone(&ca, &card);
        assert_eq!((states(&rooms, &phone), states(&rooms, &new)), (REVOKED, LIVE));
        assert_eq!(rooms.certificates(&card)[0].revocation.unwrap().at, since.at);
        rooms.sound();
    }

    fn a_hold_is_lifted_cause_by_cause_where_the_policy_allows_it(store) {
        let rooms = Rooms::furnish(store);
        let ca = lifting(&rooms);
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        let desk = rooms.operators.operator("alice", "call-centre");
        let holder = Target::holder(card.holder_id.as_ref().unwrap());
        rooms.instruct(&desk, &hold(holder.clone()));
        ca.role.take_instructions().unwrap();
        rooms.instruct(&desk, &OperatorAction::Hold { target: holder.clone(), cause: HoldCause::Operator, ticket: "odd".to_owned() });
        ca.role.take_instructions().unwrap();
        assert_eq!(states(&rooms, &phone), HELD);
        rooms.instruct(&desk, &lift(holder.clone(), HoldCause::PhoneLost));
        ca.role.take_instructions().unwrap();
        assert_eq!(states(&rooms, &phone), HELD, "another cause stands");
        let again = rooms.instruct(&desk, &lift(holder.clone(), HoldCause::PhoneLost));
        rooms.instruct(&desk, &lift(holder, HoldCause::Operator));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&again), "not_on_hold");
        assert_eq!(states(&rooms, &phone), LIVE);
        rooms.sound();
    }

    fn a_phone_ends_both_its_certificates_with_either_key_and_asks_for_nothing_more_then(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        for with in Kind::ALL {
            let card = rooms.card();
            let phone = rooms.phone(&ca, &card);
            let ended = rooms.holder_instructs(phone.signer(with), &end("this-phone", "cessationOfOperation"));
            ca.role.take_instructions().unwrap();
            assert_eq!(rooms.outcome(&ended)["certificates"].as_array().unwrap().len(), 2);
            assert_eq!(states(&rooms, &phone), REVOKED);
            let late = rooms.holder_instructs(phone.signer(with), &end("this-phone", "keyCompromise"));
            ca.role.take_instructions().unwrap();
            assert_eq!(rooms.refused(&late), "certificate_ended");
        }
        rooms.sound();
    }

    fn a_held_certificate_may_be_ended_by_its_phone_and_an_old_phone_ends_nothing_of_the_new(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let old = rooms.phone(&ca, &card);
        let new = rooms.phone(&ca, &card);
        let late = rooms.holder_instructs(old.signer(Kind::Authentication), &end("this-phone", "keyCompromise"));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&late), "certificate_ended");
        assert_eq!(states(&rooms, &new), LIVE);
        let desk = rooms.operators.operator("alice", "call-centre");
        rooms.instruct(&desk, &hold(Target::device(&new.device)));
        ca.role.take_instructions().unwrap();
        rooms.holder_instructs(new.signer(Kind::Signature), &end("this-phone", "unspecified"));
        ca.role.take_instructions().unwrap();
        assert_eq!(states(&rooms, &new), REVOKED);
        rooms.sound();
    }

    fn the_card_ends_everything_from_any_phone_and_waits_for_the_back_office_alone(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        let ended = rooms.holder_instructs(card_signer(&card), &end("all", "cessationOfOperation"));
        ca.role.take_instructions().unwrap();
        rooms.outcome(&ended);
        assert_eq!(states(&rooms, &phone), REVOKED);
        let again = rooms.holder_instructs(card_signer(&card), &end("all", "cessationOfOperation"));
        let by_phone = rooms.holder_instructs(phone.signer(Kind::Signature), &end("all", "cessationOfOperation"));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&again), "target_unknown");
        assert_eq!(rooms.refused(&by_phone), "instruction_action");
        rooms.sound();
    }

    fn the_same_octets_count_once_and_a_challenge_does_as_well(store) {
        let rooms = Rooms::furnish(store);
        let ca = lifting(&rooms);
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        let desk = rooms.operators.operator("alice", "call-centre");
        let message = rooms.signed_by_operator(&desk, &hold(Target::device(&phone.device)));
        let held = rooms.store_instruction(InstructionForm::Operator, message.clone());
        assert_eq!(ca.role.take_instructions().unwrap(), 1);
        rooms.instruct(&desk, &lift(Target::device(&phone.device), HoldCause::PhoneLost));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.store_instruction(InstructionForm::Operator, message.clone()), held);
        assert_eq!(ca.role.take_instructions().unwrap(), 0, "a replayed instruction is taken up");
        // Another signature of the same person over the same words, with the same challenge, is another message.
        let signer = Signer { certificate: &desk.certificate, key: &desk.key };
        let challenge = rooms.ra.challenge().to_base64();
        let sign = || sandbox::instruction::Instruction::of_operator(crate::rooms::RA_NAME, &challenge, &hold(Target::device(&phone.device))).sign(signer).unwrap();
        let [first, second] = [sign(), sign()].map(|message| rooms.store_instruction(InstructionForm::Operator, message));
        ca.role.take_instructions().unwrap();
        assert_ne!(first, second);
        let refused = [first, second].iter().filter(|digest| matches!(rooms.instruction(digest), schema::instruction::InstructionState::Refused { .. })).count();
        assert_eq!(refused, 1);
        rooms.sound();
    }

    fn a_refused_instruction_does_not_count_later_in_another_form(store) {
        let rooms = Rooms::furnish(store);
        let ca = lifting(&rooms);
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        let desk = rooms.operators.operator("alice", "call-centre");
        let signer = Signer { certificate: &desk.certificate, key: &desk.key };
        let challenge = rooms.ra.challenge().to_base64();
        let lifted = lift(Target::device(&phone.device), HoldCause::PhoneLost);
        let sign = || sandbox::instruction::Instruction::of_operator(crate::rooms::RA_NAME, &challenge, &lifted).sign(signer).unwrap();
        let too_early = rooms.store_instruction(InstructionForm::Operator, sign());
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&too_early), "not_on_hold");
        rooms.instruct(&desk, &hold(Target::device(&phone.device)));
        ca.role.take_instructions().unwrap();
        let later = rooms.store_instruction(InstructionForm::Operator, sign());
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&later), "challenge_spent");
        assert_eq!(states(&rooms, &phone), HELD);
    }

    fn who_may_not_is_refused_whatever_the_ra_stores(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        let target = Target::device(&phone.device);
        let revoke = OperatorAction::Revoke { target: target.clone(), reason: Reason::KeyCompromise, invalid_since: None, ticket: "x".to_owned() };
        let stranger = crate::rooms::OperatorCa::new().operator("alice", "administrator");
        let cases = [
            (rooms.instruct(&rooms.operators.operator("bob", "call-centre"), &revoke), "role_not_allowed"),
            (rooms.instruct(&rooms.operators.operator("eve", "auditor"), &hold(target.clone())), "role_not_allowed"),
            (rooms.instruct(&rooms.operators.operator("mallory", "king"), &revoke), "role_unknown"),
            (rooms.instruct(&stranger, &revoke), "signer_unknown"),
            (rooms.store_instruction(InstructionForm::Operator, b"no message at all".to_vec()), "cms_malformed"),
        ];
        ca.role.take_instructions().unwrap();
        for (digest, code) in &cases {
            assert_eq!(rooms.refused(digest), *code);
        }
        let signed = rooms.signed_by_operator(&rooms.operators.operator("alice", "administrator"), &revoke);
        let in_another_form = rooms.store_instruction(InstructionForm::Holder, signed);
        ca.role.take_instructions().unwrap();
        rooms.refused(&in_another_form);
        assert_eq!(states(&rooms, &phone), LIVE);
        rooms.sound();
    }

    fn an_instruction_on_an_old_beacon_is_refused(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        let desk = rooms.operators.operator("alice", "call-centre");
        let late = rooms.instruct(&desk, &hold(Target::device(&phone.device)));
        ca.clock.set_ahead(301);
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&late), "challenge_expired");
        assert_eq!(states(&rooms, &phone), LIVE);
    }

    fn whoever_has_a_key_may_report_it_and_only_its_certificate_ends(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        let report = |key| rooms.store_instruction(InstructionForm::KeyCompromise, build_key_compromise_report(key).unwrap());
        let reported = report(&phone.keys.iter().find(|(kind, _)| *kind == Kind::Signature).unwrap().1);
        let unknown = report(&phone.command_key);
        ca.role.take_instructions().unwrap();
        rooms.outcome(&reported);
        assert_eq!(rooms.refused(&unknown), "key_unknown");
        assert_eq!(states(&rooms, &phone), [CertificateState::Revoked, CertificateState::Live]);
        assert_eq!(rooms.certificates(&card)[0].revocation.unwrap().reason, RevocationReason::KeyCompromise);
        rooms.sound();
    }
}
