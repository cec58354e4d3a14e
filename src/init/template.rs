//! The settings file of a new installation, with a word on everything that stands in it.

use std::fmt::Write as _;
use std::path::Path;

use ca_core::card::authority::CardAuthority;
use ca_core::kind::CertificateKind;
use ca_service::{EvidenceLimits, MassSettings, ScheduleName, ScheduleSettings};

use super::{Plan, files};
use crate::failure::Failure;
use crate::settings::{ShippedLifecycle, log_origin};

/// Where the back office is and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct BackOfficeAnswer {
    /// Its address: `https://…`.
    pub(crate) url: String,
    /// The CA of its server certificate, PEM.
    pub(crate) ca_certificate: String,
    /// The token that we show.
    pub(crate) token: String,
}

/// The card CAs.
#[derive(Debug, Clone)]
pub(crate) struct CardAnswer {
    /// The CA of the cards' signature certificates.
    pub(crate) signature: CardAuthorityAnswer,
    /// The CA of the cards' authentication certificates.
    pub(crate) authentication: CardAuthorityAnswer,
}

impl CardAnswer {
    fn of(&self, kind: CertificateKind) -> &CardAuthorityAnswer {
        match kind {
            CertificateKind::Signature => &self.signature,
            CertificateKind::Authentication => &self.authentication,
        }
    }
}

/// A card CA.
#[derive(Debug, Clone)]
pub(crate) struct CardAuthorityAnswer {
    /// The certificates of its key generations, PEM or DER.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// Where it answers OCSP requests.
    pub(crate) ocsp_url: String,
    /// Where its CRLs are, with `{distribution_point}`.
    pub(crate) crl_url: String,
}

/// A push service that is spoken to without TLS, as only one on this machine may be.
#[derive(Debug, Clone)]
pub(crate) struct PushAnswer {
    /// Its address: `http://…`.
    pub(crate) url: String,
    /// The project's id.
    pub(crate) project: String,
    /// The token that we show.
    pub(crate) token: String,
}

/// Writes what the installation keeps of the back office, the push service and the card CAs.
pub(super) fn write_parties(plan: &Plan, directory: &Path) -> Result<(), Failure> {
    files::write(&directory.join("back-office/ca.pem"), plan.back_office.ca_certificate.as_bytes())?;
    files::write_secret(&directory.join("back-office/token"), plan.back_office.token.as_bytes())?;
    if let Some(push) = &plan.push {
        files::make_directory(&directory.join("push"))?;
        files::write_secret(&directory.join("push/token"), push.token.as_bytes())?;
    }
    for kind in CertificateKind::ALL {
        for (file, certificate) in card_authority_files(kind, plan.card.of(kind)) {
            CardAuthority::from_certificate(kind, certificate)
                .map_err(|fault| Failure::settings(format!("card CA certificate for {kind}: {fault}")))?;
            files::write(&directory.join(file), certificate)?;
        }
    }
    Ok(())
}

fn card_authority_files(kind: CertificateKind, answer: &CardAuthorityAnswer) -> impl Iterator<Item = (String, &[u8])> {
    let numbered = answer.certificates.iter().enumerate();
    numbered.map(move |(index, certificate)| (format!("card-ca/{kind}-{}.pem", index + 1), certificate.as_slice()))
}

/// The settings as TOML.
pub(super) fn settings(plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_settings(&mut text, plan);
    text
}

fn write_settings(text: &mut String, plan: &Plan) -> std::fmt::Result {
    let quote = |value: &str| toml::Value::String(value.to_owned()).to_string();
    writeln!(text, "# Settings of this installation. Relative paths are taken from the directory of this file; unknown keys are")?;
    writeln!(text, "# refused; `tsunagi settings check` tells what is wrong. docs/settings.md describes every key and its default.")?;
    if let Some(directory) = &plan.policy_directory {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
        writeln!(text, "\npolicy_directory = {}", quote(&directory.display().to_string()))?;
    } else {
        writeln!(
            text,
            "\n# The shipped policies hold, with one of the shipped life cycles: jpki or derived-piv (docs/lifecycle.md). For your own:"
        )?;
        writeln!(text, "# policy_directory = \"policies\" in place of lifecycle.")?;
        let default = if plan.lifecycle == ShippedLifecycle::Jpki { "# " } else { "" };
        writeln!(text, "{default}lifecycle = {}", quote(plan.lifecycle.as_str()))?;
    }
    writeln!(text, "\n[store]\nurl = {}", quote(&plan.store_url))?;

    writeln!(text, "\n# What faces the holders: TLS, no account.\n[ra]")?;
    writeln!(text, "listen = {}", quote(&plan.ra_listen.to_string()))?;
    writeln!(text, "# The audience that applications must be made for.\nname = {}", quote(&plan.ra_name))?;
    writeln!(
        text,
        "certificate = \"ra/tls.pem\"\nkey = \"ra/tls.key.pem\"\nchallenge_key = \"ra/challenge.key\"\npseudonym_key = \"ra/pseudonym.key\""
    )?;

    writeln!(
        text,
        "\n# What faces the operators: mutual TLS; the role is the organizational unit of the client certificate.\n[operators]"
    )?;
    writeln!(text, "listen = {}", quote(&plan.operators_listen.to_string()))?;
    writeln!(text, "certificate = \"operators/server.pem\"\nkey = \"operators/server.key.pem\"\nclient_ca = \"operators/client-ca.pem\"")?;

    writeln!(text, "\n# The CA role: opens no listener.\n[ca]\nkeys = \"ca\"\npassphrase_file = \"ca/passphrase\"")?;
    match &plan.pkcs11 {
        Some(pkcs11) => {
            writeln!(text, "\n# The token on which the CA keys lie.\n[ca.pkcs11]")?;
            writeln!(text, "module = {}", quote(&pkcs11.module.display().to_string()))?;
            writeln!(text, "token = {}", quote(&pkcs11.token))?;
            writeln!(text, "pin_file = {}", quote(&pkcs11.pin_file.display().to_string()))?;
        }
        None => writeln!(text, "# CA keys may lie on a token instead (docs/pkcs11.md): [ca.pkcs11].")?,
    }
    writeln!(
        text,
        "\n# When what is done regularly is done. Six fields, SECONDS FIRST, in UTC: second minute hour day month weekday (1 = Sunday)."
    )?;
    writeln!(text, "[ca.schedules]")?;
    let schedules = ScheduleSettings::default();
    for name in ScheduleName::ALL {
        writeln!(text, "{} = {}", name.as_str().replace('-', "_"), quote(schedules.expression(name)))?;
    }
    writeln!(text, "\n# How old the news of cards may be, in seconds, before nothing is issued any more.\n[ca.evidence]")?;
    let evidence = EvidenceLimits::default();
    writeln!(text, "feed_seconds = {}\ncard_crl_seconds = {}", evidence.feed_seconds, evidence.card_crl_seconds)?;
    writeln!(text, "comparison_seconds = {}", evidence.comparison_seconds)?;
    writeln!(text, "\n[ca.mass]\n# More certificates than this are changed only if a second administrator approves.")?;
    writeln!(text, "second_person_above = {}", MassSettings::default().second_person_above)?;

    writeln!(text, "\n# What faces relying parties: OCSP, CRLs and CA certificates over plain HTTP, everything signed.\n[status]")?;
    writeln!(text, "listen = {}", quote(&plan.status_listen.to_string()))?;
    writeln!(text, "# Stands in every certificate.\nurl = {}", quote(&plan.status_url))?;
    writeln!(text, "keys = \"status\"\npassphrase_file = \"status/passphrase\"")?;

    writeln!(text, "\n[crl]\n# Six fields, SECONDS FIRST, in UTC: second minute hour day month weekday (1 = Sunday).")?;
    writeln!(text, "schedule = \"0 0 * * * *\"")?;
    writeln!(text, "# What is published at once, besides: \"any\" revocation, or only \"urgent\" ones.\nat_once = \"any\"")?;

    writeln!(
        text,
        "\n# The issuance log, which proves to auditors that nothing was changed or left out. Its name is fixed once it has begun.\n[log]"
    )?;
    writeln!(text, "origin = {}", quote(&log_origin(&plan.ra_name)))?;
    writeln!(text, "# What is published; best on another disk than the store.\ndirectory = \"log\"")?;
    writeln!(text, "# Who cosigns it: witnesses = [{{ url = \"https://…\", key = \"NAME+ID+KEY\", ca_file = \"log-witness-ca.pem\" }}]")?;

    writeln!(text, "\n[back_office]\nurl = {}", quote(&plan.back_office.url))?;
    writeln!(text, "ca_certificate = \"back-office/ca.pem\"\ntoken_file = \"back-office/token\"")?;

    writeln!(text, "\n# The card CAs that are trusted, with the certificates of all their key generations.")?;
    for kind in CertificateKind::ALL {
        let answer = plan.card.of(kind);
        let files: Vec<String> = card_authority_files(kind, answer).map(|(file, _)| quote(&file)).collect();
        writeln!(text, "[card.{kind}]\ncertificates = [{}]", files.join(", "))?;
        writeln!(text, "ocsp_url = {}\ncrl_url = {}\n", quote(&answer.ocsp_url), quote(&answer.crl_url))?;
    }
    writeln!(text, "# Commands to phones go out by push; without this table they wait until the phones ask.")?;
    match &plan.push {
        Some(push) => {
            writeln!(text, "[push]\nurl = {}\nproject = {}", quote(&push.url), quote(&push.project))?;
            writeln!(text, "token_file = \"push/token\"\n")?;
        }
        None => {
            writeln!(text, "# [push]\n# project = \"…\"\n# token_file = \"push/token\"\n# ca_file = \"push/roots.pem\"\n")?;
        }
    }
    writeln!(text, "[telemetry]")?;
    match plan.telemetry_listen {
        Some(address) => writeln!(text, "listen = {}", quote(&address.to_string())),
        None => writeln!(text, "# /metrics and /health, plain HTTP, for inside only: listen = \"127.0.0.1:9464\""),
    }
}
