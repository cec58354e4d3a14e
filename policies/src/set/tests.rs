//! Reading whole sets.

use super::*;
use crate::name::AttributeKind;

/// The shipped set with one text replaced in one document.
fn with(document: &str, from: &str, to: &str) -> Result<Policies, PolicyFault> {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in Policies::SHIPPED_DOCUMENTS {
        let file = directory.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = if path == document {
            assert!(text.contains(from), "{document} has no {from}");
            text.replace(from, to)
        } else {
            text.to_owned()
        };
        std::fs::write(file, text).unwrap();
    }
    Policies::load(directory.path())
}

#[test]
fn the_shipped_policies_are_sound_and_the_same_from_a_directory() {
    let shipped = shipped().unwrap();
    assert_eq!(shipped.signature.policy.oid.to_string(), "1.2.392.200149.8.5.1.1.40");
    assert_eq!(shipped.authentication.policy.oid.to_string(), "1.2.392.200149.8.5.1.3.40");
    assert_eq!(shipped.signature.issuer_name[0].kind, AttributeKind::C);
    assert_eq!(with(SIGNATURE, "", "").unwrap(), shipped);
}

#[test]
fn the_digest_is_that_of_the_text() {
    let shipped = shipped().unwrap();
    assert_eq!(shipped.signature.sha256, crate::document::sha256(include_bytes!("../../profiles/signature.toml")));
    let changed = with(SIGNATURE, "max_days = 3700", "max_days = 3701").unwrap();
    assert_ne!(changed.signature.sha256, shipped.signature.sha256);
    assert_eq!(changed.authentication.sha256, shipped.authentication.sha256);
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    for (document, _) in Policies::SHIPPED_DOCUMENTS {
        let name = match document {
            SIGNATURE => "name = \"smartphone-signature\"",
            AUTHENTICATION => "name = \"smartphone-authentication\"",
            AUTHORITY => "name = \"authority\"",
            RESPONDER => "name = \"ocsp-responder\"",
            _ => "name = \"jpki\"",
        };
        let fault = with(document, name, &format!("{name}\ncolour = \"blue\"")).unwrap_err();
        assert!(matches!(fault, PolicyFault::Syntax { .. }), "{document}");
        assert!(fault.to_string().contains("colour"), "{fault}");
    }
    let nested = with(APPLICATION, "lifetime_seconds = 300", "lifetime_seconds = 300\ncolour = 1");
    assert!(matches!(nested, Err(PolicyFault::Syntax { .. })));
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let cases = [
        (SIGNATURE, "serial_octets = 20", "serial_octets = 15"),
        (SIGNATURE, "serial_octets = 20", "serial_octets = 21"),
        (SIGNATURE, "common_name_characters = 26", "common_name_characters = 25"),
        (SIGNATURE, "backdating_seconds = 300", "backdating_seconds = 3601"),
        (SIGNATURE, "value = \"JP\" }", "value = \"Japan\" }"),
        (SIGNATURE, "value = \"Tsunagi\" }", "value = \"\" }"),
        (SIGNATURE, "\"nonRepudiation\"]", "\"keyCertSign\"]"),
        (SIGNATURE, "extended_key_usage = []", "extended_key_usage = [\"1.3.6.1.5.5.7.3.9\"]"),
        (SIGNATURE, "rsa_min_bits = 2048", "rsa_min_bits = 1024"),
        (SIGNATURE, "kind = \"signature\"", "kind = \"authentication\""),
        (SIGNATURE, "oid = \"1.2.392.200149.8.5.1.1.40\"", "oid = \"1.2.392.200149.8.5.1.1.20\""),
        (SIGNATURE, "never = [\"1.2.392.200149.8.5.1.1.20\", ", "never = ["),
        (SIGNATURE, "curves = [\"P-256\", \"P-384\"]", "curves = [\"P-256\"]"),
        (AUTHENTICATION, "basic_attributes = []", "basic_attributes = [\"1.2.392.200149.8.5.5.1\"]"),
        (AUTHENTICATION, "Smartphone certificates for user authentication\" }", "Smartphone certificates for digital signature\" }"),
        (AUTHENTICATION, "oid = \"1.2.392.200149.8.5.1.3.40\"", "oid = \"1.2.392.200149.8.5.1.1.40\""),
        (AUTHORITY, "default_key_type = \"ecdsa-p256\"\nkey_types = [\"ecdsa-p256\", ", "default_key_type = \"ecdsa-p256\"\nkey_types = ["),
        (AUTHORITY, "life_days = 7305", "life_days = 1"),
        (RESPONDER, "max_life_hours = 720", "max_life_hours = 3000"),
        (RESPONDER, "common_name_prefix = \"OCSP responder\"", "common_name_prefix = \"OCSP responder \""),
        (APPLICATION, "policy_oids = [\"1.2.392.200149.8.5.1.1.20\"]", "policy_oids = []"),
        (APPLICATION, "ocsp_max_age_seconds = 3600", "ocsp_max_age_seconds = 0"),
        (APPLICATION, "lifetime_seconds = 300", "lifetime_seconds = 100"),
        (APPLICATION, "clock_skew_seconds = 60", "clock_skew_seconds = 900"),
    ];
    for (document, from, to) in cases {
        let answer = with(document, from, to);
        assert!(matches!(answer, Err(PolicyFault::Contradiction { .. })), "{document}: {to}: {answer:?}");
    }
}

#[test]
fn wrong_types_and_unknown_words_are_refused() {
    let cases = [
        (SIGNATURE, "oid = \"1.2.392.200149.8.5.1.1.40\"", "oid = \"1.2.x\""),
        (SIGNATURE, "end = \"linked-card\"", "end = \"never\""),
        (SIGNATURE, "\"P-384\"]", "\"P-521\"]"),
        (AUTHENTICATION, "[\"clientAuth\"]", "[\"anything\"]"),
        (AUTHORITY, "default_key_type = \"ecdsa-p256\"", "default_key_type = \"dsa\""),
        (RESPONDER, "max_life_hours = 720", "max_life_hours = -1"),
    ];
    for (document, from, to) in cases {
        assert!(matches!(with(document, from, to), Err(PolicyFault::Syntax { .. })), "{document}: {to}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let fault = Policies::load(empty.path()).unwrap_err();
    assert!(matches!(&fault, PolicyFault::Unreadable { path, .. } if path.ends_with("signature.toml")), "{fault}");
}

#[test]
fn a_directory_chooses_its_life_cycle_by_a_file_of_that_name() {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in Policies::SHIPPED_DOCUMENTS {
        let file = directory.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    assert_eq!(Policies::load(directory.path()).unwrap().lifecycle.name, "jpki");
    std::fs::write(directory.path().join(CHOSEN_LIFECYCLE), include_bytes!("../../lifecycle/derived-piv.toml")).unwrap();
    let chosen = Policies::load(directory.path()).unwrap().lifecycle;
    assert_eq!(*chosen, LifecyclePolicy::derived_piv().unwrap());
    std::fs::write(directory.path().join(CHOSEN_LIFECYCLE), "name = \"half\"").unwrap();
    let fault = Policies::load(directory.path()).unwrap_err();
    assert!(fault.to_string().contains(CHOSEN_LIFECYCLE), "{fault}");
}
