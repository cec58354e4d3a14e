//! `POST /v1/verifier/pseudonyms`

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload, ReqData};
use ca_core::instruction::operator::OperatorIdentity;
use schema::lookup::Relation;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{check_purpose, read_serials, record};
use crate::edge::read_question;
use crate::operators::OperatorState;
use crate::problem::{Problem, QuestionProblems};
use crate::store;

/// Whose pseudonyms.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PseudonymsQuestion {
    /// Why it is asked, for the record.
    #[schema(min_length = 1, max_length = 256)]
    pub purpose: String,
    /// Serial numbers of smartphone certificates, in hexadecimal.
    #[schema(min_items = 1, max_items = 100)]
    pub serials: Vec<String>,
}

/// The pseudonyms, in the order of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PseudonymsAnswer {
    /// One for each serial number asked about.
    pub pseudonyms: Vec<PseudonymAnswer>,
}

/// What to call the holder of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PseudonymAnswer {
    /// The serial number asked about.
    pub serial: String,
    /// The same for all certificates of the person, and another for every verifier. Not there if the certificate is not one of
    /// ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    pub pseudonym: Option<String>,
}

/// Gives each certificate's holder a name that this verifier alone knows, stable across renewals. The question is on record
/// when it is answered.
#[utoipa::path(
    post,
    path = "/v1/verifier/pseudonyms",
    tag = "operators",
    operation_id = "givePseudonyms",
    security(("operator" = ["administrator", "verifier"])),
    request_body = PseudonymsQuestion,
    responses((status = 200, description = "The pseudonyms.", body = PseudonymsAnswer), QuestionProblems)
)]
pub(crate) async fn give_pseudonyms(
    request: HttpRequest,
    payload: Payload,
    verifier: ReqData<OperatorIdentity>,
    state: Data<OperatorState>,
) -> Result<Json<PseudonymsAnswer>, Problem> {
    let question: PseudonymsQuestion = read_question(&request, payload, state.question_octets, state.body_timeout).await?;
    check_purpose(&question.purpose)?;
    let serials = read_serials(&question.serials)?;
    let (reader, key, name) = (state.reader.clone(), Arc::clone(&state.pseudonym_key), verifier.name.clone());
    let pseudonyms: Vec<PseudonymAnswer> = store::look("looking for holders", move || {
        let mut pseudonyms = Vec::with_capacity(serials.len());
        for serial in serials {
            let found = reader.related_certificate(None, &serial, Relation::Itself)?;
            let pseudonym = found.map(|found| key.pseudonym(&name, &found.holder_id));
            pseudonyms.push(PseudonymAnswer { serial: serial.to_string(), pseudonym });
        }
        Ok(pseudonyms)
    })
    .await?;
    let found = pseudonyms.iter().filter(|answer| answer.pseudonym.is_some()).count();
    record(&state, &verifier, question.purpose, json!({ "about": "pseudonym", "serials": question.serials }), found).await?;
    Ok(Json(PseudonymsAnswer { pseudonyms }))
}
