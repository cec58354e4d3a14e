//! The OpenAPI 3.1 description of both listeners.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use utoipa::openapi::security::SecurityScheme;
use utoipa::openapi::{Components, OpenApi};
use utoipa::{Modify, OpenApi as _};

use crate::challenges::{__path_ask_for_challenge, ChallengeAnswer};
use crate::health::{__path_live, __path_ready, HealthAnswer};
use crate::holders::*;
use crate::instructions::{
    __path_ask_for_instruction, __path_instruct, InstructionAnswer, MassView, OwnCertificate, OwnCertificates, SignerView,
};
use crate::operators::*;
use crate::problem::{HealthProblems, ProblemCode, ProblemDocument};
use crate::view::{ByView, CertificateName, CertificateView, CommandView, DeviceView, EvidenceView, StoryView};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tsunagi registration authority",
        description = "Two listeners. Holders (TLS): challenges, applications, instructions, commands for phones; a signature is \
                       the identity. Operators (mutual TLS): the client certificate's organizationalUnitName is the role; challenges \
                       and instructions are there as well, under the same paths. Failures are problem details (RFC 9457) \
                       with a stable code. Times are RFC 3339, binary is base64, identifiers are strings."
    ),
    tags(
        (name = "holders", description = "The public listener."),
        (name = "operators", description = "The operators' listener: mutual TLS."),
        (name = "health", description = "Both listeners.")
    ),
    paths(
        ask_for_challenge, apply, ask_for_outcome, ask_for_receipts, ask_for_commands, take_command_result, list_command_keys, instruct,
        ask_for_instruction, report_key_compromise, receive_card_events, tell_history, show_holder, list_devices, show_device,
        list_schedules, tell_latency, show_batch, dry_run, look_up, give_pseudonyms, list_exports, show_export,
        fetch_export_file, search_log, describe, live, ready
    ),
    components(schemas(
        About, AcceptedAnswer, BatchAnswer, ByView, CertificateQuestion, ExportAnswer, ExportFileView, ExportPartView, ExportsAnswer, FoundEvent,
        SearchAnswer, SearchBody, CardEventBody, CardEventsAnswer, CardEventsBody, CertificateAnswer, CertificateName,
        CertificateView, ChallengeAnswer, CommandAnswer, CommandKeyAnswer, CommandKeysAnswer, CommandResult, CommandResultAnswer,
        CommandResultBody, CommandView, CommandsAnswer, DeviceAnswer, DeviceView, DevicesAnswer, EvidenceView, FoundCertificate,
        HealthAnswer, HistoryAnswer, HoldView, HolderAnswer, HolderQuestion, InstructionAnswer, IssuedAnswer, LeftBehindAnswer,
        LatencyAnswer, LatencyFigures, LatencyHour, LatencyStageAnswer, LookupAnswer, LookupsAnswer, LookupsQuestion, MassAnswer, MassQuestion, OwnCertificate, OwnCertificates, ProblemCode,
        MassView, SignerView, ProblemDocument, PseudonymAnswer, PseudonymsAnswer, PseudonymsQuestion, ReceiptApplication, ReceiptCertificate, ReceiptDocument, ReceiptLeaf, ReceiptsAnswer, ScheduleAnswer, SchedulesAnswer, ScopeBody, StoryView
    )),
    modifiers(&OperatorsNeedCertificates)
)]
struct Description;

struct OperatorsNeedCertificates;

impl Modify for OperatorsNeedCertificates {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = SecurityScheme::MutualTls {
            description: Some(
                "A client certificate of the operator CA: commonName is the operator, organizationalUnitName the role.".into(),
            ),
            deprecated: None,
            extensions: None,
        };
        document.components.get_or_insert_with(Components::new).add_security_scheme("operator", scheme);
    }
}

/// The description.
pub fn openapi() -> OpenApi {
    Description::openapi()
}

/// Gives this description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "health",
    operation_id = "describe",
    responses((status = 200, description = "This description: OpenAPI 3.1.", body = serde_json::Value), HealthProblems)
)]
pub(crate) async fn describe() -> HttpResponse {
    static TEXT: LazyLock<String> = LazyLock::new(|| serde_json::to_string(&openapi()).unwrap_or_default());
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(TEXT.as_str())
}
