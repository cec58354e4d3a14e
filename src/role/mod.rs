//! The roles of a process, put together from the rooms and started.

mod authority;
mod registration;
mod status;
mod telemetry;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use actix_web::dev::{Server, ServerHandle};
use ca_core::ocsp::StatusWitness;
use ca_service::Steps;
use clap::ValueEnum;
use metrics_exporter_prometheus::PrometheusHandle;

pub(crate) use self::authority::{back_office, ca_role};
use crate::failure::Failure;
use crate::high_water::Watch;
use crate::installation::Installation;
use crate::settings::Settings;
use crate::witness::{Asker, HttpWitness};

/// What a process does. On machines of their own the roles share nothing but the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Registration authority: faces holders and operators; has no CA key
    Ra,
    /// Certificate authority: opens no listener; issues, cascades, makes CRLs
    Ca,
    /// Status: OCSP, CRLs and CA certificates for relying parties
    Status,
}

impl Role {
    /// All of them, in one process: the default.
    pub(crate) const ALL: [Self; 3] = [Self::Ra, Self::Ca, Self::Status];
}

/// The open listeners of a process.
#[derive(Default)]
pub(crate) struct Listeners {
    pub(crate) ra: Option<TcpListener>,
    pub(crate) operators: Option<TcpListener>,
    pub(crate) status: Option<TcpListener>,
    pub(crate) telemetry: Option<TcpListener>,
}

impl Listeners {
    /// Opens what `roles` need at the addresses of the settings.
    pub(crate) fn open(settings: &Settings, roles: &[Role]) -> Result<Self, Failure> {
        let mut listeners = Self::default();
        if roles.contains(&Role::Ra) {
            listeners.ra = Some(bind(settings.ra.listen)?);
            listeners.operators = Some(bind(settings.operators.listen)?);
        }
        if roles.contains(&Role::Status) {
            listeners.status = Some(bind(settings.status.listen)?);
        }
        // A process that is the CA and nothing else opens no listener at all.
        if roles != [Role::Ca] {
            listeners.telemetry = settings.telemetry.listen.map(bind).transpose()?;
        }
        Ok(listeners)
    }
}

/// Opens one listener.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| Failure::other(format!("{address}: {error}")))
}

/// The roles at work. Dropping it stops them.
pub(crate) struct Service {
    stop: Arc<AtomicBool>,
    servers: Vec<ServerHandle>,
    threads: Vec<JoinHandle<()>>,
}

impl Service {
    /// Starts `roles`. Everything that can be wrong with settings and keys is told here, before anything is answered.
    pub(crate) fn start(
        installation: &Installation,
        roles: &[Role],
        listeners: Listeners,
        steps: Arc<dyn Steps>,
        metrics: Option<PrometheusHandle>,
    ) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut service = Self { stop: Arc::clone(&stop), servers: Vec::new(), threads: Vec::new() };
        // Before anybody leads or answers: a store that was restored is known as one then.
        let watch = Watch::open(installation, roles)?;
        let trust = watch.trust();
        let mut log_state = None;
        if roles.contains(&Role::Ca) {
            let witness = witness(installation, listeners.status.as_ref())?;
            let authority = authority::start(installation, steps, &witness, &stop)?;
            service.threads.extend(authority.threads);
            log_state = Some(authority.log);
        }
        let mut makers: Vec<ServerMaker> = Vec::new();
        let mut readiness: Vec<telemetry::Readiness> = vec![telemetry::store_readiness(installation.database.reader())];
        readiness.push(Box::new({
            let trust = trust.clone();
            move || trust.check()
        }));
        if roles.contains(&Role::Ra) {
            let (servers, ready) = registration::servers(installation, listeners.ra, listeners.operators)?;
            makers.extend(servers);
            readiness.extend(ready);
        }
        if roles.contains(&Role::Status) {
            let status = status::start(installation, listeners.status, &trust, roles.contains(&Role::Ca), &stop)?;
            makers.push(status.maker);
            readiness.push(status.ready);
            service.threads.extend(status.threads);
        }
        if let Some(listener) = listeners.telemetry {
            let tells_of_lists = roles.contains(&Role::Ca) || roles.contains(&Role::Status);
            let shelf = tells_of_lists.then(|| installation.shelf()).transpose()?;
            let lists = |shelf| telemetry::crl_warnings(installation.database.reader(), installation.settings.crl.clone(), shelf);
            // What only the log is needed for waits in the RA and the CA role alone.
            let tells_of_log = roles != [Role::Status];
            let log = tells_of_log.then(|| telemetry::log_warnings(telemetry::log_health(installation)));
            let spoken_against = log_state.map(telemetry::log_state_warnings);
            let warnings = shelf.map(lists).into_iter().chain(log).chain(spoken_against).collect();
            makers.push(telemetry::server(listener, metrics, readiness, warnings));
        }
        if !makers.is_empty() {
            let (thread, servers) = run_servers(makers)?;
            service.threads.push(thread);
            service.servers = servers;
        }
        service.threads.push(watch.run(stop)?);
        Ok(service)
    }

    /// Stops: listeners first, so that nothing new comes in, then the CA role when its piece of work is done.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        for server in self.servers.drain(..) {
            // The order to stop is sent by the call itself; the future only waits for it.
            drop(server.stop(true));
        }
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread panicked");
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

/// Who sees what relying parties are told: asks where the settings say, else the listener of this process, else where relying parties ask.
fn witness(installation: &Installation, own: Option<&TcpListener>) -> Result<Arc<dyn StatusWitness>, Failure> {
    let status = &installation.settings.status;
    let own = || own.and_then(|listener| listener.local_addr().ok()).map(HttpWitness::own);
    let witness = HttpWitness::new(status.witness_url.clone().or_else(own), status.ocsp.max_questions);
    Ok(Arc::new(witness.asking_as(asker(&installation.settings)?)))
}

/// As whom the CA role asks the status service; a failure if it could not be answered.
pub(crate) fn asker(settings: &Settings) -> Result<Option<Asker>, Failure> {
    let status = &settings.status;
    match (&status.witness_certificate, &status.witness_key) {
        (Some(certificate), Some(key)) => Asker::read(&settings.path(certificate), &settings.path(key)).map(Some),
        _ if status.ocsp.requestor_ca.is_some() => Err(Failure::settings(
            "status.ocsp.requestor_ca: the CA role asks the status service too, and needs a verifier's status.witness_certificate and \
             status.witness_key",
        )),
        _ => Ok(None),
    }
}

/// Makes a server inside the thread that will run it.
type ServerMaker = Box<dyn FnOnce() -> std::io::Result<Server> + Send>;

/// Runs the servers in a thread with an actix system of its own.
fn run_servers(makers: Vec<ServerMaker>) -> Result<(JoinHandle<()>, Vec<ServerHandle>), Failure> {
    let (started, starting) = mpsc::channel();
    let body = move || {
        actix_web::rt::System::new().block_on(async move {
            let servers: Result<Vec<Server>, _> = makers.into_iter().map(|make| make()).collect();
            let servers = match servers {
                Ok(servers) => servers,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(started.send(Ok(servers.iter().map(Server::handle).collect())));
            let running: Vec<_> = servers.into_iter().map(actix_web::rt::spawn).collect();
            for server in running {
                if !matches!(server.await, Ok(Ok(()))) {
                    tracing::error!("a listener failed");
                }
            }
        });
    };
    let thread =
        thread::Builder::new().name("listeners".to_owned()).spawn(body).map_err(|error| Failure::other(format!("listeners: {error}")))?;
    match starting.recv() {
        Ok(Ok(servers)) => Ok((thread, servers)),
        Ok(Err(error)) => Err(Failure::other(format!("listeners: {error}"))),
        Err(_) => Err(Failure::other("the thread of the listeners ended")),
    }
}
