//! Whether the process lives and whether it can serve.

use std::sync::Arc;

use actix_web::web::{self, Data, Json};
use ca_core::clock::Clock;
use schema::log_health::LogHealth;
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
    /// Told of, and no reason not to be ready: whoever sends nobody here any more stops revocations.
    pub(crate) log: LogHealth,
}

/// What is told where the log cannot be written.
const LOG_UNAVAILABLE: &str =
    "log_unavailable: Events wait for the log. Nothing is issued and no hold is lifted meanwhile; all else goes on.";

/// All is well.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    /// `live` or `ready`.
    #[schema(example = "ready")]
    pub status: &'static str,
    /// What is not as it should be although requests can be served; each begins with a word that stays. Left out if there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<&'static str>,
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
    Json(HealthAnswer { status: "live", warnings: Vec::new() })
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
    let found = web::block(move || health.check().map(|()| health.warnings()))
        .await
        .map_err(|error| Problem::fault("asking whether we are ready", &error))?;
    match found {
        Ok(warnings) => Ok(Json(HealthAnswer { status: "ready", warnings })),
        Err(missing) => Err(Problem::new("not_ready", missing)),
    }
}

impl Health {
    /// What is not as it should be although requests can be served. Blocks.
    fn warnings(&self) -> Vec<&'static str> {
        // That the store cannot be read is told apart.
        let is_late = self.log.late_since(self.clock.now()).is_ok_and(|since| since.is_some());
        if is_late { vec![LOG_UNAVAILABLE] } else { Vec::new() }
    }

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
