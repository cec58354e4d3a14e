//! The responder as a whole: octets in, octets out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ca_core::clock::Clock;
use ca_core::issuer::CaKeyId;
use ca_core::ocsp::{OcspResponse, OcspResponseStatus};
use ca_core::refusal::Refusal;
use ca_core::serial::SerialNumber;
use ca_core::signer::Signer;
use chrono::{DateTime, TimeDelta, Utc};
use schema::{Reader, StoreFault};

use crate::answer::{Answer, answer};
use crate::fault::AnswerFault;
use crate::question::{Question, QuestionRefusal};
use crate::registry::Registry;
use crate::settings::{OcspSettings, SettingsRefusal};
use crate::source::{IssuedStatus, StatusSource};

/// Answers questions from the store. Its methods block; share it behind an `Arc`.
pub struct OcspService {
    settings: OcspSettings,
    registry: Registry,
    source: StoredStatus,
    clock: Arc<dyn Clock>,
    in_flight: Arc<AtomicUsize>,
}

/// What is sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The OCSPResponse.
    pub der: Vec<u8>,
    /// For an answer that others may be given too: from when until when it holds.
    pub repeatable: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl OcspService {
    /// A responder that reads the store and signs with `responder_keys`, for whichever CA keys have issued them a certificate.
    ///
    /// # Errors
    /// If the settings do not pass.
    pub fn new(
        settings: OcspSettings,
        reader: Reader,
        responder_keys: Vec<Arc<dyn Signer>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsRefusal> {
        settings.check()?;
        let refresh = TimeDelta::seconds(i64::from(settings.refresh_seconds));
        Ok(Self {
            settings,
            registry: Registry::new(reader.clone(), responder_keys, refresh),
            source: StoredStatus(reader),
            clock,
            in_flight: Arc::default(),
        })
    }

    /// The settings.
    pub fn settings(&self) -> &OcspSettings {
        &self.settings
    }

    /// Lets a request in, if there are not too many already. Whoever has a queue before [`OcspService::reply`] asks before queueing,
    /// and keeps what is returned until the reply is there.
    pub fn admit(&self) -> Option<Admitted> {
        let admitted = Admitted::count(&self.in_flight);
        (self.in_flight.load(Ordering::Relaxed) <= self.settings.max_in_flight).then_some(admitted)
    }

    /// The reply to a request that was not let in.
    pub fn busy_reply(&self) -> Reply {
        self.fault_reply(&AnswerFault::Busy)
    }

    /// Answers a request in DER. Always with an OCSPResponse, whatever goes wrong.
    pub fn reply(&self, request: &[u8]) -> Reply {
        let question = match Question::from_der(request, &self.settings) {
            Ok(question) => question,
            Err(refusal) => return self.refusal_reply(&refusal),
        };
        // Before the status is read, so that thisUpdate never claims more than was looked at.
        let now = self.clock.now();
        let Some(authorities) = self.registry.authorities(now) else { return self.fault_reply(&AnswerFault::NotReady) };
        let authority = match authorities.of_question(&question) {
            Ok(authority) => authority,
            Err(refusal) => return self.refusal_reply(&refusal),
        };
        match answer(&question, authority, &self.source, now, self.settings.answer_life()) {
            Ok(answer) => Self::answer_reply(answer),
            Err(fault) => self.fault_reply(&fault),
        }
    }

    /// The reply to a request that did not get as far as being read.
    pub fn refusal_reply(&self, refusal: &QuestionRefusal) -> Reply {
        count(refusal.status(), refusal.code());
        Reply { der: OcspResponse::unsuccessful_der(refusal.status()).to_vec(), repeatable: None }
    }

    /// Whether there is a valid responder for each CA key, and the store can be read. Blocks.
    ///
    /// # Errors
    /// What is missing.
    pub fn ready(&self) -> Result<(), AnswerFault> {
        let now = self.clock.now();
        let authorities = self.registry.authorities(now).ok_or(AnswerFault::NotReady)?;
        let valid = |authority: &crate::authority::Authority| authority.responder().is_some_and(|responder| responder.is_valid_at(now));
        if authorities.0.is_empty() || !authorities.0.iter().all(valid) {
            return Err(AnswerFault::NoResponder);
        }
        self.source.0.position().map(|_| ()).map_err(|fault| AnswerFault::Source(Box::new(fault)))
    }

    fn answer_reply(answer: Answer) -> Reply {
        count(OcspResponseStatus::Successful, "");
        for (status, number) in ["good", "revoked", "unknown"].into_iter().zip(answer.counts) {
            if number > 0 {
                metrics::counter!("tsunagi_ocsp_statuses_total", "status" => status).increment(number);
            }
        }
        let repeatable = Some((answer.this_update, answer.next_update)).filter(|_| !answer.has_nonce);
        Reply { der: answer.der, repeatable }
    }

    fn fault_reply(&self, fault: &AnswerFault) -> Reply {
        count(fault.status(), fault.code());
        tracing::error!(fault = fault as &dyn std::error::Error, "no OCSP answer");
        Reply { der: OcspResponse::unsuccessful_der(fault.status()).to_vec(), repeatable: None }
    }
}

fn count(status: OcspResponseStatus, code: &'static str) {
    metrics::counter!("tsunagi_ocsp_responses_total", "status" => status.as_str(), "code" => code).increment(1);
}

/// A request that was let in: counted until this is dropped.
#[derive(Debug)]
pub struct Admitted(Arc<AtomicUsize>);

impl Admitted {
    fn count(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The status as the store has it.
pub struct StoredStatus(pub Reader);

impl StatusSource for StoredStatus {
    type Fault = StoreFault;

    fn statuses(&self, ca_key: CaKeyId, serials: &[SerialNumber]) -> Result<Vec<Option<IssuedStatus>>, StoreFault> {
        let found = match serials {
            [one] => vec![self.0.certificate_status(ca_key, one)?],
            many => self.0.certificate_statuses(ca_key, many)?,
        };
        Ok(found
            .into_iter()
            .map(|status| status.map(|status| status.revocation.map_or(IssuedStatus::NotRevoked, IssuedStatus::Revoked)))
            .collect())
    }
}
