//! Signed instructions: what a holder or an operator asks for, in a form that the CA role verifies itself, so that nobody
//! needs to believe the RA that took it in.

mod holder;
mod key_report;
pub mod operator;
mod refusal;
mod statement;
mod verifier;

use const_oid::ObjectIdentifier;

pub use holder::{CertificatesToEnd, HolderInstruction, HolderSigner, PhoneSigner, SignedHolderInstruction};
pub use key_report::KeyReport;
pub use operator::SignedOperatorInstruction;
pub use refusal::InstructionRefusal;
pub use verifier::InstructionVerifier;

use crate::digest::Sha256Digest;

/// The eContentType of a holder's instruction.
pub(crate) const HOLDER_CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.25.1953723758.2");

/// The eContentType of an operator's instruction.
pub(crate) const OPERATOR_CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.25.1953723758.3");

/// The most octets of an instruction.
pub const MAX_OCTETS: usize = 65_536;

/// The forms in which instructions come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstructionForm {
    /// CMS, signed by an operator.
    Operator,
    /// CMS, signed by a holder's phone or card.
    Holder,
    /// PKCS#10, signed with the key that it reports as compromised.
    KeyCompromise,
}

impl InstructionForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Holder, Self::KeyCompromise];

    /// The number by which the store knows it: 1, 2 and 3.
    pub const fn code(self) -> u8 {
        match self {
            Self::Operator => 1,
            Self::Holder => 2,
            Self::KeyCompromise => 3,
        }
    }

    /// The form of a number; `None` if there is none.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.code() == code)
    }
}

/// An instruction as it arrives: bytes, bounded and nothing else.
#[derive(Debug, Clone)]
pub struct UnverifiedInstruction(Vec<u8>);

impl UnverifiedInstruction {
    /// Takes what was received, unless it is too large.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, InstructionRefusal> {
        if bytes.len() > MAX_OCTETS {
            return Err(InstructionRefusal::TooLarge { limit: MAX_OCTETS });
        }
        Ok(Self(bytes))
    }

    /// What the instruction is called everywhere: the SHA-256 of its bytes.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.0)
    }

    /// The bytes as received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, to be stored.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests;
