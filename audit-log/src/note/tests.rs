use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::verifier::{ALGORITHM_COSIGNATURE, NamedKey};
use super::*;
use crate::hash::EMPTY_ROOT;

/// A witness that signs whatever it is given.
struct Witness {
    pair: Ed25519KeyPair,
    key: NamedKey,
}

impl Witness {
    fn new(name: &str, seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let key = NamedKey::new(name, ALGORITHM_COSIGNATURE, pair.public_key().as_ref().try_into().unwrap()).unwrap();
        Self { pair, key }
    }

    fn verifier(&self) -> WitnessVerifier {
        WitnessVerifier::parse(&self.key.vkey()).unwrap()
    }

    fn line(&self, text: &str, seconds: u64) -> String {
        let signature = self.pair.sign(format!("cosignature/v1\ntime {seconds}\n{text}").as_bytes());
        let octets = [self.key.id().to_be_bytes().as_slice(), &seconds.to_be_bytes(), signature.as_ref()].concat();
        format!("— {} {}\n", self.key.name, STANDARD.encode(octets))
    }
}

#[test]
fn the_example_of_the_text_is_verified() {
    let verifier = LogVerifier::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    let note = "This is an example message.\n\n\
        — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    assert_eq!(verifier.open(note).unwrap().text(), "This is an example message.\n");
    assert_eq!(verifier.open(&note.replace("example m", "example M")), Err(NoteRefusal::Signature("example.com/foo".to_owned())));
    assert_eq!(
        verifier.open(&note.replace("— example.com/foo", "— example.com/bar")),
        Err(NoteRefusal::Unsigned("example.com/foo".to_owned()))
    );
}

#[test]
fn verifier_keys_are_read_in_one_form() {
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert_eq!(LogVerifier::parse(vkey).unwrap().vkey(), vkey);
    assert!(LogVerifier::parse(&format!("{vkey}\n")).is_ok());
    for (from, to) in [
        ("530d903a", "530d903b"),
        ("530d903a", "530D903A"),
        ("foo", "bar"),
        ("AekyeR", "BOkyeR"),
        ("U2k", "U2l"),
        ("+530d903a", ""),
        ("foo", "f oo"),
    ] {
        assert!(LogVerifier::parse(&vkey.replace(from, to)).is_err(), "{from} -> {to}");
    }
    assert_eq!(WitnessVerifier::parse(vkey), Err(NoteRefusal::VerifierKey));
    let witness = Witness::new("witness.example/w1", 1).key.vkey();
    assert_eq!(LogVerifier::parse(&witness), Err(NoteRefusal::VerifierKey));
    for name in ["", "a b", "a+b", "a\u{3000}b", "a\nb", "a\u{7}"] {
        assert!(matches!(LogKey::generate(name), Err(LogKeyFault::Note(NoteRefusal::Name))), "{name:?}");
    }
}

#[test]
fn a_checkpoint_is_signed_and_verified() {
    let key = LogKey::generate("ra.example/log").unwrap();
    let signed = key.sign_checkpoint(3, [5; 32]).unwrap();
    assert_eq!(signed.text(), format!("ra.example/log\n3\n{}\n", STANDARD.encode([5; 32])));
    assert_eq!(Checkpoint::verify(signed.note(), key.verifier()).as_ref(), Ok(&signed));
    assert_eq!((signed.size(), signed.root()), (3, &[5; 32]));

    let other = LogKey::generate("ra.example/log").unwrap();
    assert_eq!(Checkpoint::verify(signed.note(), other.verifier()), Err(NoteRefusal::Unsigned("ra.example/log".to_owned())));
    let foreign = key.sign(&Checkpoint::new("other.example/log", 3, [5; 32]).text()).unwrap();
    assert!(matches!(Checkpoint::verify(&foreign, key.verifier()), Err(NoteRefusal::Origin { .. })));
    let no_checkpoint = key.sign("ra.example/log\n3\n").unwrap();
    assert_eq!(Checkpoint::verify(&no_checkpoint, key.verifier()), Err(NoteRefusal::Checkpoint));
    for text in ["", "no newline", "a\tb\n", "a\rb\n"] {
        assert!(key.sign(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_checkpoint_has_one_form() {
    let good = Checkpoint::new("ra.example/log", 12, [5; 32]);
    assert_eq!(Checkpoint::parse(&good.text()), Ok(good.clone()));
    let extended = Checkpoint { extension: "more\n".to_owned(), ..good.clone() };
    assert_eq!(Checkpoint::parse(&extended.text()), Ok(extended));
    let empty = Checkpoint::new("ra.example/log", 0, EMPTY_ROOT);
    assert_eq!(Checkpoint::parse(&empty.text()), Ok(empty));
    let root = STANDARD.encode([5; 32]);
    for text in [
        String::new(),
        format!("ra.example/log\n0\n{root}\n"),
        format!("ra.example/log\n012\n{root}\n"),
        format!("ra.example/log\n-1\n{root}\n"),
        format!("ra.example/log\n+1\n{root}\n"),
        format!("ra.example/log\n18446744073709551615\n{root}\n"),
        format!("ra.example/log\n18446744073709551616\n{root}\n"),
        format!("ra.example/log\n12\n{}\n", &root[..40]),
        format!("ra.example/log\n12\n{root}"),
        format!("ra.example/log\n12\n{root}\n\n"),
        format!("ra.example/log\n12\n{root}\n\nmore\n"),
        format!("\n12\n{root}\n"),
        format!("ra.example/log\r\n12\r\n{root}\r\n"),
    ] {
        assert_eq!(Checkpoint::parse(&text), Err(NoteRefusal::Checkpoint), "{text:?}");
    }
}

#[test]
fn cosignatures_are_taken_from_answers_and_found_again() {
    let key = LogKey::generate("ra.example/log").unwrap();
    let signed = key.sign_checkpoint(3, [5; 32]).unwrap();
    let (first, second) = (Witness::new("witness.example/w1", 1), Witness::new("witness.example/w2", 2));
    let answer = format!("{}{}", second.line(signed.text(), 5), first.line(signed.text(), 1_679_315_147));
    let cosignature = first.verifier().read(&answer, &signed).unwrap();
    assert_eq!(cosignature.at().timestamp(), 1_679_315_147);
    assert_eq!(signed.cosigned_by(&first.verifier()), Ok(None));

    let cosigned = signed.clone().with_cosignature(&cosignature).with_cosignature(&cosignature);
    assert_eq!(cosigned.note(), format!("{}{}", signed.note(), cosignature.line()));
    let read = Checkpoint::verify(cosigned.note(), key.verifier()).unwrap();
    assert_eq!(read.cosigned_by(&first.verifier()), Ok(Some(cosignature)));
    assert_eq!(read.cosigned_by(&second.verifier()), Ok(None));

    // Of another checkpoint, by another key of that name, or of no form: refused.
    let unsigned = Err(NoteRefusal::Unsigned("witness.example/w1".to_owned()));
    let wrong = Err(NoteRefusal::Signature("witness.example/w1".to_owned()));
    assert_eq!(first.verifier().read(&first.line("other\n", 7), &signed), wrong);
    assert_eq!(first.verifier().read(&Witness::new("witness.example/w1", 9).line(signed.text(), 7), &signed), unsigned);
    assert_eq!(first.verifier().read(&first.line(signed.text(), u64::MAX), &signed), wrong);
    for answer in ["", "\n", "— witness.example/w1\n", "— witness.example/w1 AAAA\n", first.line(signed.text(), 7).trim_end()] {
        assert_eq!(first.verifier().read(answer, &signed), Err(NoteRefusal::Malformed), "{answer:?}");
    }
}

#[test]
fn a_key_survives_its_file_and_openssl_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.key.pem");
    let key = LogKey::generate("ra.example/log").unwrap();
    key.save(&path, &"correct horse".into()).unwrap();
    assert!(matches!(key.save(&path, &"correct horse".into()), Err(LogKeyFault::Exists(_))));
    let again = LogKey::open(&path, "ra.example/log", &"correct horse".into()).unwrap();
    assert_eq!(again.verifier(), key.verifier());
    assert!(matches!(LogKey::open(&path, "ra.example/log", &"wrong".into()), Err(LogKeyFault::Passphrase(_))));
    // Under another name it is another key.
    assert_ne!(LogKey::open(&path, "other.example/log", &"correct horse".into()).unwrap().verifier(), key.verifier());
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);

    let read = std::process::Command::new("openssl")
        .args(["pkey", "-passin", "pass:correct horse", "-pubout", "-outform", "DER", "-in"])
        .arg(&path)
        .output()
        .unwrap();
    let vkey = key.verifier().vkey();
    let public_key = STANDARD.decode(vkey.splitn(3, '+').nth(2).unwrap()).unwrap();
    // SubjectPublicKeyInfo ends with the key; the verifier key begins with its type.
    assert!(read.status.success() && read.stdout.ends_with(&public_key[1..]), "{}", String::from_utf8_lossy(&read.stderr));

    std::fs::write(directory.path().join("other.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    let other = LogKey::open(&directory.path().join("other.pem"), "ra.example/log", &"x".into());
    assert!(matches!(other, Err(LogKeyFault::NotAKey(_))));
}

proptest! {
    #[test]
    fn no_octets_make_the_readers_panic(text in "(\\PC|\n|— |ra.example/log ){0,80}", place: prop::sample::Index, other: char) {
        let key = LogKey::generate("ra.example/log").unwrap();
        let signed = key.sign_checkpoint(3, [5; 32]).unwrap();
        prop_assert!(Checkpoint::verify(&text, key.verifier()).is_err());
        let _ = (LogVerifier::parse(&text), WitnessVerifier::parse(&text), Checkpoint::parse(&text));
        prop_assert!(Witness::new("witness.example/w1", 1).verifier().read(&text, &signed).is_err());

        // One character other than it was: only the signature lines of others may differ.
        let mut changed: Vec<char> = signed.note().chars().collect();
        let place = place.index(changed.len());
        changed[place] = other;
        let changed: String = changed.into_iter().collect();
        prop_assert_eq!(Checkpoint::verify(&changed, key.verifier()).is_ok(), changed == signed.note());
    }
}
