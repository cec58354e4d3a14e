//! CA key generations, each with its responder's key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca_core::chain::Chain;
use ca_core::device_command::CommandKey;
use ca_core::issuer::{CaKey, CaUrls, Issuer, create_ca_certificate, create_responder_certificate};
use ca_core::kind::CertificateKind;
use ca_core::signed_object::certificate_to_pem;
use ca_core::signer::{FileSigner, Signer};
use chrono::{Duration, Utc};
use policies::{KeyType, Policies};
use schema::Database;
use schema::authority::{NewCaKey, NewResponder};
use schema::command_key::CommandKey as PublicCommandKey;
use schema::intent::StoredIntents;
use secrecy::SecretString;

use super::files;
use crate::failure::Failure;
use crate::installation::{command_key_file, read_passphrase, responder_key_file};
use crate::settings::Settings;
use crate::vault::Vault;

/// What key generations are made with.
pub(crate) struct Workshop<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) policies: &'a Arc<Policies>,
    pub(crate) database: &'a Database,
    pub(crate) vault: &'a Vault,
}

impl Workshop<'_> {
    /// Makes a generation's CA key (of the policy's type, if no other is named), CA certificate, responder key and responder
    /// certificate, and records them.
    ///
    /// What fails before the store is written leaves nothing. After that the keys stay, whatever happens: the store may have them.
    pub(crate) fn create(&self, kind: CertificateKind, generation: u32, key_type: Option<KeyType>) -> Result<CaKey, Failure> {
        let now = Utc::now();
        let signer = self.vault.create(kind, generation, key_type.unwrap_or(self.policies.authority.default_key_type))?;
        let mut made = Unfinished { workshop: self, kind, generation, files: Vec::new() };
        let certificate = create_ca_certificate(self.policies, kind, &*signer, now).map_err(failed)?;
        let pem = certificate_to_pem(&certificate).map_err(|error| Failure::other(error.to_string()))?;
        made.write(ca_certificate_file(self.settings, kind, generation), |path| files::write(path, pem.as_bytes()))?;
        let passphrase = self.status_passphrase()?;
        let responder = FileSigner::generate(KeyType::EcdsaP256).map_err(failed)?;
        made.write(self.responder_file(kind, generation), |path| responder.save(path, &passphrase).map_err(failed))?;

        let urls = urls(&self.settings.status.url, kind, generation);
        let new_key = NewCaKey { kind, generation, certificate: certificate.clone(), urls: urls.clone() };
        made.keep();
        let id = self.database.writer().write(move |tx| tx.add_ca_key(&new_key, now)).map_err(Failure::store)?;
        let ca_key = CaKey::new(id, kind, generation, certificate, urls).map_err(failed)?;
        self.certify_responder(&ca_key, signer, &responder)?;
        Ok(ca_key)
    }

    /// Certifies the responder key of a generation that was stopped on the way and has no responder certificate.
    pub(crate) fn complete(&self, ca_key: &CaKey) -> Result<(), Failure> {
        let (kind, generation) = (ca_key.kind(), ca_key.generation());
        let missing = || Failure::settings(format!("the CA key {} is not at hand", ca_key.label()));
        let signer = self.vault.signer(kind, generation)?.ok_or_else(missing)?;
        let responder = FileSigner::open(&self.responder_file(kind, generation), &self.status_passphrase()?)
            .map_err(|fault| Failure::settings(Chain(&fault).to_string()))?;
        self.certify_responder(ca_key, signer, &responder)
    }

    fn certify_responder(&self, ca_key: &CaKey, signer: Arc<dyn Signer>, responder: &FileSigner) -> Result<(), Failure> {
        let now = Utc::now();
        let life = Duration::days(self.settings.ca.responder_days.into());
        let issuer = Issuer::new(ca_key.clone(), signer, Arc::clone(self.policies)).map_err(failed)?;
        let mut ledger = StoredIntents::new(self.database.writer(), now);
        let certificate = create_responder_certificate(&issuer, responder.public_key_info(), life, now, &mut ledger).map_err(failed)?;
        let certificate = NewResponder::from(&certificate);
        self.database.writer().write(move |tx| tx.add_responder(&certificate, now)).map_err(Failure::store)
    }

    fn responder_file(&self, kind: CertificateKind, generation: u32) -> PathBuf {
        responder_key_file(&self.settings.path(&self.settings.status.keys), kind, generation)
    }

    fn status_passphrase(&self) -> Result<SecretString, Failure> {
        read_passphrase(&self.settings.path(&self.settings.status.passphrase_file))
    }
}

/// A generation that is being made: what there is of it goes again, unless it is kept.
struct Unfinished<'a> {
    workshop: &'a Workshop<'a>,
    kind: CertificateKind,
    generation: u32,
    files: Vec<PathBuf>,
}

impl Unfinished<'_> {
    fn write(&mut self, path: PathBuf, write: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
        write(&path)?;
        self.files.push(path);
        Ok(())
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.workshop.vault.discard(self.kind, self.generation);
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Where a CA certificate lies, beside the CA keys: what relying parties trust.
pub(crate) fn ca_certificate_file(settings: &Settings, kind: CertificateKind, generation: u32) -> PathBuf {
    settings.path(&settings.ca.keys).join(format!("ca-{kind}-{generation}.pem"))
}

/// Makes the key that signs commands to phones, and records its public half, which phones are told.
pub(super) fn create_command_key(settings: &Settings, database: &Database) -> Result<(), Failure> {
    let passphrase = read_passphrase(&settings.path(&settings.ca.passphrase_file))?;
    let signer = FileSigner::generate(KeyType::EcdsaP256).map_err(failed)?;
    signer.save(&command_key_file(&settings.path(&settings.ca.keys)), &passphrase).map_err(failed)?;
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
