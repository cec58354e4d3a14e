//! Making a CA's own certificate.

use chrono::{DateTime, Duration, SubsecRound, Utc};
use const_oid::db::rfc5280;
use der::asn1::OctetString;
use der::{Decode, Encode};
use policies::lint::{Authority, Expectation, Role};
use policies::{KeyUsageBit, Policies};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::ext::pkix::{BasicConstraints, SubjectKeyIdentifier};
use x509_cert::time::Validity;

use super::rules::{authority_key_identifier, encode_name, extension, key_usage};
use crate::digest::sha1;
use crate::issuance::{LintFailure, RandomnessFault, TbsCertificate, assemble, judge};
use crate::kind::CertificateKind;
use crate::serial::SerialNumber;
use crate::signer::{Signer, SignerFault, signature_algorithm};
use crate::time::to_time;

/// A CA certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CaCertificateFault {
    /// The policies do not allow a CA key of that type.
    #[error("the authority profile does not allow the key's type")]
    KeyType,
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessFault),
    /// It would break a rule.
    #[error(transparent)]
    Lint(#[from] LintFailure),
    /// The key does not sign.
    #[error(transparent)]
    Signer(#[from] SignerFault),
    /// It could not be encoded.
    #[error("the CA certificate could not be encoded")]
    Encoding(#[from] der::Error),
}

/// Makes the self-signed certificate (DER) of a new CA key of `kind`, linted like any other.
///
/// Nothing is recorded: there is no store to record it in before the first CA key.
pub fn create_ca_certificate(
    policies: &Policies,
    kind: CertificateKind,
    signer: &dyn Signer,
    now: DateTime<Utc>,
) -> Result<Vec<u8>, CaCertificateFault> {
    let profile = &policies.authority;
    if !profile.key_types.contains(&signer.key_type()) {
        return Err(CaCertificateFault::KeyType);
    }
    let issuer_name = &policies.profile(kind.into()).issuer_name;
    let name = encode_name(issuer_name)?;
    let name_der = name.to_der()?;
    let algorithm = signature_algorithm(signer.key_type()).to_der()?;
    let public_key = SubjectPublicKeyInfoRef::from_der(signer.public_key_info())?.subject_public_key;
    let key_identifier = sha1(public_key.raw_bytes());
    let serial = SerialNumber::random(profile.serial_octets)?;
    let not_before = now.trunc_subsecs(0) - Duration::seconds(profile.backdating_seconds.into());
    let not_after = now.trunc_subsecs(0) + Duration::days(profile.life_days.into());

    let extensions = vec![
        authority_key_identifier(&key_identifier)?,
        extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, &SubjectKeyIdentifier(OctetString::new(key_identifier)?))?,
        key_usage(&[KeyUsageBit::KeyCertSign, KeyUsageBit::CrlSign])?,
        extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, &BasicConstraints { ca: true, path_len_constraint: Some(0) })?,
    ];
    let tbs = TbsCertificate::new(
        &serial,
        &algorithm,
        &name_der,
        Validity::new(to_time(not_before)?, to_time(not_after)?),
        name,
        signer.public_key_info(),
        extensions,
    )?
    .to_der()?;

    let expectation = Expectation {
        role: Role::Authority(profile, issuer_name),
        authority: Authority {
            name: &name_der,
            key_identifier: &key_identifier,
            signature_algorithm: &algorithm,
            not_after,
            crl_url: "",
            ocsp_url: "",
            certificate_url: "",
        },
        serial: &serial.to_der_content(),
        public_key_info: signer.public_key_info(),
        linked_card_not_after: None,
        basic_attributes: &[],
        now,
    };
    judge(&tbs, &expectation)?;
    Ok(assemble(&tbs, &algorithm, signer, public_key.raw_bytes())?)
}
