//! The problems of each operation, for the OpenAPI document: taken from the catalogue, so that the two cannot part.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::{CATALOGUE, Group, ProblemDocument};

/// The answers of an operation to which `groups` apply: one for each status, its codes in the description.
fn responses(groups: &[Group]) -> BTreeMap<String, RefOr<Response>> {
    let mut descriptions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in CATALOGUE.iter().filter(|entry| groups.contains(&entry.group)) {
        descriptions.entry(entry.status.to_string()).or_default().push(format!("`{}`: {}", entry.code, entry.title));
    }
    let schema = Ref::from_schema_name(ProblemDocument::name());
    descriptions
        .into_iter()
        .map(|(status, lines)| {
            let content = ContentBuilder::new().schema(Some(schema.clone())).build();
            let response = ResponseBuilder::new().description(lines.join("; ")).content("application/problem+json", content).build();
            (status, RefOr::T(response))
        })
        .collect()
}

macro_rules! problems {
    ($($(#[$meta:meta])* $name:ident: $($group:ident),+;)+) => {$(
        $(#[$meta])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses(&[$(Group::$group),+])
            }
        }
    )+};
}

problems! {
    /// Of `POST /v1/challenges`.
    ChallengeProblems: Edge, Challenge, Operator;
    /// Of `POST /v1/applications`.
    ApplicationProblems: Edge, Body, Signed, Request, Application;
    /// Of `GET /v1/applications/{id}`.
    StatusProblems: Edge, Signed, Request, Application, Status;
    /// Of `GET /v1/applications/{id}/receipts`.
    ReceiptProblems: Edge, Signed, Request, Application, Status, Receipt;
    /// Of `GET /v1/applications/{id}/commands`.
    CommandProblems: Edge, Status;
    /// Of `POST /v1/applications/{id}/commands/{command}/result`.
    CommandResultProblems: Edge, Body, Question, Status, Command;
    /// Of `POST /v1/instructions`.
    InstructionProblems: Edge, Body, Signed, Instruction, Operator;
    /// Of `POST /v1/key-compromises`.
    KeyCompromiseProblems: Edge, Body, Request, Instruction, KeyCompromise;
    /// Of `GET /v1/instructions/{id}`.
    InstructionStatusProblems: Edge, Signed, Request, Instruction, KeyCompromise, InstructionStatus, Operator;
    /// Of `POST /v1/card-events`.
    CardEventProblems: Edge, Body, Operator, CardEvents;
    /// Of an operator's question in JSON.
    QuestionProblems: Edge, Body, Question, Operator;
    /// Of what an operator looks at.
    LookProblems: Edge, Look, Operator;
    /// Of a file of an export.
    ExportFileProblems: Edge, Look, ExportFile, Operator;
    /// Of the figures of some time.
    FigureProblems: Edge, Look, Question, Operator;
    /// Of what says only that we live, and of the description itself.
    HealthProblems: Edge;
    /// Of `GET /health/ready`.
    ReadinessProblems: Edge, Readiness;
}
