//! What an administrator may choose about OCSP.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// The settings of the responder. Unknown keys are refused; [`OcspSettings::check`] holds them against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OcspSettings {
    /// The most octets of a request. Default 4096: sixteen questions with SHA-256 and a nonce take about 2,200; RFC 5019 section 5
    /// expects clients to stay under 255 for one.
    pub max_request_octets: usize,
    /// The most certificates asked about in one request. Default 16.
    pub max_questions: usize,
    /// The seconds from thisUpdate to nextUpdate. Default 60, at most 86,400: an answer caught today must not hide a revocation
    /// tomorrow. (CA/Browser Forum Baseline Requirements 4.9.10 want at least 8 hours of public web CAs, whose answers lie on
    /// content networks; ours are made when asked for.)
    pub answer_life_seconds: u32,
    /// The seconds for which an HTTP cache may repeat an answer to a GET without a nonce. Default 1, so that a revocation is seen
    /// within a second even through a cache that takes the brunt of a rush. At most the life of an answer (RFC 5019 section 6.2).
    pub cache_seconds: u32,
    /// The seconds after which CA keys and responder certificates are looked up anew. Default 30.
    pub refresh_seconds: u32,
    /// The seconds within which a request's body must have arrived. Default 10.
    pub body_timeout_seconds: u32,
    /// The most requests being answered at once; more are told `tryLater`. Default 1024.
    pub max_in_flight: usize,
}

impl Default for OcspSettings {
    fn default() -> Self {
        Self {
            max_request_octets: 4096,
            max_questions: 16,
            answer_life_seconds: 60,
            cache_seconds: 1,
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
    #[error("ocsp.cache_seconds must not exceed ocsp.answer_life_seconds (RFC 5019 section 6.2)")]
    CacheOutlivesAnswer,
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
            ("answer_life_seconds", self.answer_life_seconds as usize, 1, 86_400),
            ("refresh_seconds", self.refresh_seconds as usize, 1, 86_400),
            ("body_timeout_seconds", self.body_timeout_seconds as usize, 1, 300),
            ("max_in_flight", self.max_in_flight, 1, 65_536),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(SettingsRefusal::Range { key, least, most });
            }
        }
        if self.cache_seconds > self.answer_life_seconds {
            return Err(SettingsRefusal::CacheOutlivesAnswer);
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
        assert_eq!(OcspSettings { cache_seconds: 61, ..default }.check(), Err(SettingsRefusal::CacheOutlivesAnswer));
        assert!(matches!(
            OcspSettings { answer_life_seconds: 0, ..default }.check(),
            Err(SettingsRefusal::Range { key: "answer_life_seconds", .. })
        ));
    }
}
