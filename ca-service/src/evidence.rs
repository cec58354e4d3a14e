//! How old the evidence about cards is: when something was last heard over each channel, and whether that is recent enough to
//! issue on (SP 800-157r1 section 2.4).

use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use schema::channel::Channel;

use crate::CaFault;
use crate::role::CaRole;
use crate::settings::EvidenceLimits;

/// A success is written down so often at most: ages are counted in minutes and more.
const THROTTLE: TimeDelta = TimeDelta::seconds(10);

/// How long applications wait for fresher evidence before they are refused.
const GRACE: TimeDelta = TimeDelta::seconds(15);

/// How far the clocks of processes may be apart.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// When each channel's last success was last written down by this process, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct EvidenceAges([AtomicI64; Channel::ALL.len()]);

impl EvidenceAges {
    /// Whether it is time to write a success down.
    fn is_due(&self, channel: Channel, now: DateTime<Utc>) -> bool {
        self.place(channel)
            .is_some_and(|noted| (now.timestamp_millis() - noted.load(Ordering::Relaxed)).abs() >= THROTTLE.num_milliseconds())
    }

    fn noted(&self, channel: Channel, now: DateTime<Utc>) {
        if let Some(noted) = self.place(channel) {
            noted.store(now.timestamp_millis(), Ordering::Relaxed);
        }
    }

    fn place(&self, channel: Channel) -> Option<&AtomicI64> {
        Channel::ALL.iter().position(|known| *known == channel).and_then(|index| self.0.get(index))
    }
}

/// Whether the evidence about cards is recent enough.
pub(crate) enum EvidenceVerdict {
    /// It is.
    Fresh,
    /// It is not, but that was noticed only now: after a start or a cut, what is missing comes in a moment.
    Waiting,
    /// It is not, because of this channel.
    Stale(Channel),
}

impl CaRole {
    /// Judges the evidence for an issuance.
    pub(crate) fn judge_evidence(&self, now: DateTime<Utc>) -> Result<EvidenceVerdict, CaFault> {
        let stale = self.evidence_is_stale()?;
        let mut since = self.stale_since.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(channel) = stale else {
            *since = None;
            return Ok(EvidenceVerdict::Fresh);
        };
        let noticed = *since.get_or_insert(now);
        Ok(if now - noticed < GRACE { EvidenceVerdict::Waiting } else { EvidenceVerdict::Stale(channel) })
    }

    /// Something was heard over a channel.
    pub(crate) fn heard(&self, channel: Channel) -> Result<(), CaFault> {
        let now = self.clock.now();
        if self.evidence.is_due(channel, now) {
            self.write(move |tx| tx.touch_channel(channel, now))?;
            self.evidence.noted(channel, now);
        }
        Ok(())
    }

    /// The channel whose last success is too long ago for anything to be issued, if there is one. Push has no limit: that nothing
    /// happens to cards is no fault of it.
    pub fn evidence_is_stale(&self) -> Result<Option<Channel>, CaFault> {
        let now = self.clock.now();
        for channel in Channel::ALL {
            let Some(limit) = limit(&self.settings.life.evidence, channel) else { continue };
            let age = now - self.reader.last_success(channel)?;
            // News of the future came by a clock that was ahead, and say nothing of now.
            if age > limit || age < -CLOCK_SKEW {
                return Ok(Some(channel));
            }
        }
        Ok(None)
    }

    /// Shows the age of each channel's last success.
    pub(crate) fn measure_evidence(&self) -> Result<(), CaFault> {
        let now = self.clock.now();
        for channel in Channel::ALL {
            let age = now - self.reader.last_success(channel)?;
            metrics::gauge!("tsunagi_ca_evidence_age_seconds", "channel" => channel.as_str()).set(age.num_seconds().max(0) as f64);
        }
        Ok(())
    }
}

fn limit(limits: &EvidenceLimits, channel: Channel) -> Option<TimeDelta> {
    let seconds = match channel {
        Channel::Push => return None,
        Channel::Feed => limits.feed_seconds,
        Channel::CardCrl => limits.card_crl_seconds,
        Channel::Comparison => limits.comparison_seconds,
    };
    Some(TimeDelta::seconds(i64::from(seconds)))
}
