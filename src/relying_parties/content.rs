//! What the page tells: gathered from the store, which the status role may only read, and from the settings.

use std::collections::BTreeMap;

use ca_core::digest::Sha256Digest;
use ca_core::issuer::{CaKey, CaKeyId};
use ca_core::kind::CertificateKind;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use crl_publisher::CrlSettings;
use ocsp::OcspSettings;
use schema::latency::{LatencyStage, LatencySummary};
use schema::log::LogIdentity;
use schema::test_certificate::{TestCertificate, TestStatus};
use schema::{Reader, StoreFault};
use serde::Serialize;

use crate::installation::Installation;

/// Of how much time the measured latency is told.
const MEASURED_HOURS: u32 = 24;

/// The page, and what it offers for download by file name.
pub(super) struct Gathered {
    pub(super) content: Content,
    pub(super) certificates: Vec<(String, Vec<u8>)>,
}

/// The page. Times are RFC 3339, digests and identifiers hexadecimal.
#[derive(Debug, Serialize)]
pub(super) struct Content {
    pub(super) ca_certificates: Vec<CaCertificate>,
    pub(super) crls: Vec<Crl>,
    pub(super) ocsp: OcspPromise,
    pub(super) crl: CrlPromise,
    pub(super) measured: Vec<Measured>,
    pub(super) test_certificates: Vec<Test>,
    /// The issuance log, once it has begun.
    pub(super) log: Option<Log>,
}

/// The issuance log (docs/log.md).
#[derive(Debug, Serialize)]
pub(super) struct Log {
    /// Its name.
    pub(super) origin: String,
    /// Its public key, as a verifier key (C2SP signed-note).
    pub(super) verifier_key: String,
    /// What comes before `/checkpoint` and `/tile/…` (C2SP tlog-tiles).
    pub(super) url: String,
}

/// A CA key.
#[derive(Debug, Serialize)]
pub(super) struct CaCertificate {
    pub(super) kind: CertificateKind,
    pub(super) generation: u32,
    pub(super) name: String,
    pub(super) certificate_url: String,
    pub(super) sha256: String,
    pub(super) key_identifier: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
    /// Since when nothing is issued with it any more and everything that it issued has ended.
    pub(super) retired_at: Option<String>,
    pub(super) policy_oid: String,
    pub(super) cps_url: Option<String>,
    pub(super) ocsp_url: String,
}

/// A list that is in force.
#[derive(Debug, Serialize)]
pub(super) struct Crl {
    pub(super) kind: CertificateKind,
    pub(super) generation: u32,
    pub(super) shard: u16,
    pub(super) url: String,
    pub(super) number: u64,
    pub(super) this_update: String,
    pub(super) next_update: String,
    pub(super) entries: u64,
    pub(super) octets: u64,
    pub(super) sha256: String,
}

/// How fresh OCSP answers are.
#[derive(Debug, Clone, Serialize)]
pub(super) struct OcspPromise {
    /// From thisUpdate to nextUpdate.
    pub(super) answer_life_seconds: u32,
    /// For which HTTP caches may repeat one.
    pub(super) cache_seconds: u32,
    /// For which the service answers from memory when it is cut off from the store; then it says tryLater.
    pub(super) cut_off_seconds: u32,
    /// What serial numbers are told that were never issued.
    pub(super) never_issued: ocsp::NeverIssued,
}

/// How fresh CRLs are.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CrlPromise {
    /// Six fields of cron, seconds first, in UTC.
    pub(super) schedule: String,
    /// For which a list is good beyond the next regular time.
    pub(super) overlap_seconds: u32,
    /// Which revocations are published at once.
    pub(super) at_once: crl_publisher::AtOnce,
    /// For how many days regular lists are kept.
    pub(super) keep_days: u16,
    /// For which HTTP caches may repeat one.
    pub(super) cache_seconds: u32,
}

/// How long revocations took to become known.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) stage: &'static str,
    pub(super) hours: u32,
    pub(super) count: u64,
    pub(super) lost: u64,
    pub(super) p50_ms: Option<u64>,
    pub(super) p99_ms: Option<u64>,
    pub(super) max_ms: Option<u64>,
}

/// A certificate with which relying parties try their checks.
#[derive(Debug, Serialize)]
pub(super) struct Test {
    pub(super) kind: CertificateKind,
    pub(super) status: &'static str,
    pub(super) serial: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
    pub(super) url: String,
}

/// What the settings and policies promise.
pub(crate) struct Promises {
    ocsp: OcspPromise,
    crl: CrlPromise,
    status_url: String,
    /// Each kind's issuer name in words, policy and practice statement.
    profiles: BTreeMap<CertificateKind, (String, String, Option<String>)>,
}

impl Promises {
    /// Those of an installation.
    pub(crate) fn of(installation: &Installation) -> Self {
        let profile = |kind: CertificateKind| {
            let profile = installation.policies.profile(kind.into());
            let name: Vec<String> =
                profile.issuer_name.iter().map(|attribute| format!("{:?}={}", attribute.kind, attribute.value)).collect();
            (kind, (name.join(", "), profile.policy.oid.to_string(), profile.policy.cps.clone()))
        };
        let settings = &installation.settings;
        Self {
            ocsp: OcspPromise::from(&settings.status.ocsp),
            crl: CrlPromise::from(&settings.crl),
            status_url: settings.status.url.clone(),
            profiles: CertificateKind::ALL.into_iter().map(profile).collect(),
        }
    }
}

impl From<&OcspSettings> for OcspPromise {
    fn from(settings: &OcspSettings) -> Self {
        Self {
            answer_life_seconds: settings.answer_life_seconds,
            cache_seconds: settings.cache_seconds,
            cut_off_seconds: settings.cut_off_seconds,
            never_issued: settings.never_issued,
        }
    }
}

impl From<&CrlSettings> for CrlPromise {
    fn from(settings: &CrlSettings) -> Self {
        Self {
            schedule: settings.schedule.clone(),
            overlap_seconds: settings.overlap_seconds,
            at_once: settings.at_once,
            keep_days: settings.keep_days,
            cache_seconds: settings.cache_seconds,
        }
    }
}

/// Reads what there is at `now`.
pub(super) fn gather(reader: &Reader, promises: &Promises, now: DateTime<Utc>) -> Result<Gathered, StoreFault> {
    let ca_keys = reader.ca_keys()?;
    let retired: BTreeMap<CaKeyId, DateTime<Utc>> =
        reader.crl_scopes()?.into_iter().filter_map(|scope| Some((scope.ca_key, scope.retired_at?))).collect();
    let crls = reader.latest_crls()?;
    let crls = crls.iter().filter_map(|crl| {
        let ca_key = ca_keys.iter().find(|ca_key| ca_key.id() == crl.ca_key)?;
        Some(Crl {
            kind: ca_key.kind(),
            generation: ca_key.generation(),
            shard: crl.shard,
            url: ca_key.distribution_point(crl.shard).url,
            number: crl.number,
            this_update: time(crl.this_update),
            next_update: time(crl.next_update),
            entries: crl.entries,
            octets: crl.octets,
            sha256: crl.sha256.to_string(),
        })
    });
    let measured = LatencyStage::ALL.into_iter().map(|stage| measured(reader, stage, now));
    let tests = tests(reader, &ca_keys, now)?;
    let content = Content {
        ca_certificates: ca_keys.iter().filter_map(|ca_key| ca_certificate(ca_key, promises, retired.get(&ca_key.id()))).collect(),
        crls: crls.collect(),
        ocsp: promises.ocsp.clone(),
        crl: promises.crl.clone(),
        measured: measured.collect::<Result<_, _>>()?,
        log: reader.log_head()?.identity.map(|LogIdentity { origin, verifier_key }| {
            let url = format!("{}/log", promises.status_url);
            Log { origin, verifier_key, url }
        }),
        test_certificates: tests.iter().map(|(kind, test)| told_test(*kind, test, &promises.status_url)).collect(),
    };
    let certificates = tests.into_iter().map(|(kind, test)| (file_name(kind, test.status), test.der)).collect();
    Ok(Gathered { content, certificates })
}

fn ca_certificate(ca_key: &CaKey, promises: &Promises, retired_at: Option<&DateTime<Utc>>) -> Option<CaCertificate> {
    let (name, policy_oid, cps_url) = promises.profiles.get(&ca_key.kind())?.clone();
    Some(CaCertificate {
        kind: ca_key.kind(),
        generation: ca_key.generation(),
        name,
        certificate_url: ca_key.urls().certificate.clone(),
        sha256: Sha256Digest::of(ca_key.certificate_der()).to_string(),
        key_identifier: ca_key.key_identifier().to_string(),
        not_before: time(ca_key.not_before()),
        not_after: time(ca_key.not_after()),
        retired_at: retired_at.copied().map(time),
        policy_oid,
        cps_url,
        ocsp_url: ca_key.urls().ocsp.clone(),
    })
}

/// To whole hours, so that the page stays the same until there is news.
fn measured(reader: &Reader, stage: LatencyStage, now: DateTime<Utc>) -> Result<Measured, StoreFault> {
    let minutes = reader.latency_history(stage, now - TimeDelta::hours(MEASURED_HOURS.into()), now)?;
    let summary = LatencySummary::of(&minutes);
    Ok(Measured {
        stage: stage.as_str(),
        hours: MEASURED_HOURS,
        count: summary.count,
        lost: summary.lost,
        p50_ms: summary.percentile(50),
        p99_ms: summary.percentile(99),
        max_ms: (summary.count > 0).then_some(summary.max_milliseconds),
    })
}

/// For each kind and status the one of the newest CA key that is what it is to be an example of: after a change of key those of the
/// key before it, until there are new ones.
fn tests(reader: &Reader, ca_keys: &[CaKey], now: DateTime<Utc>) -> Result<Vec<(CertificateKind, TestCertificate)>, StoreFault> {
    let mut newest = BTreeMap::new();
    for test in reader.test_certificates()? {
        let Some(ca_key) = ca_keys.iter().find(|ca_key| ca_key.id() == test.ca_key) else { continue };
        let place = (ca_key.kind(), test.status);
        let is_newer = newest.get(&place).is_none_or(|(generation, _)| *generation < ca_key.generation());
        if (test.not_after < now) == (test.status == TestStatus::Expired) && is_newer {
            newest.insert(place, (ca_key.generation(), test));
        }
    }
    Ok(newest.into_iter().map(|((kind, _), (_, test))| (kind, test)).collect())
}

fn told_test(kind: CertificateKind, test: &TestCertificate, status_url: &str) -> Test {
    Test {
        kind,
        status: test.status.as_str(),
        serial: test.serial.to_string(),
        not_before: time(test.not_before),
        not_after: time(test.not_after),
        url: format!("{status_url}/test/{}", file_name(kind, test.status)),
    }
}

fn file_name(kind: CertificateKind, status: TestStatus) -> String {
    format!("{kind}-{}.cer", status.as_str())
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
