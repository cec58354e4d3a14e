//! The settings of an installation: one TOML file, each topic a table of its own, every key documented beside its default.
//!
//! Unknown keys are refused, relative paths are taken from the file's directory, and any key can be set by an environment
//! variable (`TSUNAGI__STORE__URL` sets `store.url`).

mod check;
mod digests;
mod topics;
mod words;

use std::path::{Path, PathBuf};

use ca_service::{AuditSettings, LogSettings, is_origin};
use crl_publisher::CrlSettings;
use figment::Figment;
use figment::providers::{Env, Format as _, Toml};
use push::PushSettings;
use serde::{Deserialize, Serialize};

pub(crate) use self::topics::{
    BackOfficeTopic, CaTopic, CardTopic, ClockTopic, OperatorsTopic, Pkcs11Topic, RaTopic, ShippedLifecycle, StatusTopic, StoreTopic,
    TelemetryTopic,
};

/// The file's name where only a directory is given.
pub(crate) const FILE_NAME: &str = "settings.toml";

/// What a program without the feature says to settings that name a token.
#[cfg(not(feature = "pkcs11"))]
pub(crate) const WITHOUT_PKCS11: &str = "ca.pkcs11: this program was built without PKCS #11; build it with --features pkcs11";

/// All settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where everything is stored.
    pub(crate) store: StoreTopic,
    /// Where the policies are read from; without it the shipped ones hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy_directory: Option<PathBuf>,
    /// Which of the shipped life cycles holds; a policy directory has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lifecycle: Option<ShippedLifecycle>,
    /// The registration authority: what faces the holders.
    pub(crate) ra: RaTopic,
    /// What faces the operators.
    pub(crate) operators: OperatorsTopic,
    /// The CA role.
    pub(crate) ca: CaTopic,
    /// OCSP, CRLs and CA certificates.
    pub(crate) status: StatusTopic,
    /// When CRLs are made.
    #[serde(default)]
    pub(crate) crl: CrlSettings,
    /// The issuance log.
    #[serde(default)]
    pub(crate) log: LogSettings,
    /// Exports for auditors.
    #[serde(default)]
    pub(crate) audit: AuditSettings,
    /// The back office.
    pub(crate) back_office: BackOfficeTopic,
    /// The card CAs that are trusted.
    pub(crate) card: CardTopic,
    /// How commands reach phones; without it they wait until the phones ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) push: Option<PushSettings>,
    /// This machine's clock.
    #[serde(default)]
    pub(crate) clock: ClockTopic,
    /// Logs, metrics, health.
    #[serde(default)]
    pub(crate) telemetry: TelemetryTopic,
    /// The directory of the file: what relative paths are taken from.
    #[serde(skip)]
    pub(crate) directory: PathBuf,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsFault {
    /// No such file.
    #[error("no settings at {0}: make them with `tsunagi init`, or name them with --settings")]
    Missing(PathBuf),
    /// The file cannot be read, is no TOML, or has keys that are unknown, missing or of the wrong type.
    #[error("{}: {complaint}", file.display())]
    Unreadable {
        /// The settings file.
        file: PathBuf,
        /// What is wrong with it, a line for each complaint.
        complaint: String,
    },
    /// Keys that do not go together.
    #[error("{}: {}", file.display(), complaints.join("\n"))]
    Contradictory {
        /// The settings file.
        file: PathBuf,
        /// What is wrong, in words that name the keys.
        complaints: Vec<String>,
    },
}

/// What the issuance log is called if nobody says otherwise. What cannot stand in the name of a key becomes a hyphen.
pub(crate) fn log_origin(ra_name: &str) -> String {
    let can_stand = |character: char| is_origin(character.encode_utf8(&mut [0; 4]));
    let name: String = ra_name.chars().take(200).map(|character| if can_stand(character) { character } else { '-' }).collect();
    format!("{name}/log")
}

impl Settings {
    /// The file that is meant by a path: itself, or the one in a directory.
    pub(crate) fn file(path: &Path) -> PathBuf {
        if path.is_dir() { path.join(FILE_NAME) } else { path.to_path_buf() }
    }

    /// Reads and checks `path`, a settings file or the directory of one.
    pub(crate) fn load(path: &Path) -> Result<Self, SettingsFault> {
        let file = Self::file(path);
        if !file.is_file() {
            return Err(SettingsFault::Missing(file));
        }
        let unreadable = |complaint: String| SettingsFault::Unreadable { file: file.clone(), complaint };
        let text = std::fs::read_to_string(&file).map_err(|error| unreadable(error.to_string()))?;
        text.parse::<toml::Table>().map_err(|error| unreadable(words::tell_syntax(&text, &error)))?;
        let environment = Env::prefixed(words::PREFIX).split("__");
        let read = Figment::new().merge(Toml::file_exact(&file)).merge(environment).extract();
        let mut settings: Self = read.map_err(|error| unreadable(words::tell(error)))?;
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        settings.directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
        let contradictions = check::contradictions(&settings);
        if contradictions.is_empty() { Ok(settings) } else { Err(SettingsFault::Contradictory { file, complaints: contradictions }) }
    }

    /// A path of the settings, taken from their directory.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// The issuance log's name, unless the log has begun under another.
    pub(crate) fn log_origin(&self) -> String {
        self.log.origin.clone().unwrap_or_else(|| log_origin(&self.ra.name))
    }

    /// The store's URL with a relative SQLite path taken from the settings' directory.
    pub(crate) fn store_url(&self) -> String {
        match self.store.url.strip_prefix("sqlite://") {
            Some(path) => format!("sqlite://{}", self.path(Path::new(path)).display()),
            None => self.store.url.clone(),
        }
    }
}
