//! An elliptic curve key names a curve that the policy allows and is an uncompressed point.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;

use crate::key::Curve;

use super::{Context, Lint, Severity};

/// An elliptic curve key names a curve that the policy allows and is an uncompressed point.
pub(super) const LINT: Lint =
    Lint { name: "public_key_ec", citation: "RFC 5480 section 2, Practice statement 3.5", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let key = &context.certificate.public_key;
    if key.algorithm != rfc5912::ID_EC_PUBLIC_KEY {
        return None;
    }
    let named = key.parameters.and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
    let (curve, octets) = match named {
        Some(rfc5912::SECP_256_R_1) => (Curve::P256, 65),
        Some(rfc5912::SECP_384_R_1) => (Curve::P384, 97),
        _ => return Some("an elliptic curve key names no known curve".to_owned()),
    };
    if context.expectation.smartphone().is_some_and(|profile| !profile.subject_keys.curves.contains(&curve)) {
        return Some("the profile does not allow the curve".to_owned());
    }
    let uncompressed = key.octets.len() == octets && key.octets.first() == Some(&4);
    (!uncompressed).then(|| "an elliptic curve key is no uncompressed point".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, P256, ec_key};

    const P384: &str = "1.3.132.0.34";

    #[test]
    fn uncompressed_points_on_p_256_and_p_384_pass() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
        let key = ec_key(P384, &[&[4][..], &[0x11; 96]].concat());
        assert_eq!(Fixture::signature().with_key(key).judge(&LINT), None);
    }

    #[test]
    fn compressed_points_and_other_curves_are_found() {
        let compressed = ec_key(P256, &[&[2][..], &[0x11; 32]].concat());
        let secp256k1 = ec_key("1.3.132.0.10", &[&[4][..], &[0x11; 64]].concat());
        let wrong_length = ec_key(P384, &[&[4][..], &[0x11; 64]].concat());
        for key in [compressed, secp256k1, wrong_length] {
            assert!(Fixture::signature().with_key(key).judge(&LINT).is_some());
        }
    }

    #[test]
    fn a_curve_that_the_profile_does_not_allow_is_found() {
        let mut fixture = Fixture::signature();
        std::sync::Arc::make_mut(&mut fixture.policies.signature).subject_keys.curves.clear();
        assert!(fixture.judge(&LINT).is_some());
    }
}
