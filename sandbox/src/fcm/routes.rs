//! What the push service answers: to senders as FCM does, to phones, and to whoever orders its behaviour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, RETRY_AFTER};
use actix_web::web::{self, Bytes, Data, Json, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::behaviour::{Behaviour, BehaviourOrder, error_body};
use super::server::State;
use crate::keys::random;

/// Octets of a token at most.
const TOKEN_OCTETS: usize = 4096;
/// Octets of a message's data at most, by FCM's own limit.
const DATA_OCTETS: usize = 4096;
/// Seconds that a message is kept at most, by the same.
const LONGEST_TTL: f64 = 2_419_200.0;

/// Registers the routes.
pub(super) fn register(config: &mut ServiceConfig) {
    config
        .route("/v1/projects/{project}/messages:send", web::post().to(send))
        .route("/device/messages", web::post().to(device_messages))
        .route("/admin/behaviours", web::post().to(behaviours))
        .route("/admin/messages", web::get().to(messages));
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

async fn send(state: Data<Arc<State>>, project: Path<String>, request: HttpRequest, body: Bytes) -> HttpResponse {
    if !is_authorised(&state, &request) {
        let message = "Request had invalid authentication credentials.";
        return refuse(401, &error_body(401, "UNAUTHENTICATED", message, "THIRD_PARTY_AUTH_ERROR", None), None);
    }
    if project.as_str() != state.project {
        return refuse(403, &error_body(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH", None), None);
    }
    let message = match read(&body) {
        Ok(message) => message,
        Err(field) => return invalid(field),
    };
    let behaviour = state.mailbox().take(&message.token, message.data, message.android);
    if let Behaviour::AnswerLate { milliseconds } = behaviour {
        actix_web::rt::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    answer(behaviour, &project)
}

/// Reads a message, or names the member of it that is wrong.
fn read(body: &[u8]) -> Result<Message, &'static str> {
    let SendRequest { message } = serde_json::from_slice(body).map_err(|_| "message")?;
    if message.token.is_empty() || message.token.len() > TOKEN_OCTETS {
        return Err("message.token");
    }
    if message.data.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > DATA_OCTETS {
        return Err("message.data");
    }
    let priority = message.android.get("priority").and_then(Value::as_str).map(str::to_ascii_lowercase);
    if priority.is_some_and(|priority| priority != "high" && priority != "normal") {
        return Err("message.android.priority");
    }
    let ttl = message.android.get("ttl").map(|ttl| ttl.as_str().and_then(|ttl| ttl.strip_suffix('s')?.parse::<f64>().ok()));
    if ttl.is_some_and(|ttl| !ttl.is_some_and(|ttl| (0.0..=LONGEST_TTL).contains(&ttl))) {
        return Err("message.android.ttl");
    }
    Ok(message)
}

fn answer(behaviour: Behaviour, project: &str) -> HttpResponse {
    let internal = |retry_after| refuse(500, &error_body(500, "INTERNAL", "Internal error encountered.", "INTERNAL", None), retry_after);
    match behaviour {
        Behaviour::Dead => refuse(404, &error_body(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED", None), None),
        Behaviour::Invalid => invalid("message.token"),
        Behaviour::TryLater { status: 429, retry_after } => {
            refuse(429, &error_body(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", "QUOTA_EXCEEDED", None), retry_after)
        }
        Behaviour::TryLater { status: 500, retry_after } => internal(retry_after),
        Behaviour::TryLater { retry_after, .. } => {
            let message = "The service is currently unavailable.";
            refuse(503, &error_body(503, "UNAVAILABLE", message, "UNAVAILABLE", None), retry_after)
        }
        Behaviour::AnswerLate { .. } | Behaviour::Deliver | Behaviour::Drop | Behaviour::Delay { .. } => match random::<16>() {
            Ok(name) => HttpResponse::Ok().json(json!({ "name": format!("projects/{project}/messages/{}", hex::encode(name)) })),
            Err(_) => internal(None),
        },
    }
}

#[derive(Deserialize)]
struct DeviceQuestion {
    token: String,
    #[serde(default)]
    after: u64,
}

async fn device_messages(state: Data<Arc<State>>, question: Json<DeviceQuestion>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "messages": state.mailbox().arrived(&question.token, question.after) }))
}

async fn behaviours(state: Data<Arc<State>>, request: HttpRequest, order: Json<BehaviourOrder>) -> HttpResponse {
    if !is_authorised(&state, &request) {
        return HttpResponse::Unauthorized().finish();
    }
    state.mailbox().order(order.into_inner());
    HttpResponse::NoContent().finish()
}

async fn messages(state: Data<Arc<State>>, request: HttpRequest) -> HttpResponse {
    if !is_authorised(&state, &request) {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().json(json!({ "messages": state.mailbox().messages }))
}

fn is_authorised(state: &State, request: &HttpRequest) -> bool {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    given.is_some_and(|given| state.knows(given))
}

fn invalid(field: &str) -> HttpResponse {
    refuse(400, &error_body(400, "INVALID_ARGUMENT", "Invalid value", "INVALID_ARGUMENT", Some(field)), None)
}

fn refuse(status: u16, body: &Value, retry_after: Option<u32>) -> HttpResponse {
    let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    if let Some(seconds) = retry_after {
        answer.insert_header((RETRY_AFTER, seconds.to_string()));
    }
    answer.json(body)
}
