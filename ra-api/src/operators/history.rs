//! `GET /v1/certificates/{serial}/history`: a certificate's life as a story, with who, why and the evidence.

use std::collections::HashMap;

use actix_web::web::{Data, Json, Path, Query};
use ca_core::digest::Sha256Digest;
use ca_core::instruction::operator::OperatorInstruction;
use ca_core::instruction::{InstructionVerifier, UnverifiedInstruction};
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use schema::history::{CertificateHistory, Evidence, StoryEntry};
use schema::instruction::InstructionForm;
use schema::{Reader, StoreFault};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::OperatorState;
use crate::problem::{LookProblems, Problem};
use crate::store;
use crate::view::{CertificateView, CommandView, DeviceView, StoryView};

/// Which of two certificates with one serial number.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// `signature` or `authentication`; may be left out, for serial numbers are random.
    #[param(value_type = Option<String>)]
    kind: Option<CertificateKind>,
}

/// Everything about a certificate, its phone, and what happened to both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HistoryAnswer {
    /// The certificate.
    pub certificate: CertificateView,
    /// The SHA-256 of the profile by which it was issued, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub policy: String,
    /// The application on which it was issued: the SHA-256 of its octets, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub application: String,
    /// The SHA-256 of the card certificate that it hangs on, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub card: String,
    /// The holds that stand, oldest first.
    pub holds: Vec<HoldView>,
    /// The phone that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceView>,
    /// The commands to phones that name it, oldest first.
    pub commands: Vec<CommandView>,
    /// What happened, in order.
    pub story: Vec<StoryView>,
}

/// A hold that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HoldView {
    /// `card-held`, `phone-lost` or `operator`.
    #[schema(example = "phone-lost")]
    pub cause: &'static str,
    /// Since when for this cause: when it was asked for last.
    #[schema(value_type = String, format = DateTime)]
    pub since: DateTime<Utc>,
    /// The instruction that asked for it: the SHA-256 of its octets, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
}

/// Tells a certificate's life.
#[utoipa::path(
    get,
    path = "/v1/certificates/{serial}/history",
    tag = "operators",
    operation_id = "tellHistory",
    security(("operator" = ["call-centre", "administrator", "auditor"])),
    params(("serial" = String, Path, description = "The serial number, in hexadecimal."), HistoryQuery),
    responses((status = 200, description = "The history.", body = HistoryAnswer), LookProblems)
)]
pub(crate) async fn tell_history(
    serial: Path<String>,
    query: Query<HistoryQuery>,
    state: Data<OperatorState>,
) -> Result<Json<HistoryAnswer>, Problem> {
    let unknown = || Problem::new("not_found", "There is no such certificate.");
    let serial = SerialNumber::from_hex(&serial).map_err(|_| unknown())?;
    let (reader, verifier, kind) = (state.reader.clone(), state.verifier.clone(), query.kind);
    let found = store::look("looking for a certificate's history", move || {
        let Some(history) = reader.history(kind, &serial)? else { return Ok(None) };
        let tickets = tickets(&reader, &verifier, &history)?;
        Ok(Some((history, tickets)))
    })
    .await?;
    let (history, tickets) = found.ok_or_else(unknown)?;
    Ok(Json(HistoryAnswer::new(&history, &tickets)))
}

/// What operators wrote to the instructions that the history rests on: it stands in the signed message and nowhere else.
fn tickets(
    reader: &Reader,
    verifier: &InstructionVerifier,
    history: &CertificateHistory,
) -> Result<HashMap<Sha256Digest, String>, StoreFault> {
    let mut tickets = HashMap::new();
    for digest in history.story.iter().filter_map(instruction) {
        if tickets.contains_key(&digest) {
            continue;
        }
        let stored = reader.stored_instruction(&digest)?.filter(|stored| stored.form == InstructionForm::Operator);
        let Some(stored) = stored else { continue };
        let Ok(message) = UnverifiedInstruction::from_bytes(stored.message) else { continue };
        // As of the time when it came: operators' certificates end.
        let Ok(signed) = verifier.verify_operator(&message, stored.received_at) else { continue };
        if signed.digest() == digest
            && let Some(ticket) = ticket(signed.instruction())
        {
            tickets.insert(digest, ticket);
        }
    }
    Ok(tickets)
}

fn instruction(entry: &StoryEntry) -> Option<Sha256Digest> {
    match entry.evidence {
        Some(Evidence::Instruction(digest)) => Some(digest),
        _ => None,
    }
}

fn ticket(instruction: &OperatorInstruction) -> Option<String> {
    let ticket = match instruction {
        OperatorInstruction::Hold { ticket, .. }
        | OperatorInstruction::Lift { ticket, .. }
        | OperatorInstruction::Revoke { ticket, .. }
        | OperatorInstruction::Erase { ticket, .. }
        | OperatorInstruction::Lock { ticket, .. } => ticket,
        OperatorInstruction::Mass(mass) => &mass.ticket,
        OperatorInstruction::RunSchedule { .. } | OperatorInstruction::Approve { .. } | OperatorInstruction::AuditExport(_) => return None,
    };
    Some(ticket.as_str().to_owned())
}

impl HistoryAnswer {
    fn new(history: &CertificateHistory, tickets: &HashMap<Sha256Digest, String>) -> Self {
        let certificate = &history.certificate;
        let holds = history.holds.iter().map(|hold| HoldView {
            cause: hold.cause.as_str(),
            since: hold.placed_at,
            instruction: hold.instruction.map(|digest| digest.to_string()),
        });
        let told = |entry: &StoryEntry| {
            let ticket = instruction(entry).and_then(|digest| tickets.get(&digest).cloned());
            StoryView::for_operators(entry, ticket)
        };
        Self {
            certificate: CertificateView::from(&certificate.summary),
            policy: certificate.policy_sha256.to_string(),
            application: certificate.application_digest.to_string(),
            card: certificate.link.card.sha256.to_string(),
            holds: holds.collect(),
            device: history.device.as_ref().map(DeviceView::from),
            commands: history.commands.iter().map(CommandView::from).collect(),
            story: history.story.iter().map(told).collect(),
        }
    }
}
