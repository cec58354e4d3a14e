//! How exports for auditors are kept.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// How exports for auditors are kept. Unknown keys are refused; [`AuditSettings::check`] holds each to its range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    /// For how many days an export can be fetched once it is ready; then its evidence is removed. Default 7.
    pub keep_days: u32,
    /// Of how many applications an export may hold the evidence. Default 100,000.
    pub evidence_applications: u32,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { keep_days: 7, evidence_applications: 100_000 }
    }
}

/// A setting is out of its range. Keys are named from the topic on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} must be from {least} to {most}")]
pub struct AuditSettingsRefusal {
    key: &'static str,
    least: u32,
    most: u32,
}

impl AuditSettings {
    /// Checks each setting.
    ///
    /// # Errors
    /// The first one that is out of its range.
    pub fn check(&self) -> Result<(), AuditSettingsRefusal> {
        // An auditor must have the time to fetch what was prepared; a year is beyond every visit.
        let ranges = [("keep_days", self.keep_days, 1, 366), ("evidence_applications", self.evidence_applications, 1, 1_000_000)];
        match ranges.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            Some((key, _, least, most)) => Err(AuditSettingsRefusal { key, least, most }),
            None => Ok(()),
        }
    }

    pub(super) fn keep(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.keep_days))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_its_range() {
        AuditSettings::default().check().unwrap();
        for (settings, key) in [
            (AuditSettings { keep_days: 0, ..AuditSettings::default() }, "keep_days"),
            (AuditSettings { evidence_applications: 1_000_001, ..AuditSettings::default() }, "evidence_applications"),
        ] {
            assert!(settings.check().unwrap_err().to_string().starts_with(key));
        }
    }
}
