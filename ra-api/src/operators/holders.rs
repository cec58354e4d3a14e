//! `POST /v1/holders/show`: a person's certificates and phones.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OperatorState;
use crate::edge::read_question;
use crate::problem::{Problem, QuestionProblems};
use crate::store;
use crate::view::{CertificateView, DeviceView};

/// Whose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HolderQuestion {
    /// The back office's name for the holder. Personal data: in the body, never in the address.
    #[schema(min_length = 1, max_length = 255)]
    pub holder_id: String,
}

/// What a holder has, and had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HolderAnswer {
    /// Oldest first; the newest hundred at most.
    pub certificates: Vec<CertificateView>,
    /// Oldest first; the newest hundred at most.
    pub devices: Vec<DeviceView>,
}

/// Shows a holder's certificates and phones. Of a holder who is not known here, there are none.
#[utoipa::path(
    post,
    path = "/v1/holders/show",
    tag = "operators",
    operation_id = "showHolder",
    security(("operator" = ["call-centre", "administrator", "auditor"])),
    request_body = HolderQuestion,
    responses((status = 200, description = "The certificates and phones.", body = HolderAnswer), QuestionProblems)
)]
pub(crate) async fn show_holder(request: HttpRequest, payload: Payload, state: Data<OperatorState>) -> Result<Json<HolderAnswer>, Problem> {
    let question: HolderQuestion = read_question(&request, payload, state.question_octets, state.body_timeout).await?;
    let (reader, holder_id) = (state.reader.clone(), question.holder_id);
    let found = store::look("looking for a holder", move || reader.holder(&holder_id)).await?;
    let (certificates, devices) = found.map_or_else(Default::default, |found| (found.certificates, found.devices));
    Ok(Json(HolderAnswer {
        certificates: certificates.iter().map(CertificateView::from).collect(),
        devices: devices.iter().map(DeviceView::from).collect(),
    }))
}
