//! Whether anything can be issued now: stale evidence refuses issuance (NIST SP 800-157r1 section 2.4), and so does a store that was
//! restored and is not reconciled, and a log that cannot be written.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use schema::Reader;
use schema::channel::Channel;
use schema::log_health::LogHealth;

use crate::problem::Problem;
use crate::store;

/// How far the clocks of processes may be apart.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// For so long nobody looks again where nothing was found against issuing: all that is looked at counts in seconds at least, the CA role
/// judges it again, and five looks for each application would cost more than bringing it into the log.
const HOLDS_FOR: Duration = Duration::from_millis(200);

/// How long ago something may last have been heard over each way by which news of cards come. The CA role keeps the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceLimits {
    /// The back office's feed.
    pub feed: TimeDelta,
    /// The card CA's CRLs.
    pub card_crl: TimeDelta,
    /// The comparison of all cards with the back office.
    pub comparison: TimeDelta,
}

/// Looks how old the news are.
pub(crate) struct Freshness {
    limits: [(Channel, TimeDelta); 3],
    log: LogHealth,
    /// When nothing was found against issuing, by the machine's clock and by the time told.
    clear: Mutex<Option<(Instant, DateTime<Utc>)>>,
}

impl Freshness {
    pub(crate) fn new(limits: &EvidenceLimits, log: LogHealth) -> Self {
        let EvidenceLimits { feed, card_crl, comparison } = *limits;
        Self {
            limits: [(Channel::Feed, feed), (Channel::CardCrl, card_crl), (Channel::Comparison, comparison)],
            log,
            clear: Mutex::default(),
        }
    }

    /// Refuses if one of the ways has been silent for too long, if events wait for the log, or if nothing is issued from this store at
    /// all: whoever applies may come again. Blocks.
    pub(crate) fn check(&self, reader: &Reader, now: DateTime<Utc>) -> Result<(), Problem> {
        if self.was_clear(now) {
            return Ok(());
        }
        let began = Instant::now();
        self.look(reader, now)?;
        *self.clear.lock().unwrap_or_else(PoisonError::into_inner) = Some((began, now));
        Ok(())
    }

    fn was_clear(&self, now: DateTime<Utc>) -> bool {
        let clear = *self.clear.lock().unwrap_or_else(PoisonError::into_inner);
        clear.is_some_and(|(began, then)| began.elapsed() < HOLDS_FOR && (now - then).abs() < TimeDelta::seconds(1))
    }

    fn look(&self, reader: &Reader, now: DateTime<Utc>) -> Result<(), Problem> {
        let state = reader.store_state().map_err(|fault| store::problem("asking whether the store is reconciled", &fault))?;
        if state.reconciling_since.is_some() {
            return Err(Problem::new(
                "store_reconciling",
                "The records were restored from a backup, and nothing is issued before they are complete again. The same application may be \
                 sent again.",
            )
            .retry_after(300));
        }
        let late = self.log.late_since(now).map_err(|fault| store::problem("asking whether the log is written", &fault))?;
        if let Some(since) = late {
            tracing::error!(%since, "events wait for the log, and nothing is issued meanwhile");
            return Err(Problem::new(
                "log_unavailable",
                "What happens here cannot be put on record at the moment, and nothing is issued before that is so again. The same \
                 application may be sent again.",
            )
            .retry_after(30));
        }
        for (channel, limit) in self.limits {
            let last = reader.last_success(channel).map_err(|fault| store::problem("asking how old the news of cards are", &fault))?;
            // News of the future came by a clock that was ahead, and say nothing of now.
            if now - last > limit || last - now > CLOCK_SKEW {
                tracing::error!(channel = channel.as_str(), %last, "the news of cards are too old for issuance");
                return Err(Problem::new(
                    "card_evidence_stale",
                    "What is known of cards is too old for a certificate to be issued now. The same application may be sent again.",
                )
                .retry_after(60));
            }
        }
        Ok(())
    }
}
