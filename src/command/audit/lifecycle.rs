//! By which life cycle the records of an export say that certificates were changed.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use crate::settings::ShippedLifecycle;

/// Octets of records that are looked through for it at most, of an export.
const LOOKED_THROUGH: u64 = 64 << 20;
/// Octets looked through at a time.
const PIECE: usize = 1 << 18;
/// The member of records, as both formats have it but for the quotes that CSV doubles.
const MEMBER: &[u8] = b"\"policy\"";
/// Octets from the member to the end of its value, at most: quotes, a colon, and a SHA-256 in hexadecimal.
const SPAN: usize = MEMBER.len() + 8 + 64;

/// The shipped life cycle whose SHA-256 the first record has that names one, in the first of these exports that has such a record. It only
/// says what to judge by: whether all records name it is judged with them.
pub(super) fn named<'a>(exports: impl Iterator<Item = &'a Path>) -> Option<ShippedLifecycle> {
    let digest = exports.filter(|path| path.is_dir()).find_map(first_in)?;
    [ShippedLifecycle::Jpki, ShippedLifecycle::DerivedPiv].into_iter().find(|shipped| {
        let policies = shipped.policies();
        policies.is_ok_and(|policies| hex::encode(policies.lifecycle.sha256) == digest)
    })
}

fn first_in(export: &Path) -> Option<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(export).ok()?.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("records-")));
    files.sort_unstable();
    let mut left = LOOKED_THROUGH;
    files.iter().find_map(|path| {
        let mut file = BufReader::new(File::open(path).ok()?.take(left));
        left = left.saturating_sub(path.metadata().map_or(0, |metadata| metadata.len()));
        let (mut text, mut piece) = (Vec::with_capacity(PIECE + SPAN), vec![0; PIECE]);
        loop {
            let read = file.read(&mut piece).ok()?;
            text.extend_from_slice(&piece[..read]);
            let found = first_of(&text);
            if found.is_some() || read == 0 {
                return found;
            }
            // One that lies across two pieces is found with the second.
            text.drain(..text.len().saturating_sub(SPAN));
        }
    })
}

fn first_of(text: &[u8]) -> Option<String> {
    let mut places = text.windows(MEMBER.len()).enumerate().filter(|(_, window)| *window == MEMBER).map(|(place, _)| place);
    places.find_map(|place| {
        let after = &text[place + MEMBER.len()..];
        let begins = after.iter().take(8).position(|octet| !matches!(octet, b'"' | b':'))?;
        let digest = after.get(begins..begins + 64)?;
        let is_digest = digest.iter().all(u8::is_ascii_hexdigit);
        is_digest.then(|| String::from_utf8_lossy(digest).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_that_names_a_shipped_life_cycle_tells_which() {
        for shipped in [ShippedLifecycle::Jpki, ShippedLifecycle::DerivedPiv] {
            let digest = hex::encode(shipped.policies().unwrap().lifecycle.sha256);
            let other = "0".repeat(64);
            for (name, line) in [
                ("records-00000000.jsonl", format!(r#"{{"kind":"x","policy_sha256":"{other}","policy":"{digest}"}}"#)),
                ("records-00000000.csv", format!(r#"1,"{{""policy_sha256"":""{other}"",""policy"":""{digest}""}}""#)),
            ] {
                let export = tempfile::tempdir().unwrap();
                // So that it lies across two pieces.
                let before = "x".repeat(PIECE - line.len() + 20);
                std::fs::write(export.path().join(name), format!("{before}{line}\n")).unwrap();
                assert_eq!(named([export.path()].into_iter()), Some(shipped), "{name}");
            }
        }
        let export = tempfile::tempdir().unwrap();
        std::fs::write(export.path().join("records-00000000.jsonl"), format!(r#"{{"policy":"{}"}}"#, "0".repeat(64))).unwrap();
        assert_eq!(named([export.path(), Path::new("none")].into_iter()), None, "an installation's own");
    }
}
