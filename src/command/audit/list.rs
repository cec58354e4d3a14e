//! `tsunagi audit list`

use clap::Args;
use serde_json::Value;

use crate::command::view::{list, word};
use crate::failure::Failure;
use crate::operator::OperatorArguments;
use crate::output::{Output, table};

/// List the exports that were taken, newest first
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    operator: OperatorArguments,
    /// How many at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub(super) fn run(arguments: &List, output: Output) -> Result<(), Failure> {
    let client = arguments.operator.client("auditor")?;
    let (mut exports, mut before) = (Vec::new(), String::new());
    while exports.len() < arguments.limit {
        let page = client.look(&format!("/v1/audit/exports{before}"))?;
        exports.extend(list(&page["exports"]).cloned());
        match page["next"].as_i64() {
            Some(next) => before = format!("?before={next}"),
            None => break,
        }
    }
    exports.truncate(arguments.limit);
    output.print(&Value::Array(exports), |exports| {
        let rows: Vec<Vec<String>> = list(exports).map(row).collect();
        if rows.is_empty() {
            return "No export was ever taken.".to_owned();
        }
        table(&["export", "taken at", "by", "leaves", "format", "evidence", "state"], &rows)
    })
}

fn row(export: &Value) -> Vec<String> {
    let leaves = format!("{}..{}", word(&export["from_leaf"]), word(&export["to_leaf"]));
    let evidence = if export["recipient"].is_null() { "no" } else { "yes" };
    let state = match export["failure"].as_str() {
        Some(failure) => format!("failed: {failure}"),
        None => word(&export["state"]),
    };
    [
        word(&export["export"]),
        word(&export["taken_at"]),
        word(&export["taken_by"]),
        leaves,
        word(&export["format"]),
        evidence.to_owned(),
        state,
    ]
    .to_vec()
}
