//! The demonstration: the main job, played with real cryptography on loopback, every claim checked by a relying party.

mod artifacts;
mod instructions;
mod stage;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sandbox::back_office::RevocationRequest;
use sandbox::card::Card;
use sandbox::card_status::CertIdHash;
use sandbox::kind::Kind;
use sandbox::phone::{ApplyWish, Enrolled, Enrolment, RaClient};
use sandbox::reason::Reason;
use sandbox::relying_party::{CrlAnswer, OcspAnswer, OcspMethod, OcspWish, Status, ask_ocsp, fetch_crl, verify_issued_by};
use serde_json::json;

use self::artifacts::Artifacts;
use self::stage::Stage;
use crate::failure::Failure;
use crate::output::{Output, time};

/// What the demonstration shall do.
pub(crate) struct Wish {
    /// Where everything is kept; a temporary directory without it.
    pub(crate) directory: Option<PathBuf>,
    /// Whether it goes on serving at the end.
    pub(crate) serve: bool,
    /// Whether the card is revoked.
    pub(crate) revoke: bool,
}

/// The reason for which the card certificates end in this play.
const REASON: Reason = Reason::AffiliationChanged;
/// How long the play waits for what should come within about a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays it. Fails at the first claim that does not hold.
pub(crate) fn play(wish: &Wish, output: Output) -> Result<(), Failure> {
    let mut play = Play { claims: Vec::new(), output, started: Instant::now(), step: Instant::now() };
    let stage = Stage::set(wish.directory.clone(), |claim| play.claim(claim))?;
    let artifacts = Artifacts::create(&stage)?;

    let card = play.make_card(&stage, &artifacts)?;
    let enrolment = play.apply(&stage, &card, &artifacts)?;
    play.check_good(&stage, &enrolment, &artifacts)?;
    if wish.revoke {
        play.revoke(&stage, &card)?;
        play.check_revoked(&stage, &enrolment, &artifacts)?;
    }
    play.show_links(&stage, &enrolment, &card, wish.revoke, &artifacts)?;
    play.end(&stage, wish)
}

/// The play as far as it has gone.
struct Play {
    claims: Vec<(String, Duration)>,
    output: Output,
    started: Instant,
    step: Instant,
}

impl Play {
    /// Records that something holds, with the time since the claim before.
    fn claim(&mut self, claim: impl Into<String>) {
        let took = self.step.elapsed();
        self.step = Instant::now();
        let claim = claim.into();
        if self.output == Output::Text {
            println!("  ok {:>8.1} ms  {claim}", took.as_secs_f64() * 1_000.0);
        }
        self.claims.push((claim, took));
    }

    fn make_card(&mut self, stage: &Stage, artifacts: &Artifacts) -> Result<Card, Failure> {
        let file = stage.back_office.new_card(&sandbox::back_office::NewCard::default()).map_err(failed)?;
        let card = Card::from_file(&file).map_err(failed)?;
        card.save(artifacts.directory()).map_err(failed)?;
        self.claim("a card: two RSA-2048 keys, certificates as JPKI issues them");
        Ok(card)
    }

    fn apply(&mut self, stage: &Stage, card: &Card, artifacts: &Artifacts) -> Result<Enrolment, Failure> {
        let ra = RaClient::new(&stage.ra_settings()?).map_err(failed)?;
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
        hold(first == Some(again.json.get("certificates")), "the same application again got another answer")?;
        self.claim("the same application again: the same answer, nothing issued twice");
        Ok(enrolment)
    }

    fn check_good(&mut self, stage: &Stage, enrolment: &Enrolment, artifacts: &Artifacts) -> Result<(), Failure> {
        for kind in Kind::ALL {
            let enrolled = certificate(enrolment, kind)?;
            for (method, hash) in [(OcspMethod::Post, CertIdHash::Sha1), (OcspMethod::Get, CertIdHash::Sha256)] {
                let wish = OcspWish { method, hash, nonce: method == OcspMethod::Post, url: None };
                let answer = ask_ocsp(&enrolled.certificate, stage.ca(kind), &wish).map_err(failed)?;
                hold(answer.status == Status::Good, &format!("OCSP says {:?} of the {kind} certificate", answer.status))?;
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
            hold(crl.entry.is_none(), &format!("the CRL lists the {kind} certificate"))?;
            artifacts.write(&format!("crl-{kind}-before.crl"), &crl.der)?;
        }
        self.claim("the CRLs verify, cover the certificates, and do not list them");
        Ok(())
    }

    fn revoke(&mut self, stage: &Stage, card: &Card) -> Result<(), Failure> {
        let card_id = card.card_id.as_deref().ok_or_else(|| Failure::other("the card has no name"))?;
        let request = RevocationRequest { kinds: Kind::ALL.to_vec(), reason: REASON, at: None };
        let events = stage.back_office.revoke(card_id, &request).map_err(failed)?;
        hold(events.len() == 2, "the back office did not revoke both card certificates")?;
        self.claim(format!("the back office revoked both card certificates ({REASON}) and says so"));
        Ok(())
    }

    fn check_revoked(&mut self, stage: &Stage, enrolment: &Enrolment, artifacts: &Artifacts) -> Result<(), Failure> {
        for kind in Kind::ALL {
            let enrolled = certificate(enrolment, kind)?;
            let revoked = |answer: &OcspAnswer| matches!(answer.status, Status::Revoked { .. });
            let answer = until(|| ask_ocsp(&enrolled.certificate, stage.ca(kind), &OcspWish::default()).ok().filter(revoked))
                .ok_or_else(|| Failure::other(format!("OCSP does not say revoked of the {kind} certificate")))?;
            let Status::Revoked { at, reason } = answer.status else { return Err(Failure::other("OCSP changed its mind")) };
            hold(reason == REASON, &format!("OCSP gives the reason {reason}"))?;
            artifacts.write(&format!("ocsp-{kind}-after.der"), &answer.der)?;
            self.claim(format!("OCSP: revoked for {kind}, at {}, {reason}", time(at)));
        }
        for kind in Kind::ALL {
            let enrolled = certificate(enrolment, kind)?;
            let listed = |crl: &CrlAnswer| crl.entry.is_some();
            let crl = until(|| fetch_crl(&enrolled.certificate, stage.ca(kind)).ok().filter(listed))
                .ok_or_else(|| Failure::other(format!("the CRL does not list the {kind} certificate")))?;
            let reason = crl.entry.map(|entry| entry.reason);
            hold(reason == Some(REASON), "the CRL gives another reason")?;
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
            hold(link.card_sha256 == digest, &format!("the {kind} certificate is linked to another card certificate"))?;
            hold(link.revoked == revoked, &format!("the store has another state for the {kind} certificate"))?;
            links.push(json!({ "kind": kind, "smartphone_serial": link.serial, "card_serial": link.card_serial, "card_sha256": digest }));
            self.claim(format!("linked: smartphone {kind} {} to card {kind} {}", link.serial, link.card_serial));
        }
        artifacts.write_json("links.json", &json!(links))
    }

    fn end(&self, stage: &Stage, wish: &Wish) -> Result<(), Failure> {
        let total = self.started.elapsed();
        if self.output == Output::Json {
            let claims: Vec<_> =
                self.claims.iter().map(|(claim, took)| json!({ "claim": claim, "milliseconds": took.as_secs_f64() * 1_000.0 })).collect();
            let result = json!({ "claims": claims, "seconds": total.as_secs_f64(), "directory": stage.directory() });
            self.output.print(&result, |_| String::new())?;
        } else {
            println!("\n{} claims, all checked, in {:.1} s.", self.claims.len(), total.as_secs_f64());
            if wish.directory.is_some() {
                println!("Everything is in {}; what outsiders would look at in its artifacts/.", stage.directory().display());
            }
        }
        if wish.serve {
            println!("{}", instructions::text(stage, wish.revoke));
            crate::command::serve::wait_for_signal()?;
        }
        Ok(())
    }
}

fn certificate(enrolment: &Enrolment, kind: Kind) -> Result<&Enrolled, Failure> {
    enrolment.of(kind).ok_or_else(|| Failure::other(format!("no {kind} certificate came back")))
}

fn hold(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::other(format!("a claim does not hold: {otherwise}"))) }
}

/// Looks until there is something to see, or patience ends.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn failed(fault: impl std::fmt::Display) -> Failure {
    Failure::other(fault.to_string())
}
