//! Partitioned CRLs (RFC 5280 section 5): one per municipality, told apart by a critical issuingDistributionPoint.

use chrono::{DateTime, Utc};

use crate::card_ca::CardCa;
use crate::keys::KeyFault;
use crate::reason::Reason;
use crate::{asn1, names, oids};

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// Serial number, unsigned big-endian.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub at: DateTime<Utc>,
    /// Why; `unspecified` is left out of the entry.
    pub reason: Reason,
}

/// Signs the CRL of one distribution point (a Name, DER) with the CA's key.
pub fn crl(
    ca: &CardCa,
    distribution_point: &[u8],
    number: u64,
    this_update: DateTime<Utc>,
    next_update: DateTime<Utc>,
    revoked: &[RevokedCertificate],
) -> Result<Vec<u8>, KeyFault> {
    let entries: Vec<Vec<u8>> = revoked.iter().map(entry).collect();
    // RFC 5280 section 5.1.2.6: without entries the list itself is absent.
    let entries = if entries.is_empty() { Vec::new() } else { asn1::sequence(&entries) };
    let full_name = asn1::explicit(0, &names::directory_name(distribution_point));
    let extensions = asn1::sequence(&[
        asn1::extension(&oids::AUTHORITY_KEY_IDENTIFIER, false, &ca.authority_key_identifier()),
        asn1::extension(&oids::CRL_NUMBER, false, &asn1::integer(number)),
        asn1::extension(&oids::ISSUING_DISTRIBUTION_POINT, true, &asn1::sequence(&[asn1::explicit(0, &full_name)])),
    ]);
    let tbs = asn1::sequence(&[
        asn1::integer(1),
        ca.key().signature_algorithm(),
        ca.name().to_vec(),
        asn1::time(this_update),
        asn1::time(next_update),
        entries,
        asn1::explicit(0, &extensions),
    ]);
    ca.key().seal(&tbs)
}

fn entry(revoked: &RevokedCertificate) -> Vec<u8> {
    let extensions = if revoked.reason == Reason::Unspecified {
        Vec::new()
    } else {
        asn1::sequence(&[asn1::extension(&oids::REASON_CODE, false, &asn1::enumerated(revoked.reason.code()))])
    };
    asn1::sequence(&[asn1::unsigned(&revoked.serial), asn1::time(revoked.at), extensions])
}
