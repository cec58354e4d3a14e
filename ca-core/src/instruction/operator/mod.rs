//! Operators: who they are, what they may do, and the instructions that they sign.

mod authority;
mod export;
mod identity;
mod role;
mod what;

pub use authority::{OperatorAuthorities, OperatorAuthorityFault};
pub use export::{AuditExport, Bound, RecordFormat};
pub use identity::{IdentityRefusal, OperatorIdentity};
pub use role::{Action, Role, UnknownRole};
pub use what::{MassChange, MassInstruction, OperatorInstruction, ScheduleName, Scope, Target, Ticket};

use crate::application::challenge::Challenge;
use crate::digest::Sha256Digest;
use crate::instruction::OPERATOR_CONTENT_TYPE;
use crate::message;
use crate::signer::{Signer, SignerFault};

/// The `type` of the statement that this version understands.
pub const STATEMENT_TYPE: &str = "tsunagi.operator-instruction.v1";

/// Signs an operator's statement (JSON), as the operator: an instruction in DER, with the operator's `certificate` (DER) in it.
pub fn sign(statement: &[u8], certificate: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, SignerFault> {
    message::sign(statement, OPERATOR_CONTENT_TYPE, certificate, signer)
}

/// An operator's instruction, of which message, signer, role, statement and the challenge's form are in order.
#[derive(Debug, Clone)]
pub struct SignedOperatorInstruction {
    pub(super) digest: Sha256Digest,
    pub(super) operator: OperatorIdentity,
    pub(super) key_sha256: Sha256Digest,
    pub(super) challenge: Challenge,
    pub(super) instruction: OperatorInstruction,
}

impl SignedOperatorInstruction {
    /// What the instruction is called everywhere.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Who signed it, in a role that may.
    pub fn operator(&self) -> &OperatorIdentity {
        &self.operator
    }

    /// The SHA-256 of the operator's SubjectPublicKeyInfo in DER: two persons have two keys.
    pub fn key_sha256(&self) -> Sha256Digest {
        self.key_sha256
    }

    /// The challenge it answers; its age is still to be checked.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// What is asked for.
    pub fn instruction(&self) -> &OperatorInstruction {
        &self.instruction
    }
}

#[cfg(test)]
mod tests;
