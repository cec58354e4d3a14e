//! The phone and the load generator against a registration authority that believes everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::believing_ra::BelievingRa;
use common::{back_office, card};
use sandbox::keys::KeyAlgorithm;
use sandbox::kind::Kind;
use sandbox::load::{self, LoadFault, LoadSettings};
use sandbox::phone::{ApplyWish, PhoneFault, RaClient, apply};

#[test]
fn a_phone_gets_certificates_for_its_keys() {
    let office = back_office(1);
    let card = card(&office);
    let ra = RaClient::new(&BelievingRa::start(false).settings).unwrap();
    for key_algorithm in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa2048] {
        let wish = ApplyWish { key_algorithm, ..ApplyWish::new("Believing RA") };
        let enrolment = apply(&ra, &card, &wish).unwrap();
        assert_eq!(enrolment.certificates.len(), 2);
        assert_eq!(enrolment.answers.len(), 1);
        let directory = tempfile::tempdir().unwrap();
        enrolment.save(directory.path()).unwrap();
        for kind in Kind::ALL {
            let certificate = format!("phone-{kind}.pem");
            let key = format!("phone-{kind}.key.pem");
            let certified = common::openssl(directory.path(), &["x509", "-in", &certificate, "-noout", "-pubkey"]);
            assert_eq!(certified, common::openssl(directory.path(), &["pkey", "-in", &key, "-pubout"]));
        }
    }
}

#[test]
fn a_phone_waits_with_its_token_when_the_answer_takes_time() {
    let office = back_office(1);
    let ra = RaClient::new(&BelievingRa::start(true).settings).unwrap();
    let enrolment = apply(&ra, &card(&office), &ApplyWish::new("Believing RA")).unwrap();
    assert_eq!(enrolment.answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [202, 200]);
}

#[test]
fn a_refusal_comes_with_its_code() {
    let office = back_office(1);
    let ra = RaClient::new(&BelievingRa::start(false).settings).unwrap();
    let refused = apply(&ra, &card(&office), &ApplyWish::new("Another RA")).unwrap_err();
    assert_eq!(refused.code(), Some("wrong_audience"));
    assert!(matches!(refused, PhoneFault::Refused { status: 403, .. }));
    assert!(matches!(ra.ask_again("https://elsewhere.example/", "token"), Err(PhoneFault::Answer(_))), "the token is shown to nobody else");
}

#[test]
fn the_load_generator_counts_what_came_back() {
    let office = back_office(1);
    let ra = BelievingRa::start(true);
    let mut settings = LoadSettings::new(ra.settings, "Believing RA", office.client().unwrap());
    settings.applications = 24;
    settings.clients = vec![1, 6];
    let told = std::sync::Mutex::new(Vec::new());
    let report = load::run(&settings, &|progress| told.lock().unwrap().push(progress)).unwrap();
    assert_eq!(report.steps.len(), 2);
    for step in &report.steps {
        assert_eq!((step.issued, step.certificates, step.waited), (24, 48, 24));
        assert!(step.errors.is_empty() && step.applications_per_second > 0.0 && step.p99_ms >= step.p50_ms);
    }
    assert!(report.is_clean());
    assert!(told.lock().unwrap().iter().any(|progress| progress.phase == load::Phase::Driving && progress.done == progress.total));
    assert_eq!(report.to_json()["steps"][1]["clients"], 6);
    assert_eq!(report.to_table().lines().count(), 3);
    settings.audience = "Another RA".to_owned();
    settings.clients = vec![2];
    let report = load::run(&settings, &|_| {}).unwrap();
    assert_eq!(report.steps[0].errors.get("wrong_audience"), Some(&24));
    assert!(!report.is_clean());
}

#[test]
fn the_load_generator_leaves_other_hosts_alone() {
    let office = back_office(1);
    let mut ra = BelievingRa::start(false).settings;
    ra.url = "https://192.0.2.1".to_owned();
    let settings = LoadSettings::new(ra, "Believing RA", office.client().unwrap());
    assert!(matches!(load::run(&settings, &|_| {}), Err(LoadFault::Settings(_))));
}
