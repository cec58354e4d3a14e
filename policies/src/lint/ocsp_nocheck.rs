//! A responder's certificate has id-pkix-ocsp-nocheck, and no other has.

use const_oid::db::rfc6960;

use super::{Context, Lint, Severity};

/// A responder's certificate has id-pkix-ocsp-nocheck, and no other has.
pub(super) const LINT: Lint =
    Lint { name: "ocsp_nocheck", citation: "RFC 6960 section 4.2.2.2.1, Practice statement 4.9", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let extension = context.certificate.extension(rfc6960::ID_PKIX_OCSP_NOCHECK);
    match (context.expectation.responder(), extension) {
        (None, None) => None,
        (None, Some(_)) => Some("a certificate that is no responder's has nocheck".to_owned()),
        (Some(_), None) => Some("nocheck is absent".to_owned()),
        // The value is NULL.
        (Some(_), Some(extension)) => {
            (extension.critical || extension.value != [5, 0]).then(|| "nocheck is critical or not NULL".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc6960;

    use super::LINT;
    use crate::lint::fixture::{Fixture, tlv};

    #[test]
    fn a_responder_with_and_others_without_it_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_responder_without_and_a_smartphone_with_it_are_found() {
        let mut without = Fixture::responder();
        without.remove(rfc6960::ID_PKIX_OCSP_NOCHECK);
        let mut with = Fixture::signature();
        with.add(rfc6960::ID_PKIX_OCSP_NOCHECK, tlv(0x05, &[]));
        let mut not_null = Fixture::responder();
        not_null.set(rfc6960::ID_PKIX_OCSP_NOCHECK, Vec::new());
        for fixture in [without, with, not_null] {
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
