//! The status role: OCSP, CRLs and CA certificates over plain HTTP.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer};
use ca_core::clock::SystemClock;
use crl_publisher::DownloadService;
use ocsp::OcspService;

use super::ServerMaker;
use super::telemetry::Readiness;
use crate::failure::Failure;
use crate::installation::Installation;

/// Connections open at once, for each worker; more wait to be accepted.
const CONNECTIONS: usize = 4_096;

/// The server, and whether it can answer.
pub(super) fn server(installation: &Installation, listener: Option<TcpListener>) -> Result<(ServerMaker, Readiness), Failure> {
    let listener = listener.ok_or_else(|| Failure::other("the status role has no listener"))?;
    let signers = installation.responder_signers()?;
    let (reader, settings) = (installation.database.reader(), &installation.settings);
    let ocsp = OcspService::new(settings.status.ocsp, reader.clone(), signers, Arc::new(SystemClock))
        .map_err(|refusal| Failure::settings(format!("status: {refusal}")))?;
    let ocsp = Arc::new(ocsp);
    let downloads = Arc::new(DownloadService::new(reader, Arc::new(SystemClock), &settings.crl));
    let ready: Readiness = Box::new({
        let ocsp = Arc::clone(&ocsp);
        move || ocsp.ready().map_err(|fault| fault.to_string())
    });
    let maker: ServerMaker = Box::new(move || {
        let server = HttpServer::new(move || {
            App::new().configure(ocsp::http::routes(Arc::clone(&ocsp))).configure(crl_publisher::http::routes(Arc::clone(&downloads)))
        });
        let server = server
            .disable_signals()
            .shutdown_timeout(5)
            .max_connections(CONNECTIONS)
            .keep_alive(Duration::from_secs(30))
            .client_request_timeout(Duration::from_secs(5));
        Ok(server.listen(listener)?.run())
    });
    Ok((maker, ready))
}
