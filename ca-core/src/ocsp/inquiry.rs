//! A relying party's question, and what it may believe of the answer.

use chrono::{DateTime, TimeDelta, Utc};
use const_oid::db::rfc5280::ID_CE_EXT_KEY_USAGE;
use der::{Decode, Encode};
use ring::rand::{SecureRandom as _, SystemRandom};
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use super::{
    BasicOcspResponse, CertId, CertIdHash, CertStatus, ExtendedRevoke, Nonce, NotBasic, OcspRequest, OcspResponse, OcspResponseStatus,
    Request, ResponderId, RevokedInfo, SingleResponse, TbsRequest, ToldStatus, Version, WitnessFault, oid,
};
use crate::issuance::RandomnessFault;
use crate::issuer::CaKey;
use crate::key::PublicKey;
use crate::revocation::{CrlReason, InvalidityDate, Revocation, RevocationReason};
use crate::serial::SerialNumber;
use crate::signed_object::SignedParts;
use crate::signer::{Signer, SignerFault};
use crate::time::{from_generalized_time, from_time};

/// One request about certificates of one CA key, with a nonce, and the judge of its answer.
///
/// Asked with SHA-1, as nearly every relying party asks.
#[derive(Debug)]
pub struct Inquiry<'k> {
    ca_key: &'k CaKey,
    ids: Vec<CertId>,
    nonce: Nonce,
    request: OcspRequest,
    request_der: Vec<u8>,
}

/// A request cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InquiryFault {
    /// No randomness for the nonce.
    #[error(transparent)]
    Randomness(#[from] RandomnessFault),
    /// It could not be encoded.
    #[error("the request could not be encoded")]
    Encoding(#[from] der::Error),
    /// It could not be signed.
    #[error("the request could not be signed")]
    Signing(#[from] SignerFault),
}

impl<'k> Inquiry<'k> {
    /// The most certificates asked about at once: what responders commonly allow.
    pub const MOST: usize = 16;
    /// Octets of the nonce, as RFC 9654 section 2.1 recommends.
    const NONCE_OCTETS: usize = 32;
    /// What the clocks of asker and responder may differ.
    const SKEW: TimeDelta = TimeDelta::seconds(10);

    /// Asks about `serials` of `ca_key`: [`Self::MOST`] at most, if it is to be answered.
    ///
    /// # Errors
    /// See [`InquiryFault`].
    pub fn new(ca_key: &'k CaKey, serials: &[SerialNumber]) -> Result<Self, InquiryFault> {
        let mut octets = [0; Self::NONCE_OCTETS];
        SystemRandom::new().fill(&mut octets).map_err(|_| RandomnessFault)?;
        let nonce = Nonce::new(&octets).map_err(|_| RandomnessFault)?;
        let id = |serial| CertId::new(CertIdHash::Sha1, ca_key.subject_name_der(), ca_key.subject_public_key(), serial);
        let ids = serials.iter().map(id).collect::<der::Result<Vec<_>>>()?;
        let request = OcspRequest::unsigned(TbsRequest {
            version: Version::V1,
            requestor_name: None,
            request_list: ids.iter().map(|id| Request { req_cert: id.clone(), single_request_extensions: None }).collect(),
            request_extensions: Some(vec![nonce.to_extension()?]),
        })?;
        let request_der = request.to_der()?;
        Ok(Self { ca_key, ids, nonce, request, request_der })
    }

    /// The same, signed with the key of `certificate` (DER): where a service answers none but those whom it knows.
    ///
    /// # Errors
    /// [`InquiryFault::Signing`] and [`InquiryFault::Encoding`].
    pub fn signed_by(self, certificate: &[u8], signer: &dyn Signer) -> Result<Self, InquiryFault> {
        let request = OcspRequest::signed(self.request.into_tbs_request(), certificate, signer)?;
        let request_der = request.to_der()?;
        Ok(Self { request, request_der, ..self })
    }

    /// The OCSPRequest in DER.
    pub fn request_der(&self) -> &[u8] {
        &self.request_der
    }

    /// What the OCSPResponse (DER) that came at `now` says of each certificate, in the order asked, if a relying party may believe
    /// it (RFC 6960 section 3.2): it names what was asked, is signed by the CA key itself or by a responder that this key certified
    /// for the purpose and whose certificate is valid, is in time, and repeats the nonce.
    ///
    /// # Errors
    /// [`WitnessFault::Later`] and [`WitnessFault::Unbelievable`].
    pub fn judge(&self, response: &[u8], now: DateTime<Utc>) -> Result<Vec<ToldStatus>, WitnessFault> {
        let response = OcspResponse::from_der(response).map_err(|_| unbelievable("it is no OCSPResponse"))?;
        let answer = response.basic().map_err(|fault| match fault {
            NotBasic::Status(OcspResponseStatus::TryLater) => WitnessFault::Later,
            fault => WitnessFault::Unbelievable(fault.to_string()),
        })?;
        self.check_signature(&answer, now)?;
        let data = answer.response_data();
        let extensions = data.response_extensions.as_deref().unwrap_or_default();
        refuse_critical(extensions)?;
        if data.nonce().ok().flatten().as_ref() != Some(&self.nonce) {
            return Err(unbelievable("it does not repeat the nonce"));
        }
        let extended = ExtendedRevoke::is_among(extensions);
        let told = self.ids.iter().map(|id| {
            let single =
                data.response_for(id).ok_or_else(|| unbelievable("it says nothing, or two things, of a certificate asked about"))?;
            check_time(single, now)?;
            status(single, extended)
        });
        told.collect()
    }

    fn check_signature(&self, answer: &BasicOcspResponse, now: DateTime<Utc>) -> Result<(), WitnessFault> {
        let signature = answer.signature().ok_or_else(|| unbelievable("its signature is malformed"))?;
        let ca_key = PublicKey::from_der(self.ca_key.public_key_info()).map_err(|_| unbelievable("the CA key cannot be read"))?;
        let signed_with = |key: &PublicKey| key.verify(answer.signature_algorithm(), answer.response_data_der(), signature).is_ok();
        let id = &answer.response_data().responder_id;
        let delegated = answer.certificates().filter_map(|der| self.responder(der, id, &ca_key, now)).any(|key| signed_with(&key));
        if delegated || (self.names_ca_key(id) && signed_with(&ca_key)) {
            return Ok(());
        }
        Err(unbelievable("no responder whom the CA key appointed for now has signed it"))
    }

    /// The key of the responder named, if the certificate makes it one (RFC 6960 section 4.2.2.2).
    fn responder(&self, der: &[u8], id: &ResponderId, ca_key: &PublicKey, now: DateTime<Utc>) -> Option<PublicKey> {
        let certificate = Certificate::from_der(der).ok()?;
        let tbs = certificate.tbs_certificate();
        let public_key = tbs.subject_public_key_info().subject_public_key.as_bytes()?;
        let purposes = tbs.extensions()?.iter().find(|extension| extension.extn_id == ID_CE_EXT_KEY_USAGE)?;
        let purposes = ExtendedKeyUsage::from_der(purposes.extn_value.as_bytes()).ok()?;
        let appointed = purposes.0.contains(&oid::OCSP_SIGNING)
            && tbs.issuer().to_der().ok()? == self.ca_key.subject_name_der()
            && SignedParts::from_der(der).ok()?.verify(ca_key).is_ok();
        let valid = from_time(&tbs.validity().not_before)? <= now && now <= from_time(&tbs.validity().not_after)?;
        let key = PublicKey::from_info(tbs.subject_public_key_info()).ok()?;
        (appointed && valid && id.names(tbs.subject(), public_key)).then_some(key)
    }

    fn names_ca_key(&self, id: &ResponderId) -> bool {
        match id {
            ResponderId::ByName(name) => name.to_der().is_ok_and(|name| name == self.ca_key.subject_name_der()),
            ResponderId::ByKey(hash) => hash.as_bytes() == CertIdHash::Sha1.digest(self.ca_key.subject_public_key()),
        }
    }
}

fn unbelievable(why: &str) -> WitnessFault {
    WitnessFault::Unbelievable(why.to_owned())
}

/// No extension of a response is understood that must be (RFC 6960 section 4.4: none is to be critical).
fn refuse_critical(extensions: &[Extension]) -> Result<(), WitnessFault> {
    let critical = extensions.iter().any(|extension| extension.critical);
    if critical { Err(unbelievable("it has a critical extension")) } else { Ok(()) }
}

/// RFC 6960 section 4.2.2.1.
fn check_time(single: &SingleResponse, now: DateTime<Utc>) -> Result<(), WitnessFault> {
    let malformed = || unbelievable("its times cannot be read");
    let this_update = from_generalized_time(single.this_update).ok_or_else(malformed)?;
    let next_update = single.next_update.map(|time| from_generalized_time(time).ok_or_else(malformed)).transpose()?;
    if this_update > now + Inquiry::SKEW {
        return Err(unbelievable("it is from the future"));
    }
    if next_update.is_some_and(|next_update| next_update < now - Inquiry::SKEW) {
        return Err(unbelievable("it has run out"));
    }
    Ok(())
}

fn status(single: &SingleResponse, extended: bool) -> Result<ToldStatus, WitnessFault> {
    let extensions = single.single_extensions.as_deref().unwrap_or_default();
    refuse_critical(extensions)?;
    let info = match &single.cert_status {
        CertStatus::Good(_) => return Ok(ToldStatus::Good),
        CertStatus::Unknown(_) => return Ok(ToldStatus::Unknown),
        CertStatus::Revoked(info) => info,
    };
    let revocation = revocation(info, extensions).ok_or_else(|| unbelievable("a revocation in it cannot be read"))?;
    // RFC 6960 section 2.2 gives a certificate that was never issued this very reason and time.
    let never_issued = extended && revocation == Revocation::new(DateTime::UNIX_EPOCH, RevocationReason::CertificateHold);
    Ok(if never_issued { ToldStatus::NeverIssued } else { ToldStatus::Revoked(revocation) })
}

fn revocation(info: &RevokedInfo, extensions: &[Extension]) -> Option<Revocation> {
    let reason = match info.revocation_reason {
        None => RevocationReason::Unspecified,
        Some(reason) => CrlReason::to_reason(reason)?,
    };
    let invalidity = InvalidityDate::among(extensions).ok()?.map(|date| date.0);
    Some(Revocation { invalidity, ..Revocation::new(from_generalized_time(info.revocation_time)?, reason) })
}

#[cfg(test)]
mod tests;
