//! Each issuance has an application that was accepted before it and not decided: `application.accepted`, then the certificates, then
//! `application.issued`, in this order, once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Deserialize;

use super::super::event::{CertificateData, Event};
use super::super::finding::Rule;
use super::super::seen::Seen;
use super::super::table::Table;
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

#[derive(Debug, Clone, Default)]
pub(super) struct Applications {
    states: Table<ApplicationState>,
    /// What is accepted and not decided.
    waiting: HashMap<u32, Waiting>,
    /// Where one is judged that there is no room for.
    nowhere: Waiting,
    /// Messages that were accepted, keys that were certified and serial numbers that were given out: each once.
    seen: Seen,
}

/// An application that is accepted and not decided.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    /// The digest it is called by, if its acceptance is among the records.
    digest: Option<[u8; 32]>,
    /// A bit for each kind of certificate that was issued upon it.
    kinds: u8,
    /// For whom; 0 where nothing was issued.
    holder: u32,
}

/// What may be there once.
#[derive(Hash)]
enum Once<'a> {
    Message([u8; 32]),
    Key([u8; 32]),
    Serial(u64, &'a str),
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
        let Some(application) = row(Some(number)) else { return false };
        let before = self.states.read(application);
        let after = match kind {
            "application.accepted" => {
                let Some(digest) = data.digest.as_deref().and_then(digest) else { return false };
                if before != ApplicationState::Unknown {
                    scene.find(Rule::Accepted, event, format!("application {number} is accepted a second time"));
                }
                self.once(&Once::Message(digest), event, scene, || {
                    format!("application {number} is of a message that was accepted before")
                });
                self.wait(application, scene).digest = Some(digest);
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
    pub(super) fn issued(&mut self, event: &Event<'_>, data: &CertificateData<'_>, scene: &mut Scene<'_>) -> Option<Issuance> {
        let public_key_sha256 = data.public_key_sha256.as_deref().and_then(digest);
        match data.ca_key.zip(data.serial.as_deref()) {
            Some((ca_key, serial)) if is_serial(serial) => {
                let serial = serial.trim_start_matches('0').to_ascii_lowercase();
                self.once(&Once::Serial(ca_key, &serial), event, scene, || format!("its serial number {serial} was given out before"));
            }
            _ => scene.poorer(Rule::Accepted),
        }
        if data.test.is_some() {
            if event.content.application().is_some() || data.card.is_some() {
                scene.find(Rule::Accepted, event, "it is said to be an example, and names an application or a card");
            }
            return None;
        }
        match public_key_sha256 {
            Some(key) => self.once(&Once::Key(key), event, scene, || "its key was certified before".to_owned()),
            None => scene.lacks = true,
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
            None => {
                scene.find(Rule::Accepted, event, format!("a certificate was issued upon application {number}, which no store gives out"))
            }
        }
        let is_authentication = data.kind.as_deref() == Some("authentication");
        if let Some(application) = application {
            self.is_one_of_its_own(application, is_authentication, event, data, scene);
        }
        Some(Issuance { application: number, is_authentication, public_key_sha256 })
    }

    /// One certificate of a kind is issued upon an application, and all of them for one holder.
    fn is_one_of_its_own(
        &mut self,
        application: u32,
        is_authentication: bool,
        event: &Event<'_>,
        data: &CertificateData<'_>,
        scene: &mut Scene<'_>,
    ) {
        let (kind, holder) = (if is_authentication { 2 } else { 1 }, row(data.holder).unwrap_or(0));
        let waiting = self.wait(application, scene);
        if waiting.kinds & kind != 0 {
            scene.find(Rule::Accepted, event, format!("a second certificate of its kind was issued upon application {application}"));
        }
        if holder != 0 && waiting.holder != 0 && holder != waiting.holder {
            let words =
                format!("upon application {application} certificates were issued for holder {} and for holder {holder}", waiting.holder);
            scene.find(Rule::Accepted, event, words);
        }
        waiting.kinds |= kind;
        waiting.holder = if holder == 0 { waiting.holder } else { holder };
    }

    /// What is in mind of an application that waits.
    fn wait(&mut self, application: u32, scene: &mut Scene<'_>) -> &mut Waiting {
        let Self { waiting, nowhere, .. } = self;
        match waiting.entry(application) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => {
                let room = scene.room.take(WAITING_OCTETS);
                if scene.kept(Rule::Accepted, room).is_some() {
                    free.insert(Waiting::default())
                } else {
                    *nowhere = Waiting::default();
                    nowhere
                }
            }
        }
    }

    /// Finds what was there before.
    fn once(&mut self, what: &Once<'_>, event: &Event<'_>, scene: &mut Scene<'_>, words: impl FnOnce() -> String) {
        let again = self.seen.again(what, scene.room);
        if scene.kept(Rule::Accepted, again) == Some(true) {
            scene.find(Rule::Accepted, event, words());
        }
    }

    fn is_the_one(&self, application: Option<u32>, event: &Event<'_>, data: &CertificateData<'_>, scene: &mut Scene<'_>) {
        let accepted = application.and_then(|application| self.waiting.get(&application));
        match (accepted.and_then(|accepted| accepted.digest), data.application_sha256.as_deref().map(digest)) {
            (Some(accepted), Some(named)) if named != Some(accepted) => {
                scene.find(Rule::Accepted, event, "the certificate names another application than the one that was accepted");
            }
            (_, None) => scene.poorer(Rule::Accepted),
            _ => {}
        }
    }
}

/// Whether it is a serial number in hexadecimal digits, of 20 octets at most.
fn is_serial(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// A SHA-256 in hexadecimal digits.
pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    hex::decode_to_slice(text, &mut octets).ok()?;
    Some(octets)
}
