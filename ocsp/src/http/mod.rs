//! OCSP over HTTP (RFC 6960 appendix A, RFC 5019).
//!
//! - `POST /ocsp` with `Content-Type: application/ocsp-request`. Any other type is HTTP 415: then it is no OCSP request at all.
//! - `GET`, `HEAD /ocsp/{request in base64}`, in the forms that [`crate::get_path`] lists; with ETag, Last-Modified and conditional requests.
//!
//! A request that is too long, or no request, is answered by OCSP's own `malformedRequest` under HTTP 200: OCSP clients read the
//! response and few look at the status line (RFC 6960 appendix A.2). A body that does not arrive in time is HTTP 408.
//!
//! Every other path is somebody else's, served by the same listener: [`server`] takes their routes. OCSP itself goes past the router, and
//! an answer that was signed before is sent without a future, a body or a header being put together anew. Whoever reads no responses has no
//! more requests read.

mod body;
mod front;
mod headers;
mod paced;

use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};

pub use front::Front;

use self::paced::Paced;
use crate::service::OcspService;

/// Connections open at once, for each worker; more wait to be accepted.
const CONNECTIONS: usize = 4_096;

/// So long a connection without a request stays open.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Within this time the head of a request must have arrived.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// When stopping, so many seconds are left for what was begun.
const STOP_SECONDS: u64 = 5;

/// A server that answers OCSP, and at every other path what `others` add. It runs when it is awaited, in an actix system.
///
/// # Errors
/// If the listener cannot be used.
pub fn server<F>(service: Arc<OcspService>, listener: TcpListener, others: F) -> io::Result<Server>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let address = listener.local_addr()?;
    let http = move || {
        let others = others.clone();
        let app = map_config(App::new().configure(move |config| others(config)), move |()| AppConfig::default());
        let front = Front::new(Arc::clone(&service), app);
        let connection = |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            ready(Ok((Paced::new(stream), peer)))
        };
        let http = HttpService::build().keep_alive(KEEP_ALIVE).client_request_timeout(HEAD_TIMEOUT).local_addr(address).h1(front);
        fn_service(connection).and_then(http)
    };
    let server = Server::build().disable_signals().shutdown_timeout(STOP_SECONDS).max_concurrent_connections(CONNECTIONS);
    Ok(server.listen("status", listener, http)?.run())
}
