//! Software keys, judged by openssl.

use std::process::Command;

use super::super::{signature_algorithm, verify};
use super::*;

const PASSPHRASE: &str = "correct horse battery staple";

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is needed for this test");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn each_type_of_key_is_saved_and_opened_by_us_and_openssl_and_its_signatures_verify() {
    let directory = tempfile::tempdir().unwrap();
    let passphrase = SecretString::from(PASSPHRASE);
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048] {
        let signer = FileSigner::generate(key_type).unwrap();
        let path = directory.path().join(key_type.as_str());
        signer.save(&path, &passphrase).unwrap();
        let opened = FileSigner::open(&path, &passphrase).unwrap();
        assert_eq!(opened.key_type(), key_type);
        assert_eq!(opened.public_key_info(), signer.public_key_info());

        let message = directory.path().join("message");
        let signature = directory.path().join("signature");
        let public = directory.path().join("public");
        std::fs::write(&message, b"message").unwrap();
        std::fs::write(&signature, opened.sign(b"message").unwrap()).unwrap();
        let [path, message, signature, public] = [&path, &message, &signature, &public].map(|path| path.to_str().unwrap());
        openssl(&["pkey", "-in", path, "-passin", &format!("pass:{PASSPHRASE}"), "-pubout", "-outform", "DER", "-out", public]);
        assert_eq!(std::fs::read(public).unwrap(), signer.public_key_info());
        let digest = if key_type == KeyType::EcdsaP384 { "-sha384" } else { "-sha256" };
        openssl(&["dgst", digest, "-keyform", "DER", "-verify", public, "-signature", signature, message]);
    }
}

#[test]
fn a_key_made_by_openssl_opens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    let name = path.to_str().unwrap();
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes-256-cbc", "-pass", "pass:secret", "-out", name]);
    let opened = FileSigner::open(&path, &SecretString::from("secret")).unwrap();
    assert_eq!(opened.key_type(), KeyType::EcdsaP256);
    assert!(matches!(FileSigner::open_clear(&path), Err(KeyFileFault::NotAKey(_))));
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", name]);
    assert_eq!(FileSigner::open_clear(&path).unwrap().key_type(), KeyType::EcdsaP384);
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, b"precious").unwrap();
    let signer = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    assert!(matches!(signer.save(&path, &SecretString::from(PASSPHRASE)), Err(KeyFileFault::Exists(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_a_key_file() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    FileSigner::generate(KeyType::EcdsaP256).unwrap().save(&path, &SecretString::from(PASSPHRASE)).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_wrong_passphrase_a_plain_key_and_garbage_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    let signer = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    signer.save(&path, &SecretString::from(PASSPHRASE)).unwrap();
    assert!(matches!(FileSigner::open(&path, &SecretString::from("wrong")), Err(KeyFileFault::Passphrase(_))));
    std::fs::write(&path, b"garbage").unwrap();
    assert!(matches!(FileSigner::open(&path, &SecretString::from(PASSPHRASE)), Err(KeyFileFault::NotAKey(_))));
    let plain = PrivateKeyInfoRef::from_der(&signer.pkcs8).unwrap();
    let plain = der::SecretDocument::encode_msg(&plain).unwrap().to_pem("PRIVATE KEY", LineEnding::LF).unwrap();
    std::fs::write(&path, plain.as_bytes()).unwrap();
    assert!(matches!(FileSigner::open(&path, &SecretString::from(PASSPHRASE)), Err(KeyFileFault::NotAKey(_))));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(FileSigner::open(&path, &SecretString::from(PASSPHRASE)), Err(KeyFileFault::File { .. })));
}

#[test]
fn a_signature_verifies_over_its_own_message_only() {
    let signer = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let SoftwareKey::Ecdsa(pair) = &signer.key else { panic!("not ECDSA") };
    let public_key = pair.public_key().as_ref();
    let signature = signer.sign(b"message").unwrap();
    assert!(verify(KeyType::EcdsaP256, public_key, b"message", &signature));
    assert!(!verify(KeyType::EcdsaP256, public_key, b"massage", &signature));
    assert!(!verify(KeyType::EcdsaP256, b"", b"message", &signature));
}

#[test]
fn algorithm_identifiers_are_encoded_as_the_rfcs_say() {
    assert_eq!(hex::encode(signature_algorithm(KeyType::EcdsaP256).to_der().unwrap()), "300a06082a8648ce3d040302");
    assert_eq!(hex::encode(signature_algorithm(KeyType::EcdsaP384).to_der().unwrap()), "300a06082a8648ce3d040303");
    assert_eq!(hex::encode(signature_algorithm(KeyType::Rsa3072).to_der().unwrap()), "300d06092a864886f70d01010b0500");
}
