//! What can keep an export from being made.

use audit_log::export::{ManifestFault, PartFault};
use audit_log::note::LogKeyFault;
use audit_log::{NoteRefusal, TileFault, TilePath};
use schema::StoreFault;
use schema::fault::FaultClass;

/// Why an export did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// What it would prove is not so: that ends it.
    #[error(transparent)]
    Defect(#[from] Defect),
    /// The store.
    #[error("the store failed")]
    Store(#[from] StoreFault),
    /// The tree's tiles.
    #[error("the tiles of the tree failed")]
    Tiles(#[source] TileFault),
    /// The log key.
    #[error("the manifest could not be signed")]
    Signature(#[from] LogKeyFault),
    /// A piece of work panicked: a fault of the program. What it had not committed is done again.
    #[error("a piece of work panicked")]
    Panicked,
}

/// What is wrong with the log, or with what was asked for. Told to the auditor as it stands: no personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// A record.
    #[error("{0}")]
    Record(PartFault),
    /// A record that cannot be read.
    #[error("leaf {leaf} cannot be read: {what}")]
    Unreadable {
        /// The leaf.
        leaf: u64,
        /// What of it.
        what: &'static str,
    },
    /// A tile of the tree.
    #[error("the tree in the store is damaged: {0}")]
    Tile(TilePath),
    /// A leaf that the published tree has otherwise.
    #[error("leaf {leaf} is not the one that was published")]
    Leaf {
        /// The leaf.
        leaf: u64,
    },
    /// Leaves that the tree has otherwise; which of them cannot be told.
    #[error("one of the leaves {from} to {last} is not the one that the tree was made of")]
    Leaves {
        /// The first of them.
        from: u64,
        /// The last of them.
        last: u64,
    },
    /// The tree.
    #[error("the tree of the store is not the one that the checkpoint states: `tsunagi log check` tells more")]
    Root,
    /// The checkpoint.
    #[error("the checkpoint that the export stands under is not this log's: {0}")]
    Checkpoint(NoteRefusal),
    /// The manifest.
    #[error("{0}")]
    Manifest(ManifestFault),
    /// What the store has of a part is not what was put there.
    #[error("a stored part of the export is no part of a manifest")]
    StoredPart,
    /// The evidence could not be encrypted.
    #[error("the evidence could not be encrypted")]
    Evidence,
    /// Again and again something failed that is no fault of the store.
    #[error("it was tried {times} times without success")]
    Hopeless {
        /// How often.
        times: u32,
    },
    /// The evidence.
    #[error("there is evidence of more than {most} applications: take shorter stretches")]
    TooMuchEvidence {
        /// As many as are allowed.
        most: u32,
    },
    /// The recipient.
    #[error("{recipient} is no recipient of age that evidence can be encrypted to")]
    Recipient {
        /// As it was asked for.
        recipient: String,
    },
}

impl ExportFault {
    /// Whether it tells against the export: the store comes back, and another leader goes on.
    pub(super) fn is_of_the_export(&self) -> bool {
        match self {
            Self::Store(StoreFault::Corrupt(_) | StoreFault::Misuse(_) | StoreFault::Panicked) => true,
            Self::Store(fault) => matches!(fault.class(), Some(FaultClass::Unique | FaultClass::ForeignKey | FaultClass::Check)),
            _ => true,
        }
    }
}

impl From<TileFault> for ExportFault {
    fn from(fault: TileFault) -> Self {
        match fault {
            TileFault::Absent(path) | TileFault::Damaged(path) | TileFault::Differs(path) => Self::Defect(Defect::Tile(path)),
            other => Self::Tiles(other),
        }
    }
}

impl From<PartFault> for ExportFault {
    fn from(fault: PartFault) -> Self {
        Self::Defect(Defect::Record(fault))
    }
}
