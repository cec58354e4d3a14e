//! A certificate of which every octet was held against the rules.

use policies::lint::{self, Expectation, Finding, Role, Severity};

use super::Template;
use super::template::{Facts, Purpose};

/// A certificate that breaks no rule; may be recorded.
#[derive(Debug)]
pub struct Linted {
    pub(super) tbs: Vec<u8>,
    pub(super) facts: Facts,
}

/// A certificate would break rules, and is not signed. Ours to put right: the policies, or the issuing side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate would break {} ({})", .findings.first().map_or("a rule", |finding| finding.lint), .findings.first().map_or("", |finding| finding.detail.as_str()))]
pub struct LintFailure {
    /// Every breach, without personal data.
    pub findings: Vec<Finding>,
}

impl Template {
    /// Runs every lint over the exact octets that will be signed.
    pub fn lint(self) -> Result<Linted, LintFailure> {
        let Self { tbs, facts, asked } = self;
        let issuer = &facts.issuer;
        let crl = issuer.ca_key().distribution_point(issuer.shard_of(&facts.serial));
        let attributes: Vec<_> = asked.basic_attributes.iter().map(|attribute| (attribute.oid, attribute.value.as_str())).collect();
        let expectation = Expectation {
            role: match asked.purpose {
                Purpose::Smartphone => Role::Smartphone(issuer.profile()),
                Purpose::Test => Role::Test(issuer.profile()),
                Purpose::Responder => Role::Responder(&issuer.policies().responder),
            },
            authority: issuer.authority(&crl.url),
            serial: &facts.serial.to_der_content(),
            public_key_info: &asked.public_key_info,
            linked_card_not_after: asked.linked_card_not_after,
            basic_attributes: &attributes,
            now: asked.now,
        };
        judge(&tbs, &expectation)?;
        Ok(Linted { tbs, facts })
    }
}

/// Fails on an error; warnings let pass.
pub(crate) fn judge(tbs: &[u8], expectation: &Expectation<'_>) -> Result<(), LintFailure> {
    let findings = lint::run(tbs, expectation);
    if findings.iter().any(|finding| finding.severity == Severity::Error) { Err(LintFailure { findings }) } else { Ok(()) }
}
