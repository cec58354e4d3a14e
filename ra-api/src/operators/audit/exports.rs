//! `GET /v1/audit/exports` and `GET /v1/audit/exports/{id}`: how far exports are.

use actix_web::web::{Data, Json, Path, Query};
use audit_log::export::{Part, PartFile};
use chrono::{DateTime, Utc};
use schema::StoreFault;
use schema::audit_export::{AuditExport, ExportId, ExportState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::operators::OperatorState;
use crate::problem::{LookProblems, Problem};
use crate::store;

/// Exports or parts in one answer at most.
const PAGE: u32 = 100;

/// Which exports.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportsQuery {
    /// Go on from here: the `next` of the answer before.
    before: Option<i64>,
}

/// Some exports, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ExportsAnswer {
    /// At most 100, without their parts.
    pub exports: Vec<ExportAnswer>,
    /// Where to go on, as the parameter `before`; not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// Which parts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PartsQuery {
    /// The number of the first part that is wanted.
    #[serde(default)]
    from_part: u64,
}

/// An export of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ExportAnswer {
    /// What it is called: 32 hexadecimal digits.
    pub export: String,
    /// The SHA-256 of the instruction that asked for it.
    pub instruction: String,
    /// `preparing`, `ready`, `failed` or `expired`.
    #[schema(example = "ready")]
    pub state: &'static str,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub taken_at: DateTime<Utc>,
    /// By whom.
    pub taken_by: String,
    /// Its first leaf.
    pub from_leaf: u64,
    /// The leaf after its last.
    pub to_leaf: u64,
    /// How its records are written: `jsonl` or `csv`.
    #[schema(example = "jsonl")]
    pub format: &'static str,
    /// The size of the tree that the auditor knew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_size: Option<u64>,
    /// Whom its evidence is encrypted to, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// It is prepared up to, but not with, this leaf.
    pub prepared: u64,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The parts that are prepared, in order, at most 100: their files can be fetched.
    pub parts: Vec<ExportPartView>,
    /// The number of the next part, if it is prepared and not in this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A part of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ExportPartView {
    /// Its number.
    pub number: u64,
    /// Its first leaf.
    pub from_leaf: u64,
    /// The leaf after its last.
    pub to_leaf: u64,
    /// Its files: records, leaf hashes and perhaps evidence.
    pub files: Vec<ExportFileView>,
}

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ExportFileView {
    /// Its name.
    #[schema(example = "records-00000000.jsonl")]
    pub name: String,
    /// Its length.
    pub octets: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Lists exports.
#[utoipa::path(
    get,
    path = "/v1/audit/exports",
    tag = "operators",
    operation_id = "listExports",
    security(("operator" = ["administrator", "auditor"])),
    params(ExportsQuery),
    responses((status = 200, description = "Some of them.", body = ExportsAnswer), LookProblems)
)]
pub(crate) async fn list_exports(query: Query<ExportsQuery>, state: Data<OperatorState>) -> Result<Json<ExportsAnswer>, Problem> {
    let (reader, before) = (state.reader.clone(), query.before.map(ExportId));
    let found = store::look("listing exports", move || reader.audit_exports(before, PAGE)).await?;
    let next = found.last().filter(|_| found.len() == PAGE as usize).map(|last| last.id.0);
    Ok(Json(ExportsAnswer { exports: found.into_iter().map(|export| ExportAnswer::new(export, Vec::new(), None)).collect(), next }))
}

/// Tells how far an export is, and which of its files can be fetched.
#[utoipa::path(
    get,
    path = "/v1/audit/exports/{id}",
    tag = "operators",
    operation_id = "showExport",
    security(("operator" = ["administrator", "auditor"])),
    params(("id" = String, Path, description = "What the export is called: 32 hexadecimal digits."), PartsQuery),
    responses((status = 200, description = "How far it is.", body = ExportAnswer), LookProblems)
)]
pub(crate) async fn show_export(
    id: Path<String>,
    query: Query<PartsQuery>,
    state: Data<OperatorState>,
) -> Result<Json<ExportAnswer>, Problem> {
    let (reader, from_part) = (state.reader.clone(), query.from_part);
    let found = store::look("looking for an export", move || {
        let Some(export) = reader.audit_export(&id)? else { return Ok(None) };
        let mut parts = reader.audit_export_parts(export.id, from_part, PAGE + 1)?;
        let next = parts.get(PAGE as usize).map(|part| part.number);
        parts.truncate(PAGE as usize);
        let parts = parts.into_iter().map(|part| read_part(part.detail)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(ExportAnswer::new(export, parts, next)))
    });
    found.await?.map(Json).ok_or_else(|| Problem::new("not_found", "There is no such export."))
}

/// What the manifest says of a part, as it is stored.
pub(super) fn read_part(detail: serde_json::Value) -> Result<Part, StoreFault> {
    serde_json::from_value(detail).map_err(|_| StoreFault::Corrupt("a part of an export"))
}

impl ExportAnswer {
    fn new(export: AuditExport, parts: Vec<Part>, next: Option<u64>) -> Self {
        let (state, failure) = match export.state {
            ExportState::Preparing => ("preparing", None),
            ExportState::Ready { .. } => ("ready", None),
            ExportState::Failed { failure, .. } => ("failed", Some(failure)),
            ExportState::Expired { .. } => ("expired", None),
        };
        Self {
            export: export.public_id,
            instruction: export.instruction.to_string(),
            state,
            taken_at: export.taken_at,
            taken_by: export.taken_by,
            from_leaf: export.from_leaf,
            to_leaf: export.to_leaf,
            format: export.format.as_str(),
            previous_size: export.previous_size,
            recipient: export.recipient,
            prepared: export.cursor,
            failure,
            parts: parts.iter().map(ExportPartView::from).collect(),
            next,
        }
    }
}

impl From<&Part> for ExportPartView {
    fn from(part: &Part) -> Self {
        let files = part.files().map(ExportFileView::from).collect();
        Self { number: part.number, from_leaf: part.from, to_leaf: part.to, files }
    }
}

impl From<&PartFile> for ExportFileView {
    fn from(file: &PartFile) -> Self {
        Self { name: file.name.clone(), octets: file.octets, sha256: hex::encode(file.sha256) }
    }
}
