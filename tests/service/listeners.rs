//! The listeners of the registration authority.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use sandbox::http::{ClientIdentity, HttpClient};
use serde_json::{Value, json};

use crate::support::{Installation, expect_problem};

pub(crate) fn holders_are_bounded(installation: &Installation) {
    for path in ["/", "/v2/challenges", "/v1/card-events", "/v1/applications/", "/metrics", "/v1/challenges/.."] {
        expect_problem(path, &installation.get(path).unwrap(), "route_unknown");
    }
    for path in ["/v1/challenges", "/v1/applications"] {
        expect_problem(path, &installation.get(path).unwrap(), "method_not_allowed");
    }
    let application = |content_type: &str, body: &[u8]| installation.post("/v1/applications", content_type, body);
    expect_problem("text", &application("text/plain", b"hello"), "content_type_unsupported");
    expect_problem("65,537 octets", &application("application/cms", &[0; 65_537]), "body_too_large");
    expect_problem("65,536 octets", &application("application/cms", &[0; 65_536]), "cms_malformed");
    for name in ["0", "ffff", &"0".repeat(64), &"z".repeat(64)] {
        let path = format!("/v1/applications/{name}");
        expect_problem(&path, &installation.get(&path).unwrap(), "application_unknown");
        let token = [("Tsunagi-Application-Token", "A".repeat(43))];
        let headers: Vec<(&str, &str)> = token.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = installation.stranger().get(&format!("https://{}{path}", installation.ra), &headers).unwrap();
        expect_problem(&path, &answer, "application_unknown");
    }
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(installation.get(path).unwrap().status, 200, "{path}");
    }
    let challenges: Vec<String> = (0..3).map(|_| installation.phone().challenge().unwrap().challenge).collect();
    assert!(challenges.iter().all(|challenge| challenge.len() == 64) && challenges[0] != challenges[1] && challenges[1] != challenges[2]);
}

pub(crate) fn operators_need_a_certificate_with_a_role(installation: &Installation) {
    let url = |path: &str| format!("https://{}{path}", installation.operators);
    let back_office = installation.operator(Some(installation.identity("back-office")));
    let deliver =
        |http: &HttpClient, body: &Value| http.post(&url("/v1/card-events"), &[], "application/json", body.to_string().as_bytes());
    let nothing = json!({ "events": [] });

    let answer = deliver(&back_office, &nothing).unwrap();
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, told), (200, json!({ "received": 0, "known": 0 })));
    assert_eq!(back_office.get(&url("/health/live"), &[]).unwrap().status, 200);
    expect_problem("unknown", &back_office.get(&url("/v1/certificates"), &[]).unwrap(), "route_unknown");
    expect_problem("GET", &back_office.get(&url("/v1/card-events"), &[]).unwrap(), "method_not_allowed");
    let xml = back_office.post(&url("/v1/card-events"), &[], "application/xml", b"<events/>").unwrap();
    expect_problem("XML", &xml, "content_type_unsupported");
    expect_problem("no events", &deliver(&back_office, &json!({})).unwrap(), "card_events_malformed");
    let hold = json!({ "event_id": "hold-1", "issuer_key_id": "0aff", "serial": "01", "sequence": 1, "type": "revoked",
                       "reason": "certificateHold", "occurred_at": "2026-01-01T00:00:00Z" });
    expect_problem("a hold", &deliver(&back_office, &json!({ "events": [hold.clone()] })).unwrap(), "card_event_invalid");
    let many = json!({ "events": vec![hold; 1_001] });
    expect_problem("1,001 events", &deliver(&back_office, &many).unwrap(), "card_events_too_many");
    let large = back_office.post(&url("/v1/card-events"), &[], "application/json", &vec![b' '; (1 << 20) + 1]).unwrap();
    expect_problem("more than a mebibyte", &large, "body_too_large");

    // Without a certificate, or with one by somebody else, there is not even a conversation.
    let conversation = |identity: Option<ClientIdentity>| deliver(&installation.operator(identity), &nothing);
    assert!(conversation(None).is_err(), "the listener speaks to whoever has no certificate");
    assert!(conversation(Some(stranger("back-office"))).is_err(), "the listener speaks to a certificate of another CA");
    // A good certificate with a role that has nothing to do here: everything is denied.
    let gardener = installation.operator(Some(admitted(installation, "gardener")));
    expect_problem("another role", &deliver(&gardener, &nothing).unwrap(), "role_unknown");
    for path in ["/health/live", "/openapi.json", "/v1/nothing"] {
        expect_problem(path, &gardener.get(&url(path), &[]).unwrap(), "role_unknown");
    }
}

/// A client certificate with that role, signed by itself.
fn stranger(role: &str) -> ClientIdentity {
    let key = KeyPair::generate().unwrap();
    let certificate = operator(role).self_signed(&key).unwrap();
    ClientIdentity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
}

/// A client certificate with that role, signed by the operators' CA.
fn admitted(installation: &Installation, role: &str) -> ClientIdentity {
    let ca_key = installation.text("operators/client-ca.key.pem");
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::OrganizationName, "Tsunagi");
    ca.distinguished_name.push(DnType::CommonName, "Tsunagi operators CA");
    let issuer = Issuer::new(ca, KeyPair::from_pem(&ca_key).unwrap());
    let key = KeyPair::generate().unwrap();
    let certificate = operator(role).signed_by(&key, &issuer).unwrap();
    ClientIdentity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
}

fn operator(role: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationalUnitName, role);
    params.distinguished_name.push(DnType::CommonName, role);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub(crate) fn the_description_is_what_is_served(installation: &Installation) {
    let answer = installation.get("/openapi.json").unwrap();
    let served: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/json"));
    assert_eq!(served, serde_json::to_value(ra_api::openapi()).unwrap());
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
    let operators = installation.operator(Some(installation.identity("back-office")));
    let answer = operators.get(&format!("https://{}/openapi.json", installation.operators), &[]).unwrap();
    assert_eq!(served, serde_json::from_slice::<Value>(&answer.body).unwrap());

    // Every operation that it describes is there, and every code that a problem can have.
    let mut operations = 0;
    for (path, methods) in served["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations += 1;
            let (http, host) = match operation["tags"][0].as_str().unwrap() {
                "operators" => (installation.operator(Some(installation.identity("back-office"))), installation.operators),
                _ => (installation.stranger(), installation.ra),
            };
            let url =
                format!("https://{host}{}", path.replace("{id}", &"0".repeat(64)).replace("{command}", "0").replace("{serial}", "0A"));
            let answer = match method.as_str() {
                "get" => http.get(&url, &[]).unwrap(),
                "post" => http.post(&url, &[], "application/nothing", b"").unwrap(),
                other => panic!("no test for {other} {path}"),
            };
            let answered: Value = serde_json::from_slice(&answer.body).unwrap();
            let absent = ["route_unknown", "method_not_allowed"].iter().any(|code| answered["code"] == *code);
            assert!(!absent, "{method} {path} is described and not there");
            let status = answer.status.to_string();
            assert!(operation["responses"].get(&status).is_some(), "{method} {path} answers {status}, which is not described");
        }
    }
    assert!(operations >= 7, "{operations} operations");
    let text = served.to_string();
    for entry in ra_api::problem::CATALOGUE {
        assert!(text.contains(entry.code), "the description does not tell of {}", entry.code);
    }
}

pub(crate) fn too_many_requests_are_turned_away(installation: &mut Installation) {
    installation.set("ra.limits.listener.requests_per_second", "1");
    installation.set("ra.limits.listener.requests_at_once", "10");
    installation.restart();
    let http = installation.stranger();
    let url = format!("https://{}/v1/challenges", installation.ra);
    let answers: Vec<_> = (0..30).map(|_| http.post(&url, &[], "application/json", b"").unwrap()).collect();
    let turned_away: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!((15..=25).contains(&turned_away.len()), "{} of 30 were turned away", turned_away.len());
    expect_problem("too many", turned_away[0], "rate_limited");
    let agent = installation.operator(Some(installation.identity("back-office")));
    let answer = agent.get(&format!("https://{}/health/live", installation.operators), &[]).unwrap();
    assert_eq!(answer.status, 200, "the operators' listener has a limit of its own");
}
