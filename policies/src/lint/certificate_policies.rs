//! certificatePolicies is exactly the profile's one policy, with its CPS address if it has one.

use const_oid::db::{rfc5280, rfc5912};
use der::Decode;
use der::asn1::Ia5StringRef;
use x509_cert::ext::pkix::certpolicy::{CertificatePolicies, PolicyInformation};

use crate::profile::CertificatePolicy;

use super::{Context, Lint, Severity};

/// certificatePolicies is exactly the profile's one policy, with its CPS address if it has one.
pub(super) const LINT: Lint =
    Lint { name: "certificate_policies", citation: "RFC 5280 section 4.2.1.4, Practice statement 4.5", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let wanted = &context.expectation.smartphone()?.policy;
    let sound = context.certificate.extension(rfc5280::ID_CE_CERTIFICATE_POLICIES).is_some_and(|extension| {
        let found = CertificatePolicies::from_der(extension.value);
        extension.critical == wanted.critical && found.is_ok_and(|found| matches!(&found.0[..], [policy] if is_wanted(policy, wanted)))
    });
    (!sound).then(|| "certificatePolicies is not exactly the profile's".to_owned())
}

fn is_wanted(found: &PolicyInformation, wanted: &CertificatePolicy) -> bool {
    let cps_as_wanted = match (found.policy_qualifiers.as_deref(), &wanted.cps) {
        (None, None) => true,
        (Some([qualifier]), Some(cps)) => {
            let address = qualifier.qualifier.as_ref().and_then(|value| value.decode_as::<Ia5StringRef<'_>>().ok());
            qualifier.policy_qualifier_id == rfc5912::ID_QT_CPS && address.is_some_and(|address| address.as_str() == cps)
        }
        _ => false,
    };
    found.policy_identifier == wanted.oid && cps_as_wanted
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, oid, oid_der, sequence, tlv};

    fn policy_with_cps(cps: &str) -> Vec<u8> {
        let qualifier = sequence(&[oid_der(oid("1.3.6.1.5.5.7.2.1")), tlv(0x16, cps.as_bytes())]);
        sequence(&[sequence(&[oid_der(oid("1.2.392.200149.8.5.1.1.40")), sequence(&[qualifier])])])
    }

    #[test]
    fn the_policy_of_the_profile_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_cps_address_passes_only_where_the_profile_has_it() {
        let mut fixture = Fixture::signature();
        fixture.set(rfc5280::ID_CE_CERTIFICATE_POLICIES, policy_with_cps("http://tsunagi.example/cps"));
        assert!(fixture.judge(&LINT).is_some());
        std::sync::Arc::make_mut(&mut fixture.policies.signature).policy.cps = Some("http://tsunagi.example/cps".to_owned());
        assert_eq!(fixture.judge(&LINT), None);
    }

    #[test]
    fn another_policy_and_a_second_one_are_found() {
        let own = sequence(&[oid_der(oid("1.2.392.200149.8.5.1.1.40"))]);
        let any = sequence(&[oid_der(oid("2.5.29.32.0"))]);
        for policies in [sequence(std::slice::from_ref(&any)), sequence(&[own, any])] {
            let mut fixture = Fixture::signature();
            fixture.set(rfc5280::ID_CE_CERTIFICATE_POLICIES, policies);
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
