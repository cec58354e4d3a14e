//! The CA keys we speak for.

use ca_core::issuer::{CaKey, CaKeyId};
use ca_core::ocsp::{CertId, CertIdHash};

use crate::question::{Question, QuestionRefusal};
use crate::responder::Responder;

/// One CA key, and who answers for it.
pub struct Authority {
    ca_key: CaKeyId,
    /// Hash, hash of the name, hash of the key: a row for each hash that an asker may use.
    identifiers: [(CertIdHash, Vec<u8>, Vec<u8>); 2],
    responder: Option<Responder>,
}

impl Authority {
    /// A CA key, with the responder it appointed if there is a valid one.
    pub fn new(ca_key: &CaKey, responder: Option<Responder>) -> Self {
        let identifier = |hash: CertIdHash| (hash, hash.digest(ca_key.subject_name_der()), hash.digest(ca_key.subject_public_key()));
        let identifiers = [identifier(CertIdHash::Sha1), identifier(CertIdHash::Sha256)];
        Self { ca_key: ca_key.id(), identifiers, responder }
    }

    /// Which CA key.
    pub fn ca_key(&self) -> CaKeyId {
        self.ca_key
    }

    /// Who answers for it.
    pub fn responder(&self) -> Option<&Responder> {
        self.responder.as_ref()
    }

    /// Whether the certificate was issued by this key, going by the identifier: name *and* key, since all generations of a CA
    /// bear the same name.
    pub fn issued(&self, certificate: &CertId) -> bool {
        let Some(asked) = certificate.hash() else { return false };
        self.identifiers.iter().any(|(hash, name, key)| {
            *hash == asked && name == certificate.issuer_name_hash.as_bytes() && key == certificate.issuer_key_hash.as_bytes()
        })
    }
}

/// Every CA key we speak for: a handful.
#[derive(Default)]
pub struct Authorities(pub Vec<Authority>);

impl Authorities {
    /// The one CA key that a question is about.
    ///
    /// # Errors
    /// [`QuestionRefusal::OtherIssuer`] and [`QuestionRefusal::SeveralIssuers`]
    pub fn of_question(&self, question: &Question) -> Result<&Authority, QuestionRefusal> {
        let mut found: Option<&Authority> = None;
        for certificate in question.certificates() {
            let authority = self.0.iter().find(|authority| authority.issued(certificate)).ok_or(QuestionRefusal::OtherIssuer)?;
            if found.is_some_and(|other| other.ca_key != authority.ca_key) {
                return Err(QuestionRefusal::SeveralIssuers);
            }
            found = Some(authority);
        }
        found.ok_or(QuestionRefusal::Empty)
    }
}
