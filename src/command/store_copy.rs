//! `tsunagi store copy`

use audit_log::{Commitment, Edge, Hash};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use schema::copy::{CopyFailure, CopyRefusal, Side, StoreCopy, TableCopied};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Output, pairs, table};

/// Commitments read at a time.
const SOME: u32 = 8_192;

/// Copy a store into an empty database, from SQLite to PostgreSQL or back
///
/// To be run with every process stopped; neither side can be served meanwhile. The target is an empty database, or for SQLite a file that
/// is not there yet, on PostgreSQL as the owner of the tables to be. What stops it halfway does no harm: run it again, and it goes on
/// where it was. It ends when every row was read back from the target as it was read from the source, both have equally many in every
/// table, and the Merkle root of the log, computed again from the leaves of each, is the same on both sides; before that nobody can open
/// the target as a store. Name it in store.url then; keys, settings and the tile directory stay where they are. A PostgreSQL URL without
/// a password takes it from PGPASSWORD or ~/.pgpass.
#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// The store, as store.url has it: sqlite://… or postgres://…
    #[arg(long, value_name = "URL")]
    from: String,
    /// The empty database, or the copy that was not finished
    #[arg(long, value_name = "URL")]
    to: String,
}

pub(super) fn run(arguments: &Copy, output: Output) -> Result<(), Failure> {
    let mut copy = StoreCopy::begin(&arguments.from, &arguments.to).map_err(failed)?;
    let (resumed, instance, rows) = (copy.is_resumed(), copy.instance().to_owned(), copy.rows().map_err(failed)?);
    let bar = if output == Output::Text { ProgressBar::new(2 * rows) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg:36!} {wide_bar} {human_pos}/{human_len} rows {per_sec} {eta} left");
    bar.set_style(style.map_err(|error| Failure::other(error.to_string()))?);
    copy.copy(|table, done| {
        bar.set_message(format!("copying {table}"));
        bar.set_position(done);
    })
    .map_err(failed)?;
    let tables = copy.compare(|table, done| {
        bar.set_message(format!("reading {table} back"));
        bar.set_position(rows + done);
    });
    let tables = tables.map_err(failed)?;
    bar.set_message("recomputing the log's root");
    let (from, to) = (root(&mut copy, Side::From)?, root(&mut copy, Side::To)?);
    if from != to {
        return Err(Failure::disproved("the log's tree is not the same on both sides").with_code("log_differs"));
    }
    copy.finish().map_err(failed)?;
    bar.finish_and_clear();
    let total: u64 = tables.iter().map(|table| table.rows).sum();
    let result = json!({
        "instance": instance,
        "resumed": resumed,
        "tables": tables.iter().map(|table| json!({"table": table.table, "rows": table.rows})).collect::<Vec<_>>(),
        "rows": total,
        "log": {"size": from.0, "root": hex::encode(from.1)},
    });
    output.print(&result, |_| text(&tables, total, from, arguments.to.starts_with("postgres")))
}

/// Size and root of a side's tree, computed again from its leaves, which must be those that the side itself has on record.
fn root(copy: &mut StoreCopy, side: Side) -> Result<(u64, Hash), Failure> {
    let (size, recorded) = copy.log_head(side).map_err(failed)?;
    let mut edge = Edge::empty();
    loop {
        let commitments = copy.log_commitments(side, edge.size(), SOME).map_err(failed)?;
        if commitments.is_empty() {
            break;
        }
        edge.append(&commitments.into_iter().map(Commitment).collect::<Vec<_>>());
    }
    if (edge.size(), edge.root()) == (size, recorded) {
        return Ok((size, recorded));
    }
    let message = format!("{side}'s log does not have the {size} leaves and the root on record: `tsunagi log check` says what is wrong");
    Err(Failure::disproved(message).with_code("log_broken"))
}

fn text(tables: &[TableCopied], total: u64, (size, root): (u64, Hash), is_postgres: bool) -> String {
    let rows: Vec<Vec<String>> = tables.iter().map(|table| vec![table.table.clone(), table.rows.to_string()]).collect();
    let facts = pairs(&[
        ("rows, the same on both sides", total.to_string()),
        ("leaves of the log", size.to_string()),
        ("root, computed from the leaves of each side", hex::encode(root)),
    ]);
    let grants = if is_postgres { " If the roles have users of their own, run the statements of \"tsunagi store grants\"." } else { "" };
    format!("{}\n\n{facts}\n\nThe copy is whole. Name it in store.url, and put the old one away.{grants}", table(&["table", "rows"], &rows))
}

fn failed(failure: CopyFailure) -> Failure {
    let message = failure.to_string();
    match failure {
        CopyFailure::Refused(CopyRefusal::Itself) => Failure::usage(message),
        CopyFailure::Refused(CopyRefusal::InUse(_)) => Failure::refused(message).with_code("store_in_use"),
        CopyFailure::Refused(CopyRefusal::TargetIsStore | CopyRefusal::TargetNotEmpty | CopyRefusal::OtherSource) => {
            Failure::exists(message)
        }
        CopyFailure::Refused(CopyRefusal::SourceWentOn) => Failure::refused(message).with_code("source_went_on"),
        CopyFailure::Refused(CopyRefusal::Different(_)) => Failure::disproved(message).with_code("rows_differ"),
        CopyFailure::Fault { side, fault } => Failure::store(fault).and(&format!("This was {side}")),
    }
}
