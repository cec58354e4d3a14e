//! The OCSP responder under load: asked over connections that are kept alive, every answer verified.

use std::collections::HashMap;
use std::time::Duration;

use super::LoadFault;
use super::issued::Issued;
use crate::card_status::CertIdHash;
use crate::http::{HttpClient, HttpFault, HttpSettings};
use crate::kind::Kind;
use crate::relying_party::{RelyingPartyFault, Status, ocsp_request, ocsp_url, verify_ocsp};

/// A client of the responder that the certificates name.
pub(super) struct Responder<'a> {
    http: HttpClient,
    issuers: &'a HashMap<Kind, Vec<u8>>,
}

impl<'a> Responder<'a> {
    /// With the CA certificates (DER) of each kind.
    pub(super) fn new(issuers: &'a HashMap<Kind, Vec<u8>>) -> Result<Self, HttpFault> {
        let http = HttpClient::new(&HttpSettings { timeout: Duration::from_secs(30), ..HttpSettings::default() })?;
        Ok(Self { http, issuers })
    }

    /// Asks by POST, without a nonce.
    pub(super) fn ask(&self, about: &Issued) -> Result<Status, LoadFault> {
        let unbelievable = |reason: &str| RelyingPartyFault::Unbelievable(reason.to_owned());
        let issuer = self.issuers.get(&about.kind).ok_or_else(|| unbelievable("no CA certificate of the kind"))?;
        let request = ocsp_request(&about.certificate, issuer, CertIdHash::Sha1, None)?;
        let answer = self.http.post(&ocsp_url(&about.certificate)?, &[], "application/ocsp-request", &request);
        let answer = answer.map_err(RelyingPartyFault::from)?;
        if answer.status != 200 {
            return Err(unbelievable("not answered with status 200").into());
        }
        Ok(verify_ocsp(&answer.body, &request, &about.certificate, issuer, CertIdHash::Sha1, None)?.status)
    }
}
