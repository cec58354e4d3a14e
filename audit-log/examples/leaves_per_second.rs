//! Leaves a second on one core: appending to the tree, hashing leaves as a verifier does, committing to contents, and writing tiles.
//!
//! `cargo run --release -p audit-log --example leaves_per_second -- [LEAVES]`

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use audit_log::hash::sha256;
use audit_log::{Commitment, CompactRange, Content, Edge, LogKey, Salt, StoredTiles, TileDirectory};

/// Leaves of a batch, as the sequencer takes them.
const BATCH: usize = 8192;

fn main() {
    let count: u64 = std::env::args().nth(1).map_or(4_000_000, |count| count.parse().unwrap());
    let commitments: Vec<Commitment> = (0..count).map(|leaf| Commitment(sha256(&leaf.to_be_bytes()))).collect();

    let (mut edge, mut tiles, begin) = (Edge::empty(), BTreeMap::new(), Instant::now());
    for batch in commitments.chunks(BATCH) {
        tiles.extend(edge.append(batch).into_iter().map(|tile| ((tile.level, tile.number), tile.hashes)));
        black_box(edge.root());
    }
    show("appended to the tree, with roots and tiles", count, begin);

    let begin = Instant::now();
    let mut range = CompactRange::empty(0);
    commitments.iter().for_each(|commitment| range.push(commitment.leaf_hash()));
    assert_eq!(range.root(), Some(edge.root()));
    show("hashed up to the root by a verifier", count, begin);

    let begin = Instant::now();
    for commitment in &commitments {
        black_box(commitment.leaf_hash());
    }
    show("leaf hashes", count, begin);

    let data = r#"{"by":{"holder":17},"ca_key":1,"kind":"signature","serial":"5f3a9c0011223344556677889900aabbccddeeff"}"#;
    let (salts, mut text, begin) = (Salt::draw(BATCH).unwrap(), String::new(), Instant::now());
    let at = "2026-11-21T14:12:22.123Z".parse().unwrap();
    for position in 0..count.cast_signed() {
        let content = Content { application: Some(position), at, certificate: Some(position), data, kind: "certificate.issued", position };
        text.clear();
        content.write(&mut text);
        let salt = &salts[usize::try_from(position).unwrap() % BATCH];
        black_box(Commitment::of(salt, &text));
    }
    show("contents written and committed to", count, begin);

    let begin = Instant::now();
    for _ in 0..count {
        black_box(Content::parse(&text).unwrap());
    }
    show("contents read", count, begin);

    let directory = tempfile::tempdir().unwrap();
    let (log, key) = (TileDirectory::new(directory.path().join("log")), LogKey::generate("example.org/log").unwrap());
    let source = StoredTiles::new(
        |first, count| {
            let wanted = commitments.iter().skip(usize::try_from(first).unwrap()).take(usize::try_from(count).unwrap());
            Ok::<_, std::io::Error>(wanted.map(|commitment| commitment.0).collect())
        },
        |level, number| Ok(tiles.get(&(level, number)).cloned()),
    );
    let begin = Instant::now();
    log.publish(&source, &key.sign_checkpoint(count, edge.root()).unwrap()).unwrap();
    show("written as tiles and entries, synced", count, begin);
}

fn show(what: &str, count: u64, begin: Instant) {
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    println!("{what:<44} {rate:>12.0} leaves/s");
}
