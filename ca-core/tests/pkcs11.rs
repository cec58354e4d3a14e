//! Keys on a token, with SoftHSM 2 as the token and openssl as the judge.
//!
//! SoftHSM learns where its tokens lie from an environment variable, so each test runs itself once more as a child that has it.

#![cfg(feature = "pkcs11")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ca_core::chain::Chain;
use ca_core::key::PublicKey;
use ca_core::signer::pkcs11::{Pkcs11Fault, Token, TokenPlace};
use ca_core::signer::{DigestAlgorithm, KeyType, MessageDigest, Signer, SignerFault, digest_algorithm, signature_algorithm};
use secrecy::SecretString;

/// Tells the child its directory.
const VARIABLE: &str = "TSUNAGI_TEST_TOKEN";

const PIN: &str = "2468";

/// The directory of a child's token.
struct Desk(PathBuf);

impl Desk {
    fn place(&self) -> TokenPlace {
        let module = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"];
        let module = module.iter().find(|path| Path::new(path).exists()).expect("SoftHSM 2 is needed: scripts/test installs it");
        TokenPlace { module: module.into(), token: "desk".into(), pin: SecretString::from(PIN), sessions: 4 }
    }

    fn token(&self) -> Token {
        Token::open(self.place()).unwrap_or_else(|fault| panic!("{}", Chain(&fault)))
    }

    fn openssl(&self, arguments: &[&str]) -> bool {
        Command::new("openssl").args(arguments).current_dir(&self.0).output().expect("openssl is needed").status.success()
    }

    /// Whether openssl takes it for the key's signature over the message.
    fn openssl_verifies(&self, signer: &dyn Signer, message: &[u8], signature: &[u8]) -> bool {
        for (name, octets) in [("message", message), ("signature", signature), ("public", signer.public_key_info())] {
            std::fs::write(self.0.join(name), octets).unwrap();
        }
        let digest = if signer.key_type() == KeyType::EcdsaP384 { "-sha384" } else { "-sha256" };
        self.openssl(&["dgst", digest, "-keyform", "DER", "-verify", "public", "-signature", "signature", "message"])
    }

    /// Takes the token away, or brings it back.
    fn carry(&self, from: &str, to: &str) {
        std::fs::rename(self.0.join(from), self.0.join(to)).unwrap();
    }
}

/// Runs `test` in a child with a token of its own; in the child, does `work`.
fn at_a_desk(test: &str, work: impl FnOnce(&Desk)) {
    if let Some(directory) = std::env::var_os(VARIABLE) {
        return work(&Desk(directory.into()));
    }
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let configuration = directory.path().join("softhsm2.conf");
    std::fs::write(&configuration, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display())).unwrap();
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).env("SOFTHSM2_CONF", &configuration).env(VARIABLE, directory.path());
        let output = command.output().unwrap_or_else(|error| panic!("{}: {error}; scripts/test installs it", program.display()));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}");
    };
    let init = ["--init-token", "--free", "--label", "desk", "--so-pin", "13579", "--pin", PIN];
    run(Path::new("softhsm2-util"), &init);
    run(&std::env::current_exe().unwrap(), &[test, "--exact", "--nocapture", "--test-threads=1"]);
}

/// Tries until it succeeds: a lost token is looked for once a second only.
fn until<T, E>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let begin = Instant::now();
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(_) if begin.elapsed() < Duration::from_secs(20) => std::thread::sleep(Duration::from_millis(100)),
            Err(_) => panic!("it did not succeed in time"),
        }
    }
}

fn digest(key_type: KeyType, message: &[u8]) -> MessageDigest {
    MessageDigest::of(digest_algorithm(key_type), message)
}

#[test]
fn each_type_of_key_signs_messages_and_digests_and_is_found_again() {
    at_a_desk("each_type_of_key_signs_messages_and_digests_and_is_found_again", |desk| {
        let token = desk.token();
        for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096] {
            let made = token.create_key(key_type.as_str(), key_type).unwrap();
            let found = token.key(key_type.as_str()).unwrap().unwrap();
            assert_eq!((found.key_type(), found.public_key_info()), (key_type, made.public_key_info()));
            assert!(found.takes_digests());
            let public_key = PublicKey::from_der(found.public_key_info()).unwrap();
            for signature in [found.sign(b"message").unwrap(), found.sign_digest(&digest(key_type, b"message")).unwrap()] {
                assert!(public_key.verify(&signature_algorithm(key_type), b"message", &signature).is_ok());
                assert!(public_key.verify(&signature_algorithm(key_type), b"massage", &signature).is_err());
                assert!(desk.openssl_verifies(&found, b"message", &signature));
                assert!(!desk.openssl_verifies(&found, b"massage", &signature));
            }
            let other = if key_type == KeyType::EcdsaP384 { DigestAlgorithm::Sha256 } else { DigestAlgorithm::Sha384 };
            assert!(matches!(found.sign_digest(&MessageDigest::of(other, b"message")), Err(SignerFault::WrongDigest)));
            assert!(matches!(token.create_key(key_type.as_str(), key_type), Err(Pkcs11Fault::Exists(_))));
        }
        assert!(token.key("nobody").unwrap().is_none());
        // In a login of its own, too.
        assert!(desk.token().key("ecdsa-p256").unwrap().is_some());
        token.key("ecdsa-p256").unwrap().unwrap().destroy().unwrap();
        assert!(token.key("ecdsa-p256").unwrap().is_none());
        assert!(token.key("ecdsa-p384").unwrap().is_some());
    });
}

#[test]
fn a_key_does_not_leave_the_token() {
    at_a_desk("a_key_does_not_leave_the_token", |desk| {
        use cryptoki::object::{Attribute, AttributeType, ObjectClass};
        use cryptoki::session::UserType;

        let token = desk.token();
        token.create_key("ec", KeyType::EcdsaP256).unwrap();
        token.create_key("rsa", KeyType::Rsa2048).unwrap();
        // The library has been begun and logged in to, by the token.
        let module = cryptoki::context::Pkcs11::new(desk.place().module).unwrap();
        let session = module.open_ro_session(module.get_slots_with_initialized_token().unwrap()[0]).unwrap();
        assert!(session.login(UserType::User, Some(&PIN.into())).is_err());
        let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
        assert_eq!(keys.len(), 2);
        for key in keys {
            let asked = [
                AttributeType::Sensitive,
                AttributeType::AlwaysSensitive,
                AttributeType::Extractable,
                AttributeType::NeverExtractable,
                AttributeType::Decrypt,
                AttributeType::Unwrap,
                AttributeType::Value,
                AttributeType::PrivateExponent,
            ];
            let told = session.get_attributes(key, &asked).unwrap();
            let expected = [Attribute::Sensitive(true), Attribute::AlwaysSensitive(true), Attribute::Extractable(false)];
            assert_eq!(told[..3], expected);
            assert_eq!(told[3..], [Attribute::NeverExtractable(true), Attribute::Decrypt(false), Attribute::Unwrap(false)]);
        }
    });
}

#[test]
fn eight_threads_sign_in_four_sessions() {
    at_a_desk("eight_threads_sign_in_four_sessions", |desk| {
        let token = desk.token();
        let key = token.create_key("ca-signature-1", KeyType::EcdsaP256).unwrap();
        let signatures = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8_u8)
                .map(|thread| {
                    let key = &key;
                    scope.spawn(move || (0..50_u8).map(|round| ([thread, round], key.sign(&[thread, round]).unwrap())).collect::<Vec<_>>())
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let public_key = PublicKey::from_der(key.public_key_info()).unwrap();
        let algorithm = signature_algorithm(KeyType::EcdsaP256);
        assert_eq!(signatures.len(), 400);
        assert!(signatures.iter().all(|(message, signature)| public_key.verify(&algorithm, message, signature).is_ok()));
    });
}

#[test]
fn a_wrong_pin_is_shown_once_only() {
    at_a_desk("a_wrong_pin_is_shown_once_only", |desk| {
        let mut place = desk.place();
        place.pin = SecretString::from("1111");
        assert!(matches!(Token::open(place.clone()), Err(Pkcs11Fault::Pin)));
        place.token = "nowhere".into();
        assert!(matches!(Token::open(place.clone()), Err(Pkcs11Fault::NoToken(_))));
        place.module = desk.0.join("nowhere.so");
        assert!(matches!(Token::open(place), Err(Pkcs11Fault::Module { .. })));
        // Nothing of this shows the PIN.
        assert!(!format!("{:?}", desk.token()).contains(PIN));

        // The PIN is changed while the token is away: it is shown once, for every wrong one brings the token nearer to locking.
        let key = desk.token().create_key("ca-signature-1", KeyType::EcdsaP256).unwrap();
        let module = cryptoki::context::Pkcs11::new(desk.place().module).unwrap();
        let session = module.open_rw_session(module.get_slots_with_initialized_token().unwrap()[0]).unwrap();
        session.set_pin(&PIN.into(), &"97531".into()).unwrap();
        drop(session);
        desk.carry("tokens", "away");
        until(|| key.sign(b"message").map_or(Ok(()), Err));
        desk.carry("away", "tokens");
        let pin = |fault: SignerFault| Chain(&fault).to_string().contains("does not take the PIN");
        until(|| if key.sign(b"message").is_err_and(pin) { Ok(()) } else { Err(()) });
        let begin = Instant::now();
        assert!((0..100).all(|_| key.sign(b"message").is_err_and(pin)));
        assert!(begin.elapsed() < Duration::from_millis(500));
    });
}

#[test]
fn a_token_that_was_away_signs_again_when_it_is_back() {
    at_a_desk("a_token_that_was_away_signs_again_when_it_is_back", |desk| {
        let key = desk.token().create_key("ca-signature-1", KeyType::EcdsaP256).unwrap();
        key.sign(b"message").unwrap();
        desk.carry("tokens", "away");
        std::fs::create_dir(desk.0.join("tokens")).unwrap();
        let fault = until(|| key.sign(b"message").map_or_else(Ok, Err));
        assert!(matches!(fault, SignerFault::Unavailable(_)), "{fault:?}");
        // Not a second's worth of knocking for each of many.
        let begin = Instant::now();
        assert!((0..20).all(|_| key.sign(b"message").is_err()));
        assert!(begin.elapsed() < Duration::from_secs(5));
        std::fs::remove_dir(desk.0.join("tokens")).unwrap();
        desk.carry("away", "tokens");
        let signature = until(|| key.sign(b"message"));
        assert!(desk.openssl_verifies(&key, b"message", &signature));
    });
}

#[test]
fn sessions_that_the_library_closed_are_opened_again() {
    at_a_desk("sessions_that_the_library_closed_are_opened_again", |desk| {
        let key = desk.token().create_key("ca-signature-1", KeyType::EcdsaP384).unwrap();
        key.sign(b"message").unwrap();
        // The library ends under our hands, as it does for whoever restarts the daemon that it speaks to.
        cryptoki::context::Pkcs11::new(desk.place().module).unwrap().finalize().unwrap();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| until(|| key.sign(b"message")))).collect();
            for thread in threads {
                assert!(desk.openssl_verifies(&key, b"message", &thread.join().unwrap()));
            }
        });
    });
}
