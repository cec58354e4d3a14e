//! Instructions that openssl signed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, Utc};

use super::key_report::KEY_REPORT_SUBJECT;
use super::operator::{OperatorAuthorities, Role};
use super::*;
use crate::application::APPLICATION_CONTENT_TYPE;
use crate::application::challenge::Beacon;
use crate::card::authority::CardAuthorities;
use crate::issuer::{Issuer, create_responder_certificate};
use crate::kind::CertificateKind;
use crate::refusal::Refusal as _;
use crate::revocation::RevocationReason;
use crate::signed_object::certificate_to_pem;
use crate::signer::FileSigner;
use crate::workshop::{AUDIENCE, CA, Unrecorded, Workshop, application_verifier, challenge, issuer};

const THIS_PHONE: &str = r#"{"action":"end","certificates":"this-phone","reason":"cessationOfOperation"}"#;
const ALL: &str = r#"{"action":"end","certificates":"all","reason":"unspecified"}"#;
const LIST: &str = r#"{"action":"list"}"#;
const HOLD: &str = r#"{"action":"hold","target":{"holder_id":"h"},"cause":"phone-lost","ticket":"called"}"#;
const REVOKE: &str = r#"{"action":"revoke","target":{"serial":"01"},"reason":"keyCompromise","ticket":"called"}"#;
const OPERATOR: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth";

fn statement(statement_type: &str, audience: &str, instruction: &str) -> String {
    let challenge = challenge(5).to_base64();
    format!(r#"{{"type":"tsunagi.{statement_type}.v1","audience":"{audience}","challenge":"{challenge}","do":{instruction}}}"#)
}

fn verifier(cards: CardAuthorities, issuers: &[&Issuer], operators: OperatorAuthorities) -> InstructionVerifier {
    let own_keys: Vec<_> = issuers.iter().map(|issuer| issuer.ca_key().clone()).collect();
    let applications = application_verifier(cards, &own_keys.iter().collect::<Vec<_>>());
    InstructionVerifier::new(Arc::new(applications), own_keys, operators)
}

fn unverified(octets: Vec<u8>) -> UnverifiedInstruction {
    UnverifiedInstruction::from_bytes(octets).unwrap()
}

/// A holder's instruction, signed by the one of that name.
fn holders(workshop: &Workshop, signer: &str, digest: &str, instruction: &str) -> UnverifiedInstruction {
    let statement = statement("holder-instruction", AUDIENCE, instruction);
    unverified(workshop.sign(signer, digest, &HOLDER_CONTENT_TYPE.to_string(), &statement))
}

/// An operator's instruction, signed by the one of that name.
fn operators(workshop: &Workshop, signer: &str, instruction: &str) -> UnverifiedInstruction {
    let statement = statement("operator-instruction", AUDIENCE, instruction);
    unverified(workshop.sign(signer, "sha256", &OPERATOR_CONTENT_TYPE.to_string(), &statement))
}

fn holders_refusal(verifier: &InstructionVerifier, instruction: &UnverifiedInstruction) -> &'static str {
    verifier.verify_holder(instruction, Utc::now()).unwrap_err().code()
}

fn operators_refusal(verifier: &InstructionVerifier, instruction: &UnverifiedInstruction) -> &'static str {
    verifier.verify_operator(instruction, Utc::now()).unwrap_err().code()
}

#[test]
fn phones_with_every_sort_of_key_and_the_card_sign_what_is_theirs() {
    let workshop = Workshop::new();
    let (signature, authentication) = (issuer(CertificateKind::Signature, 1), issuer(CertificateKind::Authentication, 2));
    let verifier = verifier(workshop.card(), &[&signature, &authentication], OperatorAuthorities::default());
    let now = Utc::now();
    for (name, sort, digest, issuer) in [
        ("phone-p256", "P-256", "sha256", &authentication),
        ("phone-p384", "P-384", "sha384", &authentication),
        ("phone-rsa", "RSA", "sha256", &authentication),
        ("phone-signature", "P-256", "sha256", &signature),
    ] {
        workshop.key(name, sort);
        let certificate = workshop.phone(name, issuer);
        let instruction = holders(&workshop, name, digest, THIS_PHONE);
        let signed = verifier.verify_holder(&instruction, now).unwrap();
        let HolderSigner::Phone(phone) = signed.signer() else { panic!("{name}: not a phone") };
        assert_eq!((phone.kind, phone.ca_key), (issuer.ca_key().kind(), issuer.ca_key().id()));
        assert_eq!((&phone.serial, phone.not_after), (certificate.serial(), certificate.not_after()));
        assert_eq!(phone.public_key_sha256, certificate.public_key_sha256());
        assert_eq!(signed.digest(), instruction.digest());
        let reason = RevocationReason::CessationOfOperation;
        assert_eq!(*signed.instruction(), HolderInstruction::End { certificates: CertificatesToEnd::ThisPhone, reason });
    }
    let signed = verifier.verify_holder(&holders(&workshop, "card-signature", "sha256", ALL), now).unwrap();
    let HolderSigner::Card(card) = signed.signer() else { panic!("not a card") };
    assert_eq!(card.serial.to_string(), "0A0B0C");

    // Either may ask for the list; neither may do what is the other's.
    for signer in ["phone-p256", "card-signature"] {
        assert!(verifier.verify_holder(&holders(&workshop, signer, "sha256", LIST), now).is_ok());
    }
    assert_eq!(holders_refusal(&verifier, &holders(&workshop, "phone-p256", "sha256", ALL)), "instruction_action");
    let token = r#"{"action":"push-token","push_token":"abc"}"#;
    for theirs in [THIS_PHONE, token] {
        assert_eq!(holders_refusal(&verifier, &holders(&workshop, "card-signature", "sha256", theirs)), "instruction_action");
    }
    // The card's authentication certificate signs nothing.
    assert_eq!(holders_refusal(&verifier, &holders(&workshop, "card-authentication", "sha256", ALL)), "card_key_usage");
    // A P-256 key with SHA-512, and a digest that is not the signature's.
    assert_eq!(holders_refusal(&verifier, &holders(&workshop, "phone-p256", "sha512", LIST)), "cms_algorithm");
}

#[test]
fn only_our_own_keys_make_phones_and_only_while_their_certificates_are_valid() {
    let workshop = Workshop::new();
    let (own, other) = (issuer(CertificateKind::Authentication, 1), issuer(CertificateKind::Authentication, 2));
    let verifier = verifier(workshop.card(), &[&own], OperatorAuthorities::default());
    workshop.key("phone", "P-256");

    // Another key under the same name, which we do not know: it is no card CA either.
    workshop.phone("phone", &other);
    assert_eq!(holders_refusal(&verifier, &holders(&workshop, "phone", "sha256", THIS_PHONE)), "card_issuer_unknown");

    let certificate = workshop.phone("phone", &own);
    let instruction = holders(&workshop, "phone", "sha256", THIS_PHONE);
    let at = |moment: DateTime<Utc>| verifier.verify_holder(&instruction, moment).map(drop);
    assert_eq!(at(certificate.not_before()), Ok(()));
    assert_eq!(at(certificate.not_after()), Ok(()));
    assert_eq!(at(certificate.not_before() - Duration::seconds(1)), Err(InstructionRefusal::SignerExpired));
    assert_eq!(at(certificate.not_after() + Duration::seconds(1)), Err(InstructionRefusal::SignerExpired));

    // One who calls an own CA the issuer by name and key identifier, and signs with a key of their own.
    let identifier = hex::encode(own.ca_key().key_identifier().as_bytes());
    workshop.key("forger", "P-256");
    workshop.certificate("forger", "forger", "/CN=x", &format!("{CA}\nsubjectKeyIdentifier={identifier}"));
    workshop.certificate("phone", "forger", "/CN=x", "keyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid");
    assert_eq!(holders_refusal(&verifier, &holders(&workshop, "phone", "sha256", THIS_PHONE)), "signer_unknown");

    // A responder's certificate is signed by our own key, but is no phone's.
    let key = workshop.public_key_info("phone");
    let responder = create_responder_certificate(&own, &key, Duration::days(1), Utc::now(), &mut Unrecorded).unwrap();
    workshop.write("phone.pem", certificate_to_pem(responder.der()).unwrap());
    assert_eq!(holders_refusal(&verifier, &holders(&workshop, "phone", "sha256", THIS_PHONE)), "signer_unknown");
}

#[test]
fn a_signature_counts_for_its_own_sort_of_statement_only() {
    let workshop = Workshop::new();
    let own = issuer(CertificateKind::Authentication, 1);
    let verifier = verifier(CardAuthorities::default(), &[&own], OperatorAuthorities::default());
    workshop.key("phone", "P-256");
    workshop.phone("phone", &own);
    let right = statement("holder-instruction", AUDIENCE, LIST);
    for other in [APPLICATION_CONTENT_TYPE, OPERATOR_CONTENT_TYPE, const_oid::db::rfc5911::ID_DATA] {
        let message = unverified(workshop.sign("phone", "sha256", &other.to_string(), &right));
        assert_eq!(holders_refusal(&verifier, &message), "cms_content_type");
    }
    let holders = unverified(workshop.sign("phone", "sha256", &HOLDER_CONTENT_TYPE.to_string(), &right));
    assert!(verifier.verify_holder(&holders, Utc::now()).is_ok());
    assert_eq!(operators_refusal(&verifier, &holders), "cms_content_type");

    for (wrong, code) in [
        (statement("operator-instruction", AUDIENCE, LIST), "statement_type"),
        (statement("holder-instruction", "other.example", LIST), "statement_audience"),
        (statement("holder-instruction", AUDIENCE, r#"{"action":"list","more":1}"#), "instruction_malformed"),
        (right.replacen('{', r#"{"more":1,"#, 1), "instruction_malformed"),
        (right.replacen('{', &format!(r#"{{"audience":"{AUDIENCE}","#), 1), "instruction_malformed"),
        (right.replace(&challenge(5).to_base64(), "x"), "challenge_malformed"),
    ] {
        let message = unverified(workshop.sign("phone", "sha256", &HOLDER_CONTENT_TYPE.to_string(), &wrong));
        let refusal = verifier.verify_holder(&message, Utc::now()).unwrap_err();
        assert_eq!(refusal.code(), code, "{wrong}");
    }
    assert!(matches!(UnverifiedInstruction::from_bytes(vec![0; MAX_OCTETS + 1]), Err(InstructionRefusal::TooLarge { .. })));

    let beacon = Beacon { value: [5; 32], drawn_at: Utc::now() };
    let signed = verifier.verify_holder(&holders, Utc::now()).unwrap();
    assert_eq!(verifier.check_beacon(signed.challenge(), &[beacon], Utc::now()), Ok(()));
    let late = verifier.check_beacon(signed.challenge(), &[beacon], Utc::now() + Duration::hours(1));
    assert_eq!(late.unwrap_err().code(), "challenge_expired");
}

#[test]
fn operators_sign_what_their_role_allows() {
    let workshop = Workshop::new();
    for name in ["operators", "generation-2", "anna", "ben", "nobody", "server", "silent"] {
        workshop.key(name, if name == "ben" { "RSA" } else { "P-256" });
    }
    workshop.certificate("operators", "operators", "/CN=operators", CA);
    workshop.certificate("generation-2", "generation-2", "/CN=operators", CA);
    let authorities = OperatorAuthorities::from_pem(&workshop.read("operators.pem")).unwrap();
    let own = issuer(CertificateKind::Authentication, 1);
    let verifier = verifier(CardAuthorities::default(), &[&own], authorities);

    workshop.certificate("anna", "operators", "/OU=administrator/CN=Anna", OPERATOR);
    workshop.certificate("ben", "operators", "/OU=call-centre/CN=Ben", OPERATOR);
    // Only now: a certificate is not valid before the second in which it was made.
    let now = Utc::now();
    let signed = verifier.verify_operator(&operators(&workshop, "anna", REVOKE), now).unwrap();
    assert_eq!((signed.operator().name.as_str(), signed.operator().role), ("Anna", Role::Administrator));
    assert_eq!(signed.key_sha256(), Sha256Digest::of(&workshop.public_key_info("anna")));
    let held = verifier.verify_operator(&operators(&workshop, "ben", HOLD), now).unwrap();
    assert_eq!(held.instruction().as_str(), "hold");
    let refusal = verifier.verify_operator(&operators(&workshop, "ben", REVOKE), now).unwrap_err();
    assert_eq!(refusal.code(), "role_not_allowed");
    let late = verifier.verify_operator(&operators(&workshop, "ben", HOLD), now + Duration::days(366)).unwrap_err();
    assert_eq!(late, InstructionRefusal::SignerExpired);

    for (name, issuer, subject, extensions, code) in [
        ("anna", "generation-2", "/OU=administrator/CN=Anna", OPERATOR, "signer_unknown"),
        ("anna", "anna", "/OU=administrator/CN=Anna", OPERATOR, "signer_unknown"),
        ("nobody", "operators", "/OU=king/CN=Nobody", OPERATOR, "role_unknown"),
        ("nobody", "operators", "/OU=auditor/OU=administrator/CN=Nobody", OPERATOR, "role_unknown"),
        ("server", "operators", "/OU=administrator/CN=x", "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth", "signer_unknown"),
        ("silent", "operators", "/OU=administrator/CN=x", "extendedKeyUsage=clientAuth", "signer_key_usage"),
        ("silent", "operators", "/OU=administrator/CN=x", "keyUsage=keyAgreement", "signer_key_usage"),
        ("silent", "operators", "/OU=administrator/CN=x", CA, "signer_unknown"),
    ] {
        workshop.certificate(name, issuer, subject, extensions);
        assert_eq!(operators_refusal(&verifier, &operators(&workshop, name, HOLD)), code, "{subject} {extensions}");
    }
    // A holder's phone is no operator.
    workshop.key("phone", "P-256");
    workshop.phone("phone", &own);
    assert_eq!(operators_refusal(&verifier, &operators(&workshop, "phone", HOLD)), "signer_unknown");

    assert!(OperatorAuthorities::from_pem(b"no certificate").is_err());
    assert!(OperatorAuthorities::from_pem(&workshop.read("ben.pem")).is_err());
}

#[test]
fn what_we_sign_for_an_operator_is_what_openssl_and_we_read() {
    let workshop = Workshop::new();
    for (name, sort) in [("operators", "P-256"), ("anna", "P-256"), ("ben", "P-384"), ("cleo", "RSA")] {
        workshop.key(name, sort);
        workshop.certificate(
            name,
            "operators",
            if name == "operators" { "/CN=operators" } else { "/OU=administrator/CN=x" },
            match name {
                "operators" => CA,
                _ => OPERATOR,
            },
        );
    }
    let authorities = OperatorAuthorities::from_pem(&workshop.read("operators.pem")).unwrap();
    let verifier = verifier(CardAuthorities::default(), &[], authorities);
    for name in ["anna", "ben", "cleo"] {
        let signer = FileSigner::open_clear(&workshop.path(&format!("{name}.key.pem"))).unwrap();
        let said = statement("operator-instruction", AUDIENCE, HOLD);
        let message = operator::sign(said.as_bytes(), &workshop.der(name), &signer).unwrap();
        workshop.write("message", &message);
        workshop.openssl("cms -verify -inform DER -in message -CAfile operators.pem -purpose any -out content");
        assert_eq!(workshop.read("content"), said.as_bytes());
        assert!(verifier.verify_operator(&unverified(message), Utc::now()).is_ok(), "{name}");
    }
}

#[test]
fn whoever_has_a_key_can_report_it() {
    let workshop = Workshop::new();
    let verifier = verifier(CardAuthorities::default(), &[], OperatorAuthorities::default());
    for (name, sort) in [("ours", "P-256"), ("rsa", "RSA")] {
        workshop.key(name, sort);
        let report = unverified(workshop.pkcs10(name, KEY_REPORT_SUBJECT, None));
        let read = verifier.verify_key_report(&report).unwrap();
        assert_eq!(read.public_key_sha256(), Sha256Digest::of(&workshop.public_key_info(name)));
        assert_eq!(read.digest(), report.digest());
    }
    let code = |octets: Vec<u8>| verifier.verify_key_report(&unverified(octets)).unwrap_err().code();
    // What a phone sends when it applies, seen by another, reports nothing.
    assert_eq!(code(workshop.pkcs10("ours", "phone", Some(&STANDARD.encode([1; 48])))), "key_report_subject");
    assert_eq!(code(workshop.pkcs10("ours", &format!("{KEY_REPORT_SUBJECT}\norganizationName = x"), None)), "key_report_subject");
    let mut forged = workshop.pkcs10("ours", KEY_REPORT_SUBJECT, None);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(code(forged), "request_possession");
    assert_eq!(code(b"no request".to_vec()), "request_malformed");
    assert_eq!(code(vec![0x30; 5_000]), "request_malformed");
}

#[test]
fn no_message_with_a_bit_changed_counts() {
    let workshop = Workshop::new();
    for name in ["operators", "anna", "phone"] {
        workshop.key(name, "P-256");
    }
    workshop.certificate("operators", "operators", "/CN=operators", CA);
    workshop.certificate("anna", "operators", "/OU=administrator/CN=Anna", OPERATOR);
    let own = issuer(CertificateKind::Authentication, 1);
    workshop.phone("phone", &own);
    let authorities = OperatorAuthorities::from_pem(&workshop.read("operators.pem")).unwrap();
    let verifier = verifier(CardAuthorities::default(), &[&own], authorities);
    let (holders, operators) = (holders(&workshop, "phone", "sha256", THIS_PHONE), operators(&workshop, "anna", HOLD));
    let report = unverified(workshop.pkcs10("phone", KEY_REPORT_SUBJECT, None));
    let now = Utc::now();
    type Judge<'a> = &'a dyn Fn(&UnverifiedInstruction) -> bool;
    let judges: [(&UnverifiedInstruction, Judge<'_>); 3] = [
        (&holders, &|changed| verifier.verify_holder(changed, now).is_ok()),
        (&operators, &|changed| verifier.verify_operator(changed, now).is_ok()),
        (&report, &|changed| verifier.verify_key_report(changed).is_ok()),
    ];
    for (message, counts) in judges {
        assert!(counts(message));
        for position in 0..message.as_bytes().len() {
            for bit in 0..8 {
                let mut octets = message.as_bytes().to_vec();
                octets[position] ^= 1 << bit;
                assert!(!counts(&unverified(octets)), "octet {position}, bit {bit}");
            }
        }
        for shorter in 0..message.as_bytes().len() {
            assert!(!counts(&unverified(message.as_bytes()[..shorter].to_vec())), "{shorter} octets");
        }
        assert!(!counts(&unverified([message.as_bytes(), &[0]].concat())));
    }
}
