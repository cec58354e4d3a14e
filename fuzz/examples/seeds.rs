//! Makes the inputs that the targets begin with, and the CA of verifiers; the keys that signed are thrown away.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use ca_core::signer::{FileSigner, KeyType};
use chrono::TimeDelta;
use crl_publisher::list::{Heading, ListWriter};
use schema::crl::ListedRevocation;

fn main() {
    let seeds = fuzz::seeds();
    let work = tempfile::tempdir().unwrap();
    for target in ["ocsp_request", "ocsp_get_path", "crl_read_back"] {
        let directory = seeds.join(target);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
    }
    requests(&seeds, work.path());
    paths(&seeds);
    lists(&seeds, work.path());
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn requests(seeds: &Path, work: &Path) {
    fs::write(work.join("issuer.der"), fuzz::issuer().ca_key().certificate_der()).unwrap();
    openssl(work, "x509 -inform der -in issuer.der -out issuer.pem");
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve";
    let signing =
        "-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=clientAuth";
    let certificate = |name: &str, key: &str, more: &str| {
        openssl(work, &format!("req -x509 {key} -nodes -keyout {name}.key.pem -out {name}.pem -days 36500 {more}"));
    };
    certificate("operators", &format!("{curve}:P-256"), "-subj /O=operators -addext keyUsage=critical,keyCertSign");
    let issued = format!("-CA operators.pem -CAkey operators.key.pem {signing}");
    certificate("p256", &format!("{curve}:P-256"), &format!("-subj /OU=verifier/CN=one {issued}"));
    certificate("p384", &format!("{curve}:P-384"), &format!("-subj /OU=verifier/CN=two {issued}"));
    certificate("rsa", "-newkey rsa:2048", &format!("-subj /OU=verifier/CN=three {issued}"));
    certificate("auditor", &format!("{curve}:P-256"), &format!("-subj /OU=auditor/CN=one {issued}"));
    certificate("stranger", &format!("{curve}:P-256"), "-subj /OU=verifier/CN=stranger");
    fs::copy(work.join("operators.pem"), seeds.join("operators.pem")).unwrap();

    for (name, arguments) in [
        ("good-sha1", "-no_nonce -sha1 -issuer issuer.pem -serial 0x8001"),
        ("revoked-sha256", "-no_nonce -sha256 -issuer issuer.pem -serial 0x8002"),
        ("held-sha384", "-no_nonce -sha384 -issuer issuer.pem -serial 0x8003"),
        ("ended-sha512", "-no_nonce -sha512 -issuer issuer.pem -serial 0x8004"),
        ("never-issued", "-no_nonce -sha256 -issuer issuer.pem -serial 0x7f00000000000000000000000000000000000001"),
        ("nonce", "-sha256 -issuer issuer.pem -serial 0x8001"),
        ("several", "-sha1 -issuer issuer.pem -serial 0x8001 -serial 0x8002 -sha256 -serial 0x8003 -sha512 -serial 0x8009"),
        ("another-issuer", "-no_nonce -issuer operators.pem -serial 0x8001"),
        ("zero", "-no_nonce -issuer issuer.pem -serial 0x0"),
        ("signed-p256", "-sha256 -issuer issuer.pem -serial 0x8001 -signer p256.pem -signkey p256.key.pem"),
        ("signed-p384", "-no_nonce -sha256 -issuer issuer.pem -serial 0x8002 -signer p384.pem -signkey p384.key.pem"),
        ("signed-rsa", "-no_nonce -sha1 -issuer issuer.pem -serial 0x8003 -signer rsa.pem -signkey rsa.key.pem"),
        ("signed-auditor", "-no_nonce -issuer issuer.pem -serial 0x8001 -signer auditor.pem -signkey auditor.key.pem"),
        ("signed-stranger", "-no_nonce -issuer issuer.pem -serial 0x8001 -signer stranger.pem -signkey stranger.key.pem"),
    ] {
        openssl(work, &format!("ocsp {arguments} -reqout request.der"));
        fs::copy(work.join("request.der"), seeds.join(format!("ocsp_request/{name}"))).unwrap();
    }
    they_are_what_they_are_called(&seeds.join("ocsp_request"));
}

fn they_are_what_they_are_called(directory: &Path) {
    let stage = fuzz::Stage::set();
    for file in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        let expected = match name.as_str() {
            "another-issuer" => (false, false),
            "signed-p256" | "signed-p384" | "signed-rsa" => (true, true),
            _ => (true, false),
        };
        assert_eq!(stage.ask(&fs::read(file.path()).unwrap()), expected, "{name}");
    }
}

/// The same requests in a path.
fn paths(seeds: &Path) {
    for (name, percent) in [("good-sha1", true), ("revoked-sha256", false), ("nonce", true), ("signed-p256", false)] {
        let octets = fs::read(seeds.join("ocsp_request").join(name)).unwrap();
        let text = if percent {
            STANDARD.encode(&octets).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
        } else {
            URL_SAFE_NO_PAD.encode(&octets)
        };
        fs::write(seeds.join("ocsp_get_path").join(name), text).unwrap();
    }
    for (name, text) in [("slashes", "//MEIwQ%0D%0A"), ("not-base64", "MEI%zz%4"), ("query", "MEIw?nonce=1#end"), ("plus", "--__ ++//AA==")]
    {
        fs::write(seeds.join("ocsp_get_path").join(name), text).unwrap();
    }
}

fn lists(seeds: &Path, work: &Path) {
    let now = fuzz::now();
    let entry =
        |hex: &str, reason| ListedRevocation { serial: SerialNumber::from_hex(hex).unwrap(), revocation: Revocation::new(now, reason) };
    let mut known = entry("8002", RevocationReason::KeyCompromise);
    known.revocation.invalidity = Some(now - TimeDelta::days(1));
    let mut later = entry("8003", RevocationReason::Superseded);
    later.revocation.at = "2050-01-01T00:00:00Z".parse().unwrap();
    let long = entry("7F00000000000000000000000000000000000001", RevocationReason::CertificateHold);
    let some = vec![entry("01", RevocationReason::Unspecified), long, known, later];
    let soon = Heading { number: 1, this_update: now, next_update: now + TimeDelta::hours(7) };
    let last = Heading { number: u64::MAX, next_update: Heading::NEVER, ..soon };
    for (name, key_type, shard, heading, entries) in [
        ("full", KeyType::EcdsaP256, 0, soon, some.clone()),
        ("shard", KeyType::EcdsaP384, 17, soon, some),
        ("empty", KeyType::EcdsaP256, 0, soon, vec![]),
        ("final-rsa", KeyType::Rsa2048, 0, last, vec![known_alone(now)]),
    ] {
        let signer = FileSigner::generate(key_type).unwrap();
        let issuer = fuzz::issuer_of(signer);
        let mut writer = ListWriter::begin(&work.join("entries")).unwrap();
        entries.iter().for_each(|entry| writer.push(entry).unwrap());
        writer.finish(&heading, &issuer, shard, &seeds.join("crl_read_back").join(name)).unwrap();
    }
}

fn known_alone(now: chrono::DateTime<chrono::Utc>) -> ListedRevocation {
    let revocation = Revocation { invalidity: Some(now), ..Revocation::new(now, RevocationReason::Unspecified) };
    ListedRevocation { serial: SerialNumber::from_hex("7F").unwrap(), revocation }
}
