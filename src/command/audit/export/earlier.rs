//! What an auditor has already.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use audit_log::Checkpoint;
use audit_log::export::{MANIFEST_FILE, MANIFEST_OCTETS, Manifest};

use crate::failure::Failure;

/// Where an earlier export ended, and the size of the tree that it stands under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Earlier {
    /// The first leaf that the auditor does not have.
    pub(super) end: u64,
    /// The leaves of the tree that the auditor knows.
    pub(super) size: u64,
}

impl Earlier {
    /// Reads the directory of an export, its manifest, or a file with a checkpoint. That they are signed is for `audit verify` to check:
    /// here they only say what to ask for.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let file = if path.is_dir() { path.join(MANIFEST_FILE) } else { path.to_path_buf() };
        let unreadable = |error: std::io::Error| {
            let message = format!("{}: {error}", file.display());
            if error.kind() == std::io::ErrorKind::NotFound { Failure::not_found(message) } else { Failure::other(message) }
        };
        let mut note = String::new();
        File::open(&file).map_err(unreadable)?.take(MANIFEST_OCTETS as u64 + 1).read_to_string(&mut note).map_err(unreadable)?;
        Self::of_note(&note).ok_or_else(|| Failure::other(format!("{}: neither a checkpoint nor an export's manifest", file.display())))
    }

    fn of_note(note: &str) -> Option<Self> {
        let text = text(note)?;
        if !text.starts_with('{') {
            let size = Checkpoint::parse(text).ok()?.size;
            return Some(Self { end: size, size });
        }
        let manifest = Manifest::parse(text).ok()?;
        let checkpoint = manifest.checkpoint.clone();
        Some(Self { end: manifest.to, size: Checkpoint::parse(self::text(&checkpoint)?).ok()?.size })
    }
}

/// The text of a note, without its signatures.
fn text(note: &str) -> Option<&str> {
    // The line feed before the empty line belongs to the text.
    note.rfind("\n\n").map(|end| &note[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_tells_where_to_go_on() {
        let root = "A".repeat(43) + "=";
        let note = format!("log.example/x\n70000\n{root}\n\n— log.example/x AAAA\n");
        assert_eq!(Earlier::of_note(&note), Some(Earlier { end: 70_000, size: 70_000 }));
        assert_eq!(Earlier::of_note("hello\n\nworld\n"), None);
        assert_eq!(Earlier::of_note("{}\n\n— x AAAA\n"), None);
        assert_eq!(Earlier::of_note(""), None);
    }
}
