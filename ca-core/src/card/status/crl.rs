//! Card CRLs (RFC 5280 section 5), of which a card CA issues one for each municipality.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use const_oid::db::rfc5280;
use der::{Decode, Encode};
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, IssuingDistributionPoint};

use super::{CardStatusRefusal, MAX_CRL_OCTETS};
use crate::card::authority::CardAuthority;
use crate::card::identity::KeyIdentifier;
use crate::card::path::ValidCardCertificate;
use crate::revocation::{CrlReason, Revocation, RevocationReason};
use crate::serial::SerialNumber;
use crate::signed_object::{self, SignedParts};
use crate::time;

/// A CRL that a card CA signed, with what it covers.
#[derive(Debug, Clone)]
pub struct CardCrl {
    authority_key_id: KeyIdentifier,
    this_update: DateTime<Utc>,
    next_update: Option<DateTime<Utc>>,
    distribution_points: Vec<Vec<u8>>,
    revoked: HashMap<SerialNumber, Revocation>,
}

impl CardCrl {
    /// Reads a CRL in DER and checks that `authority` signed it.
    ///
    /// Delta CRLs, indirect CRLs, and CRLs limited to some reasons or to CA certificates do not say whether a card certificate
    /// stands and are refused as not covering it; so is a CRL without an issuing distribution point, because all generations of
    /// a card CA bear one name.
    pub fn verify(der: &[u8], authority: &CardAuthority) -> Result<Self, CardStatusRefusal> {
        use CardStatusRefusal as Refused;

        if der.len() > MAX_CRL_OCTETS {
            return Err(Refused::Malformed);
        }
        SignedParts::from_der(der).map_err(|_| Refused::Malformed)?.verify(authority.public_key()).map_err(|_| Refused::NotSigned)?;
        let crl = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der).map_err(|_| Refused::Malformed)?;
        let list = &crl.tbs_cert_list;
        if list.signature != crl.signature_algorithm || list.issuer.to_der().map_err(|_| Refused::Malformed)? != authority.name() {
            return Err(Refused::Malformed);
        }
        let distribution_points = read_extensions(list.crl_extensions.as_deref().unwrap_or_default(), authority)?;
        let mut revoked = HashMap::new();
        for entry in list.revoked_certificates.as_deref().unwrap_or_default() {
            let (serial, revocation) = read_entry(entry)?;
            revoked.insert(serial, revocation);
        }
        Ok(Self {
            authority_key_id: authority.key_id().clone(),
            this_update: time::from_time(&list.this_update).ok_or(Refused::Malformed)?,
            next_update: match &list.next_update {
                Some(time) => Some(time::from_time(time).ok_or(Refused::Malformed)?),
                None => None,
            },
            distribution_points,
            revoked,
        })
    }

    /// When it was made.
    pub fn this_update(&self) -> DateTime<Utc> {
        self.this_update
    }

    /// When the next one is due.
    pub fn next_update(&self) -> Option<DateTime<Utc>> {
        self.next_update
    }

    /// Whether it is the CRL of the distribution point with this directoryName (Name in DER).
    pub fn covers(&self, distribution_point: &[u8]) -> bool {
        self.distribution_points.iter().any(|point| point == distribution_point)
    }

    /// All it lists, in no order.
    pub fn revocations(&self) -> impl Iterator<Item = (&SerialNumber, &Revocation)> {
        self.revoked.iter()
    }

    /// What it says about the certificate with this serial number of the card CA that signed it.
    pub fn revocation(&self, serial: &SerialNumber) -> Option<&Revocation> {
        self.revoked.get(serial)
    }

    /// Says nothing if `card` is covered and not listed.
    pub(super) fn check(&self, card: &ValidCardCertificate<'_>) -> Result<(), CardStatusRefusal> {
        let covered = self.authority_key_id == *card.authority().key_id()
            && card.certificate().distribution_point().is_some_and(|point| self.covers(point));
        if !covered {
            return Err(CardStatusRefusal::NotCovered);
        }
        match self.revocation(&card.identity().serial) {
            Some(revocation) => Err(CardStatusRefusal::of(Some(revocation.reason))),
            None => Ok(()),
        }
    }
}

/// The distribution points (Names in DER) that the CRL covers, once its extensions have been found in order.
fn read_extensions(extensions: &[Extension], authority: &CardAuthority) -> Result<Vec<Vec<u8>>, CardStatusRefusal> {
    use CardStatusRefusal as Refused;

    let mut distribution_points = Vec::new();
    for extension in extensions {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT => {
                let point = IssuingDistributionPoint::from_der(value).map_err(|_| Refused::Malformed)?;
                distribution_points = covered_names(&point)?;
            }
            rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER => {
                let identifier = AuthorityKeyIdentifier::from_der(value).map_err(|_| Refused::Malformed)?;
                if identifier.key_identifier.is_some_and(|octets| octets.as_bytes() != authority.key_id().as_bytes()) {
                    return Err(Refused::NotSigned);
                }
            }
            rfc5280::ID_CE_DELTA_CRL_INDICATOR => return Err(Refused::NotCovered),
            _ if extension.critical => return Err(Refused::Malformed),
            _ => {}
        }
    }
    if distribution_points.is_empty() { Err(Refused::NotCovered) } else { Ok(distribution_points) }
}

fn covered_names(point: &IssuingDistributionPoint) -> Result<Vec<Vec<u8>>, CardStatusRefusal> {
    if point.only_contains_ca_certs || point.only_contains_attribute_certs || point.indirect_crl || point.only_some_reasons.is_some() {
        return Err(CardStatusRefusal::NotCovered);
    }
    let Some(DistributionPointName::FullName(names)) = &point.distribution_point else {
        return Err(CardStatusRefusal::NotCovered);
    };
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DirectoryName(name) => name.to_der().ok(),
        _ => None,
    });
    Ok(names.collect())
}

fn read_entry(entry: &RevokedCert<x509_cert::certificate::Rfc5280>) -> Result<(SerialNumber, Revocation), CardStatusRefusal> {
    let mut reason = RevocationReason::Unspecified;
    for extension in entry.crl_entry_extensions.as_deref().unwrap_or_default() {
        if extension.extn_id == rfc5280::ID_CE_CRL_REASONS {
            let code = CrlReason::from_der(extension.extn_value.as_bytes()).map_err(|_| CardStatusRefusal::Malformed)?;
            // removeFromCRL does not occur in full CRLs.
            reason = code.to_reason().ok_or(CardStatusRefusal::Malformed)?;
        } else if extension.critical {
            return Err(CardStatusRefusal::Malformed);
        }
    }
    let at = time::from_time(&entry.revocation_date).ok_or(CardStatusRefusal::Malformed)?;
    let serial = signed_object::serial(&entry.serial_number).ok_or(CardStatusRefusal::Malformed)?;
    Ok((serial, Revocation::new(at, reason)))
}
