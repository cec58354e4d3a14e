//! The CA role, with the CRL publisher under its lead.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use audit_log::LogKey;
use back_office::{BackOffice, BackOfficeSettings, CardStatusClient, CrlUrlTemplate, HttpBackOffice};
use ca_core::chain::Chain;
use ca_core::clock::SystemClock;
use ca_core::issuer::Issuer;
use ca_core::ocsp::StatusWitness;
use ca_service::{
    CaRole, CaRoleParts, CaRoleSettings, CrlLocation, Exporter, ExporterParts, LogKeeper, LogParts, LogState, Steps, WitnessPace,
};
#[cfg(feature = "s3")]
use crl_publisher::upload::S3Store;
use crl_publisher::upload::Uploader;
use crl_publisher::{NoPublishSteps, Publisher, PublisherParts};

#[cfg(feature = "s3")]
use secrecy::ExposeSecret as _;

use crate::failure::Failure;
use crate::installation::{Installation, read_file, read_passphrase};
use crate::log_key::{key_of_begun_log, tile_directory};

/// A role that was started.
pub(super) struct Authority {
    pub(super) threads: Vec<JoinHandle<()>>,
    /// How the log stands.
    pub(super) log: Arc<LogState>,
}

/// Starts the role's threads. `witness` sees what relying parties are told.
pub(super) fn start(
    installation: &Installation,
    steps: Arc<dyn Steps>,
    witness: &Arc<dyn StatusWitness>,
    stop: &Arc<AtomicBool>,
) -> Result<Authority, Failure> {
    let shards = installation.settings.crl.shards;
    let issuers: Vec<_> = installation.all_issuers()?.into_iter().map(|issuer| issuer.in_shards(shards)).collect();
    if issuers.is_empty() {
        return Err(Failure::settings("the store has no CA key: was it made by `tsunagi init`?"));
    }
    let key = Arc::new(key_of_begun_log(&installation.settings, &installation.database)?);
    let (keeper, exporter) = (log_keeper(installation, &key)?, exporter(installation, key));
    let log = keeper.state();
    let mut publisher = publisher(installation, issuers.clone(), witness)?;
    let role = Arc::new(ca_role(installation, issuers, steps, Some(Arc::clone(witness)))?);
    let issuing = spawn("ca", {
        let (role, stop) = (Arc::clone(&role), Arc::clone(stop));
        move || role.run(&stop)
    })?;
    let logging = spawn("log", {
        let (role, stop) = (Arc::clone(&role), Arc::clone(stop));
        move || keeper.run(&|| role.lease(), &stop)
    })?;
    let exporting = spawn("exports", {
        let (role, stop) = (Arc::clone(&role), Arc::clone(stop));
        move || exporter.run(&|| role.lease(), &stop)
    })?;
    let uploading = uploader(installation)?.map(|mut uploader| {
        let (role, stop) = (Arc::clone(&role), Arc::clone(stop));
        spawn("crl-upload", move || uploader.run(&|| role.lease().is_some(), &stop))
    });
    let wake = installation.database.wake();
    let stop = Arc::clone(stop);
    let publishing = spawn("crl-publisher", move || publisher.run(&wake, &|| role.lease(), &stop))?;
    let threads = [issuing, logging, exporting, publishing].into_iter().chain(uploading.transpose()?).collect();
    Ok(Authority { threads, log })
}

/// What keeps the issuance log.
fn log_keeper(installation: &Installation, key: &Arc<LogKey>) -> Result<LogKeeper, Failure> {
    let (settings, database) = (&installation.settings, &installation.database);
    let mut log = settings.log.clone();
    for witness in &mut log.witnesses {
        witness.ca_file = witness.ca_file.as_ref().map(|file| settings.path(file));
    }
    let keeper = LogKeeper::new(LogParts {
        key: Arc::clone(key),
        directory: tile_directory(settings),
        reader: database.reader(),
        writer: database.writer(),
        wake: database.wake(),
        clock: Arc::new(SystemClock),
        settings: log,
        pace: WitnessPace::default(),
    });
    keeper.map_err(|complaint| Failure::settings(format!("log.{complaint}")))
}

/// What prepares exports for auditors.
fn exporter(installation: &Installation, key: Arc<LogKey>) -> Exporter {
    let (settings, database) = (&installation.settings, &installation.database);
    Exporter::new(ExporterParts {
        key,
        directory: tile_directory(settings),
        reader: database.reader(),
        writer: database.writer(),
        wake: database.wake(),
        clock: Arc::new(SystemClock),
        settings: settings.audit.clone(),
    })
}

/// What publishes the lists of every CA key that is at hand.
fn publisher(installation: &Installation, issuers: Vec<Issuer>, witness: &Arc<dyn StatusWitness>) -> Result<Publisher, Failure> {
    let database = &installation.database;
    let publisher = Publisher::new(PublisherParts {
        issuers,
        reader: database.reader(),
        writer: database.writer(),
        clock: Arc::new(SystemClock),
        settings: installation.settings.crl.clone(),
        shelf: installation.shelf()?,
        witness: Some(Arc::clone(witness)),
        steps: Arc::new(NoPublishSteps),
    });
    publisher.map_err(|refusal| Failure::settings(refusal.to_string()))
}

/// What copies lists to the object store that the settings name.
#[cfg(feature = "s3")]
fn uploader(installation: &Installation) -> Result<Option<Uploader>, Failure> {
    let Some(settings) = &installation.settings.crl.s3 else { return Ok(None) };
    let secret = |file| read_passphrase(&installation.settings.path(file));
    let (access_key, secret_key) = (secret(&settings.access_key_file)?, secret(&settings.secret_key_file)?);
    let pem = settings.ca_certificate.as_ref().map(|file| read_file(&installation.settings.path(file))).transpose()?;
    let cache_seconds = installation.settings.crl.cache_seconds;
    let store = S3Store::new(settings, access_key.expose_secret(), secret_key.expose_secret(), pem.as_deref(), cache_seconds)
        .map_err(|fault| Failure::settings(fault.to_string()))?;
    Ok(Some(Uploader::new(installation.shelf()?, Arc::new(store))))
}

/// What copies lists to the object store that the settings name.
#[cfg(not(feature = "s3"))]
fn uploader(installation: &Installation) -> Result<Option<Uploader>, Failure> {
    match &installation.settings.crl.s3 {
        None => Ok(None),
        Some(_) => Err(Failure::settings("crl.s3: this program was built without the feature s3")),
    }
}

/// The role with these issuers, under an owner's name of its own; nothing runs yet.
pub(crate) fn ca_role(
    installation: &Installation,
    issuers: Vec<Issuer>,
    steps: Arc<dyn Steps>,
    witness: Option<Arc<dyn StatusWitness>>,
) -> Result<CaRole, Failure> {
    let database = &installation.database;
    let ca = &installation.settings.ca;
    let verifier = Arc::new(installation.verifier()?);
    let role = CaRole::new(CaRoleParts {
        instructions: installation.instruction_verifier(Arc::clone(&verifier))?,
        verifier,
        lifecycle: Arc::clone(&installation.policies.lifecycle),
        issuers,
        reader: database.reader(),
        writer: database.writer(),
        wake: database.wake(),
        back_office: back_office(installation)?,
        card_status: Arc::new(CardStatusClient::new(&installation.settings.card.status)),
        crl_locations: crl_locations(installation)?,
        command_key: installation.command_key()?,
        push: installation.push_gateway()?,
        witness,
        clock: Arc::new(SystemClock),
        steps,
        settings: CaRoleSettings {
            batch: ca.batch,
            feed_interval: Duration::from_secs(ca.feed_seconds.into()),
            card_crl_interval: Duration::from_secs(ca.card_crl_seconds.into()),
            responder_life: chrono::Duration::days(ca.responder_days.into()),
            life: ca.life(),
            log_max_lag: installation.settings.log.max_lag(),
            clock_max_offset: chrono::Duration::seconds(installation.settings.clock.max_offset_seconds.into()),
            evidence_recipients: installation.settings.audit.evidence_recipients.clone(),
            topics: installation.settings.topic_digests(&installation.policies)?,
        },
        owner: format!("{}-{}", std::process::id(), hex::encode(rand_octets()?)),
    });
    role.map_err(|refusal| Failure::settings(format!("ca: {}", Chain(&refusal))))
}

/// The client of the back office that the settings name.
pub(crate) fn back_office(installation: &Installation) -> Result<Arc<dyn BackOffice>, Failure> {
    let topic = &installation.settings.back_office;
    let ca_certificate = String::from_utf8(read_file(&installation.settings.path(&topic.ca_certificate))?)
        .map_err(|_| Failure::settings("back_office.ca_certificate: not PEM"))?;
    let token = read_passphrase(&installation.settings.path(&topic.token_file))?;
    let mut settings = BackOfficeSettings::new(&topic.url, ca_certificate, token);
    settings.connection = topic.connection.clone();
    let client = HttpBackOffice::new(&settings).map_err(|fault| Failure::settings(format!("back_office: {fault}")))?;
    Ok(Arc::new(client))
}

fn crl_locations(installation: &Installation) -> Result<Vec<CrlLocation>, Failure> {
    let authorities = installation.card_authorities()?;
    let locations = authorities.iter().map(|authority| {
        let kind = authority.kind();
        let template = CrlUrlTemplate::parse(&installation.settings.card.authority(kind).crl_url)
            .map_err(|fault| Failure::settings(format!("card.{kind}.crl_url: {fault}")))?;
        Ok(CrlLocation { kind, key_id: authority.key_id().clone(), template })
    });
    locations.collect()
}

fn rand_octets() -> Result<[u8; 8], Failure> {
    let mut octets = [0; 8];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut octets)
        .map_err(|_| Failure::other("the machine gives no random octets"))?;
    Ok(octets)
}

/// Starts a thread.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| Failure::other(format!("{name}: {error}")))
}
