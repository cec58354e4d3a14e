//! `tsunagi sandbox witness`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use sandbox::witness::{Witness, WitnessFault, WitnessSettings};
use serde_json::json;

use super::failed;
use crate::failure::Failure;
use crate::installation::read_file;
use crate::output::{Output, pairs};

/// Run a witness of logs: it cosigns checkpoints that follow from those it saw before (C2SP tlog-witness)
///
/// Says its address and its verifier key, for log.witnesses in the settings, and serves until SIGINT or SIGTERM. It remembers the
/// latest checkpoint of each log in its directory: whoever removes that makes a witness that saw nothing.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where it answers (HTTP)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// Where its key and what it saw lie; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "witness")]
    dir: PathBuf,
    /// Its name
    #[arg(long, default_value = "witness.example/sandbox")]
    name: String,
    /// Verifier key of a log, or a file with it; may be given several times
    #[arg(long = "log", value_name = "VKEY|FILE", required = true)]
    logs: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    crate::telemetry::start_logs(false);
    let logs = arguments.logs.iter().map(|log| verifier_key(log)).collect::<Result<_, _>>()?;
    let settings = WitnessSettings { listen: arguments.listen, directory: arguments.dir.clone(), name: arguments.name.clone(), logs };
    let witness = Witness::start(&settings).map_err(|fault| match fault {
        WitnessFault::Running(_) => Failure::exists(fault.to_string()),
        WitnessFault::LogKey(_) | WitnessFault::Name(_) => Failure::usage(fault.to_string()),
        _ => failed(fault),
    })?;
    let logs: Vec<&str> = witness.origins().collect();
    output.print(&json!({"url": witness.url(), "key": witness.vkey(), "logs": logs}), |_| {
        pairs(&[("url", witness.url().to_owned()), ("key", witness.vkey()), ("logs", logs.join(", "))])
    })?;
    super::super::serve::wait_for_signal()?;
    Ok(())
}

/// A verifier key as it stands on the command line, or in the file that is named there.
fn verifier_key(key: &str) -> Result<String, Failure> {
    if key.contains('+') {
        return Ok(key.to_owned());
    }
    let octets = read_file(Path::new(key))?;
    let text = String::from_utf8(octets).map_err(|_| Failure::usage(format!("{key}: no verifier key")))?;
    Ok(text.trim().to_owned())
}
