//! The RA role: two listeners.

use std::net::TcpListener;
use std::sync::Arc;

use back_office::{CardStatusClient, CrlUrlTemplate};
use ca_core::application::challenge::ChallengeKey;
use ca_core::application::verifier::ApplicationVerifier;
use ca_core::clock::SystemClock;
use ca_core::instruction::InstructionVerifier;
use ca_core::kind::CertificateKind;
use chrono::TimeDelta;
use ra_api::{
    CardStatusPlaces, Decisions, EvidenceLimits, EvidencePlan, HolderApi, HolderParts, NetworkEvidence, OperatorApi, OperatorParts,
    StatusSource, holder_tls, operator_tls, serve_holders, serve_operators,
};

use super::telemetry::{Readiness, log_health};
use super::{ServerMaker, authority};
use crate::failure::Failure;
use crate::installation::{Installation, read_file};

/// The servers for holders and for operators, and whether holders can be served.
pub(super) fn servers(
    installation: &Installation,
    holders: Option<TcpListener>,
    operators: Option<TcpListener>,
) -> Result<(Vec<ServerMaker>, Vec<Readiness>), Failure> {
    let shared = Shared::new(installation)?;
    let mut makers: Vec<ServerMaker> = Vec::new();
    let mut readiness: Vec<Readiness> = Vec::new();
    if let Some(listener) = holders {
        let ra = &installation.settings.ra;
        let (certificate, key) = (read(installation, &ra.certificate)?, read(installation, &ra.key)?);
        let tls = holder_tls(&certificate, &key).map_err(|fault| Failure::settings(format!("ra: {fault}")))?;
        let api = holder_api(installation, &shared)?;
        let asked = api.clone();
        readiness.push(Box::new(move || asked.ready().map_err(str::to_owned)));
        makers.push(Box::new(move || serve_holders(&api, listener, tls)));
    }
    if let Some(listener) = operators {
        let topic = &installation.settings.operators;
        let (certificate, key) = (read(installation, &topic.certificate)?, read(installation, &topic.key)?);
        let client_ca = read(installation, &topic.client_ca)?;
        let tls = operator_tls(&certificate, &key, &client_ca).map_err(|fault| Failure::settings(format!("operators: {fault}")))?;
        let database = &installation.database;
        let parts = OperatorParts {
            settings: topic.limits.clone(),
            clock: Arc::new(SystemClock),
            reader: database.reader(),
            log: log_health(installation),
            writer: database.writer(),
            instructions: shared.instructions,
            challenge_key: shared.challenge_key,
            pseudonym_key: installation.pseudonym_key()?,
            decisions: shared.decisions,
        };
        let api = OperatorApi::new(parts).map_err(|refusal| Failure::settings(format!("operators.limits: {refusal}")))?;
        makers.push(Box::new(move || serve_operators(&api, listener, tls)));
    }
    Ok((makers, readiness))
}

/// What both listeners work with.
struct Shared {
    applications: Arc<ApplicationVerifier>,
    instructions: Arc<InstructionVerifier>,
    challenge_key: Arc<ChallengeKey>,
    decisions: Decisions,
}

impl Shared {
    fn new(installation: &Installation) -> Result<Self, Failure> {
        let applications = Arc::new(installation.verifier()?);
        let database = &installation.database;
        Ok(Self {
            instructions: Arc::new(installation.instruction_verifier(Arc::clone(&applications))?),
            applications,
            challenge_key: Arc::new(installation.challenge_key()?),
            decisions: Decisions::follow(database.reader(), database.wake()).map_err(Failure::store)?,
        })
    }
}

fn holder_api(installation: &Installation, shared: &Shared) -> Result<HolderApi, Failure> {
    let database = &installation.database;
    let plan = EvidencePlan {
        signature: places(installation, CertificateKind::Signature)?,
        authentication: places(installation, CertificateKind::Authentication)?,
        order: vec![StatusSource::Ocsp, StatusSource::Crl],
        crl_refresh: TimeDelta::minutes(5),
    };
    let status = CardStatusClient::new(&installation.settings.card.status);
    let parts = HolderParts {
        settings: installation.settings.ra.limits.clone(),
        clock: Arc::new(SystemClock),
        reader: database.reader(),
        writer: database.writer(),
        verifier: Arc::clone(&shared.applications),
        instructions: Arc::clone(&shared.instructions),
        challenge_key: Arc::clone(&shared.challenge_key),
        evidence: Arc::new(NetworkEvidence::new(authority::back_office(installation)?, status, plan)),
        evidence_limits: evidence_limits(installation),
        log: log_health(installation),
        decisions: shared.decisions.clone(),
    };
    HolderApi::new(parts).map_err(|refusal| Failure::settings(format!("ra.limits: {refusal}")))
}

fn evidence_limits(installation: &Installation) -> EvidenceLimits {
    let limits = &installation.settings.ca.evidence;
    let seconds = |seconds: u32| TimeDelta::seconds(seconds.into());
    EvidenceLimits {
        feed: seconds(limits.feed_seconds),
        card_crl: seconds(limits.card_crl_seconds),
        comparison: seconds(limits.comparison_seconds),
    }
}

fn places(installation: &Installation, kind: CertificateKind) -> Result<CardStatusPlaces, Failure> {
    let topic = installation.settings.card.authority(kind);
    let crl_url = CrlUrlTemplate::parse(&topic.crl_url).map_err(|fault| Failure::settings(format!("card.{kind}.crl_url: {fault}")))?;
    Ok(CardStatusPlaces { ocsp_url: topic.ocsp_url.clone(), crl_url })
}

fn read(installation: &Installation, path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    read_file(&installation.settings.path(path))
}
