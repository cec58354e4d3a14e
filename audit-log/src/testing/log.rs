//! A log in memory: to be falsified, and exported.

use std::io;
use std::path::Path;

use chrono::DateTime;

use super::{Chronicle, Dice, Exporter, Leaf, Order, TestEvent};
use crate::compact_range::CompactRange;
use crate::export::{Absent, Evidence, ExportFormat, Previous};
use crate::hash::{Hash, root_over};
use crate::{Content, LogKey, Salt};

/// A log in memory.
pub struct SyntheticLog {
    /// Its key.
    pub key: LogKey,
    /// What its leaves say.
    pub leaves: Vec<Leaf>,
    /// What cards signed, by leaf: of `application.accepted`.
    pub evidence: Vec<Evidence>,
    /// What witnesses add to a checkpoint.
    pub cosign: Box<dyn Fn(&str) -> String>,
}

/// The log's name.
const ORIGIN: &str = "ca.example.test/log";

impl SyntheticLog {
    /// A log of what a chronicle tells first.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn new(seed: u64, length: usize) -> io::Result<Self> {
        let key = LogKey::generate(ORIGIN).map_err(io::Error::other)?;
        let events = Chronicle::new(seed, ORIGIN, &key.verifier().vkey()).take(length);
        let leaves = Self::leaves_of(seed, events);
        Ok(Self { key, leaves, evidence: Vec::new(), cosign: Box::new(|_| String::new()) })
    }

    /// Leaves of events, whose positions are counted from 1.
    pub fn leaves_of(seed: u64, events: impl IntoIterator<Item = TestEvent>) -> Vec<Leaf> {
        let mut dice = Dice::new(seed ^ 0x5a17);
        (1..).zip(events).map(|(position, event)| Self::leaf(&event, position, Salt(dice.octets()))).collect()
    }

    /// The leaf of an event.
    pub fn leaf(event: &TestEvent, position: i64, salt: Salt) -> Leaf {
        let content = Content {
            application: event.application,
            at: DateTime::from_timestamp_millis(event.at).unwrap_or(DateTime::UNIX_EPOCH),
            certificate: event.certificate,
            data: &event.data,
            kind: event.kind,
            position,
        };
        Leaf::Present { salt, content: content.text() }
    }

    /// Destroys the content of leaves.
    pub fn destroy(&mut self, leaves: impl IntoIterator<Item = usize>, absent: Absent) {
        for leaf in leaves {
            let commitment = self.leaves[leaf].commitment();
            self.leaves[leaf] = Leaf::Absent { absent, commitment };
        }
    }

    /// Its leaf hashes.
    pub fn hashes(&self) -> Vec<Hash> {
        self.leaves.iter().map(|leaf| leaf.commitment().leaf_hash()).collect()
    }

    /// A note of its first `size` leaves, signed by its key.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn checkpoint(&self, size: usize) -> io::Result<String> {
        let mut range = CompactRange::empty(0);
        self.hashes()[..size].iter().for_each(|hash| range.push(*hash));
        let root = range.root().unwrap_or_default();
        Ok(self.key.sign_checkpoint(size as u64, root).map_err(io::Error::other)?.note().to_owned())
    }

    /// The proof that its first `size` leaves extend its first `old` (RFC 6962 section 2.1.2, as it stands there).
    pub fn proof(&self, old: usize, size: usize) -> Previous {
        let consistency = if old == 0 || old == size { Vec::new() } else { subproof(old, &self.hashes()[..size], true) };
        Previous { size: old as u64, consistency }
    }

    /// An order for the leaves `from` to `to`, taken an hour after the last of them.
    pub fn order(&self, from: u64, to: u64, format: ExportFormat) -> Order {
        let last = usize::try_from(to).ok().and_then(|to| self.leaves[..to].iter().rev().find_map(at));
        let taken_at = last.unwrap_or(DateTime::UNIX_EPOCH) + chrono::TimeDelta::hours(1);
        Order { from, to, format, taken_at, previous: None, recipient: None }
    }

    /// Exports from the tree of the first `size` leaves.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn export(&self, directory: &Path, size: usize, order: Order) -> io::Result<()> {
        let mut exporter = Exporter::new(directory, order)?;
        let mut evidence = self.evidence.iter().peekable();
        for (number, leaf) in (0_u64..).zip(&self.leaves[..size]) {
            let with = evidence.next_if(|evidence| evidence.leaf == number);
            exporter.add(leaf, with)?;
        }
        exporter.finish(&self.key, &*self.cosign).map(|_| ())
    }

    /// Adds evidence to each accepted application: its message is made by `message`, and the log is told its digest.
    pub fn witness(&mut self, message: impl Fn(i64, &[Leaf]) -> Vec<u8>) {
        for number in 0..self.leaves.len() {
            let Leaf::Present { content, .. } = &self.leaves[number] else { continue };
            let Ok(parsed) = Content::parse(content) else { continue };
            let (Some(application), "application.accepted") = (parsed.application, parsed.kind) else { continue };
            let cms = message(application, &self.leaves);
            let sha256 = crate::hash::sha256(&cms);
            let old = parsed.data.trim_start_matches("{\"digest\":\"").trim_end_matches("\"}").to_owned();
            let new = hex::encode(sha256);
            for leaf in &mut self.leaves[number..] {
                if let Leaf::Present { content, .. } = leaf
                    && content.contains(&old)
                {
                    *content = content.replace(&old, &new);
                }
            }
            let application = u64::try_from(application).unwrap_or(0);
            let (authentication_certificate, signature_ocsp) = (None, None);
            self.evidence.push(Evidence { application, leaf: number as u64, sha256, cms, authentication_certificate, signature_ocsp });
        }
    }
}

fn at(leaf: &Leaf) -> Option<DateTime<chrono::Utc>> {
    match leaf {
        Leaf::Present { content, .. } => Content::parse(content).ok().map(|content| content.at),
        Leaf::Absent { .. } => None,
    }
}

/// SUBPROOF of RFC 6962 section 2.1.2; `whole` says that the older tree's root is known.
fn subproof(old: usize, hashes: &[Hash], whole: bool) -> Vec<Hash> {
    if old == hashes.len() {
        return if whole { Vec::new() } else { vec![root_over(hashes)] };
    }
    let half = hashes.len().next_power_of_two() / 2;
    if old <= half {
        let mut proof = subproof(old, &hashes[..half], whole);
        proof.push(root_over(&hashes[half..]));
        proof
    } else {
        let mut proof = subproof(old - half, &hashes[half..], false);
        proof.push(root_over(&hashes[..half]));
        proof
    }
}
