//! Why there is no answer, and it is our doing.

use std::sync::Arc;

use ca_core::ocsp::OcspResponseStatus;
use ca_core::signer::SignerFault;
use schema::StoreFault;

use crate::freshness::Distrust;

/// An answer could not be given.
#[derive(Debug, thiserror::Error)]
pub enum AnswerFault {
    /// Neither CA keys nor responder certificates could be read yet.
    #[error("the CA keys are not known yet")]
    NotReady,
    /// As many requests as allowed wait for the store.
    #[error("too many requests wait for the store")]
    Busy,
    /// The store did not answer in time.
    #[error("the store did not answer in time")]
    Slow,
    /// What the store says is not to be told.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// The store cannot be reached, and what is asked is not remembered, or was read too long ago.
    #[error("the store cannot be reached")]
    CutOff,
    /// It has run out before it was made.
    #[error("what is known is too old for an answer")]
    TooOld,
    /// The clock on the wall is behind a time that it has shown before.
    #[error("the clock went back")]
    ClockWentBack,
    /// No valid certificate of this CA key for a responder key that we hold.
    #[error("no valid responder certificate of a CA key")]
    NoResponder,
    /// The status could not be looked up.
    #[error("the status could not be looked up")]
    Source(#[source] Arc<StoreFault>),
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
            Self::SourceMiscounted { .. } | Self::Signer(_) | Self::Encoding(_) => OcspResponseStatus::InternalError,
            _ => OcspResponseStatus::TryLater,
        }
    }

    /// The same for another asker of the same lookup.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Source(fault) => Self::Source(Arc::clone(fault)),
            Self::Distrust(distrust) => Self::Distrust(*distrust),
            Self::SourceMiscounted { asked, given } => Self::SourceMiscounted { asked: *asked, given: *given },
            _ => Self::Slow,
        }
    }

    /// A word for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::Busy => "busy",
            Self::Slow => "slow",
            Self::Distrust(Distrust::Reconciling) => "reconciling",
            Self::Distrust(Distrust::WentBack) => "went_back",
            Self::CutOff => "cut_off",
            Self::TooOld => "too_old",
            Self::ClockWentBack => "clock_went_back",
            Self::NoResponder => "no_responder",
            Self::Source(_) => "source",
            Self::SourceMiscounted { .. } => "source_miscounted",
            Self::Signer(_) => "signer",
            Self::Encoding(_) => "encoding",
        }
    }
}
