//! Why an instruction is refused before its subject matter is looked at.

use crate::application::challenge::ChallengeRefusal;
use crate::application::request::RequestRefusal;
use crate::card::path::CardRefusal;
use crate::instruction::operator::{IdentityRefusal, Role};
use crate::message::MessageRefusal;
use crate::refusal::Refusal;

/// Why an instruction is refused: the first thing that failed, in the order of the steps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstructionRefusal {
    /// Larger than an instruction can be.
    #[error("the instruction is larger than {limit} octets")]
    TooLarge {
        /// In octets.
        limit: usize,
    },
    /// The signed message.
    #[error(transparent)]
    Message(#[from] MessageRefusal),
    /// The signer's certificate is no smartphone certificate of ours, and no card certificate that counts.
    #[error(transparent)]
    Card(#[from] CardRefusal),
    /// The signer's certificate cannot be read.
    #[error("the signer's certificate is not an X.509 version 3 certificate in DER with a supported key")]
    SignerMalformed,
    /// No CA that is trusted here issued the signer's certificate, or not for this.
    #[error("the signer's certificate was not issued by a CA whose certificates may sign such instructions")]
    SignerUnknown,
    /// The signer's certificate is not valid now.
    #[error("the signer's certificate is not valid at this time")]
    SignerExpired,
    /// The signer's certificate is not for signing.
    #[error("the signer's certificate has no key usage digitalSignature")]
    SignerKeyUsage,
    /// An operator's certificate names no operator.
    #[error(transparent)]
    SignerIdentity(#[from] IdentityRefusal),
    /// Not the JSON object that it should be; the text says where it goes wrong without repeating what stands there.
    #[error("the instruction is not as it must be (line {line}, column {column})")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Another type of statement, or another version.
    #[error("the statement's type is not \"{expected}\"")]
    Type {
        /// The type that is expected here.
        expected: &'static str,
    },
    /// Made for another registration authority.
    #[error("the instruction was made for another registration authority")]
    Audience,
    /// The challenge.
    #[error(transparent)]
    Challenge(#[from] ChallengeRefusal),
    /// Not for this signer: a phone speaks for itself alone, a card for all of the holder's certificates.
    #[error("this is not for this signer: a phone ends its own certificates and tells its push token, a card ends all")]
    Action,
    /// Not for an operator of this role.
    #[error("this is not for the role {role}")]
    Role {
        /// The operator's.
        role: Role,
    },
    /// A report of a compromised key that does not prove possession of it.
    #[error(transparent)]
    Report(RequestRefusal),
    /// A certification request with another subject: it was not made as a report.
    #[error("the subject of a report is the one common name \"{}\"", crate::instruction::key_report::KEY_REPORT_SUBJECT)]
    ReportSubject,
}

impl Refusal for InstructionRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "instruction_too_large",
            Self::Message(refusal) => refusal.code(),
            Self::Card(refusal) => refusal.code(),
            Self::SignerMalformed => "signer_malformed",
            Self::SignerUnknown => "signer_unknown",
            Self::SignerExpired => "signer_expired",
            Self::SignerKeyUsage => "signer_key_usage",
            Self::SignerIdentity(refusal) => refusal.code(),
            Self::Malformed { .. } => "instruction_malformed",
            Self::Type { .. } => "statement_type",
            Self::Audience => "statement_audience",
            Self::Challenge(refusal) => refusal.code(),
            Self::Action => "instruction_action",
            Self::Role { .. } => "role_not_allowed",
            Self::Report(refusal) => refusal.code(),
            Self::ReportSubject => "key_report_subject",
        }
    }
}
