//! Reading records back: files from elsewhere, of which nothing is believed but what is checked.

use std::io::{self, BufRead};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::encode::{CSV_HEADER, Record};
use super::{Absent, ExportFormat, LINE_OCTETS, ReadContent};
use crate::{Commitment, Salt};

/// Reads records one after the other, holding one line at a time.
#[derive(Debug)]
pub struct RecordReader<R> {
    source: R,
    format: ExportFormat,
    line: Vec<u8>,
    content: String,
    lines: u64,
    octets: u64,
}

/// A line that is no record.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, at octet {octet}: {problem}")]
pub struct RecordFault {
    /// Which line of the file, from 1.
    pub line: u64,
    /// Where in the file the line begins.
    pub octet: u64,
    /// What is wrong with it.
    pub problem: RecordProblem,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum RecordProblem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Longer than any line of ours.
    #[error("the line is longer than {LINE_OCTETS} octets")]
    TooLong,
    /// The file ends in the middle of it.
    #[error("the file ends in the middle of the line")]
    Truncated,
    /// The CSV header is another, or missing.
    #[error("the header is not that of an export")]
    Header,
    /// No record of the format.
    #[error("the line is not a record")]
    Malformed,
    /// The content is none.
    #[error("the content is not the canonical content of a leaf")]
    Content,
    /// CSV only: a column says something else than the content.
    #[error("the columns say something else than the content")]
    Columns,
}

impl<R: BufRead> RecordReader<R> {
    /// Reads `source` from its beginning.
    pub fn new(format: ExportFormat, source: R) -> Self {
        Self { source, format, line: Vec::new(), content: String::new(), lines: 0, octets: 0 }
    }

    /// Where the records come from, to finish with it when they are over.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// The next record; `None` after the last.
    ///
    /// # Errors
    /// If the line is no record. After that nothing more can be read.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, RecordFault> {
        if self.format == ExportFormat::Csv && self.lines == 0 {
            let there = self.next_line()?;
            if !there || self.line != CSV_HEADER.as_bytes() {
                return Err(RecordFault { line: 1, octet: 0, problem: RecordProblem::Header });
            }
        }
        if !self.next_line()? {
            return Ok(None);
        }
        let (line, octet) = (self.lines, self.octets - self.line.len() as u64);
        let fault = |problem| RecordFault { line, octet, problem };
        let text = std::str::from_utf8(&self.line).map_err(|_| fault(RecordProblem::Malformed))?;
        match self.format {
            ExportFormat::Jsonl => json_record(text),
            ExportFormat::Csv => csv_record(text, &mut self.content),
        }
        .map(Some)
        .map_err(fault)
    }

    /// Reads a line, its end with it; false at the end of the file.
    fn next_line(&mut self) -> Result<bool, RecordFault> {
        self.line.clear();
        let fault = |problem| RecordFault { line: self.lines + 1, octet: self.octets, problem };
        let mut bounded = io::Read::take(&mut self.source, LINE_OCTETS as u64 + 1);
        let read = bounded.read_until(b'\n', &mut self.line).map_err(|error| fault(error.into()))?;
        if read == 0 {
            return Ok(false);
        }
        if read > LINE_OCTETS {
            return Err(fault(RecordProblem::TooLong));
        }
        if self.line.last() != Some(&b'\n') {
            return Err(fault(RecordProblem::Truncated));
        }
        self.lines += 1;
        self.octets += read as u64;
        Ok(true)
    }
}

fn json_record(line: &str) -> Result<Record<'_>, RecordProblem> {
    use RecordProblem::Malformed;

    let (leaf, rest) = line.strip_prefix("{\"leaf\":").and_then(leading_number).ok_or(Malformed)?;
    let rest = rest.strip_suffix("}\n").ok_or(Malformed)?;
    if let Some(rest) = rest.strip_prefix(",\"salt\":\"") {
        let (salt, rest) = rest.split_at_checked(44).ok_or(Malformed)?;
        let content = rest.strip_prefix("\",\"content\":").ok_or(Malformed)?;
        present(leaf, salt, content)
    } else {
        let rest = rest.strip_prefix(",\"absent\":\"").ok_or(Malformed)?;
        let (word, rest) = rest.split_once("\",\"commitment\":\"").ok_or(Malformed)?;
        absent(leaf, word, rest.strip_suffix('"').ok_or(Malformed)?)
    }
}

fn csv_record<'a>(line: &str, unquoted: &'a mut String) -> Result<Record<'a>, RecordProblem> {
    use RecordProblem::Malformed;

    // No column but the last holds a comma, a quotation mark or a line end.
    let mut columns = line.strip_suffix("\r\n").ok_or(Malformed)?.splitn(10, ',');
    let mut column = || columns.next().ok_or(Malformed);
    let (number, at, kind, certificate, application, position) = (column()?, column()?, column()?, column()?, column()?, column()?);
    let (salt, word, commitment, quoted) = (column()?, column()?, column()?, column()?);
    let Some((leaf, "")) = leading_number(number) else { return Err(Malformed) };
    if !word.is_empty() {
        let blank = [at, kind, certificate, application, position, salt, quoted].iter().all(|column| column.is_empty());
        return if blank { absent(leaf, word, commitment) } else { Err(Malformed) };
    }
    let quoted = quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).ok_or(Malformed)?;
    unquoted.clear();
    let mut pieces = quoted.split('"');
    unquoted.push_str(pieces.next().unwrap_or_default());
    // Quotation marks come in pairs, with nothing between them.
    while let Some(between) = pieces.next() {
        let piece = pieces.next().filter(|_| between.is_empty()).ok_or(Malformed)?;
        unquoted.push('"');
        unquoted.push_str(piece);
    }
    if !commitment.is_empty() {
        return Err(Malformed);
    }
    let record = present(leaf, salt, unquoted)?;
    let Record::Present { content, .. } = &record else { return Err(Malformed) };
    let says = |column: &str, value: Option<u64>| match value {
        None => column.is_empty(),
        Some(value) => leading_number(column) == Some((value, "")),
    };
    let agree = (at, kind) == (content.at(), content.kind())
        && says(certificate, content.certificate())
        && says(application, content.application())
        && says(position, Some(content.position()));
    if agree { Ok(record) } else { Err(RecordProblem::Columns) }
}

fn present<'a>(leaf: u64, salt: &str, content: &'a str) -> Result<Record<'a>, RecordProblem> {
    let salt = Salt(hash(salt)?);
    Ok(Record::Present { leaf, salt, content: ReadContent::parse(content).map_err(|_| RecordProblem::Content)? })
}

fn absent(leaf: u64, word: &str, commitment: &str) -> Result<Record<'static>, RecordProblem> {
    let absent = [Absent::Purged, Absent::Lost].into_iter().find(|absent| absent.as_str() == word);
    Ok(Record::Absent { leaf, absent: absent.ok_or(RecordProblem::Malformed)?, commitment: Commitment(hash(commitment)?) })
}

/// The number that a text begins with, without a sign or a leading zero, and what follows it.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    if digits > 1 && number.starts_with('0') {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

fn hash(text: &str) -> Result<[u8; 32], RecordProblem> {
    // The decoder asks for room for the worst case of 44 characters.
    let mut octets = [0; 33];
    match STANDARD.decode_slice(text, &mut octets) {
        Ok(32) => octets[..32].try_into().map_err(|_| RecordProblem::Malformed),
        _ => Err(RecordProblem::Malformed),
    }
}
