//! Metrics and health of a process, over plain HTTP, for inside.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::{App, HttpResponse, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;
use schema::Reader;
use serde_json::json;

use super::ServerMaker;

/// Whether a part can do its work; else a word on what is missing.
pub(super) type Readiness = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The store can be read.
pub(super) fn store_readiness(reader: Reader) -> Readiness {
    Box::new(move || reader.position().map(drop).map_err(|fault| fault.to_string()))
}

/// The server.
pub(super) fn server(listener: TcpListener, metrics: Option<PrometheusHandle>, readiness: Vec<Readiness>) -> ServerMaker {
    Box::new(move || {
        let (metrics, readiness) = (web::Data::new(metrics), web::Data::from(Arc::new(readiness)));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(metrics.clone())
                .app_data(readiness.clone())
                .route("/metrics", web::get().to(show_metrics))
                .route("/health/live", web::get().to(live))
                .route("/health/ready", web::get().to(ready))
        });
        Ok(server.workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run())
    })
}

async fn show_metrics(metrics: web::Data<Option<PrometheusHandle>>) -> HttpResponse {
    let text = metrics.as_ref().as_ref().map(PrometheusHandle::render).unwrap_or_default();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

async fn ready(readiness: web::Data<Vec<Readiness>>) -> HttpResponse {
    let missing = web::block(move || readiness.iter().filter_map(|check| check().err()).collect::<Vec<_>>()).await;
    match missing {
        Ok(missing) if missing.is_empty() => HttpResponse::Ok().json(json!({ "status": "ready" })),
        Ok(missing) => HttpResponse::ServiceUnavailable().json(json!({ "status": "not ready", "missing": missing })),
        Err(_) => HttpResponse::ServiceUnavailable().json(json!({ "status": "not ready" })),
    }
}
