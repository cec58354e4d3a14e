//! Octets as the texts of the log: checkpoints, proofs, receipts, verifier keys, contents, names of tiles, entry bundles. Whatever is
//! read is written alike, and nothing holds under the log key but what it signed.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use audit_log::canonical::canonical_text;
use audit_log::tile::{entry_bundle, parse_entry_bundle};
use audit_log::{Checkpoint, Content, LogVerifier, Receipt, SignedCheckpoint, TilePath, TlogProof, WitnessVerifier};
use libfuzzer_sys::fuzz_target;

/// What the seeds have, of a log whose key is thrown away.
struct Signed {
    log: LogVerifier,
    checkpoint: SignedCheckpoint,
    receipt: Receipt,
}

static SIGNED: LazyLock<Signed> = LazyLock::new(|| {
    let seed = |name: &str| fs::read_to_string(fuzz::seeds().join("log_texts").join(name)).unwrap();
    let log = LogVerifier::parse(&seed("verifier-key")).unwrap();
    let checkpoint = Checkpoint::verify(&seed("checkpoint"), &log).unwrap();
    Signed { log, checkpoint, receipt: Receipt::parse(&seed("receipt")).unwrap() }
});

fuzz_target!(|octets: &[u8]| {
    if let Some(entries) = parse_entry_bundle(octets) {
        assert_eq!(entry_bundle(&entries), octets);
    }
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Signed { log, checkpoint, receipt } = &*SIGNED;
    if let Ok(read) = Checkpoint::parse(text) {
        assert_eq!(read.text(), text);
    }
    if let Ok(verified) = Checkpoint::verify(text, log) {
        assert_eq!(verified.text(), checkpoint.text());
    }
    if let Ok(read) = TlogProof::parse(text) {
        // Extra data is not kept.
        assert!(read.text() == text || text.contains("\nextra "));
        assert_eq!(TlogProof::parse(&read.text()).as_ref(), Ok(&read));
    }
    if let Ok(read) = Receipt::parse(text) {
        let again = serde_json::to_string(&read).unwrap();
        assert_eq!(Receipt::parse(&again).as_ref(), Ok(&read));
        if read.verify(log, &[], None, None).is_ok() {
            let told = |receipt: &Receipt| (receipt.certificate.clone(), receipt.application.clone(), receipt.entries[1].content.clone());
            assert_eq!(told(&read), told(receipt));
        }
    }
    if let Ok(read) = LogVerifier::parse(text) {
        assert_eq!(read.vkey(), text.trim_end_matches('\n'));
    }
    if let Ok(read) = WitnessVerifier::parse(text) {
        assert_eq!(read.vkey(), text.trim_end_matches('\n'));
        assert!(read.read(text, checkpoint).is_err());
    }
    if let Ok(read) = Content::parse(text) {
        assert_eq!(read.text(), text);
    }
    if let Some(read) = TilePath::parse(text) {
        assert_eq!(read.to_string(), text);
        assert!(!text.contains("..") && !text.contains('\\'));
    }
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text)
        && let Some(canonical) = canonical_text(&value)
    {
        assert_eq!(canonical_text(&serde_json::from_str(&canonical).unwrap()), Some(canonical));
    }
});
