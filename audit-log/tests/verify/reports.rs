//! Reports of a log whose records can be counted by hand.

use audit_log::export::ExportFormat;
use audit_log::report::{Cell, Report, ReportKind};
use audit_log::testing::Leaf;

use crate::stage::Stage;

fn contents(stage: &Stage, wanted: &str) -> usize {
    let has = |leaf: &&Leaf| matches!(leaf, Leaf::Present { content, .. } if content.contains(wanted));
    stage.log.leaves.iter().filter(has).count()
}

/// The sum of a column over the rows whose cells begin so.
fn sum(report: &Report, column: &str, begins: &[&str]) -> usize {
    let at = report.columns.iter().position(|name| *name == column).unwrap();
    let meant = report.rows.iter().filter(|row| begins.iter().zip(*row).all(|(wanted, cell)| cell == &Cell::Text((*wanted).to_owned())));
    let numbers = meant.map(|row| if let Cell::Number(number) = row[at] { usize::try_from(number).unwrap() } else { panic!() });
    numbers.sum()
}

#[test]
fn reports_count_what_the_records_say() {
    let stage = Stage::new(51, 5_000);
    let directory = stage.export("export", 0, 5_000, ExportFormat::Csv);
    let report = |kind| Report::of(kind, &[&directory]).unwrap();

    let certificates = report(ReportKind::Certificates);
    assert_eq!(sum(&certificates, "certificates", &[]), contents(&stage, "\"certificate.issued\""));
    let signature = stage.log.leaves.iter().filter(|leaf| {
        matches!(leaf, Leaf::Present { content, .. } if content.contains("\"certificate.issued\"") && content.contains("\"kind\":\"signature\""))
    });
    assert_eq!(sum(&certificates, "certificates", &["2026-11", "signature"]), signature.count());
    assert_eq!(certificates.rows.len(), 6, "two kinds on three platforms: {certificates:?}");

    let refusals = report(ReportKind::Refusals);
    assert_eq!(sum(&refusals, "count", &["application, by the RA"]), contents(&stage, "application.rejected"));
    assert_eq!(sum(&refusals, "count", &["application, by the CA", "card_revoked"]), contents(&stage, r#"{"code":"card_revoked"}"#));

    let operators = report(ReportKind::Operators);
    let by_call_centre = ["Hanako Call", "call centre", "hold", "done"];
    assert_eq!(sum(&operators, "count", &by_call_centre), contents(&stage, r#""action":"hold""#));

    let policies = report(ReportKind::Policies);
    assert_eq!(sum(&policies, "records", &["profile"]), contents(&stage, "\"certificate.issued\""));

    let latency = report(ReportKind::Latency);
    assert_eq!(sum(&latency, "count", &["cascade, revoked"]), contents(&stage, r#""by":{"card_event""#));
    // The chronicle lets a card event wait for 79 ms at most, and an instruction for 20 to 419.
    let bounds = |what: &str, column: &str| sum(&latency, column, &[what]);
    assert!(bounds("cascade, revoked", "median_ms") < bounds("cascade, revoked", "p99_ms"));
    assert!(bounds("cascade, revoked", "longest_ms") <= 79);
    assert!((200..440).contains(&bounds("hold", "p99_ms")) && bounds("hold", "median_ms") >= 20);
    for kind in [ReportKind::Certificates, ReportKind::Refusals, ReportKind::Latency, ReportKind::Operators, ReportKind::Policies] {
        assert_eq!((report(kind).uncounted, report(kind).absent), (0, 0), "{kind:?}");
    }
}

#[test]
fn two_visits_that_overlap_are_counted_once_and_both_forms_say_the_same() {
    let stage = Stage::new(52, 3_000);
    let whole = stage.export("whole", 0, 3_000, ExportFormat::Jsonl);
    let (first, second) = (stage.export("first", 0, 2_000, ExportFormat::Jsonl), stage.export("second", 1_500, 3_000, ExportFormat::Csv));
    let one = Report::of(ReportKind::Certificates, &[&whole]).unwrap();
    assert_eq!(Report::of(ReportKind::Certificates, &[&first, &second]).unwrap(), one);

    let csv = one.to_csv();
    assert!(csv.starts_with("month,kind,platform,certificates\r\n2026-11,"), "{csv}");
    assert_eq!(csv.lines().count(), one.rows.len() + 1);
    let json = one.to_json();
    assert_eq!(json["rows"].as_array().unwrap().len(), one.rows.len());
    assert_eq!(json["rows"][0]["month"], "2026-11");
}

#[test]
fn what_is_no_export_has_no_report() {
    let stage = Stage::new(53, 10);
    assert!(Report::of(ReportKind::Latency, &[stage.place.path()]).is_err());
    let directory = stage.export("export", 0, 10, ExportFormat::Jsonl);
    std::fs::write(directory.join("records-00000000.jsonl"), "{}\n").unwrap();
    assert!(Report::of(ReportKind::Latency, &[&directory]).unwrap_err().to_string().contains("verify"));
}
