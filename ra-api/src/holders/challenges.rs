//! `POST /v1/challenges`.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{CustomizeResponder, Responder};
use chrono::{DateTime, SubsecRound, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::HolderState;
use super::reception::store_problem;
use crate::problem::{ChallengeProblems, Problem};

/// A challenge to put into an application.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChallengeAnswer {
    /// 48 octets in base64: 64 characters, to be used as they stand, both in the statement and in each certification request.
    #[schema(pattern = "^[A-Za-z0-9+/]{64}$")]
    pub challenge: String,
    /// Until when an application with it is accepted.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: DateTime<Utc>,
}

/// Gives a challenge: a value that an application must contain, and that one application can use. Nothing is stored.
#[utoipa::path(
    post,
    path = "/v1/challenges",
    tag = "holders",
    operation_id = "askForChallenge",
    responses((status = 201, description = "A challenge.", body = ChallengeAnswer), ChallengeProblems)
)]
pub(crate) async fn ask_for_challenge(state: Data<HolderState>) -> Result<CustomizeResponder<web::Json<ChallengeAnswer>>, Problem> {
    let now = state.clock.now();
    let current = if state.beacons.are_fresh() {
        state.beacons.current(now)
    } else {
        let beacons = state.beacons.clone();
        web::block(move || beacons.current(now)).await.map_err(|error| Problem::fault("reading the beacons", &error))?
    };
    let Some((beacon, expires_at)) = current.map_err(|fault| store_problem("reading the beacons", &fault))? else {
        metrics::counter!("tsunagi_challenges_unavailable_total").increment(1);
        tracing::error!("no beacon is fresh enough for a challenge: does the CA role run?");
        return Err(Problem::new("challenge_unavailable", "No challenge can be given now.").retry_after(10));
    };
    let challenge = state.challenge_key.issue(&beacon).map_err(|error| Problem::fault("drawing a challenge", &error))?;
    let answer = ChallengeAnswer { challenge: challenge.to_base64(), expires_at: expires_at.trunc_subsecs(0) };
    Ok(web::Json(answer).customize().with_status(StatusCode::CREATED))
}
