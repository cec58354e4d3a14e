//! The back office's own TLS CA and server certificate.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use super::BackOfficeFault;
use crate::http::provider;

/// A CA for one server.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TlsAuthority {
    pub(crate) certificate_pem: String,
    key_pem: String,
}

impl std::fmt::Debug for TlsAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsAuthority")
    }
}

impl TlsAuthority {
    pub(crate) fn create() -> Result<Self, BackOfficeFault> {
        let key = KeyPair::generate().map_err(tls)?;
        let certificate = params("Sandbox back office TLS CA", true, &[])?.self_signed(&key).map_err(tls)?;
        Ok(Self { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// A server that answers to `localhost` and the loopback addresses, besides the names given.
    pub(crate) fn server(&self, names: &[String]) -> Result<ServerConfig, BackOfficeFault> {
        let ca_key = KeyPair::from_pem(&self.key_pem).map_err(tls)?;
        // The CA's parameters are remade rather than read back: only its name and key identifier go into what it issues.
        let issuer = Issuer::new(params("Sandbox back office TLS CA", true, &[])?, ca_key);
        let key = KeyPair::generate().map_err(tls)?;
        let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        all.extend(names.iter().cloned());
        let certificate = params("Sandbox back office", false, &all)?.signed_by(&key, &issuer).map_err(tls)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::clone(&provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
            .map_err(tls)
    }
}

fn params(name: &str, is_ca: bool, names: &[String]) -> Result<CertificateParams, BackOfficeFault> {
    let mut params = CertificateParams::new(names).map_err(tls)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    } else {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
    }
    Ok(params)
}

fn tls(error: impl std::fmt::Display) -> BackOfficeFault {
    BackOfficeFault::Tls(error.to_string())
}
