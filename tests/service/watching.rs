//! What those who watch over the service see, and what they must not.

use sandbox::back_office::{NewCard, RevocationRequest};
use sandbox::card::Card;
use sandbox::http::{HttpClient, HttpSettings};
use sandbox::kind::Kind;
use sandbox::phone::{Deviation, build_deviating_application};
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspMethod, OcspWish, Status, ask_ocsp, fetch_crl};

use crate::support::{Installation, until};

/// What a day's life leaves in the metrics, with the labels that tell apart.
const METRICS: &[&str] = &[
    "tsunagi_application_step_seconds",
    "tsunagi_ca_applications_issued_total",
    "tsunagi_ca_cascaded_revocations_total",
    "tsunagi_card_events_received_total{source=\"push\"}",
    "tsunagi_crl_published_total",
    "tsunagi_downloads_total",
    "tsunagi_http_requests_total{",
    "tsunagi_http_problems_total{listener=\"holders\",code=\"cms_signature\"}",
    "tsunagi_ocsp_responses_total",
    "tsunagi_ocsp_statuses_total{status=\"good\"}",
    "tsunagi_ocsp_statuses_total{status=\"revoked\"}",
    "tsunagi_store_commits_total",
];

pub(crate) fn sees_everything_but_the_person(installation: &Installation) {
    let person = NewCard {
        holder_id: Some("holder-who-shall-not-be-named".to_owned()),
        name: Some("秘匿　花子".to_owned()),
        address: Some("東京都三鷹市架空町九丁目".to_owned()),
        pooled_keys: true,
        ..NewCard::default()
    };
    let file = installation.back_office.new_card(&person).unwrap();
    let card = Card::from_file(&file).unwrap();
    let phone = installation.apply(&card);
    let challenge = installation.phone().challenge().unwrap().challenge;
    let wrong = build_deviating_application(&card, &installation.wish(), &challenge, Deviation::BrokenSignature).unwrap();
    assert_eq!(installation.phone().submit(&wrong).unwrap().code(), "cms_signature");
    let wrong = build_deviating_application(&card, &installation.wish(), &challenge, Deviation::SmallExponent).unwrap();
    assert_eq!(installation.phone().submit(&wrong).unwrap().code(), "key_rsa_exponent");
    let request = RevocationRequest { kinds: Kind::ALL.to_vec(), reason: Reason::AffiliationChanged, at: None };
    let mut secrets = vec![];
    for enrolled in &phone.certificates {
        let ca = installation.ca(enrolled.kind);
        let wish = OcspWish { method: OcspMethod::Get, ..OcspWish::default() };
        assert_eq!(ask_ocsp(&enrolled.certificate, &ca, &wish).unwrap().status, Status::Good);
    }
    installation.back_office.revoke(&file.card_id, &request).unwrap();
    for enrolled in &phone.certificates {
        let ca = installation.ca(enrolled.kind);
        let revoked = || ask_ocsp(&enrolled.certificate, &ca, &OcspWish::default()).ok().filter(|answer| answer.status != Status::Good);
        until("OCSP tells the end", revoked);
        until("the CRL tells the end", || fetch_crl(&enrolled.certificate, &ca).ok().filter(|crl| crl.entry.is_some()));
        secrets.push(enrolled.serial.clone());
    }
    // Something goes wrong as well.
    installation.card_status.rule(|_| crate::support::Reply::Status(500));
    let challenge = installation.phone().challenge().unwrap().challenge;
    let unlucky = sandbox::phone::build_application(&card, &installation.wish(), &challenge).unwrap();
    assert_eq!(installation.phone().submit(&unlucky.cms).unwrap().code(), "card_status_unavailable");

    let metrics = metrics(installation);
    for name in METRICS {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "the metrics have no {name}:\n{metrics}");
    }
    let issued = metrics.lines().find_map(|line| line.strip_prefix("tsunagi_ca_applications_issued_total ")).unwrap();
    assert_eq!(issued, "1");

    let logs = installation.logs();
    assert!(logs.contains("correlation_id=") && logs.contains("card events received"), "{logs}");
    assert!(!logs.contains('\u{1b}'), "there are colours in the log of a process without terminal");
    secrets.extend([file.holder_id, file.card_id, file.signature.serial, person.name.unwrap(), person.address.unwrap()]);
    secrets.extend(["秘匿", "花子", "三鷹", "Mitaka"].map(str::to_owned));
    secrets.push(file.authentication.unwrap().serial);
    secrets.push(installation.back_office.token().to_owned());
    secrets.push(installation.text("ca/passphrase").trim().to_owned());
    secrets.push(challenge);
    for told in [&logs, &metrics] {
        let lower = told.to_lowercase();
        for secret in &secrets {
            let line = lower.lines().find(|line| line.contains(&secret.to_lowercase()));
            assert!(line.is_none(), "{secret} is told: {line:?}");
        }
    }
}

fn metrics(installation: &Installation) -> String {
    let http = HttpClient::new(&HttpSettings::default()).unwrap();
    for (path, status) in [("/health/live", 200), ("/health/ready", 200), ("/nothing", 404)] {
        assert_eq!(http.get(&format!("http://{}{path}", installation.telemetry), &[]).unwrap().status, status, "{path}");
    }
    let answer = http.get(&format!("http://{}/metrics", installation.telemetry), &[]).unwrap();
    assert!(answer.content_type.starts_with("text/plain"), "{}", answer.content_type);
    String::from_utf8(answer.body).unwrap()
}
