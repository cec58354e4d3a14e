//! How often one client address may ask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Above this many remembered addresses, those that have been quiet are forgotten now and then.
const REMEMBERED: usize = 10_000;
/// How many checks lie between two such sweeps.
const SWEEP_EVERY: u64 = 4_096;

/// A rate and a burst for each client address (GCRA). An IPv6 address counts by its /64: that is what one client has.
pub(crate) struct AddressLimits {
    limiter: Option<DefaultKeyedRateLimiter<IpAddr>>,
    clock: DefaultClock,
    checks: AtomicU64,
}

impl AddressLimits {
    /// `per_second` requests each second in the long run and `burst` at once; 0 each second means no limit.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let quota = NonZeroU32::new(per_second).map(|rate| Quota::per_second(rate).allow_burst(NonZeroU32::new(burst).unwrap_or(rate)));
        Self { limiter: quota.map(RateLimiter::keyed), clock: DefaultClock::default(), checks: AtomicU64::new(0) }
    }

    /// Counts one request; an error says after how many seconds the next is welcome.
    pub(crate) fn check(&self, address: Option<IpAddr>) -> Result<(), u64> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) && limiter.len() > REMEMBERED {
            limiter.retain_recent();
        }
        let key = network(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        limiter.check_key(&key).map_err(|until| until.wait_time_from(self.clock.now()).as_secs() + 1)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_burst_is_allowed_and_then_no_more_from_that_address() {
        let limits = AddressLimits::new(1, 3);
        for _ in 0..3 {
            assert_eq!(limits.check(address("192.0.2.1")), Ok(()));
        }
        assert!(limits.check(address("192.0.2.1")).is_err_and(|seconds| (1..=2).contains(&seconds)));
        assert_eq!(limits.check(address("192.0.2.2")), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let limits = AddressLimits::new(1, 1);
        assert_eq!(limits.check(address("2001:db8::1")), Ok(()));
        assert!(limits.check(address("2001:db8::ffff:1")).is_err());
        assert_eq!(limits.check(address("2001:db8:0:1::1")), Ok(()));
    }

    #[test]
    fn an_ipv4_address_counts_the_same_when_mapped_into_ipv6() {
        let limits = AddressLimits::new(1, 1);
        assert_eq!(limits.check(address("192.0.2.1")), Ok(()));
        assert!(limits.check(address("::ffff:192.0.2.1")).is_err());
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let limits = AddressLimits::new(0, 0);
        assert!((0..1000).all(|_| limits.check(None).is_ok()));
    }
}
