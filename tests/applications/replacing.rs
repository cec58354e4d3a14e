//! One live certificate of each kind, whoever applies how often with what.

use std::sync::Arc;

use sandbox::back_office::{NewCard, RevocationRequest};
use sandbox::card::{Card, CardSide, SignedMessage, SignerName, sign};
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::kind::Kind;
use sandbox::phone::{ApplyWish, Enrolment, Replaces, apply, build_application};
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspWish, Status, ask_ocsp, verify_issued_by};
use serde_json::Value;

use crate::support::{Installation, until};
use crate::{Refusing, Scene, phone_key};

/// An answer without the receipts, which come once the log has been signed.
fn besides_receipts(answer: &Value) -> Value {
    let mut answer = answer.clone();
    answer.as_object_mut().map(|members| members.remove("receipts"));
    answer
}

/// A second application ends what the first brought, in one step, if it says so.
pub(crate) fn is_atomic_and_asked_for(scene: &Scene) {
    let installation = &scene.installation;
    let card = installation.card();
    let holder = card.holder_id.clone().unwrap();
    let first = applies(scene, &card, |wish| wish.replaces = Replaces::None);
    assert_eq!(live(installation, &holder), serials(&first), "the first application");
    statuses(scene, &first, &[Status::Good, Status::Good]);

    // The same octets again: the same answer, and nothing new.
    let begun = scene.reader.position().unwrap();
    let again = scene.phone.submit(&first.cms).unwrap();
    assert_eq!((again.status, besides_receipts(&again.json)), (201, besides_receipts(&first.answers.last().unwrap().json)));
    scene.nothing_changed("the same octets again", Refusing::Ra, begun);

    let challenge = scene.challenge();
    let keys = [phone_key(), phone_key()];
    let octets = scene.application(&card, &challenge, Replaces::None, &[(Kind::Signature, &keys[0]), (Kind::Authentication, &keys[1])]);
    scene.refused("nothing to be replaced, but there is", "holder_has_live_certificate", Refusing::Ca, &octets);
    assert_eq!(live(installation, &holder), serials(&first), "a refused application ended something");

    let second = applies(scene, &card, |_| ());
    assert_eq!(live(installation, &holder), serials(&second), "the second application");
    is_superseded(scene, &first, &Kind::ALL);
    statuses(scene, &second, &[Status::Good, Status::Good]);
    let old = scene.phone.submit(&first.cms).unwrap();
    let expected = (201, besides_receipts(&again.json));
    assert_eq!((old.status, besides_receipts(&old.json)), expected, "the first application's answer changed when it was superseded");

    // A renewed card of the same person, and one kind at a time.
    let renewed = installation.card_with(NewCard { holder_id: Some(holder.clone()), ..NewCard::default() });
    let third = applies(scene, &renewed, |wish| wish.kinds = vec![Kind::Signature]);
    let mut expected = [serials(&third), vec![serials(&second)[1].clone()]].concat();
    assert_eq!(live(installation, &holder), expected, "signature alone");
    is_superseded(scene, &second, &[Kind::Signature]);
    let fourth = applies(scene, &renewed, |wish| wish.kinds = vec![Kind::Authentication]);
    expected[1] = serials(&fourth)[0].clone();
    assert_eq!(live(installation, &holder), expected, "authentication alone");

    // The card ends, and with it what it led to; the next card begins anew, with nothing left to be replaced.
    let request = RevocationRequest { kinds: Kind::ALL.to_vec(), reason: Reason::AffiliationChanged, at: None };
    installation.back_office.revoke(renewed.card_id.as_deref().unwrap(), &request).unwrap();
    until("the card's end ends both", || live(installation, &holder).is_empty().then_some(()));
    let octets = scene.ordinary_application_of(&renewed.signature);
    scene.refused("the card has ended", "card_revoked", Refusing::Ra, &octets);
    let next = installation.card_with(NewCard { holder_id: Some(holder.clone()), ..NewCard::default() });
    let fifth = applies(scene, &next, |wish| wish.replaces = Replaces::None);
    assert_eq!(live(installation, &holder), serials(&fifth));
}

/// Challenges, keys and smartphone certificates serve once.
pub(crate) fn never_reuses_anything(scene: &Scene) {
    let (card, other) = (scene.installation.card(), scene.installation.card());
    let challenge = scene.challenge();
    let application = build_application(&card, &scene.installation.wish(), &challenge).unwrap();
    let answer = scene.phone.submit(&application.cms).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);

    for applicant in [&card, &other] {
        let octets = scene.application(applicant, &challenge, Replaces::Any, &[(Kind::Signature, &phone_key())]);
        scene.refused("a challenge that was used", "challenge_spent", Refusing::Ra, &octets);
    }
    let certified = &application.keys[0].1;
    for (applicant, kind) in [(&card, Kind::Signature), (&other, Kind::Signature), (&other, Kind::Authentication)] {
        let octets = scene.application(applicant, &scene.challenge(), Replaces::Any, &[(kind, certified)]);
        scene.refused("a key that was certified", "key_already_certified", Refusing::Ca, &octets);
    }

    // With a smartphone certificate nobody gets another.
    let phone = applies(scene, &other, |wish| wish.key_algorithm = KeyAlgorithm::Rsa2048);
    for enrolled in phone.certificates {
        let side = CardSide { certificate: enrolled.certificate, key: Arc::new(enrolled.key) };
        let octets = scene.ordinary_application_of(&side);
        scene.refused("signed with a smartphone certificate", "card_is_smartphone_certificate", Refusing::Ra, &octets);
    }
}

/// What phones and cards there are.
pub(crate) fn works_with_every_sort_of_key_and_card(scene: &Scene) {
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa2048, KeyAlgorithm::Rsa3072] {
        let enrolment = applies(scene, &scene.card, |wish| wish.key_algorithm = algorithm);
        for enrolled in &enrolment.certificates {
            verify_issued_by(&enrolled.certificate, &scene.installation.ca(enrolled.kind)).unwrap();
        }
    }
    // An earlier key generation of the card CA; a card with its signature half only.
    let old = scene.installation.card_with(NewCard { generation: Some(1), ..NewCard::default() });
    assert_eq!(applies(scene, &old, |_| ()).certificates.len(), 2);
    let half = scene.installation.card_with(NewCard { without_authentication: true, ..NewCard::default() });
    assert_eq!(applies(scene, &half, |wish| wish.kinds = vec![Kind::Signature]).certificates.len(), 1);
    // A card whose software names the signer by its key, and says no time.
    let key = phone_key();
    let octets = scene.application(&scene.card, &scene.challenge(), Replaces::Any, &[(Kind::Signature, &key)]);
    let statement = statement_of(scene, &key);
    let message = SignedMessage { signer_name: SignerName::SubjectKeyIdentifier, signing_time: None, ..SignedMessage::new(statement) };
    let octets = [octets, sign(&message, &[(&scene.card.signature, &scene.card.signature)]).unwrap()];
    let answers = octets.map(|octets| scene.phone.submit(&octets).unwrap());
    assert_eq!(answers[0].status, 201, "{}", answers[0].text);
    // It asks for the same key once more: read and understood, and refused for that.
    assert_eq!(answers[1].code(), "key_already_certified", "{}", answers[1].text);
}

fn statement_of(scene: &Scene, key: &Key) -> Vec<u8> {
    use base64::Engine as _;
    use sandbox::phone::{Pkcs10, pkcs10};
    let challenge = scene.challenge();
    let request = base64::engine::general_purpose::STANDARD.encode(pkcs10(&Pkcs10::new(key, &challenge)).unwrap());
    let statement = serde_json::json!({
        "requests": [{"pkcs10": request, "kind": "signature"}],
        "replaces": "any",
        "device": {"key_storage": "secure-enclave", "model": "見本", "platform": "ios"},
        "challenge": challenge,
        "audience": scene.installation.wish().audience,
        "type": "tsunagi.application.v1",
    });
    serde_json::to_vec_pretty(&statement).unwrap()
}

fn applies(scene: &Scene, card: &Card, change: impl FnOnce(&mut ApplyWish)) -> Enrolment {
    let mut wish = scene.installation.wish();
    change(&mut wish);
    apply(&scene.phone, card, &wish).unwrap_or_else(|fault| panic!("{fault}"))
}

/// The serial numbers of an enrolment, signature first.
fn serials(enrolment: &Enrolment) -> Vec<String> {
    Kind::ALL.into_iter().filter_map(|kind| enrolment.of(kind)).map(|enrolled| enrolled.serial.clone()).collect()
}

/// The serial numbers of a holder's live certificates, signature first, as the command line tells.
fn live(installation: &Installation, holder: &str) -> Vec<String> {
    let listed = installation.json(&["certificate", "list", "--holder", holder, "--state", "live"]);
    let listed = listed.as_array().unwrap();
    let of =
        |kind: Kind| listed.iter().filter(move |one| one["kind"] == kind.as_str()).map(|one| one["serial"].as_str().unwrap().to_owned());
    let found: Vec<String> = Kind::ALL.into_iter().flat_map(of).collect();
    assert!(found.len() <= 2 && found.len() == listed.len(), "{listed:?}");
    found
}

fn statuses(scene: &Scene, enrolment: &Enrolment, expected: &[Status]) {
    for (enrolled, expected) in enrolment.certificates.iter().zip(expected) {
        let answer = ask_ocsp(&enrolled.certificate, &scene.installation.ca(enrolled.kind), &OcspWish::default()).unwrap();
        assert_eq!(answer.status, *expected, "{}", enrolled.kind);
    }
}

/// From the moment that the new ones are there, the old ones are revoked, and say that they were superseded.
fn is_superseded(scene: &Scene, old: &Enrolment, kinds: &[Kind]) {
    for kind in kinds {
        let enrolled = old.of(*kind).unwrap();
        let answer = ask_ocsp(&enrolled.certificate, &scene.installation.ca(*kind), &OcspWish::default()).unwrap();
        assert!(matches!(answer.status, Status::Revoked { reason: Reason::Superseded, .. }), "{kind}: {:?}", answer.status);
        let shown: Value = scene.installation.json(&["certificate", "show", &enrolled.serial]);
        assert_eq!((&shown["state"], &shown["revocation"]["reason"]), (&"revoked".into(), &"superseded".into()), "{shown}");
    }
}
