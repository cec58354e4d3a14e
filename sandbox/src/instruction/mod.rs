//! Signed instructions: what a person wants changed, as CMS SignedData over a statement in JSON.

mod decision;
mod deviation;

use der::asn1::ObjectIdentifier;
use serde::Serialize;
use serde_json::{Value, json};

pub use decision::Decision;
pub(crate) use decision::{await_decision, is_undecided};
pub use deviation::{InstructionDeviation, build_deviating_instruction};

use crate::card::{CardSide, CmsFault, SignedMessage, sign_with};
use crate::keys::Key;
use crate::oids;

/// A certificate, DER, and the key that is to sign: its own, unless something is to be wrong.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The certificate.
    pub certificate: &'a [u8],
    /// The key.
    pub key: &'a Key,
}

impl<'a> From<&'a CardSide> for Signer<'a> {
    fn from(side: &'a CardSide) -> Self {
        Self { certificate: &side.certificate, key: &side.key }
    }
}

/// An instruction before it is signed.
#[derive(Debug, Clone)]
pub struct Instruction {
    /// eContentType.
    pub content_type: ObjectIdentifier,
    /// The statement.
    pub statement: Value,
}

impl Instruction {
    /// A holder's.
    pub fn of_holder(audience: &str, challenge: &str, action: &impl Serialize) -> Self {
        Self::new(oids::HOLDER_INSTRUCTION_CONTENT_TYPE, "tsunagi.holder-instruction.v1", audience, challenge, action)
    }

    /// An operator's.
    pub fn of_operator(audience: &str, challenge: &str, action: &impl Serialize) -> Self {
        Self::new(oids::OPERATOR_INSTRUCTION_CONTENT_TYPE, "tsunagi.operator-instruction.v1", audience, challenge, action)
    }

    /// Has it signed: CMS, DER.
    pub fn sign(&self, signer: Signer<'_>) -> Result<Vec<u8>, CmsFault> {
        let message = SignedMessage::of_type(self.content_type, self.statement.to_string().into_bytes());
        sign_with(&message, &[(signer.certificate, signer.key)])
    }

    fn new(content_type: ObjectIdentifier, statement_type: &str, audience: &str, challenge: &str, action: &impl Serialize) -> Self {
        // An action of strings and numbers always becomes JSON; a null would be refused.
        let action = serde_json::to_value(action).unwrap_or_default();
        let statement = json!({ "type": statement_type, "audience": audience, "challenge": challenge, "do": action });
        Self { content_type, statement }
    }
}
