//! What an export says of leaves that a restored store lost, found without judging anything else: rules ask before they come to those leaves in
//! an earlier export. Nothing is believed for it: what it leads to is judged when the export is read itself.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::export::{ExportFormat, LINE_OCTETS, Manifest, Record, RecordEncoder, RecordReader};

use super::rules::LostData;

/// The kind of the records that are looked for.
const KIND: &str = "log.leaves_lost";

/// Leaves that are lost, and the leaf that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LostRun {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) told_at: u64,
}

/// Tells `found` of each run that the export names.
pub(super) fn lost_runs(directory: &Path, manifest: &Manifest, mut found: impl FnMut(LostRun)) {
    let mut line = Vec::new();
    for part in &manifest.parts {
        // That a file cannot be read is found when it is read in earnest.
        let Ok(file) = File::open(directory.join(&part.records.name)) else { continue };
        let mut file = BufReader::with_capacity(1 << 18, file.take(part.records.octets));
        loop {
            line.clear();
            match (&mut file).take(LINE_OCTETS as u64).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if std::str::from_utf8(&line).is_ok_and(|line| line.contains(KIND))
                && let Some(run) = lost_run(&line, manifest.format)
            {
                found(run);
            }
        }
    }
}

fn lost_run(line: &[u8], format: ExportFormat) -> Option<LostRun> {
    let file = [RecordEncoder::new(format).header().as_bytes(), line].concat();
    let mut reader = RecordReader::new(format, file.as_slice());
    let Ok(Some(Record::Present { leaf, content, .. })) = reader.next_record() else { return None };
    let LostData { from, to } = serde_json::from_str(content.data()).ok().filter(|_| content.kind() == KIND)?;
    Some(LostRun { from, to, told_at: leaf })
}
