//! `POST /v1/challenges`, on both listeners: what makes a signed message fresh and single.

mod beacons;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{CustomizeResponder, Responder};
use ca_core::application::challenge::{Beacon, Challenge, ChallengeKey, ChallengeRefusal};
use ca_core::clock::Clock;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use policies::ChallengePolicy;
use schema::{Reader, StoreFault};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use beacons::Beacons;

use crate::problem::{ChallengeProblems, Problem};
use crate::store;

/// Gives challenges out and knows its own again. Stores nothing.
pub(crate) struct ChallengeDesk {
    clock: Arc<dyn Clock>,
    key: Arc<ChallengeKey>,
    beacons: Arc<Beacons>,
    lifetime: TimeDelta,
}

/// What a challenge in a signed message comes to.
pub(crate) enum ChallengeFault {
    /// It does not count.
    Refused(ChallengeRefusal),
    /// The beacons cannot be read.
    Store(StoreFault),
}

impl ChallengeDesk {
    /// Challenges that last as long as `policy` says.
    pub(crate) fn new(clock: Arc<dyn Clock>, key: Arc<ChallengeKey>, reader: Reader, policy: &ChallengePolicy) -> Self {
        let lifetime = policy.lifetime();
        // A challenge is to last for at least one beacon's interval.
        let beacons = Arc::new(Beacons::new(reader, lifetime, policy.beacon_interval().min(lifetime / 2)));
        Self { clock, key, beacons, lifetime }
    }

    /// The beacons in force.
    pub(crate) fn beacons(&self) -> Arc<Beacons> {
        Arc::clone(&self.beacons)
    }

    /// Whether we handed `challenge` out.
    pub(crate) fn check_ours(&self, challenge: &Challenge) -> Result<(), ChallengeRefusal> {
        self.key.check(challenge)
    }

    /// Whether `challenge` is fresh; if so, the beacons in force, of which its own is one. May block.
    pub(crate) fn check_fresh(&self, challenge: &Challenge, now: DateTime<Utc>) -> Result<Vec<Beacon>, ChallengeFault> {
        let beacons = self.beacons.for_challenge(challenge.as_bytes(), now).map_err(ChallengeFault::Store)?;
        challenge.check_beacon(&beacons, self.lifetime, now).map_err(ChallengeFault::Refused)?;
        Ok(beacons)
    }
}

/// A challenge to put into an application or an instruction.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ChallengeAnswer {
    /// 48 octets in base64: 64 characters, to be used as they stand, both in the statement and in each certification request.
    #[schema(pattern = "^[A-Za-z0-9+/]{64}$")]
    pub challenge: String,
    /// Until when an application or an instruction with it is accepted.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: DateTime<Utc>,
}

/// Gives a challenge: a value that an application or an instruction must contain, and that one of them can use. Nothing is
/// stored.
#[utoipa::path(
    post,
    path = "/v1/challenges",
    tags = ["holders", "operators"],
    operation_id = "askForChallenge",
    security((), ("operator" = ["call-centre", "administrator", "auditor"])),
    responses((status = 201, description = "A challenge.", body = ChallengeAnswer), ChallengeProblems)
)]
pub(crate) async fn ask_for_challenge(desk: Data<ChallengeDesk>) -> Result<CustomizeResponder<web::Json<ChallengeAnswer>>, Problem> {
    let now = desk.clock.now();
    let current = if desk.beacons.are_fresh() {
        desk.beacons.current(now).map_err(|fault| store::problem("reading the beacons", &fault))?
    } else {
        let beacons = desk.beacons();
        store::look("reading the beacons", move || beacons.current(now)).await?
    };
    let Some((beacon, expires_at)) = current else {
        metrics::counter!("tsunagi_challenges_unavailable_total").increment(1);
        tracing::error!("no beacon is fresh enough for a challenge: does the CA role run?");
        return Err(Problem::new("challenge_unavailable", "No challenge can be given now.").retry_after(10));
    };
    let challenge = desk.key.issue(&beacon).map_err(|error| Problem::fault("drawing a challenge", &error))?;
    let answer = ChallengeAnswer { challenge: challenge.to_base64(), expires_at: expires_at.trunc_subsecs(0) };
    Ok(web::Json(answer).customize().with_status(StatusCode::CREATED))
}
