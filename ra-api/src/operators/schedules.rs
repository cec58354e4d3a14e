//! `GET /v1/schedules`: what the CA role does by the clock.

use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use schema::schedule::ScheduleRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::OperatorState;
use crate::problem::{LookProblems, Problem};
use crate::store;

/// Every schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SchedulesAnswer {
    /// By name.
    pub schedules: Vec<ScheduleAnswer>,
}

/// A schedule and its last run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ScheduleAnswer {
    /// What runs.
    #[schema(example = "hold-deadlines")]
    pub name: String,
    /// When: cron, six fields, seconds first, in UTC.
    #[schema(example = "0 0 * * * *")]
    pub expression: String,
    /// When a run last began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_started_at: Option<DateTime<Utc>>,
    /// When a run last ended; earlier than the last beginning while one is on, or was broken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_finished_at: Option<DateTime<Utc>>,
    /// What came of the last run that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<String>,
    /// Since when an administrator wants a run out of turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub requested_at: Option<DateTime<Utc>>,
}

impl From<ScheduleRecord> for ScheduleAnswer {
    fn from(record: ScheduleRecord) -> Self {
        Self {
            name: record.name,
            expression: record.expression,
            last_started_at: record.last_started_at,
            last_finished_at: record.last_finished_at,
            last_outcome: record.last_outcome,
            requested_at: record.requested_at,
        }
    }
}

/// Lists the schedules.
#[utoipa::path(
    get,
    path = "/v1/schedules",
    tag = "operators",
    operation_id = "listSchedules",
    security(("operator" = ["call-centre", "administrator", "auditor"])),
    responses((status = 200, description = "All of them.", body = SchedulesAnswer), LookProblems)
)]
pub(crate) async fn list_schedules(state: Data<OperatorState>) -> Result<Json<SchedulesAnswer>, Problem> {
    let reader = state.reader.clone();
    let schedules = store::look("listing schedules", move || reader.schedules()).await?;
    Ok(Json(SchedulesAnswer { schedules: schedules.into_iter().map(ScheduleAnswer::from).collect() }))
}
