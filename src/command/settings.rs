//! `tsunagi settings`

use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use super::SettingsArgument;
use crate::failure::Failure;
use crate::installation::Installation;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read settings, policies, keys and store as `serve` would, and tell what is wrong
    ///
    /// Nothing is changed and nothing is listened on.
    Check(SettingsArgument),
    /// Print the settings in force, defaults and environment variables included
    Show(SettingsArgument),
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Check(argument) => check(argument, output),
        Command::Show(argument) => {
            let settings = argument.load()?;
            let text = toml::to_string(&settings).map_err(|error| Failure::other(error.to_string()))?;
            output.print(&settings, |_| text)
        }
    }
}

fn check(argument: &SettingsArgument, output: Output) -> Result<(), Failure> {
    let settings = argument.load()?;
    let installation = Installation::open(settings)?;
    let authorities = installation.card_authorities()?;
    let now = chrono::Utc::now();
    let expired: Vec<String> =
        authorities.iter().filter(|authority| !authority.is_valid_at(now)).map(|found| found.key_id().to_string()).collect();
    let card_authorities = authorities.iter().count();
    installation.instruction_verifier(Arc::new(installation.verifier()?))?;
    crate::role::back_office(&installation)?;
    crate::role::asker(&installation.settings)?;
    installation.challenge_key()?;
    installation.pseudonym_key()?;
    let pushes = installation.push_gateway()?.is_some();
    let push = installation.settings.push.as_ref();
    let no_push_token = push.is_some_and(|push| !installation.settings.path(&push.token_file).is_file());
    let lifecycle = &installation.policies.lifecycle;
    let lifecycle_sha256 = hex::encode(lifecycle.sha256);
    let issuers = installation.issuers()?.len();
    installation.command_key()?;
    let responders = installation.responder_signers()?.len();
    let result = json!({
        "settings": "sound",
        "ca_keys": installation.ca_keys.len(),
        "issuers": issuers,
        "responders": responders,
        "card_authorities": card_authorities,
        "card_authorities_not_valid_now": expired,
        "push": pushes,
        "lifecycle": { "name": lifecycle.name, "sha256": lifecycle_sha256 },
    });
    output.print(&result, |_| {
        let mut text = format!(
            "The settings are sound: {} CA keys ({issuers} issue), {responders} responders, {card_authorities} card CAs trusted.",
            installation.ca_keys.len()
        );
        let lifts = if lifecycle.holds.liftable { "holds can be lifted" } else { "no hold is ever lifted" };
        text.push_str(&format!("\nThe life cycle is {} ({lifts}), SHA-256 {lifecycle_sha256}.", lifecycle.name));
        for key_id in &expired {
            text.push_str(&format!("\nNote: the card CA with key identifier {key_id} is not valid now."));
        }
        if responders < installation.ca_keys.len() {
            text.push_str(
                "\nNote: not every CA key has a responder key here (status.keys): OCSP cannot answer for all from this directory.",
            );
        }
        if no_push_token {
            text.push_str("\nNote: push.token_file is not there yet: no command can be sent before it is.");
        }
        if !pushes {
            text.push_str("\nNote: no push service is named ([push]): commands wait until phones ask.");
        }
        text
    })
}
