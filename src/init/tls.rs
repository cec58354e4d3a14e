//! TLS certificates of a new installation: the RA's server certificate and the operator CA with its first certificates.
//!
//! They are a start: an installation that has a TLS PKI of its own puts its files in the same places.

use std::path::Path;

use ra_api::Role;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use time::{Duration, OffsetDateTime};

use crate::failure::Failure;
use crate::init::files;

/// How long a TLS CA lasts, in days.
const CA_DAYS: i64 = 3_650;
/// How long a server or operator certificate lasts, in days.
const END_ENTITY_DAYS: i64 = 397;

/// The operators that a new installation knows, by name and role: the organizational unit of the client certificate is the role.
/// Two administrators, because a mass command needs a second one.
pub(crate) const FIRST_OPERATORS: [(&str, Role); 6] = [
    ("back-office", Role::BackOffice),
    ("call-centre", Role::CallCentre),
    ("administrator", Role::Administrator),
    ("administrator-2", Role::Administrator),
    ("auditor", Role::Auditor),
    ("verifier", Role::Verifier),
];

/// A TLS CA with its key.
pub(crate) struct TlsAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    key_pem: String,
}

impl TlsAuthority {
    /// Makes one.
    pub(crate) fn create(common_name: &str) -> Result<Self, Failure> {
        let key = key_pair()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "Tsunagi");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_life(&mut params, CA_DAYS);
        let certificate = params.self_signed(&key).map_err(failed)?;
        let key_pem = key.serialize_pem();
        Ok(Self { certificate_pem: certificate.pem(), key_pem, issuer: Issuer::new(params, key) })
    }

    /// The CA's certificate.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Writes `NAME.pem` and `NAME.key.pem`.
    pub(crate) fn write(&self, directory: &Path, name: &str) -> Result<(), Failure> {
        files::write(&directory.join(format!("{name}.pem")), self.certificate_pem.as_bytes())?;
        files::write_secret(&directory.join(format!("{name}.key.pem")), self.key_pem.as_bytes())
    }

    /// Writes a server's certificate for these host names and addresses, and its key.
    pub(crate) fn write_server(&self, directory: &Path, name: &str, hosts: &[String]) -> Result<(), Failure> {
        let mut params = CertificateParams::new(hosts.to_vec()).map_err(failed)?;
        params.distinguished_name.push(DnType::OrganizationName, "Tsunagi");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.write_end_entity(directory, name, params)
    }

    /// Writes an operator's certificate, whose organizational unit is the role, and its key.
    pub(crate) fn write_operator(&self, directory: &Path, name: &str, role: &str) -> Result<(), Failure> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "Tsunagi");
        params.distinguished_name.push(DnType::OrganizationalUnitName, role);
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.write_end_entity(directory, name, params)
    }

    fn write_end_entity(&self, directory: &Path, name: &str, mut params: CertificateParams) -> Result<(), Failure> {
        let key = key_pair()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        set_life(&mut params, END_ENTITY_DAYS);
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        files::write(&directory.join(format!("{name}.pem")), certificate.pem().as_bytes())?;
        files::write_secret(&directory.join(format!("{name}.key.pem")), key.serialize_pem().as_bytes())
    }
}

fn key_pair() -> Result<KeyPair, Failure> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)
}

fn set_life(params: &mut CertificateParams, days: i64) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::minutes(5);
    params.not_after = now + Duration::days(days);
}

fn failed(error: rcgen::Error) -> Failure {
    Failure::other(format!("TLS certificates: {error}"))
}
