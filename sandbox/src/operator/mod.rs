//! An operator: call centre, administrator, auditor, verifier. Signs instructions with the key of the TLS client certificate, and
//! asks what operators may ask.

mod action;
mod client;

pub use action::{HoldCause, LookupAbout, MassChange, OperatorAction, Target};
pub use client::{Operator, OperatorSettings};

use crate::card::CmsFault;
use crate::http::HttpFault;
use crate::keys::KeyFault;
use crate::phone::RaAnswer;

/// The operator did not get what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OperatorFault {
    /// The identity is no PEM of a certificate and its PKCS#8 key.
    #[error("the operator's identity is not a certificate and its key in PEM")]
    Identity,
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// Signing failed.
    #[error(transparent)]
    Cms(#[from] CmsFault),
    /// The listener was not reached.
    #[error(transparent)]
    Http(#[from] HttpFault),
    /// Refused.
    #[error("refused with status {status}, code {code}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The stable code of the problem, empty if it has none.
        code: String,
        /// Title and detail.
        detail: String,
    },
    /// The answer is not of the agreed form.
    #[error("the operators' listener's answer is not as agreed: {0}")]
    Answer(String),
    /// Not decided in time; the same instruction can be sent again.
    #[error("not decided within {seconds} seconds")]
    Undecided {
        /// How long was waited.
        seconds: u64,
    },
}

impl OperatorFault {
    /// The refusal's code, if it was one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    fn refused(answer: &RaAnswer) -> Self {
        let said = answer.text_of("detail").or_else(|| answer.text_of("title"));
        let detail = said.map_or_else(|| answer.text.chars().take(200).collect(), str::to_owned);
        Self::Refused { status: answer.status, code: answer.code().to_owned(), detail }
    }
}
