//! The card CA's certificates and the card's signatures, judged by openssl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{back_office, card, openssl, pooled, try_openssl};
use sandbox::back_office::NewCard;
use sandbox::card::{Card, SignedMessage, SignerName, sign};
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::kind::Kind;
use sandbox::phone::{ApplyWish, Deviation, Pkcs10, build_application, build_deviating_application, pkcs10};

#[test]
fn the_card_ca_looks_like_jpki() {
    let office = back_office(2);
    let directory = tempfile::tempdir().unwrap();
    let paths = office.write_files(directory.path()).unwrap();
    assert_eq!(paths.len(), 4);
    let show = |name: &str| openssl(directory.path(), &["x509", "-in", name, "-noout", "-text", "-nameopt", "RFC2253,utf8,-esc_msb"]);
    let text = show("card-ca-signature-1.pem");
    assert!(text.contains("Subject: OU=Japan Agency for Local Authority Information Systems,OU=JPKI for digital signature,O=JPKI,C=JP"));
    assert!(text.contains("Serial Number: 1 (0x1)"));
    assert!(text.contains("Certificate Sign, CRL Sign"));
    assert!(text.contains("CA:TRUE"));
    assert!(text.contains("14:59:59"));
    let newer = show("card-ca-signature-2.pem");
    let subject = |text: &str| text.lines().find(|line| line.contains("Subject:")).unwrap().to_owned();
    assert_eq!(subject(&text), subject(&newer), "all generations bear the same name");
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        openssl(directory.path(), &["verify", "-x509_strict", "-check_ss_sig", "-CAfile", &name, &name]);
    }
}

/// The object identifiers in the production CA certificates of 2015 and 2023, in order, as `openssl asn1parse` names them.
const SHAPE_OF_THE_REAL_ROOTS: [&str; 16] = [
    "sha256WithRSAEncryption",
    "countryName",
    "organizationName",
    "organizationalUnitName",
    "organizationalUnitName",
    "countryName",
    "organizationName",
    "organizationalUnitName",
    "organizationalUnitName",
    "rsaEncryption",
    "X509v3 Key Usage",
    "X509v3 Subject Alternative Name",
    "X509v3 Basic Constraints",
    "X509v3 CRL Distribution Points",
    "X509v3 Subject Key Identifier",
    "sha256WithRSAEncryption",
];

#[test]
fn the_shape_of_the_card_ca_is_that_of_the_real_roots() {
    let office = back_office(1);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    for kind in Kind::ALL {
        let text = openssl(directory.path(), &["asn1parse", "-in", &format!("card-ca-{kind}-1.pem")]);
        let object = |line: &str| line.contains("OBJECT").then(|| line.rsplit(':').next().unwrap().to_owned());
        assert_eq!(text.lines().filter_map(object).collect::<Vec<_>>(), SHAPE_OF_THE_REAL_ROOTS);
    }
}

#[test]
fn card_certificates_verify_and_say_what_jpki_says() {
    let office = back_office(1);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    let wish = NewCard { prefecture: Some("Tokyo-to".to_owned()), city: Some("Mitaka-shi".to_owned()), ..pooled() };
    let card = Card::from_file(&office.new_card(&wish).unwrap()).unwrap();
    card.save(directory.path()).unwrap();
    for kind in Kind::ALL {
        let (ca, certificate) = (format!("card-ca-{kind}-1.pem"), format!("card-{kind}.pem"));
        openssl(directory.path(), &["verify", "-x509_strict", "-CAfile", &ca, &certificate]);
        let other = if kind == Kind::Signature { "card-ca-authentication-1.pem" } else { "card-ca-signature-1.pem" };
        assert!(!try_openssl(directory.path(), &["verify", "-CAfile", other, &certificate]).0);
        let text = openssl(directory.path(), &["x509", "-in", &certificate, "-noout", "-text", "-nameopt", "RFC2253"]);
        for expected in
            ["14:59:59", "OCSP - URI:http://127.0.0.1:", "CPS: http://www.jpki.go.jp/cps.html", "Mitaka-shi CRLDP", "serial:01", "DirName:"]
        {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }
    let signature = openssl(directory.path(), &["x509", "-in", "card-signature.pem", "-noout", "-text", "-nameopt", "RFC2253"]);
    assert!(signature.contains("Digital Signature, Non Repudiation"));
    assert!(signature.contains("L=Mitaka-shi,L=Tokyo-to,C=JP"));
    assert!(signature.contains("1.2.392.200149.8.5.1.1.20"));
    assert!(signature.contains("othername"));
    let authentication = openssl(directory.path(), &["x509", "-in", "card-authentication.pem", "-noout", "-text", "-nameopt", "RFC2253"]);
    assert!(authentication.contains("TLS Web Client Authentication"));
    assert!(authentication.contains("1.2.392.200149.8.5.1.3.30"));
    assert!(!authentication.contains("othername"));
    let attributes = openssl(directory.path(), &["x509", "-in", "card-signature.pem", "-outform", "DER", "-out", "card.der"]);
    assert!(attributes.is_empty());
    let loaded = Card::load(directory.path()).unwrap();
    assert_eq!(loaded.signature.certificate, card.signature.certificate);
    assert_eq!(loaded.card_id, card.card_id);
}

#[test]
fn a_generation_is_told_from_another_by_its_key_only() {
    let office = back_office(2);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    let card = Card::from_file(&office.new_card(&NewCard { generation: Some(1), ..pooled() }).unwrap()).unwrap();
    card.save(directory.path()).unwrap();
    openssl(directory.path(), &["verify", "-CAfile", "card-ca-signature-1.pem", "card-signature.pem"]);
    assert!(!try_openssl(directory.path(), &["verify", "-CAfile", "card-ca-signature-2.pem", "card-signature.pem"]).0);
    assert!(office.new_card(&NewCard { generation: Some(3), ..pooled() }).is_err());
}

#[test]
fn openssl_accepts_an_application_and_gives_back_the_statement() {
    let office = back_office(1);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    let card = card(&office);
    let application = build_application(&card, &ApplyWish::new("RA"), "Y2hhbGxlbmdl").unwrap();
    std::fs::write(directory.path().join("application.cms"), &application.cms).unwrap();
    let arguments = ["cms", "-verify", "-inform", "DER", "-in", "application.cms", "-CAfile", "card-ca-signature-1.pem"];
    let with_output = [&arguments[..], &["-purpose", "any", "-binary", "-out", "statement.json"]].concat();
    openssl(directory.path(), &with_output);
    assert_eq!(std::fs::read(directory.path().join("statement.json")).unwrap(), application.statement);
    let printed = openssl(directory.path(), &["cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", "application.cms"]);
    assert!(printed.contains("2.25.1953723758.1"));
    assert_eq!(printed.matches("d.issuerAndSerialNumber").count(), 1);
    for attribute in ["contentType", "messageDigest", "signingTime"] {
        assert!(printed.contains(attribute));
    }
}

#[test]
fn openssl_accepts_a_signer_named_by_key_identifier() {
    let office = back_office(1);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    let card = card(&office);
    let message = SignedMessage { signer_name: SignerName::SubjectKeyIdentifier, ..SignedMessage::new(b"{}".to_vec()) };
    let cms = sign(&message, &[(&card.signature, &card.signature)]).unwrap();
    std::fs::write(directory.path().join("application.cms"), cms).unwrap();
    let arguments = ["cms", "-verify", "-inform", "DER", "-in", "application.cms", "-CAfile", "card-ca-signature-1.pem", "-purpose", "any"];
    openssl(directory.path(), &arguments);
}

#[test]
fn openssl_rejects_what_is_signed_wrongly() {
    let office = back_office(1);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    let card = card(&office);
    // Not among them: a contentType attribute that contradicts eContentType, which openssl does not compare.
    let wrongly = [
        Deviation::Noise,
        Deviation::Truncated,
        Deviation::WrongMessageDigest,
        Deviation::NoMessageDigest,
        Deviation::BrokenSignature,
        Deviation::TamperedStatement,
        Deviation::OtherCardKey,
        Deviation::NoCertificate,
        Deviation::NoSigner,
    ];
    for deviation in wrongly {
        let cms = build_deviating_application(&card, &ApplyWish::new("RA"), "Y2hhbGxlbmdl", deviation).unwrap();
        std::fs::write(directory.path().join("application.cms"), cms).unwrap();
        let arguments =
            ["cms", "-verify", "-inform", "DER", "-in", "application.cms", "-CAfile", "card-ca-signature-1.pem", "-purpose", "any"];
        assert!(!try_openssl(directory.path(), &arguments).0, "{deviation:?}");
    }
}

#[test]
fn every_deviation_can_be_built_and_differs_from_a_good_application() {
    let office = back_office(1);
    let card = card(&office);
    for deviation in Deviation::ALL {
        let cms = build_deviating_application(&card, &ApplyWish::new("RA"), "Y2hhbGxlbmdl", deviation).unwrap();
        assert_eq!(cms.is_empty(), deviation == Deviation::Empty, "{deviation:?}");
    }
}

#[test]
fn openssl_reads_keys_and_accepts_requests_of_every_algorithm() {
    let directory = tempfile::tempdir().unwrap();
    let algorithms = [
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::Rsa2048,
        KeyAlgorithm::WeakRsa1024,
        KeyAlgorithm::WeakRsaExponentThree,
        KeyAlgorithm::WeakRsaClosePrimes,
        KeyAlgorithm::WeakRsaRoca,
    ];
    for algorithm in algorithms {
        let key = Key::generate(algorithm).unwrap();
        std::fs::write(directory.path().join("key.pem"), key.to_pem()).unwrap();
        std::fs::write(directory.path().join("request.der"), pkcs10(&Pkcs10::new(&key, "abc+/=")).unwrap()).unwrap();
        openssl(directory.path(), &["pkey", "-in", "key.pem", "-noout", "-check"]);
        let text = openssl(directory.path(), &["req", "-inform", "DER", "-in", "request.der", "-verify", "-noout", "-text"]);
        assert!(text.contains("challengePassword"), "{algorithm:?}: {text}");
        assert!(text.contains("abc+/="));
    }
}
