//! The witness over HTTP.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::{Declined, Records};

/// Registers the routes.
pub(super) fn register(config: &mut ServiceConfig) {
    config.route("/add-checkpoint", web::post().to(add_checkpoint)).route("/{origin_hash}/checkpoint", web::get().to(checkpoint));
}

async fn add_checkpoint(records: Data<Arc<Records>>, body: Bytes) -> HttpResponse {
    let judged = web::block(move || {
        let Ok(body) = str::from_utf8(&body) else { return Ok(Err(Declined::Malformed)) };
        records.add_checkpoint(body)
    });
    match judged.await {
        Ok(Ok(Ok(lines))) => text(StatusCode::OK).body(lines),
        Ok(Ok(Err(declined))) => decline(declined),
        Ok(Err(fault)) => {
            tracing::error!("{fault}");
            HttpResponse::InternalServerError().finish()
        }
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

fn decline(declined: Declined) -> HttpResponse {
    tracing::info!("not cosigned: {declined}");
    let status = StatusCode::from_u16(declined.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match declined {
        Declined::Stale(size) => HttpResponse::build(status).insert_header((CONTENT_TYPE, "text/x.tlog.size")).body(format!("{size}\n")),
        _ => text(status).body(format!("{declined}\n")),
    }
}

async fn checkpoint(records: Data<Arc<Records>>, origin_hash: Path<String>) -> HttpResponse {
    match records.checkpoint(&origin_hash) {
        Some(note) => text(StatusCode::OK).body(note),
        None => text(StatusCode::NOT_FOUND).body("no checkpoint of such a log was cosigned\n"),
    }
}

fn text(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"));
    response
}
