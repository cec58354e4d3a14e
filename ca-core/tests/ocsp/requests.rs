//! Requests.

use ca_core::ocsp::{CertId, Nonce, OcspRequest, Request, TbsRequest, Version};
use der::{Decode as _, Encode as _};
use proptest::collection::vec;
use proptest::prelude::*;
// x509-ocsp is of the der 0.7 generation, which rsa carries.
use rsa::pkcs8::der::{Decode as _, Encode as _};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use crate::values::{cert_id, name, nonce, unknown_extensions};

/// A question with extensions of its own.
type Asked = (CertId, Vec<Extension>);

fn not_empty(extensions: Vec<Extension>) -> Option<Vec<Extension>> {
    Some(extensions).filter(|extensions| !extensions.is_empty())
}

fn request(asked: Vec<Asked>, requestor: Option<Name>, nonce: Option<&Nonce>, mut more: Vec<Extension>) -> TbsRequest {
    more.extend(nonce.map(|nonce| nonce.to_extension().unwrap()));
    let single = |(req_cert, extensions): Asked| Request { req_cert, single_request_extensions: not_empty(extensions) };
    TbsRequest {
        version: Version::V1,
        requestor_name: requestor.map(GeneralName::DirectoryName),
        request_list: asked.into_iter().map(single).collect(),
        request_extensions: not_empty(more),
    }
}

proptest! {
    #[test]
    fn what_is_asked_is_read_again_by_us_and_by_x509_ocsp(
        asked in vec((cert_id(), unknown_extensions()), 0..8),
        requestor in prop::option::of(name()),
        nonce in prop::option::of(nonce()),
        more in unknown_extensions(),
    ) {
        let tbs = request(asked, requestor, nonce.as_ref(), more);
        let octets = OcspRequest::unsigned(tbs.clone()).unwrap().to_der().unwrap();

        let ours = OcspRequest::from_der(&octets).unwrap();
        prop_assert_eq!(ours.tbs_request(), &tbs);
        prop_assert_eq!(ours.nonce().unwrap(), nonce.clone());
        prop_assert_eq!(ours.to_der().unwrap(), octets.clone());
        prop_assert!(ours.optional_signature().is_none());

        let theirs = x509_ocsp::OcspRequest::from_der(&octets).unwrap();
        prop_assert_eq!(theirs.to_der().unwrap(), octets);
        prop_assert_eq!(theirs.nonce().map(|nonce| nonce.0.as_bytes().to_vec()), nonce.map(|nonce| nonce.as_bytes().to_vec()));
        prop_assert_eq!(theirs.tbs_request.request_list.len(), tbs.request_list.len());
        for (theirs, own) in theirs.tbs_request.request_list.iter().zip(&tbs.request_list) {
            let id = &own.req_cert;
            prop_assert_eq!(theirs.req_cert.hash_algorithm.oid.to_string(), id.hash().unwrap().oid().to_string());
            prop_assert_eq!(theirs.req_cert.issuer_name_hash.as_bytes(), id.issuer_name_hash.as_bytes());
            prop_assert_eq!(theirs.req_cert.issuer_key_hash.as_bytes(), id.issuer_key_hash.as_bytes());
            prop_assert_eq!(theirs.req_cert.serial_number.as_bytes(), &id.serial().unwrap().to_der_content()[..]);
        }
    }
}
