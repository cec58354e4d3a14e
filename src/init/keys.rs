//! The first CA key of each kind, and its responder's.

use std::path::Path;
use std::sync::Arc;

use ca_core::chain::Chain;
use ca_core::device_command::CommandKey;
use ca_core::issuer::{CaKey, CaUrls, Issuer, create_ca_certificate, create_responder_certificate};
use ca_core::kind::CertificateKind;
use ca_core::signed_object::certificate_to_pem;
use ca_core::signer::{FileSigner, Signer as _};
use chrono::{Duration, Utc};
use policies::{KeyType, Policies};
use schema::Database;
use schema::authority::{NewCaKey, NewResponder};
use schema::command_key::CommandKey as PublicCommandKey;
use schema::intent::StoredIntents;
use secrecy::SecretString;

use super::{Plan, files};
use crate::failure::Failure;
use crate::installation::{ca_key_file, command_key_file, responder_key_file};

/// What the key files are encrypted under: the roles have their own, as they may run on machines of their own.
pub(super) struct Passphrases {
    /// Of the CA keys.
    pub(super) ca: SecretString,
    /// Of the responder keys.
    pub(super) status: SecretString,
}

/// The first generation.
const GENERATION: u32 = 1;

/// Makes CA key, CA certificate, responder key and responder certificate, and records them.
pub(super) fn create(
    kind: CertificateKind,
    plan: &Plan,
    directory: &Path,
    policies: &Arc<Policies>,
    database: &Database,
    passphrases: &Passphrases,
    responder_life: Duration,
) -> Result<(), Failure> {
    let now = Utc::now();
    let signer = FileSigner::generate(plan.key_type.unwrap_or(policies.authority.default_key_type)).map_err(failed)?;
    signer.save(&ca_key_file(&directory.join("ca"), kind, GENERATION), &passphrases.ca).map_err(failed)?;
    let certificate = create_ca_certificate(policies, kind, &signer, now).map_err(failed)?;
    let pem = certificate_to_pem(&certificate).map_err(|error| Failure::other(error.to_string()))?;
    files::write(&directory.join(format!("ca/ca-{kind}-{GENERATION}.pem")), pem.as_bytes())?;
    let urls = urls(&plan.status_url, kind, GENERATION);
    let new_key = NewCaKey { kind, generation: GENERATION, certificate: certificate.clone(), urls: urls.clone() };
    let id = database.writer().write(move |tx| tx.add_ca_key(&new_key, now)).map_err(Failure::store)?;
    let ca_key = CaKey::new(id, kind, GENERATION, certificate, urls).map_err(failed)?;

    let issuer = Issuer::new(ca_key, Arc::new(signer), Arc::clone(policies)).map_err(failed)?;
    let responder = FileSigner::generate(KeyType::EcdsaP256).map_err(failed)?;
    responder.save(&responder_key_file(&directory.join("status"), kind, GENERATION), &passphrases.status).map_err(failed)?;
    let mut ledger = StoredIntents::new(database.writer(), now);
    let certificate =
        create_responder_certificate(&issuer, responder.public_key_info(), responder_life, now, &mut ledger).map_err(failed)?;
    let certificate = NewResponder::from(&certificate);
    database.writer().write(move |tx| tx.add_responder(&certificate, now)).map_err(Failure::store)
}

/// Makes the key that signs commands to phones, and records its public half, which phones are told.
pub(super) fn create_command_key(directory: &Path, database: &Database, passphrases: &Passphrases) -> Result<(), Failure> {
    let signer = FileSigner::generate(KeyType::EcdsaP256).map_err(failed)?;
    signer.save(&command_key_file(&directory.join("ca")), &passphrases.ca).map_err(failed)?;
    let key = CommandKey::new(Arc::new(signer)).map_err(failed)?;
    let public = PublicCommandKey { key_id: key.key_id().to_owned(), public_key: key.public_key_info().to_vec() };
    database.writer().write(move |tx| tx.add_command_key(&public, Utc::now())).map_err(Failure::store)
}

fn urls(base: &str, kind: CertificateKind, generation: u32) -> CaUrls {
    CaUrls {
        crl: format!("{base}/crl/{kind}-{generation}.crl"),
        ocsp: format!("{base}/ocsp"),
        certificate: format!("{base}/ca/{kind}-{generation}.cer"),
    }
}

fn failed(fault: impl std::error::Error) -> Failure {
    Failure::other(Chain(&fault).to_string())
}
