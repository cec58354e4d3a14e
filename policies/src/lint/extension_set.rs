//! A certificate has all extensions of its kind and no others.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc6960};

use super::Role;

use super::{Context, Lint, Severity};

/// A certificate has all extensions of its kind and no others.
pub(super) const LINT: Lint = Lint { name: "extension_set", citation: "Practice statement 4.1", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let mut wanted: Vec<ObjectIdentifier> = Vec::with_capacity(9);
    wanted.extend([rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, rfc5280::ID_CE_KEY_USAGE]);
    match context.expectation.role {
        Role::Smartphone(profile) | Role::Test(profile) => {
            wanted.extend([
                rfc5280::ID_CE_CERTIFICATE_POLICIES,
                rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
                rfc5280::ID_PE_AUTHORITY_INFO_ACCESS,
            ]);
            if !profile.ext_key_usage.is_empty() {
                wanted.push(rfc5280::ID_CE_EXT_KEY_USAGE);
            }
            if !context.expectation.basic_attributes.is_empty() {
                wanted.push(rfc5280::ID_CE_SUBJECT_ALT_NAME);
            }
        }
        Role::Responder(_) => wanted.extend([rfc5280::ID_CE_EXT_KEY_USAGE, rfc6960::ID_PKIX_OCSP_NOCHECK]),
        Role::Authority(..) => wanted.push(rfc5280::ID_CE_BASIC_CONSTRAINTS),
    }
    if let Some(foreign) = context.certificate.extensions.iter().find(|extension| !wanted.contains(&extension.oid)) {
        return Some(format!("extension {} is none of this kind of certificate", foreign.oid));
    }
    let missing = wanted.iter().find(|oid| context.certificate.extension(**oid).is_none());
    missing.map(|oid| format!("extension {oid} is missing"))
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, oid, tlv};

    #[test]
    fn the_extensions_of_each_kind_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_foreign_extension_is_found() {
        for mut fixture in Fixture::all() {
            fixture.add(oid("1.3.6.1.4.1.32473.1"), tlv(0x05, &[]));
            assert!(fixture.judge(&LINT).is_some());
        }
    }

    #[test]
    fn any_missing_extension_is_found() {
        for at in 0..4 {
            for (oid, _, _) in Fixture::all()[at].extensions.clone() {
                let mut lacking = Fixture::all();
                lacking[at].remove(oid);
                assert!(lacking[at].judge(&LINT).is_some());
            }
        }
    }
}
