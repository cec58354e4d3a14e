//! `POST /v1/key-compromises`: somebody has a private key that should be nobody else's.

use std::sync::Arc;

use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::HolderState;
use crate::edge::BoundedBody;
use crate::instructions::{InstructionAnswer, InstructionDesk};
use crate::problem::{KeyCompromiseProblems, Problem};

/// Receives the report that a key is compromised, from anyone: a PKCS#10 (RFC 2986) signed with it, whose subject is the one
/// common name `This key is compromised`. Its certificate is revoked, and the key is never certified again.
#[utoipa::path(
    post,
    path = "/v1/key-compromises",
    tag = "holders",
    operation_id = "reportKeyCompromise",
    request_body(content = Vec<u8>, content_type = "application/pkcs10", description = "The report in DER; at most 8 KiB."),
    responses(
        (status = 200, description = "The certificate is revoked.", body = InstructionAnswer),
        (status = 202, description = "The CA has not decided yet. `Location` says where to ask.", body = InstructionAnswer),
        KeyCompromiseProblems
    )
)]
pub(crate) async fn report_key_compromise(
    request: HttpRequest,
    payload: Payload,
    state: Data<HolderState>,
    desk: Data<InstructionDesk>,
) -> Result<HttpResponse, Problem> {
    let bounds = BoundedBody { content_type: "application/pkcs10", octets: state.key_compromise_octets, timeout: state.body_timeout };
    let octets = bounds.read(&request, payload).await?;
    let receiving = Arc::clone(&desk);
    let received = web::block(move || receiving.receive_key_report(octets))
        .await
        .map_err(|error| Problem::fault("receiving the report of a key", &error))??;
    desk.settle(received).await
}
