//! How the issuance log is kept.

use std::path::PathBuf;
use std::time::Duration;

use audit_log::WitnessVerifier;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// How the issuance log is kept. Unknown keys are refused; [`LogSettings::check`] holds each to its range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// The log's name, the first line of each checkpoint (C2SP tlog-checkpoint), fixed when the log begins. Default: the RA's name and
    /// `/log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The directory of the published tiles and checkpoint (C2SP tlog-tiles). Default `log`.
    pub directory: PathBuf,
    /// How often new events are brought into the log at most, in milliseconds. Default 200.
    pub interval_milliseconds: u32,
    /// The witnesses that are asked to cosign each checkpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<WitnessSettings>,
    /// How old an event may get that is not under a signed checkpoint, in seconds, before nothing is issued and no hold is lifted any
    /// more. Default 60.
    pub max_lag_seconds: u32,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { origin: None, directory: PathBuf::from("log"), interval_milliseconds: 200, witnesses: Vec::new(), max_lag_seconds: 60 }
    }
}

/// A witness (C2SP tlog-witness): asked over HTTP, believed only as far as its key goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessSettings {
    /// Its submission prefix: `https://…`, or `http://…` as everything that goes there and comes from there is signed and public.
    pub url: String,
    /// Its verifier key (C2SP signed-note, type 0x04).
    pub key: String,
    /// The CA certificates that may vouch for its name, in PEM; no others are trusted. Needed for `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// The settings of the log contradict a limit or each other. Keys are named from the topic on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogSettingsRefusal {
    /// A number out of its range.
    #[error("{key} must be from {least} to {most}")]
    Range {
        /// The key.
        key: &'static str,
        /// The least allowed.
        least: u32,
        /// The most allowed.
        most: u32,
    },
    /// The origin cannot be the name of a key.
    #[error("origin: from 1 to 255 characters, without spaces, line ends and plus signs")]
    Origin,
    /// No directory.
    #[error("directory: must not be empty")]
    Directory,
    /// Too many witnesses.
    #[error("witnesses: at most {MOST_WITNESSES}")]
    TooMany,
    /// A witness's address.
    #[error("witnesses: {0}: begins with https:// or http://, has a host, and https:// needs ca_file")]
    Url(String),
    /// A witness's key.
    #[error("witnesses: {0}: key: no verifier key of a witness, NAME+ID+KEY of signature type 0x04")]
    Key(String),
    /// A witness named twice.
    #[error("witnesses: {0} is named twice")]
    Twice(String),
}

/// So many witnesses are asked at most: each costs a thread while it is asked.
const MOST_WITNESSES: usize = 8;

impl LogSettings {
    /// Checks each setting.
    pub fn check(&self) -> Result<(), LogSettingsRefusal> {
        // The lag stops issuance: below a few seconds each busy moment would, and past a day nobody could call it evidence.
        let ranges =
            [("interval_milliseconds", self.interval_milliseconds, 10, 60_000), ("max_lag_seconds", self.max_lag_seconds, 5, 86_400)];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(LogSettingsRefusal::Range { key, least, most });
            }
        }
        if self.origin.as_deref().is_some_and(|origin| !is_origin(origin)) {
            return Err(LogSettingsRefusal::Origin);
        }
        if self.directory.as_os_str().is_empty() {
            return Err(LogSettingsRefusal::Directory);
        }
        if self.witnesses.len() > MOST_WITNESSES {
            return Err(LogSettingsRefusal::TooMany);
        }
        for (index, witness) in self.witnesses.iter().enumerate() {
            if !witness.has_address() {
                return Err(LogSettingsRefusal::Url(witness.url.clone()));
            }
            if WitnessVerifier::parse(&witness.key).is_err() {
                return Err(LogSettingsRefusal::Key(witness.url.clone()));
            }
            if self.witnesses.iter().take(index).any(|other| other.url == witness.url || other.key == witness.key) {
                return Err(LogSettingsRefusal::Twice(witness.url.clone()));
            }
        }
        Ok(())
    }

    /// How old an event may get that is not under a signed checkpoint.
    pub fn max_lag(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.max_lag_seconds))
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.interval_milliseconds))
    }
}

impl WitnessSettings {
    fn has_address(&self) -> bool {
        let host = |rest: &str| !rest.is_empty() && !rest.starts_with('/');
        match (self.url.strip_prefix("https://"), self.url.strip_prefix("http://")) {
            (Some(rest), _) => host(rest) && self.ca_file.is_some(),
            (None, Some(rest)) => host(rest),
            (None, None) => false,
        }
    }
}

/// Whether a log can be called so: a key name of C2SP signed-note, which has neither spaces nor plus signs.
pub fn is_origin(text: &str) -> bool {
    (1..=255).contains(&text.chars().count())
        && !text.chars().any(|character| character.is_whitespace() || character.is_control() || character == '+')
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ca_core::digest::Sha256Digest;

    use super::*;

    fn witness(url: &str) -> WitnessSettings {
        let key = [&[4; 1], Sha256Digest::of(url.as_bytes()).0.as_slice()].concat();
        let id = Sha256Digest::of(&[b"w\n", key.as_slice()].concat()).0;
        let key = format!("w+{}+{}", hex::encode(&id[..4]), STANDARD.encode(key));
        WitnessSettings { url: url.to_owned(), key, ca_file: None }
    }

    #[test]
    fn the_defaults_pass_and_what_is_out_of_range_does_not() {
        assert_eq!(LogSettings::default().check(), Ok(()));
        let refusal = |settings: LogSettings| settings.check().unwrap_err().to_string();
        assert!(refusal(LogSettings { interval_milliseconds: 9, ..Default::default() }).starts_with("interval_milliseconds"));
        assert!(refusal(LogSettings { max_lag_seconds: 4, ..Default::default() }).starts_with("max_lag_seconds"));
        for origin in ["", "two words", "a+b", "line\nend"] {
            assert_eq!(LogSettings { origin: Some(origin.to_owned()), ..Default::default() }.check(), Err(LogSettingsRefusal::Origin));
        }
    }

    #[test]
    fn a_witness_needs_an_address_and_is_asked_once() {
        let with = |witnesses: Vec<WitnessSettings>| LogSettings { witnesses, ..Default::default() }.check();
        assert_eq!(with(vec![witness("http://127.0.0.1:8091"), witness("http://127.0.0.1:8092")]), Ok(()));
        for wrong in ["", "127.0.0.1", "ftp://w", "https://w.example", "http:///log"] {
            assert_eq!(with(vec![witness(wrong)]), Err(LogSettingsRefusal::Url(wrong.to_owned())));
        }
        assert_eq!(with(vec![witness("http://w"), witness("http://w")]), Err(LogSettingsRefusal::Twice("http://w".to_owned())));
        let other_key = WitnessSettings { key: "w+00000000+BAAA".to_owned(), ..witness("http://w") };
        assert_eq!(with(vec![other_key]), Err(LogSettingsRefusal::Key("http://w".to_owned())));
        assert_eq!(with((0..9).map(|number| witness(&format!("http://w{number}"))).collect()), Err(LogSettingsRefusal::TooMany));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<LogSettings>(r#"{"max_lag_seconds":5}"#).is_ok());
        assert!(serde_json::from_str::<LogSettings>(r#"{"max_lag":5}"#).is_err());
    }
}
