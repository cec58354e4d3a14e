//! OCSP (RFC 6960, RFC 5019), decoded by the x509-ocsp crate and verified with ring.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use der::Encode as _;
use der::asn1::ObjectIdentifier;
// x509-ocsp is of the der 0.7 generation, which rsa carries.
use rsa::pkcs8::der::{Decode as _, Encode as _};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectKeyIdentifier};
use x509_ocsp::{BasicOcspResponse, CertStatus, OcspResponse, OcspResponseStatus, ResponderId, SingleResponse};

use super::{RelyingPartyFault, Status, decode, decoding, generalized_time, is_current, moment, ocsp_url, unbelievable, verify_issued_by};
use crate::card_status::{CertIdHash, cert_id};
use crate::http::{HttpClient, HttpSettings};
use crate::keys::{random, sha1};
use crate::reason::Reason;
use crate::{asn1, oids, signed};

/// How to send the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OcspMethod {
    /// In the body.
    #[default]
    Post,
    /// In the path, base64 with `/`, `+` and `=` escaped (RFC 6960 appendix A.1).
    Get,
}

/// How to ask.
#[derive(Debug, Clone, Default)]
pub struct OcspWish {
    /// POST or GET.
    pub method: OcspMethod,
    /// The hash of the CertID.
    pub hash: CertIdHash,
    /// Whether to send 32 random octets and insist on them.
    pub nonce: bool,
    /// Whom to ask; the certificate says if `None`.
    pub url: Option<String>,
}

/// A verified answer.
#[derive(Debug, Clone)]
pub struct OcspAnswer {
    /// The status.
    pub status: Status,
    /// When it was signed.
    pub produced_at: DateTime<Utc>,
    /// From when it is true.
    pub this_update: DateTime<Utc>,
    /// Until when.
    pub next_update: Option<DateTime<Utc>>,
    /// Of a revoked certificate: since when it was invalid, if that is told (invalidityDate).
    pub invalid_since: Option<DateTime<Utc>>,
    /// The earliest end of a certificate for which answers are kept, if that is told (ArchiveCutoff).
    pub archive_cutoff: Option<DateTime<Utc>>,
    /// The question, DER.
    pub request: Vec<u8>,
    /// The answer as it came, DER.
    pub der: Vec<u8>,
}

/// Asks the certificate's responder and verifies the answer.
pub fn ask_ocsp(certificate: &[u8], issuer: &[u8], wish: &OcspWish) -> Result<OcspAnswer, RelyingPartyFault> {
    let url = match &wish.url {
        Some(url) => url.clone(),
        None => ocsp_url(certificate)?,
    };
    let nonce = if wish.nonce { Some(random::<32>()?) } else { None };
    let request = ocsp_request(certificate, issuer, wish.hash, nonce.as_ref().map(<[u8; 32]>::as_slice))?;
    let http = HttpClient::new(&HttpSettings { timeout: Duration::from_secs(10), ..HttpSettings::default() })?;
    let answer = match wish.method {
        OcspMethod::Post => http.post(&url, &[], "application/ocsp-request", &request)?,
        OcspMethod::Get => {
            let path = STANDARD.encode(&request).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            http.get(&format!("{}/{path}", url.trim_end_matches('/')), &[])?
        }
    };
    if answer.status != 200 || answer.content_type != "application/ocsp-response" {
        return Err(unbelievable(format!("HTTP status {}, type {:?}", answer.status, answer.content_type)));
    }
    verify_ocsp(&answer.body, &request, certificate, issuer, wish.hash, nonce.as_ref().map(<[u8; 32]>::as_slice))
}

/// OCSPRequest for one certificate, DER.
pub fn ocsp_request(certificate: &[u8], issuer: &[u8], hash: CertIdHash, nonce: Option<&[u8]>) -> Result<Vec<u8>, RelyingPartyFault> {
    let cert_id = own_cert_id(certificate, issuer, hash)?;
    let extensions = nonce.map_or_else(Vec::new, |nonce| {
        asn1::explicit(2, &asn1::sequence(&[asn1::extension(&oids::OCSP_NONCE, false, &asn1::octet_string(nonce))]))
    });
    Ok(asn1::sequence(&[asn1::sequence(&[asn1::sequence(&[asn1::sequence(&[cert_id])]), extensions])]))
}

/// Verifies an answer: signer (the issuer or its delegate), signature, CertID as asked, nonce, times.
pub fn verify_ocsp(
    der: &[u8],
    request: &[u8],
    certificate: &[u8],
    issuer: &[u8],
    hash: CertIdHash,
    nonce: Option<&[u8]>,
) -> Result<OcspAnswer, RelyingPartyFault> {
    verify_ocsp_at(der, request, (certificate, issuer), hash, nonce, Utc::now())
}

/// [`verify_ocsp`] for certificate and issuer as it was, or will be, at another moment than now.
pub fn verify_ocsp_at(
    der: &[u8],
    request: &[u8],
    (certificate, issuer): (&[u8], &[u8]),
    hash: CertIdHash,
    nonce: Option<&[u8]>,
    at: DateTime<Utc>,
) -> Result<OcspAnswer, RelyingPartyFault> {
    let response = OcspResponse::from_der(der).map_err(|error| decoding("the OCSP answer", error))?;
    if response.response_status != OcspResponseStatus::Successful {
        return Err(RelyingPartyFault::Error(format!("{:?}", response.response_status)));
    }
    let bytes = response.response_bytes.ok_or_else(|| unbelievable("a successful answer without content"))?;
    if bytes.response_type.as_bytes() != oids::OCSP_BASIC.as_bytes() {
        return Err(unbelievable("an answer of another type than basic"));
    }
    let basic_der = bytes.response.as_bytes();
    let basic = BasicOcspResponse::from_der(basic_der).map_err(|error| decoding("the OCSP answer", error))?;
    let data = &basic.tbs_response_data;
    verify_signer(&basic, basic_der, issuer, at)?;
    verify_nonce(&basic, nonce)?;
    let asked = own_cert_id(certificate, issuer, hash)?;
    let single = data.responses.iter().find(|single| single.cert_id.to_der().is_ok_and(|answered| answered == asked));
    let single = single.ok_or_else(|| unbelievable("the answer is about another certificate, or by another hash"))?;
    let this_update = moment(single.this_update.0.to_unix_duration())?;
    let next_update = single.next_update.map(|at| moment(at.0.to_unix_duration())).transpose()?;
    if !is_current(this_update, next_update.unwrap_or(DateTime::<Utc>::MAX_UTC), at) {
        return Err(unbelievable("the answer is too old or from the future"));
    }
    let extensions = data.response_extensions.iter().flatten().map(|one| (one.extn_id.as_bytes(), one.critical, one.extn_value.as_bytes()));
    let extensions = Extensions::of(extensions, &[oids::OCSP_NONCE, oids::OCSP_EXTENDED_REVOKE])?;
    let extended_revoke = extensions.value(oids::OCSP_EXTENDED_REVOKE) == Some(&[5, 0]);
    let of_single = single.single_extensions.iter().flatten().map(|one| (one.extn_id.as_bytes(), one.critical, one.extn_value.as_bytes()));
    let of_single = Extensions::of(of_single, &[oids::INVALIDITY_DATE, oids::OCSP_ARCHIVE_CUTOFF])?;
    Ok(OcspAnswer {
        status: status(single, extended_revoke)?,
        invalid_since: of_single.time("invalidityDate", oids::INVALIDITY_DATE)?,
        archive_cutoff: of_single.time("archiveCutoff", oids::OCSP_ARCHIVE_CUTOFF)?,
        produced_at: moment(data.produced_at.0.to_unix_duration())?,
        this_update,
        next_update,
        request: request.to_vec(),
        der: der.to_vec(),
    })
}

fn own_cert_id(certificate: &[u8], issuer: &[u8], hash: CertIdHash) -> Result<Vec<u8>, RelyingPartyFault> {
    let (certificate, issuer) = (decode(certificate)?, decode(issuer)?);
    let name = certificate.tbs_certificate().issuer().to_der().map_err(|error| decoding("the issuer's name", error))?;
    let key = issuer.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
    Ok(cert_id(hash, &name, key, certificate.tbs_certificate().serial_number().as_bytes()))
}

/// RFC 6960 section 4.2.2.2: signed by the issuer itself, or by a responder that the issuer certified directly.
fn verify_signer(basic: &BasicOcspResponse, basic_der: &[u8], issuer: &[u8], at: DateTime<Utc>) -> Result<(), RelyingPartyFault> {
    let parts = signed::split(basic_der)?;
    let mut candidates = vec![issuer.to_vec()];
    for certificate in basic.certs.iter().flatten() {
        candidates.push(certificate.to_der().map_err(|error| decoding("the responder's certificate", error))?);
    }
    for (place, candidate) in candidates.iter().enumerate() {
        let decoded = decode(candidate)?;
        if !is_responder(&basic.tbs_response_data.responder_id, &decoded)? {
            continue;
        }
        if place > 0 {
            verify_delegate(candidate, &decoded, issuer, at)?;
        }
        return Ok(signed::verify(&parts, decoded.tbs_certificate().subject_public_key_info())?);
    }
    Err(unbelievable("the answer's signer is not among its certificates"))
}

fn is_responder(id: &ResponderId, certificate: &Certificate) -> Result<bool, RelyingPartyFault> {
    let tbs = certificate.tbs_certificate();
    Ok(match id {
        ResponderId::ByKey(hash) => hash.as_bytes() == sha1(tbs.subject_public_key_info().subject_public_key.raw_bytes()),
        ResponderId::ByName(name) => {
            let own = tbs.subject().to_der().map_err(|error| decoding("the responder's name", error))?;
            name.to_der().is_ok_and(|name| name == own)
        }
    })
}

fn verify_delegate(der: &[u8], certificate: &Certificate, issuer: &[u8], at: DateTime<Utc>) -> Result<(), RelyingPartyFault> {
    verify_issued_by(der, issuer)?;
    let tbs = certificate.tbs_certificate();
    let usage = tbs.get_extension::<ExtendedKeyUsage>().map_err(|error| decoding("extKeyUsage", error))?;
    if !usage.is_some_and(|(_, usage)| usage.0.contains(&oids::OCSP_SIGNING)) {
        return Err(unbelievable("the responder's certificate is not for OCSP signing"));
    }
    let has = |id: ObjectIdentifier| tbs.extensions().is_some_and(|all| all.iter().any(|extension| extension.extn_id == id));
    if !has(oids::OCSP_NOCHECK) {
        return Err(unbelievable("the responder's certificate lacks id-pkix-ocsp-nocheck"));
    }
    if tbs.get_extension::<SubjectKeyIdentifier>().is_err() {
        return Err(unbelievable("the responder's subjectKeyIdentifier cannot be decoded"));
    }
    let validity = tbs.validity();
    if !is_current(moment(validity.not_before.to_unix_duration())?, moment(validity.not_after.to_unix_duration())?, at) {
        return Err(unbelievable("the responder's certificate is not valid now"));
    }
    Ok(())
}

fn verify_nonce(basic: &BasicOcspResponse, asked: Option<&[u8]>) -> Result<(), RelyingPartyFault> {
    let Some(asked) = asked else { return Ok(()) };
    match basic.nonce() {
        Some(nonce) if nonce.0.as_bytes() == asked => Ok(()),
        Some(_) => Err(unbelievable("the answer has another nonce")),
        None => Err(unbelievable("the answer has no nonce")),
    }
}

/// An extension: object identifier (content octets), whether it is critical, value.
type Told<'a> = (&'a [u8], bool, &'a [u8]);

/// The extensions of an answer, none of them critical and unknown.
struct Extensions<'a>(Vec<Told<'a>>);

impl<'a> Extensions<'a> {
    fn of(extensions: impl Iterator<Item = Told<'a>>, known: &[ObjectIdentifier]) -> Result<Self, RelyingPartyFault> {
        let extensions: Vec<Told<'a>> = extensions.collect();
        let is_known = |id: &[u8]| known.iter().any(|known| known.as_bytes() == id);
        if extensions.iter().any(|(id, critical, _)| *critical && !is_known(id)) {
            return Err(unbelievable("the answer has a critical extension that is not known here"));
        }
        Ok(Self(extensions))
    }

    fn value(&self, id: ObjectIdentifier) -> Option<&'a [u8]> {
        self.0.iter().find(|(found, ..)| *found == id.as_bytes()).map(|(.., value)| *value)
    }

    fn time(&self, what: &'static str, id: ObjectIdentifier) -> Result<Option<DateTime<Utc>>, RelyingPartyFault> {
        self.value(id).map(|value| generalized_time(what, value)).transpose()
    }
}

/// Revoked, on hold since 1970, by a responder that says so of what was never issued: that (RFC 6960 section 2.2).
fn status(single: &SingleResponse, extended_revoke: bool) -> Result<Status, RelyingPartyFault> {
    Ok(match &single.cert_status {
        CertStatus::Good(_) => Status::Good,
        CertStatus::Unknown(_) => Status::Unknown,
        CertStatus::Revoked(info) => {
            let reason = info.revocation_reason.map_or(0, |reason| reason as u8);
            let reason = Reason::from_code(reason).ok_or_else(|| unbelievable("a reason that cannot be"))?;
            let at = moment(info.revocation_time.0.to_unix_duration())?;
            let revoked = Status::Revoked { at, reason };
            if extended_revoke && at == DateTime::UNIX_EPOCH && revoked.is_on_hold() { Status::NeverIssued } else { revoked }
        }
    })
}
