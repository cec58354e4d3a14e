//! Random serial numbers.

use ring::rand::{SecureRandom, SystemRandom};

use crate::serial::SerialNumber;

/// The system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct RandomnessFault;

impl SerialNumber {
    /// A positive number of exactly `octets` (held to 16 to 20) content octets, of which all but the top bit are random and
    /// the first is not zero: at least 126 bits of entropy (practice statement 3.2).
    pub fn random(octets: u8) -> Result<Self, RandomnessFault> {
        let mut magnitude = vec![0; usize::from(octets.clamp(16, 20))];
        loop {
            SystemRandom::new().fill(&mut magnitude).map_err(|_| RandomnessFault)?;
            magnitude[0] &= 0x7f;
            if magnitude[0] != 0 {
                return Self::from_magnitude(&magnitude).map_err(|_| RandomnessFault);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_serial_numbers_have_exactly_the_content_octets_asked_for() {
        for octets in 16..=20 {
            for _ in 0..200 {
                let serial = SerialNumber::random(octets).unwrap();
                assert_eq!(serial.to_der_content().len(), usize::from(octets));
                assert_eq!(serial.as_bytes().len(), usize::from(octets));
            }
        }
    }

    #[test]
    fn random_serial_numbers_do_not_repeat() {
        let drawn: std::collections::HashSet<_> = (0..1000).map(|_| SerialNumber::random(20).unwrap()).collect();
        assert_eq!(drawn.len(), 1000);
    }
}
