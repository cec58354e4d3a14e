//! A log that cannot go on, for as long as a test wants it to.

use audit_log::LogKey;
use secrecy::SecretString;

use super::{Installation, until};

/// Puts a checkpoint of a larger tree, under the log's own key, in the place of the published one; returns that. A process that is started
/// then appends and signs nothing, until what was published is in its place again.
pub fn publish_larger_tree(installation: &Installation) -> Vec<u8> {
    let published = installation.place().join("log/checkpoint");
    let kept = until("a checkpoint is published", || std::fs::read(&published).ok());
    let passphrase = SecretString::from(installation.text("ca/passphrase").trim_end().to_owned());
    let key = LogKey::open(&installation.place().join("ca/log.key.pem"), "ra.test/log", &passphrase).unwrap();
    let larger = key.sign_checkpoint(1_000_000, [7; 32]).unwrap();
    std::fs::write(&published, larger.note()).unwrap();
    kept
}
