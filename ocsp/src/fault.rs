//! Why there is no answer, and it is our doing.

use ca_core::ocsp::OcspResponseStatus;
use ca_core::signer::SignerFault;

/// An answer could not be given.
#[derive(Debug, thiserror::Error)]
pub enum AnswerFault {
    /// Neither CA keys nor responder certificates could be read yet.
    #[error("the CA keys are not known yet")]
    NotReady,
    /// As many requests as allowed are being answered.
    #[error("too many requests at once")]
    Busy,
    /// No valid certificate of this CA key for a responder key that we hold.
    #[error("no valid responder certificate of this CA key")]
    NoResponder,
    /// The status could not be looked up.
    #[error("the status could not be looked up")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The source answered other than it was asked.
    #[error("the source of the status gave {given} answers to {asked} questions")]
    SourceMiscounted {
        /// Asked for so many.
        asked: usize,
        /// Answered so many.
        given: usize,
    },
    /// The responder's key could not sign.
    #[error("the responder's key could not sign")]
    Signer(#[from] SignerFault),
    /// A value of ours does not fit DER.
    #[error("the answer could not be encoded")]
    Encoding(#[from] der::Error),
}

impl AnswerFault {
    /// What the asker is told: `tryLater` where waiting may help, `internalError` else.
    pub fn status(&self) -> OcspResponseStatus {
        match self {
            Self::NotReady | Self::Busy | Self::NoResponder | Self::Source(_) => OcspResponseStatus::TryLater,
            Self::SourceMiscounted { .. } | Self::Signer(_) | Self::Encoding(_) => OcspResponseStatus::InternalError,
        }
    }

    /// A word for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::Busy => "busy",
            Self::NoResponder => "no_responder",
            Self::Source(_) => "source",
            Self::SourceMiscounted { .. } => "source_miscounted",
            Self::Signer(_) => "signer",
            Self::Encoding(_) => "encoding",
        }
    }
}
