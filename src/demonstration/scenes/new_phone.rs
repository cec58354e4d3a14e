//! A new phone takes the place of a lost one, which is on hold; the old one is told to erase its keys.

use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, OperatorAction, Target};
use sandbox::phone::CommandAction;
use sandbox::reason::Reason;
use sandbox::relying_party::Status;

use super::Set;
use super::holder::{Handset, new_card};
use crate::demonstration::checks::{await_entry, await_status, demand, failed};
use crate::failure::Failure;
use crate::output::time;

pub(super) fn play(set: &mut Set<'_>) -> Result<(), Failure> {
    let card = new_card(set.stage)?;
    let mut old = Handset::enrol(set, &card, "push-token-of-an-old-phone")?;
    let hold = OperatorAction::Hold {
        target: Target::device(old.device()?),
        cause: HoldCause::PhoneLost,
        ticket: "Lost while travelling.".to_owned(),
    };
    set.stage.operator("call-centre")?.instruct(&hold).map_err(failed)?;
    let held = await_status(set.stage, old.of(Kind::Signature)?, Status::is_on_hold)?.status;
    let Status::Revoked { at: held_since, .. } = held else { return Err(Failure::other("OCSP changed its mind")) };
    set.claim(format!("a phone that was lost, on hold since {}", time(held_since)));

    // Seconds are what OCSP tells: the new phone comes in a later one, so that the dates can be told apart.
    std::thread::sleep(std::time::Duration::from_millis(1_050));
    let mut new = Handset::enrol(set, &card, "push-token-of-a-new-phone")?;
    set.keep_certificates("new", &new.phone.certificates)?;
    set.claim("from a new phone, with the card: new certificates, OCSP says good of both");
    for kind in Kind::ALL {
        let superseded = Status::Revoked { at: held_since, reason: Reason::Superseded };
        let answer = await_status(set.stage, old.of(kind)?, |status| *status == superseded)?;
        set.artifacts.write(&format!("ocsp-{kind}-superseded.der"), &answer.der)?;
        await_entry(set.stage, old.of(kind)?, Reason::Superseded)?;
    }
    set.keep_certificates("superseded", &old.phone.certificates)?;
    set.claim("OCSP and CRL: the old ones superseded, since the hold began; the held ones stood in nobody's way");

    let serials = [old.of(Kind::Authentication)?.serial.clone(), new.of(Kind::Authentication)?.serial.clone()];
    erase_the_old(set, &mut old, &mut new)?;
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    let answer = set.stage.operator("verifier")?.pseudonyms("a customer account", &serials).map_err(failed)?;
    let called = |index: usize| answer["pseudonyms"][index]["pseudonym"].as_str().map(str::to_owned);
    demand(called(0).is_some() && called(0) == called(1), "a verifier's name for the holder changed with the phone")?;
    set.claim("a verifier's pseudonym for the holder is the same with the new phone as with the old");
    Ok(())
}

fn erase_the_old(set: &mut Set<'_>, old: &mut Handset, new: &mut Handset) -> Result<(), Failure> {
    // It was told to lock its keys before.
    let commands = old.await_commands(set.stage, 4)?;
    let erased = commands.iter().filter(|(_, command)| command.action == CommandAction::Erase).count();
    demand(erased == 2, "the old phone is not told to erase both keys")?;
    old.obey(set.stage, &commands)?;
    demand(old.phone.certificates.is_empty(), "the old phone has keys")?;
    let asked = new.phone.commands(&set.stage.ra()?).map_err(failed)?;
    demand(asked.is_empty() && new.phone.certificates.len() == 2, "the new phone is told to erase")?;
    let auditor = set.stage.operator("auditor")?;
    demand(auditor.device(old.device()?).map_err(failed)?["erasure"] == "confirmed", "the erasure is not confirmed")?;
    set.claim("the old phone, when it was on again, erased its keys and confirmed it, signed; the new one was told nothing");
    Ok(())
}
