//! The issuance log of a restored store: what was published of it and the store has forgotten is found again in tile directories, and
//! witnesses are asked whether there was more.

use std::path::PathBuf;

use audit_log::{Checkpoint, Commitment, Edge, LogVerifier, SignedCheckpoint, StoredTiles, TileDirectory, TileSource, tree_root};
use ca_core::chain::Chain;
use ca_service::{WitnessSays, WitnessSettings, WitnessTold, ask_witnesses};
use schema::Reader;
use schema::log::{LogHead, LogIdentity, LogNote, LogTile, LostLeaves};

use crate::failure::Failure;
use crate::installation::Installation;
use crate::log_key::{log_key, log_key_file, tile_directory};

/// Leaves adopted in one transaction.
const SOME: u64 = 16_384;

/// The largest tree of the log that was published and found, held against the store's.
pub(super) struct FoundLog {
    reader: Reader,
    head: LogHead,
    /// Where it is, and its checkpoint; `None` if none was found.
    published: Option<(TileDirectory, SignedCheckpoint)>,
    /// What the witnesses of the settings say.
    witnesses: Vec<WitnessTold>,
}

impl FoundLog {
    /// Looks into the log's own tile directory and those that are given, and asks the witnesses. `None` if the store never had a log.
    ///
    /// A directory that is given and has no checkpoint of this log is a failure, the log's own is passed over with a warning. So is, with
    /// the code `log_forked`, a published tree that the store's does not lead to: then one of them is not this log's past.
    pub(super) fn gather(installation: &Installation, given: &[PathBuf]) -> Result<Option<Self>, Failure> {
        let reader = installation.database.reader();
        let head = reader.log_head().map_err(Failure::store)?;
        if head.identity.is_none() && !log_key_file(&installation.settings).exists() {
            return Ok(None);
        }
        let key = log_key(&installation.settings)?;
        let own = tile_directory(&installation.settings);
        let mut published = match checkpoint(&own, key.verifier()) {
            Ok(found) => found.map(|checkpoint| (own, checkpoint)),
            Err(why) => {
                tracing::warn!(directory = %own.path().display(), why, "the log's own tile directory is left out");
                None
            }
        };
        for path in given {
            let directory = TileDirectory::new(path);
            let refuse = |why: String| Failure::refused(format!("{}: {why}", path.display())).with_code("tiles_unbelievable");
            let found = checkpoint(&directory, key.verifier()).map_err(refuse)?;
            let found = found.ok_or_else(|| Failure::not_found(format!("{}: there is no checkpoint", path.display())))?;
            if published.as_ref().is_none_or(|(_, known)| known.size() < found.size()) {
                published = Some((directory, found));
            }
        }
        let mut found = Self { reader, head, published, witnesses: Vec::new() };
        found.hold_against_store()?;
        found.witnesses = found.ask(&installation.settings.log.witnesses, key.verifier());
        Ok(Some(found))
    }

    /// The leaves of the largest tree that is known: the store's or the published one.
    pub(super) fn size(&self) -> u64 {
        self.published().map_or(self.head.size, |published| published.max(self.head.size))
    }

    /// The leaves of the largest published tree that was found.
    pub(super) fn published(&self) -> Option<u64> {
        self.published.as_ref().map(|(_, checkpoint)| checkpoint.size())
    }

    /// What witnesses say that speaks against there being no larger tree than the one that was found, in words. Nobody has signed it.
    pub(super) fn claims(&self) -> impl Iterator<Item = String> + '_ {
        self.witnesses.iter().filter_map(|told| match told.says {
            WitnessSays::Larger(size) if size > self.size() => Some(format!("{told}, and {} were found", self.size())),
            WitnessSays::Inconsistent => Some(told.to_string()),
            _ => None,
        })
    }

    /// Witnesses that could not be asked, in words.
    pub(super) fn unasked(&self) -> impl Iterator<Item = String> + '_ {
        self.witnesses.iter().filter(|told| matches!(told.says, WitnessSays::Nothing(_))).map(WitnessTold::to_string)
    }

    /// Whether the store's log has this name.
    pub(super) fn is_called(&self, origin: &str) -> bool {
        self.head.identity.as_ref().is_some_and(|identity| identity.origin == origin)
    }

    /// The leaves of the store's tree.
    pub(super) fn stored(&self) -> u64 {
        self.head.size
    }

    /// What it takes for the store's tree to become the published one, some leaves at a time; `adopt` stores them. How many there were.
    pub(super) fn adopt(&self, mut adopt: impl FnMut(LostLeaves) -> Result<(), Failure>) -> Result<u64, Failure> {
        let Some((directory, checkpoint)) = &self.published else { return Ok(0) };
        let mut edge = self.edge()?;
        let mut adopted = 0;
        while edge.size() < checkpoint.size() {
            let first_leaf = edge.size();
            let commitments = some(directory, first_leaf, checkpoint.size())?;
            let tiles = edge.append(&commitments);
            let tiles = tiles.into_iter().map(|tile| LogTile { level: tile.level, number: tile.number, hashes: tile.hashes }).collect();
            adopted += commitments.len() as u64;
            let commitments = commitments.iter().map(|commitment| commitment.0).collect();
            adopt(LostLeaves { first_leaf, commitments, tiles, root: edge.root() })?;
        }
        Ok(adopted)
    }

    /// They are shown what was signed already: the store's last note, or what is published.
    fn ask(&self, witnesses: &[WitnessSettings], verifier: &LogVerifier) -> Vec<WitnessTold> {
        let note = self.head.note.as_ref().and_then(|note| Checkpoint::verify(&note.text, verifier).ok());
        match (&note, &self.published) {
            (Some(note), _) => ask_witnesses(witnesses, note, &self.source()),
            (None, Some((directory, checkpoint))) => ask_witnesses(witnesses, checkpoint, directory),
            (None, None) => Vec::new(),
        }
    }

    /// The published tree must be the store's, or one that it grew into or from; nothing else was ever signed.
    fn hold_against_store(&self) -> Result<(), Failure> {
        let Some((directory, checkpoint)) = &self.published else { return Ok(()) };
        let root = if checkpoint.size() <= self.head.size {
            tree_root(&self.source(), checkpoint.size()).map_err(failed)?
        } else {
            let mut edge = self.edge()?;
            while edge.size() < checkpoint.size() {
                edge.append(&some(directory, edge.size(), checkpoint.size())?);
            }
            edge.root()
        };
        if root == *checkpoint.root() {
            return Ok(());
        }
        let (stored, published) = (self.head.size, checkpoint.size());
        Err(Failure::refused(format!(
            "{}: the published tree of {published} leaves and the store's of {stored} have no common past, or the tiles there are damaged: \
             `tsunagi log check` tells more; another copy may be given with --log-tiles",
            directory.path().display()
        ))
        .with_code("log_forked"))
    }

    fn edge(&self) -> Result<Edge, Failure> {
        let edge = Edge::load(&self.source(), self.head.size).map_err(failed)?;
        if edge.root() == self.head.root {
            return Ok(edge);
        }
        Err(Failure::other("the store's tiles do not make its tree: `tsunagi log check` tells more").with_code("log_broken"))
    }

    fn source(&self) -> impl TileSource + Sync + '_ {
        StoredTiles::new(|first, count| self.reader.log_commitments(first, count), |level, number| self.reader.log_tile(level, number))
    }
}

/// A log that takes the place of one that cannot go on.
pub(super) struct NewLog {
    pub(super) identity: LogIdentity,
    /// Its first note, of all leaves.
    pub(super) note: Option<LogNote>,
}

impl NewLog {
    /// By the log's key under the name that the settings have, which must be another than the log's; nothing of the former log may lie where
    /// its tiles are to be published.
    pub(super) fn of(installation: &Installation) -> Result<Self, Failure> {
        let head = installation.database.reader().log_head().map_err(Failure::store)?;
        let former = head.identity.as_ref().ok_or_else(|| Failure::refused("there is no log that could go on in another"))?;
        let key = log_key(&installation.settings)?;
        if former.origin == key.origin() {
            return Err(Failure::settings(format!(
                "log.origin is that of the log that cannot go on, {}: give the new one another",
                former.origin
            )));
        }
        let directory = tile_directory(&installation.settings);
        if !matches!(directory.checkpoint(), Ok(None)) {
            let place = directory.path().display();
            return Err(Failure::settings(format!("{place}: the former log's tiles lie there: keep them, and name another log.directory")));
        }
        let sign = || key.sign_checkpoint(head.size, head.root).map_err(|fault| Failure::other(Chain(&fault).to_string()));
        let signed = if head.size > 0 { Some(sign()?) } else { None };
        let note = signed.map(|signed| LogNote { size: head.size, text: signed.note().to_owned(), at: chrono::Utc::now() });
        Ok(Self { identity: LogIdentity { origin: key.origin().to_owned(), verifier_key: key.verifier().vkey() }, note })
    }
}

/// The checkpoint of a directory, verified; `None` if there is none.
fn checkpoint(directory: &TileDirectory, verifier: &LogVerifier) -> Result<Option<SignedCheckpoint>, String> {
    let text = directory.checkpoint().map_err(|fault| Chain(&fault).to_string())?;
    let verified = text.map(|text| Checkpoint::verify(&text, verifier)).transpose();
    verified.map_err(|refusal| format!("its checkpoint is not of this log: {refusal}"))
}

fn some(directory: &TileDirectory, first: u64, end: u64) -> Result<Vec<Commitment>, Failure> {
    let count = usize::try_from((end - first).min(SOME)).unwrap_or(usize::MAX);
    directory.commitments(first, count).map_err(failed)
}

fn failed(fault: audit_log::TileFault) -> Failure {
    Failure::other(format!("the log's tiles: {}", Chain(&fault))).with_code("tiles_unreadable")
}
