//! `tsunagi sandbox cascade` and `tsunagi sandbox flood`

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use sandbox::kind::Kind;
use sandbox::load::{CascadeSettings, CascadeWay, FloodSettings, LoadSettings, Phase, Progress, run_cascade, run_flood};
use sandbox::operator::OperatorSettings;
use sandbox::pem;

use super::{failed, load_settings, operator_target, ra_settings, unmeasured};
use crate::failure::Failure;
use crate::output::Output;
use crate::sandbox_files::SandboxFiles;
use crate::settings::Settings;

/// What both measurements need.
#[derive(Debug, Args)]
pub(crate) struct Measured {
    /// The installation's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    installation: PathBuf,
    /// The back office's directory
    #[arg(long, value_name = "DIR", default_value = "sandbox")]
    sandbox: PathBuf,
    /// Holders that certificates of both kinds are issued to beforehand
    #[arg(long, default_value_t = 2_000)]
    holders: u32,
    /// Clients at once that apply for them
    #[arg(long, default_value_t = 16)]
    clients: u32,
    /// After so many seconds the effect of an event counts as missing
    #[arg(long, default_value_t = 60)]
    patience: u64,
}

/// Measure: from a card event's acceptance to OCSP saying revoked
///
/// Certificates are issued beforehand; then each of their cards' certificates is told to be revoked, one event after the other at
/// a fixed rate, and OCSP is asked about each until it says so. Set the RA's rate limit to 0 before, as for `sandbox load`.
#[derive(Debug, Args)]
pub(crate) struct CascadeArguments {
    #[command(flatten)]
    measured: Measured,
    /// Card events per second
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// How they are told: pushed to the operators' listener, or left in the back office's feed
    #[arg(long, value_enum, default_value_t = Way::Push)]
    way: Way,
    /// Connections on which events are delivered
    #[arg(long, default_value_t = 8)]
    deliverers: u32,
    /// Connections on which OCSP is asked
    #[arg(long, default_value_t = 8)]
    watchers: u32,
    /// Milliseconds between two questions about one certificate
    #[arg(long, default_value_t = 20)]
    poll: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    Push,
    Feed,
}

/// Measure: card events by the million, with issuance and OCSP beside them
///
/// Certificates are issued beforehand; then a file of card events, some of which end these certificates, is brought in by
/// `card-event import`. Set the RA's rate limit to 0 before, as for `sandbox load`. With --scope the events only make the cards known, and one event of the back office's feed ends them all.
#[derive(Debug, Args)]
pub(crate) struct FloodArguments {
    #[command(flatten)]
    measured: Measured,
    /// Card events
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Then revoke all cards of one key by one event of the feed; the store must have had no batch yet
    #[arg(long)]
    scope: bool,
    /// Where the card events are written
    #[arg(long, value_name = "FILE", default_value = "card-events.jsonl")]
    file: PathBuf,
    /// Applications per second beside it
    #[arg(long, default_value_t = 5)]
    applications: u32,
    /// OCSP requests per second beside it
    #[arg(long, default_value_t = 50)]
    ocsp: u32,
}

pub(super) fn cascade(arguments: &CascadeArguments, output: Output) -> Result<(), Failure> {
    let settings = load_settings(&arguments.measured.installation)?;
    let measurement = CascadeSettings {
        load: arguments.measured.load(&settings)?,
        issuers: issuers(&settings)?,
        back_office_at_operators: operator(&settings, "back-office")?,
        holders: arguments.measured.holders,
        clients: arguments.measured.clients,
        rate: arguments.rate,
        way: match arguments.way {
            Way::Push => CascadeWay::Push,
            Way::Feed => CascadeWay::Feed,
        },
        deliverers: arguments.deliverers,
        watchers: arguments.watchers,
        poll: Duration::from_millis(arguments.poll),
        patience: Duration::from_secs(arguments.measured.patience),
    };
    let report = with_bar(output, |progress| run_cascade(&measurement, progress).map_err(unmeasured))?;
    output.print(&report.to_json(), |_| report.to_table())?;
    if report.is_clean() { Ok(()) } else { Err(Failure::refused("not every certificate was revoked in time")) }
}

pub(super) fn flood(arguments: &FloodArguments, output: Output) -> Result<(), Failure> {
    let settings = load_settings(&arguments.measured.installation)?;
    let measurement = FloodSettings {
        load: arguments.measured.load(&settings)?,
        issuers: issuers(&settings)?,
        auditor: operator(&settings, "auditor")?,
        holders: arguments.measured.holders,
        clients: arguments.measured.clients,
        events: arguments.events,
        scope: arguments.scope,
        file: arguments.file.clone(),
        applications: arguments.applications,
        ocsp: arguments.ocsp,
        patience: Duration::from_secs(arguments.measured.patience),
    };
    let import = |file: &Path| import(&settings.directory, file);
    let report = with_bar(output, |progress| run_flood(&measurement, &import, progress).map_err(unmeasured))?;
    output.print(&report.to_json(), |_| report.to_table())?;
    if report.is_clean() { Ok(()) } else { Err(Failure::refused("not every certificate was revoked")) }
}

/// Brings card events in as an operator would: with this program, in a process of its own.
fn import(installation: &Path, file: &Path) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--output", "json", "card-event", "import", "--settings"]).arg(installation).arg(file);
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status().map_err(|error| error.to_string())?;
    if ended.success() { Ok(()) } else { Err(format!("card-event import: {ended}")) }
}

impl Measured {
    fn load(&self, settings: &Settings) -> Result<LoadSettings, Failure> {
        let client = SandboxFiles::read(&self.sandbox)?.client()?;
        Ok(LoadSettings::new(ra_settings(settings)?, &settings.ra.name, client))
    }
}

/// The certificates of an installation's first CA keys.
fn issuers(settings: &Settings) -> Result<HashMap<Kind, Vec<u8>>, Failure> {
    let issuer = |kind: Kind| {
        let path = settings.directory.join(format!("ca/ca-{kind}-1.pem"));
        Ok((kind, pem::read(&path, pem::CERTIFICATE).map_err(failed)?))
    };
    Kind::ALL.into_iter().map(issuer).collect()
}

/// One of the operators that an installation was set up with.
fn operator(settings: &Settings, name: &str) -> Result<OperatorSettings, Failure> {
    let target = operator_target(&settings.directory, name)?;
    Ok(OperatorSettings::new(&target.url, &target.ca_certificate_pem, target.identity, &settings.ra.name))
}

fn with_bar<T>(output: Output, work: impl FnOnce(&(dyn Fn(Progress) + Sync)) -> Result<T, Failure>) -> Result<T, Failure> {
    let bar = if output == Output::Text { ProgressBar::new(0) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{msg:16} {wide_bar} {pos}/{len} {eta}").map_err(failed)?);
    let result = work(&|progress: Progress| {
        bar.set_message(if progress.phase == Phase::Cascading { "card events" } else { "issuing" });
        bar.set_length(progress.total.into());
        bar.set_position(progress.done.into());
    });
    bar.finish_and_clear();
    result
}
