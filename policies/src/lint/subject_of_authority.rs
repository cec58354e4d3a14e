//! A CA is self-issued and bears the name that its profile gives it.

use crate::lint::Role;

use super::{Context, Lint, Severity};

/// A CA is self-issued and bears the name that its profile gives it.
pub(super) const LINT: Lint =
    Lint { name: "subject_of_authority", citation: "RFC 5280 section 3.2, Practice statement 2.1", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let Role::Authority(_, wanted) = context.expectation.role else { return None };
    let certificate = &context.certificate;
    if certificate.subject != certificate.issuer {
        return Some("subject and issuer differ".to_owned());
    }
    let found: Vec<_> = certificate.subject_rdns.iter().flat_map(|rdn| rdn.iter()).collect();
    let sound = found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(found, wanted)| found.oid == wanted.kind.oid() && found.value.value() == wanted.value.as_bytes());
    (!sound).then(|| "the subject is not the name that the profile gives the CA".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, name, rdn};

    #[test]
    fn the_name_that_the_profile_gives_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn another_name_is_found() {
        let mut fixture = Fixture::authority();
        fixture.subject = name(&[rdn("2.5.4.6", 0x13, b"JP"), rdn("2.5.4.10", 0x0c, b"JPKI")]);
        assert!(fixture.judge(&LINT).is_some());
        fixture.issuer = fixture.subject.clone();
        assert!(fixture.judge(&LINT).is_some());
    }
}
