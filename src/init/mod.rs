//! Setting up an installation: CA keys, responder keys, TLS certificates, the operators' CA, the store, the settings.

pub(crate) mod files;
pub(crate) mod keys;
mod template;
pub(crate) mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ca_core::chain::Chain;
use ca_core::kind::CertificateKind;
use policies::{KeyType, Policies};

pub(crate) use self::template::{BackOfficeAnswer, CardAnswer, CardAuthorityAnswer, PushAnswer};
use crate::failure::Failure;
use crate::log_key::begin_log;
use crate::settings::{FILE_NAME, Pkcs11Topic, Settings, ShippedLifecycle};
use crate::vault::Vault;

/// What a new installation shall be like.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// A directory that does not exist yet or is empty.
    pub(crate) directory: PathBuf,
    /// The store's URL; a relative SQLite path is taken from the directory.
    pub(crate) store_url: String,
    /// The RA's name: the audience of applications.
    pub(crate) ra_name: String,
    /// Where holders connect.
    pub(crate) ra_listen: SocketAddr,
    /// Where operators connect.
    pub(crate) operators_listen: SocketAddr,
    /// Where relying parties connect.
    pub(crate) status_listen: SocketAddr,
    /// What relying parties reach the status service as; it stands in every certificate.
    pub(crate) status_url: String,
    /// Host names and addresses of the TLS server certificate.
    pub(crate) hosts: Vec<String>,
    /// The type of the CA keys; without it, the policy's.
    pub(crate) key_type: Option<KeyType>,
    /// The token on which the CA keys are made; without one, they are files. Its paths are absolute.
    pub(crate) pkcs11: Option<Pkcs11Topic>,
    /// A directory of policies; without it, the shipped ones.
    pub(crate) policy_directory: Option<PathBuf>,
    /// Which of the shipped life cycles holds where there is no such directory.
    pub(crate) lifecycle: ShippedLifecycle,
    /// The back office.
    pub(crate) back_office: BackOfficeAnswer,
    /// The card CAs.
    pub(crate) card: CardAnswer,
    /// The push service; without one, commands wait until phones ask.
    pub(crate) push: Option<PushAnswer>,
    /// Where metrics and health are served.
    pub(crate) telemetry_listen: Option<SocketAddr>,
}

/// The generation that a new installation begins with.
const FIRST_GENERATION: u32 = 1;

/// Carries the plan out; `progress` hears what is being done. Everything is made in a directory beside, which takes its place
/// at the end: there is a whole installation or none.
pub(crate) fn carry_out(plan: &Plan, progress: impl FnMut(&str)) -> Result<Settings, Failure> {
    let directory =
        std::path::absolute(&plan.directory).map_err(|error| Failure::other(format!("{}: {error}", plan.directory.display())))?;
    require_empty(&directory)?;
    let beside = files::Unfinished::beside(&directory)?;
    make(plan, beside.path(), progress).map_err(|failure| {
        // A store or token elsewhere does not go away with the directory.
        let failure = if is_inside(&plan.store_url) {
            failure
        } else {
            failure.and(&format!("What was begun in the store {} is left there", plan.store_url))
        };
        match &plan.pkcs11 {
            Some(pkcs11) => failure.and(&format!("If CA keys were finished on the token {}, they are left there", pkcs11.token)),
            None => failure,
        }
    })?;
    beside.finish(&directory)?;
    Settings::load(&directory).map_err(|fault| Failure::settings(fault.to_string()))
}

/// Makes all of it in `directory`.
fn make(plan: &Plan, directory: &Path, mut progress: impl FnMut(&str)) -> Result<(), Failure> {
    let policies = match &plan.policy_directory {
        Some(directory) => Policies::load(directory),
        None => plan.lifecycle.policies(),
    };
    let policies = std::sync::Arc::new(policies.map_err(|fault| Failure::settings(Chain(&fault).to_string()))?);
    for name in ["", "ca", "status", "ra", "operators", "back-office", "card-ca"] {
        files::make_directory(&directory.join(name))?;
    }

    progress("TLS certificates and the operators' CA");
    write_tls(plan, directory)?;
    progress("secrets");
    // The roles have passphrases of their own, as they may run on machines of their own.
    for key in ["ca/passphrase", "status/passphrase", "ra/challenge.key", "ra/pseudonym.key"] {
        files::write_secret(&directory.join(key), files::random_hex()?.as_bytes())?;
    }
    template::write_parties(plan, directory)?;

    progress("store");
    let text = template::settings(plan);
    let mut settings: Settings = toml::from_str(&text).map_err(|error| Failure::other(format!("the new settings: {error}")))?;
    directory.clone_into(&mut settings.directory);
    let database = schema::Database::create(&settings.store_url()).map_err(Failure::store)?;
    // First of all, so that everything is in the log.
    progress("key of the issuance log");
    begin_log(&settings, &database)?;
    let vault = Vault::open(&settings)?;
    let workshop = keys::Workshop { settings: &settings, policies: &policies, database: &database, vault: &vault };
    for kind in CertificateKind::ALL {
        progress(&format!("CA key for {kind}"));
        workshop.create(kind, FIRST_GENERATION, plan.key_type)?;
    }
    progress("key for commands to phones");
    keys::create_command_key(&settings, &database)?;
    progress("settings");
    files::write(&directory.join(FILE_NAME), text.as_bytes())
}

/// Whether the store is a file in the installation's own directory.
fn is_inside(store_url: &str) -> bool {
    store_url.strip_prefix("sqlite://").is_some_and(|path| Path::new(path).is_relative())
}

fn require_empty(directory: &Path) -> Result<(), Failure> {
    let occupied = directory.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(Failure::exists(format!("{} is not empty: an installation is made in a directory of its own", directory.display())));
    }
    Ok(())
}

fn write_tls(plan: &Plan, directory: &Path) -> Result<(), Failure> {
    let server_ca = tls::TlsAuthority::create("Tsunagi TLS CA")?;
    server_ca.write(&directory.join("ra"), "tls-ca")?;
    server_ca.write_server(&directory.join("ra"), "tls", &plan.hosts)?;
    let operators = directory.join("operators");
    files::write(&operators.join("server-ca.pem"), server_ca.certificate_pem().as_bytes())?;
    server_ca.write_server(&operators, "server", &plan.hosts)?;
    let operator_ca = tls::TlsAuthority::create("Tsunagi operators CA")?;
    operator_ca.write(&operators, "client-ca")?;
    for (name, role) in tls::FIRST_OPERATORS {
        operator_ca.write_operator(&operators, name, role.as_str())?;
    }
    Ok(())
}
