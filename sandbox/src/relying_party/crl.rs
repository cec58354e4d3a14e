//! CRLs (RFC 5280 section 6.3), fetched from where the certificate says and held against it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use der::asn1::{Any, ObjectIdentifier};
use der::{Decode as _, Encode as _, Tag, Tagged as _};
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::ext::pkix::CrlDistributionPoints;

use super::{RelyingPartyFault, crl_url, decode, decoding, generalized_time, is_current, moment, serial_content, unbelievable};
use crate::http::{HttpClient, HttpSettings};
use crate::reason::Reason;
use crate::{asn1, oids, signed};

/// A verified CRL and what it says about the certificate.
#[derive(Debug, Clone)]
pub struct CrlAnswer {
    /// cRLNumber, hex.
    pub number: String,
    /// When it was issued.
    pub this_update: DateTime<Utc>,
    /// When the next comes at the latest.
    pub next_update: DateTime<Utc>,
    /// The certificate's entry, if it is listed.
    pub entry: Option<CrlEntry>,
    /// How many entries there are.
    pub entries: usize,
    /// The CRL as it came, DER.
    pub der: Vec<u8>,
}

/// A revocation as a CRL tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlEntry {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Why; `Unspecified` if nothing is said.
    pub reason: Reason,
    /// Since when it was invalid, if that is told (invalidityDate).
    pub invalid_since: Option<DateTime<Utc>>,
}

/// Fetches the CRL that a certificate names and verifies it.
pub fn fetch_crl(certificate: &[u8], issuer: &[u8]) -> Result<CrlAnswer, RelyingPartyFault> {
    let http = HttpClient::new(&HttpSettings { timeout: Duration::from_secs(30), ..HttpSettings::default() })?;
    let answer = http.get(&crl_url(certificate)?, &[])?;
    if answer.status != 200 || answer.content_type != "application/pkix-crl" {
        return Err(unbelievable(format!("HTTP status {}, type {:?}", answer.status, answer.content_type)));
    }
    verify_crl(&answer.body, certificate, issuer)
}

/// Verifies a CRL for a certificate: issuer, signature, times, scope (the critical issuingDistributionPoint must have the
/// certificate's own distribution point, octet for octet), no critical extension unknown.
pub fn verify_crl(der: &[u8], certificate: &[u8], issuer: &[u8]) -> Result<CrlAnswer, RelyingPartyFault> {
    verify_crl_at(der, certificate, issuer, Utc::now())
}

/// [`verify_crl`] as it was, or will be, at another moment than now.
pub fn verify_crl_at(der: &[u8], certificate: &[u8], issuer: &[u8], at: DateTime<Utc>) -> Result<CrlAnswer, RelyingPartyFault> {
    let list: CertificateList = CertificateList::from_der(der).map_err(|error| decoding("the CRL", error))?;
    let (certificate, issuer) = (decode(certificate)?, decode(issuer)?);
    let tbs = &list.tbs_cert_list;
    if &tbs.issuer != issuer.tbs_certificate().subject() {
        return Err(unbelievable("the CRL is another issuer's"));
    }
    signed::verify(&signed::split(der)?, issuer.tbs_certificate().subject_public_key_info())?;
    let this_update = moment(tbs.this_update.to_unix_duration())?;
    let next_update = tbs.next_update.ok_or_else(|| unbelievable("the CRL has no nextUpdate"))?;
    let next_update = moment(next_update.to_unix_duration())?;
    if !is_current(this_update, next_update, at) {
        return Err(unbelievable("the CRL is too old or from the future"));
    }
    let extensions = tbs.crl_extensions.as_deref().unwrap_or_default();
    let find = |id: ObjectIdentifier| extensions.iter().find(|extension| extension.extn_id == id);
    if extensions.iter().any(|extension| extension.critical && extension.extn_id != oids::ISSUING_DISTRIBUTION_POINT) {
        return Err(unbelievable("the CRL has a critical extension that is not known here"));
    }
    let point = find(oids::ISSUING_DISTRIBUTION_POINT).filter(|extension| extension.critical);
    let point = point.ok_or_else(|| unbelievable("the CRL has no critical issuingDistributionPoint"))?;
    verify_scope(point.extn_value.as_bytes(), certificate.tbs_certificate())?;
    let number = find(oids::CRL_NUMBER).ok_or_else(|| unbelievable("the CRL has no number"))?;
    let number = Any::from_der(number.extn_value.as_bytes()).map_err(|error| decoding("the CRL's number", error))?;
    let revoked = tbs.revoked_certificates.as_deref().unwrap_or_default();
    let serial = serial_content(certificate.tbs_certificate().serial_number().as_bytes());
    let entry = revoked.iter().find(|entry| serial_content(entry.serial_number.as_bytes()) == serial);
    Ok(CrlAnswer {
        number: hex::encode(number.value()),
        this_update,
        next_update,
        entry: entry.map(read_entry).transpose()?,
        entries: revoked.len(),
        der: der.to_vec(),
    })
}

/// The IDP's distributionPoint, `[0]`, must be one of the certificate's, in the same octets.
fn verify_scope(idp: &[u8], certificate: &x509_cert::TbsCertificate) -> Result<(), RelyingPartyFault> {
    let points = certificate.get_extension::<CrlDistributionPoints>().map_err(|error| decoding("cRLDistributionPoints", error))?;
    let content = Any::from_der(idp).map_err(|error| decoding("issuingDistributionPoint", error))?;
    let own = points.iter().flat_map(|(_, points)| points.0.iter()).filter_map(|point| point.distribution_point.as_ref()?.to_der().ok());
    let mut wanted = own.map(|name| asn1::explicit(0, &name));
    if content.tag() == Tag::Sequence && wanted.any(|wanted| content.value().starts_with(&wanted)) {
        Ok(())
    } else {
        Err(unbelievable("the CRL's scope is not the certificate's distribution point"))
    }
}

fn read_entry(entry: &RevokedCert) -> Result<CrlEntry, RelyingPartyFault> {
    let extensions = entry.crl_entry_extensions.as_deref().unwrap_or_default();
    if extensions.iter().any(|extension| extension.critical) {
        return Err(unbelievable("an entry has a critical extension that is not known here"));
    }
    let reason = match extensions.iter().find(|extension| extension.extn_id == oids::REASON_CODE) {
        Some(extension) => match extension.extn_value.as_bytes() {
            [0x0A, 1, code] => Reason::from_code(*code).ok_or_else(|| unbelievable("a reason that cannot be"))?,
            _ => return Err(unbelievable("a reasonCode that is no ENUMERATED")),
        },
        None => Reason::Unspecified,
    };
    let invalid_since = extensions.iter().find(|extension| extension.extn_id == oids::INVALIDITY_DATE);
    let invalid_since = invalid_since.map(|extension| generalized_time("invalidityDate", extension.extn_value.as_bytes())).transpose()?;
    Ok(CrlEntry { at: moment(entry.revocation_date.to_unix_duration())?, reason, invalid_since })
}
