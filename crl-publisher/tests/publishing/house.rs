//! A CA with two keys over a real store, a clock that is moved by hand, and a shelf.

use std::sync::{Arc, Mutex};

use ca_core::clock::Clock;
use ca_core::issuer::{CaKeyId, Issuer};
use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason as Reason};
use ca_core::signer::KeyType;
use chrono::{DateTime, TimeDelta, Utc};
use crl_publisher::read_back::ReadBack;
use crl_publisher::{CrlSettings, NoPublishSteps, PublishSteps, Published, Publisher, PublisherParts, Shelf};
use schema::Database;
use schema::crl::ListedRevocation;
use schema::lease::Lease;
use schema::testing::TestDatabase;

use crate::support::{at, issuer, serial};

#[derive(Clone)]
pub struct TestClock(Arc<Mutex<DateTime<Utc>>>);

impl TestClock {
    pub fn set(&self, text: &str) {
        *self.0.lock().unwrap() = at(text);
    }

    pub fn pass(&self, time: TimeDelta) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

pub struct House<'a> {
    pub store: &'a TestDatabase,
    pub clock: TestClock,
    pub issuers: Vec<Issuer>,
    pub directory: tempfile::TempDir,
}

pub const SIGNATURE: CaKeyId = CaKeyId(1);
pub const AUTHENTICATION: CaKeyId = CaKeyId(2);

pub fn house(store: &TestDatabase) -> House<'_> {
    let now = at("2026-03-01T12:30:00Z");
    let issuers = vec![
        issuer(1, CertificateKind::Signature, 1, KeyType::EcdsaP256, now),
        issuer(2, CertificateKind::Authentication, 1, KeyType::EcdsaP256, now),
    ];
    for issuer in &issuers {
        store.add_ca_key(issuer.ca_key(), now);
    }
    House { store, clock: TestClock(Arc::new(Mutex::new(now))), issuers, directory: tempfile::tempdir().unwrap() }
}

impl House<'_> {
    pub fn publisher(&self, settings: CrlSettings) -> Publisher {
        self.publisher_with(settings, Arc::new(NoPublishSteps))
    }

    pub fn publisher_with(&self, settings: CrlSettings, steps: Arc<dyn PublishSteps>) -> Publisher {
        self.publisher_of(self.store.database(), settings, steps)
    }

    pub fn publisher_of(&self, database: &Database, settings: CrlSettings, steps: Arc<dyn PublishSteps>) -> Publisher {
        Publisher::new(PublisherParts {
            issuers: self.issuers.clone(),
            reader: database.reader(),
            writer: database.writer(),
            clock: Arc::new(self.clock.clone()),
            settings,
            shelf: Arc::new(self.shelf()),
            witness: None,
            steps,
        })
        .unwrap()
    }

    /// The shelf, opened once more, as after a restart.
    pub fn shelf(&self) -> Shelf {
        Shelf::open(self.directory.path()).unwrap()
    }

    pub fn octets(&self, ca_key: CaKeyId, shard: u16) -> Vec<u8> {
        let list = self.store.reader().latest_crl_in(ca_key, shard).unwrap().unwrap();
        let mut octets = Vec::new();
        let mut take = |chunk: &[u8]| -> Result<(), schema::StoreFault> {
            octets.extend_from_slice(chunk);
            Ok(())
        };
        self.store.reader().crl_chunks(ca_key, list.number, &mut take).unwrap();
        octets
    }

    pub fn entries(&self, ca_key: CaKeyId, shard: u16) -> Vec<ListedRevocation> {
        let octets = self.octets(ca_key, shard);
        let mut list = ReadBack::begin(octets.as_slice()).unwrap();
        std::iter::from_fn(|| list.next_entry().unwrap()).collect()
    }

    pub fn listed(&self, ca_key: CaKeyId) -> Vec<(String, Reason)> {
        let entries = self.entries(ca_key, 0);
        entries.into_iter().map(|entry| (entry.serial.to_string(), entry.revocation.reason)).collect()
    }

    pub fn number(&self, ca_key: CaKeyId) -> Option<u64> {
        self.store.reader().latest_crl_in(ca_key, 0).unwrap().map(|list| list.number)
    }

    pub fn put(&self, ca_key: CaKeyId, numbers: &[&str]) {
        for number in numbers {
            self.store.put_certificate(ca_key, &serial(number), at("2027-01-01T00:00:00Z"));
        }
    }

    pub fn revoke(&self, ca_key: CaKeyId, number: &str, when: &str, reason: Reason) {
        self.store.revoke(ca_key, &serial(number), Revocation::new(at(when), reason));
    }

    pub fn lease(&self, owner: &'static str) -> Option<Lease> {
        let now = self.clock.now();
        self.store.writer().write(move |tx| tx.acquire_lease("ca", owner, now, TimeDelta::seconds(10))).unwrap()
    }

    /// The list in force is the same in the store and on the shelf, and nothing is left over anywhere.
    pub fn assert_whole(&self, ca_key: CaKeyId) {
        let list = self.store.reader().latest_crl_in(ca_key, 0).unwrap().unwrap();
        let label = self.issuers[usize::try_from(ca_key.0 - 1).unwrap()].ca_key().label();
        let octets = self.octets(ca_key, 0);
        assert_eq!(std::fs::read(self.directory.path().join(format!("{label}.crl"))).unwrap(), octets);
        assert_eq!(std::fs::read(self.directory.path().join(&label).join(format!("{}.crl", list.number))).unwrap(), octets);
        assert_eq!(self.shelf().in_force(&label).unwrap().number, list.number);
        let left: Vec<_> = std::fs::read_dir(self.directory.path().join("work")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<std::path::PathBuf>::new());
        let orphans =
            "SELECT COUNT(*) FROM crl_chunk AS p JOIN crl AS l ON l.ca_key_id = p.ca_key_id AND l.number = p.number WHERE l.state = 1";
        assert_eq!(self.store.reader().count_for_test(orphans).unwrap(), 0);
    }
}

pub fn run(publisher: &mut Publisher) -> Vec<Published> {
    publisher.run_once(None).unwrap().into_iter().map(|published| published.unwrap()).collect()
}

/// Without waiting for more revocations, nor between two lists.
pub fn at_once() -> CrlSettings {
    CrlSettings { delay_milliseconds: 0, interval_seconds: 0, rest_multiple: 0, ..CrlSettings::default() }
}
