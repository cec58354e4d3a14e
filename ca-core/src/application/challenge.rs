//! The challenge that a signed application must contain.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, Utc};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::refusal::Refusal;

/// A random value that the CA role draws each minute. It bounds the age of whatever contains it, and the RA, which cannot
/// write it, cannot make applications ahead of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beacon {
    /// 32 random octets.
    pub value: [u8; 32],
    /// When it was drawn.
    pub drawn_at: DateTime<Utc>,
}

/// A challenge: the beacon's 32 octets, then 16 of the RA's, of which 8 are random and 8 authenticate all that stands before
/// them, so that the RA need not store what it handed out. In JSON and in certification requests it is 64 characters of
/// base64 (RFC 4648 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge([u8; 48]);

/// Why a challenge does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeRefusal {
    /// Not 48 octets in base64.
    #[error("the challenge is not 48 octets in base64")]
    Malformed,
    /// This RA did not hand it out.
    #[error("this registration authority did not hand out the challenge")]
    NotOurs,
    /// Its beacon is unknown or too old.
    #[error("the challenge has expired")]
    Expired,
    /// Another application has used it.
    #[error("the challenge was used before")]
    Spent,
}

impl Refusal for ChallengeRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "challenge_malformed",
            Self::NotOurs => "challenge_not_ours",
            Self::Expired => "challenge_expired",
            Self::Spent => "challenge_spent",
        }
    }
}

/// The RA's key for its half of the challenges; every RA process of one installation has the same.
pub struct ChallengeKey(hmac::Key);

impl ChallengeKey {
    /// Takes 32 secret octets.
    pub fn new(octets: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, octets))
    }

    /// Makes a challenge on `beacon`. Fails only where the machine gives no random octets.
    pub fn issue(&self, beacon: &Beacon) -> Result<Challenge, ring::error::Unspecified> {
        let mut octets = [0; 48];
        octets[..32].copy_from_slice(&beacon.value);
        SystemRandom::new().fill(&mut octets[32..40])?;
        let tag = hmac::sign(&self.0, &octets[..40]);
        octets[40..].copy_from_slice(&tag.as_ref()[..8]);
        Ok(Challenge(octets))
    }

    /// Whether we handed `challenge` out.
    pub fn check(&self, challenge: &Challenge) -> Result<(), ChallengeRefusal> {
        let tag = hmac::sign(&self.0, &challenge.0[..40]);
        // Every octet is looked at, so that the time it takes says nothing about the right tag.
        let difference = tag.as_ref().iter().zip(&challenge.0[40..]).fold(0, |sum, (ours, theirs)| sum | (ours ^ theirs));
        (difference == 0).then_some(()).ok_or(ChallengeRefusal::NotOurs)
    }

    /// 32 octets that only the holders of the key can compute, for `purpose` and `message`.
    pub fn derive(&self, purpose: &str, message: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(message);
        let mut octets = [0; 32];
        octets.copy_from_slice(context.sign().as_ref());
        octets
    }
}

impl Challenge {
    /// Reads the 64 characters.
    pub fn from_base64(text: &str) -> Result<Self, ChallengeRefusal> {
        if text.len() != 64 {
            return Err(ChallengeRefusal::Malformed);
        }
        let octets = STANDARD.decode(text).map_err(|_| ChallengeRefusal::Malformed)?;
        octets.try_into().map(Self).map_err(|_| ChallengeRefusal::Malformed)
    }

    /// The 64 characters.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// The 48 octets.
    pub fn as_bytes(&self) -> &[u8; 48] {
        &self.0
    }

    /// Checks that its beacon is one of `beacons` and was drawn no longer than `lifetime` before `now`; nor longer after, which was
    /// by a clock that was ahead: for what is good for a year can be collected.
    pub fn check_beacon(&self, beacons: &[Beacon], lifetime: Duration, now: DateTime<Utc>) -> Result<(), ChallengeRefusal> {
        let beacon = beacons.iter().find(|beacon| beacon.value == self.0[..32]).ok_or(ChallengeRefusal::Expired)?;
        if (now - beacon.drawn_at).abs() > lifetime {
            return Err(ChallengeRefusal::Expired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_known_again_by_its_maker_only() {
        let key = ChallengeKey::new(&[7; 32]);
        let beacon = Beacon { value: [1; 32], drawn_at: Utc::now() };
        let challenge = key.issue(&beacon).unwrap();
        assert_eq!(key.check(&challenge), Ok(()));
        assert_eq!(ChallengeKey::new(&[8; 32]).check(&challenge), Err(ChallengeRefusal::NotOurs));
        assert_eq!(Challenge::from_base64(&challenge.to_base64()), Ok(challenge));
        for position in 0..48 {
            let mut octets = challenge.0;
            octets[position] ^= 1;
            assert_eq!(key.check(&Challenge(octets)), Err(ChallengeRefusal::NotOurs), "octet {position}");
        }
    }

    #[test]
    fn a_challenge_lasts_as_long_as_its_beacon() {
        let drawn_at = Utc::now();
        let beacon = Beacon { value: [1; 32], drawn_at };
        let challenge = ChallengeKey::new(&[7; 32]).issue(&beacon).unwrap();
        let lifetime = Duration::seconds(300);
        assert_eq!(challenge.check_beacon(&[beacon], lifetime, drawn_at + lifetime), Ok(()));
        let late = drawn_at + lifetime + Duration::milliseconds(1);
        assert_eq!(challenge.check_beacon(&[beacon], lifetime, late), Err(ChallengeRefusal::Expired));
        let long_before = drawn_at - lifetime - Duration::milliseconds(1);
        assert_eq!(challenge.check_beacon(&[beacon], lifetime, long_before), Err(ChallengeRefusal::Expired));
        assert_eq!(challenge.check_beacon(&[], lifetime, drawn_at), Err(ChallengeRefusal::Expired));
    }
}
