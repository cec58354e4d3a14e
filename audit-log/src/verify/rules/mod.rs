//! The rules over what records say, one file each. Each is told every record once, in the order of leaves, and keeps in mind as little as it can.

mod accepted;
mod began;
mod cascade;
mod certificates;
mod crl_numbers;
mod forgotten;
mod holders;
mod lost;
mod positions;
mod purged;

use chrono::Utc;

use crate::export::Absent;

use super::event::{CertificateData, Event, Milliseconds};
use super::finding::{Findings, Place, Rule};
use super::table::{NoRoom, Room};
use super::unjudged::{Unjudged, Why};

pub(super) use accepted::Issuance;
pub(super) use began::Followed;
pub use cascade::Outlives;
use forgotten::{Forgotten, Stood};
pub(super) use lost::LostData;

/// What rules are judged by, besides the records.
#[derive(Debug, Clone)]
pub struct Measures {
    /// How long a cascade may take, from when its cause was heard to the change of what hangs on the card: milliseconds.
    pub cascade_limit: Milliseconds,
    /// What of a card certificate's changes its smartphone certificate outlives.
    pub outlives: Outlives,
    /// The SHA-256 of the life cycle that it follows from, in hexadecimal, as records name it. Where one names another, that is told.
    pub lifecycle_sha256: Option<String>,
    /// How old a record is at least when it is purged: years.
    pub retention_years: u32,
    /// The most octets that the rules keep in mind.
    pub room: usize,
    /// When it is judged, by the auditor's clock: nothing was taken later.
    pub now: Milliseconds,
}

impl Default for Measures {
    /// 60 minutes from the decision to the status (ETSI EN 319 411-1), the life cycle of JPKI, 10 years, one GiB, now.
    fn default() -> Self {
        let now = Utc::now().timestamp_millis();
        Self { cascade_limit: 3_600_000, outlives: Outlives::default(), lifecycle_sha256: None, retention_years: 10, room: 1 << 30, now }
    }
}

/// What a rule is told with a record: where it stands, and where to put what it finds.
pub(super) struct Scene<'a> {
    /// Where it stands; only a finding asks.
    pub place: &'a Place,
    /// What was found.
    pub findings: &'a mut Findings,
    /// What could not be judged.
    pub unjudged: &'a mut Unjudged,
    /// How much may still be kept in mind.
    pub room: &'a mut Room,
    /// Why something may be unknown: what is before the records at hand. `None` if they are whole from the first leaf on.
    pub gap: Option<Why>,
    /// What rules are judged by.
    measures: &'a Measures,
    /// Whether the log has begun: from then on records say all that they have to.
    has_begun: bool,
    /// Whether the record at hand says less than that.
    lacks: bool,
}

impl Scene<'_> {
    /// The record at hand offends.
    fn find(&mut self, rule: Rule, event: &Event<'_>, words: impl Into<String>) {
        self.findings.add(rule, &self.place.leaf(event.leaf), words);
    }

    /// Something that another record should have told is not known: that is wrong if all records are at hand.
    fn unknown(&mut self, rule: Rule, event: &Event<'_>, words: impl FnOnce() -> String) {
        match self.gap {
            Some(why) => self.unjudged.add(rule, why),
            None => self.find(rule, event, words()),
        }
    }

    /// The record at hand may have been left under another life cycle than the one that it is judged by.
    fn lifecycle(&mut self, data: &CertificateData<'_>) {
        if let (Some(own), Some(named)) = (&self.measures.lifecycle_sha256, &data.policy)
            && own != named
        {
            self.unjudged.add(Rule::Cascade, Why::OtherLifecycle);
        }
    }

    /// The record at hand does not say what the rule asks for: an older program left it, if that was before the log began.
    fn poorer(&mut self, rule: Rule) {
        self.lacks = true;
        if !self.has_begun {
            self.unjudged.add(rule, Why::PoorerRecord);
        }
    }

    /// Notes that something could not be kept in mind.
    fn kept<T>(&mut self, rule: Rule, kept: Result<T, NoRoom>) -> Option<T> {
        if kept.is_err() {
            self.unjudged.add(rule, Why::NoRoom);
        }
        kept.ok()
    }
}

/// All rules, with what they have in mind.
pub(super) struct Rules {
    measures: Measures,
    room: Room,
    gap: Option<Why>,
    next: Option<u64>,
    /// Whether records were told from leaf 0 on.
    tells_all: bool,
    unjudged: Unjudged,
    positions: positions::Positions,
    began: began::Began,
    accepted: accepted::Applications,
    certificates: certificates::Certificates,
    holders: holders::Holders,
    cascade: cascade::Cascade,
    crl_numbers: crl_numbers::CrlNumbers,
    purged: purged::Purged,
    lost: lost::Lost,
    test_certificates: u64,
    forgotten: Forgotten,
    has_begun: bool,
    /// The first poorer record where it is not known yet whether the log had begun.
    poorer: Option<u64>,
}

impl Rules {
    /// Rules that know of no record yet.
    pub(super) fn new(measures: Measures) -> Self {
        Self {
            room: Room::new(measures.room),
            measures,
            gap: None,
            next: None,
            tells_all: false,
            unjudged: Unjudged::default(),
            positions: positions::Positions::default(),
            began: began::Began::default(),
            accepted: accepted::Applications::default(),
            certificates: certificates::Certificates::default(),
            holders: holders::Holders::default(),
            cascade: cascade::Cascade::default(),
            crl_numbers: crl_numbers::CrlNumbers::default(),
            purged: purged::Purged::default(),
            lost: lost::Lost::default(),
            test_certificates: 0,
            forgotten: Forgotten::default(),
            has_begun: false,
            poorer: None,
        }
    }

    /// The leaf after the last that was told.
    pub(super) fn next(&self) -> Option<u64> {
        self.next
    }

    /// A later export, which is told afterwards, says at its leaf `told_at` that a restored store lost these leaves.
    pub(super) fn foresee(&mut self, from: u64, to: u64, told_at: u64) {
        self.forgotten.foresee(from, to, told_at);
    }

    /// An export begins: its leaves, and when it was taken. Whatever was known is of no use where leaves are missing in between.
    pub(super) fn begin(&mut self, (from, to): (u64, u64), taken_at: Milliseconds, place: &Place, findings: &mut Findings) {
        let follows = self.next.map_or(from == 0, |next| from <= next);
        if !follows {
            let (measures, unjudged) = (self.measures.clone(), std::mem::take(&mut self.unjudged));
            let (test_certificates, forgotten) = (self.test_certificates, self.forgotten.again());
            *self = Self { unjudged, test_certificates, forgotten, gap: Some(Why::BeforeTheRecords), ..Self::new(measures) };
            self.next = Some(from);
            self.lost.first_told(from);
        }
        if self.next.is_none() && from == 0 {
            self.positions = positions::Positions::from_the_first();
            self.tells_all = true;
        }
        let next = self.next.unwrap_or(from);
        self.next = Some(next);
        self.lost.begin(next);
        self.forgotten.begin(to);
        self.purged.export_taken(taken_at, &self.measures, place, findings);
    }

    /// A leaf is told: where a restored store has forgotten what was told, the rules go back to where they stood.
    fn turn(&mut self, leaf: u64) {
        while let Some(before) = self.forgotten.ended(leaf) {
            self.unjudged.add_many(Rule::Lost, if before.stood.is_some() { Why::Lost } else { Why::NoRoom }, before.leaves());
            let Some(stood) = before.stood else { continue };
            let Stood { gap, room, positions, accepted, certificates, holders, cascade } = *stood;
            (self.gap, self.room, self.positions) = (gap, room, positions);
            (self.accepted, self.certificates, self.holders, self.cascade) = (accepted, certificates, holders, cascade);
        }
        while let Some(run) = self.forgotten.begun(leaf) {
            let room = self.room;
            let taken = self.room.take(self.measures.room.saturating_sub(room.left()));
            let stood = taken.ok().map(|()| {
                Box::new(Stood {
                    gap: self.gap,
                    room,
                    positions: self.positions.clone(),
                    accepted: self.accepted.clone(),
                    certificates: self.certificates.clone(),
                    holders: self.holders.clone(),
                    cascade: self.cascade.clone(),
                })
            });
            self.forgotten.enter(run, stood);
        }
    }

    /// An export tells a record again whose content an earlier one had: whether it itself says that the leaf was lost.
    pub(super) fn told_again(&mut self, leaf: u64, place: &Place, findings: &mut Findings) {
        if self.forgotten.is_named(leaf) {
            findings.add(Rule::Lost, &place.leaf(leaf), "the log says that it was lost, and its content is there");
        }
    }

    /// Tells a record whose content is there. An issuance upon an application, if it is one.
    pub(super) fn present(&mut self, event: &Event<'_>, place: &Place, findings: &mut Findings) -> Option<Issuance> {
        self.next = Some(event.leaf + 1);
        if self.forgotten.is_turn(event.leaf) {
            self.turn(event.leaf);
        }
        if self.forgotten.is_blind() {
            return None;
        }
        let mut scene = Scene {
            place,
            findings,
            unjudged: &mut self.unjudged,
            room: &mut self.room,
            gap: self.gap,
            measures: &self.measures,
            has_begun: self.has_begun,
            lacks: false,
        };
        self.positions.present(event, &mut scene);
        self.purged.present(event);
        if !event.is_dated_by_ra() {
            self.cascade.time(event.at, &self.certificates, &mut scene);
        }
        let mut issuance = None;
        let sound = match event.kind() {
            kind if kind.starts_with("certificate.") => match event.data::<CertificateData<'_>>() {
                Some(data) => {
                    self.test_certificates += u64::from(data.test.is_some());
                    scene.lifecycle(&data);
                    let transition = self.certificates.event(event, &data, &mut scene);
                    if let Some(transition) = &transition {
                        self.holders.transition(event, &data, transition, &mut scene);
                        self.cascade.transition(event, &data, transition, &self.certificates, &mut scene);
                    }
                    if kind == "certificate.issued" {
                        issuance = self.accepted.issued(event, &data, &mut scene);
                    }
                    transition.is_some()
                }
                None => false,
            },
            kind if kind.starts_with("application.") => self.accepted.event(event, &mut scene),
            "card.revoked" | "card.held" | "card.released" => self.cascade.card(event, &self.certificates, &mut scene),
            "crl.published" => self.crl_numbers.published(event, &mut scene),
            "log.began" => {
                (self.has_begun, self.poorer) = (true, None);
                self.began.began(event, &mut scene)
            }
            "log.leaves_lost" => self.lost.announced(event, &mut scene),
            "log.purged" => self.purged.announced(event),
            "store.epoch_began" => {
                self.lost.restored(event);
                event.has_sound_data()
            }
            _ => event.has_sound_data(),
        };
        if !sound {
            scene.find(Rule::Content, event, format!("a {} without what one has to say", event.kind()));
        } else if scene.lacks && scene.has_begun {
            scene.find(Rule::Content, event, format!("a {} that says less than any since the log began", event.kind()));
        } else if scene.lacks && scene.gap == Some(Why::BeforeTheRecords) {
            self.poorer.get_or_insert(event.leaf);
        }
        issuance
    }

    /// Tells a record whose content is gone.
    pub(super) fn absent(&mut self, leaf: u64, absent: Absent, place: &Place, findings: &mut Findings) {
        self.next = Some(leaf + 1);
        if self.forgotten.is_turn(leaf) {
            self.turn(leaf);
        }
        self.positions.absent(absent);
        match absent {
            Absent::Purged => {
                self.purged.purged(leaf, &self.measures, place, findings, &mut self.unjudged);
                self.gap = self.gap.or(Some(Why::Purged));
            }
            Absent::Lost => self.lost.lost(leaf, &mut self.room, &mut self.unjudged),
        }
    }

    /// A record could not be read: what follows from it is not known.
    pub(super) fn unreadable(&mut self, leaf: u64) {
        self.next = Some(leaf + 1);
        if self.forgotten.is_turn(leaf) {
            self.turn(leaf);
        }
        self.positions.unknown();
        self.gap = Some(Why::Unreadable);
    }

    /// The records are over. `key` signed a tree that ends with them, if there is one; `until` is the time up to which they tell.
    pub(super) fn end(&mut self, key: Option<&str>, until: Milliseconds, place: &Place, findings: &mut Findings) {
        let mut scene = Scene {
            place,
            findings,
            unjudged: &mut self.unjudged,
            room: &mut self.room,
            gap: self.gap,
            measures: &self.measures,
            has_begun: self.has_begun,
            lacks: false,
        };
        self.cascade.end(until, &self.certificates, &mut scene);
        if let Some(key) = key {
            self.lost.end(&mut scene);
            // What was purged was told of later, so that everything has to be at hand, purged as it may be.
            let are_all = self.tells_all && !matches!(self.gap, Some(Why::Unreadable | Why::BeforeTheRecords));
            self.purged.end(are_all, &mut scene);
            // The log does not begin after these records, so it began before them.
            if let Some(leaf) = self.poorer.take() {
                scene.findings.add(Rule::Content, &place.leaf(leaf), "it says less than any record since the log began");
            }
            self.began.end(key, self.tells_all && self.gap.is_none(), &mut scene);
        }
    }

    /// Whether records name another life cycle than the one that they were judged by.
    pub(super) fn is_of_another_lifecycle(&self) -> bool {
        self.unjudged.counts().iter().any(|count| count.why == Why::OtherLifecycle)
    }

    /// What could not be judged.
    pub(super) fn unjudged(&mut self) -> &mut Unjudged {
        &mut self.unjudged
    }

    /// How many examples for relying parties were issued, which no application is needed for.
    pub(super) fn test_certificates(&self) -> u64 {
        self.test_certificates
    }

    /// Why something may be unknown; nothing if the records are whole from the first leaf on.
    pub(super) fn gap(&self) -> Option<Why> {
        self.gap
    }

    /// The logs that this one follows, as far as the records say so.
    pub(super) fn followed(&self) -> &[Followed] {
        self.began.followed()
    }

    /// Whether the records are whole from the first leaf on.
    pub(super) fn is_whole(&self) -> bool {
        self.gap.is_none()
    }
}

/// A row number as tables have it; `None` if it is none that a store gives out.
fn row(number: Option<u64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok()).filter(|row| *row != 0)
}
