//! extKeyUsage has exactly the purposes of its profile; a responder's has only id-kp-OCSPSigning.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::Decode;

use super::Role;

use super::{Context, Lint, Severity};

/// extKeyUsage has exactly the purposes of its profile; a responder's has only id-kp-OCSPSigning.
pub(super) const LINT: Lint =
    Lint { name: "extended_key_usage", citation: "RFC 5280 section 4.2.1.12, Practice statement 4.4", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let wanted: &[ObjectIdentifier] = match context.expectation.role {
        Role::Smartphone(profile) | Role::Test(profile) => &profile.ext_key_usage,
        Role::Responder(_) => &[rfc5280::ID_KP_OCSP_SIGNING],
        Role::Authority(..) => &[],
    };
    let sound = match context.certificate.extension(rfc5280::ID_CE_EXT_KEY_USAGE) {
        None => wanted.is_empty(),
        Some(extension) => Vec::<ObjectIdentifier>::from_der(extension.value).is_ok_and(|found| !found.is_empty() && found == wanted),
    };
    (!sound).then(|| "extKeyUsage has not exactly the purposes of the profile".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, oid_der, sequence};

    #[test]
    fn the_purposes_of_each_profile_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_smartphone_that_may_sign_ocsp_responses_is_found() {
        for mut fixture in [Fixture::signature(), Fixture::authentication()] {
            fixture.remove(rfc5280::ID_CE_EXT_KEY_USAGE);
            fixture.add(rfc5280::ID_CE_EXT_KEY_USAGE, sequence(&[oid_der(rfc5280::ID_KP_OCSP_SIGNING)]));
            assert!(fixture.judge(&LINT).is_some());
        }
    }

    #[test]
    fn a_responder_that_may_also_log_in_is_found() {
        let mut fixture = Fixture::responder();
        let both = sequence(&[oid_der(rfc5280::ID_KP_OCSP_SIGNING), oid_der(rfc5280::ID_KP_CLIENT_AUTH)]);
        fixture.set(rfc5280::ID_CE_EXT_KEY_USAGE, both);
        assert!(fixture.judge(&LINT).is_some());
    }
}
