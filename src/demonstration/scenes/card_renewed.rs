//! The card is renewed: what hung on it ends, and the holder is invited to apply again.

use sandbox::back_office::{CardOrder, OrderDetail};
use sandbox::kind::Kind;
use sandbox::reason::Reason;
use sandbox::relying_party::Status;

use super::Set;
use super::holder::{Handset, holder_of, new_card, wish};
use crate::demonstration::checks::{await_entry, await_status, demand, failed};
use crate::failure::Failure;

const PUSH_TOKEN: &str = "push-token-of-one-with-a-renewed-card";

pub(super) fn play(set: &mut Set<'_>) -> Result<(), Failure> {
    let card = new_card(set.stage)?;
    let mut handset = Handset::enrol(set, &card, PUSH_TOKEN)?;
    set.keep_certificates("renewed-before", &handset.phone.certificates)?;
    set.claim("a holder with a card and a phone");

    let card_id = card.card_id.as_deref().ok_or_else(|| Failure::other("the card has no name"))?;
    let changed = set.stage.back_office.order(card_id, CardOrder::Renew, &OrderDetail::default()).map_err(failed)?;
    let file = changed.card.ok_or_else(|| Failure::other("the back office renewed nothing"))?;
    let renewed = card.renewed(&file).map_err(failed)?;
    for enrolled in &handset.phone.certificates {
        let has_ended = |status: &Status| matches!(status, Status::Revoked { reason: Reason::Superseded, .. });
        let answer = await_status(set.stage, enrolled, has_ended)?;
        set.artifacts.write(&format!("ocsp-{}-renewed.der", enrolled.kind), &answer.der)?;
        await_entry(set.stage, enrolled, Reason::Superseded)?;
    }
    set.claim("the card's certificates were renewed: both smartphone certificates ended, superseded, says OCSP and CRL");

    let notices = set.await_notices(holder_of(&card)?, "card-renewed", &Kind::ALL)?;
    set.artifacts.write_json("card-renewed-notices.json", &serde_json::json!(notices))?;
    let shown = notices.first().map(|kept| &kept.notice.text);
    let texts = shown.and_then(|text| Some((text.get("ja")?, text.get("en")?)));
    let (japanese, english) = texts.ok_or_else(|| Failure::other("a notice lacks a language"))?;
    set.claim("the holder was invited to apply again, in Japanese and English; the first of two notices:");
    set.play.show(&[&japanese.title, &japanese.body, &english.title, &english.body]);

    let with_the_old = sandbox::phone::apply(&set.stage.ra()?, &card, &wish(set.stage, PUSH_TOKEN));
    let refusal = with_the_old.as_ref().err().and_then(|fault| fault.code());
    demand(refusal == Some("card_revoked"), "the old card certificate still opens something")?;
    set.claim("the card's earlier certificate opens nothing any more: card_revoked");
    let ra = set.stage.ra()?;
    handset.phone.renew(&ra, &renewed, &wish(set.stage, PUSH_TOKEN)).map_err(failed)?;
    for kind in Kind::ALL {
        let enrolled = handset.of(kind)?;
        await_status(set.stage, enrolled, |status| *status == Status::Good)?;
        let link = set.stage.link(kind, &enrolled.serial)?;
        let side = renewed.sides().find(|(side, _)| *side == kind).ok_or_else(|| Failure::other("the card lacks a half"))?.1;
        demand(link.card_sha256 == hex::encode(sandbox::keys::sha256(&side.certificate)), "linked to another card certificate")?;
    }
    set.claim("with the renewed card the same phone applied again: good, and linked to the card's new certificates");
    Ok(())
}
