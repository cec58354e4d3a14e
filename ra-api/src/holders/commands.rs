//! `GET /v1/applications/{id}/commands` and `POST …/{command}/result`: what we ask of a phone, and what it says became of it.
//!
//! Commands also go out by push; a phone that push does not reach gets them here. Whoever has the application's token may read
//! them; that a phone obeyed is believed when the phone's own key says so, which the CA role judges.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{CustomizeResponder, HttpRequest, Responder};
use ca_core::device_command::{CommandResult as SignedResult, CommandResultRefusal};
use chrono::{DateTime, Utc};
use schema::device_command::{CommandState, NewCommandResult};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HolderState;
use super::applications::opened;
use crate::edge::read_question;
use crate::problem::{CommandProblems, CommandResultProblems, Problem};
use crate::store;

/// The commands to a phone that are still open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CommandsAnswer {
    /// Oldest first.
    pub commands: Vec<CommandAnswer>,
}

/// A command to a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CommandAnswer {
    /// What it is called.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub id: String,
    /// The command: a compact JWS (RFC 7515), by one of the keys of `GET /v1/device-command-keys`. To be obeyed if that
    /// verifies, and not for what is said beside it.
    pub command: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: DateTime<Utc>,
}

/// What became of a command.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandResultBody {
    /// `done` or `failed`.
    pub result: CommandResult,
    /// The same, signed: a compact JWS with ES256 by the key that the application named as `command_key`; there is one exactly
    /// if it named one. What is not signed counts as a claim only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CommandResult {
    /// It was carried out.
    Done,
    /// It could not be.
    Failed,
}

impl CommandResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// The result is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CommandResultAnswer {
    /// The command it is about.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub command: String,
    /// `received`: the CA role will judge it.
    #[schema(example = "received")]
    pub state: &'static str,
}

/// Gives the open commands to the phone to which certificates were issued on this application. Asking changes nothing.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}/commands",
    tag = "holders",
    operation_id = "askForCommands",
    params(
        ("id" = String, Path, description = "The SHA-256 of the application's octets, in hexadecimal."),
        ("Tsunagi-Application-Token" = String, Header, description = "The token of the answer to the application.")
    ),
    responses((status = 200, description = "The commands.", body = CommandsAnswer), CommandProblems)
)]
pub(crate) async fn ask_for_commands(
    request: HttpRequest,
    id: Path<String>,
    state: Data<HolderState>,
) -> Result<Json<CommandsAnswer>, Problem> {
    let (application, _) = opened(&request, &id, &state).await?;
    let (reader, now) = (state.reception.reader.clone(), state.clock.now());
    let commands = store::look("looking for commands", move || reader.commands_of_application(&application, now)).await?;
    let commands = commands.into_iter();
    let answers = commands.map(|found| CommandAnswer { id: found.public_id, command: found.message, expires_at: found.expires_at });
    Ok(Json(CommandsAnswer { commands: answers.collect() }))
}

/// Takes a phone's word on what became of a command.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/commands/{command}/result",
    tag = "holders",
    operation_id = "tellCommandResult",
    params(
        ("id" = String, Path, description = "The SHA-256 of the application's octets, in hexadecimal."),
        ("command" = String, Path, description = "What the command is called."),
        ("Tsunagi-Application-Token" = String, Header, description = "The token of the answer to the application.")
    ),
    request_body = CommandResultBody,
    responses((status = 202, description = "The result is stored.", body = CommandResultAnswer), CommandResultProblems)
)]
pub(crate) async fn take_command_result(
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
    state: Data<HolderState>,
) -> Result<CustomizeResponder<Json<CommandResultAnswer>>, Problem> {
    let (id, command) = path.into_inner();
    let (_, application) = opened(&request, &id, &state).await?;
    let body: CommandResultBody = read_question(&request, payload, state.command_result_octets, state.body_timeout).await?;
    if !judge(&state, application.device, command.clone(), &body).await? {
        return Ok(Json(CommandResultAnswer { command, state: "received" }).customize().with_status(StatusCode::ACCEPTED));
    }
    let text = serde_json::to_string(&body).map_err(|error| Problem::fault("writing a command's result", &error))?;
    let (result, now) = (NewCommandResult { command: command.clone(), body: text, signed: body.signed.is_some() }, state.clock.now());
    let stored = state.reception.writer.submit(move |transaction| transaction.receive_command_result(&result, now));
    stored.await.map_err(|fault| store::problem("storing a command's result", &fault))?;
    Ok(Json(CommandResultAnswer { command, state: "received" }).customize().with_status(StatusCode::ACCEPTED))
}

/// Whether a result may still change what is known of the command: what cannot is not kept, so that nobody fills the store by
/// saying the same again. Refuses what is about another phone's command, and what another key signed.
async fn judge(state: &HolderState, device: Option<String>, command: String, body: &CommandResultBody) -> Result<bool, Problem> {
    let unknown = || Problem::new("command_unknown", "There is no such command to this phone.");
    let device = device.ok_or_else(unknown)?;
    let (reader, named) = (state.reception.reader.clone(), (command.clone(), device.clone()));
    let (found, key) =
        store::look("looking for a command", move || Ok((reader.device_command(&named.0)?, reader.device_command_key(&named.1)?))).await?;
    let found = found.filter(|found| found.device == device).ok_or_else(unknown)?;
    // A phone that can sign must: what it does not sign, anybody with its token could say.
    if body.signed.is_some() != key.is_some() {
        return Err(Problem::refusal(&CommandResultRefusal::Signature));
    }
    if let (Some(signed), Some(key)) = (&body.signed, &key) {
        let said = SignedResult::verify(signed, key, &command, &device).map_err(|refusal| Problem::refusal(&refusal))?;
        if said.outcome.as_str() != body.result.as_str() {
            return Err(Problem::refusal(&CommandResultRefusal::Other));
        }
    }
    Ok(match found.state {
        CommandState::Confirmed => false,
        CommandState::Failed => body.signed.is_some() && matches!(body.result, CommandResult::Done),
        CommandState::Claimed | CommandState::Expired => body.signed.is_some(),
        CommandState::Pending | CommandState::Sent => true,
    })
}
