//! `GET /v1/device-command-keys`: by which phones check commands.

use actix_web::web::{Data, Json};
use ca_core::device_command::PublicJwk;
use schema::StoreFault;
use schema::command_key::CommandKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::HolderState;
use crate::problem::{HealthProblems, Problem};
use crate::store;

/// A set of keys (RFC 7517 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CommandKeysAnswer {
    /// Oldest first: phones keep commands for long.
    pub keys: Vec<CommandKeyAnswer>,
}

/// A public key on P-256 (RFC 7517 section 4, RFC 7518 section 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CommandKeyAnswer {
    /// `EC`.
    #[schema(example = "EC")]
    pub kty: &'static str,
    /// `P-256`.
    #[schema(example = "P-256")]
    pub crv: &'static str,
    /// `sig`.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    pub usage: &'static str,
    /// `ES256`.
    #[schema(example = "ES256")]
    pub alg: &'static str,
    /// The name that commands carry in their header.
    pub kid: String,
    /// The first coordinate, base64url.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    pub x: String,
    /// The second.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    pub y: String,
}

/// Gives the public keys by which commands to phones are signed.
#[utoipa::path(
    get,
    path = "/v1/device-command-keys",
    tag = "holders",
    operation_id = "listDeviceCommandKeys",
    responses((status = 200, description = "The keys: a JWK Set.", body = CommandKeysAnswer), HealthProblems)
)]
pub(crate) async fn list_command_keys(state: Data<HolderState>) -> Result<Json<CommandKeysAnswer>, Problem> {
    let reader = state.reception.reader.clone();
    let keys = store::look("reading command keys", move || reader.command_keys()?.into_iter().map(jwk).collect()).await?;
    Ok(Json(CommandKeysAnswer { keys }))
}

fn jwk(key: CommandKey) -> Result<CommandKeyAnswer, StoreFault> {
    let PublicJwk { kty, crv, alg, r#use, kid, x, y } =
        PublicJwk::new(&key.key_id, &key.public_key).ok_or(StoreFault::Corrupt("a command key"))?;
    Ok(CommandKeyAnswer { kty, crv, alg, usage: r#use, kid, x, y })
}
