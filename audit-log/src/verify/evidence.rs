//! No issuance without a card's signature: each certificate's key is one that a card-signed message asked for. The messages come encrypted to
//! the auditor; who judges them is given from outside, for nothing here knows CMS or certificates.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::export::{Evidence, EvidenceReader, Identities, Part};
use crate::hash::sha256;

use super::event::Event;
use super::finding::{Findings, Place, Rule};
use super::rules::Issuance;
use super::unjudged::{Unjudged, Why};

/// Who judges card-signed messages.
pub trait EvidenceJudge {
    /// Verifies the message as it had to be verified when it was accepted: the card's signature, the path of its certificate to a given
    /// card CA. Returns the keys that it asks to be certified.
    ///
    /// # Errors
    /// Why it does not hold, in words without personal data.
    fn judge(&self, evidence: &Evidence, accepted_at: DateTime<Utc>) -> Result<Vec<AskedKey>, String>;
}

/// A key that a message asks to be certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedKey {
    /// Whether for authentication; else for signature.
    pub is_authentication: bool,
    /// The SHA-256 of its SubjectPublicKeyInfo in DER.
    pub public_key_sha256: [u8; 32],
}

/// What evidence is opened and judged with.
pub struct EvidenceMeans<'a> {
    /// What opens it.
    pub identities: &'a Identities,
    /// Who judges it.
    pub judge: &'a dyn EvidenceJudge,
}

/// How much was judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EvidenceCounts {
    /// Card-signed messages that were judged.
    pub messages: u64,
    /// Certificates of which a card signed for the key.
    pub proved: u64,
}

/// The most octets of a message: the CA role takes none that is longer.
const MESSAGE_OCTETS: usize = 65_536;

/// What is kept in mind of messages whose applications are not decided yet.
const WAITING: usize = 100_000;

/// The evidence of an export, read beside its records.
pub(super) struct Witnessing<'a> {
    means: &'a EvidenceMeans<'a>,
    judged: HashMap<u64, Message>,
    counts: EvidenceCounts,
    source: Option<Source>,
    /// Why it is not known what all applications were that wait: some were accepted where no evidence was read, or there are too many.
    unread: Option<Why>,
}

/// The message of an application that was accepted and is not decided.
enum Message {
    /// It is not with the export.
    Missing,
    /// What it asks for, or why it does not hold.
    Judged(Result<Vec<AskedKey>, String>),
}

/// A part's file as it is read.
struct Source {
    place: Place,
    /// How many messages it should have, and how many it had.
    signed: u64,
    read: u64,
    reader: EvidenceReader<Box<dyn Read>>,
    next: Option<Evidence>,
}

#[derive(Deserialize)]
struct AcceptedData<'a> {
    #[serde(borrow)]
    digest: Cow<'a, str>,
}

impl<'a> Witnessing<'a> {
    pub(super) fn new(means: &'a EvidenceMeans<'a>) -> Self {
        Self { means, judged: HashMap::new(), counts: EvidenceCounts::default(), source: None, unread: None }
    }

    /// Records follow, or came before, whose evidence is not read.
    pub(super) fn unread(&mut self, why: Why) {
        self.unread.get_or_insert(why);
    }

    pub(super) fn counts(&self) -> EvidenceCounts {
        self.counts
    }

    /// A part begins.
    pub(super) fn begin(&mut self, directory: &Path, part: &Part, place: &Place, findings: &mut Findings) {
        self.source = None;
        let Some(file) = &part.evidence else { return };
        let place = place.file(&file.file.name);
        let opened = match File::open(directory.join(&file.file.name)) {
            Ok(opened) => opened,
            // That it is not there is found with the other files.
            Err(_) => return,
        };
        let bounded: Box<dyn Read> = Box::new(BufReader::new(opened.take(file.file.octets)));
        match EvidenceReader::new(self.means.identities, bounded) {
            Ok(reader) => {
                self.source = Some(Source { place, signed: file.applications, read: 0, reader, next: None });
                self.advance(findings);
            }
            Err(fault) => findings.add(Rule::Evidence, &place, fault.to_string()),
        }
    }

    fn advance(&mut self, findings: &mut Findings) {
        let Some(source) = &mut self.source else { return };
        match source.reader.next_evidence() {
            Ok(next) => {
                source.read += u64::from(next.is_some());
                source.next = next;
            }
            Err(fault) => {
                findings.add(Rule::Evidence, &source.place, fault.to_string());
                source.next = None;
            }
        }
    }

    /// An `application.accepted`: its evidence is the next.
    pub(super) fn accepted(&mut self, event: &Event<'_>, findings: &mut Findings) {
        let Some(application) = event.content.application() else { return };
        if self.judged.len() < WAITING {
            self.judged.insert(application, Message::Missing);
        } else {
            self.unread(Why::NoRoom);
        }
        while let Some(source) = self.source.as_ref() {
            let Some(evidence) = &source.next else { return };
            if evidence.leaf > event.leaf {
                return;
            }
            if evidence.leaf == event.leaf {
                let place = source.place.leaf(event.leaf);
                let digest = event.data::<AcceptedData<'_>>().map(|data| data.digest.into_owned());
                let is_of = evidence.application == application && digest == Some(hex::encode(evidence.sha256));
                let judged = if !is_of || evidence.cms.len() > MESSAGE_OCTETS || sha256(&evidence.cms) != evidence.sha256 {
                    findings.add(Rule::Evidence, &place, "the message is not the one that the log says was accepted");
                    Err("its message is not the one that was accepted".to_owned())
                } else {
                    self.counts.messages += 1;
                    let at = DateTime::from_timestamp_millis(event.at).unwrap_or(DateTime::UNIX_EPOCH);
                    self.means.judge.judge(evidence, at)
                };
                if let Some(message) = self.judged.get_mut(&application) {
                    *message = Message::Judged(judged);
                }
            } else {
                findings.add(Rule::Evidence, &source.place.leaf(evidence.leaf), "evidence of a leaf at which nothing was accepted");
            }
            self.advance(findings);
        }
    }

    /// An application was decided: nothing more is issued upon it.
    pub(super) fn decided(&mut self, event: &Event<'_>) {
        if let Some(application) = event.content.application() {
            self.judged.remove(&application);
        }
    }

    /// A certificate was issued upon an application. `gap` says why its acceptance may not be among the records.
    pub(super) fn issued(
        &mut self,
        leaf: u64,
        issuance: &Issuance,
        gap: Option<Why>,
        place: &Place,
        findings: &mut Findings,
        unjudged: &mut Unjudged,
    ) {
        let place = place.leaf(leaf);
        let Some(public_key_sha256) = issuance.public_key_sha256 else {
            unjudged.add(Rule::Evidence, Why::PoorerRecord);
            return;
        };
        let asked = AskedKey { is_authentication: issuance.is_authentication, public_key_sha256 };
        match self.judged.get(&issuance.application) {
            Some(Message::Judged(Ok(keys))) if keys.contains(&asked) => self.counts.proved += 1,
            Some(Message::Judged(Ok(_))) => {
                findings.add(Rule::Evidence, &place, "the card-signed message asks for another key than was certified")
            }
            Some(Message::Judged(Err(refusal))) => {
                findings.add(Rule::Evidence, &place, format!("the message that it was issued upon does not hold: {refusal}"));
            }
            Some(Message::Missing) => findings.add(Rule::Evidence, &place, "there is no card-signed message for what was issued"),
            None => match self.unread.or(gap) {
                Some(why) => unjudged.add(Rule::Evidence, why),
                None => findings.add(Rule::Evidence, &place, "there is no card-signed message for what was issued"),
            },
        }
    }

    /// A part is over: nothing may be left of its evidence.
    pub(super) fn end(&mut self, findings: &mut Findings) {
        while let Some((place, leaf)) =
            self.source.as_ref().and_then(|source| source.next.as_ref().map(|next| (source.place.leaf(next.leaf), next.leaf)))
        {
            findings.add(Rule::Evidence, &place, format!("evidence of leaf {leaf}, at which nothing was accepted"));
            self.advance(findings);
        }
        if let Some(source) = self.source.take().filter(|source| source.read != source.signed) {
            let words = format!("it has {} messages where the manifest says {}", source.read, source.signed);
            findings.add(Rule::Evidence, &source.place, words);
        }
    }
}
