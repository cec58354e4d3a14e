//! How exports for auditors are kept.

use audit_log::export::Recipient;
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
    /// The age recipients that evidence may be encrypted to. Default none: any that an auditor names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence_recipients: Vec<String>,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { keep_days: 7, evidence_applications: 100_000, evidence_recipients: Vec::new() }
    }
}

/// The settings of exports contradict a limit. Keys are named from the topic on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditSettingsRefusal {
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
    /// Too many recipients.
    #[error("evidence_recipients: at most {MOST_RECIPIENTS}")]
    TooMany,
    /// Nobody to encrypt to.
    #[error("evidence_recipients: {0}: no recipient of age, age1 and 58 characters")]
    Recipient(String),
}

/// So many recipients of evidence are named at most.
const MOST_RECIPIENTS: usize = 64;

impl AuditSettings {
    /// Checks each setting.
    ///
    /// # Errors
    /// What is wrong with the first one that is.
    pub fn check(&self) -> Result<(), AuditSettingsRefusal> {
        // An auditor must have the time to fetch what was prepared; a year is beyond every visit.
        let ranges = [("keep_days", self.keep_days, 1, 366), ("evidence_applications", self.evidence_applications, 1, 1_000_000)];
        if let Some((key, _, least, most)) = ranges.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            return Err(AuditSettingsRefusal::Range { key, least, most });
        }
        if self.evidence_recipients.len() > MOST_RECIPIENTS {
            return Err(AuditSettingsRefusal::TooMany);
        }
        match self.evidence_recipients.iter().find(|recipient| recipient.parse::<Recipient>().is_err()) {
            Some(wrong) => Err(AuditSettingsRefusal::Recipient(wrong.clone())),
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
        let wrong = format!("age1{}", "q".repeat(58));
        let settings = AuditSettings { evidence_recipients: vec![wrong.clone()], ..AuditSettings::default() };
        assert_eq!(settings.check(), Err(AuditSettingsRefusal::Recipient(wrong)));
    }
}
