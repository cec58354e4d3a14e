//! `tsunagi audit verify`

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use audit_log::LogVerifier;
use audit_log::export::{Identities, MANIFEST_FILE, MANIFEST_OCTETS, Manifest};
use audit_log::verify::{EvidenceMeans, ExportTold, Measures, Outlives, Verdict, Verification};
use ca_core::application::verifier::ApplicationVerifier;
use ca_core::card::authority::{CardAuthorities, CardAuthority};
use ca_core::kind::CertificateKind;
use ca_core::revocation::RevocationReason;
use chrono::Utc;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use policies::{CardEffects, Effect, Policies};

use super::lifecycle;
use crate::card_judge::CardJudge;
use crate::failure::Failure;
use crate::installation::read_named;
use crate::output::{Output, counted, pairs, table};
use crate::settings::ShippedLifecycle;
use crate::verifier_keys::{log_verifier, witness_verifier};

/// Verify an export offline, with nothing but the log's public key
///
/// Recomputes every hash from the records to the root that the log key signed, holds the tree against earlier ones that you have kept, and checks
/// what the records say: each issuance has an accepted application, a holder has one live certificate of a kind, cascades come in time, CRL numbers
/// rise, nothing happens to what has ended. Names the file and the leaf of whatever is wrong, and says what is proved by what and what is not. Ends
/// with code 10 if anything is wrong, with 1 or 5 if there is nothing that can be read.
#[derive(Debug, Args)]
#[command(after_help = "Example: tsunagi audit verify visit-2 --log-key log.vkey --previous visit-1 --witness witness.vkey")]
pub(crate) struct Verify {
    /// The export
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The log's public key, NAME+ID+KEY, or a file with it. Have it from another place than the export
    #[arg(long, value_name = "KEY|FILE")]
    log_key: String,
    /// An earlier export, or a checkpoint that you have kept: each of them is held against it. Several in the order of your visits
    #[arg(long, value_name = "DIR|FILE")]
    previous: Vec<PathBuf>,
    /// The key of a log that this one follows, because it could not go on: what you have of that one is held against this. As --log-key; may be
    /// named several times
    #[arg(long = "former-log-key", value_name = "KEY|FILE")]
    former_log_keys: Vec<String>,
    /// A witness that must have cosigned, NAME+ID+KEY, or a file with it; may be named several times
    #[arg(long = "witness", value_name = "KEY|FILE")]
    witnesses: Vec<String>,
    /// Your age key, as age-keygen writes it, to open what cards signed
    #[arg(long, value_name = "FILE", requires = "card_cas")]
    identity: Option<PathBuf>,
    /// A card CA that you trust, PEM or DER: signature=FILE, authentication=FILE, or FILE for both; may be named several times
    #[arg(long = "card-ca", value_name = "[KIND=]FILE", requires = "identity")]
    card_cas: Vec<String>,
    /// For whom applications are made: the RA's name in what cards sign. The log's name without "/log", where nothing else is said
    #[arg(long, value_name = "NAME", requires = "identity")]
    ra_name: Option<String>,
    /// How many seconds a cascade may take, from hearing of the card's change to the change of what hangs on it
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600, value_parser = clap::value_parser!(u32).range(1..))]
    cascade_limit: u32,
    /// How many years records are kept at least before they are purged
    #[arg(long, value_name = "YEARS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    retention_years: u32,
    /// The life cycle of the installation: what of a card's changes its certificates outlive [default: the one that the records name, if it is one
    /// of these, else jpki]
    #[arg(long, value_enum, conflicts_with = "policies")]
    lifecycle: Option<ShippedLifecycle>,
    /// The installation's own policies, if it has any: a directory as `policy_directory` names it
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// The most memory for what rules keep in mind, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    memory: u32,
}

pub(crate) fn run(arguments: &Verify, output: Output) -> Result<(), Failure> {
    let log = log_verifier(&arguments.log_key)?;
    let witnesses = arguments.witnesses.iter().map(|witness| witness_verifier(witness)).collect::<Result<Vec<_>, _>>()?;
    let former_logs = arguments.former_log_keys.iter().map(|key| log_verifier(key)).collect::<Result<Vec<_>, _>>()?;
    let policies = policies(arguments)?;
    let measures = Measures {
        cascade_limit: i64::from(arguments.cascade_limit) * 1_000,
        outlives: outlives(&policies),
        lifecycle_sha256: Some(hex::encode(policies.lifecycle.sha256)),
        retention_years: arguments.retention_years,
        room: usize::try_from(u64::from(arguments.memory) << 20).unwrap_or(usize::MAX),
        now: Utc::now().timestamp_millis(),
    };
    let opened = match &arguments.identity {
        Some(path) => {
            let audience = arguments.ra_name.as_deref().unwrap_or_else(|| log.name().trim_end_matches("/log"));
            Some((identities(path)?, CardJudge::new(application_verifier(arguments, &policies, audience)?)))
        }
        None => None,
    };
    if let (Some((identities, _)), Some(file)) = (&opened, &arguments.identity) {
        for directory in arguments.previous.iter().chain([&arguments.directory]) {
            opens(identities, file, directory, &log, &former_logs)?;
        }
    }
    let means = opened.as_ref().map(|(identities, judge)| EvidenceMeans { identities, judge });
    let mut verification = Verification::new(&log, &witnesses, measures, means.as_ref()).with_former_logs(&former_logs);
    let (directories, checkpoints): (Vec<&Path>, Vec<&Path>) =
        arguments.previous.iter().map(PathBuf::as_path).partition(|path| path.is_dir());
    for previous in checkpoints {
        let note = String::from_utf8_lossy(&read_named(previous)?).into_owned();
        verification.checkpoint(&previous.display().to_string(), &note);
    }
    let directories: Vec<&Path> = directories.into_iter().chain([arguments.directory.as_path()]).collect();
    directories.iter().skip(1).for_each(|later| verification.foresee(later));
    for directory in directories {
        read(&mut verification, directory, output)?;
    }
    let verdict = verification.finish();
    output.print(&verdict, text)?;
    match &verdict.first {
        None => Ok(()),
        Some(first) => Err(Failure::disproved(format!("the export is not what it has to be: {first}")).with_code("export_disproved")),
    }
}

fn read(verification: &mut Verification<'_>, directory: &Path, output: Output) -> Result<(), Failure> {
    let bar = if output == Output::Text { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg:36!} {wide_bar} {human_pos}/{human_len} records {per_sec} {eta} left");
    bar.set_style(style.map_err(|error| Failure::other(error.to_string()))?);
    let name = directory.display().to_string();
    bar.set_message(name.clone());
    let read = verification.export(directory, &name, &mut |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.done);
    });
    bar.finish_and_clear();
    read.map_err(|unreadable| {
        let is_there = directory.is_dir();
        let failure = if is_there { Failure::other(unreadable.to_string()) } else { Failure::not_found(unreadable.to_string()) };
        failure.with_code("export_unreadable")
    })
}

fn policies(arguments: &Verify) -> Result<Policies, Failure> {
    let policies = match &arguments.policies {
        Some(directory) => Policies::load(directory),
        None => {
            let exports = arguments.previous.iter().chain([&arguments.directory]).map(PathBuf::as_path);
            arguments.lifecycle.or_else(|| lifecycle::named(exports)).unwrap_or(ShippedLifecycle::Jpki).policies()
        }
    };
    policies.map_err(|fault| Failure::settings(fault.to_string()))
}

fn identities(path: &Path) -> Result<Identities, Failure> {
    let text = read_named(path)?;
    Identities::parse(&String::from_utf8_lossy(&text)).map_err(|fault| Failure::usage(format!("--identity {}: {fault}", path.display())))
}

/// Whether an export's evidence, if it has any, is for one of these keys: another key of the auditor's own speaks against nobody. Only what the log key
/// signed is believed; what it did not is left to be found.
fn opens(identities: &Identities, file: &Path, directory: &Path, log: &LogVerifier, former: &[LogVerifier]) -> Result<(), Failure> {
    let mut note = String::new();
    let read =
        File::open(directory.join(MANIFEST_FILE)).and_then(|file| file.take(MANIFEST_OCTETS as u64 + (1 << 16)).read_to_string(&mut note));
    let signed = read.ok().and_then(|_| std::iter::once(log).chain(former).find_map(|log| log.open(&note).ok()));
    match signed.and_then(|signed| Manifest::parse(signed.text()).ok()?.recipient) {
        Some(recipient) if !identities.open(&recipient) => Err(Failure::usage(format!(
            "--identity {}: it has no key that opens the evidence of {}, which is encrypted to {recipient}",
            file.display(),
            directory.display()
        ))
        .with_code("identity_other")),
        _ => Ok(()),
    }
}

fn application_verifier(arguments: &Verify, policies: &Policies, audience: &str) -> Result<ApplicationVerifier, Failure> {
    let mut authorities = Vec::new();
    for argument in &arguments.card_cas {
        let named =
            CertificateKind::ALL.into_iter().find_map(|kind| Some((kind, argument.strip_prefix(kind.as_str())?.strip_prefix('=')?)));
        let (kinds, file) = match named {
            Some((kind, file)) => (vec![kind], file),
            None => (CertificateKind::ALL.to_vec(), argument.as_str()),
        };
        let certificate = read_named(Path::new(file))?;
        for kind in kinds {
            let authority = CardAuthority::from_certificate(kind, &certificate);
            authorities.push(authority.map_err(|fault| Failure::usage(format!("--card-ca {argument}: {fault}")))?);
        }
    }
    let authorities = CardAuthorities::new(authorities).map_err(|fault| Failure::usage(format!("--card-ca: {fault}")))?;
    // A smartphone certificate has none of these as its issuer, so that no key of ours has to be told apart.
    Ok(ApplicationVerifier::new(policies.application.as_ref().clone(), authorities, Vec::new(), audience.to_owned()))
}

/// What a life cycle leaves as it is when a card certificate ends or is held. A record of the end has the reason and not the change, so what one
/// change of a reason leaves, is left.
fn outlives(policies: &Policies) -> Outlives {
    let reasons = |effects: &CardEffects| {
        let mut reasons: Vec<RevocationReason> = effects.revoked.outlives.clone();
        let changes = [
            (effects.renewed, RevocationReason::Superseded),
            (effects.record_changed, RevocationReason::AffiliationChanged),
            (effects.died, RevocationReason::CessationOfOperation),
            (effects.emigrated, RevocationReason::CessationOfOperation),
            (effects.record_error, RevocationReason::Unspecified),
        ];
        reasons.extend(changes.into_iter().filter(|(effect, _)| !matches!(effect, Effect::Revoke(_))).map(|(_, reason)| reason));
        reasons.iter().map(ToString::to_string).collect()
    };
    let lifecycle = &policies.lifecycle;
    Outlives {
        signature: reasons(&lifecycle.signature),
        authentication: reasons(&lifecycle.authentication),
        signature_hold: lifecycle.signature.held == Effect::None,
        authentication_hold: lifecycle.authentication.held == Effect::None,
    }
}

fn text(verdict: &Verdict) -> String {
    let mut told = Vec::new();
    for export in &verdict.exports {
        told.push(pairs(&[
            ("export", format!("{}, taken {} by {}", export.directory, export.taken_at, export.taken_by)),
            ("leaves", format!("{} to {} of {}", export.from, export.to - 1, export.size)),
            ("records", format!("{}, and {} purged, {} lost", export.records, export.purged, export.lost)),
            ("root", export.root.clone()),
            ("extends", export.extends.map_or_else(|| "-".to_owned(), |size| format!("the tree of {size} leaves"))),
            ("cosigned by", cosigned(export)),
        ]));
        if !export.unnamed.is_empty() {
            let names: Vec<String> = export.unnamed.iter().map(|name| name.escape_debug().to_string()).collect();
            told.push(format!("In {} and not in its manifest, so that nothing was looked at: {}", export.directory, names.join(", ")));
        }
    }
    if !verdict.clean {
        let findings: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
        told.push(format!("Found, {} in all:\n{}", verdict.found, findings.join("\n")));
    }
    let statements = |statements: &[audit_log::verify::Statement]| {
        let lines: Vec<String> = statements.iter().map(|statement| format!("- {}: {}", statement.what, statement.by)).collect();
        lines.join("\n")
    };
    if !verdict.proved.is_empty() {
        told.push(format!("Proved, and by what:\n{}", statements(&verdict.proved)));
    }
    told.push(format!("Not proved, and why:\n{}", statements(&verdict.not_proved)));
    if !verdict.not_judged.is_empty() {
        let rows: Vec<Vec<String>> = verdict
            .not_judged
            .iter()
            .map(|count| vec![count.rule.to_string(), count.count.to_string(), count.why.words().to_owned()])
            .collect();
        told.push(format!("Not judged:\n{}", table(&["rule", "records", "because"], &rows)));
    }
    if verdict.test_certificates > 0 {
        let count = verdict.test_certificates;
        let words = ["certificate was issued as an example", "certificates were issued as examples"];
        told.push(format!("{} for relying parties, upon no application", counted(count, words)));
    }
    if verdict.clean {
        told.push("Nothing is wrong.".to_owned());
    }
    told.join("\n\n")
}

fn cosigned(export: &ExportTold) -> String {
    let unjudged = export.cosigned_unjudged.iter().map(|name| format!("{name} (not judged: its key was not given, --witness)"));
    let all: Vec<String> = export.cosigned.iter().cloned().chain(unjudged).collect();
    if all.is_empty() { "nobody".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_certificates_outlive_follows_from_the_life_cycle() {
        let jpki = outlives(&ShippedLifecycle::Jpki.policies().unwrap());
        // A change of the record leaves authentication certificates as they are.
        assert_eq!(jpki, Outlives { authentication: vec!["affiliationChanged".to_owned()], ..Outlives::default() });
        let piv = outlives(&ShippedLifecycle::DerivedPiv.policies().unwrap());
        assert!(piv.signature_hold && piv.authentication_hold);
        assert!(piv.signature.contains(&"superseded".to_owned()) && piv.signature.contains(&"keyCompromise".to_owned()), "{piv:?}");
        assert!(!piv.signature.contains(&"cessationOfOperation".to_owned()), "{piv:?}");
    }
}
