//! Receipts: the proof that an issuance is in the log, for whoever holds the certificate to keep.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_log::receipt::{Receipt, ReceiptApplication, ReceiptCertificate, ReceiptEntry};
use audit_log::{Content, Salt, StoredTiles, TileFault, TlogProof, inclusion_proof};
use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use schema::application::{ApplicationRecord, ApplicationState, IssuedCertificate};
use schema::log::{LeafContent, LogNote, LogRecord};
use schema::{EventKind, Reader, StoreFault};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::edge::Wait;
use crate::problem::Problem;
use crate::store;

/// So often the log is looked at for whoever waits: a checkpoint is signed a few times a second.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes receipts of what the store has under its last signed checkpoint.
#[derive(Clone)]
pub(crate) struct ReceiptDesk {
    reader: Reader,
    /// One look serves all who wait.
    signed: Arc<Mutex<Option<SignedSize>>>,
}

/// The leaves under the last signed checkpoint, as they were found.
struct SignedSize {
    looked: Instant,
    leaves: Option<u64>,
}

/// What there is of an application's receipts.
pub(crate) enum Receipts {
    /// One for each certificate, in the order of those.
    There(Vec<Receipt>),
    /// No signed checkpoint covers the issuance yet.
    NotYet,
    /// The log does not say which certificate it was: it was issued before there was a log.
    None,
    /// Neither the certificates are kept any more nor what the log's leaves say of them.
    Purged,
}

/// Receipts cannot be made.
#[derive(Debug, thiserror::Error)]
enum ReceiptFault {
    #[error(transparent)]
    Store(#[from] StoreFault),
    #[error("a proof cannot be made of the log's tiles")]
    Tiles(#[from] TileFault),
}

/// A leaf under the checkpoint, with what opens it.
struct Opened {
    leaf: u64,
    salt: Salt,
    content: String,
}

impl ReceiptDesk {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader, signed: Arc::default() }
    }

    /// The receipts of an application's certificates, as far as there are any now.
    pub(crate) async fn look(&self, digest: Sha256Digest, record: &ApplicationRecord) -> Result<Receipts, Problem> {
        let ApplicationState::Issued { certificates } = &record.state else { return Ok(Receipts::NotYet) };
        let (reader, id, certificates) = (self.reader.clone(), record.id, certificates.clone());
        let made = actix_web::web::block(move || Maker { reader: &reader }.make(id, &digest, &certificates));
        match made.await.map_err(|error| Problem::fault("making receipts", &error))? {
            Ok(receipts) => Ok(receipts),
            Err(ReceiptFault::Store(fault)) => Err(store::problem("making receipts", &fault)),
            Err(fault) => Err(Problem::fault("making receipts", &fault)),
        }
    }

    /// The same, and if there are none yet, waits until there are, or the caller's time is over.
    pub(crate) async fn wait(&self, digest: Sha256Digest, record: &ApplicationRecord, wait: Wait) -> Result<Receipts, Problem> {
        loop {
            let (signed, receipts) = (self.signed_size().await?, self.look(digest, record).await?);
            if !matches!(receipts, Receipts::NotYet) {
                return Ok(receipts);
            }
            // Until there is another checkpoint, nothing can have changed.
            loop {
                if wait.left().is_zero() {
                    return Ok(Receipts::NotYet);
                }
                tokio::time::sleep(PAUSE.min(wait.left())).await;
                if self.signed_size().await? != signed {
                    break;
                }
            }
        }
    }

    /// As it was at most a pause ago.
    async fn signed_size(&self) -> Result<Option<u64>, Problem> {
        let mut signed = self.signed.lock().await;
        if let Some(found) = signed.as_ref().filter(|found| found.looked.elapsed() < PAUSE) {
            return Ok(found.leaves);
        }
        let (looked, reader) = (Instant::now(), self.reader.clone());
        let head = store::look("looking at the log", move || reader.log_head()).await?;
        let leaves = head.note.map(|note| note.size);
        *signed = Some(SignedSize { looked, leaves });
        Ok(leaves)
    }
}

/// Makes receipts. Blocks.
struct Maker<'a> {
    reader: &'a Reader,
}

impl Maker<'_> {
    fn make(
        &self,
        application: ApplicationId,
        digest: &Sha256Digest,
        certificates: &[IssuedCertificate],
    ) -> Result<Receipts, ReceiptFault> {
        if certificates.is_empty() {
            return Ok(Receipts::Purged);
        }
        let Some(note) = self.reader.log_head()?.note else { return Ok(Receipts::NotYet) };
        let (mut accepted, mut issued) = (None, Vec::new());
        self.reader.leaves_of_application(application, |record| {
            let Some((kind, opened)) = open(&record, &note) else { return };
            if kind == EventKind::ApplicationAccepted.as_str() {
                accepted = Some(opened);
            } else if kind == EventKind::CertificateIssued.as_str() {
                issued.push(opened);
            }
        })?;
        let Some(accepted) = accepted.filter(|_| issued.len() >= certificates.len()) else { return Ok(Receipts::NotYet) };
        let accepted = self.entry(&accepted, &note)?;
        let mut receipts = Vec::with_capacity(certificates.len());
        for certificate in certificates {
            let sha256 = Sha256Digest::of(&certificate.der).to_string();
            let mut named = None;
            for issued in &issued {
                if names(&issued.content, &sha256)? {
                    named = Some(issued);
                    break;
                }
            }
            let Some(issued) = named else { return Ok(Receipts::None) };
            let named = ReceiptCertificate { kind: certificate.kind.as_str().to_owned(), serial: certificate.serial.to_string(), sha256 };
            let application = ReceiptApplication { sha256: digest.to_string() };
            receipts.push(Receipt::new(named, application, accepted.clone(), self.entry(issued, &note)?));
        }
        Ok(Receipts::There(receipts))
    }

    fn entry(&self, opened: &Opened, note: &LogNote) -> Result<ReceiptEntry, ReceiptFault> {
        let tiles =
            StoredTiles::new(|first, count| self.reader.log_commitments(first, count), |level, number| self.reader.log_tile(level, number));
        let hashes = inclusion_proof(&tiles, opened.leaf, note.size)?;
        let proof = TlogProof { leaf: opened.leaf, hashes, note: note.text.clone() };
        Ok(ReceiptEntry::new(&opened.content, &opened.salt, &proof).ok_or(StoreFault::Corrupt("an event's data"))?)
    }
}

/// A leaf's kind of event and what opens it, if the checkpoint covers it.
fn open(record: &LogRecord<'_>, note: &LogNote) -> Option<(String, Opened)> {
    let LeafContent::Present { event, salt } = record.content else { return None };
    if record.leaf >= note.size {
        return None;
    }
    let content = Content {
        application: event.application.map(|id| id.0),
        at: event.at,
        certificate: event.certificate.map(|id| id.0),
        data: event.data,
        kind: event.kind,
        position: event.position.0,
    };
    Some((event.kind.to_owned(), Opened { leaf: record.leaf, salt: Salt(salt), content: content.text() }))
}

/// Whether the content of an issuance says that it was of the certificate with this digest.
fn names(content: &str, sha256: &str) -> Result<bool, StoreFault> {
    let data = Content::parse(content).ok().and_then(|content| serde_json::from_str::<Value>(content.data).ok());
    data.map(|data| data["sha256"].as_str() == Some(sha256)).ok_or(StoreFault::Corrupt("an event's data"))
}
