//! The CA keys we speak for.

use std::sync::Arc;

use ca_core::issuer::{CaKey, CaKeyId};
use ca_core::ocsp::{ArchiveCutoff, CertId};
use chrono::{DateTime, Utc};
use der::Encode;

use crate::question::{Question, QuestionRefusal};
use crate::responder::Responder;

/// One CA key, and who answers for it.
pub struct Authority {
    ca_key: CaKey,
    /// Newest first.
    responders: Vec<Arc<Responder>>,
    retired: bool,
    archive_cutoff: Vec<u8>,
}

impl Authority {
    /// A CA key, with the responders that it appointed, newest first; whether all its certificates have ended and none will follow.
    ///
    /// # Errors
    /// None in practice: the beginning of a certificate's validity fits an extension.
    pub fn new(ca_key: CaKey, responders: Vec<Arc<Responder>>, retired: bool) -> der::Result<Self> {
        let archive_cutoff = ArchiveCutoff(ca_key.not_before()).to_extension()?.to_der()?;
        Ok(Self { ca_key, responders, retired, archive_cutoff })
    }

    /// Which CA key.
    pub fn id(&self) -> CaKeyId {
        self.ca_key.id()
    }

    /// Who answers for it at `now`: of the responders whose certificates are valid then, the newest. The one before goes on while a new
    /// one's time has not come.
    pub fn responder(&self, now: DateTime<Utc>) -> Option<&Responder> {
        self.responders.iter().find(|responder| responder.is_valid_at(now)).map(Arc::as_ref)
    }

    /// All of them, newest first.
    pub(crate) fn responders(&self) -> &[Arc<Responder>] {
        &self.responders
    }

    /// Whether its answers are the last: they hold for ever.
    pub fn is_retired(&self) -> bool {
        self.retired
    }

    /// The archive cutoff of answers about its ended certificates: an Extension in DER.
    pub fn archive_cutoff(&self) -> &[u8] {
        &self.archive_cutoff
    }

    /// Whether the certificate was issued by this key, going by the identifier: name *and* key, since all generations of a CA
    /// bear the same name.
    pub fn issued(&self, certificate: &CertId) -> bool {
        certificate.hash().is_some_and(|hash| {
            self.ca_key.issuer_key_hash(hash) == certificate.issuer_key_hash.as_bytes()
                && self.ca_key.issuer_name_hash(hash) == certificate.issuer_name_hash.as_bytes()
        })
    }
}

/// Every CA key we speak for: a handful.
#[derive(Default)]
pub struct Authorities(pub Vec<Arc<Authority>>);

impl Authorities {
    /// The one CA key that a question is about.
    ///
    /// # Errors
    /// [`QuestionRefusal::OtherIssuer`] and [`QuestionRefusal::SeveralIssuers`]
    pub fn of_question(&self, question: &Question) -> Result<&Arc<Authority>, QuestionRefusal> {
        let mut found: Option<&Arc<Authority>> = None;
        for certificate in question.certificates() {
            let authority = self.0.iter().find(|authority| authority.issued(certificate)).ok_or(QuestionRefusal::OtherIssuer)?;
            if found.is_some_and(|other: &Arc<Authority>| other.id() != authority.id()) {
                return Err(QuestionRefusal::SeveralIssuers);
            }
            found = Some(authority);
        }
        found.ok_or(QuestionRefusal::Empty)
    }

    /// Whether somebody answers for every CA key at `now`, and there is one.
    pub fn are_complete(&self, now: DateTime<Utc>) -> bool {
        !self.0.is_empty() && self.0.iter().all(|authority| authority.responder(now).is_some())
    }
}
