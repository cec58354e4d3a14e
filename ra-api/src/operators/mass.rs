//! `POST /v1/mass/dry-run` and `GET /v1/batches/{id}`: changes of many certificates at once.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path, Payload};
use ca_core::card::identity::KeyIdentifier;
use ca_core::digest::Sha256Digest;
use chrono::{DateTime, Utc};
use schema::batch::{Batch, BatchChange, BatchId, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OperatorState;
use crate::edge::read_question;
use crate::problem::{LookProblems, Problem, QuestionProblems};
use crate::store;
use crate::view::ByView;

/// Which cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeBody {
    /// The key identifier of the card CA's key, in hexadecimal.
    #[schema(pattern = "^([0-9a-fA-F]{2}){1,64}$")]
    pub issuer_key_id: String,
    /// The SHA-256 of a CRL distribution point's directoryName (Name in DER), in hexadecimal: only the cards that have this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    pub distribution_point_sha256: Option<String>,
}

/// What a mass instruction would reach.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MassQuestion {
    /// Which cards.
    pub scope: ScopeBody,
}

/// What a mass instruction would reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct MassAnswer {
    /// Live and held smartphone certificates that hang on the cards. The mass instruction names this as `expected`.
    pub count: u64,
}

/// A change of many certificates, under way or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    /// What it is called.
    #[schema(example = "12")]
    pub id: String,
    /// `running` or `finished`.
    #[schema(example = "running")]
    pub state: &'static str,
    /// `revoke` or `hold`.
    #[schema(example = "revoke")]
    pub change: &'static str,
    /// With `revoke`: a CRLReason's name (RFC 5280 section 5.3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Which cards.
    pub scope: ScopeBody,
    /// Who asked for it.
    pub by: ByView,
    /// The instruction that it carries out, if it was one: the SHA-256 of its octets, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
    /// Cards done so far.
    pub cards: u64,
    /// Certificates changed so far.
    pub changed: u64,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: DateTime<Utc>,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<DateTime<Utc>>,
}

/// Counts what a mass instruction would reach, and changes nothing.
#[utoipa::path(
    post,
    path = "/v1/mass/dry-run",
    tag = "operators",
    operation_id = "dryRun",
    security(("operator" = ["call-centre", "administrator", "auditor"])),
    request_body = MassQuestion,
    responses((status = 200, description = "The count.", body = MassAnswer), QuestionProblems)
)]
pub(crate) async fn dry_run(request: HttpRequest, payload: Payload, state: Data<OperatorState>) -> Result<Json<MassAnswer>, Problem> {
    let question: MassQuestion = read_question(&request, payload, state.question_octets, state.body_timeout).await?;
    let scope = question.scope.read()?;
    let reader = state.reader.clone();
    let count = store::look("counting certificates", move || reader.count_scope(&scope)).await?;
    Ok(Json(MassAnswer { count }))
}

/// Shows how far a batch has come.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}",
    tag = "operators",
    operation_id = "showBatch",
    security(("operator" = ["call-centre", "administrator", "auditor"])),
    params(("id" = String, Path, description = "What the batch is called.")),
    responses((status = 200, description = "The batch.", body = BatchAnswer), LookProblems)
)]
pub(crate) async fn show_batch(id: Path<String>, state: Data<OperatorState>) -> Result<Json<BatchAnswer>, Problem> {
    let unknown = || Problem::new("not_found", "There is no such batch.");
    let id = id.parse().map(BatchId).map_err(|_| unknown())?;
    let reader = state.reader.clone();
    let found = store::look("looking for a batch", move || reader.batch(id)).await?;
    Ok(Json(BatchAnswer::from(found.ok_or_else(unknown)?)))
}

impl ScopeBody {
    fn read(&self) -> Result<Scope, Problem> {
        let wrong = |what: &str| Problem::new("question_invalid", format!("scope.{what}"));
        let issuer_key_id = KeyIdentifier::from_hex(&self.issuer_key_id);
        let issuer_key_id = issuer_key_id.ok_or_else(|| wrong("issuer_key_id must be 1 to 64 octets in hexadecimal."))?;
        let point = self.distribution_point_sha256.as_deref();
        let point = point
            .map(|hex| Sha256Digest::from_hex(hex).ok_or_else(|| wrong("distribution_point_sha256 must be 32 octets in hexadecimal.")));
        Ok(Scope { issuer_key_id, distribution_point_sha256: point.transpose()? })
    }
}

impl From<Batch> for BatchAnswer {
    fn from(batch: Batch) -> Self {
        let (change, reason) = match batch.change {
            BatchChange::Revoke { reason } => ("revoke", Some(reason.as_str())),
            BatchChange::Hold => ("hold", None),
        };
        Self {
            id: batch.id.0.to_string(),
            state: if batch.finished_at.is_some() { "finished" } else { "running" },
            change,
            reason,
            scope: ScopeBody {
                issuer_key_id: batch.scope.issuer_key_id.to_string(),
                distribution_point_sha256: batch.scope.distribution_point_sha256.map(|digest| digest.to_string()),
            },
            by: ByView::for_operators(&batch.order.origin),
            instruction: batch.order.instruction.map(|digest| digest.to_string()),
            cards: batch.cards,
            changed: batch.changed,
            started_at: batch.started_at,
            finished_at: batch.finished_at,
        }
    }
}
