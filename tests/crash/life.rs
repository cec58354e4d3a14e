//! Killed while certificates are held, ended and counted by the thousand, while holders are told and phones commanded.

use std::sync::Arc;

use ca_core::revocation::RevocationReason;
use push::{FcmClient, PushSettings};
use sandbox::back_office::{BatchOrder, CardEventType, CardOrder, NewCard, OrderDetail};
use sandbox::card::Card;
use sandbox::fcm::{PushService, PushServiceSettings};
use sandbox::instruction::{Instruction, Signer};
use sandbox::operator::{HoldCause, OperatorAction, Target};
use sandbox::reason::Reason;
use schema::certificate::CertificateState;
use schema::device_command::CommandState;
use schema::instruction::{InstructionForm, InstructionState};
use schema::on_each_database;
use schema::testing::{replayed, stored};

use crate::child::Order;
use crate::kill;
use crate::rooms::desk::end;
use crate::rooms::{Ca, CaWish, Phone, RA_NAME, Rooms};

/// A card with a phone for which everything was issued; nobody leads afterwards.
fn card_and_phone(rooms: &Rooms<'_>) -> (Card, Phone) {
    let ca = rooms.ca("issues").leading();
    let card = rooms.card();
    let phone = rooms.phone(&ca, &card);
    ca.stand_down();
    (card, phone)
}

/// Another process takes over, and does that.
fn another(rooms: &Rooms<'_>, work: impl FnOnce(&Ca)) {
    let successor = rooms.successor();
    work(&successor);
    successor.stand_down();
}

fn states(rooms: &Rooms<'_>, card: &Card) -> Vec<CertificateState> {
    rooms.certificates(card).iter().map(|certificate| certificate.state).collect()
}

/// The store is sound, the events tell the same story, and whoever comes now has nothing to do.
fn is_over(rooms: &Rooms<'_>) {
    rooms.sound();
    assert_eq!(replayed(&rooms.reader), stored(&rooms.reader));
    let position = rooms.reader.position().unwrap();
    another(rooms, |ca| {
        assert_eq!(ca.role.take_instructions().unwrap(), 0);
        assert_eq!(ca.role.advance_batches().unwrap(), 0);
        ca.role.follow_feed().unwrap();
    });
    assert_eq!(rooms.reader.position().unwrap(), position, "what is done was done again");
}

on_each_database! {
    fn an_instruction_is_carried_out_once_wherever_its_ca_was_killed(store) {
        let rooms = Rooms::furnish(store);
        // Verified, and nothing written.
        let (card, _phone) = card_and_phone(&rooms);
        let asked = rooms.holder_instructs((&card.signature).into(), &end("all", "cessationOfOperation"));
        kill(&rooms, &Order::InstructionVerified);
        assert!(matches!(rooms.instruction(&asked), InstructionState::Waiting));
        assert_eq!(states(&rooms, &card), [CertificateState::Live; 2]);
        rooms.sound();
        another(&rooms, |ca| assert_eq!(ca.role.take_instructions().unwrap(), 1));
        assert_eq!(rooms.outcome(&asked)["certificates"].as_array().unwrap().len(), 2);
        assert_eq!(states(&rooms, &card), [CertificateState::Revoked; 2]);
        is_over(&rooms);

        // Written, and not committed: its challenge is not spent.
        let (card, phone) = card_and_phone(&rooms);
        let operator = rooms.operators.operator("alice", "call-centre");
        let challenge = rooms.ra.challenge();
        let target = Target::device(&phone.device);
        let hold = OperatorAction::Hold { target, cause: HoldCause::PhoneLost, ticket: "lost".to_owned() };
        let signer = Signer { certificate: &operator.certificate, key: &operator.key };
        let cms = Instruction::of_operator(RA_NAME, &challenge.to_base64(), &hold).sign(signer).unwrap();
        let asked = rooms.store_instruction(InstructionForm::Operator, cms.clone());
        let challenge = challenge.as_bytes().to_vec();
        kill(&rooms, &Order::InstructionUncommitted { digest: asked.to_string(), challenge, device: phone.device.clone() });
        assert!(matches!(rooms.instruction(&asked), InstructionState::Waiting));
        assert_eq!(states(&rooms, &card), [CertificateState::Live; 2]);
        rooms.sound();

        // Committed, and nobody heard of it: the same octets have the same answer.
        kill(&rooms, &Order::InstructionsDone);
        let outcome = rooms.outcome(&asked);
        assert_eq!(outcome["certificates"].as_array().unwrap().len(), 2);
        assert_eq!(states(&rooms, &card), [CertificateState::Held; 2]);
        assert_eq!(rooms.store_instruction(InstructionForm::Operator, cms), asked);
        assert_eq!(rooms.outcome(&asked), outcome);
        is_over(&rooms);
    }

    fn a_notice_that_was_given_away_and_not_marked_is_told_again_in_the_same_words(store) {
        let rooms = Rooms::furnish(store);
        card_and_phone(&rooms);
        kill(&rooms, &Order::HoldersTold);
        assert_eq!(rooms.reader.due_notices(10, chrono::Utc::now()).unwrap().len(), 2, "marked before they were given away");
        another(&rooms, |ca| {
            assert_eq!(ca.role.follow_notices().unwrap(), 0, "made again");
            assert_eq!((ca.role.tell_holders().unwrap(), ca.role.tell_holders().unwrap()), (2, 0));
        });
        let told = rooms.back_office.notices();
        assert_eq!(told.iter().map(|kept| (kept.deliveries, kept.contradicted)).collect::<Vec<_>>(), [(2, false); 2]);
        rooms.sound();
    }

    fn a_command_that_was_sent_and_not_marked_is_sent_again_under_the_same_name(store) {
        let rooms = Rooms::furnish(store);
        let service = PushService::start(&PushServiceSettings::default()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        service.write_access_token(&token_file).unwrap();
        let (card, phone) = card_and_phone(&rooms);
        rooms.revoke_card(&card, &[sandbox::kind::Kind::Signature]);
        another(&rooms, |ca| assert_eq!(ca.role.follow_feed().unwrap(), 1));
        let (url, project) = (service.url().to_owned(), service.project().to_owned());
        kill(&rooms, &Order::CommandSent { url: url.clone(), project: project.clone(), token_file: token_file.clone() });
        let commands = || rooms.reader.device(&phone.device).unwrap().unwrap().commands;
        assert_eq!(commands().iter().map(|command| command.state).collect::<Vec<_>>(), [CommandState::Pending]);

        let push = FcmClient::new(&PushSettings { url, ..PushSettings::new(project, token_file) }).unwrap();
        let wish = CaWish { ahead_seconds: 20, push: Some(Arc::new(push)), ..CaWish::named("successor") };
        let successor = rooms.outfit.ca(wish).leading();
        assert_eq!(successor.role.follow_commands().unwrap(), 0, "made again");
        assert_eq!((successor.role.send_commands().unwrap(), successor.role.send_commands().unwrap()), (1, 0));
        assert_eq!(commands().iter().map(|command| command.state).collect::<Vec<_>>(), [CommandState::Sent]);
        let arrived: Vec<_> = service.messages().into_iter().map(|message| message.data["command"].clone()).collect();
        assert_eq!(arrived, [commands()[0].message.clone(), commands()[0].message.clone()]);
        rooms.sound();
    }

    fn a_batch_goes_on_from_the_page_where_its_ca_was_killed(store) {
        let rooms = Rooms::furnish(store);
        let village = || NewCard { prefecture: Some("Hiden".to_owned()), city: Some("Mura".to_owned()), ..NewCard::default() };
        let ca = rooms.ca("issues").leading();
        let cards: Vec<Card> = (0..3).map(|_| rooms.card_with(village())).collect();
        for card in &cards {
            rooms.apply(card);
        }
        ca.issue_all();
        let scope = cards[0].signature.scope().unwrap();
        let order = BatchOrder { scope, event_type: CardEventType::Revoked, reason: Some(Reason::CaCompromise), at: None };
        rooms.back_office.order_batch(&order).unwrap();
        ca.role.follow_feed().unwrap();
        ca.stand_down();

        let left = || cards.iter().map(|card| rooms.live(card).len()).sum::<usize>() - cards.len();
        for (committed, still) in [(false, 3), (true, 2), (false, 2), (true, 1)] {
            kill(&rooms, &Order::BatchPage { committed });
            assert_eq!((left(), rooms.reader.batches_running().unwrap().len()), (still, 1));
        }
        another(&rooms, |ca| while ca.role.advance_batches().unwrap() > 0 {});
        assert_eq!(left(), 0);
        for card in &cards {
            let ended = rooms.certificates(card).into_iter().find_map(|certificate| certificate.revocation).unwrap();
            assert_eq!(ended.reason, RevocationReason::CaCompromise);
        }
        is_over(&rooms);
    }

    fn holds_and_batches_of_a_page_whose_cursor_was_not_stored_happen_once(store) {
        let rooms = Rooms::furnish(store);
        let (held, _) = card_and_phone(&rooms);
        let (renewed, _) = card_and_phone(&rooms);
        let ca = rooms.ca("issues").leading();
        let alone = rooms.card_with(NewCard { prefecture: Some("Hiden".to_owned()), city: Some("Mura".to_owned()), ..NewCard::default() });
        rooms.phone(&ca, &alone);
        ca.stand_down();
        let detail = OrderDetail { pooled_keys: true, ..OrderDetail::default() };
        rooms.back_office.order(held.card_id.as_ref().unwrap(), CardOrder::Hold, &detail).unwrap();
        let scope = alone.signature.scope().unwrap();
        rooms.back_office.order_batch(&BatchOrder { scope, event_type: CardEventType::Held, reason: None, at: None }).unwrap();
        rooms.back_office.order(renewed.card_id.as_ref().unwrap(), CardOrder::Renew, &detail).unwrap();

        kill(&rooms, &Order::CascadeCursorBehind);
        assert_eq!(rooms.reader.feed_cursor("back-office").unwrap(), None);
        rooms.sound();
        another(&rooms, |ca| {
            ca.role.follow_feed().unwrap();
            while ca.role.advance_batches().unwrap() > 0 {}
        });
        assert_eq!(states(&rooms, &held), [CertificateState::Held; 2]);
        assert_eq!(states(&rooms, &renewed), [CertificateState::Revoked; 2]);
        let mut of_village = states(&rooms, &alone);
        of_village.sort_by_key(|state| *state == CertificateState::Held);
        assert_eq!(of_village, [CertificateState::Live, CertificateState::Held]);
        let batches = rooms.reader.count_for_test("SELECT count(*) FROM batch").unwrap();
        assert_eq!(batches, 1, "the batch was begun twice");
        is_over(&rooms);
    }
}
