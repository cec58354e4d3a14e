//! The alert rules for Prometheus speak of metrics that exist, and each alert is explained.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

const RULES: &str = "deploy/prometheus/tsunagi.rules.yml";
const ROOMS: [&str; 8] = ["back-office", "ca-service", "crl-publisher", "ocsp", "push", "ra-api", "schema", "src"];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The values of a key in the rules, a line each.
fn values<'r>(rules: &'r str, key: &str) -> Vec<&'r str> {
    let key = format!("{key}: ");
    rules.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix(&key)).collect()
}

/// The metrics in an expression, without what a histogram adds to its name.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    words.filter(|word| word.starts_with("tsunagi_")).map(|word| word.strip_suffix("_bucket").unwrap_or(word))
}

/// The text of every source file of the rooms that count something.
fn sources(directory: &Path, text: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_metric_in_the_rules_is_counted_by_the_program_and_described() {
    let (rules, page, mut program) = (read(RULES), read("docs/operators.md"), String::new());
    for room in ROOMS {
        let directory = if room == "src" { room.to_owned() } else { format!("{room}/src") };
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut program);
    }
    let named: BTreeSet<&str> = values(&rules, "expr").into_iter().flat_map(metrics).collect();
    assert!(named.len() > 30, "the rules are written in another way now");
    for metric in named {
        assert!(program.contains(&format!("\"{metric}\"")), "nothing counts {metric}");
        let described = page.split('`').any(|code| code.split('{').next() == Some(metric));
        assert!(described, "docs/operators.md does not tell of {metric}");
    }
}

#[test]
fn every_alert_has_a_severity_a_summary_and_what_to_do_and_is_explained() {
    let (rules, page) = (read(RULES), read("docs/alerts.md"));
    let alerts = values(&rules, "alert");
    assert!(alerts.len() > 30, "the rules are written in another way now");
    for key in ["expr", "severity", "summary", "action", "runbook"] {
        assert_eq!(values(&rules, key).len(), alerts.len(), "{key}");
    }
    for severity in values(&rules, "severity") {
        assert!(["critical", "warning"].contains(&severity), "{severity}");
    }
    for alert in &alerts {
        assert!(page.contains(&format!("| `{alert}` |")), "docs/alerts.md does not explain {alert}");
    }
    let explained = page.lines().filter(|line| line.starts_with("| `Tsunagi")).count();
    assert_eq!(explained, alerts.len(), "docs/alerts.md explains alerts that are not there");
}
