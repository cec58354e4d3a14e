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

/// The same, for whoever keeps the log: it must have begun, with this key.
pub(crate) fn key_of_begun_log(settings: &Settings, database: &Database) -> Result<LogKey, Failure> {
    let key = log_key(settings)?;
    match database.reader().log_head().map_err(Failure::store)?.identity {
        None => Err(Failure::settings("the issuance log has a key and has not begun: `tsunagi log create-key` lets it begin")),
        Some(began) => require_same(&began, &identity(&key)).map(|()| key),
    }
}

/// Makes the log's key, unless an earlier attempt did, and lets the log begin with it. Returns the key, and whether it was made now.
pub(crate) fn begin_log(settings: &Settings, database: &Database) -> Result<(LogKey, bool), Failure> {
    let path = log_key_file(settings);
    let is_new = !path.exists();
    if is_new && database.reader().log_head().map_err(Failure::store)?.identity.is_some() {
        return Err(Failure::exists(format!(
            "the log has begun, and its key is not at {}: another would be the key of another log. Bring that key",
            path.display()
        )));
    }
    if is_new {
        make_key(settings, &path)?;
    }
    let key = log_key(settings)?;
    let wanted = identity(&key);
    let began = database.writer().write(move |tx| tx.begin_log(&wanted, Utc::now())).map_err(Failure::store)?;
    require_same(&began, &identity(&key)).map(|()| (key, is_new))
}

fn identity(key: &LogKey) -> LogIdentity {
    LogIdentity { origin: key.origin().to_owned(), verifier_key: key.verifier().vkey() }
}

fn require_same(began: &LogIdentity, here: &LogIdentity) -> Result<(), Failure> {
    if began == here {
        return Ok(());
    }
    Err(Failure::settings(format!(
        "the issuance log began with the verifier key {}, and log.origin and the key file make {}: set log.origin, or bring the log's own key",
        began.verifier_key, here.verifier_key
    )))
}

fn make_key(settings: &Settings, path: &Path) -> Result<(), Failure> {
    let passphrase = read_passphrase(&settings.path(&settings.ca.passphrase_file))?;
    LogKey::generate(&settings.log_origin()).and_then(|key| key.save(path, &passphrase)).map_err(|fault| failed(&fault))
}

fn failed(fault: &LogKeyFault) -> Failure {
    Failure::settings(Chain(fault).to_string())
}
