//! How the issuance log is kept.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use audit_log::WitnessVerifier;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use ureq::http::Uri;

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
    /// For how long events may wait while no checkpoint is signed, in seconds, before nothing is issued and no hold is lifted any more:
    /// at least twice the interval and two seconds. Default 60.
    pub max_lag_seconds: u32,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { origin: None, directory: PathBuf::from("log"), interval_milliseconds: 200, witnesses: Vec::new(), max_lag_seconds: 60 }
    }
}

/// A witness (C2SP tlog-witness): asked over HTTP, believed only as far as its key goes, and where it says something against the log as far
/// as the log's own key does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessSettings {
    /// Its submission prefix: `https://…`, or `http://…` on this machine. Not all that comes from there is signed.
    pub url: String,
    /// Its monitoring prefix, where it shows what it cosigned last. Default: the submission prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_url: Option<String>,
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
    /// What comes in each interval would be late by the time that it is signed.
    #[error("max_lag_seconds: at least {least}, for interval_milliseconds of that length")]
    Lag {
        /// The least allowed.
        least: u32,
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
    #[error("witnesses: {0}: begins with https://, which needs ca_file, and has a host; http:// only on this machine")]
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
        let least = (2 * self.interval_milliseconds).div_ceil(1_000) + 2;
        if self.max_lag_seconds < least {
            return Err(LogSettingsRefusal::Lag { least });
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
            if let Some(wrong) = witness.addresses().find(|url| !witness.can_be_asked_at(url)) {
                return Err(LogSettingsRefusal::Url(wrong.to_owned()));
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

    /// For how long events may wait while no checkpoint is signed.
    pub fn max_lag(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.max_lag_seconds))
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.interval_milliseconds))
    }
}

impl WitnessSettings {
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        [Some(&self.url), self.monitoring_url.as_ref()].into_iter().flatten().map(String::as_str)
    }

    fn can_be_asked_at(&self, url: &str) -> bool {
        let Ok(uri) = url.parse::<Uri>() else { return false };
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(host)) => !host.is_empty() && self.ca_file.is_some(),
            (Some("http"), Some(host)) => is_this_machine(host),
            _ => false,
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
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
        WitnessSettings { url: url.to_owned(), key, monitoring_url: None, ca_file: None }
    }

    #[test]
    fn the_defaults_pass_and_what_is_out_of_range_does_not() {
        assert_eq!(LogSettings::default().check(), Ok(()));
        let refusal = |settings: LogSettings| settings.check().unwrap_err().to_string();
        assert!(refusal(LogSettings { interval_milliseconds: 9, ..Default::default() }).starts_with("interval_milliseconds"));
        assert!(refusal(LogSettings { max_lag_seconds: 4, ..Default::default() }).starts_with("max_lag_seconds"));
        let together =
            |interval_milliseconds, max_lag_seconds| LogSettings { interval_milliseconds, max_lag_seconds, ..Default::default() }.check();
        assert_eq!((together(1_500, 5), together(60_000, 122)), (Ok(()), Ok(())));
        assert_eq!(together(60_000, 60), Err(LogSettingsRefusal::Lag { least: 122 }));
        assert_eq!(together(1_501, 5), Err(LogSettingsRefusal::Lag { least: 6 }));
        for origin in ["", "two words", "a+b", "line\nend"] {
            assert_eq!(LogSettings { origin: Some(origin.to_owned()), ..Default::default() }.check(), Err(LogSettingsRefusal::Origin));
        }
    }

    #[test]
    fn a_witness_needs_an_address_and_is_asked_once() {
        let with = |witnesses: Vec<WitnessSettings>| LogSettings { witnesses, ..Default::default() }.check();
        assert_eq!(with(vec![witness("http://127.0.0.1:8091"), witness("http://[::1]:8092/w"), witness("http://localhost")]), Ok(()));
        let certified = |url: &str| WitnessSettings { ca_file: Some(PathBuf::from("ca.pem")), ..witness(url) };
        assert_eq!(with(vec![certified("https://w.example/w")]), Ok(()));
        for wrong in ["", "127.0.0.1", "ftp://w", "https://w.example", "http:///log"] {
            assert_eq!(with(vec![witness(wrong)]), Err(LogSettingsRefusal::Url(wrong.to_owned())));
        }
        for open in ["http://w.example", "http://127.0.0.1.example", "http://127.0.0.1@w.example", "http://192.0.2.1:8091", "HTTP://w"] {
            assert_eq!(with(vec![certified(open)]), Err(LogSettingsRefusal::Url(open.to_owned())));
            let shown = WitnessSettings { monitoring_url: Some(open.to_owned()), ..certified("https://w.example") };
            assert_eq!(with(vec![shown]), Err(LogSettingsRefusal::Url(open.to_owned())));
        }
        let here = |port: usize| witness(&format!("http://127.0.0.1:{port}"));
        assert_eq!(with(vec![here(1), here(1)]), Err(LogSettingsRefusal::Twice("http://127.0.0.1:1".to_owned())));
        let other_key = WitnessSettings { key: "w+00000000+BAAA".to_owned(), ..here(1) };
        assert_eq!(with(vec![other_key]), Err(LogSettingsRefusal::Key("http://127.0.0.1:1".to_owned())));
        assert_eq!(with((1..10).map(here).collect()), Err(LogSettingsRefusal::TooMany));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<LogSettings>(r#"{"max_lag_seconds":5}"#).is_ok());
        assert!(serde_json::from_str::<LogSettings>(r#"{"max_lag":5}"#).is_err());
    }
}
