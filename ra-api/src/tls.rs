//! TLS of the two listeners, from PEM.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why files make no TLS listener.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// No certificate, or something that is not PEM.
    #[error("{0}: no certificate in PEM")]
    Certificate(&'static str),
    /// No private key, or something that is not PEM.
    #[error("the TLS key: no unencrypted private key in PEM (PKCS#8, PKCS#1 or SEC 1)")]
    Key,
    /// rustls does not take them, for instance because key and certificate do not belong together.
    #[error("TLS: {0}")]
    Rejected(String),
}

/// TLS for the public listener: the server proves itself, holders do not (their card's signature is their identity).
pub fn holder_tls(certificate_chain_pem: &[u8], key_pem: &[u8]) -> Result<ServerConfig, TlsFault> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(rejected)?;
    builder.with_no_client_auth().with_single_cert(chain(certificate_chain_pem, "the TLS certificate")?, key(key_pem)?).map_err(rejected)
}

/// Mutual TLS for the operators' listener: nobody gets past the handshake without a client certificate of the operator CA.
pub fn operator_tls(certificate_chain_pem: &[u8], key_pem: &[u8], operator_ca_pem: &[u8]) -> Result<ServerConfig, TlsFault> {
    let mut roots = RootCertStore::empty();
    for root in chain(operator_ca_pem, "the operator CA")? {
        roots.add(root).map_err(rejected)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| TlsFault::Rejected(error.to_string()))?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(rejected)?;
    builder
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(certificate_chain_pem, "the TLS certificate")?, key(key_pem)?)
        .map_err(rejected)
}

// Named explicitly: no process-wide default is to be relied upon.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn chain(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| TlsFault::Certificate(what))?;
    if certificates.is_empty() { Err(TlsFault::Certificate(what)) } else { Ok(certificates) }
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsFault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsFault::Key)
}

fn rejected(error: rustls::Error) -> TlsFault {
    TlsFault::Rejected(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_certificate_is_rejected() {
        let one = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let (certificate, key) = (one.cert.pem(), other.signing_key.serialize_pem());
        assert!(matches!(holder_tls(certificate.as_bytes(), key.as_bytes()), Err(TlsFault::Rejected(_))));
        assert!(holder_tls(certificate.as_bytes(), one.signing_key.serialize_pem().as_bytes()).is_ok());
    }

    #[test]
    fn files_that_are_not_pem_are_named() {
        let one = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let (certificate, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        assert!(matches!(holder_tls(b"", key.as_bytes()), Err(TlsFault::Certificate("the TLS certificate"))));
        assert!(matches!(holder_tls(certificate.as_bytes(), b""), Err(TlsFault::Key)));
        let no_ca = operator_tls(certificate.as_bytes(), key.as_bytes(), b"");
        assert!(matches!(no_ca, Err(TlsFault::Certificate("the operator CA"))));
    }
}
