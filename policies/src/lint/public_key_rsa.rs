//! An RSA key has NULL parameters, a modulus within the policy's bounds, and a sane exponent.

use const_oid::db::rfc5912;
use der::asn1::UintRef;
use der::{Decode, Sequence};

use super::{Context, Lint, Severity};

/// An RSA key has NULL parameters, a modulus within the policy's bounds, and a sane exponent.
pub(super) const LINT: Lint =
    Lint { name: "public_key_rsa", citation: "RFC 3279 section 2.3.1, Practice statement 3.5", severity: Severity::Error, check };

/// ```text
/// RSAPublicKey ::= SEQUENCE {
///    modulus            INTEGER,    -- n
///    publicExponent     INTEGER  }  -- e
/// ```
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

fn check(context: &Context<'_>) -> Option<String> {
    let key = &context.certificate.public_key;
    if key.algorithm != rfc5912::RSA_ENCRYPTION {
        return None;
    }
    if !key.parameters.is_some_and(|parameters| parameters.is_null()) {
        return Some("the parameters of an RSA key are not NULL".to_owned());
    }
    let Ok(RsaPublicKey { modulus, exponent }) = RsaPublicKey::from_der(key.octets) else {
        return Some("an RSA key cannot be read".to_owned());
    };
    // CA and responder keys are ours: their profiles name 2048 to 4096.
    let holders = context.expectation.smartphone().map(|profile| &profile.subject_keys);
    let (least, most) = holders.map_or((2048, 4096), |keys| (keys.rsa_min_bits, keys.rsa_max_bits));
    let modulus_bits = bits(&modulus);
    if !(least..=most).contains(&modulus_bits) {
        return Some(format!("an RSA modulus has {modulus_bits} bits, not {least} to {most}"));
    }
    let odd = |number: &UintRef<'_>| number.as_bytes().last().is_some_and(|octet| octet & 1 == 1);
    if !odd(&modulus) {
        return Some("an RSA modulus is even".to_owned());
    }
    // FIPS 186-5 section 5.4: more than 2^16 and less than 2^256.
    let sane = odd(&exponent) && (17..=256).contains(&bits(&exponent));
    (!sane).then(|| "an RSA exponent is even, below 65537 or above 256 bits".to_owned())
}

fn bits(number: &UintRef<'_>) -> u32 {
    let magnitude = number.as_bytes();
    let leading = magnitude.first().map_or(0, |octet| octet.leading_zeros());
    u32::try_from(magnitude.len() * 8).map_or(u32::MAX, |bits| bits - leading)
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, rsa_key};

    #[test]
    fn rsa_keys_of_2048_and_4096_bits_pass() {
        for octets in [256, 512] {
            assert_eq!(Fixture::signature().with_key(rsa_key(&vec![0xff; octets], &[1, 0, 1])).judge(&LINT), None);
        }
    }

    #[test]
    fn short_long_and_even_moduli_and_small_and_even_exponents_are_found() {
        let even = [&[0xff; 255][..], &[0xfe]].concat();
        let short = rsa_key(&[0xff; 128], &[1, 0, 1]);
        let long = rsa_key(&[0xff; 1024], &[1, 0, 1]);
        for key in [short, long, rsa_key(&even, &[1, 0, 1]), rsa_key(&[0xff; 256], &[3]), rsa_key(&[0xff; 256], &[1, 0, 0])] {
            assert!(Fixture::signature().with_key(key).judge(&LINT).is_some());
        }
    }
}
