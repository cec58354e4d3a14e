//! The issuance log's key and its tile directory, as the settings name them.

use std::path::{Path, PathBuf};

use audit_log::note::LogKeyFault;
use audit_log::{LogKey, TileDirectory};
use ca_core::chain::Chain;
use chrono::Utc;
use schema::Database;
use schema::log::LogIdentity;

use crate::failure::Failure;
use crate::installation::read_passphrase;
use crate::settings::Settings;

/// Where the log's key lies, beside the CA keys.
pub(crate) fn log_key_file(settings: &Settings) -> PathBuf {
    settings.path(&settings.ca.keys).join("log.key.pem")
}

/// Where the log's tiles and checkpoint are published.
pub(crate) fn tile_directory(settings: &Settings) -> TileDirectory {
    TileDirectory::new(settings.path(&settings.log.directory))
}

/// The log's key, under the name that the log has begun under, or will.
pub(crate) fn log_key(settings: &Settings) -> Result<LogKey, Failure> {
    let path = log_key_file(settings);
    if !path.exists() {
        return Err(Failure::settings(format!(
            "{}: there is no key of the issuance log, without which nothing can be proved to auditors: make it with `tsunagi log create-key`",
            path.display()
        )));
    }
    let passphrase = read_passphrase(&settings.path(&settings.ca.passphrase_file))?;
    LogKey::open(&path, &settings.log_origin(), &passphrase).map_err(|fault| failed(&fault))
}

/// Makes the log's key, unless an earlier attempt did, and lets the log begin with it. Returns the key, and whether it was made now.
pub(crate) fn begin_log(settings: &Settings, database: &Database) -> Result<(LogKey, bool), Failure> {
    let path = log_key_file(settings);
    let began = database.reader().log_head().map_err(Failure::store)?.identity;
    if began.is_some() && !path.exists() {
        return Err(Failure::exists(format!(
            "the log has begun, and its key is not at {}: another would be the key of another log. Bring that key",
            path.display()
        )));
    }
    let is_new = !path.exists();
    if is_new {
        make_key(settings, &path)?;
    }
    let key = log_key(settings)?;
    let identity = LogIdentity { origin: key.origin().to_owned(), verifier_key: key.verifier().vkey() };
    let wanted = identity.clone();
    let stands = database.writer().write(move |tx| tx.begin_log(&wanted, Utc::now())).map_err(Failure::store)?;
    if stands == identity {
        return Ok((key, is_new));
    }
    Err(Failure::settings(format!(
        "the log has begun as {} with the key {}, and the settings and the key file say {} and {}",
        stands.origin, stands.verifier_key, identity.origin, identity.verifier_key
    )))
}

fn make_key(settings: &Settings, path: &Path) -> Result<(), Failure> {
    let passphrase = read_passphrase(&settings.path(&settings.ca.passphrase_file))?;
    LogKey::generate(&settings.log_origin()).and_then(|key| key.save(path, &passphrase)).map_err(|fault| failed(&fault))
}

fn failed(fault: &LogKeyFault) -> Failure {
    Failure::settings(Chain(fault).to_string())
}
