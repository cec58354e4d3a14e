//! `POST /v1/applications` and `GET /v1/applications/{id}`.

use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, LOCATION, RETRY_AFTER};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use audit_log::Receipt;
use ca_core::application::ApplicationId;
use ca_core::application::verified::VerifiedApplication;
use ca_core::device_command::NamedCertificate;
use ca_core::digest::Sha256Digest;
use schema::WriteError;
use schema::application::{AcceptRefusal, Acceptance, ApplicationRecord, ApplicationState, NewApplication};

use super::HolderState;
use super::answer::{AcceptedAnswer, ApplicationAnswer, CertificateAnswer, IssuedAnswer, LeftBehindAnswer};
use super::receipts::{apply_preference, receipts_of};
use super::reception::ReceivedApplication;
use super::ticket::Ticket;
use crate::decisions::Undecided;
use crate::edge::{BoundedBody, Wait};
use crate::problem::{ApplicationProblems, Problem, StatusProblems};
use crate::receipts::Receipts;
use crate::store;

/// The header that opens the state of an application.
const TOKEN_HEADER: HeaderName = HeaderName::from_static("tsunagi-application-token");

/// Receives an application: a CMS SignedData (RFC 5652), signed by the holder's card.
///
/// Waits some seconds for the CA's decision. The same octets sent again get the same answer, and nothing is issued twice.
#[utoipa::path(
    post,
    path = "/v1/applications",
    tag = "holders",
    operation_id = "apply",
    params(("Prefer" = Option<String>, Header, description = "`wait=N` (RFC 7240): seconds to hold the answer, 10 at most, for the decision and then for the receipts.")),
    request_body(content = Vec<u8>, content_type = "application/cms", description = "The application in DER; at most 64 KiB."),
    responses(
        (status = 201, description = "The certificates are issued.", body = IssuedAnswer),
        (status = 202, description = "Accepted; the CA has not decided yet. `Location` says where to ask.", body = AcceptedAnswer),
        ApplicationProblems
    )
)]
pub(crate) async fn apply(request: HttpRequest, payload: Payload, state: Data<HolderState>) -> Result<HttpResponse, Problem> {
    let wait = Wait::of(request.headers());
    let patience = || wait.map_or(state.decision_wait, |wait| wait.left().min(state.decision_wait));
    let bounds = BoundedBody { content_type: "application/cms", octets: state.application_octets, timeout: state.body_timeout };
    let octets = bounds.read(&request, payload).await?;
    let reception = state.reception.clone();
    let received =
        web::block(move || reception.receive(octets)).await.map_err(|error| Problem::fault("receiving an application", &error))??;
    let (digest, record, is_new) = match received.application {
        ReceivedApplication::Known(digest, record) => match record.state {
            ApplicationState::Accepted => (digest, await_decision(&state, digest, record.id, patience()).await?, true),
            _ => (digest, record, false),
        },
        ReceivedApplication::Verified(application) => {
            let (digest, id) = (application.digest(), accept(&state, &application).await?);
            (digest, await_decision(&state, digest, id, patience()).await?, true)
        }
    };
    let left_behind = look_left_behind(&state, received.left_behind).await?;
    // What was decided just now is under no checkpoint yet: only who waits for that is worth a look.
    let receipts = if is_new && wait.is_none() { Vec::new() } else { receipts(&state, digest, &record, wait).await };
    answer(&state, &digest, record, Told { left_behind, receipts, issued: StatusCode::CREATED, wait })
}

/// Tells what has become of an application.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}",
    tag = "holders",
    operation_id = "askForOutcome",
    params(
        ("id" = String, Path, description = "The SHA-256 of the application's octets, in hexadecimal."),
        ("Tsunagi-Application-Token" = String, Header, description = "The token of the answer that accepted it."),
        ("Prefer" = Option<String>, Header, description = "`wait=N` (RFC 7240): seconds to hold the answer, 10 at most, for the decision and then for the receipts.")
    ),
    responses(
        (status = 200, description = "The certificates are issued.", body = IssuedAnswer),
        (status = 202, description = "The CA has not decided yet.", body = AcceptedAnswer),
        StatusProblems
    )
)]
pub(crate) async fn ask_for_outcome(request: HttpRequest, id: Path<String>, state: Data<HolderState>) -> Result<HttpResponse, Problem> {
    let wait = Wait::of(request.headers());
    let (digest, mut record) = opened(&request, &id, &state).await?;
    if let (ApplicationState::Accepted, Some(wait)) = (&record.state, wait) {
        record = await_decision(&state, digest, record.id, wait.left()).await?;
    }
    let receipts = receipts(&state, digest, &record, wait).await;
    answer(&state, &digest, record, Told { left_behind: Vec::new(), receipts, issued: StatusCode::OK, wait })
}

/// The receipts there are; where there are none, none. Nor where they cannot be made, which is logged: the certificates do not wait for
/// them, and whoever asks for the receipts alone is told.
async fn receipts(state: &HolderState, digest: Sha256Digest, record: &ApplicationRecord, wait: Option<Wait>) -> Vec<Receipt> {
    if !matches!(record.state, ApplicationState::Issued { .. }) {
        return Vec::new();
    }
    match receipts_of(state, digest, record, wait).await {
        Ok(Receipts::There(receipts)) => receipts,
        Ok(Receipts::NotYet | Receipts::None | Receipts::Purged) | Err(_) => Vec::new(),
    }
}

/// The application of this id, if the request has its token.
pub(super) async fn opened(request: &HttpRequest, id: &str, state: &HolderState) -> Result<(Sha256Digest, ApplicationRecord), Problem> {
    let presented = request.headers().get(TOKEN_HEADER).and_then(|value| value.to_str().ok()).and_then(Ticket::from_text);
    let (Some(digest), Some(ticket)) = (Sha256Digest::from_hex(id), presented) else {
        return Err(unknown());
    };
    match look(state, digest).await? {
        Some(record) if ticket.opens(&record.ticket_hash) => Ok((digest, record)),
        _ => Err(unknown()),
    }
}

/// One answer for a wrong name and a wrong token: neither tells of the other.
fn unknown() -> Problem {
    Problem::new("application_unknown", "There is no such application, or the token is not its.")
}

/// Commits the application with its evidence; two that arrive at once with the same octets become one.
async fn accept(state: &HolderState, application: &VerifiedApplication) -> Result<ApplicationId, Problem> {
    let begin = Instant::now();
    let now = state.clock.now();
    let digest = application.digest();
    let new = NewApplication::new(application, Ticket::of(&state.challenge_key, &digest).hash());
    let accepted = state.reception.writer.submit(move |transaction| transaction.accept_application(&new, now)).await;
    metrics::histogram!("tsunagi_application_step_seconds", "step" => "commit").record(begin.elapsed().as_secs_f64());
    match accepted {
        Ok(Acceptance::Accepted(id) | Acceptance::Existing(id)) => Ok(id),
        Err(WriteError::Refused(refusal @ AcceptRefusal::ChallengeSpent)) => {
            state.reception.leave_event(digest, "challenge_spent", now);
            Err(Problem::refusal(&refusal))
        }
        Err(WriteError::Fault(fault)) => Err(store::problem("accepting an application", &fault)),
    }
}

/// Waits for the decision, for `patience` at most; tells what there is then.
pub(super) async fn await_decision(
    state: &HolderState,
    digest: Sha256Digest,
    id: ApplicationId,
    patience: Duration,
) -> Result<ApplicationRecord, Problem> {
    let begin = Instant::now();
    state.decisions.wait(Undecided::Application(id), patience).await;
    metrics::histogram!("tsunagi_application_step_seconds", "step" => "decision").record(begin.elapsed().as_secs_f64());
    // Whatever the events said: the store has the last word.
    look(state, digest).await?.ok_or_else(|| Problem::fault("looking for an accepted application", &store::Vanished))
}

/// What is known of the certificates that an earlier owner left in the phone.
async fn look_left_behind(state: &HolderState, named: Vec<NamedCertificate>) -> Result<Vec<LeftBehindAnswer>, Problem> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let reader = state.reception.reader.clone();
    let look = move |certificate: NamedCertificate| {
        let found = reader.certificate_detail(Some(certificate.kind), &certificate.serial)?;
        let ended = found.as_ref().is_some_and(|found| !found.summary.state.stands());
        Ok(LeftBehindAnswer { kind: certificate.kind.as_str(), serial: certificate.serial.to_string(), ours: found.is_some(), ended })
    };
    store::look("looking for certificates left behind", move || named.into_iter().map(look).collect()).await
}

async fn look(state: &HolderState, digest: Sha256Digest) -> Result<Option<ApplicationRecord>, Problem> {
    let reader = state.reception.reader.clone();
    store::look("looking for an application", move || reader.application_by_digest(&digest)).await
}

/// What an answer tells besides the application's state.
struct Told {
    left_behind: Vec<LeftBehindAnswer>,
    receipts: Vec<Receipt>,
    /// The status that says that the certificates are there.
    issued: StatusCode,
    wait: Option<Wait>,
}

fn answer(state: &HolderState, digest: &Sha256Digest, record: ApplicationRecord, told: Told) -> Result<HttpResponse, Problem> {
    let ticket = Ticket::of(&state.challenge_key, digest);
    match record.state {
        ApplicationState::Issued { certificates } => {
            let issued_answer = IssuedAnswer {
                application_id: digest.to_string(),
                state: "issued",
                certificates: certificates.iter().map(CertificateAnswer::from).collect(),
                receipts: told.receipts,
                device: record.device,
                left_behind: told.left_behind,
                token: ticket.to_text(),
            };
            let mut response = HttpResponse::build(told.issued);
            apply_preference(&mut response, told.wait);
            Ok(response.json(ApplicationAnswer::Issued(issued_answer)))
        }
        ApplicationState::Refused { code, detail } => Err(Problem::new(code, detail)),
        ApplicationState::Accepted => {
            let accepted = AcceptedAnswer::new(digest, &ticket);
            let mut response = HttpResponse::Accepted();
            apply_preference(&mut response, told.wait);
            response.insert_header((LOCATION, accepted.status_url.clone())).insert_header((RETRY_AFTER, "1"));
            Ok(response.json(ApplicationAnswer::Accepted(accepted)))
        }
    }
}
