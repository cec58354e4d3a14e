//! The status role: OCSP, CRLs and CA certificates over plain HTTP.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use ca_core::clock::SystemClock;
use ca_core::instruction::operator::OperatorAuthorities;
use crl_publisher::{DownloadService, Filler, Shelf};
use ocsp::{OcspService, Requestors};

use super::ServerMaker;
use super::authority::spawn;
use super::telemetry::Readiness;
use crate::failure::Failure;
use crate::high_water::StoreTrust;
use crate::installation::{Installation, read_file};
use crate::log_key::tile_directory;
use crate::log_service::{self, LogService, Mirror};
use crate::relying_parties::{self, RelyingParties};

/// The role at work: the server to be run, whether it can answer, and its threads.
pub(super) struct StatusRole {
    pub(super) maker: ServerMaker,
    pub(super) ready: Readiness,
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// Starts the role, until `stop`, in a process that has the CA role too or not. While `trust` says that the store went back, no status is
/// told.
pub(super) fn start(
    installation: &Installation,
    listener: Option<TcpListener>,
    trust: &StoreTrust,
    with_ca_role: bool,
    stop: &Arc<AtomicBool>,
) -> Result<StatusRole, Failure> {
    let listener = listener.ok_or_else(|| Failure::other("the status role has no listener"))?;
    let ocsp = Arc::new(responder(installation)?);
    trust.tell({
        let ocsp = Arc::clone(&ocsp);
        move |went_back| ocsp.store_went_back(went_back)
    });
    let (reader, settings) = (installation.database.reader(), &installation.settings);
    let shelf = installation.shelf()?;
    let downloads = Arc::new(DownloadService::new(Arc::clone(&shelf), reader, Arc::new(SystemClock), &settings.crl));
    let pages = Arc::new(RelyingParties::new(installation));
    let mut threads = ocsp.start(installation.database.wake(), stop).map_err(|error| Failure::other(format!("status: {error}")))?;
    threads.extend(shelving(installation, shelf, stop)?);
    threads.push(mirroring(installation, with_ca_role, stop)?);
    let log = Arc::new(LogService::new(tile_directory(settings)));
    let ready: Readiness = Box::new({
        let ocsp = Arc::clone(&ocsp);
        move || ocsp.ready().map_err(|fault| fault.to_string())
    });
    let maker: ServerMaker = Box::new(move || {
        ocsp::http::server(ocsp, listener, move |config| {
            crl_publisher::http::routes(Arc::clone(&downloads))(config);
            log_service::routes(Arc::clone(&log))(config);
            relying_parties::routes(Arc::clone(&pages))(config);
        })
    });
    Ok(StatusRole { maker, ready, threads })
}

/// What keeps the shelf filled, and the lists on it compressed.
fn shelving(installation: &Installation, shelf: Arc<Shelf>, stop: &Arc<AtomicBool>) -> Result<Vec<JoinHandle<()>>, Failure> {
    let mut filler = Filler::new(Arc::clone(&shelf), installation.database.reader());
    let wake = installation.database.wake();
    let filling = spawn("crl-shelf", {
        let stop = Arc::clone(stop);
        move || filler.run(&wake, &stop)
    })?;
    let stop = Arc::clone(stop);
    let compressing = spawn("crl-compression", move || Filler::run_compressor(&shelf, &stop))?;
    Ok(vec![filling, compressing])
}

/// What keeps the directory of the log filled.
fn mirroring(installation: &Installation, with_ca_role: bool, stop: &Arc<AtomicBool>) -> Result<JoinHandle<()>, Failure> {
    let mut mirror = Mirror::new(tile_directory(&installation.settings), installation.database.reader(), with_ca_role);
    let stop = Arc::clone(stop);
    spawn("log-mirror", move || mirror.run(&stop))
}

fn responder(installation: &Installation) -> Result<OcspService, Failure> {
    let settings = &installation.settings.status.ocsp;
    let signers = installation.responder_signers()?;
    let ocsp = OcspService::new(settings.clone(), installation.database.reader(), signers, Arc::new(SystemClock))
        .map_err(|refusal| Failure::settings(format!("status: {refusal}")))?;
    let Some(file) = &settings.requestor_ca else { return Ok(ocsp) };
    let pem = read_file(&installation.settings.path(file))?;
    let authorities =
        OperatorAuthorities::from_pem(&pem).map_err(|fault| Failure::settings(format!("status.ocsp.requestor_ca: {fault}")))?;
    Ok(ocsp.for_requestors(Requestors::new(authorities)))
}
