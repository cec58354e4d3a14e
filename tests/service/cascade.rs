//! The cascade, from the back office to the relying party.

use std::time::{Duration, Instant};

use sandbox::back_office::RevocationRequest;
use sandbox::card::Card;
use sandbox::kind::Kind;
use sandbox::phone::{Enrolled, Enrolment};
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspWish, Status, ask_ocsp, fetch_crl};
use serde_json::Value;

use crate::support::{Installation, until};

/// So long that it does not come during a test.
const NEVER: &str = "3600";

pub(crate) fn comes_by_push(installation: &mut Installation) {
    follow(installation, NEVER, NEVER);
    let card = installation.card();
    let phone = installation.apply(&card);
    // One half: the other goes on.
    revoke(installation, &card, &[Kind::Authentication], Reason::CessationOfOperation);
    await_end(installation, &phone, Kind::Authentication, Reason::CessationOfOperation);
    assert_eq!(status(installation, phone.of(Kind::Signature).unwrap()), Status::Good);
    let began = Instant::now();
    revoke(installation, &card, &[Kind::Signature], Reason::KeyCompromise);
    await_end(installation, &phone, Kind::Signature, Reason::KeyCompromise);
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    until("the push is acknowledged", || (installation.back_office.pushed() == 2).then_some(()));

    // The same news again, and older news of the same card, change nothing.
    let before = installation.certificates();
    let http = installation.operator(Some(installation.identity("back-office")));
    let mut events = installation.back_office.events();
    events[0].reason = Some(Reason::KeyCompromise);
    events[1].sequence = 0;
    events[1].event_id = "late".to_owned();
    let body = serde_json::to_vec(&serde_json::json!({ "events": events })).unwrap();
    let url = format!("https://{}/v1/card-events", installation.operators);
    let answer = http.post(&url, &[], "application/json", &body).unwrap();
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &told["received"], &told["known"]), (200, &2.into(), &1.into()), "{told}");
    let reader = installation.reader();
    until("the late event is applied", || reader.unapplied_card_events(10).unwrap().is_empty().then_some(()));
    assert_eq!(installation.certificates(), before);
}

pub(crate) fn comes_by_the_feed_alone(installation: &mut Installation) {
    installation.back_office.set_push(None).unwrap();
    follow(installation, "1", NEVER);
    ends_by_itself(installation, Reason::AffiliationChanged);
}

pub(crate) fn comes_by_the_card_crl_alone(installation: &mut Installation) {
    follow(installation, NEVER, "1");
    ends_by_itself(installation, Reason::PrivilegeWithdrawn);
    // It was the CRL that told: the feed has not been read further since.
    let reader = installation.reader();
    let cursor = reader.feed_cursor("back-office").unwrap().unwrap();
    let (page, events) = (installation.back_office.client().unwrap().card_events(&cursor, 10).unwrap(), installation.back_office.events());
    assert_eq!(page.events, events[events.len() - 2..], "the feed was read after all");
}

fn ends_by_itself(installation: &Installation, reason: Reason) {
    let pushed = installation.back_office.pushed();
    let card = installation.card();
    let phone = installation.apply(&card);
    revoke(installation, &card, &Kind::ALL, reason);
    for kind in Kind::ALL {
        await_end(installation, &phone, kind, reason);
    }
    assert_eq!(installation.back_office.pushed(), pushed, "it was pushed after all");
}

/// Restarts with these times, in seconds, between two looks at the feed and at the card CRLs.
fn follow(installation: &mut Installation, feed: &str, card_crl: &str) {
    installation.set("ca.feed_seconds", feed);
    installation.set("ca.card_crl_seconds", card_crl);
    installation.restart();
    // A first look is taken when the lead is taken: let it pass, so that what comes later comes the way that is tested.
    let now = chrono::Utc::now();
    let reader = installation.reader();
    until("the CA leads", || reader.lease("ca").unwrap().filter(|lease| lease.expires_at > now));
    std::thread::sleep(Duration::from_millis(1_500));
}

fn revoke(installation: &Installation, card: &Card, kinds: &[Kind], reason: Reason) {
    let request = RevocationRequest { kinds: kinds.to_vec(), reason, at: None };
    let events = installation.back_office.revoke(card.card_id.as_deref().unwrap(), &request).unwrap();
    assert_eq!(events.len(), kinds.len());
}

/// Waits until OCSP, CRL and command line agree that it has ended, and why.
fn await_end(installation: &Installation, phone: &Enrolment, kind: Kind, reason: Reason) {
    let enrolled = phone.of(kind).unwrap();
    let number = |crl: &str| u64::from_str_radix(crl, 16).unwrap();
    let ca = installation.ca(kind);
    let before = fetch_crl(&enrolled.certificate, &ca).map_or(0, |crl| number(&crl.number));
    let at = until(&format!("OCSP says that {kind} is revoked"), || match status(installation, enrolled) {
        Status::Revoked { at, reason: told } => {
            assert_eq!(told, reason);
            Some(at)
        }
        _ => None,
    });
    let crl = until(&format!("the CRL lists {kind}"), || fetch_crl(&enrolled.certificate, &ca).ok().filter(|crl| crl.entry.is_some()));
    let entry = crl.entry.unwrap();
    assert_eq!((entry.at, entry.reason), (at, reason), "CRL and OCSP do not agree");
    assert!(number(&crl.number) >= before, "the CRL's number fell");
    let shown = installation.json(&["certificate", "show", &enrolled.serial]);
    assert_eq!(shown["revocation"]["reason"], reason.as_str(), "{shown}");
    assert_eq!(shown["link"]["card_revocation"]["reason"], reason.as_str(), "{shown}");
    let kinds: Vec<&str> = shown["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["certificate.issued", "certificate.revoked"], "{shown}");
}

fn status(installation: &Installation, enrolled: &Enrolled) -> Status {
    ask_ocsp(&enrolled.certificate, &installation.ca(enrolled.kind), &OcspWish::default()).unwrap().status
}
