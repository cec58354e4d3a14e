//! Whether anybody knows a tree of the log that the store's does not extend, as far as that can be seen without the process that keeps the
//! log: from the store's last note, the tile directory, the witnesses and the high-water files.

use audit_log::{Checkpoint, LogVerifier, SignedCheckpoint, StoredTiles, TileSource, tree_root};
use ca_core::chain::Chain;
use ca_service::{WitnessSays, ask_witnesses};
use schema::{Database, Reader};
use serde::Serialize;

use crate::failure::Failure;
use crate::high_water::{Found, HighWaterFiles};
use crate::log_key::tile_directory;
use crate::settings::Settings;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct LogStanding {
    pub(crate) disputes: Vec<Dispute>,
    /// Who could not be asked, or whose answer is none: in words.
    pub(crate) unknown: Vec<String>,
}

/// Somebody knows a tree that the store's does not extend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Dispute {
    /// `note`, `directory`, `witness` or `high_water`.
    pub(crate) by: &'static str,
    /// Whether what is known is at hand and the log's key signed it. What a witness or a high-water file says nobody has signed.
    pub(crate) signed: bool,
    /// A sentence.
    pub(crate) words: String,
}

impl LogStanding {
    /// Looks everywhere; witnesses are waited for, some seconds at most. Nothing is looked for before the log has begun.
    pub(crate) fn look(settings: &Settings, database: &Database) -> Result<Self, Failure> {
        let (reader, mut seen) = (database.reader(), Self::default());
        let head = reader.log_head().map_err(Failure::store)?;
        let Some(identity) = &head.identity else { return Ok(seen) };
        let Ok(verifier) = LogVerifier::parse(&identity.verifier_key) else {
            seen.unknown.push("the verifier key in the store is none".to_owned());
            return Ok(seen);
        };
        let note = head.note.as_ref().and_then(|note| seen.verified("the last signed note in the store", &note.text, &verifier));
        let directory = tile_directory(settings);
        let published = match directory.checkpoint() {
            Ok(text) => text.and_then(|text| seen.verified(&format!("the checkpoint in {}", directory.path().display()), &text, &verifier)),
            Err(fault) => {
                seen.unknown.push(format!("{}: {}", directory.path().display(), Chain(&fault)));
                None
            }
        };
        let told = match &note {
            Some(note) => ask_witnesses(&settings.log.witnesses, note, &source(&reader)),
            None => Vec::new(),
        };
        let paths = settings.store.high_water.iter().map(|path| settings.path(path)).collect();
        let marks: Vec<_> =
            HighWaterFiles::new(paths, database.instance()).look().into_iter().map(|(path, found)| (path.to_owned(), found)).collect();
        // The store last: whatever others have was in it before.
        let size = reader.log_head().map_err(Failure::store)?.size;
        for (by, what, known) in [("note", "the last signed note in the store", &note), ("directory", "the tile directory", &published)] {
            if let Some(known) = known {
                seen.hold(by, what, known, size, &reader);
            }
        }
        for told in told {
            match told.says {
                WitnessSays::Larger(known) if known > size => seen.dispute("witness", false, format!("{told}, and the store has {size}")),
                WitnessSays::Inconsistent => seen.dispute("witness", false, told.to_string()),
                WitnessSays::Nothing(_) => seen.unknown.push(told.to_string()),
                WitnessSays::Larger(_) | WitnessSays::Cosigned => {}
            }
        }
        for (path, found) in marks {
            let Found::Sound(found) = found else { continue };
            let logs = [Some(&found.mark), found.before.as_ref()].into_iter().flatten().filter_map(|mark| mark.log.as_ref());
            let signed = logs.filter(|log| log.origin == identity.origin).map(|log| log.size).max();
            if let Some(signed) = signed.filter(|signed| *signed > size) {
                let words = format!("{} says that {signed} leaves were signed, and the store has {size}", path.display());
                seen.dispute("high_water", false, words);
            }
        }
        Ok(seen)
    }

    /// A paragraph for people; nothing where nothing is to be said.
    pub(crate) fn text(&self) -> Option<String> {
        let mut lines: Vec<String> = self.disputes.iter().map(|dispute| format!("- {}", dispute.words)).collect();
        if !lines.is_empty() {
            lines.insert(
                0,
                "The log is disputed: more of it is known than the store has, or something else. See `tsunagi restore`.".to_owned(),
            );
        }
        lines.extend(self.unknown.iter().map(|words| format!("Not known: {words}.")));
        if lines.is_empty() { None } else { Some(lines.join("\n")) }
    }

    fn verified(&mut self, what: &str, text: &str, verifier: &LogVerifier) -> Option<SignedCheckpoint> {
        Checkpoint::verify(text, verifier).map_err(|refusal| self.unknown.push(format!("{what} is none of this log: {refusal}"))).ok()
    }

    fn hold(&mut self, by: &'static str, what: &str, known: &SignedCheckpoint, size: u64, reader: &Reader) {
        let leaves = known.size();
        if leaves > size {
            return self.dispute(by, true, format!("{what} has a tree of {leaves} leaves, and the store has {size}"));
        }
        match tree_root(&source(reader), leaves) {
            Ok(root) if root == *known.root() => {}
            Ok(_) => self.dispute(by, true, format!("{what} has another tree of {leaves} leaves than the store")),
            Err(fault) => self.unknown.push(format!("the store's tree of {leaves} leaves: {}", Chain(&fault))),
        }
    }

    fn dispute(&mut self, by: &'static str, signed: bool, words: String) {
        self.disputes.push(Dispute { by, signed, words });
    }
}

fn source(reader: &Reader) -> impl TileSource + Sync + '_ {
    StoredTiles::new(|first, count| reader.log_commitments(first, count), |level, number| reader.log_tile(level, number))
}
