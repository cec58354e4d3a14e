//! Whether the process lives and whether it can serve.

use std::sync::Arc;

use actix_web::web::{self, Data, Json};
use ca_core::clock::Clock;
use schema::{Reader, StoreFault};
use serde::Serialize;
use utoipa::ToSchema;

use crate::challenges::Beacons;
use crate::problem::{HealthProblems, Problem, ReadinessProblems};

/// What readiness depends on.
pub(crate) struct Health {
    pub(crate) reader: Reader,
    pub(crate) clock: Arc<dyn Clock>,
    /// Asked for a fresh beacon where challenges are given.
    pub(crate) beacons: Option<Arc<Beacons>>,
}

/// All is well.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    /// `live` or `ready`.
    #[schema(example = "ready")]
    pub status: &'static str,
}

/// Tells that the process answers.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    operation_id = "live",
    responses((status = 200, description = "The process answers.", body = HealthAnswer), HealthProblems)
)]
pub(crate) async fn live() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "live" })
}

/// Tells whether requests can be served: the store answers, and the CA role has drawn a beacon lately.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    operation_id = "ready",
    responses((status = 200, description = "Requests can be served.", body = HealthAnswer), ReadinessProblems)
)]
pub(crate) async fn ready(health: Data<Health>) -> Result<Json<HealthAnswer>, Problem> {
    let found = web::block(move || health.check()).await.map_err(|error| Problem::fault("asking whether we are ready", &error))?;
    match found {
        Ok(()) => Ok(Json(HealthAnswer { status: "ready" })),
        Err(missing) => Err(Problem::new("not_ready", missing)),
    }
}

impl Health {
    /// Whether requests can be served; else a sentence on what is missing. Blocks.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let look = || -> Result<bool, StoreFault> {
            self.reader.position()?;
            match &self.beacons {
                Some(beacons) => Ok(beacons.current(self.clock.now())?.is_some()),
                None => Ok(true),
            }
        };
        match look() {
            Ok(true) => Ok(()),
            Ok(false) => Err("The CA role has drawn no beacon lately."),
            Err(fault) => {
                tracing::warn!(%fault, "not ready");
                Err("The store does not answer.")
            }
        }
    }
}
