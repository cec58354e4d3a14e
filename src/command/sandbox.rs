//! `tsunagi sandbox`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sandbox::back_office::{BackOffice, BackOfficeSettings, NewCard, PushTarget, RevocationRequest};
use sandbox::card::Card;
use sandbox::http::ClientIdentity;
use sandbox::keys::KeyAlgorithm;
use sandbox::kind::Kind;
use sandbox::load::{LoadSettings, Phase, Progress};
use sandbox::phone::{ApplyWish, RaClient, RaSettings, Replaces};
use sandbox::reason::Reason;
use serde_json::json;

use crate::failure::Failure;
use crate::installation::read_file;
use crate::output::{Output, pairs};
use crate::sandbox_files::SandboxFiles;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a mock back office (J-LIS) with its card CA and the card CA's OCSP and CRLs
    BackOffice(BackOfficeArguments),
    /// Hand out and revoke cards
    #[command(subcommand)]
    Card(CardCommand),
    /// Play the holder's phone
    #[command(subcommand)]
    Phone(PhoneCommand),
    /// Measure: apply as fast as the running server answers, and report
    Load(LoadArguments),
}

/// Run a mock back office (J-LIS) with its card CA and the card CA's OCSP and CRLs
///
/// It keeps its state in a directory, where it also leaves what the other commands need. Stop it with SIGINT or SIGTERM.
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
    /// Key generations of the card CA, all of one name
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=8))]
    generations: u32,
    /// The directory of an installation to push card events to; without it they wait in the feed
    #[arg(long, value_name = "DIR")]
    push: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CardCommand {
    /// Hand out a card: keys and certificates, in a new directory
    New {
        /// The back office's directory
        #[arg(long, value_name = "DIR", default_value = "sandbox")]
        sandbox: PathBuf,
        /// An existing or new holder; invented if not said
        #[arg(long, value_name = "HOLDER_ID")]
        holder: Option<String>,
        /// The card's directory; made if it does not exist
        #[arg(value_name = "DIR", default_value = "card")]
        card: PathBuf,
    },
    /// Revoke a card's certificates at the back office
    Revoke {
        /// The back office's directory
        #[arg(long, value_name = "DIR", default_value = "sandbox")]
        sandbox: PathBuf,
        /// Only this one of the card's two certificates
        #[arg(long)]
        kind: Option<Kind>,
        /// Why, as RFC 5280 calls it
        #[arg(long, default_value = "affiliationChanged")]
        reason: Reason,
        /// The card's directory
        #[arg(value_name = "DIR", default_value = "card")]
        card: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PhoneCommand {
    /// Apply for smartphone certificates with a card
    Apply {
        /// The installation's directory: says where the RA is, how it is called and which TLS CA it has
        #[arg(long, value_name = "DIR", default_value = ".")]
        installation: PathBuf,
        /// The card's directory
        #[arg(long, value_name = "DIR", default_value = "card")]
        card: PathBuf,
        /// Only this kind
        #[arg(long)]
        kind: Option<Kind>,
        /// The phone's keys: p256, p384 or rsa2048
        #[arg(long, default_value = "p256", value_parser = key_algorithm)]
        key: KeyAlgorithm,
        /// Say that there is no earlier phone, instead of ending whatever there is
        #[arg(long)]
        first_phone: bool,
        /// The phone's directory, for keys and certificates; made if it does not exist
        #[arg(value_name = "DIR", default_value = "phone")]
        phone: PathBuf,
    },
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
        Command::Card(CardCommand::New { sandbox, holder, card }) => new_card(sandbox, holder.as_ref(), card, output),
        Command::Card(CardCommand::Revoke { sandbox, kind, reason, card }) => revoke_card(sandbox, *kind, *reason, card, output),
        Command::Phone(PhoneCommand::Apply { installation, card, kind, key, first_phone, phone }) => {
            let settings = load_settings(installation)?;
            let mut wish = ApplyWish::new(&settings.ra.name);
            wish.kinds = kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
            wish.key_algorithm = *key;
            wish.replaces = if *first_phone { Replaces::None } else { Replaces::Any };
            apply(&settings, card, &wish, phone, output)
        }
        Command::Load(arguments) => load(arguments, output),
    }
}

fn back_office(arguments: &BackOfficeArguments) -> Result<(), Failure> {
    crate::telemetry::start_logs(false);
    std::fs::create_dir_all(&arguments.dir).map_err(failed)?;
    let push = arguments.push.as_deref().map(push_target).transpose()?;
    let back_office = BackOffice::start(&BackOfficeSettings {
        listen: arguments.listen,
        status_listen: arguments.status_listen,
        generations: arguments.generations,
        directory: Some(arguments.dir.clone()),
        push,
        ..BackOfficeSettings::default()
    })
    .map_err(failed)?;
    SandboxFiles::write(&back_office, &arguments.dir)?;
    tracing::info!("back office at {}, card status at {}", back_office.url(), back_office.status_url());
    super::serve::wait_for_signal()?;
    back_office.stop();
    Ok(())
}

/// The operators' listener of an installation, as its back office.
pub(crate) fn push_target(installation: &Path) -> Result<PushTarget, Failure> {
    let settings = load_settings(installation)?;
    let operators = settings.directory.join("operators");
    Ok(PushTarget {
        url: format!("https://{}", settings.operators.listen),
        ca_certificate_pem: read_text(&operators.join("server-ca.pem"))?,
        identity: ClientIdentity {
            certificate_pem: read_text(&operators.join("back-office.pem"))?,
            key_pem: read_text(&operators.join("back-office.key.pem"))?,
        },
    })
}

fn new_card(sandbox: &Path, holder: Option<&String>, directory: &Path, output: Output) -> Result<(), Failure> {
    let client = SandboxFiles::read(sandbox)?.client()?;
    if directory.join("card.json").exists() {
        return Err(Failure::other(format!("{} has a card already", directory.display())));
    }
    let file = client.new_card(&NewCard { holder_id: holder.cloned(), ..NewCard::default() }).map_err(refused)?;
    std::fs::create_dir_all(directory).map_err(failed)?;
    Card::from_file(&file).map_err(failed)?.save(directory).map_err(failed)?;
    let result = json!({ "card_id": file.card_id, "holder_id": file.holder_id, "directory": directory });
    output.print(&result, |_| {
        pairs(&[("card", file.card_id.clone()), ("holder", file.holder_id.clone()), ("files", directory.display().to_string())])
    })
}

fn revoke_card(sandbox: &Path, kind: Option<Kind>, reason: Reason, directory: &Path, output: Output) -> Result<(), Failure> {
    let client = SandboxFiles::read(sandbox)?.client()?;
    let card = Card::load(directory).map_err(failed)?;
    let card_id = card.card_id.ok_or_else(|| Failure::not_found("the card's directory does not say which card it is (card.json)"))?;
    let kinds = kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
    let events = client.revoke(&card_id, &RevocationRequest { kinds, reason, at: None }).map_err(refused)?;
    output.print(&events, |events| match events.len() {
        0 => "Nothing to revoke: it was revoked before.".to_owned(),
        count => format!("{count} card certificates revoked."),
    })
}

fn apply(settings: &Settings, card: &Path, wish: &ApplyWish, directory: &Path, output: Output) -> Result<(), Failure> {
    let ra = RaClient::new(&ra_settings(settings)?).map_err(failed)?;
    let card = Card::load(card).map_err(failed)?;
    let enrolment = sandbox::phone::apply(&ra, &card, wish).map_err(|fault| match fault.code() {
        Some(_) => refused(fault),
        None => failed(fault),
    })?;
    std::fs::create_dir_all(directory).map_err(failed)?;
    enrolment.save(directory).map_err(failed)?;
    let certificates: Vec<_> = enrolment.certificates.iter().map(|one| json!({ "kind": one.kind, "serial": one.serial })).collect();
    let result = json!({ "application_id": enrolment.application_id, "certificates": certificates, "directory": directory });
    output.print(&result, |_| {
        let mut lines = vec![("application", enrolment.application_id.clone())];
        lines.extend(enrolment.certificates.iter().map(|one| (one.kind.as_str(), one.serial.clone())));
        lines.push(("files", directory.display().to_string()));
        pairs(&lines)
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
        };
        bar.set_message(format!("{phase}, {} clients", progress.clients));
        bar.set_length(progress.total.into());
        bar.set_position(progress.done.into());
    });
    bar.finish_and_clear();
    let report = report.map_err(failed)?;
    output.print(&report.to_json(), |_| report.to_table())?;
    if report.is_clean() { Ok(()) } else { Err(Failure::refused("not every application was issued on")) }
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

fn refused(fault: impl std::fmt::Display) -> Failure {
    Failure::refused(fault.to_string())
}
