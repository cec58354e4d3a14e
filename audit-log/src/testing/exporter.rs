//! Writes an export's directory from leaves as they come, in constant memory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::compact_range::CompactRange;
use crate::export::{
    Absent, Evidence, EvidenceFile, EvidenceWriter, ExportFormat, FileHash, MANIFEST_FILE, Manifest, ManifestContent, Part, PartBuilder,
    Previous, ReadContent, Recipient, Record, RecordEncoder, evidence_file, hashes_file, part_of, parts_of, records_file,
};
use crate::hash::Hash;
use crate::{Commitment, LogKey, Salt};

/// A leaf with what it commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// Its content is there.
    Present {
        /// The salt.
        salt: Salt,
        /// The canonical text.
        content: String,
    },
    /// It is not.
    Absent {
        /// Why.
        absent: Absent,
        /// What is left.
        commitment: Commitment,
    },
}

/// What export is to be written.
#[derive(Debug, Clone)]
pub struct Order {
    /// The first leaf.
    pub from: u64,
    /// The leaf after the last.
    pub to: u64,
    /// How records are written.
    pub format: ExportFormat,
    /// When it is taken.
    pub taken_at: DateTime<Utc>,
    /// From which tree it proves consistency.
    pub previous: Option<Previous>,
    /// To whom evidence is encrypted.
    pub recipient: Option<Recipient>,
}

/// Takes all leaves of a log, in order, and writes those of the range.
pub struct Exporter {
    directory: PathBuf,
    order: Order,
    before: CompactRange,
    after: CompactRange,
    leaf: u64,
    part: Option<OpenPart>,
    parts: Vec<Part>,
}

struct OpenPart {
    to: u64,
    builder: PartBuilder,
    records: BufWriter<File>,
    line: Vec<u8>,
    evidence: Vec<Evidence>,
}

impl Leaf {
    /// What the log has of it.
    pub fn commitment(&self) -> Commitment {
        match self {
            Self::Present { salt, content } => Commitment::of(salt, content),
            Self::Absent { commitment, .. } => *commitment,
        }
    }

    fn record(&self, leaf: u64) -> io::Result<Record<'_>> {
        Ok(match self {
            Self::Present { salt, content } => {
                Record::Present { leaf, salt: *salt, content: ReadContent::parse(content).map_err(io::Error::other)? }
            }
            Self::Absent { absent, commitment } => Record::Absent { leaf, absent: *absent, commitment: *commitment },
        })
    }
}

impl Exporter {
    /// Begins a directory, which must not be there.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn new(directory: &Path, order: Order) -> io::Result<Self> {
        std::fs::create_dir(directory)?;
        let (before, after) = (CompactRange::empty(0), CompactRange::empty(order.to));
        Ok(Self { directory: directory.to_owned(), order, before, after, leaf: 0, part: None, parts: Vec::new() })
    }

    /// Adds the next leaf, with the evidence that came with it.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn add(&mut self, leaf: &Leaf, evidence: Option<&Evidence>) -> io::Result<()> {
        let (at, commitment) = (self.leaf, leaf.commitment());
        self.leaf += 1;
        if at < self.order.from {
            self.before.push(commitment.leaf_hash());
            return Ok(());
        }
        if at >= self.order.to {
            self.after.push(commitment.leaf_hash());
            return Ok(());
        }
        let mut part = match self.part.take() {
            Some(part) => part,
            None => self.open(at)?,
        };
        let record = leaf.record(at)?;
        part.builder.add(&record, &commitment).map_err(io::Error::other)?;
        part.line.clear();
        RecordEncoder::new(self.order.format).encode(&record, &mut part.line);
        part.records.write_all(&part.line)?;
        part.evidence.extend(evidence.cloned());
        if at + 1 == part.to {
            return self.close(part);
        }
        self.part = Some(part);
        Ok(())
    }

    fn open(&self, from: u64) -> io::Result<OpenPart> {
        let (number, from, to) = parts_of(from, self.order.to).next().ok_or_else(|| io::Error::other("beyond the range"))?;
        let format = self.order.format;
        let mut records = BufWriter::new(File::create(self.directory.join(records_file(number, format)))?);
        records.write_all(RecordEncoder::new(format).header().as_bytes())?;
        Ok(OpenPart { to, builder: PartBuilder::new(format, number, from, to), records, line: Vec::new(), evidence: Vec::new() })
    }

    fn close(&mut self, mut open: OpenPart) -> io::Result<()> {
        open.records.flush()?;
        let number = part_of(open.to - 1);
        std::fs::write(self.directory.join(hashes_file(number)), open.builder.leaf_hashes().as_flattened())?;
        let mut part = open.builder.finish().map_err(io::Error::other)?;
        if let Some(recipient) = &self.order.recipient {
            let mut writer = EvidenceWriter::new(recipient, Vec::new()).map_err(io::Error::other)?;
            open.evidence.iter().try_for_each(|evidence| writer.add(evidence)).map_err(io::Error::other)?;
            let encrypted = writer.finish().map_err(io::Error::other)?;
            let name = evidence_file(number);
            std::fs::write(self.directory.join(&name), &encrypted)?;
            let mut hash = FileHash::new();
            hash.update(&encrypted);
            part.evidence = Some(EvidenceFile { applications: open.evidence.len() as u64, file: hash.finish(name) });
        }
        self.parts.push(part);
        Ok(())
    }

    /// Signs checkpoint and manifest; the root. `cosign` makes what witnesses would of the checkpoint.
    ///
    /// # Errors
    /// If nothing can be written, or the range is not full.
    pub fn finish(mut self, key: &LogKey, cosign: &dyn Fn(&str) -> String) -> io::Result<Hash> {
        let mut whole = self.before.clone();
        for part in &self.parts {
            let range = CompactRange::new(part.from, part.to, part.nodes.clone()).map_err(io::Error::other)?;
            whole.append(&range).map_err(io::Error::other)?;
        }
        whole.append(&self.after).map_err(io::Error::other)?;
        let root = whole.root().ok_or_else(|| io::Error::other("no root"))?;
        let checkpoint = key.sign_checkpoint(self.leaf, root).map_err(io::Error::other)?;
        let manifest = Manifest::new(ManifestContent {
            export: hex::encode([0xe4; 16]),
            origin: key.origin().to_owned(),
            key: key.verifier().vkey(),
            taken_at: self.order.taken_at,
            taken_by: "Ren Auditor".to_owned(),
            format: self.order.format,
            checkpoint: format!("{}{}", checkpoint.note(), cosign(checkpoint.note())),
            previous: self.order.previous.take(),
            before: self.before.nodes().to_vec(),
            after: self.after.nodes().to_vec(),
            recipient: self.order.recipient.as_ref().map(ToString::to_string),
            parts: self.parts,
        })
        .map_err(io::Error::other)?;
        let note = key.sign(&manifest.to_text()).map_err(io::Error::other)?;
        std::fs::write(self.directory.join(MANIFEST_FILE), note)?;
        Ok(root)
    }
}
