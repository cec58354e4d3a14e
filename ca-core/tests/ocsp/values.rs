//! Any value of the parts that requests and answers are made of.

use ca_core::ocsp::{CertId, CertIdHash, Nonce};
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _};
use proptest::collection::vec;
use proptest::prelude::*;
use x509_cert::ext::Extension;
use x509_cert::name::Name;

/// 1970 to 9999, in whole seconds.
pub(crate) fn time() -> impl Strategy<Value = DateTime<Utc>> {
    (0..253_402_300_800_i64).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
}

pub(crate) fn serial() -> impl Strategy<Value = SerialNumber> {
    vec(any::<u8>(), 1..=20).prop_filter_map("more than 20 octets with the sign", |octets| SerialNumber::from_magnitude(&octets).ok())
}

/// By any hash, its parameters absent or NULL.
pub(crate) fn cert_id() -> impl Strategy<Value = CertId> {
    let hash = prop::sample::select(&CertIdHash::ALL[..]);
    (hash, vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..40), serial(), any::<bool>()).prop_map(|(hash, name, key, serial, absent)| {
        let mut id = CertId::new(hash, &name, &key, &serial).unwrap();
        if absent {
            id.hash_algorithm.parameters = None;
        }
        id
    })
}

pub(crate) fn nonce() -> impl Strategy<Value = Nonce> {
    vec(any::<u8>(), 1..=Nonce::MAX_OCTETS).prop_map(|octets| Nonce::new(&octets).unwrap())
}

/// Extensions of which we know nothing.
pub(crate) fn unknown_extensions() -> impl Strategy<Value = Vec<Extension>> {
    let extension = (0_u32..1_000_000, any::<bool>(), vec(any::<u8>(), 0..200)).prop_map(|(arc, critical, value)| Extension {
        extn_id: ObjectIdentifier::new(&format!("1.3.6.1.4.1.{arc}")).unwrap(),
        critical,
        extn_value: OctetString::new(value).unwrap(),
    });
    vec(extension, 0..3)
}

/// A Name of one common name.
pub(crate) fn name() -> impl Strategy<Value = Name> {
    "[ -~]{1,60}".prop_map(|text| {
        let value = der::asn1::Utf8StringRef::new(&text).unwrap().to_der().unwrap();
        let attribute = [&[0x06, 3, 0x55, 4, 3], &value[..]].concat();
        let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        Name::from_der(&wrap(0x30, &wrap(0x31, &wrap(0x30, &attribute)))).unwrap()
    })
}
