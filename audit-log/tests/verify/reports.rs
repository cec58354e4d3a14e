//! Reports of a log whose records can be counted by hand.

use audit_log::export::ExportFormat;
use audit_log::report::{Cell, Report, ReportFault, ReportKind};
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
fn a_report_tells_its_range_and_none_has_a_gap_or_another_order() {
    let stage = Stage::new(54, 300);
    let export = |name: &str, from, to| stage.export(name, from, to, ExportFormat::Jsonl);
    let (first, second, third) = (export("first", 0, 100), export("second", 100, 200), export("third", 200, 300));
    let report = |directories: &[&std::path::PathBuf]| Report::of(ReportKind::Certificates, directories);

    let alone = report(&[&second]).unwrap();
    assert_eq!((alone.range.from, alone.range.to), (100, 200));
    assert!(alone.range.to_string().starts_with("leaves 100 to 199, 2026-11-"), "{}", alone.range);
    let json = alone.to_json();
    assert_eq!((json["from_leaf"].as_u64(), json["to_leaf"].as_u64()), (Some(100), Some(200)));
    assert!(json["from"].as_str().unwrap() <= json["to"].as_str().unwrap() && json["to"].as_str().unwrap().ends_with('Z'), "{json}");
    let all = report(&[&first, &second, &third]).unwrap();
    assert_eq!((all.range.from, all.range.to), (0, 300));

    let apart = report(&[&first, &third]).unwrap_err();
    assert!(matches!(apart, ReportFault::Apart { from: 100, to: 200, .. }) && apart.to_string().contains("leaves 100 to 199 "), "{apart}");
    let turned = report(&[&second, &first]).unwrap_err();
    assert!(matches!(turned, ReportFault::OutOfOrder { from: 0, earlier: 100, .. }), "{turned}");

    let records = second.join("records-00000000.jsonl");
    let text = std::fs::read_to_string(&records).unwrap();
    for (left_out, leaf) in [(50, 150), (99, 199)] {
        let lines: Vec<&str> = text.lines().enumerate().filter(|(at, _)| *at != left_out).map(|(_, line)| line).collect();
        std::fs::write(&records, lines.join("\n") + "\n").unwrap();
        assert!(report(&[&second]).unwrap_err().to_string().contains(&format!("the record of leaf {leaf} is missing")));
    }
}

#[test]
fn what_is_no_export_has_no_report() {
    let stage = Stage::new(53, 10);
    assert!(Report::of(ReportKind::Latency, &[stage.place.path()]).is_err());
    let directory = stage.export("export", 0, 10, ExportFormat::Jsonl);
    std::fs::write(directory.join("records-00000000.jsonl"), "{}\n").unwrap();
    assert!(Report::of(ReportKind::Latency, &[&directory]).unwrap_err().to_string().contains("verify"));
}
