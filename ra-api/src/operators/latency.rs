//! `GET /v1/latency`: how long revocations took until relying parties could learn of them.

use actix_web::web::{Data, Json, Query};
use chrono::{DateTime, DurationRound as _, SecondsFormat, TimeDelta, Utc};
use schema::latency::{LatencyMinute, LatencyStage, LatencySummary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::OperatorState;
use crate::problem::{FigureProblems, Problem};
use crate::store;

/// The time told of where none is asked for, and the longest.
const USUAL: TimeDelta = TimeDelta::days(1);
const LONGEST: TimeDelta = TimeDelta::days(31);

/// Of which time.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LatencyQuery {
    /// `ocsp` or `crl`; both if left out.
    stage: Option<String>,
    /// From when on revocations were committed; a day before `to` if left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<DateTime<Utc>>,
    /// Until when; now if left out. At most 31 days after `from`.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<DateTime<Utc>>,
}

/// How long revocations took, by the way in which they became known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LatencyAnswer {
    /// From when on they were committed.
    #[schema(format = DateTime)]
    pub from: String,
    /// Until when.
    #[schema(format = DateTime)]
    pub to: String,
    /// For each stage asked about.
    pub stages: Vec<LatencyStageAnswer>,
}

/// How long revocations took to become known in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LatencyStageAnswer {
    /// `ocsp`: until the status service told it. `crl`: until a published list had it.
    #[schema(example = "ocsp")]
    pub stage: &'static str,
    /// In all.
    pub all: LatencyFigures,
    /// For each hour in which there were any, by the time of commit; oldest first.
    pub hours: Vec<LatencyHour>,
}

/// An hour's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LatencyHour {
    /// When it began.
    #[schema(format = DateTime)]
    pub hour: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: LatencyFigures,
}

/// The figures of some time. Of a percentile an upper bound is told; it is not there if so many never became known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LatencyFigures {
    /// Revocations and holds that became known.
    pub count: u64,
    /// Those that were given up, because they were not told in time.
    pub lost: u64,
    /// On average, in milliseconds, of those that became known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_ms: Option<u64>,
    /// Half of all became known within so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// 90 of 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_ms: Option<u64>,
    /// 99 of 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<u64>,
    /// The longest that one took that became known, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<u64>,
}

impl From<LatencySummary> for LatencyFigures {
    fn from(summary: LatencySummary) -> Self {
        Self {
            count: summary.count,
            lost: summary.lost,
            mean_ms: summary.mean_milliseconds(),
            p50_ms: summary.percentile(50),
            p90_ms: summary.percentile(90),
            p99_ms: summary.percentile(99),
            max_ms: (summary.count > 0).then_some(summary.max_milliseconds),
        }
    }
}

/// Tells how long revocations took.
#[utoipa::path(
    get,
    path = "/v1/latency",
    tag = "operators",
    operation_id = "tellLatency",
    security(("operator" = ["back-office", "call-centre", "administrator", "auditor"])),
    params(LatencyQuery),
    responses((status = 200, description = "The figures.", body = LatencyAnswer), FigureProblems)
)]
pub(crate) async fn tell_latency(query: Query<LatencyQuery>, state: Data<OperatorState>) -> Result<Json<LatencyAnswer>, Problem> {
    let wrong = |detail: &'static str| Problem::new("question_invalid", detail);
    let stages: Vec<LatencyStage> = match query.stage.as_deref() {
        None => LatencyStage::ALL.to_vec(),
        Some(word) => {
            let stage = LatencyStage::ALL.into_iter().find(|stage| stage.as_str() == word);
            vec![stage.ok_or_else(|| wrong("stage is ocsp or crl."))?]
        }
    };
    let to = query.to.unwrap_or_else(|| state.clock.now());
    let from = query.from.or_else(|| to.checked_sub_signed(USUAL)).ok_or_else(|| wrong("to is too early."))?;
    if from >= to || to - from > LONGEST {
        return Err(wrong("from must be before to, by 31 days at most."));
    }
    let reader = state.reader.clone();
    let stages = store::look("looking how long revocations took", move || {
        let told = |stage: LatencyStage| Ok(LatencyStageAnswer::new(stage, &reader.latency_history(stage, from, to)?));
        stages.into_iter().map(told).collect()
    });
    Ok(Json(LatencyAnswer { from: time(from), to: time(to), stages: stages.await? }))
}

impl LatencyStageAnswer {
    fn new(stage: LatencyStage, minutes: &[LatencyMinute]) -> Self {
        let hour = |minute: &LatencyMinute| minute.minute.duration_trunc(TimeDelta::hours(1)).unwrap_or(minute.minute);
        let hours = minutes
            .chunk_by(|one, other| hour(one) == hour(other))
            .filter_map(|of_hour| Some(LatencyHour { hour: time(hour(of_hour.first()?)), figures: LatencySummary::of(of_hour).into() }));
        Self { stage: stage.as_str(), all: LatencySummary::of(minutes).into(), hours: hours.collect() }
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
