//! `tsunagi audit report`

use std::io::Write as _;
use std::path::PathBuf;

use audit_log::report::{self, ReportFault, ReportKind};
use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::output::{Output, counted, table};

/// Report from exports: what was issued, refused and done, how long it took, by which policies
///
/// A report tells what the records say, and which leaves and times it covers. Verify the export first: this looks neither at signatures nor at hashes.
/// Earlier exports are counted with it, what overlaps once; where leaves between two of them are missing, there is no report. Percentiles are exact to the millisecond below ten seconds, to the second below an hour, to the minute above, rounded up.
#[derive(Debug, Args)]
#[command(after_help = "Example: tsunagi audit report visit-2 certificates --previous visit-1 --format csv > certificates.csv")]
pub(crate) struct Report {
    /// The export
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// What to report
    #[arg(value_enum, value_name = "WHAT")]
    what: What,
    /// An earlier export; several in the order of your visits
    #[arg(long, value_name = "DIR")]
    previous: Vec<PathBuf>,
    /// How it is printed; --output json prints JSON
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// Certificates issued, by month, kind and platform
    Certificates,
    /// Applications and instructions refused, by reason
    Refusals,
    /// How long cascades and holds took
    Latency,
    /// What operators did
    Operators,
    /// Policies by which certificates were issued and changed, by SHA-256
    Policies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// RFC 4180
    Csv,
    /// For programs
    Json,
}

pub(crate) fn run(arguments: &Report, output: Output) -> Result<(), Failure> {
    let kind = match arguments.what {
        What::Certificates => ReportKind::Certificates,
        What::Refusals => ReportKind::Refusals,
        What::Latency => ReportKind::Latency,
        What::Operators => ReportKind::Operators,
        What::Policies => ReportKind::Policies,
    };
    let directories: Vec<&PathBuf> = arguments.previous.iter().chain([&arguments.directory]).collect();
    let report = report::Report::of(kind, &directories).map_err(|fault| match &fault {
        ReportFault::Unreadable { error, .. } if error.kind() == std::io::ErrorKind::NotFound => Failure::not_found(fault.to_string()),
        ReportFault::Apart { .. } => Failure::usage(fault.to_string()).with_code("exports_apart"),
        ReportFault::OutOfOrder { .. } => Failure::usage(fault.to_string()).with_code("exports_out_of_order"),
        _ => Failure::other(fault.to_string()).with_code("export_unreadable"),
    })?;
    match (arguments.format, output) {
        (Format::Csv, Output::Text) => {
            // A reader that has seen enough (`| head`) is no failure.
            let _ = std::io::stdout().lock().write_all(report.to_csv().as_bytes());
            eprintln!("tsunagi: {}{}", report.range, left_out(&report));
            Ok(())
        }
        (Format::Json, _) | (_, Output::Json) => Output::Json.print(&report.to_json(), |_| String::new()),
        (Format::Table, Output::Text) => output.print(&report.to_json(), |_| text(&report)),
    }
}

fn text(report: &report::Report) -> String {
    let cells = |row: &Vec<report::Cell>| {
        row.iter().map(|cell| if *cell == report::Cell::Nothing { "-".to_owned() } else { cell.to_string() }).collect()
    };
    let rows: Vec<Vec<String>> = report.rows.iter().map(cells).collect();
    format!("{}\n\n{}{}", report.range, table(&report.columns, &rows), left_out(report))
}

/// What stands in no row: a line of each sort.
fn left_out(report: &report::Report) -> String {
    let sorts = [
        (report.uncounted, ["record says too little to be counted", "records say too little to be counted"]),
        (report.absent, ["record is purged or lost", "records are purged or lost"]),
    ];
    sorts.into_iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("\n{}", counted(count, words))).collect()
}
