//! Metrics and health of a process, over plain HTTP, for inside.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::{App, HttpResponse, HttpServer, web};
use ca_core::clock::{Clock as _, SystemClock};
use ca_service::LogState;
use chrono::SecondsFormat;
use crl_publisher::{CrlSettings, Shelf};
use metrics_exporter_prometheus::PrometheusHandle;
use schema::Reader;
use schema::log_health::LogHealth;
use serde_json::json;

use super::ServerMaker;
use crate::installation::Installation;

/// Whether a part can do its work; else a word on what is missing.
pub(super) type Readiness = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The store can be read.
pub(super) fn store_readiness(reader: Reader) -> Readiness {
    Box::new(move || reader.position().map(drop).map_err(|fault| fault.to_string()))
}

/// What operators should know although everything can do its work.
pub(super) type Warnings = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// Lists that are late, and why.
pub(super) fn crl_warnings(reader: Reader, settings: CrlSettings, shelf: Arc<Shelf>) -> Warnings {
    Box::new(move || {
        // That the store cannot be read is told apart.
        crl_publisher::health::warnings(&reader, &settings, &shelf, SystemClock.now()).unwrap_or_default()
    })
}

/// Whether the log is written.
pub(super) fn log_health(installation: &Installation) -> LogHealth {
    LogHealth::new(installation.database.reader(), installation.settings.log.max_lag())
}

/// That nothing is issued because events wait for the log.
pub(super) fn log_warnings(log: LogHealth) -> Warnings {
    Box::new(move || {
        // That the store cannot be read is told apart: nothing is ready then.
        let since = log.late_since(SystemClock.now()).ok().flatten();
        let warning =
            |since| format!("log_unavailable: events have waited for the log since {since}; nothing is issued and no hold is lifted");
        since.map(|since| warning(since.to_rfc3339_opts(SecondsFormat::Secs, true))).into_iter().collect()
    })
}

/// What speaks against the log, proved or only claimed.
pub(super) fn log_state_warnings(log: Arc<LogState>) -> Warnings {
    Box::new(move || {
        let disputed = log.dispute().map(|dispute| format!("log_disputed: {dispute}"));
        let claimed = log.objections().into_iter().map(|claim| format!("log_witness: {claim}, and does not prove it"));
        disputed.into_iter().chain(claimed).collect()
    })
}

/// The server.
pub(super) fn server(
    listener: TcpListener,
    metrics: Option<PrometheusHandle>,
    readiness: Vec<Readiness>,
    warnings: Vec<Warnings>,
) -> ServerMaker {
    Box::new(move || {
        let (metrics, readiness) = (web::Data::new(metrics), web::Data::from(Arc::new(Health { readiness, warnings })));
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

/// What is asked about.
struct Health {
    readiness: Vec<Readiness>,
    warnings: Vec<Warnings>,
}

async fn ready(health: web::Data<Health>) -> HttpResponse {
    let look = move || {
        let missing: Vec<String> = health.readiness.iter().filter_map(|check| check().err()).collect();
        let warnings: Vec<String> = health.warnings.iter().flat_map(|warnings| warnings()).collect();
        (missing, warnings)
    };
    match web::block(look).await {
        Ok((missing, warnings)) if missing.is_empty() && warnings.is_empty() => HttpResponse::Ok().json(json!({ "status": "ready" })),
        Ok((missing, warnings)) if missing.is_empty() => HttpResponse::Ok().json(json!({ "status": "ready", "warnings": warnings })),
        Ok((missing, warnings)) => {
            HttpResponse::ServiceUnavailable().json(json!({ "status": "not ready", "missing": missing, "warnings": warnings }))
        }
        Err(_) => HttpResponse::ServiceUnavailable().json(json!({ "status": "not ready" })),
    }
}
