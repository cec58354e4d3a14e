//! Public keys of logs and witnesses, as people hand them over on the command line.

use std::path::Path;

use audit_log::{LogVerifier, WitnessVerifier};

use crate::failure::Failure;
use crate::installation::read_named;

/// The public key of a log: the verifier key itself (`NAME+ID+KEY`, C2SP signed-note), or a file with it.
pub(crate) fn log_verifier(argument: &str) -> Result<LogVerifier, Failure> {
    LogVerifier::parse(&text(argument)?).map_err(|refusal| Failure::usage(format!("--log-key {argument}: {refusal}")))
}

/// The public key of a witness, likewise.
pub(crate) fn witness_verifier(argument: &str) -> Result<WitnessVerifier, Failure> {
    WitnessVerifier::parse(&text(argument)?).map_err(|refusal| Failure::usage(format!("--witness {argument}: {refusal}")))
}

/// A file's only line, if there is such a file; else the argument.
fn text(argument: &str) -> Result<String, Failure> {
    let path = Path::new(argument);
    // No verifier key is without a plus, and few paths have two.
    if argument.matches('+').count() >= 2 && !path.is_file() {
        return Ok(argument.to_owned());
    }
    Ok(String::from_utf8_lossy(&read_named(path)?).trim().to_owned())
}
