//! A machine brought back whole, of whose log nothing outlived it but what a witness knows.

use sandbox::witness::{Witness, WitnessSettings};

use crate::backups::copy;
use crate::support::{Installation, Store, said, until};
use crate::{installation, serve};

#[test]
fn a_witness_that_knows_more_keeps_the_log_from_going_on() {
    let mut installation = installation(Store::Sqlite);
    let key = installation.json(&["log", "show"])["verifier_key"].as_str().unwrap().to_owned();
    let settings = WitnessSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        directory: installation.scratch().join("witness"),
        name: "witness.example".to_owned(),
        logs: vec![key],
    };
    let witness = Witness::start(&settings).unwrap();
    installation.set("log.witnesses", &format!("[{{url=\"{}\",key=\"{}\"}}]", witness.url(), witness.vkey()));
    let cosigned = |installation: &Installation| {
        until("the witness has cosigned everything", || {
            let shown = installation.json(&["log", "show"]);
            let text = shown["note"]["text"].as_str()?;
            (shown["note"]["size"] == shown["size"] && text.contains("— witness.example ")).then(|| shown["size"].as_u64().unwrap())
        })
    };
    let mut process = serve(&installation);
    installation.apply(&installation.card());
    cosigned(&installation);
    process.stop();
    let stored = installation.json(&["log", "show"]);
    assert_eq!(stored["disputes"], serde_json::json!([]), "{stored}");
    let (place, saved) = (installation.place(), installation.scratch().join("saved"));
    copy(&place, &saved);
    let mut process = serve(&installation);
    installation.apply(&installation.card());
    let signed = cosigned(&installation);
    process.stop();
    std::fs::remove_dir_all(&place).unwrap();
    copy(&saved, &place);

    let words = format!("the witness witness.example says that it cosigned a tree of {signed} leaves");
    let told = |value: &serde_json::Value| {
        let dispute = &value.as_array().unwrap()[0];
        assert_eq!((dispute["by"].as_str(), dispute["signed"].as_bool()), (Some("witness"), Some(false)), "{value}");
        assert!(dispute["words"].as_str().unwrap().starts_with(&words), "{value}");
    };
    told(&installation.json(&["restore", "status"])["log_disputes"]);
    told(&installation.json(&["log", "show"])["disputes"]);
    installation.json(&["restore", "begin"]);
    let output = installation.command(&["restore", "reconcile", "--accept-lists"]);
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert!(said(&output).contains(&words) && said(&output).contains("--new-log"), "{}", said(&output));
    // Nobody has signed what a witness says.
    let report = installation.json(&["restore", "reconcile", "--accept-lists", "--accept-log"]);
    assert_eq!(report["reconciled"], true, "{report}");
    assert!(report["warnings"].to_string().contains(&words), "{report}");
}
