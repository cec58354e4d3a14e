//! `GET /v1/applications/{id}/receipts`: the proof, for the holder to keep, that the issuance is in the log.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use audit_log::Receipt;
use ca_core::digest::Sha256Digest;
use schema::application::{ApplicationRecord, ApplicationState};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::HolderState;
use super::applications::{await_decision, opened};
use crate::edge::{PREFERENCE_APPLIED, Wait};
use crate::problem::{Problem, ReceiptProblems};
use crate::receipts::Receipts;

/// The receipts of an application's certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ReceiptsAnswer {
    /// The SHA-256 of the application's octets, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub application_id: String,
    /// One for each certificate; none as long as no signed checkpoint of the log covers the issuance.
    #[schema(value_type = Vec<ReceiptDocument>)]
    pub receipts: Vec<Receipt>,
}

/// A receipt: opens two leaves of the log, of the application's acceptance and of the certificate's issuance, and proves that they are in
/// it. A document to be kept, and verified against the log's public key (docs/log.md).
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
#[allow(dead_code, reason = "describes what the log's own type writes")]
pub(crate) struct ReceiptDocument {
    /// `tsunagi.receipt.v1`.
    #[serde(rename = "type")]
    #[schema(example = "tsunagi.receipt.v1")]
    kind: String,
    /// The certificate.
    certificate: ReceiptCertificate,
    /// The application.
    application: ReceiptApplication,
    /// The acceptance, and the issuance.
    entries: Vec<ReceiptLeaf>,
}

/// The certificate that a receipt is of.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what the log's own type writes")]
pub(crate) struct ReceiptCertificate {
    /// `signature` or `authentication`.
    #[schema(example = "signature")]
    kind: String,
    /// The serial number in hexadecimal.
    #[schema(pattern = "^[0-9A-F]{2,40}$")]
    serial: String,
    /// The SHA-256 of the certificate in DER, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
}

/// The application that a receipt names.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what the log's own type writes")]
pub(crate) struct ReceiptApplication {
    /// The SHA-256 of its octets, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
}

/// A leaf of the log, opened.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what the log's own type writes")]
pub(crate) struct ReceiptLeaf {
    /// What happened.
    content: Value,
    /// 32 octets in base64: with the content they make what the log publishes.
    salt: String,
    /// The proof that it is in the log, with the signed checkpoint: C2SP tlog-proof.
    proof: String,
}

/// Gives the receipts of an application's certificates, once a signed checkpoint of the log covers them.
///
/// That takes about a second after the issuance. `Prefer: wait=N` (RFC 7240) has the answer held for them, 10 seconds at most.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}/receipts",
    tag = "holders",
    operation_id = "askForReceipts",
    params(
        ("id" = String, Path, description = "The SHA-256 of the application's octets, in hexadecimal."),
        ("Tsunagi-Application-Token" = String, Header, description = "The token of the answer that accepted it."),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to hold the answer for, 10 at most.")
    ),
    responses(
        (status = 200, description = "The receipts.", body = ReceiptsAnswer),
        (status = 202, description = "No signed checkpoint covers the issuance yet.", body = ReceiptsAnswer),
        ReceiptProblems
    )
)]
pub(crate) async fn ask_for_receipts(request: HttpRequest, id: Path<String>, state: Data<HolderState>) -> Result<HttpResponse, Problem> {
    let wait = Wait::of(request.headers());
    let (digest, mut record) = opened(&request, &id, &state).await?;
    if let (ApplicationState::Accepted, Some(wait)) = (&record.state, wait) {
        record = await_decision(&state, digest, record.id, wait.left()).await?;
    }
    if let ApplicationState::Refused { code, detail } = record.state {
        return Err(Problem::new(code, detail));
    }
    let (status, receipts) = match receipts_of(&state, digest, &record, wait).await? {
        Receipts::There(receipts) => (StatusCode::OK, receipts),
        Receipts::NotYet => (StatusCode::ACCEPTED, Vec::new()),
        Receipts::None => return Err(Problem::new("receipt_none", "The certificates were issued before there was a log.")),
        Receipts::Purged => return Err(Problem::new("receipt_purged", "The records of the issuance are kept no longer.")),
    };
    let mut response = HttpResponse::build(status);
    if status == StatusCode::ACCEPTED {
        response.insert_header((RETRY_AFTER, "1"));
    }
    apply_preference(&mut response, wait);
    Ok(response.json(ReceiptsAnswer { application_id: digest.to_string(), receipts }))
}

/// The receipts there are, waited for if the caller prefers that.
pub(super) async fn receipts_of(
    state: &HolderState,
    digest: Sha256Digest,
    record: &ApplicationRecord,
    wait: Option<Wait>,
) -> Result<Receipts, Problem> {
    match wait {
        Some(wait) => state.receipts.wait(digest, record, wait).await,
        None => state.receipts.look(digest, record).await,
    }
}

/// Says that the caller's preference was looked at (RFC 7240 section 3).
pub(super) fn apply_preference(response: &mut HttpResponseBuilder, wait: Option<Wait>) {
    if let Some(wait) = wait {
        response.insert_header((PREFERENCE_APPLIED, wait.applied()));
    }
}
