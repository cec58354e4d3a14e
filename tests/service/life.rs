//! The life of certificates through listeners and processes: who may bring what about, and what relying parties see of it.

use sandbox::back_office::{CardOrder, OrderDetail};
use sandbox::card::Card;
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, OperatorAction, OperatorFault, Target};
use sandbox::phone::Phone;
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspWish, Status, ask_ocsp, fetch_crl};
use serde_json::Value;

use crate::support::{Installation, until};

/// An installation's rules of life: JPKI's, but holds are lifted, and a released card lifts its own.
pub(crate) fn let_holds_be_lifted(installation: &mut Installation) {
    let directory = installation.scratch().join("policies");
    for (name, text) in policies::Policies::SHIPPED_DOCUMENTS {
        let lifting = text.replace("liftable = false", "liftable = true").replace("released = \"none\"", "released = \"lift\"");
        let is_lifecycle = lifting != text;
        let path = directory.join(if is_lifecycle { "lifecycle.toml" } else { name });
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, lifting).unwrap();
    }
    installation.set("policy_directory", directory.to_str().unwrap());
}

fn enrol(installation: &Installation) -> (Card, Phone) {
    let card = installation.card();
    let phone = Phone::apply(&installation.phone(), &card, &installation.wish()).unwrap();
    (card, phone)
}

fn order(installation: &Installation, card: &Card, order: CardOrder) {
    let detail = OrderDetail { pooled_keys: true, ..OrderDetail::default() };
    installation.back_office.order(card.card_id.as_deref().unwrap(), order, &detail).unwrap();
}

/// Waits until OCSP and CRL both say so of a certificate: good, or not, and for what reason.
fn await_status(installation: &Installation, phone: &Phone, kind: Kind, expected: Option<Reason>) {
    let certificate = &phone.of(kind).unwrap().certificate;
    let ca = installation.ca(kind);
    let reason = |status| match status {
        Status::Revoked { reason, .. } => Some(reason),
        Status::Good | Status::NeverIssued | Status::Unknown => None,
    };
    let ocsp = until(&format!("OCSP says {expected:?} of {kind}"), || {
        let answer = ask_ocsp(certificate, &ca, &OcspWish::default()).ok()?;
        (answer.status != Status::Unknown && reason(answer.status) == expected).then_some(answer.status)
    });
    let entry = until(&format!("the CRL says {expected:?} of {kind}"), || {
        let crl = fetch_crl(certificate, &ca).ok()?;
        (crl.entry.as_ref().map(|entry| entry.reason) == expected).then_some(crl.entry)
    });
    if let (Status::Revoked { at, .. }, Some(entry)) = (ocsp, entry) {
        assert_eq!(at, entry.at, "OCSP and CRL have other dates");
    }
}

fn await_both(installation: &Installation, phone: &Phone, expected: Option<Reason>) {
    Kind::ALL.iter().for_each(|kind| await_status(installation, phone, *kind, expected));
}

/// What happens to a card, as relying parties see it; under rules by which holds are lifted.
pub(crate) fn cards_are_held_and_released(installation: &Installation) {
    let (card, phone) = enrol(installation);
    await_both(installation, &phone, None);
    order(installation, &card, CardOrder::Hold);
    await_both(installation, &phone, Some(Reason::CertificateHold));
    order(installation, &card, CardOrder::Release);
    await_both(installation, &phone, None);
    order(installation, &card, CardOrder::RecordChange);
    await_status(installation, &phone, Kind::Signature, Some(Reason::AffiliationChanged));
    order(installation, &card, CardOrder::Death);
    await_status(installation, &phone, Kind::Authentication, Some(Reason::CessationOfOperation));
}

fn hold(phone: &Phone) -> OperatorAction {
    let target = Target::device(phone.device_id().unwrap());
    OperatorAction::Hold { target, cause: HoldCause::PhoneLost, ticket: "left in a train".to_owned() }
}

/// What people ask for, over both listeners.
pub(crate) fn people_are_obeyed_if_they_may(installation: &Installation) {
    let (_, phone) = enrol(installation);
    let revoke = OperatorAction::Revoke {
        target: Target::device(phone.device_id().unwrap()),
        reason: Reason::PrivilegeWithdrawn,
        invalid_since: None,
        ticket: "a mistake".to_owned(),
    };
    for (name, action) in [
        ("auditor", hold(&phone)),
        ("verifier", hold(&phone)),
        ("back-office", hold(&phone)),
        ("call-centre", revoke.clone()),
        ("call-centre", OperatorAction::RunSchedule { schedule: "expire".to_owned() }),
    ] {
        let refusal = installation.operator_named(name).instruct(&action).unwrap_err();
        assert_eq!(refusal.code(), Some("role_not_allowed"), "{name}, {action:?}: {refusal}");
    }
    await_both(installation, &phone, None);

    let desk = installation.operator_named("call-centre");
    assert_eq!(desk.instruct(&hold(&phone)).unwrap().state, "done");
    await_both(installation, &phone, Some(Reason::CertificateHold));
    let target = Target::device(phone.device_id().unwrap());
    desk.instruct(&OperatorAction::Lift { target, cause: HoldCause::PhoneLost, ticket: "found".to_owned() }).unwrap();
    await_both(installation, &phone, None);
    phone.end(&installation.phone(), Kind::Authentication, Reason::CessationOfOperation).unwrap();
    await_both(installation, &phone, Some(Reason::CessationOfOperation));
    let late = installation.operator_named("administrator").instruct(&revoke).unwrap_err();
    assert!(matches!(late, OperatorFault::Refused { status: 409 | 404 | 422, .. }), "{late}");
}

/// A schedule as the operators' listener shows it.
pub(crate) fn schedule(installation: &Installation, name: &str) -> Value {
    let shown = installation.operator_named("auditor").schedules().unwrap();
    let found = shown["schedules"].as_array().unwrap().iter().find(|schedule| schedule["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no schedule {name}: {shown}"))
}

/// Who derives certificates from cards must know how the cards stand: too long without news of them, nothing is issued. What ends
/// and is held, ends and is held all the same.
pub(crate) fn old_news_of_cards_stop_issuance_and_nothing_else(installation: &mut Installation) {
    let (_, phone) = enrol(installation);
    installation.set("ca.feed_seconds", "3600");
    installation.set("ca.evidence.feed_seconds", "1");
    installation.restart();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let refused = until("the news are too old", || {
        let refused = sandbox::phone::apply(&installation.phone(), &installation.card(), &installation.wish()).err()?;
        (refused.code() == Some("card_evidence_stale")).then_some(refused)
    });
    assert!(matches!(refused, sandbox::phone::PhoneFault::Refused { status: 503, .. }), "{refused}");
    installation.operator_named("call-centre").instruct(&hold(&phone)).unwrap();
    await_both(installation, &phone, Some(Reason::CertificateHold));
    installation.set("ca.feed_seconds", "1");
    installation.set("ca.evidence.feed_seconds", "3600");
    installation.restart();
    until("fresh news are enough again", || sandbox::phone::apply(&installation.phone(), &installation.card(), &installation.wish()).ok());
}

/// A second process on the same SQLite file would wake nobody of the first: it is turned away, and the first goes on.
pub(crate) fn a_second_process_is_turned_away(installation: &Installation) {
    let mut second = installation.start_role("second", &["ca"], None);
    until("the second process ends", || (!second.is_running()).then_some(()));
    let said = second.said();
    assert!(said.contains("another process serves this database"), "{said}");
    enrol(installation);
    // Whoever only looks is let in.
    assert!(!installation.certificates().is_empty());
}
