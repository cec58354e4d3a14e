//! An erase command never arrives, for the app is gone. The revocation does not wait for it, and nobody forgets the phone.

use sandbox::fcm::{Behaviour, Fate};
use sandbox::kind::Kind;
use sandbox::phone::{CertificatesToEnd, HolderAction, Reply, instruct};
use sandbox::reason::Reason;
use sandbox::relying_party::Status;
use serde_json::Value;

use super::Set;
use super::holder::{Handset, new_card};
use crate::demonstration::checks::{await_entry, await_status, demand, expect, failed};
use crate::failure::Failure;

const PUSH_TOKEN: &str = "push-token-that-nobody-hears";

pub(super) fn play(set: &mut Set<'_>) -> Result<(), Failure> {
    let card = new_card(set.stage)?;
    let mut phone = Handset::enrol(set, &card, PUSH_TOKEN)?;
    set.stage.push.set_behaviour(PUSH_TOKEN, Behaviour::Dead);
    set.claim("a phone that no push reaches any more");

    let end = HolderAction::End { certificates: CertificatesToEnd::All, reason: Reason::CessationOfOperation };
    let name = &set.stage.settings.ra.name;
    let decision = instruct(&set.stage.ra()?, name, (&card.signature).into(), &end).map_err(failed)?;
    set.artifacts.write_json("end-all-answer.json", &decision.answer.json)?;
    for kind in Kind::ALL {
        let has_ended = |status: &Status| matches!(status, Status::Revoked { reason: Reason::CessationOfOperation, .. });
        await_status(set.stage, phone.of(kind)?, has_ended)?;
        await_entry(set.stage, phone.of(kind)?, Reason::CessationOfOperation)?;
    }
    set.claim("with the card the holder ended all: OCSP and CRL say so, and waited for no phone");

    let auditor = set.stage.operator("auditor")?;
    let device = phone.device()?.to_owned();
    let look = || auditor.device(&device).ok();
    let is_waiting = |seen: &Value| {
        let commands = seen["commands"].as_array().map_or(&[][..], Vec::as_slice);
        seen["push_dead"] == true && commands.len() == 2 && commands.iter().all(|command| command["state"] == "pending")
    };
    expect("the push service's word that the app is gone", || look().filter(is_waiting))?;
    let sent = set.stage.push.messages();
    let refused = sent.iter().filter(|message| message.token == PUSH_TOKEN).all(|message| message.fate == Fate::Refused { status: 404 });
    demand(refused, "the push service took a message to a phone that it does not know")?;
    set.claim("the push service does not know the phone (404, UNREGISTERED): the erase commands wait");

    let is_owed = || -> Result<bool, Failure> {
        let list = auditor.devices(true, None).map_err(failed)?;
        Ok(list["devices"].as_array().is_some_and(|devices| devices.iter().any(|listed| listed["device"] == device)))
    };
    demand(is_owed()?, "the list of phones that were never erased lacks it")?;
    set.claim("\u{201c}revoked but never erased\u{201d}, the operators' list, names the phone");

    let carried_out = phone.phone.check_in(&set.stage.ra()?, Reply::Signed).map_err(failed)?;
    demand(carried_out == 2 && phone.phone.certificates.is_empty(), "the phone did not erase both keys")?;
    expect("the confirmation of both", || look().filter(|seen| seen["erasure"] == "confirmed"))?;
    demand(!is_owed()?, "the list of phones that were never erased still has it")?;
    set.claim("the phone came back late, asked, erased its keys and confirmed it: off the list");
    Ok(())
}
