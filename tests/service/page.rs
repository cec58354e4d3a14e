//! The page for relying parties: what it says is what there is, and its test certificates are what they are called.

use ca_core::digest::Sha256Digest;
use sandbox::kind::Kind;
use sandbox::phone::Enrolment;
use sandbox::relying_party::{OcspMethod, OcspWish, Status, ask_ocsp};
use serde_json::Value;

use crate::support::{Installation, openssl, run, until};

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent()
}

fn fetch(url: &str) -> Vec<u8> {
    let mut answer = agent().get(url).call().unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.body_mut().read_to_vec().unwrap()
}

/// The page for programs, when the CA role has done what it does at first.
fn index(installation: &Installation) -> Value {
    let url = format!("http://{}/index.json", installation.status);
    until("test certificates and lists on the page", || {
        let index: Value = serde_json::from_slice(&fetch(&url)).unwrap();
        let count = |member: &str| index[member].as_array().unwrap().len();
        (count("test_certificates") == 8 && count("crls") == 2).then_some(index)
    })
}

pub(crate) fn tells_what_there_is(installation: &Installation) {
    let index = index(installation);
    for kind in Kind::ALL {
        let ca = index["ca_certificates"].as_array().unwrap().iter().find(|ca| ca["kind"] == kind.as_str()).unwrap();
        let der = fetch(ca["certificate_url"].as_str().unwrap());
        assert_eq!(der, installation.ca(kind));
        assert_eq!(ca["sha256"], Sha256Digest::of(&der).to_string());
        std::fs::write(installation.scratch().join("ca.cer"), &der).unwrap();
        let shown = openssl(installation.scratch(), &["x509", "-inform", "DER", "-in", "ca.cer", "-noout", "-fingerprint", "-sha256"]);
        let fingerprint = shown.trim().split('=').nth(1).unwrap();
        for language in ["en", "ja"] {
            let page = String::from_utf8(fetch(&format!("http://{}/?lang={language}", installation.status))).unwrap();
            assert!(page.contains(&format!("<html lang=\"{language}\">")) && page.contains(fingerprint), "{language}: {fingerprint}");
            assert!(!page.contains("<script"), "{page}");
        }
        let crl = index["crls"].as_array().unwrap().iter().find(|crl| crl["kind"] == kind.as_str()).unwrap();
        assert_eq!(crl["url"], format!("http://{}/crl/{kind}-1.crl", installation.status));
        assert!(crl["entries"].as_u64().is_some() && crl["next_update"].as_str() > crl["this_update"].as_str(), "{crl}");
    }
    let log = &index["log"];
    assert_eq!(log["verifier_key"], installation.json(&["log", "show"])["verifier_key"]);
    let checkpoint = String::from_utf8(fetch(&format!("{}/checkpoint", log["url"].as_str().unwrap()))).unwrap();
    assert!(checkpoint.starts_with(&format!("{}\n", log["origin"].as_str().unwrap())), "{checkpoint}");
    assert_eq!(index["ocsp"]["cache_seconds"], 1);
    assert_eq!(index["crl"]["at_once"], "any");
}

/// Judged by HTML Tidy, in both languages.
pub(crate) fn is_html_without_a_fault(installation: &Installation) {
    for language in ["en", "ja"] {
        let page = fetch(&format!("http://{}/?lang={language}", installation.status));
        let file = format!("page-{language}.html");
        std::fs::write(installation.scratch().join(&file), page).unwrap();
        // It ends with 1 for a warning and with 2 for an error.
        run(installation.scratch(), "tidy", &["-errors", "-quiet", "-utf8", &file]);
    }
}

pub(crate) fn is_in_the_readers_language_and_sent_once(installation: &Installation) {
    let (agent, url) = (agent(), format!("http://{}/", installation.status));
    for (accepted, language) in [("ja-JP,ja;q=0.9,en;q=0.8", "ja"), ("fr", "en")] {
        let answer = agent.get(&url).header("Accept-Language", accepted).call().unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("content-language").as_str(), header("vary").as_str()), (language, "Accept-Language"));
        assert!(header("content-security-policy").contains("default-src 'none'"));
        let tag = header("etag");
        let again = agent.get(&url).header("Accept-Language", accepted).header("If-None-Match", &tag).call().unwrap();
        // Unless a list was published meanwhile.
        assert!(again.status() == 304 || again.headers()["etag"].to_str().unwrap() != tag, "{language}");
        assert_eq!(agent.head(&url).call().unwrap().status(), 200);
    }
    for path in ["test/signature-good.crl", "test/", "test/signature-unknown.cer", "index.html"] {
        assert_eq!(agent.get(&format!("{url}{path}")).call().unwrap().status(), 404, "{path}");
    }
}

pub(crate) fn test_certificates_are_what_they_are_called(installation: &Installation) {
    let index = index(installation);
    for kind in Kind::ALL {
        let ca = installation.ca(kind);
        let tests: Vec<&Value> =
            index["test_certificates"].as_array().unwrap().iter().filter(|test| test["kind"] == kind.as_str()).collect();
        assert_eq!(tests.len(), 4);
        for test in tests {
            let certificate = fetch(test["url"].as_str().unwrap());
            let wish = OcspWish { method: OcspMethod::Post, ..OcspWish::default() };
            let status = ask_ocsp(&certificate, &ca, &wish).unwrap().status;
            let word = test["status"].as_str().unwrap();
            match word {
                "good" | "expired" => assert_eq!(status, Status::Good, "{word}"),
                "revoked" | "held" => assert!(matches!(status, Status::Revoked { .. }), "{word}: {status:?}"),
                other => panic!("{other}"),
            }
            std::fs::write(installation.scratch().join("test.cer"), &certificate).unwrap();
            let dates = ["x509", "-inform", "DER", "-in", "test.cer", "-noout", "-checkend", "0"];
            assert_eq!(crate::support::try_openssl(installation.scratch(), &dates).0, word != "expired", "{word}");
        }
    }
    let marked = installation.certificates().iter().filter(|certificate| certificate["test"] == true).count();
    assert_eq!(marked, 8);
}

/// What the CA role saw of a revocation, in OCSP and on the list.
pub(crate) fn revocations_are_timed(installation: &Installation, phone: &Enrolment) {
    let serial = phone.of(Kind::Signature).unwrap().serial.clone();
    let revoked = installation.command(&["certificate", "revoke", &serial, "--reason", "superseded", "--ticket", "a test"]);
    assert!(revoked.status.success(), "{}", crate::support::said(&revoked));
    let figures = until("the revocation among the figures", || {
        let figures = installation.json(&["latency", "show", "--since", "1h"]);
        let of = |stage: &str| figures["stages"].as_array().unwrap().iter().find(|one| one["stage"] == stage).unwrap()["all"].clone();
        let [ocsp, crl] = [of("ocsp"), of("crl")];
        (ocsp["count"].as_u64() > Some(0) && crl["count"].as_u64() > Some(0)).then_some([ocsp, crl])
    });
    for stage in figures {
        assert_eq!(stage["lost"], 0, "{stage}");
        assert!(stage["p50_ms"].as_u64() <= stage["max_ms"].as_u64(), "{stage}");
    }
    let told = installation.command(&["latency", "show"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("99 % within"), "{}", crate::support::said(&told));
}
