//! What the witness saw last of each log, in files that are there before anybody hears of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use signed_note::{Note, Signature, StandardVerifier, VerificationError, Verifier, Verifiers};
use tlog_tiles::{Checkpoint, EMPTY_HASH, Hash, check_tree};

use super::{Cosigner, Declined, Submission, WitnessFault};
use crate::keys::sha256;

/// A log: its origin, and the keys that may sign its checkpoints.
pub struct KnownLog {
    origin: String,
    keys: Vec<StandardVerifier>,
}

/// The latest checkpoint of each known log.
pub struct Records {
    directory: PathBuf,
    cosigner: Cosigner,
    logs: Vec<KnownLog>,
    /// Held from looking at the latest checkpoint until the next is durable: two submissions have one order.
    latest: Mutex<BTreeMap<String, Latest>>,
}

struct Latest {
    size: u64,
    root: Hash,
    note: Vec<u8>,
}

/// What is answered: a checkpoint cosigned, or why not. The outer error is the witness's own fault.
pub(super) type Answer = Result<Result<Vec<u8>, Declined>, WitnessFault>;

impl KnownLog {
    /// Logs by their verifier keys, whose names are the logs' origins. Several keys of one name are keys of one log.
    pub fn parse(vkeys: &[String]) -> Result<Vec<Self>, WitnessFault> {
        let mut logs: Vec<Self> = Vec::new();
        for vkey in vkeys {
            let key = StandardVerifier::new(vkey.trim()).map_err(|_| WitnessFault::LogKey(vkey.clone()))?;
            match logs.iter_mut().find(|log| log.origin == key.name()) {
                Some(log) => log.keys.push(key),
                None => logs.push(Self { origin: key.name().to_owned(), keys: vec![key] }),
            }
        }
        Ok(logs)
    }

    /// Its name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The log's own signatures of the note; all others are passed over.
    fn signatures(&self, note: &Note) -> Result<Vec<Signature>, Declined> {
        note.verify(self).map(|(verified, _)| verified).map_err(|_| Declined::Unsigned)
    }
}

impl Verifiers for KnownLog {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        let mut keys = self.keys.iter().filter(|key| key.name() == name && key.key_id() == id);
        keys.next().map(|key| key as &dyn Verifier).ok_or_else(|| VerificationError::UnknownKey { name: name.to_owned(), id })
    }
}

impl Records {
    /// Reads what was seen of these logs. A record that is not as it was written is a fault.
    pub fn open(directory: &Path, cosigner: Cosigner, logs: Vec<KnownLog>) -> Result<Self, WitnessFault> {
        let mut latest = BTreeMap::new();
        for log in &logs {
            let path = record_path(directory, &log.origin);
            match fs::read(&path) {
                Ok(note) => {
                    let seen = Latest::read(note, log, &cosigner).ok_or_else(|| WitnessFault::Record(path.clone()))?;
                    latest.insert(log.origin.clone(), seen);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(WitnessFault::File { path, source }),
            }
        }
        Ok(Self { directory: directory.to_owned(), cosigner, logs, latest: Mutex::new(latest) })
    }

    /// The witness's key.
    pub fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// The known logs.
    pub fn logs(&self) -> &[KnownLog] {
        &self.logs
    }

    /// The latest checkpoint of the log whose origin has that SHA-256 in small hexadecimal digits, cosigned.
    pub fn checkpoint(&self, origin_hash: &str) -> Option<Vec<u8>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.iter().find(|(origin, _)| hash_of(origin) == origin_hash).map(|(_, seen)| seen.note.clone())
    }

    /// Judges a submission in the order that the text has; if it holds, writes it down and answers with the cosignature's line.
    pub fn add_checkpoint(&self, body: &str) -> Answer {
        let submission = match Submission::parse(body) {
            Ok(submission) => submission,
            Err(declined) => return Ok(Err(declined)),
        };
        let Submission { old, proof, note, checkpoint } = &submission;
        let Some(log) = self.logs.iter().find(|log| log.origin == checkpoint.origin()) else { return Ok(Err(Declined::UnknownLog)) };
        let mut signatures = match log.signatures(note) {
            Ok(signatures) => signatures,
            Err(declined) => return Ok(Err(declined)),
        };
        if *old > checkpoint.size() {
            return Ok(Err(Declined::Backwards));
        }
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let (size, root) = latest.get(&log.origin).map_or((0, EMPTY_HASH), |seen| (seen.size, seen.root));
        if *old != size {
            return Ok(Err(Declined::Stale(size)));
        }
        if !follows(proof, size, root, checkpoint) {
            return Ok(Err(Declined::Inconsistent));
        }
        let cosignature = self.cosigner.cosign(note.text())?;
        let answer = cosignature.to_bytes();
        signatures.push(cosignature);
        let cosigned = Note::new(note.text(), &signatures).map_err(|_| WitnessFault::Signing)?.to_bytes();
        self.write_down(&log.origin, &cosigned)?;
        latest.insert(log.origin.clone(), Latest { size: checkpoint.size(), root: *checkpoint.hash(), note: cosigned });
        Ok(Ok(answer))
    }

    /// Durable on return, and never half there.
    fn write_down(&self, origin: &str, note: &[u8]) -> Result<(), WitnessFault> {
        let path = record_path(&self.directory, origin);
        let incoming = path.with_extension("incoming");
        let written = File::create(&incoming)
            .and_then(|mut file| file.write_all(note).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&incoming, &path))
            .and_then(|()| File::open(&self.directory)?.sync_all());
        written.map_err(|source| WitnessFault::File { path, source })
    }
}

impl Latest {
    fn read(note: Vec<u8>, log: &KnownLog, cosigner: &Cosigner) -> Option<Self> {
        let parsed = Note::from_bytes(&note).ok()?;
        log.signatures(&parsed).ok()?;
        parsed.verify(&Own(cosigner)).ok()?;
        let checkpoint = Checkpoint::from_bytes(parsed.text()).ok()?;
        (checkpoint.origin() == log.origin).then(|| Self { size: checkpoint.size(), root: *checkpoint.hash(), note })
    }
}

/// The witness's own key alone.
struct Own<'a>(&'a Cosigner);

impl Verifiers for Own<'_> {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        let own = self.0.name() == name && self.0.key_id() == id;
        if own { Ok(self.0) } else { Err(VerificationError::UnknownKey { name: name.to_owned(), id }) }
    }
}

/// Whether the tree of the checkpoint begins with the one seen last.
fn follows(proof: &[Hash], size: u64, root: Hash, checkpoint: &Checkpoint) -> bool {
    if checkpoint.size() == 0 && *checkpoint.hash() != EMPTY_HASH {
        return false;
    }
    if size == 0 {
        return proof.is_empty();
    }
    check_tree(&proof.to_vec(), checkpoint.size(), *checkpoint.hash(), size, root).is_ok()
}

fn hash_of(origin: &str) -> String {
    hex::encode(sha256(origin.as_bytes()))
}

fn record_path(directory: &Path, origin: &str) -> PathBuf {
    directory.join(format!("{}.checkpoint", hash_of(origin)))
}
