//! A holder has one live or held certificate of each kind at most, at any time (docs/lifecycle.md).

use super::super::event::{CertificateData, Event};
use super::super::finding::Rule;
use super::super::table::Table;
use super::Scene;
use super::certificates::{State, Transition};

/// Of each holder a bit for each kind, and for what was issued: examples for relying parties, or certificates for somebody.
#[derive(Debug, Clone, Default)]
pub(super) struct Holders {
    bits: Table<u8>,
    /// Who holds the examples of each status; 0 where nobody does.
    examples: [u32; EXAMPLES.len()],
}

/// What there are examples of: each has one holder, who is nobody.
const EXAMPLES: [&str; 4] = ["good", "revoked", "held", "expired"];
const EXAMPLE: u8 = 4;
const SOMEBODY: u8 = 8;

impl Holders {
    pub(super) fn transition(&mut self, event: &Event<'_>, data: &CertificateData<'_>, transition: &Transition, scene: &mut Scene<'_>) {
        let certificate = &transition.certificate;
        if data.holder.is_none() || certificate.holder == 0 {
            scene.poorer(Rule::OneLive);
        }
        if certificate.holder == 0 {
            return;
        }
        let kind = if certificate.is_authentication { 2 } else { 1 };
        let stored = self.bits.read(certificate.holder);
        let mut held = stored;
        if event.kind() == "certificate.issued" {
            held |= self.issued(event, data, (certificate.holder, stored), scene);
        }
        // What nobody had heard of was live before something but its issuance happened to it.
        let is_new = !transition.before.counts() && certificate.state.counts();
        let was_there = transition.before == State::Unknown && event.kind() != "certificate.issued";
        if (is_new || was_there) && held & kind != 0 {
            let words = format!(
                "holder {} has a second {} certificate beside one that is live or held",
                certificate.holder,
                if certificate.is_authentication { "authentication" } else { "signature" }
            );
            scene.find(Rule::OneLive, event, words);
        }
        let after = match (certificate.state.counts(), transition.before.counts()) {
            (true, _) => held | kind,
            (false, true) => held & !kind,
            // It was the other one that was known.
            (false, false) => held,
        };
        if after != stored {
            let written = self.bits.write(certificate.holder, after, scene.room);
            scene.kept(Rule::OneLive, written);
        }
    }

    /// Whether it was issued as an example or for somebody: nobody has both, and each status has one holder of its examples.
    fn issued(&mut self, event: &Event<'_>, data: &CertificateData<'_>, (holder, held): (u32, u8), scene: &mut Scene<'_>) -> u8 {
        let (issued, other) = if data.test.is_some() { (EXAMPLE, SOMEBODY) } else { (SOMEBODY, EXAMPLE) };
        if held & other != 0 {
            scene.find(Rule::Accepted, event, format!("holder {holder} has examples for relying parties and certificates of somebody"));
        }
        if let Some(word) = data.test.as_deref() {
            match EXAMPLES.iter().position(|known| *known == word).map(|place| &mut self.examples[place]) {
                None => scene.find(Rule::Accepted, event, "it is said to be an example, of no status that there is"),
                Some(nobody) if *nobody == 0 => *nobody = holder,
                Some(nobody) if *nobody != holder => {
                    let words = format!("an example for holder {holder}, where those of its status are for holder {nobody}");
                    scene.find(Rule::Accepted, event, words);
                }
                Some(_) => {}
            }
        }
        issued
    }
}
