//! A digest of each topic of the settings: what is put on record of them, instead of their values.

use std::collections::BTreeMap;

use ca_core::digest::Sha256Digest;
use policies::Policies;
use serde_json::{Value, json};

use super::Settings;
use crate::failure::Failure;

/// The topic of what stands outside of any table, with the policies themselves.
const POLICIES: &str = "policies";

impl Settings {
    /// The SHA-256 of each topic's effective values, defaults and environment included, as JSON with sorted keys and without spaces.
    /// Files are there by their names, never by what is in them; passwords are left out of the store's URL. `policies` has the SHA-256
    /// of each policy beside where they come from.
    pub(crate) fn topic_digests(&self, policies: &Policies) -> Result<BTreeMap<String, Sha256Digest>, Failure> {
        let unwritable = |error: serde_json::Error| Failure::other(format!("the settings cannot be written as JSON: {error}"));
        let Value::Object(topics) = serde_json::to_value(self).map_err(unwritable)? else {
            return Err(Failure::other("the settings are no table"));
        };
        let sha256 = |octets: [u8; 32]| Sha256Digest(octets).to_string();
        let mut of_policies = json!({
            "signature": sha256(policies.signature.sha256), "authentication": sha256(policies.authentication.sha256),
            "authority": sha256(policies.authority.sha256), "responder": sha256(policies.responder.sha256),
            "application": sha256(policies.application.sha256), "lifecycle": sha256(policies.lifecycle.sha256),
        });
        let mut digests = BTreeMap::new();
        for (name, mut topic) in topics {
            if !topic.is_object() {
                of_policies[format!("settings.{name}")] = topic;
                continue;
            }
            if let Some(url) = topic.get_mut("url").filter(|_| name == "store") {
                *url = json!(without_passwords(&self.store.url));
            }
            digests.insert(name, Sha256Digest::of(topic.to_string().as_bytes()));
        }
        digests.insert(POLICIES.to_owned(), Sha256Digest::of(of_policies.to_string().as_bytes()));
        Ok(digests)
    }
}

/// A URL without the password of its user and without parameters that are one.
fn without_passwords(url: &str) -> String {
    let (before, parameters) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = before.split_once("://").unwrap_or(("", before));
    let rest = match rest.rsplit_once('@') {
        Some((user, place)) => format!("{}@{place}", user.split(':').next().unwrap_or_default()),
        None => rest.to_owned(),
    };
    let kept: Vec<&str> = parameters.split('&').filter(|parameter| !parameter.contains("password")).collect();
    format!("{scheme}://{rest}?{}", kept.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_makes_no_difference_and_all_else_does() {
        let one = without_passwords("postgres://tsunagi:secret@db.example/tsunagi?sslmode=verify-full&sslpassword=x");
        assert_eq!(one, "postgres://tsunagi@db.example/tsunagi?sslmode=verify-full");
        assert_eq!(one, without_passwords("postgres://tsunagi:other@db.example/tsunagi?password=y&sslmode=verify-full"));
        assert_ne!(one, without_passwords("postgres://tsunagi:secret@db2.example/tsunagi?sslmode=verify-full"));
        assert_eq!(without_passwords("sqlite://store.db"), "sqlite://store.db?");
    }
}
