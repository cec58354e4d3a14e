//! The push service's listener.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header::{AUTHORIZATION, RETRY_AFTER};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::behaviour::{Behaviour, BehaviourOrder, error_body};
use super::mailbox::{Mailbox, PushedMessage};
use crate::http::HttpFault;
use crate::keys::{KeyFault, random};
use crate::pem::{self, PemFault};

/// Octets of a message's data at most, by FCM's own limit.
const DATA_OCTETS: usize = 4096;

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
struct State {
    project: String,
    access_token: Mutex<String>,
    mailbox: Mutex<Mailbox>,
}

impl State {
    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn access_token(&self) -> MutexGuard<'_, String> {
        self.access_token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn authorises(&self, request: &HttpRequest) -> bool {
        let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        given.is_some_and(|given| given == self.access_token().as_str())
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

#[derive(Deserialize)]
struct SendRequest {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    token: String,
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    android: Value,
}

async fn send(state: web::Data<Arc<State>>, project: web::Path<String>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    if !state.authorises(&request) {
        let message = "Request had invalid authentication credentials.";
        return refuse(401, &error_body(401, "UNAUTHENTICATED", message, "THIRD_PARTY_AUTH_ERROR", None), None);
    }
    if project.as_str() != state.project {
        return refuse(403, &error_body(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH", None), None);
    }
    let invalid = |field: &str| refuse(400, &error_body(400, "INVALID_ARGUMENT", "Invalid value", "INVALID_ARGUMENT", Some(field)), None);
    let Ok(SendRequest { message }) = serde_json::from_slice::<SendRequest>(&body) else { return invalid("message") };
    if message.token.is_empty() || message.token.len() > 4096 {
        return invalid("message.token");
    }
    if message.data.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > DATA_OCTETS {
        return invalid("message.data");
    }
    let priority = message.android.get("priority").and_then(Value::as_str).map(str::to_ascii_lowercase);
    if priority.is_some_and(|priority| priority != "high" && priority != "normal") {
        return invalid("message.android.priority");
    }
    let ttl = message.android.get("ttl").map(|ttl| ttl.as_str().and_then(|ttl| ttl.strip_suffix('s')?.parse::<f64>().ok()));
    if ttl.is_some_and(|ttl| !ttl.is_some_and(|ttl| (0.0..=2_419_200.0).contains(&ttl))) {
        return invalid("message.android.ttl");
    }
    let behaviour = state.mailbox().take(&message.token, message.data, message.android);
    match behaviour {
        Behaviour::Dead => {
            let message = "Requested entity was not found.";
            return refuse(404, &error_body(404, "NOT_FOUND", message, "UNREGISTERED", None), None);
        }
        Behaviour::Invalid => return invalid("message.token"),
        Behaviour::TryLater { status: 429, retry_after } => {
            return refuse(429, &error_body(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", "QUOTA_EXCEEDED", None), retry_after);
        }
        Behaviour::TryLater { status: 500, retry_after } => {
            return refuse(500, &error_body(500, "INTERNAL", "Internal error encountered.", "INTERNAL", None), retry_after);
        }
        Behaviour::TryLater { retry_after, .. } => {
            let message = "The service is currently unavailable.";
            return refuse(503, &error_body(503, "UNAVAILABLE", message, "UNAVAILABLE", None), retry_after);
        }
        Behaviour::AnswerLate { milliseconds } => actix_web::rt::time::sleep(Duration::from_millis(milliseconds)).await,
        Behaviour::Deliver | Behaviour::Drop | Behaviour::Delay { .. } => {}
    }
    match random::<16>() {
        Ok(name) => HttpResponse::Ok().json(json!({ "name": format!("projects/{project}/messages/{}", hex::encode(name)) })),
        Err(_) => refuse(500, &error_body(500, "INTERNAL", "Internal error encountered.", "INTERNAL", None), None),
    }
}

#[derive(Deserialize)]
struct DeviceQuestion {
    token: String,
    #[serde(default)]
    after: u64,
}

async fn device_messages(state: web::Data<Arc<State>>, question: web::Json<DeviceQuestion>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "messages": state.mailbox().arrived(&question.token, question.after) }))
}

async fn behaviours(state: web::Data<Arc<State>>, request: HttpRequest, order: web::Json<BehaviourOrder>) -> HttpResponse {
    if !state.authorises(&request) {
        return HttpResponse::Unauthorized().finish();
    }
    state.mailbox().order(order.into_inner());
    HttpResponse::NoContent().finish()
}

async fn messages(state: web::Data<Arc<State>>, request: HttpRequest) -> HttpResponse {
    if !state.authorises(&request) {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().json(json!({ "messages": state.mailbox().messages }))
}

fn refuse(status: u16, body: &Value, retry_after: Option<u32>) -> HttpResponse {
    let code = actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(code);
    if let Some(seconds) = retry_after {
        answer.insert_header((RETRY_AFTER, seconds.to_string()));
    }
    answer.json(body)
}

fn serve(listener: TcpListener, state: Arc<State>) -> Result<(JoinHandle<()>, ServerHandle), String> {
    let (started, starting) = mpsc::channel();
    let body = move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(web::Data::new(state.clone()))
                    .app_data(web::PayloadConfig::new(64 << 10))
                    .route("/v1/projects/{project}/messages:send", web::post().to(send))
                    .route("/device/messages", web::post().to(device_messages))
                    .route("/admin/behaviours", web::post().to(behaviours))
                    .route("/admin/messages", web::get().to(messages))
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
