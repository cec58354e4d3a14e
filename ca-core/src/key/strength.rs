//! Whether an applicant's key is allowed and sound.

use num_bigint::BigUint;
use policies::{Curve, KeyPolicy};

use super::roca;
use super::{PublicKey, PublicKeyKind};
use crate::refusal::Refusal;

/// Why a key is not certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// The policy does not allow keys of this algorithm or curve.
    #[error("the policy does not allow keys of this algorithm or curve")]
    NotAllowed,
    /// An RSA modulus shorter or longer than the policy allows.
    #[error("the RSA modulus is shorter or longer than the policy allows")]
    RsaSize,
    /// An RSA exponent that is even, below 65,537 or beyond 2^33.
    #[error("the RSA exponent is even, below 65537 or above 2^33")]
    RsaExponent,
    /// An RSA modulus that is even, has a small factor, or was made by a library known to be faulty (ROCA).
    #[error("the RSA modulus was made badly")]
    RsaModulus,
    /// The two primes of an RSA modulus lie so close together that Fermat's method finds them.
    #[error("the primes of the RSA modulus lie too close together")]
    RsaClosePrimes,
}

impl Refusal for KeyRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed => "key_not_allowed",
            Self::RsaSize => "key_rsa_size",
            Self::RsaExponent => "key_rsa_exponent",
            Self::RsaModulus => "key_rsa_weak",
            Self::RsaClosePrimes => "key_rsa_close_primes",
        }
    }
}

/// Rounds of Fermat's method: enough for every key known to have been made so, too few to cost a millisecond.
const FERMAT_ROUNDS: u32 = 100;

/// Checks `key` against the policy and for known weaknesses.
///
/// That a point lies on its curve is shown by the proof of possession, which is checked before: ring verifies nothing with a
/// point off the curve.
pub fn check(key: &PublicKey, policy: &KeyPolicy) -> Result<(), KeyRefusal> {
    match key.kind() {
        PublicKeyKind::P256 => allowed_curve(policy, Curve::P256),
        PublicKeyKind::P384 => allowed_curve(policy, Curve::P384),
        PublicKeyKind::Rsa { modulus, exponent } => check_rsa(modulus, exponent, policy),
    }
}

fn allowed_curve(policy: &KeyPolicy, curve: Curve) -> Result<(), KeyRefusal> {
    policy.curves.contains(&curve).then_some(()).ok_or(KeyRefusal::NotAllowed)
}

fn check_rsa(modulus: &[u8], exponent: &[u8], policy: &KeyPolicy) -> Result<(), KeyRefusal> {
    let n = BigUint::from_bytes_be(modulus);
    let e = BigUint::from_bytes_be(exponent);
    let bits = n.bits();
    if bits < u64::from(policy.rsa_min_bits) || bits > u64::from(policy.rsa_max_bits) || !bits.is_multiple_of(8) {
        return Err(KeyRefusal::RsaSize);
    }
    // ring refuses exponents of more than 33 bits, and no sane maker of keys uses them.
    if !e.bit(0) || e < BigUint::from(65_537_u32) || e.bits() > 33 {
        return Err(KeyRefusal::RsaExponent);
    }
    if has_small_factor(&n) || roca::has_fingerprint(&n) {
        return Err(KeyRefusal::RsaModulus);
    }
    if has_close_primes(&n) {
        return Err(KeyRefusal::RsaClosePrimes);
    }
    Ok(())
}

/// Trial division by 2 and all odd numbers below 752, which covers the primes that NIST SP 800-89 section 5.3.3 names.
fn has_small_factor(n: &BigUint) -> bool {
    let zero = BigUint::from(0_u32);
    !n.bit(0) || (3_u32..752).step_by(2).any(|divisor| n % divisor == zero)
}

/// Fermat's method: looks for a and b with n = a² - b², starting at the root of n.
fn has_close_primes(n: &BigUint) -> bool {
    let mut a = n.sqrt();
    if &a * &a < *n {
        a += 1_u32;
    }
    for _ in 0..FERMAT_ROUNDS {
        let difference = &a * &a - n;
        if is_square(&difference) {
            return true;
        }
        a += 1_u32;
    }
    false
}

fn is_square(number: &BigUint) -> bool {
    // Squares end in 0, 1, 4 or 9 modulo 16: the root is needed for a quarter of all numbers only.
    let low = number.iter_u32_digits().next().unwrap_or(0) & 15;
    if !matches!(low, 0 | 1 | 4 | 9) {
        return false;
    }
    let root = number.sqrt();
    &root * &root == *number
}

#[cfg(test)]
mod tests {
    use rsa::traits::PublicKeyParts;

    use super::*;

    fn policy() -> KeyPolicy {
        policies::shipped().unwrap().application.keys.clone()
    }

    fn magnitude(number: &rsa::BigUint) -> Vec<u8> {
        number.to_bytes_be()
    }

    #[test]
    fn an_honest_rsa_key_is_allowed() {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2_048).unwrap();
        assert_eq!(check_rsa(&magnitude(key.n()), &magnitude(key.e()), &policy()), Ok(()));
        assert_eq!(check_rsa(&magnitude(key.n()), &[3], &policy()), Err(KeyRefusal::RsaExponent));
        assert_eq!(check_rsa(&magnitude(key.n()), &[1, 0, 0], &policy()), Err(KeyRefusal::RsaExponent));
    }

    #[test]
    fn a_short_rsa_key_is_refused() {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1_024).unwrap();
        assert_eq!(check_rsa(&magnitude(key.n()), &[1, 0, 1], &policy()), Err(KeyRefusal::RsaSize));
    }

    #[test]
    fn primes_close_together_are_found() {
        // Neighbouring odd numbers stand in for primes: only their distance matters to Fermat's method. They are chosen free of
        // small factors by searching upwards.
        let mut p = (BigUint::from(1_u32) << 1_023_usize) + (BigUint::from(1_u32) << 1_022_usize) + 1_u32;
        while has_small_factor(&p) {
            p += 2_u32;
        }
        let mut q = &p + 1_000_u32;
        while has_small_factor(&q) {
            q += 2_u32;
        }
        let n = &p * &q;
        assert_eq!(check_rsa(&n.to_bytes_be(), &[1, 0, 1], &policy()), Err(KeyRefusal::RsaClosePrimes));
    }
}
