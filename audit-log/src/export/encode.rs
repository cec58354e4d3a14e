//! Records as lines of text, one form for each, so that whoever writes them writes the same octets.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Absent, ExportFormat, ReadContent};
use crate::{Commitment, Salt};

/// The first line of a CSV file.
pub const CSV_HEADER: &str = "leaf,at,kind,certificate,application,position,salt,absent,commitment,content\r\n";

/// One leaf in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// What it commits to is told.
    Present {
        /// Its index.
        leaf: u64,
        /// What the commitment was made with.
        salt: Salt,
        /// What was committed to.
        content: ReadContent<'a>,
    },
    /// Nobody knows any more what it commits to.
    Absent {
        /// Its index.
        leaf: u64,
        /// Why.
        absent: Absent,
        /// The commitment, which stays.
        commitment: Commitment,
    },
}

impl Record<'_> {
    /// The leaf's index.
    pub const fn leaf(&self) -> u64 {
        match self {
            Self::Present { leaf, .. } | Self::Absent { leaf, .. } => *leaf,
        }
    }
}

/// Writes records as lines.
///
/// JSON lines: `{"leaf":N,"salt":"base64","content":{…}}`, or `{"leaf":N,"absent":"purged","commitment":"base64"}`. CSV: the columns of
/// [`CSV_HEADER`], where at, kind, certificate, application and position repeat what the content says, for the eyes of spreadsheets.
#[derive(Debug)]
pub struct RecordEncoder {
    format: ExportFormat,
}

impl RecordEncoder {
    /// An encoder of one format.
    pub const fn new(format: ExportFormat) -> Self {
        Self { format }
    }

    /// What a file begins with.
    pub const fn header(&self) -> &'static str {
        match self.format {
            ExportFormat::Jsonl => "",
            ExportFormat::Csv => CSV_HEADER,
        }
    }

    /// Appends a record's line to `lines`.
    pub fn encode(&self, record: &Record<'_>, lines: &mut Vec<u8>) {
        match (self.format, record) {
            (ExportFormat::Jsonl, Record::Present { leaf, salt, content }) => {
                lines.extend_from_slice(b"{\"leaf\":");
                number(*leaf, lines);
                lines.extend_from_slice(b",\"salt\":\"");
                base64(&salt.0, lines);
                lines.extend_from_slice(b"\",\"content\":");
                lines.extend_from_slice(content.text().as_bytes());
                lines.extend_from_slice(b"}\n");
            }
            (ExportFormat::Jsonl, Record::Absent { leaf, absent, commitment }) => {
                lines.extend_from_slice(b"{\"leaf\":");
                number(*leaf, lines);
                lines.extend_from_slice(b",\"absent\":\"");
                lines.extend_from_slice(absent.as_str().as_bytes());
                lines.extend_from_slice(b"\",\"commitment\":\"");
                base64(&commitment.0, lines);
                lines.extend_from_slice(b"\"}\n");
            }
            (ExportFormat::Csv, Record::Present { leaf, salt, content }) => {
                number(*leaf, lines);
                lines.push(b',');
                lines.extend_from_slice(content.at().as_bytes());
                lines.push(b',');
                lines.extend_from_slice(content.kind().as_bytes());
                for value in [content.certificate(), content.application(), Some(content.position())] {
                    lines.push(b',');
                    if let Some(value) = value {
                        number(value, lines);
                    }
                }
                lines.push(b',');
                base64(&salt.0, lines);
                lines.extend_from_slice(b",,,\"");
                for (nth, piece) in content.text().split('"').enumerate() {
                    if nth > 0 {
                        lines.extend_from_slice(b"\"\"");
                    }
                    lines.extend_from_slice(piece.as_bytes());
                }
                lines.extend_from_slice(b"\"\r\n");
            }
            (ExportFormat::Csv, Record::Absent { leaf, absent, commitment }) => {
                number(*leaf, lines);
                lines.extend_from_slice(b",,,,,,,");
                lines.extend_from_slice(absent.as_str().as_bytes());
                lines.push(b',');
                base64(&commitment.0, lines);
                lines.extend_from_slice(b",\r\n");
            }
        }
    }
}

fn number(number: u64, lines: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = write!(lines, "{number}");
}

fn base64(octets: &[u8; 32], lines: &mut Vec<u8>) {
    let mut text = [0; 44];
    // 32 octets take 44 characters, always.
    let _ = STANDARD.encode_slice(octets, &mut text);
    lines.extend_from_slice(&text);
}
