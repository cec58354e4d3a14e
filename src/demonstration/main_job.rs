//! The main job: from a card to a relying party, and the cascade.

use sandbox::back_office::RevocationRequest;
use sandbox::card::Card;
use sandbox::card_status::CertIdHash;
use sandbox::kind::Kind;
use sandbox::phone::{ApplyWish, Enrolled, Enrolment};
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspMethod, OcspWish, Status, ask_ocsp, fetch_crl, verify_issued_by};
use serde_json::json;

use super::Play;
use super::artifacts::Artifacts;
use super::checks::{await_entry, await_status, demand, failed, until};
use super::stage::Stage;
use crate::failure::Failure;
use crate::output::time;

/// The reason for which the card certificates end in this play.
const REASON: Reason = Reason::AffiliationChanged;

/// Plays it; `revoke` says whether the card is revoked.
pub(super) fn play(play: &mut Play, stage: &Stage, artifacts: &Artifacts, revoke: bool) -> Result<(), Failure> {
    let card = play.make_card(stage, artifacts)?;
    let enrolment = play.apply(stage, &card, artifacts)?;
    play.check_good(stage, &enrolment, artifacts)?;
    if revoke {
        play.revoke(stage, &card)?;
        play.check_revoked(stage, &enrolment, artifacts)?;
    }
    play.show_links(stage, &enrolment, &card, revoke, artifacts)
}

impl Play {
    fn make_card(&mut self, stage: &Stage, artifacts: &Artifacts) -> Result<Card, Failure> {
        let file = stage.back_office.new_card(&sandbox::back_office::NewCard::default()).map_err(failed)?;
        let card = Card::from_file(&file).map_err(failed)?;
        card.save(artifacts.directory()).map_err(failed)?;
        self.claim("a card: two RSA-2048 keys, certificates as JPKI issues them");
        Ok(card)
    }

    fn apply(&mut self, stage: &Stage, card: &Card, artifacts: &Artifacts) -> Result<Enrolment, Failure> {
        let ra = stage.ra()?;
        let enrolment = sandbox::phone::apply(&ra, card, &ApplyWish::new(&stage.settings.ra.name)).map_err(failed)?;
        enrolment.save(artifacts.directory()).map_err(failed)?;
        self.claim("the phone applied, the card signed: both smartphone certificates came back");
        for kind in Kind::ALL {
            let enrolled = certificate(&enrolment, kind)?;
            verify_issued_by(&enrolled.certificate, stage.ca(kind)).map_err(failed)?;
        }
        self.claim("each is signed by the CA of its kind and carries the phone's own key");
        let again = ra.submit(&enrolment.cms).map_err(failed)?;
        let first = enrolment.answers.last().map(|answer| answer.json.get("certificates"));
        demand(first == Some(again.json.get("certificates")), "the same application again got another answer")?;
        self.claim("the same application again: the same answer, nothing issued twice");
        Ok(enrolment)
    }

    fn check_good(&mut self, stage: &Stage, enrolment: &Enrolment, artifacts: &Artifacts) -> Result<(), Failure> {
        for kind in Kind::ALL {
            let enrolled = certificate(enrolment, kind)?;
            for (method, hash) in [(OcspMethod::Post, CertIdHash::Sha1), (OcspMethod::Get, CertIdHash::Sha256)] {
                let wish = OcspWish { method, hash, nonce: method == OcspMethod::Post, url: None };
                let answer = ask_ocsp(&enrolled.certificate, stage.ca(kind), &wish).map_err(failed)?;
                demand(answer.status == Status::Good, &format!("OCSP says {:?} of the {kind} certificate", answer.status))?;
                if method == OcspMethod::Post {
                    artifacts.write(&format!("ocsp-{kind}-before.der"), &answer.der)?;
                }
            }
            self.claim(format!("OCSP: good for {kind}, by POST with a nonce and by GET, SHA-1 and SHA-256"));
        }
        for kind in Kind::ALL {
            let enrolled = certificate(enrolment, kind)?;
            let crl = until(|| fetch_crl(&enrolled.certificate, stage.ca(kind)).ok())
                .ok_or_else(|| Failure::other(format!("no CRL for {kind}")))?;
            demand(crl.entry.is_none(), &format!("the CRL lists the {kind} certificate"))?;
            artifacts.write(&format!("crl-{kind}-before.crl"), &crl.der)?;
        }
        self.claim("the CRLs verify, cover the certificates, and do not list them");
        Ok(())
    }

    fn revoke(&mut self, stage: &Stage, card: &Card) -> Result<(), Failure> {
        let card_id = card.card_id.as_deref().ok_or_else(|| Failure::other("the card has no name"))?;
        let request = RevocationRequest { kinds: Kind::ALL.to_vec(), reason: REASON, at: None };
        let events = stage.back_office.revoke(card_id, &request).map_err(failed)?;
        demand(events.len() == 2, "the back office did not revoke both card certificates")?;
        self.claim(format!("the back office revoked both card certificates ({REASON}) and says so"));
        Ok(())
    }

    fn check_revoked(&mut self, stage: &Stage, enrolment: &Enrolment, artifacts: &Artifacts) -> Result<(), Failure> {
        for kind in Kind::ALL {
            let enrolled = certificate(enrolment, kind)?;
            let answer = await_status(stage, enrolled, |status| matches!(status, Status::Revoked { .. }))?;
            let Status::Revoked { at, reason } = answer.status else { return Err(Failure::other("OCSP changed its mind")) };
            demand(reason == REASON, &format!("OCSP gives the reason {reason}"))?;
            artifacts.write(&format!("ocsp-{kind}-after.der"), &answer.der)?;
            self.claim(format!("OCSP: revoked for {kind}, at {}, {reason}", time(at)));
        }
        for kind in Kind::ALL {
            let enrolled = certificate(enrolment, kind)?;
            let crl = await_entry(stage, enrolled, REASON)?;
            artifacts.write(&format!("crl-{kind}-after.crl"), &crl.der)?;
            self.claim(format!("the CRL for {kind}, number {}, lists it, {REASON}", crl.number));
        }
        Ok(())
    }

    fn show_links(
        &mut self,
        stage: &Stage,
        enrolment: &Enrolment,
        card: &Card,
        revoked: bool,
        artifacts: &Artifacts,
    ) -> Result<(), Failure> {
        let mut links = Vec::new();
        for kind in Kind::ALL {
            let link = stage.link(kind, &certificate(enrolment, kind)?.serial)?;
            let side = card.sides().find(|(side, _)| *side == kind).ok_or_else(|| Failure::other("the card lacks a half"))?.1;
            let digest = hex::encode(sandbox::keys::sha256(&side.certificate));
            demand(link.card_sha256 == digest, &format!("the {kind} certificate is linked to another card certificate"))?;
            demand(link.revoked == revoked, &format!("the store has another state for the {kind} certificate"))?;
            links.push(json!({ "kind": kind, "smartphone_serial": link.serial, "card_serial": link.card_serial, "card_sha256": digest }));
            self.claim(format!("linked: smartphone {kind} {} to card {kind} {}", link.serial, link.card_serial));
        }
        artifacts.write_json("links.json", &json!(links))
    }
}

fn certificate(enrolment: &Enrolment, kind: Kind) -> Result<&Enrolled, Failure> {
    enrolment.of(kind).ok_or_else(|| Failure::other(format!("no {kind} certificate came back")))
}
