//! The whole way from a request to a certificate, judged by openssl.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone, Utc};
use const_oid::ObjectIdentifier;
use policies::{Policies, shipped};

use super::*;
use crate::application::ApplicationId;
use crate::application::verified::{BasicAttribute, VerifiedRequest};
use crate::card::identity::{CardIdentity, KeyIdentifier};
use crate::digest::Sha256Digest;
use crate::issuer::{CaKey, CaKeyId, CaUrls, Issuer, IssuerFault, ResponderFault, create_ca_certificate, create_responder_certificate};
use crate::kind::CertificateKind;
use crate::ocsp::CertIdHash;
use crate::serial::SerialNumber;
use crate::signer::{FileSigner, KeyType, Signer, SignerFault};

/// A ledger in memory that refuses a serial number it knows.
#[derive(Default)]
struct Ledger {
    serials: HashSet<SerialNumber>,
    intents: Vec<Intent>,
}

impl IntentLedger for Ledger {
    type Fault = &'static str;

    fn record(&mut self, intents: &[Intent]) -> Result<(), Self::Fault> {
        for intent in intents {
            if !self.serials.insert(intent.serial.clone()) {
                return Err("serial number used before");
            }
            self.intents.push(intent.clone());
        }
        Ok(())
    }
}

fn now() -> DateTime<Utc> {
    Utc::now()
}

fn urls(label: &str) -> CaUrls {
    CaUrls {
        crl: format!("http://status.example/crl/{label}.crl"),
        ocsp: "http://status.example/ocsp".to_owned(),
        certificate: format!("http://status.example/ca/{label}.cer"),
    }
}

fn issuer_of(kind: CertificateKind, key_type: KeyType, policies: Policies) -> Issuer {
    let signer = FileSigner::generate(key_type).unwrap();
    let certificate = create_ca_certificate(&policies, kind, &signer, now()).unwrap();
    let ca_key = CaKey::new(CaKeyId(1), kind, 1, certificate, urls(&format!("{kind}-1"))).unwrap();
    Issuer::new(ca_key, Arc::new(signer), Arc::new(policies)).unwrap()
}

fn issuer(kind: CertificateKind) -> Issuer {
    issuer_of(kind, KeyType::EcdsaP256, shipped().unwrap())
}

fn attribute(last: u32, value: &str) -> BasicAttribute {
    BasicAttribute { oid: ObjectIdentifier::new(&format!("1.2.392.200149.8.5.5.{last}")).unwrap(), value: value.to_owned() }
}

fn request(kind: CertificateKind, public_key_info: &[u8], card_not_after: DateTime<Utc>) -> VerifiedRequest {
    VerifiedRequest {
        kind,
        public_key_info: public_key_info.to_vec(),
        card: CardIdentity {
            issuer_key_id: KeyIdentifier::new([7; 20]).unwrap(),
            serial: SerialNumber::from_hex("01020304").unwrap(),
            sha256: Sha256Digest::of(b"card"),
        },
        card_not_before: Utc.with_ymd_and_hms(2024, 4, 1, 0, 0, 0).unwrap(),
        card_not_after,
        card_distribution_point: None,
        basic_attributes: match kind {
            CertificateKind::Signature => vec![
                attribute(1, "番号　花子"),
                attribute(4, "419900101"),
                attribute(3, "2"),
                attribute(5, "東京都千代田区一丁目"),
                attribute(2, "000000"),
                attribute(6, "0000000000"),
            ],
            CertificateKind::Authentication => Vec::new(),
        },
    }
}

fn card_end() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(now().format("%Y").to_string().parse::<i32>().unwrap() + 4, 4, 1, 14, 59, 59).unwrap()
}

fn issue(issuer: &Issuer, ledger: &mut Ledger) -> SignedCertificate {
    let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let request = request(issuer.ca_key().kind(), key.public_key_info(), card_end());
    let template = Template::for_request(&request, ApplicationId(5), issuer, issuer.random_serial().unwrap(), now()).unwrap();
    record_one(template.lint().unwrap(), ledger).unwrap().sign().unwrap()
}

/// Writes certificates as PEM files and runs openssl there; gives what it printed.
fn openssl(files: &[(&str, &[u8])], arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    for (name, der) in files {
        let document = der::Document::try_from(*der).unwrap();
        std::fs::write(directory.path().join(name), document.to_pem("CERTIFICATE", der::pem::LineEnding::LF).unwrap()).unwrap();
    }
    let output = Command::new("openssl").args(arguments).current_dir(directory.path()).output().expect("openssl is needed for this test");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn openssl_verifies_both_kinds_strictly_under_every_type_of_ca_key() {
    let mut ledger = Ledger::default();
    for kind in CertificateKind::ALL {
        for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048] {
            let issuer = issuer_of(kind, key_type, shipped().unwrap());
            let certificate = issue(&issuer, &mut ledger);
            let files = [("ca.pem", issuer.ca_key().certificate_der()), ("phone.pem", certificate.der())];
            openssl(&files, &["verify", "-x509_strict", "-check_ss_sig", "-CAfile", "ca.pem", "phone.pem"]);
        }
    }
}

#[test]
fn a_signature_certificate_says_what_its_profile_says() {
    let issuer = issuer(CertificateKind::Signature);
    let certificate = issue(&issuer, &mut Ledger::default());
    let text = openssl(&[("phone.pem", certificate.der())], &["x509", "-in", "phone.pem", "-noout", "-text"]);
    assert!(text.contains("Issuer: C = JP, O = Tsunagi, OU = Smartphone certificates for digital signature"), "{text}");
    assert!(text.contains("Policy: 1.2.392.200149.8.5.1.1.40"), "{text}");
    assert!(text.contains("Digital Signature, Non Repudiation\n"), "{text}");
    assert!(!text.contains("Extended Key Usage"), "{text}");
    assert!(text.contains("URI:http://status.example/crl/signature-1.crl"), "{text}");
    assert!(text.contains("OCSP - URI:http://status.example/ocsp"), "{text}");
    assert!(text.contains("CA Issuers - URI:http://status.example/ca/signature-1.cer"), "{text}");
    assert!(text.contains(&format!("Not After : {}", card_end().format("%b %e %H:%M:%S %Y GMT"))), "{text}");
    assert_eq!(text.matches("othername: 1.2.392.200149.8.5.5.").count(), 6, "{text}");
    assert_eq!(certificate.not_after(), card_end());
    assert_eq!(certificate.card().unwrap().sha256, Sha256Digest::of(b"card"));
    assert_eq!(certificate.policy_sha256(), Sha256Digest(issuer.profile().sha256));
    assert_eq!(certificate.application(), Some(ApplicationId(5)));
}

#[test]
fn an_authentication_certificate_carries_nothing_personal_even_if_it_is_offered() {
    let issuer = issuer(CertificateKind::Authentication);
    let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let mut request = request(CertificateKind::Authentication, key.public_key_info(), card_end());
    request.basic_attributes = vec![attribute(1, "番号　花子")];
    let template = Template::for_request(&request, ApplicationId(1), &issuer, issuer.random_serial().unwrap(), now()).unwrap();
    let certificate = record_one(template.lint().unwrap(), &mut Ledger::default()).unwrap().sign().unwrap();
    let text = openssl(&[("phone.pem", certificate.der())], &["x509", "-in", "phone.pem", "-noout", "-text"]);
    assert!(!text.contains("Subject Alternative Name"), "{text}");
    assert!(text.contains("TLS Web Client Authentication"), "{text}");
    assert!(text.contains("Policy: 1.2.392.200149.8.5.1.3.40"), "{text}");
}

#[test]
fn openssl_takes_the_responder_certificate_for_one() {
    let mut ledger = Ledger::default();
    for kind in CertificateKind::ALL {
        let issuer = issuer(kind);
        let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
        let certificate = create_responder_certificate(&issuer, key.public_key_info(), Duration::days(7), now(), &mut ledger).unwrap();
        let files = [("ca.pem", issuer.ca_key().certificate_der()), ("ocsp.pem", certificate.der())];
        openssl(&files, &["verify", "-x509_strict", "-purpose", "ocsphelper", "-CAfile", "ca.pem", "ocsp.pem"]);
        let text = openssl(&files, &["x509", "-in", "ocsp.pem", "-noout", "-text"]);
        assert!(text.contains("OCSP Signing") && text.contains("OCSP No Check"), "{text}");
        assert_eq!(ledger.intents.pop().unwrap().application, None);
        assert!(certificate.card().is_none());
    }
}

#[test]
fn a_responder_certificate_for_too_long_is_not_signed() {
    let issuer = issuer(CertificateKind::Signature);
    let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let template =
        Template::for_responder(key.public_key_info(), &issuer, issuer.random_serial().unwrap(), now(), Duration::days(31)).unwrap();
    assert_eq!(template.lint().unwrap_err().findings[0].lint, "validity_length");
}

#[test]
fn a_card_that_outlasts_the_ca_a_card_that_has_ended_and_a_weak_key_are_not_signed() {
    let issuer = issuer(CertificateKind::Signature);
    let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let weak = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
    let weak = rsa::pkcs8::EncodePublicKey::to_public_key_der(&weak.to_public_key()).unwrap();
    let cases = [
        (key.public_key_info(), now() + Duration::days(30_000), "validity_within_issuer"),
        (key.public_key_info(), now() - Duration::days(1), "validity_order"),
        (weak.as_bytes(), card_end(), "public_key_rsa"),
    ];
    for (public_key_info, end, lint) in cases {
        let request = request(CertificateKind::Signature, public_key_info, end);
        let template = Template::for_request(&request, ApplicationId(1), &issuer, issuer.random_serial().unwrap(), now()).unwrap();
        let failure = template.lint().unwrap_err();
        assert!(failure.findings.iter().any(|finding| finding.lint == lint), "{failure:?}");
    }
}

#[test]
fn a_request_for_the_other_kind_is_not_drawn_up() {
    let issuer = issuer(CertificateKind::Signature);
    let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let request = request(CertificateKind::Authentication, key.public_key_info(), card_end());
    let answer = Template::for_request(&request, ApplicationId(1), &issuer, issuer.random_serial().unwrap(), now());
    assert!(matches!(answer, Err(TemplateFault::OtherKind)));
}

#[test]
fn what_is_signed_is_what_was_recorded() {
    let issuer = issuer(CertificateKind::Signature);
    let mut ledger = Ledger::default();
    let certificate = issue(&issuer, &mut ledger);
    let intent = &ledger.intents[0];
    assert_eq!(&intent.serial, certificate.serial());
    assert_eq!((intent.kind, intent.ca_key, intent.application), (CertificateKind::Signature, CaKeyId(1), Some(ApplicationId(5))));
    let parsed: x509_cert::Certificate = der::Decode::from_der(certificate.der()).unwrap();
    let tbs = der::Encode::to_der(parsed.tbs_certificate()).unwrap();
    assert_eq!(intent.tbs_sha256, Sha256Digest::of(&tbs));
}

#[test]
fn a_serial_number_recorded_before_is_not_signed_again() {
    let issuer = issuer(CertificateKind::Authentication);
    let serial = issuer.random_serial().unwrap();
    let mut ledger = Ledger::default();
    let linted: Vec<_> = (0..2)
        .map(|_| {
            let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
            let request = request(CertificateKind::Authentication, key.public_key_info(), card_end());
            Template::for_request(&request, ApplicationId(1), &issuer, serial.clone(), now()).unwrap().lint().unwrap()
        })
        .collect();
    assert!(record(linted, &mut ledger).is_err());
}

#[test]
fn a_profile_with_a_practice_statement_address_and_critical_policy_is_followed() {
    let mut policies = shipped().unwrap();
    let policy = &mut Arc::make_mut(&mut policies.authentication).policy;
    policy.cps = Some("http://tsunagi.example/cps.html".to_owned());
    policy.critical = true;
    let issuer = issuer_of(CertificateKind::Authentication, KeyType::EcdsaP256, policies);
    let certificate = issue(&issuer, &mut Ledger::default());
    let files = [("ca.pem", issuer.ca_key().certificate_der()), ("phone.pem", certificate.der())];
    openssl(&files, &["verify", "-x509_strict", "-CAfile", "ca.pem", "phone.pem"]);
    let text = openssl(&files, &["x509", "-in", "phone.pem", "-noout", "-text"]);
    assert!(text.contains("Certificate Policies: critical"), "{text}");
    assert!(text.contains("CPS: http://tsunagi.example/cps.html"), "{text}");
}

#[test]
fn a_responder_key_that_the_profile_does_not_name_is_not_certified() {
    let mut policies = shipped().unwrap();
    Arc::make_mut(&mut policies.responder).key_types = vec![KeyType::EcdsaP384];
    let issuer = issuer_of(CertificateKind::Signature, KeyType::EcdsaP256, policies);
    let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let answer = create_responder_certificate(&issuer, key.public_key_info(), Duration::days(7), now(), &mut Ledger::default());
    assert!(matches!(answer, Err(ResponderFault::Lint(_))));
}

/// Signs wrongly, as a key does whose device is broken.
struct Broken(FileSigner);

impl Signer for Broken {
    fn key_type(&self) -> KeyType {
        self.0.key_type()
    }

    fn public_key_info(&self) -> &[u8] {
        self.0.public_key_info()
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignerFault> {
        self.0.sign(b"something else")
    }
}

#[test]
fn a_wrong_signature_is_never_let_out() {
    let policies = Arc::new(shipped().unwrap());
    let signer = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let certificate = create_ca_certificate(&policies, CertificateKind::Authentication, &signer, now()).unwrap();
    let ca_key = CaKey::new(CaKeyId(1), CertificateKind::Authentication, 1, certificate, urls("authentication-1")).unwrap();
    let issuer = Issuer::new(ca_key, Arc::new(Broken(signer)), policies).unwrap();
    let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let request = request(CertificateKind::Authentication, key.public_key_info(), card_end());
    let template = Template::for_request(&request, ApplicationId(1), &issuer, issuer.random_serial().unwrap(), now()).unwrap();
    let recorded = record_one(template.lint().unwrap(), &mut Ledger::default()).unwrap();
    assert!(matches!(recorded.sign(), Err(SignerFault::WrongSignature)));
}

#[test]
fn an_issuer_is_not_made_of_parts_that_do_not_belong_together() {
    let policies = Arc::new(shipped().unwrap());
    let signer = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let other = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let certificate = create_ca_certificate(&policies, CertificateKind::Signature, &signer, now()).unwrap();
    let ca_key = CaKey::new(CaKeyId(1), CertificateKind::Signature, 1, certificate.clone(), urls("signature-1")).unwrap();
    assert!(matches!(Issuer::new(ca_key, Arc::new(other), policies.clone()), Err(IssuerFault::OtherKey(_))));
    let misnamed = CaKey::new(CaKeyId(1), CertificateKind::Authentication, 1, certificate, urls("signature-1")).unwrap();
    assert!(matches!(Issuer::new(misnamed, Arc::new(signer), policies), Err(IssuerFault::OtherName(_))));
}

#[test]
fn a_ca_key_is_made_only_of_a_ca_certificate_and_http_addresses() {
    let issuer = issuer(CertificateKind::Signature);
    let certificate = issue(&issuer, &mut Ledger::default());
    let make = |der: &[u8], urls: CaUrls| CaKey::new(CaKeyId(1), CertificateKind::Signature, 1, der.to_vec(), urls);
    assert!(make(certificate.der(), urls("x")).is_err());
    assert!(make(b"garbage", urls("x")).is_err());
    assert!(make(b"", urls("x")).is_err());
    let ca = issuer.ca_key().certificate_der();
    assert!(make(ca, urls("x")).is_ok());
    for bad in ["https://status.example/ocsp", "http://", "http://a b", "ldap://x"] {
        assert!(make(ca, CaUrls { ocsp: bad.to_owned(), ..urls("x") }).is_err());
    }
    for cut in 0..ca.len() {
        assert!(make(&ca[..cut], urls("x")).is_err());
    }
}

#[test]
fn the_distribution_point_of_the_ca_key_is_in_the_certificate_octet_for_octet() {
    let issuer = issuer(CertificateKind::Signature);
    let certificate = issue(&issuer, &mut Ledger::default());
    let name = &issuer.ca_key().distribution_point(0).name_der[..];
    // DistributionPoint: a SEQUENCE with [0] EXPLICIT around the name.
    let framed = [&[0x30, u8::try_from(name.len() + 2).unwrap(), 0xa0, u8::try_from(name.len()).unwrap()], name].concat();
    assert!(certificate.der().windows(framed.len()).any(|window| window == framed));
}

#[test]
fn certificates_are_spread_over_shards_by_their_serial_numbers() {
    let issuer = issuer(CertificateKind::Signature);
    assert_eq!(issuer.shards().get(), 1);
    let spread = |shards: u16| issuer.clone().in_shards(shards.try_into().unwrap());
    let shard = |issuer: &Issuer, serial: &str| issuer.shard_of(&SerialNumber::from_hex(serial).unwrap());
    assert_eq!(shard(&spread(1), "FFFFFFFFFFFFFFFF"), 0);
    assert_eq!(shard(&spread(128), "01020304000000FF"), 127);
    assert_eq!(shard(&spread(1000), "01020380000003"), u16::try_from(0x8000_0003_u32 % 1000).unwrap());
    assert_eq!(shard(&spread(1024), "0401"), 1);

    let spread = spread(16);
    let mut ledger = Ledger::default();
    let mut seen = HashSet::new();
    for _ in 0..40 {
        let certificate = issue(&spread, &mut ledger);
        assert_eq!(certificate.shard(), spread.shard_of(certificate.serial()));
        let point = spread.ca_key().distribution_point(certificate.shard());
        assert!(certificate.der().windows(point.name_der.len()).any(|window| window == point.name_der));
        seen.insert(certificate.shard());
    }
    assert!(seen.len() > 1);
}

#[test]
fn a_certificate_for_tests_is_linked_to_no_card_and_may_end_at_once() {
    for kind in CertificateKind::ALL {
        let issuer = issuer(kind);
        let drawn_up = |end: DateTime<Utc>| {
            let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
            Template::for_test(key.public_key_info(), &issuer, issuer.random_serial().unwrap(), end, now()).unwrap()
        };
        for end in [now() + Duration::days(365), now() - Duration::seconds(1)] {
            let linted = drawn_up(end).lint().unwrap();
            let certificate = record_one(linted, &mut Ledger::default()).unwrap().sign().unwrap();
            assert_eq!((certificate.card(), certificate.application()), (None, None));
            assert_eq!(certificate.not_after().timestamp(), end.timestamp());
            let files = [("ca.pem", issuer.ca_key().certificate_der()), ("test.pem", certificate.der())];
            openssl(&files, &["verify", "-x509_strict", "-no_check_time", "-CAfile", "ca.pem", "test.pem"]);
            let text = openssl(&files, &["x509", "-in", "test.pem", "-noout", "-text"]);
            assert!(!text.contains("Subject Alternative Name"), "{text}");
        }
        let failure = drawn_up(now() + Duration::days(30_000)).lint().unwrap_err();
        assert!(failure.findings.iter().any(|finding| finding.lint == "validity_within_issuer"), "{failure:?}");
    }
}

#[test]
fn the_hashes_of_a_ca_key_are_those_of_openssl() {
    let issuer = issuer(CertificateKind::Signature);
    let files = [("ca.pem", issuer.ca_key().certificate_der())];
    let identifiers = openssl(&files, &["x509", "-in", "ca.pem", "-noout", "-ocspid"]);
    assert!(identifiers.contains(&hex::encode_upper(issuer.ca_key().issuer_name_hash(CertIdHash::Sha1))), "{identifiers}");
    assert!(identifiers.contains(&hex::encode_upper(issuer.ca_key().issuer_key_hash(CertIdHash::Sha1))), "{identifiers}");
    assert_eq!(issuer.ca_key().key_identifier().as_bytes(), issuer.ca_key().issuer_key_hash(CertIdHash::Sha1));
}
