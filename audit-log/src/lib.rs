//! The log of everything that was done: what its leaves are, the Merkle tree over them (RFC 6962), its tiles (C2SP tlog-tiles), its
//! checkpoints and their signatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature), proofs and receipts.
//!
//! A leaf is a [`Commitment`] to the [`Content`] of one event; [`Edge`] appends leaves and gives what changed in the tree;
//! [`TileDirectory`] keeps tiles and checkpoint as files; [`LogKey`] signs, [`LogVerifier`] and [`WitnessVerifier`] verify;
//! [`Receipt`] is what a holder gets. Nothing here knows a database or HTTP, and what it reads it believes only as far as hashes and
//! signatures reach. The formats are described in docs/log.md.

pub mod canonical;
pub mod commitment;
pub mod compact_range;
pub mod edge;
pub mod export;
pub mod hash;
pub mod note;
pub mod proof;
pub mod receipt;
#[cfg(feature = "evidence")]
pub mod report;
pub mod stored;
mod strict;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tile;
pub mod tlog_proof;
#[cfg(feature = "evidence")]
pub mod verify;

#[cfg(test)]
mod memory;

pub use canonical::Content;
pub use commitment::{Commitment, Salt};
pub use compact_range::{CompactRange, root_of_ranges};
pub use edge::{ChangedTile, Edge};
pub use hash::Hash;
pub use note::{Checkpoint, Cosignature, LogKey, LogVerifier, NoteRefusal, SignedCheckpoint, VerifiedNote, WitnessVerifier};
pub use proof::{consistency_proof, inclusion_proof, range_nodes, tree_root, verify_consistency, verify_inclusion};
pub use receipt::Receipt;
pub use stored::StoredTiles;
pub use tile::{TileDirectory, TileFault, TileKind, TilePath, TileSource};
pub use tlog_proof::TlogProof;
