//! Requests that openssl signed.

use chrono::Duration;
use der::Sequence;
use der::asn1::{Any, BitString};
use spki::AlgorithmIdentifierOwned;

use super::*;
use crate::instruction::operator::Role;
use crate::ocsp::{Inquiry, Signature};
use crate::signer::FileSigner;
use crate::workshop::{CA, Workshop};

const CLIENT: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth";

/// `ca`, of the operators; `issuer`, whose certificate `asked` is asked about.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    for (name, subject) in [("ca", "/O=operators"), ("issuer", "/O=issuer")] {
        workshop.key(name, "P-256");
        workshop.certificate(name, name, subject, CA);
    }
    workshop
}

fn verifier(workshop: &Workshop, name: &str, sort: &str, subject: &str) {
    workshop.key(name, sort);
    workshop.certificate(name, "ca", subject, CLIENT);
}

fn request(workshop: &Workshop, signer: &str, more: &str) -> Vec<u8> {
    workshop.openssl(&format!(
        "ocsp -issuer issuer.pem -serial 0x01020304 -signer {signer}.pem -signkey {signer}.key.pem {more} -reqout request.der"
    ));
    workshop.read("request.der")
}

fn verified(octets: &[u8]) -> Result<SignedOcspRequest, RequestSignatureRefusal> {
    OcspRequest::from_der(octets).unwrap().verify_signature()
}

/// A request with other parts around the questions of `like`.
fn assembled(like: &OcspRequest, signature: Signature) -> Vec<u8> {
    #[derive(Sequence)]
    struct Assembled {
        tbs_request: Any,
        #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
        optional_signature: Signature,
    }
    Assembled { tbs_request: Any::from_der(like.tbs_request_der()).unwrap(), optional_signature: signature }.to_der().unwrap()
}

#[test]
fn every_sort_of_key_signs_and_the_operators_ca_tells_who_asks() {
    let workshop = workshop();
    let authorities = OperatorAuthorities::from_pem(&workshop.read("ca.pem")).unwrap();
    for (name, sort) in [("p256", "P-256"), ("p384", "P-384"), ("rsa", "RSA")] {
        verifier(&workshop, name, sort, &format!("/OU=verifier/CN={name}"));
        let octets = request(&workshop, name, "-no_nonce");
        let signed = verified(&octets).unwrap();
        assert_eq!(signed.certificate(), workshop.der(name));
        let asker = signed.asker(&authorities, Utc::now()).unwrap();
        assert_eq!((asker.name.as_str(), asker.role), (name, Role::Verifier));
        let later = signed.asker(&authorities, Utc::now() + Duration::days(366)).unwrap_err();
        assert_eq!(later.code(), "signer_expired");
    }
}

#[test]
fn our_own_inquiry_is_signed_by_whom_it_names() {
    let workshop = workshop();
    let authorities = OperatorAuthorities::from_pem(&workshop.read("ca.pem")).unwrap();
    let issuer = crate::workshop::issuer(crate::kind::CertificateKind::Signature, 1);
    let serials = [1_u8, 2].map(|number| crate::serial::SerialNumber::from_magnitude(&[number]).unwrap());
    for (name, sort) in [("p256", "P-256"), ("p384", "P-384"), ("rsa", "RSA")] {
        verifier(&workshop, name, sort, &format!("/OU=verifier/CN={name}"));
        let signer = FileSigner::open_clear(&workshop.path(&format!("{name}.key.pem"))).unwrap();
        let inquiry = || Inquiry::new(issuer.ca_key(), &serials).unwrap();
        let signed = inquiry().signed_by(&workshop.der(name), &signer).unwrap();
        let asker = verified(signed.request_der()).unwrap().asker(&authorities, Utc::now()).unwrap();
        assert_eq!((asker.name.as_str(), asker.role), (name, Role::Verifier));
        let request = OcspRequest::from_der(signed.request_der()).unwrap();
        assert_eq!(request.tbs_request().request_list.len(), 2);
        assert!(request.nonce().unwrap().is_some());
        assert_eq!(verified(inquiry().request_der()), Err(RequestSignatureRefusal::Unsigned));
        assert!(inquiry().signed_by(b"no certificate", &signer).is_err());
    }
}

#[test]
fn every_hash_that_is_accepted_is_and_no_other() {
    let workshop = workshop();
    for (name, sort) in [("p256", "P-256"), ("p384", "P-384"), ("rsa", "RSA")] {
        verifier(&workshop, name, sort, "/OU=verifier/CN=v");
        let theirs = OcspRequest::from_der(&request(&workshop, name, "")).unwrap();
        workshop.write("tbs", theirs.tbs_request_der());
        let certs = theirs.optional_signature().unwrap().certs.clone();
        let algorithms = match sort {
            "RSA" => vec![
                ("sha256", oid::RSA_SHA256, true),
                ("sha384", oid::RSA_SHA384, true),
                ("sha512", oid::RSA_SHA512, true),
                ("sha256", oid::RSA_ENCRYPTION, false),
                ("sha1", "1.2.840.113549.1.1.5".parse().unwrap(), false),
            ],
            _ => vec![
                ("sha256", oid::ECDSA_SHA256, true),
                ("sha384", oid::ECDSA_SHA384, true),
                ("sha1", "1.2.840.10045.4.1".parse().unwrap(), false),
            ],
        };
        for (digest, algorithm, accepted) in algorithms {
            workshop.openssl(&format!("dgst -{digest} -sign {name}.key.pem -out signature tbs"));
            let octets = assembled(
                &theirs,
                Signature {
                    signature_algorithm: AlgorithmIdentifierOwned { oid: algorithm, parameters: None },
                    signature: BitString::from_bytes(&workshop.read("signature")).unwrap(),
                    certs: certs.clone(),
                },
            );
            let outcome = verified(&octets).map(|_| ());
            let expected = if accepted { Ok(()) } else { Err(SignatureError::Algorithm.into()) };
            assert_eq!(outcome, expected, "{sort} {digest} {algorithm}");
        }
    }
}

#[test]
fn a_short_rsa_key_signs_nothing() {
    let workshop = workshop();
    workshop.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out short.key.pem");
    workshop.certificate("short", "ca", "/OU=verifier/CN=v", CLIENT);
    assert_eq!(verified(&request(&workshop, "short", "")), Err(SignatureError::Wrong.into()));
}

#[test]
fn any_octet_changed_in_what_was_signed_or_in_the_signature_is_noticed() {
    let workshop = workshop();
    verifier(&workshop, "v", "P-256", "/OU=verifier/CN=v");
    let octets = request(&workshop, "v", "");
    let whole = OcspRequest::from_der(&octets).unwrap();
    assert_eq!(whole.to_der().unwrap(), octets);
    let start = octets.windows(whole.tbs_request_der().len()).position(|window| window == whole.tbs_request_der()).unwrap();
    for place in start..start + whole.tbs_request_der().len() {
        let mut changed = octets.clone();
        changed[place] ^= 1;
        let accepted = OcspRequest::from_der(&changed).is_ok_and(|request| request.verify_signature().is_ok());
        assert!(!accepted, "octet {place}");
    }
    let mut forged = octets.clone();
    let value = whole.optional_signature().unwrap().signature.raw_bytes();
    let place = octets.windows(value.len()).position(|window| window == value).unwrap() + value.len() - 1;
    forged[place] ^= 1;
    assert_eq!(verified(&forged), Err(SignatureError::Wrong.into()));
}

#[test]
fn who_is_named_must_be_who_signed_and_bring_the_certificate() {
    let workshop = workshop();
    verifier(&workshop, "v", "P-256", "/OU=verifier/CN=v");
    verifier(&workshop, "other", "P-256", "/OU=verifier/CN=other");
    let unsigned = OcspRequest::from_der(&request(&workshop, "v", "")).unwrap().into_tbs_request();
    assert_eq!(OcspRequest::unsigned(unsigned).unwrap().verify_signature(), Err(RequestSignatureRefusal::Unsigned));

    let named = OcspRequest::from_der(&request(&workshop, "v", "")).unwrap();
    let own = named.optional_signature().unwrap().clone();
    let with = |certs: Option<Vec<Any>>| verified(&assembled(&named, Signature { certs, ..own.clone() }));
    let certificate = |name: &str| Any::from_der(&workshop.der(name)).unwrap();
    assert!(with(Some(vec![certificate("v"); SignedOcspRequest::MAX_CERTIFICATES])).is_ok());
    assert_eq!(with(None), Err(RequestSignatureRefusal::Certificates));
    assert_eq!(with(Some(vec![])), Err(RequestSignatureRefusal::Certificates));
    let many = vec![certificate("v"); SignedOcspRequest::MAX_CERTIFICATES + 1];
    assert_eq!(with(Some(many)), Err(RequestSignatureRefusal::Certificates));
    assert_eq!(with(Some(vec![certificate("other"), certificate("v")])), Err(RequestSignatureRefusal::RequestorName));
    let none = Any::new(der::Tag::Sequence, []).unwrap();
    assert_eq!(with(Some(vec![none])), Err(RequestSignatureRefusal::CertificateMalformed));

    // The same name in another's certificate: the key tells.
    verifier(&workshop, "namesake", "P-256", "/OU=verifier/CN=v");
    assert_eq!(with(Some(vec![certificate("namesake")])), Err(SignatureError::Wrong.into()));

    for requestor_name in [None, Some(GeneralName::UniformResourceIdentifier(der::asn1::Ia5String::new("v").unwrap()))] {
        let mut tbs = named.tbs_request().clone();
        tbs.requestor_name = requestor_name;
        let renamed = OcspRequest::unsigned(tbs).unwrap();
        workshop.write("tbs", renamed.tbs_request_der());
        workshop.openssl("dgst -sha256 -sign v.key.pem -out signature tbs");
        let signature = BitString::from_bytes(&workshop.read("signature")).unwrap();
        let octets = assembled(&renamed, Signature { signature, ..own.clone() });
        assert_eq!(verified(&octets), Err(RequestSignatureRefusal::RequestorName));
    }
}

#[test]
fn whoever_the_operators_ca_does_not_vouch_for_is_nobody() {
    let workshop = workshop();
    verifier(&workshop, "v", "P-256", "/OU=verifier/CN=v");
    verifier(&workshop, "stranger", "P-256", "/OU=stranger/CN=v");
    workshop.key("self", "P-256");
    workshop.certificate("self", "self", "/OU=verifier/CN=v", CLIENT);
    let authorities = OperatorAuthorities::from_pem(&workshop.read("ca.pem")).unwrap();
    for (name, code) in [("self", "signer_unknown"), ("stranger", "role_unknown")] {
        let signed = verified(&request(&workshop, name, "")).unwrap();
        assert_eq!(signed.asker(&authorities, Utc::now()).unwrap_err().code(), code);
    }
    let signed = verified(&request(&workshop, "v", "")).unwrap();
    assert_eq!(signed.asker(&OperatorAuthorities::default(), Utc::now()).unwrap_err().code(), "signer_unknown");
}
