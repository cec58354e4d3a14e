//! An installation at work: settings, policies, store and keys, read together.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ca_core::application::challenge::ChallengeKey;
use ca_core::application::verifier::ApplicationVerifier;
use ca_core::card::authority::{CardAuthorities, CardAuthority};
use ca_core::chain::Chain;
use ca_core::device_command::CommandKey;
use ca_core::instruction::InstructionVerifier;
use ca_core::instruction::operator::OperatorAuthorities;
use ca_core::issuer::{CaKey, Issuer};
use ca_core::kind::CertificateKind;
use ca_core::pseudonym::PseudonymKey;
use ca_core::signer::{FileSigner, Signer};
use crl_publisher::Shelf;
use policies::Policies;
use push::{FcmClient, PushGateway};
use schema::{Database, OpenOptions};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::high_water::HighWaterFiles;
use crate::role::Role;
use crate::settings::{Settings, ShippedLifecycle};
use crate::vault::Vault;

/// What every role needs.
pub(crate) struct Installation {
    pub(crate) settings: Settings,
    pub(crate) policies: Arc<Policies>,
    pub(crate) database: Database,
    pub(crate) ca_keys: Vec<CaKey>,
    vault: OnceLock<Vault>,
    shelf: OnceLock<Arc<Shelf>>,
}

impl Installation {
    /// Opens the store and reads policies and CA keys (their public part), to look.
    pub(crate) fn open(settings: Settings) -> Result<Self, Failure> {
        Self::over(settings, false)
    }

    /// The same, to serve: a SQLite file has one process that does.
    pub(crate) fn open_to_serve(settings: Settings) -> Result<Self, Failure> {
        Self::over(settings, true)
    }

    fn over(settings: Settings, sole_server: bool) -> Result<Self, Failure> {
        let policies = load_policies(&settings)?;
        let database = open_database(&settings, sole_server)?;
        let ca_keys = database.reader().ca_keys().map_err(Failure::store)?;
        Ok(Self { settings, policies, database, ca_keys, vault: OnceLock::new(), shelf: OnceLock::new() })
    }

    /// What verifies applications. Every process that verifies has its own.
    pub(crate) fn verifier(&self) -> Result<ApplicationVerifier, Failure> {
        let own_key_ids = self.ca_keys.iter().map(|key| key.key_identifier().clone()).collect();
        let policy = self.policies.application.as_ref().clone();
        Ok(ApplicationVerifier::new(policy, self.card_authorities()?, own_key_ids, self.settings.ra.name.clone()))
    }

    /// The card CAs that the settings name.
    pub(crate) fn card_authorities(&self) -> Result<CardAuthorities, Failure> {
        let mut authorities = Vec::new();
        for kind in CertificateKind::ALL {
            for certificate in &self.settings.card.authority(kind).certificates {
                let path = self.settings.path(certificate);
                let authority = CardAuthority::from_certificate(kind, &read_file(&path)?)
                    .map_err(|fault| Failure::settings(format!("{}: {fault}", path.display())))?;
                authorities.push(authority);
            }
        }
        CardAuthorities::new(authorities).map_err(|fault| Failure::settings(format!("card: {fault}")))
    }

    /// The issuers of the newest key generation of each kind, with their keys: those that issue.
    pub(crate) fn issuers(&self) -> Result<Vec<Issuer>, Failure> {
        let is_newest = |issuer: &Issuer| self.newest(issuer.ca_key().kind()).is_some_and(|newest| newest.id() == issuer.ca_key().id());
        Ok(self.all_issuers()?.into_iter().filter(is_newest).collect())
    }

    /// The issuers of every key generation whose key is at hand, oldest first within each kind: they sign their own lists and certify
    /// their own responders for as long as they are there. The newest of each kind, which issues, must be.
    pub(crate) fn all_issuers(&self) -> Result<Vec<Issuer>, Failure> {
        let vault = self.vault()?;
        let mut issuers = Vec::new();
        for key in &self.ca_keys {
            let Some(signer) = vault.signer(key.kind(), key.generation())? else {
                if self.newest(key.kind()).is_some_and(|newest| newest.id() == key.id()) {
                    return Err(Failure::settings(format!("the CA key {} is neither among the key files nor on a token", key.label())));
                }
                tracing::warn!(ca_key = key.label(), "an older CA key is not at hand: no lists are made with it");
                continue;
            };
            let issuer = Issuer::new(key.clone(), signer, Arc::clone(&self.policies));
            issuers.push(issuer.map_err(|fault| Failure::settings(Chain(&fault).to_string()))?);
        }
        Ok(issuers)
    }

    /// The newest key generation of a kind.
    pub(crate) fn newest(&self, kind: CertificateKind) -> Option<&CaKey> {
        self.ca_keys.iter().filter(|key| key.kind() == kind).max_by_key(|key| key.generation())
    }

    /// Where the CA keys lie.
    pub(crate) fn vault(&self) -> Result<&Vault, Failure> {
        match self.vault.get() {
            Some(vault) => Ok(vault),
            None => {
                let vault = Vault::open(&self.settings)?;
                Ok(self.vault.get_or_init(|| vault))
            }
        }
    }

    /// The directory of published CRLs, one for all roles of this process.
    pub(crate) fn shelf(&self) -> Result<Arc<Shelf>, Failure> {
        if let Some(shelf) = self.shelf.get() {
            return Ok(Arc::clone(shelf));
        }
        let opened = Shelf::open(&self.settings.path(&self.settings.crl.directory));
        let opened = opened.map_err(|fault| Failure::settings(format!("crl.directory: {}", Chain(&fault))))?;
        Ok(Arc::clone(self.shelf.get_or_init(|| Arc::new(opened))))
    }

    /// The responder key of each CA key, as far as there is one.
    pub(crate) fn responder_signers(&self) -> Result<Vec<Arc<dyn Signer>>, Failure> {
        let passphrase = read_passphrase(&self.settings.path(&self.settings.status.passphrase_file))?;
        let directory = self.settings.path(&self.settings.status.keys);
        let files = self.ca_keys.iter().map(|key| responder_key_file(&directory, key.kind(), key.generation()));
        files.filter(|file| file.exists()).map(|file| open_key(&file, &passphrase)).collect()
    }

    /// What verifies instructions, with this verifier of applications.
    pub(crate) fn instruction_verifier(&self, applications: Arc<ApplicationVerifier>) -> Result<InstructionVerifier, Failure> {
        let path = self.settings.path(&self.settings.operators.client_ca);
        let operators = OperatorAuthorities::from_pem(&read_file(&path)?)
            .map_err(|fault| Failure::settings(format!("{}: {}", path.display(), Chain(&fault))))?;
        Ok(InstructionVerifier::new(applications, self.ca_keys.clone(), operators))
    }

    /// The high-water files of a process with these roles: the CA role's, or a status service's own. A process that is the RA and nothing
    /// else keeps none.
    pub(crate) fn high_water_files(&self, roles: &[Role]) -> HighWaterFiles {
        let paths = self.settings.store.high_water.iter().map(|path| self.settings.path(path));
        let paths = match (roles.contains(&Role::Ca), roles.contains(&Role::Status)) {
            (true, _) => paths.collect(),
            (false, true) => paths.map(|path| for_status(&path)).collect(),
            (false, false) => Vec::new(),
        };
        HighWaterFiles::new(paths, self.database.instance())
    }

    /// The RA's key for challenges and tokens.
    pub(crate) fn challenge_key(&self) -> Result<ChallengeKey, Failure> {
        Ok(ChallengeKey::new(&*self.secret_octets(&self.settings.ra.challenge_key)?))
    }

    /// The RA's key for pseudonyms.
    pub(crate) fn pseudonym_key(&self) -> Result<PseudonymKey, Failure> {
        Ok(PseudonymKey::new(&*self.secret_octets(&self.settings.ra.pseudonym_key)?))
    }

    /// The key that signs commands to phones.
    pub(crate) fn command_key(&self) -> Result<CommandKey, Failure> {
        let passphrase = read_passphrase(&self.settings.path(&self.settings.ca.passphrase_file))?;
        let path = command_key_file(&self.settings.path(&self.settings.ca.keys));
        let key = CommandKey::new(open_key(&path, &passphrase)?);
        key.map_err(|fault| Failure::settings(format!("{}: {}", path.display(), Chain(&fault))))
    }

    /// The way to phones, if the settings name one.
    pub(crate) fn push_gateway(&self) -> Result<Option<Arc<dyn PushGateway>>, Failure> {
        let Some(settings) = &self.settings.push else { return Ok(None) };
        let mut settings = settings.clone();
        settings.token_file = self.settings.path(&settings.token_file);
        settings.ca_file = settings.ca_file.map(|file| self.settings.path(&file));
        let client = FcmClient::new(&settings).map_err(|fault| Failure::settings(format!("push: {fault}")))?;
        Ok(Some(Arc::new(client)))
    }

    fn secret_octets(&self, path: &Path) -> Result<Zeroizing<[u8; 32]>, Failure> {
        let path = self.settings.path(path);
        let text = Zeroizing::new(String::from_utf8_lossy(&read_file(&path)?).trim().to_owned());
        let mut octets = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.as_str(), octets.as_mut())
            .map_err(|_| Failure::settings(format!("{}: not 64 hexadecimal digits", path.display())))?;
        Ok(octets)
    }
}

/// The store that the settings name.
pub(crate) fn open_store(settings: &Settings) -> Result<Database, Failure> {
    open_database(settings, false)
}

fn open_database(settings: &Settings, sole_server: bool) -> Result<Database, Failure> {
    Database::open(&settings.store_url(), &OpenOptions { readers: settings.store.readers, sole_server }).map_err(Failure::store)
}

/// The policies of the settings' directory, or the shipped ones with the life cycle that the settings choose.
pub(crate) fn load_policies(settings: &Settings) -> Result<Arc<Policies>, Failure> {
    let loaded = match &settings.policy_directory {
        Some(directory) => Policies::load(&settings.path(directory)),
        None => settings.lifecycle.unwrap_or(ShippedLifecycle::Jpki).policies(),
    };
    loaded.map(Arc::new).map_err(|fault| Failure::settings(Chain(&fault).to_string()))
}

/// Where the key for commands to phones lies, beside the CA keys.
pub(crate) fn command_key_file(directory: &Path) -> PathBuf {
    directory.join("device-command.key.pem")
}

/// Where a responder key lies.
pub(crate) fn responder_key_file(directory: &Path, kind: CertificateKind, generation: u32) -> PathBuf {
    directory.join(format!("ocsp-{kind}-{generation}.key.pem"))
}

/// `high-water-status.json` for `high-water.json`.
fn for_status(path: &Path) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push("-status");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Reads a whole file; a failure names it.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::settings(format!("{}: {error}", path.display())))
}

/// Reads a whole file that was named on the command line.
pub(crate) fn read_named(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        if error.kind() == std::io::ErrorKind::NotFound { Failure::not_found(message) } else { Failure::other(message) }
    })
}

/// Reads a passphrase or token: the file's content without white space at its ends.
pub(crate) fn read_passphrase(path: &Path) -> Result<SecretString, Failure> {
    let text = String::from_utf8(read_file(path)?).map_err(|_| Failure::settings(format!("{}: not UTF-8", path.display())))?;
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(Failure::settings(format!("{}: empty", path.display())));
    }
    Ok(SecretString::from(trimmed.to_owned()))
}

fn open_key(path: &Path, passphrase: &SecretString) -> Result<Arc<dyn Signer>, Failure> {
    let signer = FileSigner::open(path, passphrase).map_err(|fault| Failure::settings(Chain(&fault).to_string()))?;
    Ok(Arc::new(signer))
}
