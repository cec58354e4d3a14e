//! What is counted; each handle is asked for once.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use ca_core::ocsp::OcspResponseStatus;
use metrics::{Counter, Gauge, Histogram};

use crate::answers::Answer;

/// How an answer came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Signed before.
    Hot,
    /// Signed anew, of statuses that were remembered.
    Signed,
    /// The same, for this asker alone.
    Nonce,
    /// Of statuses read from the store.
    Cold,
    /// From memory, while the store could not be reached.
    CutOff,
}

impl Way {
    const ALL: [Self; 5] = [Self::Hot, Self::Signed, Self::Nonce, Self::Cold, Self::CutOff];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Signed => "signed",
            Self::Nonce => "nonce",
            Self::Cold => "cold",
            Self::CutOff => "cut_off",
        }
    }
}

/// The handles.
pub struct Metrics {
    successful: Counter,
    ways: [Counter; 5],
    statuses: [Counter; 3],
    unsuccessful: RwLock<BTreeMap<(&'static str, &'static str), Counter>>,
    /// From the arrival of a question to its answer, where the store had to be read.
    pub(crate) cold_seconds: Histogram,
    /// From the commit of a revocation or hold to the moment from which nobody is told anything else.
    pub(crate) applied_seconds: Histogram,
    /// When the follower's last complete look at the store began, in seconds since 1970.
    pub(crate) last_look: Gauge,
    pub(crate) behind: Gauge,
    pub(crate) clock_went_back: Counter,
    pub(crate) forgotten: Counter,
    evicted: Counter,
    octets: Gauge,
    cached: [Gauge; 2],
}

impl Default for Metrics {
    fn default() -> Self {
        let way = |way: Way| metrics::counter!("tsunagi_ocsp_answers_total", "way" => way.as_str());
        let status = |status: &'static str| metrics::counter!("tsunagi_ocsp_statuses_total", "status" => status);
        let cached = |what: &'static str| metrics::gauge!("tsunagi_ocsp_cache_entries", "what" => what);
        Self {
            successful: responses(OcspResponseStatus::Successful.as_str(), ""),
            ways: Way::ALL.map(way),
            statuses: ["good", "revoked", "never_issued"].map(status),
            unsuccessful: RwLock::default(),
            cold_seconds: metrics::histogram!("tsunagi_ocsp_cold_seconds"),
            applied_seconds: metrics::histogram!("tsunagi_ocsp_applied_seconds"),
            last_look: metrics::gauge!("tsunagi_ocsp_last_look_seconds"),
            behind: metrics::gauge!("tsunagi_ocsp_follower_behind_events"),
            clock_went_back: metrics::counter!("tsunagi_ocsp_clock_went_back_total"),
            forgotten: metrics::counter!("tsunagi_ocsp_cache_forgotten_total"),
            evicted: metrics::counter!("tsunagi_ocsp_cache_evictions_total"),
            octets: metrics::gauge!("tsunagi_ocsp_cache_octets"),
            cached: ["statuses", "answers"].map(cached),
        }
    }
}

fn responses(status: &'static str, code: &'static str) -> Counter {
    metrics::counter!("tsunagi_ocsp_responses_total", "status" => status, "code" => code)
}

impl Metrics {
    /// An answer was given.
    pub(crate) fn answered(&self, way: Way, answer: &Answer) {
        self.successful.increment(1);
        self.ways[way as usize].increment(1);
        for (counter, number) in self.statuses.iter().zip(answer.counts) {
            if number > 0 {
                counter.increment(number);
            }
        }
    }

    /// There was none, for a reason that `code` names.
    pub(crate) fn not_answered(&self, status: OcspResponseStatus, code: &'static str) {
        let key = (status.as_str(), code);
        if let Some(counter) = self.unsuccessful.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return counter.increment(1);
        }
        let mut known = self.unsuccessful.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(key).or_insert_with(|| responses(key.0, key.1)).increment(1);
    }

    /// How full the cache is.
    pub(crate) fn cached(&self, octets: u64, (statuses, answers): (usize, usize), evictions: u64) {
        self.octets.set(octets as f64);
        self.cached[0].set(statuses as f64);
        self.cached[1].set(answers as f64);
        self.evicted.increment(evictions);
    }
}
