//! A holder has one live or held certificate of each kind at most, at any time (docs/lifecycle.md).

use super::super::event::Event;
use super::super::finding::Rule;
use super::super::table::Table;
use super::super::unjudged::Why;
use super::Scene;
use super::certificates::{State, Transition};

/// Of each holder a bit for each kind.
#[derive(Debug, Default)]
pub(super) struct Holders(Table<u8>);

impl Holders {
    pub(super) fn transition(&mut self, event: &Event<'_>, transition: &Transition, scene: &mut Scene<'_>) {
        let certificate = &transition.certificate;
        if certificate.holder == 0 {
            scene.unjudged.add(Rule::OneLive, Why::PoorerRecord);
            return;
        }
        let kind = if certificate.is_authentication { 2 } else { 1 };
        let held = self.0.read(certificate.holder);
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
        if after != held {
            let written = self.0.write(certificate.holder, after, scene.room);
            scene.kept(Rule::OneLive, written);
        }
    }
}
