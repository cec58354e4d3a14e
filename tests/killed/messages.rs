//! What people say to the authority, until it is done.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::card::Card;
use sandbox::instruction::Signer;
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::operator::{Operator, OperatorAction};
use sandbox::phone::{
    Application, ApplyWish, Device, Enrolment, HolderAction, Phone, RaAnswer, RaClient, Replaces, build_application, build_instruction,
    build_key_compromise_report,
};

use crate::ledger::{Must, locked};
use crate::persistence::{answered, decided, told};
use crate::town::{AUDIENCE, Town};

/// What is refused because it was signed too long ago: it is signed anew.
const TOO_LATE: &str = "challenge_expired";

/// An application, and the phone that it is for.
pub(crate) struct Wanted {
    pub(crate) application: Application,
    wish: ApplyWish,
    command_key: Key,
}

/// What a card signs for a new phone; whatever an older one has is to end.
pub(crate) fn application(town: &Town, ra: &RaClient, card: &Card) -> Wanted {
    let command_key = Key::generate(KeyAlgorithm::P256).unwrap();
    let device = Device {
        push_token: Some(format!("push-{}", hex::encode(sandbox::keys::random::<12>().unwrap()))),
        command_key: Some(STANDARD.encode(command_key.public_key_info())),
        ..Device::default()
    };
    let wish = ApplyWish { replaces: Replaces::Any, device, ..ApplyWish::new(AUDIENCE) };
    let challenge = told(town, "a question for a challenge", || ra.challenge()).challenge;
    Wanted { application: build_application(card, &wish, &challenge).unwrap(), wish, command_key }
}

impl Wanted {
    /// Sends it until it is issued; `None` if that took so long that it must be signed anew.
    pub(crate) fn issued(self, town: &Town, ra: &RaClient) -> Option<Phone> {
        let Self { application, wish, command_key } = self;
        let send = || ra.submit(&application.cms);
        // Where it has its token, it asks with that; and sends the same octets once more, which must come to the same.
        let ask = |first: &RaAnswer| match (first.text_of("status_url"), first.text_of("token")) {
            (Some(place), Some(token)) => ra.ask_again(place, token),
            _ => ra.submit(&application.cms),
        };
        let answer = decided(town, "an application", send, ask);
        if answer.code() == TOO_LATE {
            return None;
        }
        assert_eq!(answer.text_of("state"), Some("issued"), "an application is refused: {}", answer.text);
        let again = answered(town, "an application that was issued", || ra.submit(&application.cms));
        assert_eq!(again.json["certificates"], answer.json["certificates"], "the same application brought something else");
        let enrolment = Enrolment::read(application, vec![again]).unwrap();
        assert!(enrolment.token().is_some() && enrolment.device().is_some(), "the phone has no way to its commands");
        for enrolled in &enrolment.certificates {
            town.ledger.issued(enrolled);
        }
        town.ledger.acknowledged("applications issued");
        Some(Phone::new(enrolment, &wish, command_key))
    }
}

/// A holder's instruction, signed with a phone or a card, until it is done.
pub(crate) fn instructed(town: &Town, ra: &RaClient, signer: Signer<'_>, action: &HolderAction, what: &str) {
    loop {
        let challenge = told(town, "a question for a challenge", || ra.challenge()).challenge;
        let cms = build_instruction(AUDIENCE, &challenge, signer, action).unwrap();
        if is_done(town, what, &decided(town, what, || ra.instruct(&cms), |first| ra.instruction(name(first)))) {
            return;
        }
    }
}

/// An operator's, until it is done.
pub(crate) fn ordered(town: &Town, operator: &Operator, action: &OperatorAction, what: &str) {
    loop {
        let challenge = told(town, "an operator's question for a challenge", || operator.challenge()).challenge;
        let cms = operator.build(&challenge, action).unwrap();
        if is_done(town, what, &decided(town, what, || operator.submit(&cms), |first| operator.instruction(name(first)))) {
            return;
        }
    }
}

/// The report that a key is in wrong hands, until it is done.
pub(crate) fn key_reported(town: &Town, ra: &RaClient, key: &Key) {
    let report = build_key_compromise_report(key).unwrap();
    let what = "keys reported";
    let answer = decided(town, what, || ra.report_key_compromise(&report), |first| ra.instruction(name(first)));
    assert!(is_done(town, what, &answer));
}

fn name(answer: &RaAnswer) -> &str {
    answer.text_of("id").expect("an instruction has a name")
}

fn is_done(town: &Town, what: &str, answer: &RaAnswer) -> bool {
    if answer.code() == TOO_LATE {
        town.ledger.count("instructions signed anew");
        return false;
    }
    assert_eq!((answer.status, answer.text_of("state")), (200, Some("done")), "{what}: {}", answer.text);
    locked(&town.ledger.instructions).push(name(answer).to_owned());
    town.ledger.acknowledged(what);
    true
}

/// Everything that a phone has must be so, now that somebody was told so.
pub(crate) fn all_of(town: &Town, phone: &Phone, must: Must) {
    town.ledger.must(must, &phone.certificates);
}
