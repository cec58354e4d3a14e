//! A file of an export as it is made and sent, piece by piece.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::BlockingError;
use actix_web::web::{self, Bytes};
use audit_log::export::{Absent, ExportFormat, ReadContent, Record, RecordEncoder};
use audit_log::{Commitment, Content, Salt};
use schema::audit_export::ExportId;
use schema::log::{EventRow, LeafContent, LogRecord, PAGE_LEAVES};
use schema::{Reader, StoreFault};

/// What a file is made of. Gives its octets from the first on.
pub(super) struct Source {
    what: What,
    /// Octets that were not asked for.
    skip: u64,
}

enum What {
    Text(Vec<u8>),
    Records { reader: Reader, encoder: RecordEncoder, next: u64, to: u64, header: bool },
    Hashes { reader: Reader, next: u64, to: u64 },
    Evidence { reader: Reader, export: ExportId, number: u64, sequence: u32 },
}

impl Source {
    pub(super) fn text(text: &str) -> Self {
        Self { what: What::Text(text.as_bytes().to_vec()), skip: 0 }
    }

    pub(super) fn records(reader: Reader, format: ExportFormat, from: u64, to: u64) -> Self {
        Self { what: What::Records { reader, encoder: RecordEncoder::new(format), next: from, to, header: true }, skip: 0 }
    }

    pub(super) fn hashes(reader: Reader, from: u64, to: u64) -> Self {
        Self { what: What::Hashes { reader, next: from, to }, skip: 0 }
    }

    pub(super) fn evidence(reader: Reader, export: ExportId, number: u64) -> Self {
        Self { what: What::Evidence { reader, export, number, sequence: 0 }, skip: 0 }
    }

    /// The next octets; none at the end. Blocks.
    fn next_piece(&mut self) -> Result<Vec<u8>, StoreFault> {
        loop {
            let mut piece = self.what.next_piece()?;
            if piece.is_empty() {
                return Ok(piece);
            }
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
            self.skip -= skipped as u64;
            piece.drain(..skipped);
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
    }
}

impl What {
    fn next_piece(&mut self) -> Result<Vec<u8>, StoreFault> {
        match self {
            Self::Text(text) => Ok(std::mem::take(text)),
            Self::Records { reader, encoder, next, to, header } => {
                let mut lines = Vec::new();
                if std::mem::take(header) {
                    lines.extend_from_slice(encoder.header().as_bytes());
                }
                let count = u64::from(PAGE_LEAVES).min(*to - *next);
                let mut text = String::new();
                *next += reader.log_records(*next, count, |record| -> Result<(), StoreFault> {
                    encode(encoder, &record, &mut text, &mut lines);
                    Ok(())
                })?;
                Ok(lines)
            }
            Self::Hashes { reader, next, to } => {
                let count = u64::from(PAGE_LEAVES).min(*to - *next);
                let commitments = reader.log_commitments(*next, u32::try_from(count).unwrap_or(PAGE_LEAVES))?;
                *next += commitments.len() as u64;
                Ok(commitments.into_iter().flat_map(|commitment| Commitment(commitment).leaf_hash()).collect())
            }
            Self::Evidence { reader, export, number, sequence } => {
                let chunk = reader.evidence_chunk(*export, *number, *sequence)?;
                *sequence += 1;
                Ok(chunk.unwrap_or_default())
            }
        }
    }
}

fn encode(encoder: &RecordEncoder, record: &LogRecord<'_>, text: &mut String, lines: &mut Vec<u8>) {
    let (leaf, commitment) = (record.leaf, Commitment(record.commitment));
    let record = match &record.content {
        LeafContent::Present { event, salt } => {
            Record::Present { leaf, salt: Salt(*salt), content: ReadContent::write(content(event), text) }
        }
        LeafContent::Purged => Record::Absent { leaf, absent: Absent::Purged, commitment },
        LeafContent::Lost => Record::Absent { leaf, absent: Absent::Lost, commitment },
    };
    encoder.encode(&record, lines);
}

fn content<'a>(event: &EventRow<'a>) -> Content<'a> {
    Content {
        application: event.application.map(|id| id.0),
        at: event.at,
        certificate: event.certificate.map(|id| id.0),
        data: event.data,
        kind: event.kind,
        position: event.position.0,
    }
}

type Reading = Pin<Box<dyn Future<Output = Result<(Source, Result<Vec<u8>, StoreFault>), BlockingError>>>>;

/// The octets of a file from a place on. One piece is made ahead while another is sent: so much is in memory for each who downloads.
pub(super) struct ExportBody {
    length: u64,
    left: u64,
    reading: Option<Reading>,
}

impl ExportBody {
    /// The octets from `first` to before `end`.
    pub(super) fn new(mut source: Source, first: u64, end: u64) -> Self {
        source.skip_to(first);
        let length = end - first;
        Self { length, left: length, reading: Some(read(source)) }
    }
}

impl Source {
    /// Where a place in the file leads to a row without reading what is before it, it does.
    fn skip_to(&mut self, first: u64) {
        self.skip = first;
        if let What::Hashes { next, to, .. } = &mut self.what {
            let leaves = (first / 32).min(*to - *next);
            *next += leaves;
            self.skip -= leaves * 32;
        }
    }
}

fn read(mut source: Source) -> Reading {
    Box::pin(web::block(move || {
        let piece = source.next_piece();
        (source, piece)
    }))
}

impl MessageBody for ExportBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let Poll::Ready(read_piece) = reading.as_mut().poll(context) else { return Poll::Pending };
        self.reading = None;
        Poll::Ready(Some(match read_piece {
            Ok((source, Ok(mut piece))) if !piece.is_empty() => {
                piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= piece.len() as u64;
                if self.left > 0 {
                    self.reading = Some(read(source));
                }
                Ok(piece.into())
            }
            Ok((_, Ok(_))) => {
                tracing::warn!("an export has fewer octets than when it was prepared: records were purged since");
                Err(io::Error::other("the file ends early"))
            }
            Ok((_, Err(fault))) => {
                tracing::error!(%fault, "a file of an export breaks off");
                Err(io::Error::other(fault))
            }
            Err(stopping) => Err(io::Error::other(stopping)),
        }))
    }
}
