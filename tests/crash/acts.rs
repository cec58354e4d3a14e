//! What a CA does in the life of certificates until it is killed.

use std::path::Path;
use std::sync::Arc;

use ca_core::digest::Sha256Digest;
use ca_core::lifecycle::{Command, HoldCause};
use chrono::Utc;
use policies::LifecyclePolicy;
use push::{FcmClient, PushSettings};
use schema::change::{Order, Origin, Target};
use schema::instruction::Decision;
use schema::{Pending, StoreFault};
use serde_json::json;

use crate::mortal::{At, Mortal, MortalPush};
use crate::rooms::child::die;
use crate::rooms::{Ca, CaWish, Outfit};

fn ca(outfit: &Outfit, wish: CaWish) -> Ca {
    outfit.ca(CaWish { name: "to be killed".to_owned(), ..wish }).leading()
}

pub(crate) fn instruction_verified(outfit: &Outfit) {
    let back_office = Some(Mortal::back_office(outfit, At::CardsLookedUp));
    ca(outfit, CaWish { back_office, ..CaWish::named("") }).role.take_instructions().unwrap();
}

pub(crate) fn instruction_uncommitted(outfit: &Outfit, digest: &str, challenge: &[u8], device: &str) {
    let ca = ca(outfit, CaWish::named(""));
    let digest = Sha256Digest::from_hex(digest).unwrap();
    let challenge: [u8; 48] = challenge.try_into().unwrap();
    let origin = Origin::Operator { name: "alice".to_owned(), role: "call-centre".to_owned() };
    let order = Order { origin: origin.clone(), instruction: Some(digest) };
    let targets = [Target::Device(device.to_owned())];
    let lease = ca.lease();
    let pending: Pending<(), StoreFault> = ca.database.writer().submit(move |tx| {
        let (policy, now) = (LifecyclePolicy::jpki().unwrap(), Utc::now());
        tx.check_lease(&lease)?;
        tx.redeem_challenge(&challenge, now).unwrap();
        let hold = Command::Hold { cause: HoldCause::PhoneLost };
        assert_eq!(tx.change_certificates(&targets, &hold, &policy, &order, now).unwrap().len(), 2);
        tx.decide_instruction(&digest, &Decision::Done(json!({})), Some(&origin), now).unwrap();
        die();
        Ok(())
    });
    pending.wait().unwrap();
}

pub(crate) fn instructions_done(outfit: &Outfit) {
    assert_eq!(ca(outfit, CaWish::named("")).role.take_instructions().unwrap(), 1);
    die();
}

pub(crate) fn holders_told(outfit: &Outfit) {
    let back_office = Some(Mortal::back_office(outfit, At::NoticesTaken));
    let ca = ca(outfit, CaWish { back_office, ..CaWish::named("") });
    while ca.role.follow_notices().unwrap() > 0 {}
    ca.role.tell_holders().unwrap();
}

pub(crate) fn command_sent(outfit: &Outfit, url: &str, project: &str, token_file: &Path) {
    let settings = PushSettings { url: url.to_owned(), ..PushSettings::new(project, token_file) };
    let push = Some(Arc::new(MortalPush(FcmClient::new(&settings).unwrap())) as _);
    let ca = ca(outfit, CaWish { push, ..CaWish::named("") });
    while ca.role.follow_commands().unwrap() > 0 {}
    ca.role.send_commands().unwrap();
}

pub(crate) fn batch_page(outfit: &Outfit, committed: bool) {
    let ca = ca(outfit, CaWish::named(""));
    let [batch] = <[_; 1]>::try_from(ca.database.reader().batches_running().unwrap()).unwrap();
    let lease = ca.lease();
    let pending: Pending<(), StoreFault> = ca.database.writer().submit(move |tx| {
        tx.check_lease(&lease)?;
        tx.advance_batch(batch, 1, &LifecyclePolicy::jpki().unwrap(), Utc::now())?;
        if !committed {
            die();
        }
        Ok(())
    });
    pending.wait().unwrap();
    die();
}
