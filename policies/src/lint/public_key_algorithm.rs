//! A key is an RSA key or lies on an elliptic curve.

use const_oid::db::rfc5912;

use super::{Context, Lint, Severity};

/// A key is an RSA key or lies on an elliptic curve.
pub(super) const LINT: Lint = Lint { name: "public_key_algorithm", citation: "Practice statement 3.5", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let algorithm = context.certificate.public_key.algorithm;
    let known = [rfc5912::RSA_ENCRYPTION, rfc5912::ID_EC_PUBLIC_KEY].contains(&algorithm);
    (!known).then(|| format!("keys of algorithm {algorithm} are not certified"))
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, oid, oid_der, rsa_key, sequence, tlv};

    #[test]
    fn rsa_and_elliptic_curve_keys_pass() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
        assert_eq!(Fixture::signature().with_key(rsa_key(&[0xff; 256], &[1, 0, 1])).judge(&LINT), None);
    }

    #[test]
    fn an_ed25519_key_is_found() {
        let key = sequence(&[sequence(&[oid_der(oid("1.3.101.112"))]), tlv(0x03, &[0; 33])]);
        assert!(Fixture::signature().with_key(key).judge(&LINT).is_some());
    }
}
