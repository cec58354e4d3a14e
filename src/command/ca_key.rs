//! `tsunagi ca-key`

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKey;
use ca_core::key::{PublicKey, PublicKeyKind};
use ca_core::kind::CertificateKind;
use ca_service::ScheduleName;
use chrono::Utc;
use clap::{Args, Subcommand};
use policies::KeyType;
use schema::WriteError;
use schema::change::{Order, Origin};
use schema::generation::Generation;
use serde_json::{Value, json};

use super::SettingsArgument;
use super::init::key_type;
use crate::failure::Failure;
use crate::init::keys::{Workshop, ca_certificate_file};
use crate::installation::Installation;
use crate::output::{Output, pairs, table, time};
use crate::vault::Whereabouts;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the CA keys: all generations, where their keys lie, and what stands of each
    List(List),
    /// Make the next generation of a CA key, with its responder's key
    ///
    /// To be run where the CA keys are, with both passphrases at hand. The new CA certificate bears the same name as the others. It
    /// issues from the next start of the roles; older generations go on signing their lists and certifying their responders.
    Create(Create),
    /// Retire a CA key of which nothing stands any more
    ///
    /// Refused while a certificate of it is live or held, and for the newest generation, which issues. Its lists and answers are final
    /// after that. There is no way back.
    Retire(Retire),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    settings: SettingsArgument,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    settings: SettingsArgument,
    /// What it shall issue: signature or authentication
    #[arg(long)]
    kind: CertificateKind,
    /// ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096 [default: the policy's]
    #[arg(long, value_name = "TYPE", value_parser = key_type)]
    key_type: Option<KeyType>,
}

#[derive(Debug, Args)]
pub(crate) struct Retire {
    #[command(flatten)]
    settings: SettingsArgument,
    /// What it issued: signature or authentication
    kind: CertificateKind,
    /// Which of the keys, counted from 1
    generation: u32,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(arguments, output),
        Command::Create(arguments) => create(arguments, output),
        Command::Retire(arguments) => retire(arguments, output),
    }
}

fn list(arguments: &List, output: Output) -> Result<(), Failure> {
    let installation = Installation::open(arguments.settings.load()?)?;
    let generations = installation.database.reader().generations().map_err(Failure::store)?;
    let mut rows = Vec::new();
    for key in &installation.ca_keys {
        // A key that came in since is in the next list.
        let Some(generation) = generations.iter().find(|generation| generation.ca_key == key.id()) else { continue };
        rows.push(Row::new(&installation, key, generation));
    }
    let result: Vec<Value> = rows.iter().map(Row::json).collect();
    output.print(&result, |_| {
        let header = ["kind", "generation", "type", "valid until", "live", "held", "revoked", "state", "key"];
        table(&header, &rows.iter().map(Row::cells).collect::<Vec<_>>())
    })
}

/// A generation as it is shown.
struct Row<'a> {
    key: &'a CaKey,
    key_type: Option<KeyType>,
    generation: &'a Generation,
    newest: bool,
    /// Where the key lies, or why that is not known.
    place: Result<Option<Whereabouts>, Failure>,
}

impl<'a> Row<'a> {
    fn new(installation: &Installation, key: &'a CaKey, generation: &'a Generation) -> Self {
        let place = installation.vault().and_then(|vault| vault.whereabouts(key.kind(), key.generation()));
        let newest = installation.newest(key.kind()).is_some_and(|newest| newest.id() == key.id());
        Self { key, key_type: type_of(key), generation, newest, place }
    }

    fn json(&self) -> Value {
        let place = match &self.place {
            Ok(Some(Whereabouts::File(path))) => json!({ "file": path }),
            Ok(Some(Whereabouts::Token(label))) => json!({ "token": label }),
            Ok(None) => Value::Null,
            Err(failure) => json!({ "unknown": failure.to_string() }),
        };
        json!({
            "kind": self.key.kind(),
            "generation": self.key.generation(),
            "key_type": self.key_type.map(KeyType::as_str),
            "certificate_sha256": Sha256Digest::of(self.key.certificate_der()).to_string(),
            "valid_until": time(self.key.not_after()),
            "live": self.generation.live,
            "held": self.generation.held,
            "revoked": self.generation.revoked,
            "newest": self.newest,
            "retired_at": self.generation.retired_at.map(time),
            "key": place,
        })
    }

    fn cells(&self) -> Vec<String> {
        let state = match self.generation.retired_at {
            Some(at) => format!("retired {}", time(at)),
            None if self.newest => "newest".to_owned(),
            None => "older".to_owned(),
        };
        let place = match &self.place {
            Ok(Some(place)) => place.to_string(),
            Ok(None) => "not here".to_owned(),
            Err(failure) => format!("not known: {failure}"),
        };
        vec![
            self.key.kind().to_string(),
            self.key.generation().to_string(),
            self.key_type.map_or("unknown", KeyType::as_str).to_owned(),
            time(self.key.not_after()),
            self.generation.live.to_string(),
            self.generation.held.to_string(),
            self.generation.revoked.to_string(),
            state,
            place,
        ]
    }
}

fn create(arguments: &Create, output: Output) -> Result<(), Failure> {
    let installation = Installation::open(arguments.settings.load()?)?;
    let workshop = Workshop {
        settings: &installation.settings,
        policies: &installation.policies,
        database: &installation.database,
        vault: installation.vault()?,
    };
    let newest = installation.newest(arguments.kind);
    let ca_key = match newest {
        // An earlier attempt came as far as the store, and no further.
        Some(newest) if installation.database.reader().latest_responder(newest.id()).map_err(Failure::store)?.is_none() => {
            workshop.complete(newest)?;
            newest.clone()
        }
        newest => workshop.create(arguments.kind, newest.map_or(0, CaKey::generation) + 1, arguments.key_type)?,
    };
    let place = installation.vault()?.whereabouts(ca_key.kind(), ca_key.generation())?;
    let certificate = ca_certificate_file(&installation.settings, ca_key.kind(), ca_key.generation());
    let fingerprint = Sha256Digest::of(ca_key.certificate_der()).to_string();
    let result = json!({
        "kind": ca_key.kind(),
        "generation": ca_key.generation(),
        "key_type": type_of(&ca_key).map(KeyType::as_str),
        "certificate": certificate,
        "certificate_sha256": fingerprint,
        "valid_until": time(ca_key.not_after()),
    });
    output.print(&result, |_| {
        let lines = pairs(&[
            ("CA key", ca_key.label()),
            ("lies", place.map_or_else(String::new, |place| place.to_string())),
            ("CA certificate", certificate.display().to_string()),
            ("SHA-256", fingerprint.clone()),
            ("valid until", time(ca_key.not_after())),
        ]);
        format!(
            "{lines}\n\nGive relying parties the CA certificate. Where the status service runs elsewhere, take ocsp-{}.key.pem to it. \
             Then start the roles again: the new key issues from then on.",
            ca_key.label()
        )
    })
}

fn retire(arguments: &Retire, output: Output) -> Result<(), Failure> {
    let installation = Installation::open(arguments.settings.load()?)?;
    let (kind, generation) = (arguments.kind, arguments.generation);
    let found = installation.ca_keys.iter().find(|key| (key.kind(), key.generation()) == (kind, generation));
    let ca_key = found.ok_or_else(|| Failure::not_found(format!("there is no CA key {kind}-{generation}")))?;
    if installation.newest(kind).is_some_and(|newest| newest.id() == ca_key.id()) {
        let message =
            format!("{kind}-{generation} is the newest generation, which issues: make another first, with `tsunagi ca-key create`");
        return Err(Failure::refused(message).with_code("newest_generation"));
    }
    let (id, now) = (ca_key.id(), Utc::now());
    let policy = installation.policies.lifecycle.clone();
    let retired = installation.database.writer().write(move |tx| {
        // Those who look after the test certificates make them with the newest key by now.
        let order = Order::from(Origin::Schedule { name: ScheduleName::TestCertificates.as_str().to_owned() });
        tx.end_test_certificates(id, &policy, &order, now)?;
        tx.retire_ca_key(id, now)
    });
    let newly = retired.map_err(|error| match error {
        WriteError::Refused(refusal) => Failure::refused(refusal.to_string()).with_code(ca_core::refusal::Refusal::code(&refusal)),
        WriteError::Fault(fault) => Failure::store(fault),
    })?;
    let at_hand = installation.vault().and_then(|vault| vault.whereabouts(kind, generation)).is_ok_and(|place| place.is_some());
    let result = json!({ "kind": kind, "generation": generation, "newly_retired": newly, "key_at_hand": at_hand });
    output.print(&result, |_| {
        let since = if newly { "is retired" } else { "was retired before" };
        let key = if at_hand {
            "Leave its key where it is until its final lists are published: `tsunagi crl show`."
        } else {
            "Its key is not here: the CA role needs it to publish the final lists."
        };
        format!("{kind}-{generation} {since}. {key}")
    })
}

/// The type of a CA key, by its public half.
fn type_of(key: &CaKey) -> Option<KeyType> {
    match PublicKey::from_der(key.public_key_info()).ok()?.kind() {
        PublicKeyKind::P256 => Some(KeyType::EcdsaP256),
        PublicKeyKind::P384 => Some(KeyType::EcdsaP384),
        PublicKeyKind::Rsa { modulus, .. } => match modulus.len() {
            256 => Some(KeyType::Rsa2048),
            384 => Some(KeyType::Rsa3072),
            512 => Some(KeyType::Rsa4096),
            _ => None,
        },
    }
}
