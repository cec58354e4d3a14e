//! Which settings a role began to lead with: a digest of each topic, and no value.

use std::collections::BTreeMap;

use ca_core::digest::Sha256Digest;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::sql::sql;
use crate::transaction::Transaction;

impl Transaction<'_> {
    /// Compares the digests of a role's settings, by topic (names of 1 to 64 octets), with those recorded last; records them and leaves
    /// one event if there is a difference. Returns the topics that are new, gone or different, in their order.
    pub fn record_settings(
        &mut self,
        role: &str,
        topics: &BTreeMap<String, Sha256Digest>,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreFault> {
        let recorded: BTreeMap<String, Sha256Digest> = sql("SELECT name, sha256 FROM settings_topic WHERE role = ?")
            .bind(role)
            .rows(self.session, |row| Ok((row.text()?, row.digest()?)))?
            .into_iter()
            .collect();
        let gone: Vec<&String> = recorded.keys().filter(|name| !topics.contains_key(*name)).collect();
        let new: Vec<(&String, &Sha256Digest)> = topics.iter().filter(|(name, sha256)| recorded.get(*name) != Some(*sha256)).collect();
        if gone.is_empty() && new.is_empty() {
            return Ok(Vec::new());
        }
        for name in &gone {
            sql("DELETE FROM settings_topic WHERE role = ? AND name = ?").bind(role).bind(name.as_str()).execute(self.session)?;
        }
        for (name, sha256) in &new {
            sql("INSERT INTO settings_topic (role, name, sha256) VALUES (?, ?, ?) \
                 ON CONFLICT (role, name) DO UPDATE SET sha256 = excluded.sha256")
            .bind(role)
            .bind(name.as_str())
            .bind(*sha256)
            .execute(self.session)?;
        }
        let mut changed: Vec<String> = gone.into_iter().chain(new.into_iter().map(|(name, _)| name)).cloned().collect();
        changed.sort_unstable();
        let data = json!({"role": role, "sha256": digest_of(topics).to_string(), "changed": changed});
        self.emit(NewEvent::new(EventKind::SettingsChanged, now, data));
        Ok(changed)
    }
}

/// The digest of all topics: SHA-256 over a line for each in the order of their names, `NAME SP HEX LF`.
fn digest_of(topics: &BTreeMap<String, Sha256Digest>) -> Sha256Digest {
    let lines: String = topics.iter().map(|(name, sha256)| format!("{name} {sha256}\n")).collect();
    Sha256Digest::of(lines.as_bytes())
}
