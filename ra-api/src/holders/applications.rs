//! `POST /v1/applications` and `GET /v1/applications/{id}`.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, LOCATION, RETRY_AFTER};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use ca_core::application::ApplicationId;
use ca_core::application::verified::VerifiedApplication;
use ca_core::digest::Sha256Digest;
use schema::WriteError;
use schema::application::{AcceptRefusal, Acceptance, ApplicationRecord, ApplicationState, NewApplication};

use super::HolderState;
use super::answer::{AcceptedAnswer, ApplicationAnswer, IssuedAnswer};
use super::reception::{Received, store_problem};
use super::ticket::Ticket;
use crate::edge::BoundedBody;
use crate::problem::{ApplicationProblems, Problem, StatusProblems};

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
    request_body(content = Vec<u8>, content_type = "application/cms", description = "The application in DER; at most 64 KiB."),
    responses(
        (status = 201, description = "The certificates are issued.", body = IssuedAnswer),
        (status = 202, description = "Accepted; the CA has not decided yet. `Location` says where to ask.", body = AcceptedAnswer),
        ApplicationProblems
    )
)]
pub(crate) async fn apply(request: HttpRequest, payload: Payload, state: Data<HolderState>) -> Result<HttpResponse, Problem> {
    let bounds = BoundedBody { content_type: "application/cms", octets: state.application_octets, timeout: state.body_timeout };
    let octets = bounds.read(&request, payload).await?;
    let reception = state.reception.clone();
    let received =
        web::block(move || reception.receive(octets)).await.map_err(|error| Problem::fault("receiving an application", &error))??;
    let (digest, id) = match received {
        Received::Known(digest, record) => match record.state {
            ApplicationState::Accepted => (digest, record.id),
            _ => return answer(&state, &digest, record, StatusCode::CREATED),
        },
        Received::Verified(application) => (application.digest(), accept(&state, &application).await?),
    };
    await_decision(&state, digest, id).await
}

/// Tells what has become of an application.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}",
    tag = "holders",
    operation_id = "askForOutcome",
    params(
        ("id" = String, Path, description = "The SHA-256 of the application's octets, in hexadecimal."),
        ("Tsunagi-Application-Token" = String, Header, description = "The token of the answer that accepted it.")
    ),
    responses(
        (status = 200, description = "The certificates are issued.", body = IssuedAnswer),
        (status = 202, description = "The CA has not decided yet.", body = AcceptedAnswer),
        StatusProblems
    )
)]
pub(crate) async fn ask_for_outcome(request: HttpRequest, id: Path<String>, state: Data<HolderState>) -> Result<HttpResponse, Problem> {
    let presented = request.headers().get(TOKEN_HEADER).and_then(|value| value.to_str().ok()).and_then(Ticket::from_text);
    let (Some(digest), Some(ticket)) = (Sha256Digest::from_hex(&id), presented) else {
        return Err(unknown());
    };
    match look(&state, digest).await? {
        Some(record) if ticket.opens(&record.ticket_hash) => answer(&state, &digest, record, StatusCode::OK),
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
        Err(WriteError::Fault(fault)) => Err(store_problem("accepting an application", &fault)),
    }
}

async fn await_decision(state: &HolderState, digest: Sha256Digest, id: ApplicationId) -> Result<HttpResponse, Problem> {
    let begin = Instant::now();
    state.decisions.wait(id, state.decision_wait).await;
    metrics::histogram!("tsunagi_application_step_seconds", "step" => "decision").record(begin.elapsed().as_secs_f64());
    // Whatever the events said: the store has the last word.
    let record = look(state, digest).await?.ok_or_else(|| Problem::fault("looking for an accepted application", &Vanished))?;
    answer(state, &digest, record, StatusCode::CREATED)
}

async fn look(state: &HolderState, digest: Sha256Digest) -> Result<Option<ApplicationRecord>, Problem> {
    let reader = state.reception.reader.clone();
    let record = web::block(move || reader.application_by_digest(&digest))
        .await
        .map_err(|error| Problem::fault("looking for an application", &error))?;
    record.map_err(|fault| store_problem("looking for an application", &fault))
}

fn answer(state: &HolderState, digest: &Sha256Digest, record: ApplicationRecord, issued: StatusCode) -> Result<HttpResponse, Problem> {
    match record.state {
        ApplicationState::Issued { certificates } => {
            let certificates = certificates.iter().map(|certificate| (certificate.kind, &certificate.serial, certificate.der.as_slice()));
            Ok(HttpResponse::build(issued).json(ApplicationAnswer::Issued(IssuedAnswer::new(digest, certificates))))
        }
        ApplicationState::Refused { code, detail } => Err(Problem::new(code, detail)),
        ApplicationState::Accepted => {
            let accepted = AcceptedAnswer::new(digest, &Ticket::of(&state.challenge_key, digest));
            Ok(HttpResponse::Accepted()
                .insert_header((LOCATION, accepted.status_url.clone()))
                .insert_header((RETRY_AFTER, "1"))
                .json(ApplicationAnswer::Accepted(accepted)))
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it is not in the store")]
struct Vanished;
