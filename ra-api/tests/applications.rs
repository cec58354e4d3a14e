//! Applications of real (soft) cards to the public listener, with the mock back office and card CA behind it. The CA role is
//! played by the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use back_office::{BackOfficeSettings, CardStatusClient, CardStatusSettings, CrlUrlTemplate, HttpBackOffice};
use ca_core::application::challenge::ChallengeKey;
use ca_core::application::verified::StatusEvidence;
use ca_core::card::authority::{CardAuthorities, CardAuthority};
use ca_core::card::certificate::UnverifiedCardCertificate;
use ca_core::card::identity::KeyIdentifier;
use ca_core::kind::CertificateKind;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, TimeDelta, Utc};
use common::phones::OwnCas;
use common::{AUDIENCE, Authority, Caller, Listener, Store, assert_described, challenge_on, patient, serve_holders_with, store, verifier};
use ra_api::{CardStatusPlaces, EvidenceLimits, EvidencePlan, HolderSettings, NetworkEvidence, StatusSource};
use sandbox::back_office::{BackOffice, BackOfficeSettings as MockSettings, NewCard, RevocationRequest};
use sandbox::card::Card;
use sandbox::instruction::Signer;
use sandbox::kind::Kind;
use sandbox::phone::{
    ApplyWish, CertificatesToEnd, Deviation, HolderAction, NamedCertificate, build_application, build_deviating_application,
    build_instruction,
};
use sandbox::reason::Reason;
use schema::card_event::{CardChange, CardEvent, CardEventSource};
use schema::testing::jpki;
use schema::{Database, EventKind, EventPosition, NewEvent};
use serde_json::{Value, json};

const CMS: &str = "application/cms";
const APPLICATIONS: &str = "/v1/applications";

/// What an installation has, without a CA role.
struct House {
    store: Store,
    tls: Authority,
    office: BackOffice,
    listener: Listener,
}

/// What is different from a sound installation.
#[derive(Default)]
struct Trouble {
    no_ocsp: bool,
    no_crl: bool,
    wrong_token: bool,
    stale: bool,
    decision_wait_ms: Option<u64>,
}

impl House {
    fn new(trouble: &Trouble) -> Self {
        let (store, tls) = (store(), Authority::new());
        let office = BackOffice::start(&MockSettings::default()).unwrap();
        let authorities = office.card_authorities().into_iter().map(|authority| {
            let kind = if authority.kind == Kind::Signature { CertificateKind::Signature } else { CertificateKind::Authentication };
            CardAuthority::from_certificate(kind, &authority.der).unwrap()
        });
        let verifier = verifier(CardAuthorities::new(authorities.collect()).unwrap());
        let token = if trouble.wrong_token { "wrong" } else { office.token() };
        let client = HttpBackOffice::new(&BackOfficeSettings::new(office.url(), office.tls_ca_pem(), token.to_owned().into())).unwrap();
        let places = |kind| CardStatusPlaces {
            ocsp_url: if trouble.no_ocsp { "http://127.0.0.1:1/ocsp".to_owned() } else { office.ocsp_url(kind) },
            crl_url: if trouble.no_crl {
                CrlUrlTemplate::parse("http://127.0.0.1:1/{distribution_point}").unwrap()
            } else {
                CrlUrlTemplate::parse(&office.crl_url_template(kind)).unwrap()
            },
        };
        let plan = EvidencePlan {
            signature: places(Kind::Signature),
            authentication: places(Kind::Authentication),
            order: vec![StatusSource::Ocsp, StatusSource::Crl],
            crl_refresh: TimeDelta::minutes(5),
        };
        let evidence = NetworkEvidence::new(Arc::new(client), CardStatusClient::new(&CardStatusSettings::default()), plan);
        let mut settings = HolderSettings { decision_wait_ms: trouble.decision_wait_ms.unwrap_or(300), ..HolderSettings::default() };
        settings.listener.requests_per_second = 0;
        let limits = EvidenceLimits { card_crl: if trouble.stale { TimeDelta::zero() } else { patient().card_crl }, ..patient() };
        let listener = serve_holders_with(&store, &tls, settings, verifier, Arc::new(evidence), limits, TimeDelta::seconds(60));
        store.draw_beacon();
        Self { store, tls, office, listener }
    }

    fn caller(&self) -> Caller {
        Caller::new(&self.listener, &self.tls, None)
    }

    fn card(&self) -> (String, Card) {
        let file = self.office.new_card(&NewCard::default()).unwrap();
        (file.card_id.clone(), Card::from_file(&file).unwrap())
    }

    fn challenge(&self) -> String {
        let answer = self.caller().post("/v1/challenges", "application/json", b"");
        answer.body["challenge"].as_str().unwrap().to_owned()
    }

    fn application(&self, card: &Card, challenge: &str) -> Vec<u8> {
        build_application(card, &ApplyWish::new(AUDIENCE), challenge).unwrap().cms
    }

    fn events(&self) -> Vec<EventKind> {
        // Refusals are recorded without keeping the caller waiting.
        std::thread::sleep(Duration::from_millis(200));
        // As the CA role would: the RA itself leaves none.
        self.store.database.writer().write(|tx| tx.take_rejections(Utc::now())).unwrap();
        self.store.database.reader().events_after(EventPosition(0), 1_000).unwrap().into_iter().map(|event| event.kind).collect()
    }
}

/// Leaves an event: nobody here brings it into the log.
fn leave_event(house: &House, at: DateTime<Utc>) {
    let event = NewEvent::new(EventKind::ClockChecked, at, json!({}));
    let emitted = house.store.database.writer().write(move |tx| {
        tx.emit(event.clone());
        Ok::<_, schema::StoreFault>(())
    });
    emitted.unwrap();
}

#[test]
fn an_event_that_has_not_waited_for_long_stops_nothing() {
    let house = House::new(&Trouble::default());
    let (_, card) = house.card();
    leave_event(&house, Utc::now() - TimeDelta::seconds(30));
    assert_eq!(house.caller().post(APPLICATIONS, CMS, &house.application(&card, &house.challenge())).status, 202);
    assert_eq!(house.caller().get("/health/ready").body, json!({"status": "ready"}));
}

#[test]
fn while_events_wait_for_the_log_new_applications_are_refused_and_all_else_goes_on() {
    let house = House::new(&Trouble::default());
    let (_, card) = house.card();
    let caller = house.caller();
    let known = house.application(&card, &house.challenge());
    assert_eq!(caller.post(APPLICATIONS, CMS, &known).status, 202);

    leave_event(&house, Utc::now() - TimeDelta::seconds(61));
    let answer = caller.post(APPLICATIONS, CMS, &house.application(&card, &house.challenge()));
    assert_eq!((answer.status, answer.problem()), (503, "log_unavailable"), "{answer:?}");
    assert!(!answer.header("retry-after").is_empty());
    assert_described("post", APPLICATIONS, &answer);
    assert_eq!(house.store.database.reader().accepted_application_ids(10).unwrap().len(), 1, "it is not stored");
    // What came before is answered as before, and instructions are taken.
    assert_eq!(caller.post(APPLICATIONS, CMS, &known).status, 202);
    let end = HolderAction::End { certificates: CertificatesToEnd::All, reason: Reason::CessationOfOperation };
    let instruction = build_instruction(AUDIENCE, &house.challenge(), Signer::from(&card.signature), &end).unwrap();
    assert_eq!(caller.post("/v1/instructions", CMS, &instruction).status, 202);
    let ready = caller.get("/health/ready");
    assert_eq!((ready.status, &ready.body["status"]), (200, &json!("ready")));
    assert!(ready.body["warnings"][0].as_str().unwrap().starts_with("log_unavailable: "), "{ready:?}");
    assert_described("get", "/health/ready", &ready);
}

/// Refuses the first application that comes, as the CA role in another process would.
fn refuse_from_elsewhere(database: Database, code: &'static str) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let begin = Instant::now();
        loop {
            if let Some(application) = database.reader().accepted_applications(1).unwrap().into_iter().next() {
                let id = application.id;
                database.writer().write(move |tx| tx.refuse_application(id, code, "Refused by the test.", Utc::now())).unwrap();
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "no application came");
            std::thread::sleep(Duration::from_millis(5));
        }
    })
}

#[test]
fn an_accepted_application_is_kept_with_its_evidence_and_answers_the_same_again() {
    let house = House::new(&Trouble::default());
    let (_, card) = house.card();
    let cms = house.application(&card, &house.challenge());
    let caller = house.caller();
    let first = caller.post(APPLICATIONS, CMS, &cms);
    assert_eq!(first.status, 202, "{first:?}");
    assert_described("post", APPLICATIONS, &first);
    assert_eq!(first.header("location"), first.body["status_url"]);
    let again = caller.post(APPLICATIONS, CMS, &cms);
    assert_eq!((again.status, &again.body), (202, &first.body));

    let (place, token) = (first.body["status_url"].as_str().unwrap(), first.body["token"].as_str().unwrap());
    let asked = caller.try_get(place, &[("Tsunagi-Application-Token", token)]).unwrap();
    assert_eq!((asked.status, &asked.body), (202, &first.body));
    assert_described("get", "/v1/applications/{id}", &asked);
    let wrong = caller.try_get(place, &[("Tsunagi-Application-Token", &"A".repeat(43))]).unwrap();
    assert_eq!((wrong.status, wrong.problem()), (404, "application_unknown"));

    let stored = house.store.database.reader().accepted_applications(10).unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].cms, cms);
    assert!(matches!(stored[0].evidence.signature_status, StatusEvidence::Ocsp(_)));
    assert!(stored[0].evidence.authentication.is_some());
    assert_eq!(house.events(), []);
}

#[test]
fn a_decision_of_a_ca_in_another_process_is_learnt_while_waiting() {
    let house = House::new(&Trouble { decision_wait_ms: Some(15_000), ..Trouble::default() });
    let (_, card) = house.card();
    let cms = house.application(&card, &house.challenge());
    let ca = refuse_from_elsewhere(house.store.elsewhere(), "holder_has_live_certificate");
    let begin = Instant::now();
    let answer = house.caller().post(APPLICATIONS, CMS, &cms);
    assert_eq!((answer.status, answer.problem()), (409, "holder_has_live_certificate"));
    assert_described("post", APPLICATIONS, &answer);
    assert!(begin.elapsed() < Duration::from_secs(10), "the decision was not noticed: {:?}", begin.elapsed());
    ca.join().unwrap();
    let again = house.caller().post(APPLICATIONS, CMS, &cms);
    assert_eq!((again.status, again.problem()), (409, "holder_has_live_certificate"));
}

#[test]
fn the_same_octets_from_many_at_once_are_one_application() {
    let house = House::new(&Trouble::default());
    let (_, card) = house.card();
    let cms = house.application(&card, &house.challenge());
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| house.caller().post(APPLICATIONS, CMS, &cms))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer.status == 202 && answer.body == answers[0].body), "{answers:?}");
    assert_eq!(house.store.database.reader().accepted_applications(10).unwrap().len(), 1);
    assert_eq!(house.events(), []);
}

#[test]
fn a_challenge_serves_one_application_and_only_one_of_ours() {
    let house = House::new(&Trouble::default());
    let (_, card) = house.card();
    let caller = house.caller();
    let challenge = house.challenge();
    assert_eq!(caller.post(APPLICATIONS, CMS, &house.application(&card, &challenge)).status, 202);
    let second = caller.post(APPLICATIONS, CMS, &house.application(&card, &challenge));
    assert_eq!((second.status, second.problem()), (409, "challenge_spent"));

    let beacon = house.store.database.reader().latest_beacon().unwrap().unwrap();
    let foreign = ChallengeKey::new(&[8; 32]).issue(&beacon).unwrap().to_base64();
    let not_ours = caller.post(APPLICATIONS, CMS, &house.application(&card, &foreign));
    assert_eq!((not_ours.status, not_ours.problem()), (422, "challenge_not_ours"));
    assert_eq!(house.events(), [EventKind::ApplicationRejected, EventKind::ApplicationRejected]);
}

#[test]
fn an_old_challenge_leaves_one_event_however_many_applications_come_with_it() {
    let house = House::new(&Trouble::default());
    let (_, card) = house.card();
    let old = house.store.draw_beacon_at(6, Utc::now() - TimeDelta::hours(1));
    let (first, second) = (challenge_on(&old), challenge_on(&old));
    for challenge in [&first, &first, &first, &second] {
        let answer = house.caller().post(APPLICATIONS, CMS, &house.application(&card, challenge));
        assert_eq!((answer.status, answer.problem()), (422, "challenge_expired"));
        assert_described("post", APPLICATIONS, &answer);
    }
    assert_eq!(house.events(), [EventKind::ApplicationRejected, EventKind::ApplicationRejected]);
}

#[test]
fn the_answer_names_the_phone_and_what_was_left_behind_in_it() {
    let house = House::new(&Trouble::default());
    let (_, card) = house.card();
    let cas = OwnCas::new(&house.store);
    let (ended, lives) = (cas.issue(&house.store, 1, "an earlier owner"), cas.issue(&house.store, 2, "an earlier owner"));
    let mut wish = ApplyWish::new(AUDIENCE);
    let named = [ended.serial(CertificateKind::Signature), lives.serial(CertificateKind::Signature), "0A0B".to_owned()];
    wish.device.left_behind = named.clone().map(|serial| NamedCertificate { kind: Kind::Signature, serial }).to_vec();
    let cms = build_application(&card, &wish, &house.challenge()).unwrap().cms;
    let accepted = house.caller().post(APPLICATIONS, CMS, &cms);
    assert_eq!(accepted.status, 202, "{accepted:?}");

    let application = house.store.database.reader().accepted_applications(1).unwrap()[0].id;
    let (sample, device) = cas.sample(3, "holder", None);
    cas.issue_on(&house.store, &sample, application, None);
    let issued = house.caller().post(APPLICATIONS, CMS, &cms);
    assert_eq!(issued.status, 201, "{issued:?}");
    assert_described("post", APPLICATIONS, &issued);
    assert_eq!((&issued.body["device"], &issued.body["token"]), (&json!(device), &accepted.body["token"]));
    let left_behind = [(true, true), (true, false), (false, false)].iter().zip(&named);
    let left_behind =
        left_behind.map(|((ours, ended), serial)| json!({"kind": "signature", "serial": serial, "ours": ours, "ended": ended}));
    assert_eq!(issued.body["left_behind"], Value::Array(left_behind.collect()));
    let token = accepted.body["token"].as_str().unwrap();
    let asked = house.caller().try_get(accepted.header("location"), &[("Tsunagi-Application-Token", token)]).unwrap();
    assert_eq!((asked.status, &asked.body["device"]), (200, &json!(device)));
}

#[test]
fn a_card_lists_its_holders_certificates_and_orders_the_ending_of_all() {
    let house = House::new(&Trouble::default());
    let (_, card) = house.card();
    let phone = OwnCas::new(&house.store).issue(&house.store, 1, card.holder_id.as_deref().unwrap());
    let send = |action: &HolderAction| {
        let cms = build_instruction(AUDIENCE, &house.challenge(), Signer::from(&card.signature), action).unwrap();
        let answer = house.caller().post("/v1/instructions", CMS, &cms);
        assert_described("post", "/v1/instructions", &answer);
        answer
    };
    let listed = send(&HolderAction::List);
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_eq!(listed.body["outcome"]["certificates"][0]["serial"], phone.serial(CertificateKind::Signature));
    let all = send(&HolderAction::End { certificates: CertificatesToEnd::All, reason: Reason::CessationOfOperation });
    assert_eq!((all.status, all.body["state"].as_str()), (202, Some("waiting")), "{all:?}");
    let one = send(&HolderAction::End { certificates: CertificatesToEnd::ThisPhone, reason: Reason::CessationOfOperation });
    assert_eq!((one.status, one.problem()), (422, "instruction_action"));

    // A card that is known to have ended lists nothing.
    let signer = card_identity(&card);
    let event = CardEvent {
        event_id: "e1".to_owned(),
        issuer_key_id: signer.0,
        serial: signer.1,
        sequence: 1,
        change: CardChange::Revoked { reason: RevocationReason::KeyCompromise, at: Utc::now() },
        source: CardEventSource::Feed,
    };
    house.store.database.writer().write(move |tx| tx.apply_card_event(&event, &jpki(), Utc::now())).unwrap();
    let refused = send(&HolderAction::List);
    assert_eq!((refused.status, refused.problem()), (422, "card_revoked"));
}

/// The names by which back office and store know a card's signature certificate.
fn card_identity(card: &Card) -> (KeyIdentifier, SerialNumber) {
    let certificate = UnverifiedCardCertificate::parse(&card.signature.certificate).unwrap();
    let identity = certificate.identity();
    (identity.issuer_key_id.clone(), identity.serial.clone())
}

#[test]
fn a_revoked_card_is_refused_and_leaves_one_event_without_personal_data() {
    let house = House::new(&Trouble::default());
    let (card_id, card) = house.card();
    let revocation = RevocationRequest { kinds: vec![Kind::Signature], reason: Reason::KeyCompromise, at: None };
    house.office.revoke(&card_id, &revocation).unwrap();
    let cms = house.application(&card, &house.challenge());
    for _ in 0..3 {
        let answer = house.caller().post(APPLICATIONS, CMS, &cms);
        assert_eq!((answer.status, answer.problem()), (422, "card_revoked"));
    }
    assert_eq!(house.events(), [EventKind::ApplicationRejected]);
    let event = &house.store.database.reader().events_after(EventPosition(0), 10).unwrap()[0];
    assert_eq!(event.data.as_object().unwrap().keys().collect::<Vec<_>>(), ["application", "code"]);
}

#[test]
fn what_no_card_signed_leaves_no_event() {
    let house = House::new(&Trouble::default());
    let (_, card) = house.card();
    for deviation in
        [Deviation::Noise, Deviation::Truncated, Deviation::BrokenSignature, Deviation::TwoSigners, Deviation::WrongContentType]
    {
        let wish = ApplyWish::new(AUDIENCE);
        let cms = build_deviating_application(&card, &wish, &house.challenge(), deviation).unwrap();
        let answer = house.caller().post(APPLICATIONS, CMS, &cms);
        assert!((400..500).contains(&answer.status), "{deviation:?}: {answer:?}");
        assert!(!answer.problem().is_empty());
        assert_described("post", APPLICATIONS, &answer);
    }
    assert!(house.events().is_empty());
}

#[test]
fn the_crl_stands_in_where_ocsp_fails() {
    let house = House::new(&Trouble { no_ocsp: true, ..Trouble::default() });
    let (_, card) = house.card();
    let answer = house.caller().post(APPLICATIONS, CMS, &house.application(&card, &house.challenge()));
    assert_eq!(answer.status, 202, "{answer:?}");
    let stored = house.store.database.reader().accepted_applications(1).unwrap();
    assert!(matches!(stored[0].evidence.signature_status, StatusEvidence::Crl(_)));
}

#[test]
fn without_evidence_the_applicant_is_asked_to_come_again_and_nothing_is_stored() {
    for (trouble, code) in [
        (Trouble { no_ocsp: true, no_crl: true, ..Trouble::default() }, "card_status_unavailable"),
        (Trouble { wrong_token: true, ..Trouble::default() }, "back_office_unavailable"),
        // Nobody is asked anything when what is known of cards is too old.
        (Trouble { stale: true, no_ocsp: true, no_crl: true, wrong_token: true, ..Trouble::default() }, "card_evidence_stale"),
    ] {
        let house = House::new(&trouble);
        let (_, card) = house.card();
        let answer = house.caller().post(APPLICATIONS, CMS, &house.application(&card, &house.challenge()));
        assert_eq!((answer.status, answer.problem()), (503, code));
        assert!(!answer.header("retry-after").is_empty());
        assert_described("post", APPLICATIONS, &answer);
        assert!(house.events().is_empty());
    }
}
