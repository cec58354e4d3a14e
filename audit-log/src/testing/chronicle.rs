//! What could have happened in an installation: applications, certificates, holds, cascades, lists, one after the other.

use std::collections::VecDeque;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};

use super::Dice;

/// An event as it would stand in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestEvent {
    /// What.
    pub kind: &'static str,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// About which application.
    pub application: Option<i64>,
    /// About which certificate.
    pub certificate: Option<i64>,
    /// The particulars, canonical.
    pub data: String,
}

/// What happens, without an end.
#[derive(Debug, Clone)]
pub struct Chronicle {
    dice: Dice,
    now: i64,
    ahead: VecDeque<TestEvent>,
    people: Vec<Person>,
    applications: i64,
    certificates: i64,
    cards: i64,
    crl: u64,
    incidents: u64,
}

/// A holder, by row, with a certificate of each kind, or none: 0.
#[derive(Debug, Clone, Copy, Default)]
struct Person {
    certificates: [i64; 2],
    held: [bool; 2],
    card: i64,
    /// When the one for authentication ends.
    ends: i64,
}

const KINDS: [&str; 2] = ["signature", "authentication"];
const PLATFORMS: [&str; 3] = ["android", "ios", "gp-se"];
const REASONS: [&str; 3] = ["keyCompromise", "superseded", "cessationOfOperation"];
/// Certificates for authentication are for so long, that there is something to expire.
const SHORT: i64 = 20_000;
const YEAR: i64 = 365 * 86_400_000;

impl Chronicle {
    /// From 21 November 2026 on, in a log whose verifier key is `key`.
    pub fn new(seed: u64, origin: &str, key: &str) -> Self {
        let mut chronicle = Self {
            dice: Dice::new(seed),
            now: 1_795_219_200_000,
            ahead: VecDeque::new(),
            people: Vec::new(),
            applications: 0,
            certificates: 0,
            cards: 0,
            crl: 0,
            incidents: 0,
        };
        chronicle.tell("ca_key.added", r#"{"ca_key":1,"generation":1,"kind":"signature"}"#.to_owned());
        chronicle.tell("ca_key.added", r#"{"ca_key":2,"generation":1,"kind":"authentication"}"#.to_owned());
        chronicle.tell("log.began", format!(r#"{{"key":"{key}","origin":"{origin}"}}"#));
        chronicle
    }

    /// Begins at another time.
    #[must_use]
    pub fn since(mut self, at: i64) -> Self {
        for event in &mut self.ahead {
            event.at += at - self.now;
        }
        self.now = at;
        self
    }

    fn tell(&mut self, kind: &'static str, data: String) {
        self.ahead.push_back(TestEvent { kind, at: self.now, application: None, certificate: None, data });
    }

    fn tell_of(&mut self, kind: &'static str, application: Option<i64>, certificate: Option<i64>, data: String) {
        self.ahead.push_back(TestEvent { kind, at: self.now, application, certificate, data });
    }

    fn happen(&mut self) {
        self.now += i64::try_from(self.dice.below(900)).unwrap_or(0);
        match self.dice.below(100) {
            0..56 => self.apply(),
            56..60 => self.refuse(),
            60..64 => self.reject(),
            64..74 => self.lose_card(),
            74..82 => self.hold(),
            82..88 => self.expire(),
            88..92 => self.revoke(),
            _ => self.publish(),
        }
    }

    fn apply(&mut self) {
        // One in four comes with a new phone.
        let known = !self.people.is_empty() && self.dice.below(4) == 0;
        let person = if known {
            usize::try_from(self.dice.below(self.people.len() as u64)).unwrap_or(0)
        } else {
            self.people.push(Person::default());
            self.people.len() - 1
        };
        self.applications += 1;
        let (application, digest) = (self.applications, hex::encode(self.dice.octets()));
        let accepted = self.now - i64::try_from(self.dice.below(300)).unwrap_or(0);
        let data = format!(r#"{{"digest":"{digest}"}}"#);
        self.ahead.push_back(TestEvent {
            kind: "application.accepted",
            at: accepted,
            application: Some(application),
            certificate: None,
            data,
        });
        let both = self.dice.below(5) > 0;
        for kind in 0..if both { 2 } else { 1 } {
            self.end(person, kind, "superseded", r#"{"issuance":true}"#, Some(application));
        }
        let device = hex::encode(&self.dice.octets()[..16]);
        let platform = PLATFORMS[usize::try_from(self.dice.below(3)).unwrap_or(0)];
        self.tell_of("device.added", Some(application), None, format!(r#"{{"device":"{device}","platform":"{platform}"}}"#));
        // The same card while nothing happened to it: two rows, one for each of its certificates.
        if self.people[person].card == 0 {
            self.people[person].card = self.cards + 1;
            self.cards += 2;
        }
        for kind in 0..if both { 2 } else { 1 } {
            self.issue(person, kind, application, &digest, platform);
        }
        self.tell_of("application.issued", Some(application), None, "{}".to_owned());
    }

    fn issue(&mut self, person: usize, kind: usize, application: i64, digest: &str, platform: &str) {
        self.certificates += 1;
        let (certificate, card) = (self.certificates, self.people[person].card + i64::try_from(kind).unwrap_or(0));
        self.people[person].certificates[kind] = certificate;
        self.people[person].held[kind] = false;
        let mut data = String::with_capacity(700);
        let ends = self.now + if kind == 1 { SHORT } else { 5 * YEAR };
        if kind == 1 {
            self.people[person].ends = ends;
        }
        let octets = [self.dice.octets(), self.dice.octets(), self.dice.octets()];
        let _ = write!(
            data,
            r#"{{"application_sha256":"{digest}","ca_key":{},"card":{card},"holder":{},"kind":"{}","not_after":"{}","not_before":"{}","platform":"{platform}","policy_sha256":"{}","public_key_sha256":"{}","serial":"{}","sha256":"{}","shard":{}}}"#,
            kind + 1,
            person + 1,
            KINDS[kind],
            whole_seconds(ends),
            whole_seconds(self.now),
            hex::encode([0x5a; 32]),
            hex::encode(octets[0]),
            hex::encode(&octets[1][..20]),
            hex::encode(octets[2]),
            octets[2][0] % 4,
        );
        self.tell_of("certificate.issued", Some(application), Some(certificate), data);
    }

    /// Ends what a person has of a kind, if anything.
    fn end(&mut self, person: usize, kind: usize, reason: &str, by: &str, application: Option<i64>) {
        let certificate = std::mem::take(&mut self.people[person].certificates[kind]);
        if certificate != 0 {
            let data = format!(
                r#"{{"by":{by},"ca_key":{},"effective_at":"{}","holder":{},"kind":"{}","policy":"{}","reason":"{reason}","serial":"{certificate:040x}"}}"#,
                kind + 1,
                whole_seconds(self.now),
                person + 1,
                KINDS[kind],
                hex::encode([0x17; 32]),
            );
            self.tell_of("certificate.revoked", application, Some(certificate), data);
        }
    }

    fn refuse(&mut self) {
        self.applications += 1;
        let (application, digest) = (Some(self.applications), hex::encode(self.dice.octets()));
        self.tell_of("application.accepted", application, None, format!(r#"{{"digest":"{digest}"}}"#));
        let code = if self.dice.below(2) == 0 { "card_revoked" } else { "holder_has_live_certificate" };
        self.tell_of("application.refused", application, None, format!(r#"{{"code":"{code}"}}"#));
    }

    fn reject(&mut self) {
        let digest = hex::encode(self.dice.octets());
        self.tell("application.rejected", format!(r#"{{"application":"{digest}","code":"card_status_stale"}}"#));
    }

    /// Somebody, if there is anybody.
    fn somebody(&mut self) -> Option<usize> {
        let people = self.people.len() as u64;
        (people > 0).then(|| usize::try_from(self.dice.below(people)).unwrap_or(0))
    }

    fn lose_card(&mut self) {
        let Some(person) = self.somebody().filter(|person| self.people[*person].card != 0) else { return self.apply() };
        self.incidents += 1;
        let event = format!("event-{}", self.incidents);
        let received_at = self.now - i64::try_from(self.dice.below(80)).unwrap_or(0);
        let reason = REASONS[usize::try_from(self.dice.below(3)).unwrap_or(0)];
        let card = std::mem::take(&mut self.people[person].card);
        for (kind, card) in [card, card + 1].into_iter().enumerate() {
            self.tell(
                "card.revoked",
                format!(r#"{{"card":{card},"event_id":"{event}-{kind}","reason":"{reason}","received_at":"{}"}}"#, exact(received_at)),
            );
            self.end(person, kind, reason, &format!(r#"{{"card_event":"{event}-{kind}"}}"#), None);
        }
        let data = format!(r#"{{"event_id":"{event}-0","received_at":"{}"}}"#, exact(received_at));
        self.tell("card_event.received", data);
    }

    /// Places a hold, or lifts the one that stands.
    fn hold(&mut self) {
        let Some(person) = self.somebody().filter(|person| self.people[*person].certificates[0] != 0) else { return self.apply() };
        let certificate = self.people[person].certificates[0];
        let instruction = hex::encode(self.dice.octets());
        let received_at = self.now - 20 - i64::try_from(self.dice.below(400)).unwrap_or(0);
        let is_held = std::mem::replace(&mut self.people[person].held[0], true);
        self.people[person].held[0] = !is_held;
        let by = r#"{"operator":"Hanako Call","role":"call centre"}"#;
        let effective = if is_held { String::new() } else { format!(r#""effective_at":"{}","#, whole_seconds(self.now)) };
        let data = format!(
            r#"{{"by":{by},"ca_key":1,"cause":"phone-lost",{effective}"holder":{},"instruction":"{instruction}","kind":"signature","policy":"{}","serial":"{certificate:040x}"}}"#,
            person + 1,
            hex::encode([0x17; 32]),
        );
        let (kind, action) = if is_held { ("certificate.released", "lift") } else { ("certificate.held", "hold") };
        self.tell_of(kind, None, Some(certificate), data);
        let data = format!(r#"{{"action":"{action}","by":{by},"instruction":"{instruction}","received_at":"{}"}}"#, exact(received_at));
        self.tell("instruction.done", data);
    }

    fn revoke(&mut self) {
        let Some(person) = self.somebody() else { return self.apply() };
        self.end(person, 1, "keyCompromise", r#"{"operator":"Jiro Admin","role":"administrator"}"#, None);
    }

    fn expire(&mut self) {
        // From somebody on, the next that there is.
        let (people, first) = (self.people.len(), self.somebody().unwrap_or(0));
        let has_ended = |person: &Person| person.certificates[1] != 0 && person.ends < self.now;
        let Some(person) = (first..people).chain(0..first).take(64).find(|person| has_ended(&self.people[*person])) else {
            return self.apply();
        };
        let certificate = std::mem::take(&mut self.people[person].certificates[1]);
        let data = format!(
            r#"{{"by":{{"schedule":"expire"}},"ca_key":2,"holder":{},"kind":"authentication","policy":"{}","serial":"{certificate:040x}"}}"#,
            person + 1,
            hex::encode([0x17; 32]),
        );
        self.tell_of("certificate.expired", None, Some(certificate), data);
    }

    fn publish(&mut self) {
        self.crl += 1;
        let data = format!(
            r#"{{"ca_key":{},"cause":"regular","entries":{},"number":{},"sha256":"{}","shard":0,"this_update":"{}"}}"#,
            self.crl % 2 + 1,
            self.incidents,
            self.crl,
            hex::encode(self.dice.octets()),
            whole_seconds(self.now),
        );
        self.tell("crl.published", data);
    }
}

impl Iterator for Chronicle {
    type Item = TestEvent;

    fn next(&mut self) -> Option<TestEvent> {
        while self.ahead.is_empty() {
            self.happen();
        }
        self.ahead.pop_front()
    }
}

/// A moment to the millisecond.
fn exact(at: i64) -> String {
    time(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A moment to the second.
fn whole_seconds(at: i64) -> String {
    time(at).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn time(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).unwrap_or(DateTime::UNIX_EPOCH)
}
