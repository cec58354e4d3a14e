//! No extension occurs twice.

use super::{Context, Lint, Severity};

/// No extension occurs twice.
pub(super) const LINT: Lint = Lint { name: "extension_duplicates", citation: "RFC 5280 section 4.2", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let extensions = &context.certificate.extensions;
    let twice = extensions.iter().enumerate().find(|(at, extension)| extensions[..*at].iter().any(|other| other.oid == extension.oid));
    twice.map(|(_, extension)| format!("extension {} occurs twice", extension.oid))
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::Fixture;

    #[test]
    fn different_extensions_pass() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn an_extension_that_occurs_twice_is_found() {
        let mut fixture = Fixture::signature();
        let again = fixture.extensions[1].clone();
        fixture.extensions.push(again);
        assert!(fixture.judge(&LINT).is_some());
    }
}
