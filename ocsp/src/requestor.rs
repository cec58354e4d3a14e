//! Who may ask, where that is not everybody.

use ca_core::instruction::operator::{OperatorAuthorities, Role};
use ca_core::ocsp::OcspRequest;
use chrono::{DateTime, Utc};

use crate::question::QuestionRefusal;

/// Verifiers: whoever has a certificate of a verifier, issued by a CA of the operators.
///
/// In Japan's public key infrastructure a verifier must be authorised to ask. Such a verifier signs its requests (RFC 6960 section 4.1.2).
#[derive(Debug, Clone)]
pub struct Requestors(OperatorAuthorities);

impl Requestors {
    /// Those whom `authorities` vouch for.
    pub fn new(authorities: OperatorAuthorities) -> Self {
        Self(authorities)
    }

    /// Lets a request pass that a verifier signed.
    ///
    /// # Errors
    /// [`QuestionRefusal::Unsigned`], [`QuestionRefusal::Requestor`], [`QuestionRefusal::NoVerifier`]
    pub fn admit(&self, request: &OcspRequest, now: DateTime<Utc>) -> Result<(), QuestionRefusal> {
        if request.optional_signature().is_none() {
            return Err(QuestionRefusal::Unsigned);
        }
        let asker = request.verify_signature()?.asker(&self.0, now)?;
        if asker.role == Role::Verifier { Ok(()) } else { Err(QuestionRefusal::NoVerifier) }
    }
}
