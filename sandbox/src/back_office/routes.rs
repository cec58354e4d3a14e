//! The HTTPS listener: the product's questions and the administrator's orders, all behind the bearer token.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpResponse, ResponseError as _, web};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::BackOfficeFault;
use super::desk::Desk;
use super::events::EventsPushed;
use super::lost::LostAnswer;
use super::notices::{NoticeDelivery, NoticeList, NoticeOutcome};
use super::orders::{BatchOrder, CardOrder, Faults, OrderDetail};
use super::wire::{BulkRequest, CardAuthorityEntry, LookupAnswer, LookupRequest, NewCard, RevocationRequest, StatesAnswer, StatesRequest};
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
                .service(
                    web::scope("/v1")
                        .wrap(from_fn(answer_late))
                        .route("/card-certificates/lookup", web::post().to(look_up))
                        .route("/card-certificates/states", web::post().to(states))
                        .route("/card-events", web::get().to(events))
                        .route("/notices", web::post().to(take_notices)),
                )
                .route("/admin/cards", web::post().to(new_card))
                .route("/admin/cards/bulk", web::post().to(new_cards))
                .route("/admin/cards/{card_id}/revoke", web::post().to(revoke))
                .route("/admin/cards/{card_id}/{order}", web::post().to(carry_out))
                .route("/admin/batches", web::post().to(carry_out_batch))
                .route("/admin/faults", web::post().to(set_faults))
                .route("/admin/faults", web::get().to(faults))
                .route("/admin/notices", web::get().to(notices))
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

/// The product's questions wait, if they are ordered to.
async fn answer_late(
    request: ServiceRequest,
    next: Next<impl actix_web::body::MessageBody + 'static>,
) -> Result<actix_web::dev::ServiceResponse<impl actix_web::body::MessageBody>, actix_web::Error> {
    let late = request.app_data::<web::Data<Arc<Desk>>>().map_or(0, |desk| desk.registry().telling.faults().answer_late_ms);
    if late > 0 {
        actix_web::rt::time::sleep(Duration::from_millis(late)).await;
    }
    next.call(request).await
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

async fn states(desk: web::Data<Arc<Desk>>, body: web::Bytes) -> HttpResponse {
    let request: StatesRequest = match read(&body) {
        Ok(request) => request,
        Err(reason) => return refuse(400, &reason),
    };
    if request.cards.len() > LARGEST_PAGE {
        return refuse(400, "at most 1000 cards");
    }
    HttpResponse::Ok().json(StatesAnswer { states: request.cards.iter().map(|card| desk.state(card)).collect() })
}

async fn take_notices(desk: web::Data<Arc<Desk>>, body: web::Bytes) -> HttpResponse {
    let delivery: NoticeDelivery = match read(&body) {
        Ok(delivery) => delivery,
        Err(reason) => return refuse(400, &reason),
    };
    match web::block(move || desk.take_notices(delivery)).await {
        Ok(Ok(NoticeOutcome::Unavailable)) => refuse(503, "not now"),
        Ok(Ok(NoticeOutcome::AnswerLost)) => HttpResponse::Ok().content_type("application/json").body(LostAnswer),
        Ok(Ok(NoticeOutcome::Accepted(accepted))) => HttpResponse::Ok().json(accepted),
        Ok(Err(fault)) => answer::<()>(Ok(Err(fault)), 200),
        Err(error) => error.error_response(),
    }
}

async fn notices(desk: web::Data<Arc<Desk>>) -> HttpResponse {
    HttpResponse::Ok().json(NoticeList { notices: desk.registry().notices.clone() })
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
        other => answer(other.map(|result| result.map(|events| EventsPushed { events: events.unwrap_or_default() })), 200),
    }
}

async fn carry_out(desk: web::Data<Arc<Desk>>, path: web::Path<(String, String)>, body: web::Bytes) -> HttpResponse {
    let (card_id, order) = path.into_inner();
    let Ok(order) = order.parse::<CardOrder>() else { return refuse(404, "no such order") };
    let detail: OrderDetail = match if body.is_empty() { Ok(OrderDetail::default()) } else { read(&body) } {
        Ok(detail) => detail,
        Err(reason) => return refuse(400, &reason),
    };
    match web::block(move || desk.carry_out(&card_id, order, &detail)).await {
        Ok(Ok(None)) => refuse(404, "no such card"),
        other => answer(other, 200),
    }
}

async fn carry_out_batch(desk: web::Data<Arc<Desk>>, body: web::Bytes) -> HttpResponse {
    let order: BatchOrder = match read(&body) {
        Ok(order) => order,
        Err(reason) => return refuse(400, &reason),
    };
    answer(web::block(move || desk.carry_out_batch(&order)).await, 200)
}

async fn set_faults(desk: web::Data<Arc<Desk>>, body: web::Bytes) -> HttpResponse {
    let faults: Faults = match read(&body) {
        Ok(faults) => faults,
        Err(reason) => return refuse(400, &reason),
    };
    answer(web::block(move || desk.set_faults(faults).map(|()| faults)).await, 200)
}

async fn faults(desk: web::Data<Arc<Desk>>) -> HttpResponse {
    HttpResponse::Ok().json(desk.registry().telling.faults())
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
