//! The stage: a mock back office and an installation that serves, all in this process, on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit_log::LogVerifier;
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use ca_service::NoSteps;
use sandbox::back_office::{BackOffice, BackOfficeSettings};
use sandbox::fcm::{PushService, PushServiceSettings};
use sandbox::kind::Kind;
use sandbox::operator::{Operator, OperatorSettings};
use sandbox::phone::RaClient;

use super::failed;
use crate::command::sandbox::{operator_target, push_target, ra_settings};
use crate::failure::Failure;
use crate::init::{self, Plan};
use crate::installation::{Installation, read_file};
use crate::role::{Listeners, Role, Service, bind};
use crate::sandbox_files::SandboxFiles;
use crate::settings::{Settings, ShippedLifecycle};

/// Everything that is running. Ends with it; a temporary directory is removed.
pub(crate) struct Stage {
    // In the order in which they are to end.
    _service: Service,
    pub(crate) back_office: BackOffice,
    pub(crate) push: PushService,
    pub(crate) settings: Settings,
    installation: Installation,
    directory: PathBuf,
    _temporary: Option<TemporaryDirectory>,
}

/// What the store says of a certificate and its card.
pub(crate) struct Link {
    pub(crate) serial: String,
    pub(crate) card_serial: String,
    pub(crate) card_sha256: String,
    pub(crate) revoked: bool,
}

impl Stage {
    /// Sets everything up and starts it; `claim` hears what holds.
    pub(crate) fn set(directory: Option<PathBuf>, mut claim: impl FnMut(&str)) -> Result<Self, Failure> {
        let (directory, temporary) = match directory {
            Some(directory) => (directory, None),
            None => TemporaryDirectory::create().map(|temporary| (temporary.0.clone(), Some(temporary)))?,
        };
        let directory = std::path::absolute(directory).map_err(failed)?;
        if directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::exists(format!("{} is not empty: the demonstration wants a directory of its own", directory.display())));
        }
        let sandbox = directory.join("sandbox");
        std::fs::create_dir_all(&sandbox).map_err(failed)?;
        let settings = BackOfficeSettings { generations: 2, directory: Some(sandbox.clone()), ..BackOfficeSettings::default() };
        let back_office = BackOffice::start(&settings).map_err(failed)?;
        let push = PushService::start(&PushServiceSettings::default()).map_err(failed)?;
        SandboxFiles::write(&back_office, &push, &sandbox)?;
        claim("a mock back office, and its card CA: two key generations of one name for each kind");

        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let listeners =
            Listeners { ra: Some(bind(any)?), operators: Some(bind(any)?), status: Some(bind(any)?), telemetry: Some(bind(any)?) };
        let settings = init::carry_out(&plan(&directory, &sandbox, &listeners)?, |_| {})?;
        claim("an installation: a CA key and a responder for each kind, TLS, the operators' CA, a store");

        let installation = Installation::open_to_serve(settings.clone())?;
        let service = Service::start(&installation, &Role::ALL, listeners, Arc::new(NoSteps), None)?;
        back_office.set_push(Some(&push_target(&settings.directory)?)).map_err(failed)?;
        claim("RA, CA role and status service run on loopback");
        Ok(Self { _service: service, back_office, push, settings, installation, directory, _temporary: temporary })
    }

    /// Where everything is kept.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A phone's connection to the RA.
    pub(crate) fn ra(&self) -> Result<RaClient, Failure> {
        RaClient::new(&ra_settings(&self.settings)?).map_err(failed)
    }

    /// One of the first operators at work, by the name of the certificate.
    pub(crate) fn operator(&self, name: &str) -> Result<Operator, Failure> {
        let target = operator_target(&self.settings.directory, name)?;
        let name = &self.settings.ra.name;
        Operator::new(&OperatorSettings::new(&target.url, &target.ca_certificate_pem, target.identity, name)).map_err(failed)
    }

    /// A file of the installation.
    pub(crate) fn file(&self, name: &str) -> Result<Vec<u8>, Failure> {
        read_file(&self.settings.directory.join(name))
    }

    /// The certificate, in DER, of the CA of a kind.
    pub(crate) fn ca(&self, kind: Kind) -> &[u8] {
        let kind = ours(kind);
        self.installation.ca_keys.iter().find(|key| key.kind() == kind).map_or(&[], |key| key.certificate_der())
    }

    /// The log's public key.
    pub(crate) fn log_verifier(&self) -> Result<LogVerifier, Failure> {
        let head = self.installation.database.reader().log_head().map_err(Failure::store)?;
        let identity = head.identity.ok_or_else(|| Failure::not_found("the log has not begun"))?;
        LogVerifier::parse(&identity.verifier_key).map_err(failed)
    }

    /// What the store says of the certificate with this serial number.
    pub(crate) fn link(&self, kind: Kind, serial: &str) -> Result<Link, Failure> {
        let serial = SerialNumber::from_hex(serial).map_err(failed)?;
        let detail = self.installation.database.reader().certificate_detail(Some(ours(kind)), &serial).map_err(Failure::store)?;
        let detail = detail.ok_or_else(|| Failure::not_found("the store does not know the certificate"))?;
        Ok(Link {
            serial: serial.to_string(),
            card_serial: detail.link.card.serial.to_string(),
            card_sha256: detail.link.card.sha256.to_string(),
            revoked: detail.summary.revocation.is_some(),
        })
    }
}

/// The sandbox has a word of its own for a kind.
fn ours(kind: Kind) -> CertificateKind {
    match kind {
        Kind::Signature => CertificateKind::Signature,
        Kind::Authentication => CertificateKind::Authentication,
    }
}

fn plan(directory: &Path, sandbox: &Path, listeners: &Listeners) -> Result<Plan, Failure> {
    let address = |listener: &Option<std::net::TcpListener>| {
        let listener = listener.as_ref().ok_or_else(|| Failure::other("a listener is missing"))?;
        listener.local_addr().map_err(failed)
    };
    let sandbox = SandboxFiles::read(sandbox)?;
    let (back_office, card) = sandbox.answers()?;
    let status_listen = address(&listeners.status)?;
    Ok(Plan {
        directory: directory.join("installation"),
        store_url: "sqlite://tsunagi.sqlite".to_owned(),
        ra_name: "ra.localhost".to_owned(),
        ra_listen: address(&listeners.ra)?,
        operators_listen: address(&listeners.operators)?,
        status_listen,
        status_url: format!("http://{status_listen}"),
        hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        key_type: None,
        pkcs11: None,
        policy_directory: None,
        lifecycle: ShippedLifecycle::Jpki,
        back_office,
        card,
        push: sandbox.push()?,
        telemetry_listen: Some(address(&listeners.telemetry)?),
    })
}

/// A directory of the system's temporary ones that is removed with this.
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn create() -> Result<Self, Failure> {
        let name = format!("tsunagi-demo-{}-{}", std::process::id(), chrono::Utc::now().timestamp_micros());
        let path = std::env::temp_dir().join(name);
        init::files::make_directory(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // What is left of a demonstration harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
