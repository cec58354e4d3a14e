//! A process of the CA role, driven step by step instead of by its threads.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use back_office::BackOffice;
use ca_core::clock::Clock as _;
use ca_core::digest::Sha256Digest;
use ca_core::issuer::{Issuer, create_responder_certificate};
use ca_core::ocsp::StatusWitness;
use ca_core::signer::Signer;
use ca_service::{BatchOutcome, CaRole, CaRoleParts, CaRoleSettings, IssuanceStep, LifeSettings, NoSteps, Steps};
use chrono::{TimeDelta, Utc};
use crl_publisher::{CrlSettings, NoPublishSteps, Publisher, PublisherParts, Shelf};
use policies::LifecyclePolicy;
use push::PushGateway;
use sandbox::keys::{Key, KeyAlgorithm};
use schema::Database;
use schema::authority::NewResponder;
use schema::intent::StoredIntents;
use schema::lease::Lease;

use super::outfit::{Hook, HookedKey, Outfit, ShiftedClock, card_status_client};

/// How a process of the CA is to be.
pub struct CaWish {
    /// What it is called in the lease.
    pub name: String,
    /// How far its clock is ahead.
    pub ahead_seconds: i64,
    /// Applications of one round at most.
    pub batch: u32,
    pub steps: Arc<dyn Steps>,
    /// Called before each signature of a CA key.
    pub before_signing: Option<Hook>,
    /// In place of the real one.
    pub back_office: Option<Arc<dyn BackOffice>>,
    /// What brings commands to phones.
    pub push: Option<Arc<dyn PushGateway>>,
    /// Sees what relying parties are told.
    pub witness: Option<Arc<dyn StatusWitness>>,
    /// Over how many CRLs its certificates are spread.
    pub shards: NonZeroU16,
    pub lifecycle: Arc<LifecyclePolicy>,
    pub life: LifeSettings,
    /// For how long events may wait for the log: for ever, unless a test has one.
    pub log_max_lag: TimeDelta,
    /// Digests of its settings.
    pub topics: BTreeMap<String, Sha256Digest>,
}

impl CaWish {
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ahead_seconds: 0,
            batch: 64,
            steps: Arc::new(NoSteps),
            before_signing: None,
            back_office: None,
            push: None,
            witness: None,
            shards: NonZeroU16::MIN,
            lifecycle: Arc::new(LifecyclePolicy::jpki().unwrap()),
            life: LifeSettings::default(),
            log_max_lag: TimeDelta::days(36_500),
            topics: BTreeMap::new(),
        }
    }
}

pub struct Ca {
    pub role: CaRole,
    pub database: Database,
    pub clock: Arc<ShiftedClock>,
    pub shelf: Arc<Shelf>,
    issuers: Vec<Issuer>,
}

impl Ca {
    pub(super) fn new(outfit: &Outfit, wish: CaWish) -> Self {
        let database = outfit.open();
        let reader = database.reader();
        let clock = Arc::new(ShiftedClock::ahead(wish.ahead_seconds));
        let issuers = outfit.issuers(&reader, wish.before_signing.as_ref());
        let issuers: Vec<Issuer> = issuers.into_iter().map(|issuer| issuer.in_shards(wish.shards)).collect();
        let role = CaRole::new(CaRoleParts {
            instructions: outfit.instruction_verifier(&reader),
            verifier: Arc::new(outfit.verifier(&reader)),
            lifecycle: wish.lifecycle,
            issuers: issuers.clone(),
            reader,
            writer: database.writer(),
            wake: database.wake(),
            back_office: wish.back_office.unwrap_or_else(|| Arc::new(outfit.back_office())),
            card_status: Arc::new(card_status_client()),
            crl_locations: outfit.crl_locations(),
            command_key: outfit.command_key(),
            push: wish.push,
            witness: wish.witness,
            clock: Arc::clone(&clock) as _,
            steps: wish.steps,
            settings: CaRoleSettings {
                batch: wish.batch,
                feed_interval: Duration::from_secs(1),
                card_crl_interval: Duration::from_secs(60),
                responder_life: TimeDelta::days(30),
                life: wish.life,
                log_max_lag: wish.log_max_lag,
                clock_max_offset: TimeDelta::seconds(5),
                evidence_recipients: Vec::new(),
                topics: wish.topics,
            },
            owner: wish.name,
        })
        .unwrap();
        Self { role, database, clock, shelf: Arc::new(Shelf::open(&outfit.shelf()).unwrap()), issuers }
    }

    /// Takes the lead, which must be free, and sees to it that there is a beacon.
    #[track_caller]
    pub fn leading(self) -> Self {
        assert!(self.role.lead().unwrap(), "another process leads");
        self.role.draw_beacon_if_due().unwrap();
        self
    }

    pub fn lease(&self) -> Lease {
        self.role.lease().expect("it leads")
    }

    /// Issues until nothing waits; the sum of all rounds.
    pub fn issue_all(&self) -> BatchOutcome {
        let mut sum = BatchOutcome::default();
        loop {
            let outcome = self.role.issue_batch().unwrap();
            if outcome.taken == 0 {
                return sum;
            }
            sum.taken += outcome.taken;
            sum.issued += outcome.issued;
            sum.refused += outcome.refused;
        }
    }

    /// Gives the lead back, so that the next process need not wait, whatever its clock says.
    pub fn stand_down(self) {
        let lease = self.lease();
        let past = Utc::now() - TimeDelta::seconds(1);
        self.database.writer().write(move |tx| tx.release_lease(&lease, past)).unwrap();
    }

    /// Appoints a responder for each CA key, with a key of its own, for as long as this process wants to speak for it.
    pub fn appoint_responders(&self, life: TimeDelta) -> Vec<Arc<dyn Signer>> {
        let appoint = |issuer: &Issuer| {
            let key = HookedKey::new(Key::generate(KeyAlgorithm::P256).unwrap(), None);
            let now = self.clock.now();
            let mut ledger = StoredIntents::new(self.database.writer(), now);
            let certificate = create_responder_certificate(issuer, key.public_key_info(), life, now, &mut ledger).unwrap();
            let certificate = NewResponder::from(&certificate);
            self.database.writer().write(move |tx| tx.add_responder(&certificate, now)).unwrap();
            Arc::new(key) as Arc<dyn Signer>
        };
        self.issuers.iter().map(appoint).collect()
    }

    /// A publisher of CRLs in this process, which waits for nothing: each change makes a list due at once.
    pub fn publisher(&self) -> Publisher {
        let parts = PublisherParts {
            issuers: self.issuers.clone(),
            reader: self.database.reader(),
            writer: self.database.writer(),
            clock: Arc::clone(&self.clock) as _,
            settings: CrlSettings { delay_milliseconds: 0, interval_seconds: 0, rest_multiple: 0, ..CrlSettings::default() },
            shelf: Arc::clone(&self.shelf),
            witness: None,
            steps: Arc::new(NoPublishSteps),
        };
        Publisher::new(parts).unwrap()
    }
}

/// Calls a closure at each step.
pub struct StepsTaken<F>(pub F);

impl<F: Fn(IssuanceStep) + Send + Sync> Steps for StepsTaken<F> {
    fn reached(&self, step: IssuanceStep) {
        (self.0)(step);
    }
}
