//! keyUsage has exactly the bits of its profile, in minimal encoding.

use const_oid::db::rfc5280;
use der::flagset::FlagSet;
use der::{Decode, Encode};
use x509_cert::ext::pkix::KeyUsage;

use super::Role;
use crate::usage::KeyUsageBit;

use super::{Context, Lint, Severity};

/// keyUsage has exactly the bits of its profile, in minimal encoding.
pub(super) const LINT: Lint = Lint { name: "key_usage_bits", citation: "Practice statement 4.3", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let extension = context.certificate.extension(rfc5280::ID_CE_KEY_USAGE)?;
    let wanted: &[KeyUsageBit] = match context.expectation.role {
        Role::Smartphone(profile) | Role::Test(profile) => &profile.key_usage,
        Role::Responder(_) => &[KeyUsageBit::DigitalSignature],
        Role::Authority(..) => &[KeyUsageBit::KeyCertSign, KeyUsageBit::CrlSign],
    };
    let sound = KeyUsage::from_der(extension.value).is_ok_and(|usage| {
        // DER leaves out trailing zero bits (X.690 section 11.2.2), so encoding again shows whether they were.
        let minimal = usage.to_der().is_ok_and(|encoded| encoded == extension.value);
        minimal && usage.0 == wanted.iter().fold(FlagSet::default(), |bits, bit| bits | bit.flag())
    });
    (!sound).then(|| "keyUsage has not exactly the bits of the profile".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, tlv};

    #[test]
    fn the_bits_of_each_profile_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_bit_too_many_or_too_few_is_found() {
        let mut binding_authentication = Fixture::authentication();
        binding_authentication.set(rfc5280::ID_CE_KEY_USAGE, tlv(0x03, &[6, 0xc0]));
        let mut signing_ca = Fixture::authority();
        signing_ca.set(rfc5280::ID_CE_KEY_USAGE, tlv(0x03, &[1, 0x86]));
        let mut unbinding_signature = Fixture::signature();
        unbinding_signature.set(rfc5280::ID_CE_KEY_USAGE, tlv(0x03, &[7, 0x80]));
        for fixture in [binding_authentication, signing_ca, unbinding_signature] {
            assert!(fixture.judge(&LINT).is_some());
        }
    }

    #[test]
    fn trailing_zero_bits_are_found() {
        let mut fixture = Fixture::authentication();
        fixture.set(rfc5280::ID_CE_KEY_USAGE, tlv(0x03, &[0, 0x80]));
        assert!(fixture.judge(&LINT).is_some());
    }
}
