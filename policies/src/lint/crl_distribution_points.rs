//! cRLDistributionPoints is one HTTP address, that of the CRL of the certificate's shard.

use const_oid::db::rfc5280;
use der::Decode;
use x509_cert::ext::pkix::CrlDistributionPoints;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use super::{Context, Lint, Severity};

/// cRLDistributionPoints is one HTTP address, that of the CRL of the certificate's shard.
pub(super) const LINT: Lint = Lint {
    name: "crl_distribution_points",
    citation: "RFC 5280 section 4.2.1.13, Practice statement 4.7",
    severity: Severity::Error,
    check,
};

fn check(context: &Context<'_>) -> Option<String> {
    context.expectation.smartphone()?;
    let wanted = context.expectation.authority.crl_url;
    let sound = context.certificate.extension(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS).is_some_and(|extension| {
        CrlDistributionPoints::from_der(extension.value).is_ok_and(|found| matches!(&found.0[..], [point] if points_to(point, wanted)))
    });
    (!sound || !wanted.starts_with("http://"))
        .then(|| "cRLDistributionPoints is not the one HTTP address of the CRL of its shard".to_owned())
}

fn points_to(point: &DistributionPoint, url: &str) -> bool {
    let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { return false };
    let address = matches!(&names[..], [GeneralName::UniformResourceIdentifier(found)] if found.as_str() == url);
    address && point.reasons.is_none() && point.crl_issuer.is_none()
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{CRL_URL, Fixture, sequence, tlv};

    #[test]
    fn the_address_of_the_ca_keys_crl_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    fn points(urls: &[&str]) -> Vec<u8> {
        let names: Vec<u8> = urls.iter().flat_map(|url| tlv(0x86, url.as_bytes())).collect();
        sequence(&[sequence(&[tlv(0xa0, &tlv(0xa0, &names))])])
    }

    #[test]
    fn another_generations_or_shards_crl_a_second_address_and_ldap_are_found() {
        let another = points(&["http://status.example/crl/signature-2.crl"]);
        let shard = points(&["http://status.example/crl/signature-1-2.crl"]);
        let two = points(&[CRL_URL, "http://mirror.example/crl/signature-1.crl"]);
        for value in [another, shard, two, points(&["ldap://status.example/"]), sequence(&[])] {
            let mut fixture = Fixture::signature();
            fixture.set(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, value);
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
