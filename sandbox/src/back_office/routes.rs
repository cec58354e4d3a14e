//! The HTTPS listener: the product's questions and the administrator's orders, all behind the bearer token.

use std::sync::Arc;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpResponse, ResponseError as _, web};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::desk::Desk;
use super::wire::{BulkRequest, CardAuthorityEntry, LookupAnswer, LookupRequest, NewCard, RevocationRequest};
use super::{BackOfficeFault, wire};
use crate::keys::sha256;

/// Most cards of one lookup, most events of one page.
const LARGEST_PAGE: usize = 1000;

/// SHA-256 of the token: compared instead of the token, so that time tells nothing of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenHash(pub(crate) [u8; 32]);

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::scope("")
                .wrap(from_fn(authorise))
                .route("/v1/card-certificates/lookup", web::post().to(look_up))
                .route("/v1/card-events", web::get().to(events))
                .route("/admin/cards", web::post().to(new_card))
                .route("/admin/cards/bulk", web::post().to(new_cards))
                .route("/admin/cards/{card_id}/revoke", web::post().to(revoke))
                .route("/admin/card-authorities", web::get().to(authorities)),
        )
        .default_service(web::to(|| async { refuse(404, "no such thing here") }));
}

async fn authorise(
    request: ServiceRequest,
    next: Next<impl actix_web::body::MessageBody + 'static>,
) -> Result<actix_web::dev::ServiceResponse<actix_web::body::BoxBody>, actix_web::Error> {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
    let expected = request.app_data::<web::Data<TokenHash>>().map(|hash| hash.0);
    if given.is_some_and(|token| Some(sha256(token.as_bytes())) == expected) {
        return next.call(request).await.map(actix_web::dev::ServiceResponse::map_into_boxed_body);
    }
    Ok(request.into_response(refuse(401, "a bearer token is needed")))
}

async fn look_up(desk: web::Data<Arc<Desk>>, body: web::Bytes) -> HttpResponse {
    let request: LookupRequest = match read(&body) {
        Ok(request) => request,
        Err(reason) => return refuse(400, &reason),
    };
    if request.cards.len() > LARGEST_PAGE {
        return refuse(400, "at most 1000 cards");
    }
    HttpResponse::Ok().json(LookupAnswer { results: request.cards.iter().map(|card| desk.look_up(card)).collect() })
}

async fn events(desk: web::Data<Arc<Desk>>, query: web::Query<std::collections::HashMap<String, String>>) -> HttpResponse {
    let after = query.get("after").map_or("", String::as_str);
    let Ok(limit) = query.get("limit").map_or(Ok(100), |limit| limit.parse::<usize>()) else {
        return refuse(400, "limit is a number");
    };
    match desk.events(after, limit.clamp(1, LARGEST_PAGE)) {
        Some(page) => HttpResponse::Ok().json(page),
        None => refuse(400, "the cursor is none of this back office"),
    }
}

async fn new_card(desk: web::Data<Arc<Desk>>, body: web::Bytes) -> HttpResponse {
    let wish: NewCard = match if body.is_empty() { Ok(NewCard::default()) } else { read(&body) } {
        Ok(wish) => wish,
        Err(reason) => return refuse(400, &reason),
    };
    answer(web::block(move || desk.hand_out(&wish)).await, 201)
}

async fn new_cards(desk: web::Data<Arc<Desk>>, body: web::Bytes) -> HttpResponse {
    let wish: BulkRequest = match read(&body) {
        Ok(wish) => wish,
        Err(reason) => return refuse(400, &reason),
    };
    answer(web::block(move || desk.hand_out_many(&wish)).await, 201)
}

async fn revoke(desk: web::Data<Arc<Desk>>, card_id: web::Path<String>, body: web::Bytes) -> HttpResponse {
    let request: RevocationRequest = match read(&body) {
        Ok(request) => request,
        Err(reason) => return refuse(400, &reason),
    };
    match web::block(move || desk.revoke(&card_id, &request)).await {
        Ok(Ok(None)) => refuse(404, "no such card"),
        other => answer(other.map(|result| result.map(|events| wire::EventsPushed { events: events.unwrap_or_default() })), 200),
    }
}

async fn authorities(desk: web::Data<Arc<Desk>>) -> HttpResponse {
    let entries = desk.card_authorities().into_iter().map(|authority| CardAuthorityEntry {
        kind: authority.kind,
        generation: authority.generation,
        key_identifier: hex::encode(authority.key_identifier),
        certificate: authority.pem,
    });
    HttpResponse::Ok().json(entries.collect::<Vec<_>>())
}

fn answer<T: serde::Serialize>(result: Result<Result<T, BackOfficeFault>, actix_web::error::BlockingError>, status: u16) -> HttpResponse {
    match result {
        Ok(Ok(content)) => HttpResponse::build(code(status)).json(content),
        Ok(Err(BackOfficeFault::Refused(reason))) => refuse(400, &reason),
        Ok(Err(fault)) => {
            tracing::error!(%fault, "the back office failed");
            refuse(500, "the back office failed")
        }
        Err(error) => error.error_response(),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn refuse(status: u16, reason: &str) -> HttpResponse {
    HttpResponse::build(code(status)).json(json!({ "error": reason }))
}

fn code(status: u16) -> actix_web::http::StatusCode {
    actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR)
}
