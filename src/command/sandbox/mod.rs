//! `tsunagi sandbox`

mod card;
mod measure;
mod phone;
mod witness;

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sandbox::back_office::{BackOffice, BackOfficeFault, BackOfficeSettings, PushTarget};
use sandbox::card::Card;
use sandbox::fcm::{PushService, PushServiceSettings};
use sandbox::http::ClientIdentity;
use sandbox::keys::KeyAlgorithm;
use sandbox::load::{LoadFault, LoadSettings, Phase, Progress};
use sandbox::phone::RaSettings;

use crate::failure::Failure;
use crate::installation::read_file;
use crate::output::Output;
use crate::sandbox_files::SandboxFiles;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    BackOffice(BackOfficeArguments),
    Witness(witness::Arguments),
    /// Hand out and revoke cards
    #[command(subcommand)]
    Card(card::Command),
    /// Play the holder's phone
    #[command(subcommand)]
    Phone(phone::Command),
    Load(LoadArguments),
    /// Measure: from a card event's acceptance to OCSP saying revoked
    Cascade(measure::CascadeArguments),
    /// Measure: card events by the million, with issuance and OCSP beside them
    Flood(measure::FloodArguments),
}

/// Run a mock back office (J-LIS) with its card CA, the card CA's OCSP and CRLs, and a mock push service
///
/// It keeps its state in a directory, where it also leaves what the other commands need. The push service speaks like Firebase
/// Cloud Messaging and forgets everything when it stops. Stop it with SIGINT or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct BackOfficeArguments {
    /// Where it keeps its state; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "sandbox")]
    dir: PathBuf,
    /// Where it answers (HTTPS)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// Where the card CA's status service answers (HTTP)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    status_listen: SocketAddr,
    /// Where the push service answers (HTTP)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7090")]
    push_listen: SocketAddr,
    /// Key generations of the card CA, all of one name
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=8))]
    generations: u32,
    /// The directory of an installation to push card events to; without it they wait in the feed
    #[arg(long, value_name = "DIR")]
    push: Option<PathBuf>,
    /// Begin anew and remember nothing: for measuring, where writing the state down would take more than what is measured
    #[arg(long)]
    forget: bool,
}

/// Measure: apply as fast as the running server answers, and report
///
/// Cards and keys are made beforehand; challenges are fetched and applications signed just before the timed part. Raise the
/// server's rate limits first: ra.limits.listener.requests_per_second = 0.
#[derive(Debug, Args)]
pub(crate) struct LoadArguments {
    /// The installation's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    installation: PathBuf,
    /// The back office's directory
    #[arg(long, value_name = "DIR", default_value = "sandbox")]
    sandbox: PathBuf,
    /// Applications in each step
    #[arg(long, default_value_t = 2_000)]
    applications: u32,
    /// Clients at once, one number for each step
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16, 64])]
    clients: Vec<u32>,
    /// The phones' keys: p256, p384 or rsa2048
    #[arg(long, default_value = "p256", value_parser = key_algorithm)]
    key: KeyAlgorithm,
    /// After so many seconds a step sends nothing new
    #[arg(long, default_value_t = 120)]
    step_seconds: u64,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::BackOffice(arguments) => back_office(arguments),
        Command::Witness(arguments) => witness::run(arguments, output),
        Command::Card(command) => card::run(command, output),
        Command::Phone(command) => phone::run(command, output),
        Command::Load(arguments) => load(arguments, output),
        Command::Cascade(arguments) => measure::cascade(arguments, output),
        Command::Flood(arguments) => measure::flood(arguments, output),
    }
}

fn back_office(arguments: &BackOfficeArguments) -> Result<(), Failure> {
    crate::telemetry::start_logs(false);
    std::fs::create_dir_all(&arguments.dir).map_err(failed)?;
    let _lock = lock(&arguments.dir)?;
    let push = arguments.push.as_deref().map(push_target).transpose()?;
    let back_office = BackOffice::start(&BackOfficeSettings {
        listen: arguments.listen,
        status_listen: arguments.status_listen,
        generations: arguments.generations,
        directory: (!arguments.forget).then(|| arguments.dir.clone()),
        push,
        ..BackOfficeSettings::default()
    })
    .map_err(failed)?;
    let access_token = SandboxFiles::push_token(&arguments.dir);
    let push = PushService::start(&PushServiceSettings { listen: arguments.push_listen, access_token, ..PushServiceSettings::default() });
    let push = push.map_err(failed)?;
    SandboxFiles::write(&back_office, &push, &arguments.dir)?;
    tracing::info!("back office at {}, card status at {}, push service at {}", back_office.url(), back_office.status_url(), push.url());
    super::serve::wait_for_signal()?;
    back_office.stop();
    Ok(())
}

/// Keeps the directory for this process: two that wrote their state to one would undo each other's work. Ends with the process,
/// however it ends.
fn lock(directory: &Path) -> Result<File, Failure> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(|error| Failure::other(format!("{}: {error}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::exists(format!("a back office runs in {} already: stop it, or name another with --dir", directory.display())))
        }
        Err(TryLockError::Error(error)) => Err(Failure::other(format!("{}: {error}", path.display()))),
    }
}

/// The operators' listener of an installation, as its back office.
pub(crate) fn push_target(installation: &Path) -> Result<PushTarget, Failure> {
    operator_target(installation, "back-office")
}

/// The same, as any of the operators whose certificates and keys the installation has.
pub(crate) fn operator_target(installation: &Path, name: &str) -> Result<PushTarget, Failure> {
    let settings = load_settings(installation)?;
    let operators = settings.directory.join("operators");
    Ok(PushTarget {
        url: format!("https://{}", settings.operators.listen),
        ca_certificate_pem: read_text(&operators.join("server-ca.pem"))?,
        identity: ClientIdentity {
            certificate_pem: read_text(&operators.join(format!("{name}.pem")))?,
            key_pem: read_text(&operators.join(format!("{name}.key.pem")))?,
        },
    })
}

fn load(arguments: &LoadArguments, output: Output) -> Result<(), Failure> {
    let settings = load_settings(&arguments.installation)?;
    let client = SandboxFiles::read(&arguments.sandbox)?.client()?;
    let mut load = LoadSettings::new(ra_settings(&settings)?, &settings.ra.name, client);
    load.applications = arguments.applications;
    load.clients.clone_from(&arguments.clients);
    load.key_algorithm = arguments.key;
    load.step_limit = Duration::from_secs(arguments.step_seconds);
    let bar = if output == Output::Text { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg:32} {wide_bar} {pos}/{len} {eta}").map_err(failed)?;
    bar.set_style(style);
    let report = sandbox::load::run(&load, &|progress: Progress| {
        let phase = match progress.phase {
            Phase::Cards => "making cards",
            Phase::Signing => "signing applications",
            Phase::Driving => "applying",
            Phase::Issuing => "issuing",
            Phase::Cascading => "cascading",
        };
        bar.set_message(format!("{phase}, {} clients", progress.clients));
        bar.set_length(progress.total.into());
        bar.set_position(progress.done.into());
    });
    bar.finish_and_clear();
    let report = report.map_err(unmeasured)?;
    output.print(&report.to_json(), |_| report.to_table())?;
    if report.is_clean() {
        return Ok(());
    }
    let failure = Failure::refused("not every application was issued on");
    let is_limited = report.steps.iter().any(|step| step.errors.contains_key(RATE_LIMITED));
    Err(if is_limited { failure.and(LIFT_THE_LIMIT) } else { failure })
}

/// How a phone reaches the RA of an installation on this machine.
pub(crate) fn ra_settings(settings: &Settings) -> Result<RaSettings, Failure> {
    Ok(RaSettings {
        url: format!("https://{}", settings.ra.listen),
        ca_certificate_pem: read_text(&settings.directory.join("ra/tls-ca.pem"))?,
        timeout: Duration::from_secs(30),
    })
}

fn load_settings(directory: &Path) -> Result<Settings, Failure> {
    Settings::load(directory).map_err(|fault| Failure::settings(fault.to_string()))
}

fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(path)?).map_err(|_| Failure::settings(format!("{}: not text", path.display())))
}

fn key_algorithm(word: &str) -> Result<KeyAlgorithm, String> {
    match word {
        "p256" => Ok(KeyAlgorithm::P256),
        "p384" => Ok(KeyAlgorithm::P384),
        "rsa2048" => Ok(KeyAlgorithm::Rsa2048),
        _ => Err("one of p256, p384, rsa2048".to_owned()),
    }
}

fn failed(fault: impl std::fmt::Display) -> Failure {
    Failure::other(fault.to_string())
}

/// The RA's code for it.
const RATE_LIMITED: &str = "rate_limited";

const LIFT_THE_LIMIT: &str = "The RA limits the requests of one address, and all of this load comes from one: set requests_per_second = 0 under \
                              [ra.limits.listener] of its settings, and start it again";

/// Why there is no measurement.
fn unmeasured(fault: LoadFault) -> Failure {
    match &fault {
        LoadFault::Phone(refusal) if refusal.code() == Some(RATE_LIMITED) => {
            Failure::refused(fault.to_string()).and(LIFT_THE_LIMIT).with_code(RATE_LIMITED)
        }
        _ => failed(fault),
    }
}

/// What the back office says, as a failure.
fn told(fault: BackOfficeFault) -> Failure {
    let message = fault.to_string();
    match fault {
        BackOfficeFault::Http(_) => Failure::unreachable(message),
        BackOfficeFault::Refused(_) | BackOfficeFault::Answer { .. } => Failure::refused(message),
        _ => Failure::other(message),
    }
}

fn load_card(directory: &Path) -> Result<Card, Failure> {
    if !directory.is_dir() {
        return Err(Failure::not_found(format!("no card at {}: make one with `tsunagi sandbox card new`", directory.display())));
    }
    Card::load(directory).map_err(failed)
}
