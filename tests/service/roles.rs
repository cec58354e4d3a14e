//! Each role as a process of its own, on one PostgreSQL.
#![cfg(feature = "postgres")]

use std::time::Duration;

use sandbox::back_office::RevocationRequest;
use sandbox::kind::Kind;
use sandbox::phone::{Application, Enrolment, RaAnswer, RaClient, build_application};
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspWish, Status, ask_ocsp, fetch_crl};

use crate::life;
use crate::support::{Installation, PATIENCE, Store, free_addresses, until, until_within};

/// More than a dead CA's lead lasts.
const SUCCESSION: Duration = Duration::from_secs(45);

pub(crate) fn work_together_as_processes_of_their_own() {
    let mut installation = Installation::prepare(Store::Postgres);
    installation.set("ra.limits.listener.requests_per_second", "0");
    installation.set("ra.limits.decision_wait_ms", "500");
    let [ra_telemetry, status_telemetry] = free_addresses();
    let mut ca = installation.start_role("ca", &["ca"], None);
    let _ra = installation.start_role("ra", &["ra"], Some(ra_telemetry));
    let _status = installation.start_role("status", &["status"], Some(status_telemetry));
    installation.await_ready(ra_telemetry);
    installation.await_ready(status_telemetry);
    installation.await_beacon();
    installation.back_office.set_push(Some(&installation.push_target())).unwrap();

    let card = installation.card();
    let first = installation.apply(&card);
    for enrolled in &first.certificates {
        let answer = ask_ocsp(&enrolled.certificate, &installation.ca(enrolled.kind), &OcspWish::default()).unwrap();
        assert_eq!(answer.status, Status::Good);
        until("the CA process publishes CRLs", || fetch_crl(&enrolled.certificate, &installation.ca(enrolled.kind)).ok());
    }

    // The CA is killed while applications pour in; what was acknowledged, accepted or issued, stays so.
    let phone = installation.phone();
    let mut waiting: Vec<(Application, RaAnswer)> = Vec::new();
    for number in 0..12 {
        if number == 6 {
            ca.kill();
        }
        let challenge = phone.challenge().unwrap().challenge;
        let application = build_application(&installation.card(), &installation.wish(), &challenge).unwrap();
        let answer = phone.submit(&application.cms).unwrap();
        assert!(matches!(answer.status, 201 | 202), "{}", answer.text);
        waiting.push((application, answer));
    }
    assert_eq!(waiting.last().unwrap().1.status, 202, "somebody else has issued");
    let request = RevocationRequest { kinds: Kind::ALL.to_vec(), reason: Reason::CessationOfOperation, at: None };
    installation.back_office.revoke(card.card_id.as_deref().unwrap(), &request).unwrap();
    until("the RA takes the news while there is no CA", || (installation.back_office.pushed() == 2).then_some(()));

    let _successor = installation.start_role("ca", &["ca"], None);
    let mut serials: Vec<String> = first.certificates.iter().map(|enrolled| enrolled.serial.clone()).collect();
    for (application, answer) in waiting {
        let issued = decision(&phone, &application, answer);
        let enrolment = Enrolment::read(application, vec![issued]).unwrap();
        serials.extend(enrolment.certificates.iter().map(|enrolled| enrolled.serial.clone()));
    }
    for enrolled in &first.certificates {
        let ca = installation.ca(enrolled.kind);
        let revoked = || match ask_ocsp(&enrolled.certificate, &ca, &OcspWish::default()).unwrap().status {
            Status::Revoked { reason, .. } => Some(reason),
            _ => None,
        };
        assert_eq!(until_within(PATIENCE, "the successor carries on the cascade", revoked), Reason::CessationOfOperation);
    }
    // Nothing was issued twice: but for the service's own, with which relying parties try their checks, the list has exactly what the
    // phones have.
    let listed = installation.certificates();
    let held = listed.iter().filter(|one| one["test"] == false);
    let mut listed: Vec<String> = held.map(|one| one["serial"].as_str().unwrap().to_owned()).collect();
    serials.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, serials);
}

/// Two processes of the CA, of which one leads.
pub(crate) fn hold_and_release_as_processes_of_their_own() {
    let mut installation = Installation::prepare(Store::Postgres);
    installation.set("ra.limits.listener.requests_per_second", "0");
    installation.set("ca.schedules.expire", "* * * * * *");
    life::let_holds_be_lifted(&mut installation);
    let [ra_telemetry, status_telemetry] = free_addresses();
    let mut first = installation.start_role("ca-1", &["ca"], None);
    let _ra = installation.start_role("ra", &["ra"], Some(ra_telemetry));
    let _status = installation.start_role("status", &["status"], Some(status_telemetry));
    installation.await_ready(ra_telemetry);
    installation.await_ready(status_telemetry);
    installation.await_beacon();
    let leader = installation.reader().lease("ca").unwrap().unwrap();
    let second = installation.start_role("ca-2", &["ca"], None);
    installation.back_office.set_push(Some(&installation.push_target())).unwrap();

    life::cards_are_held_and_released(&installation);
    life::people_are_obeyed_if_they_may(&installation);

    // All of that was the first one's work, and what is regular, too: it still leads, as it did from the beginning.
    let reader = installation.reader();
    let lease = reader.lease("ca").unwrap().unwrap();
    assert_eq!((&lease.owner, lease.epoch), (&leader.owner, leader.epoch));
    assert!(first.said().contains("CRL published"), "{}", first.said());
    assert!(!second.said().contains("CRL published"), "{}", second.said());
    // Stopped in good order it gives up the lead, and the second goes on with all of it.
    assert!(first.stop().success());
    until("the second process leads", || reader.lease("ca").unwrap().filter(|lease| lease.owner != leader.owner));
    let stopped = chrono::Utc::now();
    until("the second one keeps what is regular", || {
        let finished = life::schedule(&installation, "expire")["last_finished_at"].as_str()?.parse::<chrono::DateTime<chrono::Utc>>();
        (finished.unwrap() > stopped).then_some(())
    });
    life::people_are_obeyed_if_they_may(&installation);
}

/// Asks with the token until the CA has decided, and for the same again by sending the same octets.
fn decision(phone: &RaClient, application: &Application, answer: RaAnswer) -> RaAnswer {
    if answer.status == 201 {
        return answer;
    }
    let (place, token) = (answer.text_of("status_url").unwrap(), answer.text_of("token").unwrap());
    let wrong = phone.ask_again(place, &"A".repeat(43)).unwrap();
    assert_eq!((wrong.status, wrong.code()), (404, "application_unknown"), "another token opens it");
    let issued = until_within(SUCCESSION, "the successor decides", || {
        let answer = phone.ask_again(place, token).unwrap();
        assert!(matches!(answer.status, 200 | 202), "{}", answer.text);
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(phone.submit(&application.cms).unwrap().json, issued.json);
    issued
}
