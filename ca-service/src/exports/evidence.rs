//! The evidence of a part: what cards signed, encrypted before it is written anywhere.

use std::io::{self, Write};

use audit_log::export::{Evidence, EvidenceFault, EvidenceFile, EvidenceWriter, FileHash, Part, Recipient, evidence_file};
use ca_core::chain::Chain;
use schema::audit_export::{AuditExport, ExportId};
use schema::lease::Lease;
use schema::{StoreFault, Writer};

use super::Exporter;
use super::fault::{Defect, ExportFault};

/// Applications read at once.
const PAGE: u32 = 64;
/// Octets of a stored piece.
const CHUNK: usize = 4 << 20;

impl Exporter {
    /// Encrypts what the applications of a part brought, and stores it piece by piece.
    pub(super) fn encrypt_evidence(
        &self,
        lease: &Lease,
        export: &AuditExport,
        part: &Part,
        recipient: &str,
    ) -> Result<EvidenceFile, ExportFault> {
        let recipient: Recipient = recipient.parse().map_err(|_| Defect::Recipient { recipient: recipient.to_owned() })?;
        let most = self.settings.evidence_applications;
        let earlier: u64 =
            self.prepared_parts(export)?.iter().filter_map(|part| part.evidence.as_ref()).map(|file| file.applications).sum();
        let (writer, lease) = (self.writer.clone(), lease.clone());
        let chunks = Chunks { writer, lease, part: (export.id, part.number), sequence: 0, octets: Vec::new(), hash: FileHash::new() };
        let mut file = EvidenceWriter::new(&recipient, chunks).map_err(ExportFault::of_evidence)?;
        let (mut from, mut applications) = (part.from, 0);
        loop {
            let page = self.reader.accepted_evidence(from, part.to, PAGE)?;
            let Some(last) = page.last() else { break };
            from = last.leaf + 1;
            applications += page.len() as u64;
            if earlier + applications > u64::from(most) {
                return Err(Defect::TooMuchEvidence { most }.into());
            }
            for found in page {
                let evidence = Evidence {
                    application: found.application.0.unsigned_abs(),
                    leaf: found.leaf,
                    sha256: found.digest.0,
                    cms: found.cms,
                    authentication_certificate: found.authentication_certificate,
                    signature_ocsp: found.signature_ocsp,
                };
                file.add(&evidence).map_err(ExportFault::of_evidence)?;
            }
        }
        let mut chunks = file.finish().map_err(ExportFault::of_evidence)?;
        chunks.store()?;
        Ok(EvidenceFile { applications, file: chunks.hash.finish(evidence_file(part.number)) })
    }
}

/// Octets on their way into the store, and their hash.
struct Chunks {
    writer: Writer,
    lease: Lease,
    part: (ExportId, u64),
    sequence: u32,
    octets: Vec<u8>,
    hash: FileHash,
}

impl Chunks {
    fn store(&mut self) -> Result<(), StoreFault> {
        let (lease, part, sequence) = (self.lease.clone(), self.part, self.sequence);
        let octets = std::mem::take(&mut self.octets);
        self.writer.write(move |tx| tx.add_evidence_chunk(&lease, part, sequence, &octets))?;
        self.sequence += 1;
        Ok(())
    }
}

impl Write for Chunks {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.hash.update(octets);
        self.octets.extend_from_slice(octets);
        if self.octets.len() >= CHUNK {
            self.store().map_err(io::Error::other)?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The auditor is told that it failed, the log of the process why.
fn not_encrypted(fault: &dyn std::error::Error) -> ExportFault {
    tracing::error!(fault = %Chain(fault), "evidence cannot be encrypted");
    Defect::Evidence.into()
}

impl ExportFault {
    /// Encrypting fails where the store does.
    fn of_evidence(fault: EvidenceFault) -> Self {
        match fault {
            EvidenceFault::Unreadable(error) => match error.downcast::<StoreFault>() {
                Ok(fault) => Self::Store(fault),
                Err(error) => not_encrypted(&error),
            },
            other => not_encrypted(&other),
        }
    }
}
