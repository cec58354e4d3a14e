//! What whoever sent an instruction is told of it.

use actix_web::HttpResponse;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use ca_core::digest::Sha256Digest;
use schema::instruction::InstructionState;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::Problem;

/// The state of an instruction that was not refused.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct InstructionAnswer {
    /// The SHA-256 of the instruction's octets, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub id: String,
    /// `done`; `waiting` for the CA; or `awaiting-approval` by another administrator.
    #[schema(example = "done")]
    pub state: &'static str,
    /// What was done, or what would be done once it is approved. Not there while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub outcome: Option<Value>,
}

impl InstructionAnswer {
    pub(crate) fn done(digest: &Sha256Digest, outcome: Value) -> Self {
        Self { id: digest.to_string(), state: "done", outcome: Some(outcome) }
    }
}

/// Tells what became of an instruction: 200 when it is done, 202 when something is still to come, or the refusal's problem.
pub(crate) fn answer(digest: &Sha256Digest, state: InstructionState) -> Result<HttpResponse, Problem> {
    let (state, outcome) = match state {
        InstructionState::Done { outcome, .. } => return Ok(HttpResponse::Ok().json(InstructionAnswer::done(digest, outcome))),
        InstructionState::Refused { code, detail, .. } => return Err(Problem::new(code, detail)),
        InstructionState::Waiting => ("waiting", None),
        InstructionState::AwaitingApproval { outcome, .. } => ("awaiting-approval", Some(outcome)),
    };
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((LOCATION, format!("/v1/instructions/{digest}")));
    if outcome.is_none() {
        answer.insert_header((RETRY_AFTER, "1"));
    }
    Ok(answer.json(InstructionAnswer { id: digest.to_string(), state, outcome }))
}
