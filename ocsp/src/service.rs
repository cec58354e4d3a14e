//! The responder as a whole: octets in, octets out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ca_core::clock::Clock;
use ca_core::ocsp::{OcspResponse, OcspResponseStatus};
use ca_core::refusal::Refusal;
use ca_core::serial::SerialNumber;
use ca_core::signer::Signer;
use chrono::{DateTime, TimeDelta, Utc};
use schema::{Reader, StoreFault, Wake};

use crate::answers::{Answer, Times, answer};
use crate::authority::Authority;
use crate::cache::{Asked, Cache, Form};
use crate::fault::AnswerFault;
use crate::follower::Follower;
use crate::freshness::{Freshness, Known};
use crate::get_path::request_of_path;
use crate::lookups::{Looked, Lookup, Lookups};
use crate::metrics::{Metrics, Way};
use crate::question::{Question, QuestionRefusal};
use crate::registry::Registry;
use crate::requestor::Requestors;
use crate::settings::{OcspSettings, SettingsRefusal};
use crate::status::{Status, StatusEntry};
use crate::ticks::{SystemTicks, Ticks};

/// Answers questions from memory and from the store. Share it behind an `Arc`.
///
/// Without its threads ([`OcspService::start`]) it answers too, but reads the store for each question.
pub struct OcspService {
    settings: OcspSettings,
    registry: Registry,
    requestors: Option<Requestors>,
    cache: Arc<Cache>,
    freshness: Arc<Freshness>,
    follower: Follower,
    lookup: Lookup,
    lookups: Lookups,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    ticks: Arc<dyn Ticks>,
}

/// What is sent back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The OCSPResponse.
    pub der: Bytes,
    /// The answer, if it may be given to others too.
    pub repeatable: Option<Arc<Answer>>,
}

/// How far one comes without reading the store.
pub(crate) enum Step {
    /// To the end.
    Replied(Reply),
    /// To what must be read.
    Look(Inquiry),
}

/// A question whose answer needs the store.
pub(crate) struct Inquiry {
    question: Question,
    authority: Arc<Authority>,
    /// Those of the serial numbers asked about that a certificate can bear, in order.
    serials: Vec<SerialNumber>,
    /// The same, `None` where no certificate can bear the number.
    places: Vec<Option<usize>>,
    begun: Instant,
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
        let cache = Arc::new(Cache::new(u64::from(settings.cache_megabytes) << 20));
        let freshness = Arc::new(Freshness::new(u64::from(settings.cut_off_seconds) * 1_000));
        let metrics = Arc::new(Metrics::default());
        let (kept, fresh) = (Arc::clone(&cache), Arc::clone(&freshness));
        Ok(Self {
            registry: Registry::new(reader.clone(), responder_keys, refresh),
            requestors: None,
            follower: Follower::new(reader.clone(), Arc::clone(&kept), Arc::clone(&fresh), Arc::clone(&metrics)),
            lookup: Lookup::new(reader, kept, fresh, Arc::clone(&clock)),
            lookups: Lookups::new(settings.max_in_flight),
            settings,
            cache,
            freshness,
            metrics,
            clock,
            ticks: Arc::new(SystemTicks::start()),
        })
    }

    /// The same, answering `requestors` alone.
    pub fn for_requestors(self, requestors: Requestors) -> Self {
        Self { requestors: Some(requestors), ..self }
    }

    /// The same by other ticks than the machine's.
    pub fn by_ticks(self, ticks: Arc<dyn Ticks>) -> Self {
        Self { ticks, ..self }
    }

    /// The settings.
    pub fn settings(&self) -> &OcspSettings {
        &self.settings
    }

    /// Starts the threads that follow the store and that read what is not remembered, until `stop`. `wake` tells of commits of this
    /// process.
    ///
    /// # Errors
    /// If the system starts no more threads.
    pub fn start(self: &Arc<Self>, wake: Arc<Wake>, stop: &Arc<AtomicBool>) -> std::io::Result<Vec<JoinHandle<()>>> {
        let (service, ended) = (Arc::clone(self), Arc::clone(stop));
        let following = move || {
            while !ended.load(Ordering::Relaxed) {
                if let Err(fault) = service.look() {
                    tracing::warn!(%fault, "the store could not be followed");
                }
                service.follower.wait(&wake);
            }
        };
        let mut threads = vec![thread::Builder::new().name("ocsp-follower".to_owned()).spawn(following)?];
        for number in 1..=self.settings.lookup_threads {
            let (service, ended) = (Arc::clone(self), Arc::clone(stop));
            let working = move || service.lookups.work(&service.lookup, &ended);
            threads.push(thread::Builder::new().name(format!("ocsp-lookup-{number}")).spawn(working)?);
        }
        Ok(threads)
    }

    /// One look at what changed, and at who answers if it is time for that. Blocks.
    ///
    /// # Errors
    /// If the store could not be read.
    pub fn look(&self) -> Result<(), StoreFault> {
        let tick = self.ticks.now();
        let now = self.clock.now();
        self.follower.look(tick, now)?;
        self.registry.refresh(now);
        Ok(())
    }

    /// Somebody knows that the store went back to what it was before: while so, everything is `tryLater`.
    pub fn store_went_back(&self, went_back: bool) {
        self.freshness.store_went_back(went_back);
        self.cache.forget_everything(&self.freshness);
    }

    /// Answers a request in DER. Always with an OCSPResponse, whatever goes wrong. Blocks where the store must be read.
    pub fn reply(&self, request: &[u8]) -> Reply {
        self.registry.refresh(self.clock.now());
        let asked = Asked { form: Form::Body, octets: request };
        match self.begin(&asked) {
            Step::Replied(reply) => reply,
            Step::Look(inquiry) => {
                let looked = self.lookup.look(inquiry.authority.id(), &inquiry.serials);
                self.finish(&asked, &inquiry, looked)
            }
        }
    }

    /// Answers a question without blocking.
    pub(crate) async fn finish_later(&self, asked: Asked<'_>, inquiry: Inquiry) -> Reply {
        let looked = match self.lookups.ask(inquiry.authority.id(), inquiry.serials.clone()) {
            Ok(answered) => {
                let limit = Duration::from_millis(u64::from(self.settings.lookup_milliseconds));
                match tokio::time::timeout(limit, answered).await {
                    Ok(Ok(looked)) => looked,
                    Ok(Err(_)) | Err(_) => Err(AnswerFault::Slow),
                }
            }
            Err(fault) => Err(fault),
        };
        self.finish(&asked, &inquiry, looked)
    }

    /// As far as one comes without the store.
    pub(crate) fn begin(&self, asked: &Asked<'_>) -> Step {
        if let Some(distrust) = self.freshness.distrust() {
            return Step::Replied(self.fault_reply(&distrust.into()));
        }
        let tick = self.ticks.now();
        let now = self.clock.now();
        let known = self.freshness.known(tick, now);
        if let Some(known) = known
            && let Some(answer) = self.cache.answer(asked).filter(|answer| answer.may_be_repeated(tick, now))
        {
            self.metrics.answered(if known.cut_off { Way::CutOff } else { Way::Hot }, &answer);
            return Step::Replied(Reply { der: answer.der.clone(), repeatable: Some(answer) });
        }
        let inquiry = match self.inquiry(asked, now) {
            Ok(inquiry) => inquiry,
            Err(Refused::Refusal(refusal)) => return Step::Replied(self.refusal_reply(&refusal)),
            Err(Refused::Fault(fault)) => return Step::Replied(self.fault_reply(&fault)),
        };
        if let Some(known) = known
            && let Some(reply) = self.reply_from_memory(asked, &inquiry, known, now)
        {
            return Step::Replied(reply);
        }
        if self.freshness.is_reachable() { Step::Look(inquiry) } else { Step::Replied(self.fault_reply(&AnswerFault::CutOff)) }
    }

    /// What is asked, and of whom.
    fn inquiry(&self, asked: &Asked<'_>, now: DateTime<Utc>) -> Result<Inquiry, Refused> {
        let begun = Instant::now();
        let of_path = match asked.form {
            Form::Body => None,
            Form::Path => Some(request_of_path(asked.octets, self.settings.max_request_octets)?),
        };
        let request = Question::request(of_path.as_deref().unwrap_or(asked.octets), &self.settings)?;
        if let Some(requestors) = &self.requestors {
            requestors.admit(&request, now)?;
        }
        let question = Question::of_request(request, &self.settings)?;
        let authorities = self.registry.authorities().ok_or(AnswerFault::NotReady)?;
        let authority = Arc::clone(authorities.of_question(&question)?);
        let mut serials = Vec::with_capacity(question.certificates().len());
        let place = |serial: Option<SerialNumber>| {
            serial.map(|serial| {
                serials.push(serial);
                serials.len() - 1
            })
        };
        let places = question.certificates().iter().map(|certificate| certificate.serial()).map(place).collect();
        Ok(Inquiry { question, authority, serials, places, begun })
    }

    /// The answer to a question of which everything is remembered; else `None`.
    fn reply_from_memory(&self, asked: &Asked<'_>, inquiry: &Inquiry, known: Known, now: DateTime<Utc>) -> Option<Reply> {
        let remembered = |serial| self.cache.status(inquiry.authority.id(), serial);
        let entries: Vec<_> = inquiry.serials.iter().map(remembered).collect::<Option<_>>()?;
        let way = match (known.cut_off, self.is_personal(&inquiry.question)) {
            (true, _) => Way::CutOff,
            (false, true) => Way::Nonce,
            (false, false) => Way::Signed,
        };
        Some(self.sign(asked, inquiry, entries, (known.as_of, now), way))
    }

    /// The answer once the store was read, or was not.
    pub(crate) fn finish(&self, asked: &Asked<'_>, inquiry: &Inquiry, looked: Result<Looked, AnswerFault>) -> Reply {
        let now = self.clock.now();
        let reply = match looked {
            Ok(looked) => self.sign(asked, inquiry, looked.entries, (looked.as_of, now), Way::Cold),
            Err(fault @ (AnswerFault::Source(_) | AnswerFault::Slow | AnswerFault::Busy)) => {
                let known = self.freshness.known_when_cut_off(self.ticks.now(), now);
                let remembered = known.and_then(|known| self.reply_from_memory(asked, inquiry, known, now));
                remembered.unwrap_or_else(|| self.fault_reply(&fault))
            }
            Err(fault) => self.fault_reply(&fault),
        };
        self.metrics.cold_seconds.record(inquiry.begun.elapsed().as_secs_f64());
        reply
    }

    fn sign(
        &self,
        asked: &Asked<'_>,
        inquiry: &Inquiry,
        entries: Vec<Arc<StatusEntry>>,
        (as_of, now): (DateTime<Utc>, DateTime<Utc>),
        way: Way,
    ) -> Reply {
        let told = |place: &Option<usize>| match place {
            Some(place) => entries.get(*place).map(|entry| entry.status()),
            None => Some(Status::NEVER_ISSUED),
        };
        let statuses: Vec<Status> = inquiry.places.iter().filter_map(told).collect();
        let times = Times { now, as_of, life: self.settings.answer_life() };
        let made = match answer(&inquiry.question, &inquiry.authority, &statuses, &times, self.settings.never_issued) {
            Ok(made) => made,
            Err(fault) => return self.fault_reply(&fault),
        };
        self.metrics.answered(way, &made);
        let seconds = self.reusable_seconds(&made, &statuses, now);
        if self.is_personal(&inquiry.question) || seconds <= 0 {
            return Reply { der: made.der, repeatable: None };
        }
        let until = self.ticks.now().saturating_add(u64::try_from(seconds).unwrap_or(0) * 1_000);
        let made = Arc::new(made.to_be_repeated(entries, until));
        // Of what is dead already, or was read without anybody following the store, nothing can be kept.
        if made.is_alive() {
            self.cache.keep_answer(asked, Arc::clone(&made));
        }
        Reply { der: made.der.clone(), repeatable: Some(made) }
    }

    /// For so many seconds an answer may be given again: it is fresh enough for an HTTP cache to the end, and tells nobody too late that a
    /// certificate has ended.
    fn reusable_seconds(&self, made: &Answer, statuses: &[Status], now: DateTime<Utc>) -> i64 {
        let left = (made.next_update - now).num_seconds() - i64::from(self.settings.cache_seconds);
        let ends = statuses.iter().filter_map(|status| status.not_after).filter(|end| *end >= now);
        let to_end = ends.map(|end| (end - now).num_seconds() + 1).min().unwrap_or(i64::MAX);
        i64::from(self.settings.reuse_seconds).min(left).min(to_end)
    }

    /// Whether the answer is for this asker alone.
    fn is_personal(&self, question: &Question) -> bool {
        question.has_nonce() || self.requestors.is_some()
    }

    /// The reply to a request that did not get as far as being read.
    pub fn refusal_reply(&self, refusal: &QuestionRefusal) -> Reply {
        self.metrics.not_answered(refusal.status(), refusal.code());
        unsuccessful(refusal.status())
    }

    /// Whether there is a valid responder for each CA key, and the store is followed.
    ///
    /// # Errors
    /// What is missing.
    pub fn ready(&self) -> Result<(), AnswerFault> {
        if let Some(distrust) = self.freshness.distrust() {
            return Err(distrust.into());
        }
        if self.freshness.is_cut_off(self.ticks.now()) {
            return Err(AnswerFault::CutOff);
        }
        if self.follower.clock_is_back() {
            return Err(AnswerFault::ClockWentBack);
        }
        let authorities = self.registry.authorities().ok_or(AnswerFault::NotReady)?;
        if authorities.are_complete(self.clock.now()) { Ok(()) } else { Err(AnswerFault::NoResponder) }
    }

    /// What is remembered.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    fn fault_reply(&self, fault: &AnswerFault) -> Reply {
        self.metrics.not_answered(fault.status(), fault.code());
        // Overload and distrust are told of once, where they begin, and counted here.
        if matches!(fault.status(), OcspResponseStatus::InternalError) || matches!(fault, AnswerFault::Source(_)) {
            tracing::error!(fault = fault as &dyn std::error::Error, "no OCSP answer");
        }
        unsuccessful(fault.status())
    }
}

/// Why nothing is looked up.
enum Refused {
    Refusal(QuestionRefusal),
    Fault(AnswerFault),
}

impl From<QuestionRefusal> for Refused {
    fn from(refusal: QuestionRefusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<AnswerFault> for Refused {
    fn from(fault: AnswerFault) -> Self {
        Self::Fault(fault)
    }
}

fn unsuccessful(status: OcspResponseStatus) -> Reply {
    Reply { der: Bytes::copy_from_slice(&OcspResponse::unsuccessful_der(status)), repeatable: None }
}
