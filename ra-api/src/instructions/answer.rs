//! What whoever sent an instruction is told of it.

use actix_web::HttpResponse;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use ca_core::digest::Sha256Digest;
use ca_core::instruction::operator::{MassChange, OperatorInstruction, SignedOperatorInstruction};
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
    /// For operators: who signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<SignerView>,
    /// For operators, of a mass command: what it asks for, so that whoever approves it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mass: Option<MassView>,
    /// For operators: who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<SignerView>,
}

/// An operator who signed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct SignerView {
    /// The name in the operator's certificate.
    pub name: String,
    /// The role in it.
    #[schema(example = "administrator")]
    pub role: &'static str,
}

/// What a mass command asks for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct MassView {
    /// `revoke` or `hold`.
    #[schema(example = "revoke")]
    pub change: &'static str,
    /// A revocation's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The key identifier of the card CA's key, in hexadecimal.
    pub issuer_key_id: String,
    /// The distribution point, if it is about one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution_point_sha256: Option<String>,
    /// How many certificates the dry run counted.
    pub expected: u64,
    /// What the operator wrote.
    pub ticket: String,
}

impl From<&SignedOperatorInstruction> for SignerView {
    fn from(signed: &SignedOperatorInstruction) -> Self {
        Self { name: signed.operator().name.clone(), role: signed.operator().role.as_str() }
    }
}

impl MassView {
    /// `None` if it is another instruction.
    pub(crate) fn of(signed: &SignedOperatorInstruction) -> Option<Self> {
        let OperatorInstruction::Mass(mass) = signed.instruction() else { return None };
        let (change, reason) = match mass.change {
            MassChange::Revoke(reason) => ("revoke", Some(reason.as_str())),
            MassChange::Hold => ("hold", None),
        };
        Some(Self {
            change,
            reason,
            issuer_key_id: mass.scope.issuer_key_id.to_string(),
            distribution_point_sha256: mass.scope.distribution_point_sha256.map(|digest| digest.to_string()),
            expected: mass.expected,
            ticket: mass.ticket.as_str().to_owned(),
        })
    }
}

impl InstructionAnswer {
    pub(crate) fn done(digest: &Sha256Digest, outcome: Value) -> Self {
        Self { outcome: Some(outcome), ..Self::new(digest, "done") }
    }

    fn new(digest: &Sha256Digest, state: &'static str) -> Self {
        Self { id: digest.to_string(), state, outcome: None, signed_by: None, mass: None, approved_by: None }
    }
}

/// Tells what became of an instruction: 200 when it is done, 202 when something is still to come, or the refusal's problem.
pub(crate) fn answer(digest: &Sha256Digest, state: InstructionState) -> Result<HttpResponse, Problem> {
    answer_with(digest, state, |answer| answer)
}

/// As [`answer`], with more in it.
pub(crate) fn answer_with(
    digest: &Sha256Digest,
    state: InstructionState,
    more: impl FnOnce(InstructionAnswer) -> InstructionAnswer,
) -> Result<HttpResponse, Problem> {
    let (state, outcome) = match state {
        InstructionState::Done { outcome, .. } => {
            return Ok(HttpResponse::Ok().json(more(InstructionAnswer::done(digest, outcome))));
        }
        InstructionState::Refused { code, detail, .. } => return Err(Problem::new(code, detail)),
        InstructionState::Waiting => ("waiting", None),
        InstructionState::AwaitingApproval { outcome, .. } => ("awaiting-approval", Some(outcome)),
    };
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((LOCATION, format!("/v1/instructions/{digest}")));
    if outcome.is_none() {
        answer.insert_header((RETRY_AFTER, "1"));
    }
    Ok(answer.json(more(InstructionAnswer { outcome, ..InstructionAnswer::new(digest, state) })))
}
