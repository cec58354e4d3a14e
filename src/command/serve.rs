//! `tsunagi serve`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::rt::signal::unix::{SignalKind, signal};
use ca_service::NoSteps;
use clap::Args;

use super::SettingsArgument;
use crate::failure::Failure;
use crate::installation::Installation;
use crate::role::{Listeners, Role, Service};
use crate::telemetry;

/// Serve: the RA, the CA role and the status service, or one of them
///
/// Without --role all of them run in this process, which is what SQLite is for. On PostgreSQL each role can be a process, on a
/// machine of its own. SIGTERM and SIGINT stop it: what was begun is finished, and nothing acknowledged is lost if it is
/// killed instead.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: SettingsArgument,
    /// What this process does; may be given more than once
    #[arg(long = "role", value_enum, value_name = "ROLE")]
    roles: Vec<Role>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.settings.load()?;
    telemetry::start_logs(settings.telemetry.json_logs);
    let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| arguments.roles.is_empty() || arguments.roles.contains(role)).collect();
    let metrics = telemetry::start_metrics()?;
    let listeners = Listeners::open(&settings, &roles)?;
    let addresses = format!("{}", Addresses(&settings, &roles));
    let metrics_file = settings.telemetry.metrics_file.clone().map(|file| settings.path(&file));
    let installation = Installation::open_to_serve(settings)?;
    let service = Service::start(&installation, &roles, listeners, Arc::new(NoSteps), Some(metrics.clone()))?;
    let stop = Arc::new(AtomicBool::new(false));
    let tending = telemetry::tend_metrics(metrics, metrics_file, Arc::clone(&stop));
    tracing::info!("serving: {addresses}");
    let name = wait_for_signal()?;
    tracing::info!(signal = name, "stopping");
    service.stop();
    stop.store(true, Ordering::Relaxed);
    drop(tending.join());
    tracing::info!("stopped");
    Ok(())
}

/// Waits for SIGTERM or SIGINT.
pub(crate) fn wait_for_signal() -> Result<&'static str, Failure> {
    let failed = |error: std::io::Error| Failure::other(format!("signals: {error}"));
    actix_web::rt::System::new().block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        tokio::select! {
            _ = terminate.recv() => Ok("SIGTERM"),
            _ = interrupt.recv() => Ok("SIGINT"),
        }
    })
}

/// Which role answers where, in words.
struct Addresses<'a>(&'a crate::settings::Settings, &'a [Role]);

impl std::fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(settings, roles) = self;
        for (index, role) in roles.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            match role {
                Role::Ra => write!(f, "holders at https://{}, operators at https://{}", settings.ra.listen, settings.operators.listen)?,
                Role::Ca => f.write_str("the CA role (no listener)")?,
                Role::Status => write!(f, "status at http://{}", settings.status.listen)?,
            }
        }
        Ok(())
    }
}
