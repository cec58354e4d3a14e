//! How long revocations took from their commit until they were on a published list.

use ca_core::chain::Chain;
use ca_core::issuer::CaKeyId;
use chrono::{DateTime, TimeDelta, Utc};
use schema::latency::LatencyStage;
use schema::lease::Lease;
use schema::{EventPosition, StoreFault};

use super::Publisher;
use crate::scope::Moments;

/// So many are recorded in one piece.
const AT_ONCE: u64 = 10_000;

/// The name under which the store keeps up to where it is recorded, for each scope.
pub(super) fn recorded_under(ca_key: CaKeyId, shard: u16) -> String {
    format!("crl-latency-{}-{shard}", ca_key.0)
}

impl Publisher {
    /// A scope's list was published and is on the shelf.
    pub(super) fn record_latency(
        &mut self,
        key: (CaKeyId, u16),
        published_at: DateTime<Utc>,
        lease: Option<&Lease>,
    ) -> Result<(), StoreFault> {
        let Some(scope) = self.scopes.get_mut(&key) else { return Ok(()) };
        let Some(position) = scope.latest().map(|latest| latest.event_position) else { return Ok(()) };
        let (unlisted, listed) = scope.take_moments();
        for moments in [unlisted, listed] {
            self.record(key, &moments, position, published_at, lease)?;
        }
        self.steps.reached(super::PublishStep::Recorded);
        Ok(())
    }

    /// Whoever led before published a list and died before it was recorded how long its revocations took: at most until now.
    pub(super) fn record_listed(&mut self, now: DateTime<Utc>) {
        let keys: Vec<_> = self.scopes.iter().filter(|(_, scope)| scope.has_listed()).map(|(key, _)| *key).collect();
        for key in keys {
            let Some(scope) = self.scopes.get_mut(&key) else { continue };
            let (moments, position) = (scope.take_listed(), scope.latest().map_or(EventPosition(0), |latest| latest.event_position));
            if let Err(fault) = self.record(key, &moments, position, now, None) {
                tracing::error!(fault = %Chain(&fault), "how long revocations took was not recorded");
            }
        }
    }

    fn record(
        &self,
        (ca_key, shard): (CaKeyId, u16),
        moments: &Moments,
        position: EventPosition,
        published_at: DateTime<Utc>,
        lease: Option<&Lease>,
    ) -> Result<(), StoreFault> {
        let measured: Vec<(DateTime<Utc>, TimeDelta, u64)> =
            moments.as_slice().iter().map(|(at, count)| (*at, (published_at - *at).max(TimeDelta::zero()), *count)).collect();
        for (_, took, count) in &measured {
            let seconds = took.num_milliseconds() as f64 / 1_000.0;
            let histogram = metrics::histogram!("tsunagi_revocation_to_crl_seconds");
            histogram.record_many(seconds, usize::try_from(*count).unwrap_or(usize::MAX));
        }
        let (fence, follower) = (lease.cloned(), recorded_under(ca_key, shard));
        self.writer.write(move |transaction| {
            fence.as_ref().map(|lease| transaction.check_lease(lease)).transpose()?;
            for (at, took, count) in &measured {
                let mut left = *count;
                while left > 0 {
                    let some = left.min(AT_ONCE);
                    transaction.record_latency(LatencyStage::Crl, &vec![(*at, *took); some as usize])?;
                    left -= some;
                }
            }
            transaction.advance_follower(&follower, position)
        })
    }
}
