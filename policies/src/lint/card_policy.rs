//! No certificate bears a policy of the cards: by it a relying party tells a card from a smartphone.

use const_oid::db::rfc5280;
use der::Decode;
use x509_cert::ext::pkix::certpolicy::CertificatePolicies;

use super::{Context, Lint, Severity};

/// No certificate bears a policy of the cards: by it a relying party tells a card from a smartphone.
pub(super) const LINT: Lint = Lint { name: "card_policy", citation: "Practice statement 4.5", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let never = &context.expectation.smartphone()?.policy.never;
    let extension = context.certificate.extension(rfc5280::ID_CE_CERTIFICATE_POLICIES)?;
    let clean = CertificatePolicies::from_der(extension.value)
        .is_ok_and(|found| !found.0.iter().any(|policy| never.contains(&policy.policy_identifier)));
    (!clean).then(|| "certificatePolicies has a card's policy".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, oid, oid_der, sequence};

    #[test]
    fn a_smartphones_policy_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn the_policies_of_the_cards_are_found() {
        for policy in ["1.2.392.200149.8.5.1.1.20", "1.2.392.200149.8.5.1.3.30"] {
            let mut fixture = Fixture::signature();
            fixture.set(rfc5280::ID_CE_CERTIFICATE_POLICIES, sequence(&[sequence(&[oid_der(oid(policy))])]));
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
