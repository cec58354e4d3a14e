//! An RA in other hands: it writes whatever rows it likes, and the CA, which believes nothing that it cannot verify itself,
//! refuses each of them and issues nothing.

use ca_core::application::ApplicationId;
use ca_core::application::challenge::Beacon;
use ca_core::application::verified::{AuthenticationEvidence, Evidence, StatusEvidence};
use ca_core::digest::Sha256Digest;
use chrono::Utc;
use sandbox::card::Card;
use sandbox::kind::Kind;
use sandbox::phone::{ApplyWish, Deviation, Replaces, build_application, build_deviating_application};
use schema::application::{Acceptance, NewApplication};
use schema::on_each_database;

use crate::rooms::{CaWish, RA_NAME, Rooms};

/// Writes an application with whatever evidence, under a challenge that it does not answer.
pub(crate) fn smuggle(rooms: &Rooms<'_>, cms: &[u8], evidence: &Evidence) -> ApplicationId {
    let mut challenge = [0; 48];
    challenge[..32].copy_from_slice(Sha256Digest::of(cms).as_bytes());
    challenge[32..].copy_from_slice(&Sha256Digest::of(format!("{evidence:?}").as_bytes()).0[..16]);
    let new = NewApplication::from_parts(cms.to_vec(), challenge, evidence.clone(), Sha256Digest::of(b"ticket"));
    match rooms.store.writer().write(move |tx| tx.accept_application(&new, Utc::now())).unwrap() {
        Acceptance::Accepted(id) => id,
        Acceptance::Existing(_) => panic!("the same application twice"),
    }
}

/// Writes an application that is there already once more, with the same message and evidence, as if it were another.
fn replay(rooms: &Rooms<'_>, application: ApplicationId, number: u8) {
    let octets = |octets: &[u8]| {
        let hex = hex::encode(octets);
        if rooms.store.is_postgres() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    };
    let statement = format!(
        "INSERT INTO application (digest, challenge, accepted_at, ticket_hash) VALUES ({}, {}, {}, {}); \
         INSERT INTO application_evidence (application_id, cms, holder_id, signature_ocsp, signature_crl, authentication_certificate, \
         authentication_ocsp, authentication_crl) \
         SELECT (SELECT max(id) FROM application), cms, holder_id, signature_ocsp, signature_crl, authentication_certificate, \
         authentication_ocsp, authentication_crl FROM application_evidence WHERE application_id = {};",
        octets(&[number; 32]),
        octets(&[number; 48]),
        Utc::now().timestamp_millis(),
        octets(&[number; 32]),
        application.0
    );
    rooms.store.execute(&statement).unwrap();
}

/// The id after another.
fn next(application: ApplicationId, count: i64) -> ApplicationId {
    ApplicationId(application.0 + count)
}

/// An OCSP answer with another time in it than was signed.
fn tampered(status: &StatusEvidence) -> StatusEvidence {
    let StatusEvidence::Ocsp(der) = status else { panic!("no OCSP answer") };
    let mut der = der.clone();
    // producedAt, a GeneralizedTime of 15 octets: the seconds' last digit.
    let at = der.windows(2).position(|octets| octets == [0x18, 15]).unwrap();
    der[at + 2 + 13] ^= 1;
    StatusEvidence::Ocsp(der)
}

/// Each piece of evidence made wrong, with the code by which the CA refuses it.
fn forged_evidence(true_one: &Evidence, other: &Evidence) -> Vec<(&'static str, &'static str, Evidence)> {
    let authentication = true_one.authentication.clone().unwrap();
    let others = other.authentication.clone().unwrap();
    let with_signature = |status| Evidence { signature_status: status, ..true_one.clone() };
    let with_authentication = |authentication| Evidence { authentication: Some(authentication), ..true_one.clone() };
    let certificate = authentication.certificate.clone();
    let status = |status| AuthenticationEvidence { certificate: certificate.clone(), status };
    vec![
        ("another holder", "holder_unknown", Evidence { holder_id: other.holder_id.clone(), ..true_one.clone() }),
        ("an invented holder", "holder_unknown", Evidence { holder_id: "nobody".to_owned(), ..true_one.clone() }),
        ("no status", "card_status_malformed", with_signature(StatusEvidence::Ocsp(b"good".to_vec()))),
        ("no CRL", "card_status_malformed", with_signature(StatusEvidence::Crl(b"empty".to_vec()))),
        ("another card's status", "card_status_not_covered", with_signature(other.signature_status.clone())),
        ("a changed status", "card_status_signature", with_signature(tampered(&true_one.signature_status))),
        ("the other half's status", "card_status_signature", with_signature(authentication.status.clone())),
        ("a changed status of the other half", "card_status_signature", with_authentication(status(tampered(&authentication.status)))),
        ("another card's status of the other half", "card_status_not_covered", with_authentication(status(others.status.clone()))),
        ("another card's other half", "card_without_authentication", with_authentication(others)),
        ("no other half", "card_without_authentication", Evidence { authentication: None, ..true_one.clone() }),
    ]
}

/// A municipality's CRL as evidence for a card of another one.
fn crl_of(rooms: &Rooms<'_>, card: &Card) -> StatusEvidence {
    let certificate = ca_core::card::certificate::UnverifiedCardCertificate::parse(&card.signature.certificate).unwrap();
    let point = Sha256Digest::of(certificate.distribution_point().unwrap());
    let template = back_office::CrlUrlTemplate::parse(&rooms.back_office.crl_url_template(Kind::Signature)).unwrap();
    StatusEvidence::Crl(crate::rooms::card_status_client().fetch_crl(&template.url(&point.0)).unwrap())
}

fn nothing_was_issued(rooms: &Rooms<'_>, cards: &[&Card]) {
    for card in cards {
        assert!(rooms.certificates(card).is_empty());
    }
    assert!(rooms.sound().is_empty(), "a serial number was spent on what was refused");
}

on_each_database! {
    fn forged_evidence_is_refused_each_with_its_code(store) {
        let rooms = Rooms::furnish(store);
        let [card, other] = [rooms.card(), rooms.card()];
        let others = rooms.ra.evidence_for(&rooms.application(&other, Replaces::Any).cms);
        let true_one = rooms.ra.evidence_for(&rooms.application(&card, Replaces::Any).cms);
        // All in one batch: what is wrong with one is nothing to its neighbours.
        let smuggled: Vec<_> = forged_evidence(&true_one, &others)
            .into_iter()
            .map(|(what, code, evidence)| (what, code, smuggle(&rooms, &rooms.application(&card, Replaces::Any).cms, &evidence)))
            .collect();
        let ca = rooms.ca("one").leading();
        let outcome = ca.issue_all();
        assert_eq!((outcome.issued, outcome.refused), (0, smuggled.len()));
        for (what, code, application) in smuggled {
            assert_eq!(rooms.refusal(application), code, "{what}");
        }
        nothing_was_issued(&rooms, &[&card, &other]);
        // The true evidence was good all along.
        let application = smuggle(&rooms, &rooms.application(&card, Replaces::Any).cms, &true_one);
        assert_eq!(ca.issue_all().issued, 1);
        assert!(rooms.is_issued(application));
        // And a true status may be a bad one.
        rooms.revoke_card(&card, &[Kind::Authentication]);
        let cms = rooms.application(&card, Replaces::Any).cms;
        let application = smuggle(&rooms, &cms, &rooms.ra.evidence_for(&cms));
        assert_eq!(ca.issue_all().refused, 1);
        assert_eq!(rooms.refusal(application), "card_revoked");
        rooms.sound();
    }

    fn a_crl_counts_for_its_own_municipality_only(store) {
        let rooms = Rooms::furnish(store);
        let [card, other] = [("Tokyo", "Chiyoda"), ("Hokkaido", "Otaru")].map(|(prefecture, city)| {
            let (prefecture, city) = (Some(prefecture.to_owned()), Some(city.to_owned()));
            rooms.card_with(sandbox::back_office::NewCard { prefecture, city, ..Default::default() })
        });
        let cms = rooms.application(&card, Replaces::Any).cms;
        let evidence = rooms.ra.evidence_for(&cms);
        let wrong = smuggle(&rooms, &cms, &Evidence { signature_status: crl_of(&rooms, &other), ..evidence.clone() });
        let right = Evidence { signature_status: crl_of(&rooms, &card), ..evidence };
        let right = smuggle(&rooms, &rooms.application(&card, Replaces::Any).cms, &right);
        rooms.ca("one").leading().issue_all();
        assert_eq!(rooms.refusal(wrong), "card_status_not_covered");
        assert!(rooms.is_issued(right));
        rooms.sound();
    }

    fn what_no_card_signed_so_is_refused(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let challenge = rooms.ra.challenge().to_base64();
        let evidence = rooms.ra.evidence_for(&rooms.application(&card, Replaces::Any).cms);
        let wish = ApplyWish { replaces: Replaces::Any, ..ApplyWish::new(RA_NAME) };
        let expected = [
            (Deviation::TamperedStatement, "cms_digest"),
            (Deviation::BrokenSignature, "cms_signature"),
            (Deviation::OtherCardKey, "cms_signature"),
            (Deviation::WrongContentType, "cms_content_type"),
            (Deviation::AuthenticationCard, "card_issuer_unknown"),
            (Deviation::OtherAudience, "statement_audience"),
            (Deviation::NoPossession, "request_possession"),
            (Deviation::OtherChallengeInRequest, "request_challenge"),
            (Deviation::Noise, "cms_malformed"),
        ];
        let smuggled = expected.map(|(deviation, code)| {
            let cms = build_deviating_application(&card, &wish, &challenge, deviation).unwrap();
            (deviation, code, smuggle(&rooms, &cms, &evidence))
        });
        let outcome = rooms.ca("one").leading().issue_all();
        assert_eq!((outcome.issued, outcome.refused), (0, smuggled.len()));
        for (deviation, code, application) in smuggled {
            assert_eq!(rooms.refusal(application), code, "{deviation:?}");
        }
        nothing_was_issued(&rooms, &[&card]);
    }

    fn a_challenge_on_a_beacon_that_the_ca_did_not_draw_or_drew_long_ago_is_refused(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let wish = ApplyWish { replaces: Replaces::Any, ..ApplyWish::new(RA_NAME) };
        let old = rooms.application(&card, Replaces::Any).cms;
        let made_up = rooms.ra.challenge_key().issue(&Beacon { value: [9; 32], drawn_at: Utc::now() }).unwrap().to_base64();
        let made_up = build_application(&card, &wish, &made_up).unwrap().cms;
        let evidence = rooms.ra.evidence_for(&old);
        let [old, made_up] = [&old, &made_up].map(|cms| smuggle(&rooms, cms, &evidence));
        let ca = rooms.outfit.ca(CaWish { ahead_seconds: 301, ..CaWish::named("later") }).leading();
        assert_eq!(ca.issue_all().refused, 2);
        assert_eq!(rooms.refusal(made_up), "challenge_expired");
        assert_eq!(rooms.refusal(old), "challenge_expired");
        nothing_was_issued(&rooms, &[&card]);
    }

    fn evidence_that_was_good_once_is_refused_when_it_is_old(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let evidence = rooms.ra.evidence_for(&rooms.application(&card, Replaces::Any).cms);
        // A new beacon is drawn, and the card signs anew; only the proof that it stands is of two hours ago.
        let ca = rooms.outfit.ca(CaWish { ahead_seconds: 7_200, ..CaWish::named("later") }).leading();
        ca.role.follow_feed().unwrap();
        let application = smuggle(&rooms, &rooms.application(&card, Replaces::Any).cms, &evidence);
        assert_eq!(ca.issue_all().refused, 1);
        assert_eq!(rooms.refusal(application), "card_status_stale");
        nothing_was_issued(&rooms, &[&card]);
    }

    fn a_message_replayed_under_other_rows_is_issued_on_once(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let (application, _) = rooms.apply(&card);
        for number in 1..=3 {
            replay(&rooms, application, number);
        }
        let ca = rooms.ca("one").leading();
        // Four rows of one message in one batch ...
        let outcome = ca.issue_all();
        assert_eq!((outcome.issued, outcome.refused), (1, 3));
        let rows: Vec<_> = (0..4).map(|row| next(application, row)).collect();
        for row in rows.into_iter().filter(|row| !rooms.is_issued(*row)) {
            assert_eq!(rooms.refusal(row), "challenge_spent");
        }
        assert_eq!(rooms.certificates(&card).len(), 2);
        // ... and one that comes later, when the holder has another phone: it does not end that one's certificates.
        rooms.apply(&card);
        assert_eq!(ca.issue_all().issued, 1);
        let live = rooms.live(&card);
        replay(&rooms, application, 4);
        assert_eq!(ca.issue_all().refused, 1);
        assert_eq!(rooms.refusal(next(application, 5)), "challenge_spent");
        assert_eq!(rooms.live(&card), live);
        rooms.sound();
    }
}
