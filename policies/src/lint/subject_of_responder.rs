//! A responder is named under the country and organization of its CA, by prefix and random characters.

use der::Decode;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::RdnSequence;

use crate::name::{AttributeKind, OPAQUE_ALPHABET};
use crate::responder::ResponderProfile;

use super::{Context, Lint, Severity};

/// A responder is named under the country and organization of its CA, by prefix and random characters.
pub(super) const LINT: Lint = Lint { name: "subject_of_responder", citation: "Practice statement 2.3", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let profile = context.expectation.responder()?;
    let Ok(ca_name) = RdnSequence::from_der(context.expectation.authority.name) else {
        return Some("the CA's name cannot be read".to_owned());
    };
    let kept =
        |attribute: &&AttributeTypeAndValue| matches!(AttributeKind::from_oid(&attribute.oid), Some(AttributeKind::C | AttributeKind::O));
    let wanted: Vec<_> = ca_name.iter().flat_map(|rdn| rdn.iter()).filter(kept).collect();
    let found: Vec<_> = context.certificate.subject_rdns.iter().flat_map(|rdn| rdn.iter()).collect();
    let sound = found.split_last().is_some_and(|(common_name, rest)| {
        let characters = common_name.value.value().strip_prefix(profile.common_name_prefix.as_bytes());
        let opaque = characters.and_then(|characters| characters.strip_prefix(b" ")).unwrap_or_default();
        rest == wanted
            && AttributeKind::from_oid(&common_name.oid) == Some(AttributeKind::CN)
            && opaque.len() == usize::from(ResponderProfile::COMMON_NAME_CHARACTERS)
            && opaque.iter().all(|character| OPAQUE_ALPHABET.contains(character))
    });
    (!sound).then(|| "the subject is not a responder's name under its CA".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::Fixture;

    #[test]
    fn a_name_under_the_cas_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn the_cas_own_name_is_found() {
        let mut fixture = Fixture::responder();
        fixture.subject = fixture.ca_name.clone();
        assert!(fixture.judge(&LINT).is_some());
    }
}
