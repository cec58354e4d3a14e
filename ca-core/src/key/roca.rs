//! The fingerprint of keys made by a faulty smart-card library (ROCA, CVE-2017-15361).

use num_bigint::BigUint;

/// The odd primes up to 167. The faulty library's primes have the form `k·M + (65537^a mod M)` with M a product of the first
/// primes, so that the modulus is a power of 65537 modulo each of them; of other keys about one in 2^27 looks so.
///
/// Source: Nemec, Sys, Svenda, Klinec, Matyas, "The Return of Coppersmith's Attack", 2017, section 2.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137,
    139, 149, 151, 157, 163, 167,
];

/// Whether `modulus` bears the fingerprint.
pub fn has_fingerprint(modulus: &BigUint) -> bool {
    PRIMES.iter().all(|&prime| {
        let remainder = (modulus % prime).iter_u32_digits().next().unwrap_or(0);
        is_power_of_65537(remainder, prime)
    })
}

fn is_power_of_65537(remainder: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let mut power = 1 % prime;
    for _ in 0..prime {
        if power == remainder {
            return true;
        }
        power = power * generator % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_made_the_faulty_way_bears_the_fingerprint() {
        let product: BigUint = PRIMES.iter().map(|&prime| BigUint::from(prime)).product();
        let exponent = BigUint::from(123_456_789_u32);
        let prime_like = |k: u32| &product * BigUint::from(k) + BigUint::from(65_537_u32).modpow(&exponent, &product);
        let modulus = prime_like(1_000_003) * prime_like(7_777_777);
        assert!(has_fingerprint(&modulus));
        assert!(!has_fingerprint(&(modulus + 2_u32)));
    }

    #[test]
    fn a_multiple_of_a_small_prime_does_not_bear_it() {
        assert!(!has_fingerprint(&(BigUint::from(3_u32) << 2_047_usize)));
    }
}
