//! A phone is lost. The call centre holds its certificates at any hour; the phone is told to lock its keys.

use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, Operator, OperatorAction, Target};
use sandbox::phone::{CommandAction, DeviceCommand};
use sandbox::reason::Reason;
use sandbox::relying_party::Status;
use serde_json::json;

use super::Set;
use super::holder::{Handset, holder_of, new_card};
use crate::demonstration::checks::{await_entry, await_status, demand, expect, failed};
use crate::failure::Failure;
use crate::output::time;

const TICKET: &str = "Called at 3 in the morning: left in a taxi.";

pub(super) fn play(set: &mut Set<'_>) -> Result<(), Failure> {
    let card = new_card(set.stage)?;
    let mut lost = Handset::enrol(set, &card, "push-token-of-a-lost-phone")?;
    set.keep_certificates("lost", &lost.phone.certificates)?;
    set.claim("a holder with a card and a phone: OCSP says good of both certificates");

    hold(set, &lost)?;
    for kind in Kind::ALL {
        let answer = await_status(set.stage, lost.of(kind)?, Status::is_on_hold)?;
        set.artifacts.write(&format!("ocsp-{kind}-held.der"), &answer.der)?;
        let Status::Revoked { at, .. } = answer.status else { return Err(Failure::other("OCSP changed its mind")) };
        let crl = await_entry(set.stage, lost.of(kind)?, Reason::CertificateHold)?;
        set.artifacts.write(&format!("crl-{kind}-held.crl"), &crl.der)?;
        set.claim(format!("OCSP and CRL: {kind} on hold since {}, certificateHold", time(at)));
    }
    lock(set, &mut lost)?;
    refuse_to_lift(set, &lost)?;

    let notices = set.await_notices(holder_of(&card)?, "certificate-held", &Kind::ALL)?;
    demand(notices.iter().all(|kept| ["ja", "en"].iter().all(|language| kept.notice.text.contains_key(*language))), "a language lacks")?;
    set.claim("the holder was told of both, by the back office and not through the phone, in Japanese and English");
    let history = set.stage.operator("auditor")?.history(&lost.of(Kind::Signature)?.serial).map_err(failed)?;
    let by = json!({ "who": "operator", "name": "call-centre", "role": "call-centre" });
    let tells = |entry: &serde_json::Value| entry["what"] == "certificate.held" && entry["by"] == by && entry["ticket"] == TICKET;
    demand(history["story"].as_array().is_some_and(|story| story.iter().any(tells)), "the history does not tell of the hold")?;
    set.claim(format!("its history tells who held it and why: \u{201c}{TICKET}\u{201d}"));
    Ok(())
}

/// The call centre's signed instruction; nobody else's will do.
fn hold(set: &mut Set<'_>, lost: &Handset) -> Result<(), Failure> {
    let hold = OperatorAction::Hold { target: Target::device(lost.device()?), cause: HoldCause::PhoneLost, ticket: TICKET.to_owned() };
    let by_the_auditor = set.stage.operator("auditor")?.instruct(&hold);
    demand(is_refused(&by_the_auditor, "role_not_allowed"), "an auditor may place a hold")?;
    let call_centre = set.stage.operator("call-centre")?;
    let cms = signed(&call_centre, &hold)?;
    set.artifacts.write("lost-phone-hold.cms", &cms)?;
    set.artifacts.write("operators-ca.pem", &set.stage.file("operators/client-ca.pem")?)?;
    let answer = expect("the call centre's hold", || call_centre.submit(&cms).ok().filter(|answer| answer.status != 202))?;
    let changed = answer.json["outcome"]["certificates"].as_array().cloned().unwrap_or_default();
    demand(changed.len() == 2 && changed.iter().all(|changed| changed["change"] == "held"), "the hold did not hold both certificates")?;
    set.claim("the call centre held the phone, by an instruction that it signed; signed by an auditor, the same is refused");
    Ok(())
}

fn lock(set: &mut Set<'_>, lost: &mut Handset) -> Result<(), Failure> {
    let commands = lost.await_commands(set.stage, 2)?;
    let is_lock = |(_, command): &(String, DeviceCommand)| command.action == CommandAction::Lock;
    demand(commands.iter().all(is_lock), "the phone is told something else than to lock")?;
    if let Some((letter, _)) = commands.first() {
        set.artifacts.write("lost-phone-lock.jws", letter.as_bytes())?;
    }
    let keys = set.stage.ra()?.command_keys().map_err(failed)?;
    set.artifacts.write_json("device-command-keys.json", &json!(keys))?;
    set.claim("lock commands reached the phone by push; it verified who signed them");
    lost.obey(set.stage, &commands)?;
    demand(Kind::ALL.iter().all(|kind| lost.phone.signer(*kind).is_err()), "a locked key still signs")?;
    set.claim("the phone locked both keys, and confirmed it with a key of its own");
    Ok(())
}

fn refuse_to_lift(set: &mut Set<'_>, lost: &Handset) -> Result<(), Failure> {
    let ticket = "Found under the seat.".to_owned();
    let lift = OperatorAction::Lift { target: Target::device(lost.device()?), cause: HoldCause::PhoneLost, ticket };
    let lifted = set.stage.operator("call-centre")?.instruct(&lift);
    demand(is_refused(&lifted, "hold_not_liftable"), "a hold was lifted")?;
    await_status(set.stage, lost.of(Kind::Authentication)?, Status::is_on_hold)?;
    set.claim("found again? JPKI's policy lifts no hold: refused, hold_not_liftable");
    Ok(())
}

fn signed(operator: &Operator, action: &OperatorAction) -> Result<Vec<u8>, Failure> {
    let challenge = operator.challenge().map_err(failed)?;
    operator.build(&challenge.challenge, action).map_err(failed)
}

fn is_refused<T>(result: &Result<T, sandbox::operator::OperatorFault>, code: &str) -> bool {
    result.as_ref().err().and_then(sandbox::operator::OperatorFault::code) == Some(code)
}
