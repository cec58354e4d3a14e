//! Names of tiles: `tile/0/x001/234` and `tile/entries/005.p/17`.

use std::fmt;

use super::{MAX_LEVEL, TILE_WIDTH};

/// Which tile, and how much of it. Shown, it is the path below a log's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TilePath {
    /// Hashes of a level, or entries.
    pub kind: TileKind,
    /// Index within the level.
    pub number: u64,
    /// Hashes or entries: 1 to 256; 256 is full.
    pub width: u16,
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileKind {
    /// Hashes.
    Hashes {
        /// 0: of leaves; above: of full tiles of the level below.
        level: u8,
    },
    /// The entries themselves, an entry bundle.
    Entries,
}

impl TilePath {
    /// Reads a path. There is one way alone to write each; anything else, dots included, is `None`.
    pub fn parse(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = if kind == "entries" {
            TileKind::Entries
        } else {
            TileKind::Hashes { level: decimal(kind, MAX_LEVEL.into())?.try_into().ok()? }
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, decimal(width, TILE_WIDTH - 1).filter(|width| *width > 0)?),
            None => (rest, TILE_WIDTH),
        };
        let path = Self { kind, number: parse_number(number)?, width: width.try_into().ok()? };
        Some(path)
    }

    /// Whether it holds as much as it ever will.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// The same tile at another width.
    pub(crate) fn with_width(self, width: u16) -> Self {
        Self { width, ..self }
    }

    /// Octets that it has.
    pub(crate) fn octets(&self) -> usize {
        let one = match self.kind {
            TileKind::Hashes { .. } => 32,
            TileKind::Entries => 34,
        };
        one * usize::from(self.width)
    }

    /// The path without the part that says the width.
    pub(crate) fn full_name(&self) -> String {
        self.with_width(256).to_string()
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut above = Vec::new();
        let mut rest = self.number / 1000;
        while rest > 0 {
            above.push(rest % 1000);
            rest /= 1000;
        }
        above.iter().rev().try_for_each(|element| write!(f, "x{element:03}/"))?;
        write!(f, "{:03}", self.number % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// Three digits in each element, all but the last after an x, no element of zeros in front.
fn parse_number(text: &str) -> Option<u64> {
    let (above, last) = match text.rsplit_once('/') {
        Some((above, last)) => (Some(above), last),
        None => (None, text),
    };
    let mut number = 0_u64;
    for (place, element) in above.into_iter().flat_map(|above| above.split('/')).enumerate() {
        let element = three_digits(element.strip_prefix('x')?)?;
        if place == 0 && element == 0 {
            return None;
        }
        number = number.checked_mul(1000)?.checked_add(element)?;
    }
    number.checked_mul(1000)?.checked_add(three_digits(last)?)
}

fn three_digits(text: &str) -> Option<u64> {
    let digits = text.len() == 3 && text.bytes().all(|octet| octet.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A decimal number without leading zeros.
fn decimal(text: &str, most: u64) -> Option<u64> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number: u64 = if plain { text.parse().ok()? } else { return None };
    (number <= most).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hashes(level: u8, number: u64, width: u16) -> TilePath {
        TilePath { kind: TileKind::Hashes { level }, number, width }
    }

    #[test]
    fn paths_are_those_of_the_text() {
        assert_eq!(hashes(0, 1_234_067, 256).to_string(), "tile/0/x001/x234/067");
        assert_eq!(hashes(3, 0, 1).to_string(), "tile/3/000.p/1");
        assert_eq!(TilePath { kind: TileKind::Entries, number: 1000, width: 255 }.to_string(), "tile/entries/x001/000.p/255");
    }

    #[test]
    fn there_is_one_way_to_write_a_path() {
        for path in [
            "",
            "tile/",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/00/000",
            "tile/8/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/+0/000",
            "tile/0/x000/001",
            "tile/0/001/001",
            "tile/0/x001/x001",
            "tile/0/x01/001",
            "tile/0/000.p/0",
            "tile/0/000.p/00",
            "tile/0/000.p/256",
            "tile/0/000.p/",
            "tile/0/000.p/1.p/1",
            "tile/0/000/",
            "tile/0/../000",
            "tile/0/x001/..",
            "tile/0/%2e%2e",
            "tile/entries/..",
            "/tile/0/000",
            "tile/0//000",
            "tile/data/000",
            "checkpoint",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/0/000\0",
            "tile/0/٠٠٠",
        ] {
            assert_eq!(TilePath::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn paths_survive_their_text(level in 0..=MAX_LEVEL, number in 0_u64..u64::MAX / 1000, width in 1_u16..=256, entries: bool) {
            let kind = if entries { TileKind::Entries } else { TileKind::Hashes { level } };
            let path = TilePath { kind, number, width };
            prop_assert_eq!(TilePath::parse(&path.to_string()), Some(path));
        }

        #[test]
        fn what_is_read_is_written_alike(text in "(tile/[0-9a-z/.x]{0,24})|(.{0,40})") {
            if let Some(path) = TilePath::parse(&text) {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
