//! What the card CA publishes about its certificates.

use ureq::Agent;

use crate::fault::BackOfficeFault;
use crate::settings::CardStatusSettings;
use crate::transport::{exchange, plain_agent};

/// Fetches OCSP answers and CRLs of the card CA. They come back as received; who signed them and when is the caller's to check.
pub struct CardStatusClient {
    agent: Agent,
    ocsp_octets: u64,
    crl_octets: u64,
}

impl CardStatusClient {
    /// A client; connects to nothing yet.
    pub fn new(settings: &CardStatusSettings) -> Self {
        Self { agent: plain_agent(&settings.connection), ocsp_octets: settings.ocsp_octets, crl_octets: settings.crl_octets }
    }

    /// Sends an OCSPRequest in DER by POST (RFC 6960 appendix A.1) and gives the OCSPResponse in DER.
    pub fn fetch_ocsp(&self, url: &str, request: &[u8]) -> Result<Vec<u8>, BackOfficeFault> {
        exchange(self.ocsp_octets, || {
            self.agent.post(url).header("Accept", "application/ocsp-response").content_type("application/ocsp-request").send(request)
        })
    }

    /// Downloads a CertificateList in DER (RFC 2585 section 4.2).
    pub fn fetch_crl(&self, url: &str) -> Result<Vec<u8>, BackOfficeFault> {
        exchange(self.crl_octets, || self.agent.get(url).header("Accept", "application/pkix-crl").call())
    }
}

/// Where a card CA's CRLs are. JPKI's cards name their CRL by a directoryName and no URL, so the place is ours to know: a URL
/// with `{distribution_point}` where the SHA-256 of that Name's DER goes, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlUrlTemplate(String);

impl CrlUrlTemplate {
    const PLACE: &str = "{distribution_point}";

    /// Reads a template: an `http://` URL with the place exactly once.
    pub fn parse(text: &str) -> Result<Self, BackOfficeFault> {
        if !text.starts_with("http://") {
            return Err(BackOfficeFault::Settings("a CRL's URL must begin with http://".into()));
        }
        if text.matches(Self::PLACE).count() != 1 {
            return Err(BackOfficeFault::Settings("a CRL's URL must have {distribution_point} exactly once".into()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL of one distribution point, given the SHA-256 of its Name in DER.
    pub fn url(&self, distribution_point_sha256: &[u8; 32]) -> String {
        self.0.replace(Self::PLACE, &hex::encode(distribution_point_sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_gives_the_url_of_a_distribution_point() {
        let template = CrlUrlTemplate::parse("http://127.0.0.1:1/crl/signature/{distribution_point}.crl").unwrap();
        assert_eq!(template.url(&[0xab; 32]), format!("http://127.0.0.1:1/crl/signature/{}.crl", "ab".repeat(32)));
    }

    #[test]
    fn a_template_without_its_place_or_over_another_scheme_is_refused() {
        assert!(CrlUrlTemplate::parse("http://127.0.0.1/all.crl").is_err());
        assert!(CrlUrlTemplate::parse("file:///{distribution_point}").is_err());
    }
}
