//! A running installation whose log cannot go on: a larger tree is published than the store has.

use sandbox::http::{HttpClient, HttpSettings};
use sandbox::kind::Kind;
use sandbox::operator::{OperatorAction, Target};
use sandbox::phone::{self, Phone, PhoneFault};
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspWish, Status, ask_ocsp};
use serde_json::Value;

use crate::support::{Installation, publish_larger_tree, until};

/// The least that the settings allow.
const MAX_LAG: &str = "5";

/// What a listener says of its health, with its status.
fn health(installation: &Installation, of_ra: bool) -> (u16, Value) {
    let answer = if of_ra {
        installation.get("/health/ready")
    } else {
        let http = HttpClient::new(&HttpSettings::default()).unwrap();
        http.get(&format!("http://{}/health/ready", installation.telemetry), &[])
    };
    let answer = answer.unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn warns_of_log(health: &Value) -> bool {
    let warnings = health["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    warnings.iter().any(|warning| warning.as_str().is_some_and(|text| text.starts_with("log_unavailable: ")))
}

pub(crate) fn stops_issuance_and_no_revocation_and_goes_on_by_itself(installation: &mut Installation) {
    let card = installation.card();
    let enrolled = Phone::apply(&installation.phone(), &card, &installation.wish()).unwrap();
    installation.stop();
    let kept = publish_larger_tree(installation);
    installation.set("log.max_lag_seconds", MAX_LAG);
    installation.start();

    let apply = || phone::apply(&installation.phone(), &installation.card(), &installation.wish());
    // What the start left on record waits. An application that is taken just before that is too long would wait with it.
    until("health tells it", || warns_of_log(&health(installation, true).1).then_some(()));
    let refused = apply().err().unwrap();
    assert!(matches!(refused, PhoneFault::Refused { status: 503, .. }) && refused.code() == Some("log_unavailable"), "{refused}");
    for of_ra in [true, false] {
        let (status, said) = health(installation, of_ra);
        assert!(status == 200 && said["status"] == "ready" && warns_of_log(&said), "{said}");
    }
    let metrics = HttpClient::new(&HttpSettings::default()).unwrap();
    until("the metrics tell it", || {
        let answer = metrics.get(&format!("http://{}/metrics", installation.telemetry), &[]).ok()?;
        String::from_utf8(answer.body).ok()?.contains("\ntsunagi_log_stops_issuance 1").then_some(())
    });

    let revoke = OperatorAction::Revoke {
        target: Target::device(enrolled.device_id().unwrap()),
        reason: Reason::KeyCompromise,
        invalid_since: None,
        ticket: "a key was seen".to_owned(),
    };
    installation.operator_named("administrator").instruct(&revoke).unwrap();
    let certificate = &enrolled.of(Kind::Signature).unwrap().certificate;
    until("OCSP tells the revocation", || {
        let answer = ask_ocsp(certificate, &installation.ca(Kind::Signature), &OcspWish::default()).ok()?;
        matches!(answer.status, Status::Revoked { .. }).then_some(())
    });

    std::fs::write(installation.place().join("log/checkpoint"), kept).unwrap();
    until("the log goes on, and issuance with it", || apply().ok());
    for of_ra in [true, false] {
        // What was late is under a checkpoint; what came since may be late for a moment on a busy machine.
        until("the warning is gone", || {
            let (status, said) = health(installation, of_ra);
            (status == 200 && !warns_of_log(&said)).then_some(())
        });
    }
}
