//! The JSON of a problem.

use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::CATALOGUE;

/// Problem details (RFC 9457 section 3) with two members of our own: `code` and `correlation_id`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProblemDocument {
    /// `urn:tsunagi:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:tsunagi:problem:challenge_expired")]
    pub kind: String,
    /// What the code means, in few words.
    pub title: String,
    /// The HTTP status code.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened here, for people.
    pub detail: String,
    /// What happened, for programs: a code never changes its meaning.
    #[schema(value_type = ProblemCode)]
    pub code: String,
    /// Names this exchange in our logs; also in the header `Tsunagi-Correlation-Id`.
    #[schema(example = "6f1e7c0f4a0b4f0d9c4b7d2f8f0e3a51")]
    pub correlation_id: String,
}

/// Every code there is, for the OpenAPI document.
pub(crate) struct ProblemCode;

impl PartialSchema for ProblemCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The stable code of a problem. More may come: treat an unknown one by the HTTP status."))
            .enum_values(Some(CATALOGUE.iter().map(|entry| entry.code)))
            .into()
    }
}

impl ToSchema for ProblemCode {}
