//! Another's reader and writer of lists (x509-cert), to judge ours and to make wrong ones.

use ca_core::issuer::Issuer;
use ca_core::revocation::{CrlReason, Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use ca_core::time::from_time;
use const_oid::db::rfc5280::{ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE};
use der::asn1::{BitString, GeneralizedTime};
use der::{Decode, Encode};
use schema::crl::ListedRevocation;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};

pub type List = CertificateList<Rfc5280>;

pub fn decode(der: &[u8]) -> List {
    let list = List::from_der(der).unwrap();
    assert_eq!(list.to_der().unwrap(), der, "there is one encoding");
    list
}

/// The entries of a list, as another reads them.
pub fn entries(list: &List) -> Vec<ListedRevocation> {
    list.tbs_cert_list.revoked_certificates.iter().flatten().map(entry).collect()
}

fn entry(entry: &RevokedCert<Rfc5280>) -> ListedRevocation {
    let at = from_time(&entry.revocation_date).unwrap();
    let mut revocation = Revocation::new(at, RevocationReason::Unspecified);
    for extension in entry.crl_entry_extensions.iter().flatten() {
        assert!(!extension.critical);
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            ID_CE_CRL_REASONS => revocation.reason = CrlReason::from_der(value).unwrap().to_reason().unwrap(),
            ID_CE_INVALIDITY_DATE => {
                let time = GeneralizedTime::from_der(value).unwrap();
                revocation.invalidity = ca_core::time::from_generalized_time(time);
            }
            other => panic!("extension {other}"),
        }
    }
    ListedRevocation { serial: SerialNumber::from_magnitude(entry.serial_number.as_bytes()).unwrap(), revocation }
}

/// The list with something changed before it was signed.
pub fn changed(issuer: &Issuer, der: &[u8], change: impl FnOnce(&mut TbsCertList<Rfc5280>)) -> Vec<u8> {
    let mut list = decode(der);
    change(&mut list.tbs_cert_list);
    let signature = issuer.signer().sign(&list.tbs_cert_list.to_der().unwrap()).unwrap();
    list.signature = BitString::from_bytes(&signature).unwrap();
    list.to_der().unwrap()
}
