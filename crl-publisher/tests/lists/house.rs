//! A CA key with a directory for its lists, and the gate before them.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use ca_core::issuer::Issuer;
use ca_core::kind::CertificateKind;
use ca_core::ocsp::StatusWitness;
use ca_core::revocation::{Revocation, RevocationReason as Reason};
use ca_core::serial::SerialNumber;
use ca_core::signer::KeyType;
use chrono::{DateTime, Utc};
use crl_publisher::gate::{self, GateFault, GateInput, GateReport, PreviousList, Standing};
use crl_publisher::list::{Heading, ListFault, ListWriter, WrittenList};
use schema::crl::{GateCount, ListedRevocation};
use schema::{EventPosition, StoreFault};

use crate::support::{at, issuer, serial};

pub const SERIAL: &str = "7F00000000000000000000000000000000000001";

pub struct House {
    pub issuer: Issuer,
    pub shard: u16,
    directory: tempfile::TempDir,
    /// What the store says of a certificate that left.
    pub standing: Box<dyn Fn(&SerialNumber) -> Standing>,
    /// Certificates whose status changed while the list was made, and whether they belong on it.
    pub changed: Vec<(SerialNumber, bool)>,
    /// How many belong on the list; as many as are on the new one unless something else is said.
    pub count: Option<u64>,
    pub witness: Option<Box<dyn StatusWitness>>,
    pub asked: RefCell<Vec<SerialNumber>>,
}

impl House {
    pub fn new() -> Self {
        Self::of(KeyType::EcdsaP256, 0)
    }

    pub fn of(key_type: KeyType, shard: u16) -> Self {
        Self::built(key_type, shard, at("2026-03-01T00:00:00Z"))
    }

    /// One whose CA certificate begins then.
    pub fn built(key_type: KeyType, shard: u16, now: DateTime<Utc>) -> Self {
        Self {
            issuer: issuer(1, CertificateKind::Signature, 1, key_type, now),
            shard,
            directory: tempfile::tempdir().unwrap(),
            standing: Box::new(|_| Standing::Listed),
            changed: Vec::new(),
            count: None,
            witness: None,
            asked: RefCell::default(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn try_write(&self, heading: &Heading, entries: &[ListedRevocation]) -> Result<WrittenList, ListFault> {
        let mut writer = ListWriter::begin(&self.path("entries"))?;
        for entry in entries {
            writer.push(entry)?;
        }
        assert_eq!(writer.entries(), entries.len() as u64);
        let written = writer.finish(heading, &self.issuer, self.shard, &self.path(&format!("{}.crl", heading.number)))?;
        assert!(!self.path("entries").exists(), "what the entries were gathered in is gone");
        Ok(written)
    }

    /// Writes a list; gives its octets.
    pub fn write(&self, heading: &Heading, entries: &[ListedRevocation]) -> Vec<u8> {
        let written = self.try_write(heading, entries).unwrap();
        let octets = fs::read(&written.path).unwrap();
        assert_eq!((written.entries, written.octets), (entries.len() as u64, octets.len() as u64));
        octets
    }

    /// Holds a list against what it should say, and against the list before.
    pub fn check(&self, list: &[u8], heading: &Heading, entries: usize, previous: Option<(&[u8], u64)>) -> Result<GateReport, GateFault> {
        let (path, previous_path) = (self.path("new.crl"), self.path("previous.crl"));
        fs::write(&path, list).unwrap();
        if let Some((octets, _)) = previous {
            fs::write(&previous_path, octets).unwrap();
        }
        let count = self.count.unwrap_or(entries as u64);
        gate::check(GateInput {
            path: &path,
            issuer: &self.issuer,
            shard: self.shard,
            heading,
            previous: previous.map(|(_, number)| PreviousList { path: &previous_path, number }),
            count: &mut || Ok(GateCount { position: EventPosition(77), count, changed: self.changed.clone() }),
            standing: &mut |serials| {
                self.asked.borrow_mut().extend_from_slice(serials);
                Ok::<_, StoreFault>(serials.iter().map(|serial| (self.standing)(serial)).collect())
            },
            witness: self.witness.as_deref(),
            sample: 5,
        })
    }
}

pub fn heading(number: u64) -> Heading {
    Heading { number, this_update: at("2026-03-01T12:00:00Z"), next_update: at("2026-03-01T19:00:00Z") }
}

pub fn entry(number: &str, time: &str, reason: Reason) -> ListedRevocation {
    ListedRevocation { serial: serial(number), revocation: Revocation::new(at(time), reason) }
}

/// A revocation without a reason, one with, a hold, and one that knows from when the certificate was invalid.
pub fn some() -> Vec<ListedRevocation> {
    let mut known = entry("8002", "2026-02-04T00:00:00Z", Reason::KeyCompromise);
    known.revocation.invalidity = Some(at("2026-01-31T23:59:59Z"));
    vec![
        entry("01", "2026-02-01T00:00:00Z", Reason::Unspecified),
        entry(SERIAL, "2026-02-02T10:20:30Z", Reason::AffiliationChanged),
        entry("8001", "2026-02-03T00:00:00Z", Reason::CertificateHold),
        known,
    ]
}
