//! The push service's listener.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

use super::behaviour::{Behaviour, BehaviourOrder};
use super::mailbox::{Mailbox, PushedMessage};
use super::routes;
use crate::http::HttpFault;
use crate::keys::{KeyFault, random};
use crate::pem::{self, PemFault};

/// How to run a push service.
#[derive(Debug, Clone)]
pub struct PushServiceSettings {
    /// Where it answers, by plain HTTP: loopback only. Port 0: any.
    pub listen: SocketAddr,
    /// The project's id.
    pub project: String,
    /// The bearer token; a random one if not said.
    pub access_token: Option<String>,
}

impl Default for PushServiceSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), project: "tsunagi-sandbox".to_owned(), access_token: None }
    }
}

/// The push service, or its client, could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum PushServiceFault {
    /// The listener failed.
    #[error("listening on {address}: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
    /// No randomness.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A file failed.
    #[error(transparent)]
    File(#[from] PemFault),
    /// HTTP failed.
    #[error(transparent)]
    Http(#[from] HttpFault),
    /// An answer that is none.
    #[error("the push service answered with status {status}")]
    Answer {
        /// HTTP status.
        status: u16,
    },
}

/// A running push service. Dropping it stops it.
#[derive(Debug)]
pub struct PushService {
    state: Arc<State>,
    url: String,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) project: String,
    access_token: Mutex<String>,
    mailbox: Mutex<Mailbox>,
}

impl State {
    pub(super) fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn access_token(&self) -> MutexGuard<'_, String> {
        self.access_token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that is the bearer token that is good now.
    pub(super) fn knows(&self, access_token: &str) -> bool {
        *self.access_token() == access_token
    }
}

impl PushService {
    /// Starts it on a thread of its own; its listener is bound when this returns.
    pub fn start(settings: &PushServiceSettings) -> Result<Self, PushServiceFault> {
        let failed = |reason: String| PushServiceFault::Listen { address: settings.listen.to_string(), reason };
        if !settings.listen.ip().is_loopback() {
            return Err(failed("only loopback: there is no TLS".to_owned()));
        }
        let listener = TcpListener::bind(settings.listen).map_err(|error| failed(error.to_string()))?;
        let url = format!("http://{}", listener.local_addr().map_err(|error| failed(error.to_string()))?);
        let access_token = match &settings.access_token {
            Some(token) => token.clone(),
            None => hex::encode(random::<24>()?),
        };
        let state =
            Arc::new(State { project: settings.project.clone(), access_token: Mutex::new(access_token), mailbox: Mutex::default() });
        let (thread, server) = serve(listener, state.clone()).map_err(failed)?;
        Ok(Self { state, url, server, thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`; the product appends `/v1/projects/{project}/messages:send`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The project's id.
    pub fn project(&self) -> &str {
        &self.state.project
    }

    /// The bearer token that is good now.
    pub fn access_token(&self) -> String {
        self.state.access_token().clone()
    }

    /// Makes another bearer token the only good one.
    pub fn set_access_token(&self, token: &str) {
        token.clone_into(&mut self.state.access_token());
    }

    /// Writes the bearer token into a file.
    pub fn write_access_token(&self, path: &Path) -> Result<(), PushServiceFault> {
        Ok(pem::write_secret(path, self.access_token())?)
    }

    /// Says what becomes of a token's messages from now on, for good.
    pub fn set_behaviour(&self, token: &str, behaviour: Behaviour) {
        self.order(BehaviourOrder { token: Some(token.to_owned()), behaviour, times: None });
    }

    /// Says what becomes of messages, of one token or of all, for a while or for good.
    pub fn order(&self, order: BehaviourOrder) {
        self.state.mailbox().order(order);
    }

    /// Everything that came, in order.
    pub fn messages(&self) -> Vec<PushedMessage> {
        self.state.mailbox().messages.clone()
    }

    /// What the phone with that token can have by now.
    pub fn arrived(&self, token: &str) -> Vec<PushedMessage> {
        self.state.mailbox().arrived(token, 0)
    }
}

impl Drop for PushService {
    fn drop(&mut self) {
        // The order to stop is sent by the call itself; the future only waits for it.
        drop(self.server.stop(false));
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the push service's thread failed");
        }
    }
}

fn serve(listener: TcpListener, state: Arc<State>) -> Result<(JoinHandle<()>, ServerHandle), String> {
    let (started, starting) = mpsc::channel();
    let body = move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                App::new().app_data(web::Data::new(state.clone())).app_data(web::PayloadConfig::new(64 << 10)).configure(routes::register)
            });
            let server = match server.workers(1).disable_signals().shutdown_timeout(1).listen(listener) {
                Ok(server) => server.run(),
                Err(error) => {
                    drop(started.send(Err(error.to_string())));
                    return;
                }
            };
            drop(started.send(Ok(server.handle())));
            if server.await.is_err() {
                tracing::error!("the push service's listener failed");
            }
        });
    };
    let thread = std::thread::Builder::new().name("push-service".to_owned()).spawn(body).map_err(|error| error.to_string())?;
    match starting.recv() {
        Ok(Ok(handle)) => Ok((thread, handle)),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err("the server thread ended".to_owned()),
    }
}
