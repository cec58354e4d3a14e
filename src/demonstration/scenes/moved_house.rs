//! The holder moves house: what names the holder ends, the rest stays.

use sandbox::back_office::{CardOrder, OrderDetail};
use sandbox::kind::Kind;
use sandbox::phone::CommandAction;
use sandbox::reason::Reason;
use sandbox::relying_party::{Status, fetch_crl};
use serde_json::Value;

use super::Set;
use super::holder::{Handset, holder_of, new_card};
use crate::demonstration::checks::{await_entry, await_status, demand, expect, failed};
use crate::failure::Failure;

pub(super) fn play(set: &mut Set<'_>) -> Result<(), Failure> {
    let card = new_card(set.stage)?;
    let mut handset = Handset::enrol(set, &card, "push-token-of-a-mover")?;
    set.keep_certificates("mover", &handset.phone.certificates)?;
    set.claim("a holder with a card and a phone");

    let card_id = card.card_id.as_deref().ok_or_else(|| Failure::other("the card has no name"))?;
    let moved = OrderDetail { address: Some("東京都千代田区霞が関２丁目１番２号".to_owned()), ..OrderDetail::default() };
    set.stage.back_office.order(card_id, CardOrder::RecordChange, &moved).map_err(failed)?;
    let has_ended = |status: &Status| matches!(status, Status::Revoked { reason: Reason::AffiliationChanged, .. });
    let (signature, authentication) = (handset.of(Kind::Signature)?, handset.of(Kind::Authentication)?);
    let answer = await_status(set.stage, signature, has_ended)?;
    set.artifacts.write("ocsp-signature-moved.der", &answer.der)?;
    await_entry(set.stage, signature, Reason::AffiliationChanged)?;
    set.claim("the back office told of a new address: the signature certificate ended, affiliationChanged, says OCSP and CRL");
    let answer = await_status(set.stage, authentication, |status| *status == Status::Good)?;
    set.artifacts.write("ocsp-authentication-moved.der", &answer.der)?;
    // The very first list of this CA key may still be on its way.
    let ca = set.stage.ca(Kind::Authentication);
    let crl = expect("a CRL of the authentication certificate's CA", || fetch_crl(&authentication.certificate, ca).ok())?;
    demand(crl.entry.is_none(), "the CRL lists the authentication certificate")?;
    set.claim("the authentication certificate, which names nobody, stays: good in OCSP, not in the CRL");

    let commands = handset.await_commands(set.stage, 1)?;
    let is_meant = |action, kinds: &[Kind]| action == CommandAction::Erase && kinds == [Kind::Signature];
    for (_, command) in &commands {
        let kinds: Vec<Kind> = command.certificates.iter().map(|named| named.kind).collect();
        demand(is_meant(command.action, &kinds), "the phone is told something else than to erase the signature key")?;
    }
    handset.obey(set.stage, &commands)?;
    demand(handset.phone.of(Kind::Signature).is_none(), "the signature key is still there")?;
    set.claim("the phone erased the signature key and confirmed it");
    let list = handset.phone.list(&set.stage.ra()?, Kind::Authentication).map_err(failed)?;
    let states = |kind: Kind| {
        let listed = list.outcome["certificates"].as_array().into_iter().flatten();
        listed.filter(|one| one["kind"] == kind.as_str()).map(|one| one["state"].clone()).collect::<Vec<Value>>()
    };
    demand(states(Kind::Signature) == ["revoked"] && states(Kind::Authentication) == ["live"], "the list has other states")?;
    set.claim("with the authentication key the holder asked for the own certificates: one revoked, one live");
    set.await_notices(holder_of(&card)?, "certificate-revoked", &[Kind::Signature])?;
    set.claim("the holder was told, by the back office");
    Ok(())
}
