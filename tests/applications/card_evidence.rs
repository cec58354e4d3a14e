//! What the card CA and the back office say of the card, and what they could be made to say by whoever stands in between.

use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use sandbox::back_office::{NewCard, RevocationRequest};
use sandbox::card::{Card, CardSide};
use sandbox::card_ca::CardCa;
use sandbox::card_status::{CardStatus, CertIdHash, RevokedCertificate, UNAUTHORIZED, answer, cert_id, crl, error_answer};
use sandbox::keys::{Key, KeyAlgorithm, random};
use sandbox::kind::Kind;
use sandbox::names::distribution_point;
use sandbox::reason::Reason;

use crate::support::Reply;
use crate::wrong_messages::forge;
use crate::{Refusing, Scene, side};

const PREFECTURE: &str = "Shiken-ken";

/// What must not lead to a certificate.
pub(crate) fn must_be_good(scene: &mut Scene) {
    revoked_cards_are_refused(scene);
    ocsp_answers_are_judged(scene);
    crls_are_judged(scene);
    the_holder_must_be_known(scene);
}

/// Without OCSP the CRL of the card's municipality will do, as long as it is genuine.
pub(crate) fn may_come_from_a_crl(scene: &Scene) {
    for status in ["an error without signature", "HTTP 503"] {
        let card = resident(scene, &format!("Utsutsu-{}", status.len()));
        scene.installation.card_status.rule(move |question| match (question.path.starts_with("/ocsp/"), status) {
            (false, _) => Reply::Forward,
            (true, "HTTP 503") => Reply::Status(503),
            (true, _) => Reply::Content(error_answer(UNAUTHORIZED)),
        });
        assert_eq!(scene.installation.apply(&card).certificates.len(), 2, "{status}");
    }
    scene.installation.card_status.forward();
}

/// Nothing is taken on trust while somebody cannot be asked; later, the same application is taken up.
pub(crate) fn is_needed(scene: &mut Scene) {
    let (card, other) = (scene.installation.card(), scene.installation.card());
    let octets = scene.ordinary_application_of(&card.signature);
    scene.installation.card_status.rule(|_| Reply::Status(503));
    scene.refused("nobody tells the card's status", "card_status_unavailable", Refusing::Ra, &octets);
    scene.installation.card_status.forward();
    let answer = scene.installation.post("/v1/applications", "application/cms", &octets);
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));

    let octets = scene.ordinary_application_of(&other.signature);
    scene.installation.set("back_office.url", "https://127.0.0.1:1");
    scene.installation.restart();
    scene.refused("the back office is away", "back_office_unavailable", Refusing::Ra, &octets);
}

fn revoked_cards_are_refused(scene: &Scene) {
    for (kind, reason) in [(Kind::Signature, Reason::KeyCompromise), (Kind::Authentication, Reason::Unspecified)] {
        let card = scene.installation.card();
        let octets = scene.ordinary_application_of(&card.signature);
        revoke(scene, &card, kind, reason);
        scene.refused(&format!("the card's {kind} certificate is revoked"), "card_revoked", Refusing::Ra, &octets);
    }
    // As its CRL alone tells.
    let card = resident(scene, "Shikko-shi");
    revoke(scene, &card, Kind::Signature, Reason::CessationOfOperation);
    without_ocsp(scene, |_| Reply::Forward);
    refused(scene, "revoked by CRL", "card_revoked", &card);
    scene.installation.card_status.forward();
}

fn ocsp_answers_are_judged(scene: &Scene) {
    let card = scene.installation.card();
    let (now, life) = (Utc::now().trunc_subsecs(0), Duration::hours(24));
    let (own, other) = (ca(scene, Kind::Signature, 2), scene.installation.card());
    let asked = |ca: &CardCa, side: &CardSide| cert_id(CertIdHash::Sha1, ca.name(), ca.key().public_key(), &serial(side));
    let good = |ca: &CardCa, at: DateTime<Utc>, life: Duration| {
        answer(ca, &[(asked(own, &card.signature), CardStatus::Good)], None, at, life).unwrap()
    };
    let says = |status: CardStatus| answer(own, &[(asked(own, &card.signature), status)], None, now, life).unwrap();
    let hold = CardStatus::Revoked { at: now - life, reason: Reason::CertificateHold };
    let about_other = answer(own, &[(asked(own, &other.signature), CardStatus::Good)], None, now, life).unwrap();
    let mut broken = good(own, now, life);
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    let cases = [
        ("revoked", "card_revoked", says(CardStatus::Revoked { at: now - life, reason: Reason::Superseded })),
        ("on hold", "card_on_hold", says(hold)),
        ("unknown", "card_unknown", says(CardStatus::Unknown)),
        ("two hours old", "card_status_stale", good(own, now - Duration::hours(2), life)),
        ("ended", "card_status_stale", good(own, now - Duration::minutes(30), Duration::minutes(20))),
        ("from the future", "card_status_stale", good(own, now + Duration::minutes(10), life)),
        ("by another generation of the CA", "card_status_signature", good(ca(scene, Kind::Signature, 1), now, life)),
        ("by the CA of the other kind", "card_status_signature", good(ca(scene, Kind::Authentication, 2), now, life)),
        ("about another card", "card_status_not_covered", about_other),
        ("noise", "card_status_malformed", random::<500>().unwrap().to_vec()),
    ];
    for (about, code, octets) in cases {
        scene.installation.card_status.rule(move |question| match question.path.as_str() {
            "/ocsp/signature" => Reply::Content(octets.clone()),
            _ => Reply::Forward,
        });
        refused(scene, &format!("an OCSP answer that is {about}"), code, &card);
    }
    scene.installation.card_status.rule(move |question| match question.path.as_str() {
        "/ocsp/signature" => Reply::Content(broken.clone()),
        _ => Reply::Forward,
    });
    let answer = scene.installation.post("/v1/applications", "application/cms", &scene.ordinary_application_of(&card.signature));
    assert!(matches!(answer.status, 422 | 503), "a broken OCSP answer was believed: {}", answer.status);

    // The authentication half is asked about just so.
    let own = ca(scene, Kind::Authentication, 2);
    let half = card.authentication.as_ref().unwrap();
    let held = sandbox::card_status::answer(own, &[(asked(own, half), hold)], None, now, life).unwrap();
    scene.installation.card_status.rule(move |question| match question.path.as_str() {
        "/ocsp/authentication" => Reply::Content(held.clone()),
        _ => Reply::Forward,
    });
    refused(scene, "the authentication half on hold", "card_on_hold", &card);
    scene.installation.card_status.forward();
}

fn crls_are_judged(scene: &Scene) {
    let (now, day) = (Utc::now().trunc_subsecs(0), Duration::days(1));
    let (own, stranger) = (ca(scene, Kind::Signature, 2), ca(scene, Kind::Authentication, 2));
    let point = |city: &str| distribution_point(Kind::Signature, 2, PREFECTURE, city);
    let empty = |ca: &CardCa, city: &str, from: DateTime<Utc>, until: DateTime<Utc>| crl(ca, &point(city), 7, from, until, &[]).unwrap();
    let held = resident(scene, "Horyu-shi");
    let entry = RevokedCertificate { serial: serial(&held.signature), at: now - day, reason: Reason::CertificateHold };
    let holding = crl(own, &point("Horyu-shi"), 7, now, now + day, &[entry]).unwrap();
    let cases = [
        ("holds it", "card_on_hold", held, holding),
        ("is another municipality's", "card_status_not_covered", resident(scene, "Betsu-shi"), empty(own, "Horyu-shi", now, now + day)),
        ("is three days old", "card_status_stale", resident(scene, "Furui-shi"), empty(own, "Furui-shi", now - day * 3, now + day)),
        ("has ended", "card_status_stale", resident(scene, "Owari-shi"), empty(own, "Owari-shi", now - day, now - Duration::minutes(1))),
        (
            "is from the future",
            "card_status_stale",
            resident(scene, "Mirai-shi"),
            empty(own, "Mirai-shi", now + Duration::hours(1), now + day),
        ),
        ("is by another CA", "card_status_unavailable", resident(scene, "Nise-shi"), empty(stranger, "Nise-shi", now, now + day)),
        ("is noise", "card_status_unavailable", resident(scene, "Zatsuon-shi"), random::<500>().unwrap().to_vec()),
    ];
    for (about, code, card, octets) in cases {
        without_ocsp(scene, move |_| Reply::Content(octets.clone()));
        refused(scene, &format!("a CRL that {about}"), code, &card);
    }
    scene.installation.card_status.forward();
}

/// A genuine certificate of the card CA, good by its word, of which the back office knows nothing.
fn the_holder_must_be_known(scene: &Scene) {
    let (own, key) = (ca(scene, Kind::Signature, 2), Key::generate(KeyAlgorithm::Rsa2048).unwrap());
    let unknown = side(&forge(own, &key), &key);
    let id = cert_id(CertIdHash::Sha1, own.name(), own.key().public_key(), &serial(&unknown));
    let good = answer(own, &[(id, CardStatus::Good)], None, Utc::now().trunc_subsecs(0), Duration::hours(1)).unwrap();
    scene.installation.card_status.rule(move |_| Reply::Content(good.clone()));
    scene.refused("nobody's card", "holder_unknown", Refusing::Ra, &scene.ordinary_application_of(&unknown));
    scene.installation.card_status.forward();
}

fn refused(scene: &Scene, about: &str, code: &str, card: &Card) {
    scene.refused(about, code, Refusing::Ra, &scene.ordinary_application_of(&card.signature));
}

/// OCSP is down; CRLs of signature certificates are as `rule` says.
fn without_ocsp(scene: &Scene, rule: impl Fn(&str) -> Reply + Send + 'static) {
    scene.installation.card_status.rule(move |question| match question.path.as_str() {
        "/ocsp/signature" => Reply::Status(503),
        path if path.starts_with("/crl/signature/") => rule(path),
        _ => Reply::Forward,
    });
}

/// The card of somebody who lives there; CRLs of one municipality are kept for a while, so each test has one of its own.
fn resident(scene: &Scene, city: &str) -> Card {
    let city = city.chars().map(|character| if character.is_ascii_digit() { 'x' } else { character }).collect();
    scene.installation.card_with(NewCard { prefecture: Some(PREFECTURE.to_owned()), city: Some(city), ..NewCard::default() })
}

fn revoke(scene: &Scene, card: &Card, kind: Kind, reason: Reason) {
    let request = RevocationRequest { kinds: vec![kind], reason, at: None };
    assert_eq!(scene.installation.back_office.revoke(card.card_id.as_deref().unwrap(), &request).unwrap().len(), 1);
}

fn ca(scene: &Scene, kind: Kind, generation: u32) -> &CardCa {
    scene.installation.back_office.card_ca(kind, generation).unwrap()
}

fn serial(side: &CardSide) -> Vec<u8> {
    side.decoded().unwrap().tbs_certificate().serial_number().as_bytes().to_vec()
}
