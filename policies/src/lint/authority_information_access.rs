//! authorityInfoAccess names the CA key's OCSP responder and its certificate.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::Decode;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax};

use super::{Context, Lint, Severity};

/// authorityInfoAccess names the CA key's OCSP responder and its certificate.
pub(super) const LINT: Lint = Lint {
    name: "authority_information_access",
    citation: "RFC 5280 section 4.2.2.1, Practice statement 4.7",
    severity: Severity::Error,
    check,
};

fn check(context: &Context<'_>) -> Option<String> {
    context.expectation.smartphone()?;
    let authority = &context.expectation.authority;
    let sound = context.certificate.extension(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS).is_some_and(|extension| {
        AuthorityInfoAccessSyntax::from_der(extension.value).is_ok_and(|found| match &found.0[..] {
            [ocsp, issuers] => {
                leads_to(ocsp, rfc5280::ID_AD_OCSP, authority.ocsp_url)
                    && leads_to(issuers, rfc5280::ID_AD_CA_ISSUERS, authority.certificate_url)
            }
            _ => false,
        })
    });
    (!sound).then(|| "authorityInfoAccess is not the CA key's OCSP and certificate addresses".to_owned())
}

fn leads_to(access: &AccessDescription, method: ObjectIdentifier, url: &str) -> bool {
    let address = matches!(&access.access_location, GeneralName::UniformResourceIdentifier(found) if found.as_str() == url);
    access.access_method == method && address && url.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{CERTIFICATE_URL, Fixture, OCSP_URL, oid_der, sequence, tlv};

    #[test]
    fn the_addresses_of_the_ca_key_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn another_responder_and_a_missing_certificate_address_are_found() {
        let access = |method, url: &str| sequence(&[oid_der(method), tlv(0x86, url.as_bytes())]);
        let another =
            sequence(&[access(rfc5280::ID_AD_OCSP, "http://other.example/ocsp"), access(rfc5280::ID_AD_CA_ISSUERS, CERTIFICATE_URL)]);
        let missing = sequence(&[access(rfc5280::ID_AD_OCSP, OCSP_URL)]);
        for value in [another, missing] {
            let mut fixture = Fixture::signature();
            fixture.set(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, value);
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
