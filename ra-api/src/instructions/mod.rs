//! Signed instructions, on both listeners: `POST /v1/instructions` and `GET /v1/instructions/{id}`.
//!
//! The RA checks what it can and stores what passes; the CA role verifies it again and carries it out. So the answer waits for
//! its decision, as that to an application does.

mod answer;
mod listing;
mod reception;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use ca_core::clock::Clock;
use ca_core::digest::Sha256Digest;
use ca_core::instruction::operator::SignedOperatorInstruction;
use ca_core::instruction::{InstructionVerifier, UnverifiedInstruction};
use schema::instruction::{InstructionForm, InstructionRecord, InstructionState, NewInstruction};
use schema::{Reader, Writer};

pub(crate) use answer::{InstructionAnswer, MassView, SignerView};
pub(crate) use listing::{ListingDesk, OwnCertificate, OwnCertificates};
pub(crate) use reception::{Received, Side};

use crate::challenges::ChallengeDesk;
use crate::decisions::{Decisions, Undecided};
use crate::edge::BoundedBody;
use crate::problem::{InstructionProblems, InstructionStatusProblems, Problem};
use crate::store;

/// Takes instructions in on one listener.
pub(crate) struct InstructionDesk {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) verifier: Arc<InstructionVerifier>,
    pub(crate) challenges: Arc<ChallengeDesk>,
    pub(crate) decisions: Decisions,
    pub(crate) side: Side,
    pub(crate) octets: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) decision_wait: Duration,
}

/// Receives an instruction: a CMS SignedData (RFC 5652), signed by the holder's phone or card, or on the operators' listener by
/// an operator.
///
/// Waits some seconds for the CA's decision. The same octets sent again get the same answer, and nothing is done twice.
#[utoipa::path(
    post,
    path = "/v1/instructions",
    tags = ["holders", "operators"],
    operation_id = "instruct",
    security((), ("operator" = ["call-centre", "administrator", "auditor"])),
    request_body(content = Vec<u8>, content_type = "application/cms", description = "The instruction in DER; at most 32 KiB."),
    responses(
        (status = 200, description = "It is done.", body = InstructionAnswer),
        (
            status = 202,
            description = "The CA has not decided yet, or another administrator must approve. `Location` says where to ask.",
            body = InstructionAnswer
        ),
        InstructionProblems
    )
)]
pub(crate) async fn instruct(request: HttpRequest, payload: Payload, desk: Data<InstructionDesk>) -> Result<HttpResponse, Problem> {
    let bounds = BoundedBody { content_type: "application/cms", octets: desk.octets, timeout: desk.body_timeout };
    let octets = bounds.read(&request, payload).await?;
    let receiving = Arc::clone(&desk);
    let received =
        web::block(move || receiving.receive(octets)).await.map_err(|error| Problem::fault("receiving an instruction", &error))??;
    desk.settle(received).await
}

/// Tells what has become of an instruction.
#[utoipa::path(
    get,
    path = "/v1/instructions/{id}",
    tags = ["holders", "operators"],
    operation_id = "askForInstruction",
    security((), ("operator" = ["call-centre", "administrator", "auditor"])),
    params(("id" = String, Path, description = "The SHA-256 of the instruction's octets, in hexadecimal.")),
    responses(
        (status = 200, description = "It is done.", body = InstructionAnswer),
        (status = 202, description = "The CA has not decided yet, or another administrator must approve.", body = InstructionAnswer),
        InstructionStatusProblems
    )
)]
pub(crate) async fn ask_for_instruction(id: Path<String>, desk: Data<InstructionDesk>) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::new("instruction_unknown", "There is no such instruction.");
    let digest = Sha256Digest::from_hex(&id).ok_or_else(unknown)?;
    match desk.look(digest).await? {
        Some(record) if desk.shows(&record) => {
            let signed = desk.read_again(Some(digest)).await?;
            let approval = desk.read_again(record.approved_by).await?;
            answer::answer_with(&digest, record.state, |answer| InstructionAnswer {
                signed_by: signed.as_ref().map(SignerView::from),
                mass: signed.as_ref().and_then(MassView::of),
                approved_by: approval.as_ref().map(SignerView::from),
                ..answer
            })
        }
        _ => Err(unknown()),
    }
}

impl InstructionDesk {
    /// Answers what was received; what is new is stored first, and its decision waited for.
    pub(crate) async fn settle(&self, received: Received) -> Result<HttpResponse, Problem> {
        match received {
            Received::Answered(digest, outcome) => Ok(HttpResponse::Ok().json(InstructionAnswer::done(&digest, outcome))),
            Received::Known(digest, record) if is_decided(&record) => answer::answer(&digest, record.state),
            Received::Known(digest, _) => self.await_decision(digest).await,
            Received::Verified(new) => {
                let (digest, now) = (new.digest, self.clock.now());
                self.accept(new, now).await?;
                self.await_decision(digest).await
            }
        }
    }

    async fn accept(&self, new: NewInstruction, now: chrono::DateTime<chrono::Utc>) -> Result<(), Problem> {
        let stored = self.writer.submit(move |transaction| transaction.receive_instruction(&new, now)).await;
        stored.map(drop).map_err(|fault| store::problem("storing an instruction", &fault))
    }

    async fn await_decision(&self, digest: Sha256Digest) -> Result<HttpResponse, Problem> {
        let begin = Instant::now();
        self.decisions.wait(Undecided::Instruction(digest), self.decision_wait).await;
        metrics::histogram!("tsunagi_instruction_decision_seconds").record(begin.elapsed().as_secs_f64());
        // Whatever the events said: the store has the last word.
        let record = self.look(digest).await?.ok_or_else(|| Problem::fault("looking for a stored instruction", &store::Vanished))?;
        answer::answer(&digest, record.state)
    }

    async fn look(&self, digest: Sha256Digest) -> Result<Option<InstructionRecord>, Problem> {
        let reader = self.reader.clone();
        store::look("looking for an instruction", move || reader.instruction(&digest)).await
    }

    /// For operators, an operator's instruction out of its stored message, verified once more as of the time when it came.
    async fn read_again(&self, digest: Option<Sha256Digest>) -> Result<Option<SignedOperatorInstruction>, Problem> {
        let (Some(digest), Side::Operators) = (digest, &self.side) else { return Ok(None) };
        let (reader, verifier) = (self.reader.clone(), Arc::clone(&self.verifier));
        store::look("reading an instruction again", move || {
            let stored = reader.stored_instruction(&digest)?.filter(|stored| stored.form == InstructionForm::Operator);
            let signed = stored.and_then(|stored| {
                let message = UnverifiedInstruction::from_bytes(stored.message).ok()?;
                verifier.verify_operator(&message, stored.received_at).ok()
            });
            Ok(signed.filter(|signed| signed.digest() == digest))
        })
        .await
    }

    /// What operators instructed is for operators to ask about.
    fn shows(&self, record: &InstructionRecord) -> bool {
        matches!(self.side, Side::Operators) || record.form != InstructionForm::Operator
    }
}

fn is_decided(record: &InstructionRecord) -> bool {
    record.state != InstructionState::Waiting
}
