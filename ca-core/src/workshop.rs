//! For tests: certificates, keys and signed messages made by openssl, so that our readers are judged by another's writer.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, Utc};
use policies::shipped;

use crate::application::ApplicationId;
use crate::application::challenge::Challenge;
use crate::application::verified::VerifiedRequest;
use crate::application::verifier::ApplicationVerifier;
use crate::card::authority::{CardAuthorities, CardAuthority};
use crate::card::identity::{CardIdentity, KeyIdentifier};
use crate::digest::Sha256Digest;
use crate::issuance::{Intent, IntentLedger, SignedCertificate, Template, record_one};
use crate::issuer::{CaKey, CaKeyId, CaUrls, Issuer, create_ca_certificate};
use crate::kind::CertificateKind;
use crate::serial::SerialNumber;
use crate::signer::{FileSigner, KeyType};

pub(crate) const AUDIENCE: &str = "ra.example";

/// What the certificates of a card's CA, a card's halves and an operators' CA say of themselves.
pub(crate) const CA: &str = "basicConstraints=critical,CA:true
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash";
pub(crate) const CARD_SIGNATURE: &str = "keyUsage=critical,digitalSignature,nonRepudiation
certificatePolicies=1.2.392.200149.8.5.1.1.20
authorityKeyIdentifier=keyid";
pub(crate) const CARD_AUTHENTICATION: &str = "keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth
certificatePolicies=1.2.392.200149.8.5.1.3.30
authorityKeyIdentifier=keyid";

/// A directory in which openssl works; what is made there is called by a name: `NAME.pem`, `NAME.key.pem`.
pub(crate) struct Workshop(tempfile::TempDir);

impl Workshop {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn openssl(&self, arguments: &str) {
        let arguments = arguments.split_whitespace().map(|argument| argument.replace('~', " "));
        let output = Command::new("openssl").args(arguments.clone()).current_dir(self.0.path()).output();
        let output = output.expect("openssl is needed for this test; scripts/test installs it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {:?}: {said}", arguments.collect::<Vec<_>>());
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(file), content).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap()
    }

    /// Makes a key: "P-256", "P-384" or "RSA", of 2048 bits.
    pub(crate) fn key(&self, name: &str, sort: &str) {
        let option = match sort {
            "RSA" => "RSA -pkeyopt rsa_keygen_bits:2048".to_owned(),
            curve => format!("EC -pkeyopt ec_paramgen_curve:{curve}"),
        };
        self.openssl(&format!("genpkey -algorithm {option} -out {name}.key.pem"));
    }

    /// The SubjectPublicKeyInfo, in DER, of a key.
    pub(crate) fn public_key_info(&self, name: &str) -> Vec<u8> {
        self.openssl(&format!("pkey -in {name}.key.pem -pubout -outform DER -out {name}.spki"));
        self.read(&format!("{name}.spki"))
    }

    /// A certificate for the key of that name; an issuer of the same name signs for itself. Blanks in the subject are `~`.
    pub(crate) fn certificate(&self, name: &str, issuer: &str, subject: &str, extensions: &str) {
        self.write("empty.cnf", "[req]\ndistinguished_name = name\n[name]\n");
        self.write(&format!("{name}.ext"), extensions);
        self.openssl(&format!("req -new -config empty.cnf -key {name}.key.pem -subj {subject} -out {name}.csr.pem"));
        let signer = if name == issuer {
            format!("-signkey {name}.key.pem")
        } else {
            format!("-CA {issuer}.pem -CAkey {issuer}.key.pem -set_serial 0x0A0B0C")
        };
        self.openssl(&format!("x509 -req -in {name}.csr.pem -days 365 -extfile {name}.ext {signer} -out {name}.pem"));
    }

    /// A certificate as it lies there, in DER.
    pub(crate) fn der(&self, name: &str) -> Vec<u8> {
        self.openssl(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        self.read(&format!("{name}.der"))
    }

    /// What somebody signs: as the pages say that it is done by hand.
    pub(crate) fn sign(&self, signer: &str, digest: &str, content_type: &str, content: &str) -> Vec<u8> {
        self.write("content", content);
        self.openssl(&format!(
            "cms -sign -binary -nodetach -econtent_type {content_type} -md {digest} -in content \
             -signer {signer}.pem -inkey {signer}.key.pem -outform DER -out message"
        ));
        self.read("message")
    }

    /// A certification request in DER by the key of that name; the challenge, if any, as its challengePassword.
    pub(crate) fn pkcs10(&self, name: &str, common_name: &str, challenge: Option<&str>) -> Vec<u8> {
        let attributes = challenge.map(|text| format!("attributes = attributes\n[attributes]\nchallengePassword = {text}\n"));
        self.write(
            "request.cnf",
            format!(
                "[name]\ncommonName = {common_name}\n[req]\nprompt = no\nstring_mask = utf8only\ndistinguished_name = name\n{}",
                attributes.unwrap_or_default()
            ),
        );
        self.openssl(&format!("req -new -sha256 -config request.cnf -key {name}.key.pem -outform DER -out request.p10"));
        self.read("request.p10")
    }

    /// A card CA for both kinds, and a card of it: `card-ca`, `card-signature` and `card-authentication`.
    pub(crate) fn card(&self) -> CardAuthorities {
        for (name, sort) in [("card-ca", "P-256"), ("card-signature", "RSA"), ("card-authentication", "P-256")] {
            self.key(name, sort);
        }
        self.certificate("card-ca", "card-ca", "/O=JPKI", CA);
        self.certificate("card-signature", "card-ca", "/CN=202004011213141234500001", CARD_SIGNATURE);
        self.certificate("card-authentication", "card-ca", "/CN=12345678901234567890123", CARD_AUTHENTICATION);
        let authority = |kind| CardAuthority::from_certificate(kind, &self.read("card-ca.pem")).unwrap();
        CardAuthorities::new(CertificateKind::ALL.map(authority).into()).unwrap()
    }

    /// A smartphone certificate for the key of that name.
    pub(crate) fn phone(&self, name: &str, issuer: &Issuer) -> SignedCertificate {
        let now = Utc::now();
        let request = VerifiedRequest {
            kind: issuer.ca_key().kind(),
            public_key_info: self.public_key_info(name),
            card: CardIdentity {
                issuer_key_id: KeyIdentifier::new([7; 20]).unwrap(),
                serial: SerialNumber::from_hex("01020304").unwrap(),
                sha256: Sha256Digest::of(b"card"),
            },
            card_not_before: now - Duration::days(100),
            card_not_after: DateTime::from_timestamp((now + Duration::days(365)).timestamp(), 0).unwrap(),
            card_distribution_point: None,
            basic_attributes: Vec::new(),
        };
        let template = Template::for_request(&request, ApplicationId(1), issuer, issuer.random_serial().unwrap(), now).unwrap();
        let certificate = record_one(template.lint().unwrap(), &mut Unrecorded).unwrap().sign().unwrap();
        self.write(&format!("{name}.pem"), crate::signed_object::certificate_to_pem(certificate.der()).unwrap());
        certificate
    }
}

/// Where intents are recorded: nowhere.
pub(crate) struct Unrecorded;

impl IntentLedger for Unrecorded {
    type Fault = std::convert::Infallible;

    fn record(&mut self, _: &[Intent]) -> Result<(), Self::Fault> {
        Ok(())
    }
}

/// A CA of ours with a new key: each is another generation under the same name.
pub(crate) fn issuer(kind: CertificateKind, id: i32) -> Issuer {
    let (policies, signer) = (shipped().unwrap(), FileSigner::generate(KeyType::EcdsaP256).unwrap());
    let certificate = create_ca_certificate(&policies, kind, &signer, Utc::now()).unwrap();
    let url = |path: &str| format!("http://status.example/{path}");
    let urls = CaUrls { crl: url("crl"), ocsp: url("ocsp"), certificate: url("ca") };
    let ca_key = CaKey::new(CaKeyId(id), kind, u32::try_from(id).unwrap(), certificate, urls).unwrap();
    Issuer::new(ca_key, Arc::new(signer), Arc::new(policies)).unwrap()
}

/// Takes applications for [`AUDIENCE`] under JPKI's rules.
pub(crate) fn application_verifier(authorities: CardAuthorities, own_keys: &[&CaKey]) -> ApplicationVerifier {
    let own_key_ids = own_keys.iter().map(|key| key.key_identifier().clone()).collect();
    ApplicationVerifier::new(shipped().unwrap().application.as_ref().clone(), authorities, own_key_ids, AUDIENCE.to_owned())
}

/// Some challenge, whoever gave it out: its octets are all the same.
pub(crate) fn challenge(octet: u8) -> Challenge {
    Challenge::from_base64(&STANDARD.encode([octet; 48])).unwrap()
}
