//! What an administrator may choose about OCSP.

use std::path::PathBuf;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// The settings of the responder. Unknown keys are refused; [`OcspSettings::check`] holds them against each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OcspSettings {
    /// The most octets of a request. Default 4096: sixteen questions with SHA-256 and a nonce take about 2,200; RFC 5019 section 5
    /// expects clients to stay under 255 for one.
    pub max_request_octets: usize,
    /// The most certificates asked about in one request. Default 16.
    pub max_questions: usize,
    /// The most octets of a nonce that an answer repeats; longer ones are passed over. Default 128, the most that a nonce may have; 32 at
    /// least (RFC 9654 section 2.1).
    pub max_nonce_octets: usize,
    /// What a serial number is called that was never issued. Default `revoked`.
    pub never_issued: NeverIssued,
    /// If set, only verifiers may ask: requests must be signed by a certificate of a verifier, issued by one of the CAs in this file (PEM).
    /// Not set by default.
    pub requestor_ca: Option<PathBuf>,
    /// The seconds from thisUpdate to nextUpdate. Default 60, at most 86,400: an answer caught today must not hide a revocation
    /// tomorrow. (CA/Browser Forum Baseline Requirements 4.9.10 want at least 8 hours of public web CAs, whose answers lie on
    /// content networks; ours are made when asked for.)
    pub answer_life_seconds: u32,
    /// The seconds for which a signed answer is given again while the status stays as it is. Default 30: half of its life, so that no
    /// asker gets one that is about to run out.
    pub reuse_seconds: u32,
    /// The seconds for which an HTTP cache may repeat an answer to a GET without a nonce. Default 1, so that a revocation is seen
    /// within two seconds even through a cache that takes the brunt of a rush. Together with [`Self::reuse_seconds`] at most the life of an
    /// answer (RFC 5019 section 6.2).
    pub cache_seconds: u32,
    /// The seconds for which remembered statuses are told while the store cannot be reached; then `tryLater`. Default 60, at most the life
    /// of an answer.
    pub cut_off_seconds: u32,
    /// The memory for statuses and signed answers, in MiB. Default 128.
    pub cache_megabytes: u32,
    /// How many threads read statuses that are not remembered from the store. Default 4.
    pub lookup_threads: u32,
    /// The milliseconds after which a status that was not read yet is `tryLater`. Default 1,000, and at most: no status is older when told.
    pub lookup_milliseconds: u32,
    /// The seconds after which CA keys and responder certificates are looked up anew. Default 30.
    pub refresh_seconds: u32,
    /// The seconds within which a request's body must have arrived. Default 10.
    pub body_timeout_seconds: u32,
    /// The most requests that wait for the store at once; more are told `tryLater`. Default 1024.
    pub max_in_flight: usize,
}

/// What a serial number is called that was never issued; `good` it is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NeverIssued {
    /// `revoked`, on hold since 1970 (RFC 6960 section 2.2): clients that take `unknown` for "no matter" take this for what it is.
    Revoked,
    /// `unknown`.
    Unknown,
}

impl Default for OcspSettings {
    fn default() -> Self {
        Self {
            max_request_octets: 4096,
            max_questions: 16,
            max_nonce_octets: 128,
            never_issued: NeverIssued::Revoked,
            requestor_ca: None,
            answer_life_seconds: 60,
            reuse_seconds: 30,
            cache_seconds: 1,
            cut_off_seconds: 60,
            cache_megabytes: 128,
            lookup_threads: 4,
            lookup_milliseconds: 1_000,
            refresh_seconds: 30,
            body_timeout_seconds: 10,
            max_in_flight: 1024,
        }
    }
}

/// The settings contradict each other or a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsRefusal {
    /// A number out of its range.
    #[error("ocsp.{key} must be from {least} to {most}")]
    Range {
        /// The key.
        key: &'static str,
        /// The least allowed.
        least: usize,
        /// The most allowed.
        most: usize,
    },
    /// A cache would repeat answers that have run out.
    #[error("ocsp.reuse_seconds and ocsp.cache_seconds together must not exceed ocsp.answer_life_seconds (RFC 5019 section 6.2)")]
    CacheOutlivesAnswer,
    /// Cut off from the store, answers would be given that have run out.
    #[error("ocsp.cut_off_seconds must not exceed ocsp.answer_life_seconds")]
    CutOffOutlivesAnswer,
}

impl OcspSettings {
    /// Checks each number and how they fit together.
    ///
    /// # Errors
    /// See [`SettingsRefusal`].
    pub fn check(&self) -> Result<(), SettingsRefusal> {
        let ranges = [
            ("max_request_octets", self.max_request_octets, 128, 65_536),
            ("max_questions", self.max_questions, 1, 256),
            ("max_nonce_octets", self.max_nonce_octets, 32, 128),
            ("answer_life_seconds", self.answer_life_seconds as usize, 1, 86_400),
            ("reuse_seconds", self.reuse_seconds as usize, 0, 86_400),
            ("cache_seconds", self.cache_seconds as usize, 0, 86_400),
            ("cut_off_seconds", self.cut_off_seconds as usize, 1, 86_400),
            ("cache_megabytes", self.cache_megabytes as usize, 1, 1 << 20),
            ("lookup_threads", self.lookup_threads as usize, 1, 256),
            ("lookup_milliseconds", self.lookup_milliseconds as usize, 10, 1_000),
            ("refresh_seconds", self.refresh_seconds as usize, 1, 86_400),
            ("body_timeout_seconds", self.body_timeout_seconds as usize, 1, 300),
            ("max_in_flight", self.max_in_flight, 1, 65_536),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(SettingsRefusal::Range { key, least, most });
            }
        }
        if self.reuse_seconds + self.cache_seconds > self.answer_life_seconds {
            return Err(SettingsRefusal::CacheOutlivesAnswer);
        }
        if self.cut_off_seconds > self.answer_life_seconds {
            return Err(SettingsRefusal::CutOffOutlivesAnswer);
        }
        Ok(())
    }

    /// From thisUpdate to nextUpdate.
    pub fn answer_life(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.answer_life_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_contradictions_do_not() {
        let default = OcspSettings::default();
        assert_eq!(default.check(), Ok(()));
        let changed = |change: &dyn Fn(&mut OcspSettings)| {
            let mut settings = default.clone();
            change(&mut settings);
            settings.check()
        };
        assert_eq!(changed(&|settings| settings.cache_seconds = 31), Err(SettingsRefusal::CacheOutlivesAnswer));
        assert_eq!(changed(&|settings| settings.reuse_seconds = 60), Err(SettingsRefusal::CacheOutlivesAnswer));
        assert_eq!(changed(&|settings| settings.cut_off_seconds = 61), Err(SettingsRefusal::CutOffOutlivesAnswer));
        let range = |refused: Result<(), SettingsRefusal>, name| matches!(refused, Err(SettingsRefusal::Range { key, .. }) if key == name);
        assert!(range(changed(&|settings| settings.answer_life_seconds = 0), "answer_life_seconds"));
        assert!(range(changed(&|settings| settings.max_nonce_octets = 129), "max_nonce_octets"));
        assert!(range(changed(&|settings| settings.max_nonce_octets = 31), "max_nonce_octets"));
    }
}
