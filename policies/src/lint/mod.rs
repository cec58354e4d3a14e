//! Proving a certificate before it is signed.
//!
//! The lints run over the exact bytes that will be signed, a DER TBSCertificate, and know what was asked for
//! ([`Expectation`]). They share no encoder with the issuing side: what it builds is read here as a stranger would read it.
//! One rule, one file, one citation: of an RFC, or of a section of the practice statement ([`crate::PRACTICE_STATEMENT`]).

mod authority_information_access;
mod authority_key_identifier;
mod basic_constraints_authority;
mod basic_constraints_end_entity;
mod card_policy;
mod certificate_policies;
mod crl_distribution_points;
mod expectation;
mod extended_key_usage;
mod extension_critical;
mod extension_duplicates;
mod extension_set;
mod issuer_name;
mod key_usage_bits;
mod key_usage_critical;
mod name_strings;
mod ocsp_nocheck;
mod public_key_algorithm;
mod public_key_as_requested;
mod public_key_ec;
mod public_key_rsa;
mod public_key_type;
mod serial_as_reserved;
mod serial_entropy;
mod serial_length;
mod serial_positive;
mod signature_algorithm_of_issuer;
mod signature_algorithm_shape;
mod structure;
mod subject_alternative_name_absent;
mod subject_alternative_name_attributes;
mod subject_key_identifier;
mod subject_not_empty;
mod subject_of_authority;
mod subject_of_responder;
mod subject_opaque;
mod unique_identifiers;
mod validity_beginning;
mod validity_encoding;
mod validity_ends_with_card;
mod validity_length;
mod validity_order;
mod validity_within_issuer;
mod version;

pub use expectation::{Authority, Expectation, Role};
pub use structure::{Extension, MalformedCertificate, Moment, PublicKey, TbsCertificate};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Told, but the certificate may be signed.
    Warning,
    /// The certificate must not be signed.
    Error,
}

/// One rule.
#[derive(Debug)]
pub struct Lint {
    /// A stable name: words joined by underscores.
    pub name: &'static str,
    /// Where the rule comes from, for example `RFC 5280 section 4.1.2.1` or `Practice statement 3.2`.
    pub citation: &'static str,
    /// How bad a breach is.
    pub severity: Severity,
    /// Says what is wrong, without personal data; `None` if nothing is, or if the rule is not about this certificate.
    pub check: fn(&Context<'_>) -> Option<String>,
}

/// What a lint sees.
#[derive(Debug)]
pub struct Context<'a> {
    /// The certificate to be signed, parsed once.
    pub certificate: TbsCertificate<'a>,
    /// What was asked for.
    pub expectation: &'a Expectation<'a>,
}

/// A breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub lint: &'static str,
    /// The rule's citation.
    pub citation: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, without personal data.
    pub detail: String,
}

/// Runs every rule over `tbs_certificate` (DER, exactly what will be signed); no findings: it may be signed.
pub fn run(tbs_certificate: &[u8], expectation: &Expectation<'_>) -> Vec<Finding> {
    let certificate = match TbsCertificate::parse(tbs_certificate) {
        Ok(certificate) => certificate,
        Err(malformed) => return vec![malformed.into()],
    };
    let context = Context { certificate, expectation };
    RULES
        .iter()
        .filter_map(|lint| {
            let detail = (lint.check)(&context)?;
            Some(Finding { lint: lint.name, citation: lint.citation, severity: lint.severity, detail })
        })
        .collect()
}

impl From<MalformedCertificate> for Finding {
    fn from(malformed: MalformedCertificate) -> Self {
        Self { lint: "structure", citation: "RFC 5280 section 4.1", severity: Severity::Error, detail: malformed.to_string() }
    }
}

/// Every rule, in the order of the certificate's fields.
pub static RULES: &[&Lint] = &[
    &version::LINT,
    &serial_positive::LINT,
    &serial_length::LINT,
    &serial_entropy::LINT,
    &serial_as_reserved::LINT,
    &signature_algorithm_shape::LINT,
    &signature_algorithm_of_issuer::LINT,
    &issuer_name::LINT,
    &validity_encoding::LINT,
    &validity_order::LINT,
    &validity_within_issuer::LINT,
    &validity_ends_with_card::LINT,
    &validity_length::LINT,
    &validity_beginning::LINT,
    &subject_not_empty::LINT,
    &name_strings::LINT,
    &subject_opaque::LINT,
    &subject_of_responder::LINT,
    &subject_of_authority::LINT,
    &public_key_as_requested::LINT,
    &public_key_algorithm::LINT,
    &public_key_rsa::LINT,
    &public_key_ec::LINT,
    &public_key_type::LINT,
    &unique_identifiers::LINT,
    &extension_duplicates::LINT,
    &extension_critical::LINT,
    &extension_set::LINT,
    &authority_key_identifier::LINT,
    &subject_key_identifier::LINT,
    &key_usage_critical::LINT,
    &key_usage_bits::LINT,
    &extended_key_usage::LINT,
    &basic_constraints_end_entity::LINT,
    &basic_constraints_authority::LINT,
    &certificate_policies::LINT,
    &card_policy::LINT,
    &crl_distribution_points::LINT,
    &authority_information_access::LINT,
    &subject_alternative_name_attributes::LINT,
    &subject_alternative_name_absent::LINT,
    &ocsp_nocheck::LINT,
];

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
