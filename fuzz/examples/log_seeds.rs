//! Makes the inputs that the targets of the log begin with; the key that signed is thrown away.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use audit_log::export::ExportFormat;
use audit_log::hash::sha256;
use audit_log::receipt::{ReceiptApplication, ReceiptCertificate, ReceiptEntry};
use audit_log::testing::SyntheticLog;
use audit_log::tile::entry_bundle;
use audit_log::{Commitment, Content, Edge, LogKey, Receipt, Salt, StoredTiles, TlogProof, inclusion_proof};

fn main() {
    let seeds = fuzz::seeds();
    for target in ["log_texts", "log_exports"] {
        let directory = seeds.join(target);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
    }
    texts(&seeds.join("log_texts"));
    exports(&seeds.join("log_exports"));
}

fn texts(directory: &Path) {
    let digest = |name: &str| hex::encode(sha256(name.as_bytes()));
    let (upon, sha256) = (digest("application"), digest("certificate"));
    let accepted = format!(r#"{{"digest":"{upon}"}}"#);
    let issued = format!(r#"{{"application_sha256":"{upon}","kind":"signature","serial":"5f3a","sha256":"{sha256}"}}"#);
    let content = |data, kind, position, certificate| {
        let at = fuzz::now();
        Content { application: Some(12), at, certificate, data, kind, position }.text()
    };
    let contents = [content(&accepted, "application.accepted", 1, None), content(&issued, "certificate.issued", 2, Some(34))];
    let salts = Salt::draw(700).unwrap();
    let commitments: Vec<_> = salts.iter().enumerate().map(|(leaf, salt)| Commitment::of(salt, &contents[leaf % 2])).collect();
    let (key, mut edge) = (LogKey::generate("ra.example/log").unwrap(), Edge::empty());
    let tiles: BTreeMap<_, _> = edge.append(&commitments).into_iter().map(|tile| ((tile.level, tile.number), tile.hashes)).collect();
    let source = StoredTiles::new(
        |first, count| {
            let wanted = commitments.iter().skip(usize::try_from(first).unwrap()).take(usize::try_from(count).unwrap());
            Ok::<_, Infallible>(wanted.map(|commitment| commitment.0).collect())
        },
        |level, number| Ok(tiles.get(&(level, number)).cloned()),
    );
    let checkpoint = key.sign_checkpoint(edge.size(), edge.root()).unwrap();
    let proof = |leaf| {
        let hashes = inclusion_proof(&source, leaf, edge.size()).unwrap();
        TlogProof { leaf, hashes, note: checkpoint.note().to_owned() }
    };
    let entry = |leaf: u64| {
        let nth = usize::try_from(leaf).unwrap();
        ReceiptEntry::new(&contents[nth % 2], &salts[nth], &proof(leaf)).unwrap()
    };
    let certificate = ReceiptCertificate { kind: "signature".to_owned(), serial: "5f3a".to_owned(), sha256 };
    let receipt = Receipt::new(certificate, ReceiptApplication { sha256: upon.clone() }, entry(300), entry(401));
    receipt.verify(key.verifier(), &[], None, None).unwrap();

    let write = |name: &str, octets: &[u8]| fs::write(directory.join(name), octets).unwrap();
    write("verifier-key", key.verifier().vkey().as_bytes());
    write("checkpoint", checkpoint.note().as_bytes());
    write("checkpoint-text", checkpoint.text().as_bytes());
    write("proof", proof(300).text().as_bytes());
    write("proof-with-extra", proof(0).text().replacen("\nindex", "\nextra AAAA\nindex", 1).as_bytes());
    write("receipt", serde_json::to_string(&receipt).unwrap().as_bytes());
    write("accepted", contents[0].as_bytes());
    write("issued", contents[1].as_bytes());
    write("tile", b"tile/0/x001/234");
    write("entries", b"tile/entries/005.p/17");
    write("bundle", &entry_bundle(&commitments[..3]));
}

fn exports(directory: &Path) {
    let mut log = SyntheticLog::new(7, 16).unwrap();
    log.destroy([3], audit_log::export::Absent::Purged);
    log.destroy([5], audit_log::export::Absent::Lost);
    for (name, format) in [("jsonl", ExportFormat::Jsonl), ("csv", ExportFormat::Csv)] {
        let work = tempfile::tempdir().unwrap();
        let taken = work.path().join("export");
        log.export(&taken, 16, log.order(2, 14, format)).unwrap();
        let note = fs::read_to_string(taken.join("manifest.note")).unwrap();
        let (text, _) = note.split_once("\n\n").unwrap();
        fs::write(directory.join(format!("manifest-{name}")), format!("{text}\n")).unwrap();
        fs::copy(taken.join(format!("records-00000000.{name}")), directory.join(format!("records-{name}"))).unwrap();
    }
}
