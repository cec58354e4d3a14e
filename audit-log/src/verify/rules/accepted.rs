//! Each issuance has an application that was accepted before it and not decided: `application.accepted`, then the certificates, then
//! `application.issued`, in this order, once.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use super::super::event::{CertificateData, Event};
use super::super::finding::Rule;
use super::super::table::Table;
use super::super::unjudged::Why;
use super::{Scene, row};

/// An issuance upon an application, for whoever knows what the application asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Issuance {
    /// The application's row number.
    pub(in super::super) application: u64,
    /// Whether the certificate is for authentication.
    pub(in super::super) is_authentication: bool,
    /// The SHA-256 of the certified SubjectPublicKeyInfo, if the record has it.
    pub(in super::super) public_key_sha256: Option<[u8; 32]>,
}

#[derive(Debug, Default)]
pub(super) struct Applications {
    states: Table<ApplicationState>,
    /// What is accepted and not decided, with the digest it is called by.
    waiting: HashMap<u32, [u8; 32]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum ApplicationState {
    #[default]
    Unknown,
    Accepted,
    Issued,
    Refused,
}

#[derive(Deserialize)]
struct ApplicationData<'a> {
    #[serde(borrow)]
    digest: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

/// What one more waiting application takes, about.
const WAITING_OCTETS: usize = 96;

impl Applications {
    /// An `application.*` event; whether it says what it has to.
    pub(super) fn event(&mut self, event: &Event<'_>, scene: &mut Scene<'_>) -> bool {
        let Some(data) = event.data::<ApplicationData<'_>>() else { return false };
        let kind = event.kind();
        if kind == "application.rejected" {
            return data.code.is_some();
        }
        let Some(number) = event.content.application() else { return false };
        let Some(application) = row(Some(number)) else {
            scene.unjudged.add(Rule::Accepted, Why::NoRoom);
            return true;
        };
        let before = self.states.read(application);
        let after = match kind {
            "application.accepted" => {
                let Some(digest) = data.digest.as_deref().and_then(digest) else { return false };
                if before != ApplicationState::Unknown {
                    scene.find(Rule::Accepted, event, format!("application {number} is accepted a second time"));
                }
                let room = scene.room.take(WAITING_OCTETS);
                if scene.kept(Rule::Accepted, room).is_some() {
                    self.waiting.insert(application, digest);
                }
                ApplicationState::Accepted
            }
            "application.issued" => ApplicationState::Issued,
            "application.refused" if data.code.is_some() => ApplicationState::Refused,
            "application.refused" => return false,
            _ => return true,
        };
        if after != ApplicationState::Accepted {
            match before {
                ApplicationState::Accepted => {}
                ApplicationState::Unknown => {
                    scene.unknown(Rule::Accepted, event, || format!("application {number} was decided and never accepted"));
                }
                _ => scene.find(Rule::Accepted, event, format!("application {number} was decided before")),
            }
            if self.waiting.remove(&application).is_some() {
                scene.room.give(WAITING_OCTETS);
            }
        }
        let written = self.states.write(application, after, scene.room);
        scene.kept(Rule::Accepted, written);
        true
    }

    /// A certificate was issued; upon which application, if it was upon one.
    pub(super) fn issued(&self, event: &Event<'_>, data: &CertificateData<'_>, scene: &mut Scene<'_>) -> Option<Issuance> {
        if data.test.is_some() {
            return None;
        }
        let Some(number) = event.content.application() else {
            scene.find(Rule::Accepted, event, "a certificate was issued upon no application");
            return None;
        };
        let application = row(Some(number));
        match application.map(|application| self.states.read(application)) {
            Some(ApplicationState::Accepted) => self.is_the_one(application, event, data, scene),
            Some(ApplicationState::Issued) => {
                scene.find(Rule::Accepted, event, format!("a certificate was issued upon application {number}, which was decided before"));
            }
            Some(ApplicationState::Refused) => {
                scene.find(Rule::Accepted, event, format!("a certificate was issued upon application {number}, which had been refused"));
            }
            Some(ApplicationState::Unknown) => {
                scene.unknown(Rule::Accepted, event, || {
                    format!("a certificate was issued upon application {number}, which was never accepted")
                });
            }
            None => scene.unjudged.add(Rule::Accepted, Why::NoRoom),
        }
        let is_authentication = data.kind.as_deref() == Some("authentication");
        Some(Issuance { application: number, is_authentication, public_key_sha256: data.public_key_sha256.as_deref().and_then(digest) })
    }

    fn is_the_one(&self, application: Option<u32>, event: &Event<'_>, data: &CertificateData<'_>, scene: &mut Scene<'_>) {
        let accepted = application.and_then(|application| self.waiting.get(&application));
        match (accepted, data.application_sha256.as_deref().map(digest)) {
            (Some(accepted), Some(named)) if named.as_ref() != Some(accepted) => {
                scene.find(Rule::Accepted, event, "the certificate names another application than the one that was accepted");
            }
            (Some(_), None) => scene.unjudged.add(Rule::Accepted, Why::PoorerRecord),
            _ => {}
        }
    }
}

/// A SHA-256 in hexadecimal digits.
pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    hex::decode_to_slice(text, &mut octets).ok()?;
    Some(octets)
}
