//! The plain HTTP listener of the card CA's status service.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::desk::Desk;
use crate::kind::Kind;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/ocsp/{kind}", web::post().to(ocsp))
        .route("/ocsp/{kind}/{question}", web::get().to(ocsp_by_path))
        .route("/crl/{kind}/{file}", web::get().to(crl));
}

async fn ocsp(desk: web::Data<Arc<Desk>>, kind: web::Path<String>, body: web::Bytes) -> HttpResponse {
    let Ok(kind) = kind.parse::<Kind>() else { return HttpResponse::NotFound().finish() };
    HttpResponse::Ok().content_type("application/ocsp-response").body(desk.ocsp(kind, &body))
}

/// RFC 6960 appendix A.1: the question in base64, escaped.
async fn ocsp_by_path(desk: web::Data<Arc<Desk>>, path: web::Path<(String, String)>) -> HttpResponse {
    let (kind, question) = path.into_inner();
    let (Ok(kind), Ok(question)) = (kind.parse::<Kind>(), STANDARD.decode(question)) else { return HttpResponse::NotFound().finish() };
    HttpResponse::Ok().content_type("application/ocsp-response").body(desk.ocsp(kind, &question))
}

async fn crl(desk: web::Data<Arc<Desk>>, path: web::Path<(String, String)>) -> HttpResponse {
    let (kind, file) = path.into_inner();
    let (Ok(kind), Some(point)) = (kind.parse::<Kind>(), file.strip_suffix(".crl")) else { return HttpResponse::NotFound().finish() };
    match desk.crl(kind, point) {
        Some(Ok(der)) => HttpResponse::Ok().content_type("application/pkix-crl").body(der),
        Some(Err(_)) => HttpResponse::InternalServerError().finish(),
        None => HttpResponse::NotFound().finish(),
    }
}
