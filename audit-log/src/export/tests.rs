//! Files as they are written and read back, by hand and by chance.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::hash::sha256;
use crate::{Commitment, Salt};

const CONTENT: &str =
    r#"{"application":3,"at":"2026-11-21T14:12:22.123Z","certificate":9,"data":{"a":"\"x\","},"kind":"certificate.issued","position":42}"#;

fn present(leaf: u64) -> Record<'static> {
    Record::Present { leaf, salt: Salt([7; 32]), content: ReadContent::parse(CONTENT).unwrap() }
}

fn absent(leaf: u64) -> Record<'static> {
    Record::Absent { leaf, absent: Absent::Purged, commitment: Commitment([9; 32]) }
}

fn lines(format: ExportFormat, records: &[Record<'_>]) -> Vec<u8> {
    let encoder = RecordEncoder::new(format);
    let mut lines = encoder.header().as_bytes().to_vec();
    records.iter().for_each(|record| encoder.encode(record, &mut lines));
    lines
}

/// How many records are read, or what is wrong with which line.
fn read(format: ExportFormat, file: &[u8]) -> Result<u64, (u64, RecordProblem)> {
    let mut reader = RecordReader::new(format, file);
    let mut count = 0;
    while reader.next_record().map_err(|fault| (fault.line, fault.problem))?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[test]
fn each_format_has_one_form() {
    let salt = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let commitment = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let json = String::from_utf8(lines(ExportFormat::Jsonl, &[present(5), absent(6)])).unwrap();
    assert_eq!(
        json,
        format!(
            "{{\"leaf\":5,\"salt\":\"{salt}\",\"content\":{CONTENT}}}\n{{\"leaf\":6,\"absent\":\"purged\",\"commitment\":\"{commitment}\"}}\n"
        )
    );
    let csv = String::from_utf8(lines(ExportFormat::Csv, &[present(5), absent(6)])).unwrap();
    let quoted = CONTENT.replace('"', "\"\"");
    assert_eq!(
        csv,
        format!(
            "{CSV_HEADER}5,2026-11-21T14:12:22.123Z,certificate.issued,9,3,42,{salt},,,\"{quoted}\"\r\n6,,,,,,,purged,{commitment},\r\n"
        )
    );
}

#[test]
fn what_is_written_is_read() {
    for format in [ExportFormat::Jsonl, ExportFormat::Csv] {
        let file = lines(format, &[present(0), absent(1), present(2)]);
        let mut reader = RecordReader::new(format, &file[..]);
        for record in [present(0), absent(1), present(2)] {
            assert_eq!(reader.next_record().unwrap(), Some(record));
        }
        assert_eq!(reader.next_record().unwrap(), None);
    }
}

#[test]
fn a_line_that_is_no_record_is_named() {
    let csv = String::from_utf8(lines(ExportFormat::Csv, &[absent(0), present(1)])).unwrap();
    let json = String::from_utf8(lines(ExportFormat::Jsonl, &[absent(0), present(1)])).unwrap();
    for (format, old, new, line) in [
        (ExportFormat::Csv, "leaf,at", "leaf,on", 1),
        (ExportFormat::Csv, "purged", "burned", 2),
        (ExportFormat::Csv, "1,2026", "01,2026", 3),
        (ExportFormat::Csv, "certificate.issued,9", "certificate.issued,8", 3),
        (ExportFormat::Csv, ",42,", ",,", 3),
        (ExportFormat::Csv, "Z,certificate.issued", "Z,certificate.held", 3),
        (ExportFormat::Csv, "\"\"position\"\"", "\"\"position\"", 3),
        (ExportFormat::Csv, "}\"\r\n", "}\r\n", 3),
        (ExportFormat::Csv, "}\"\r\n", "}\"\n", 3),
        (ExportFormat::Csv, "}\"\r\n", "}\"", 3),
        (ExportFormat::Csv, ",purged", "x,purged", 2),
        (ExportFormat::Jsonl, "purged", "burned", 1),
        (ExportFormat::Jsonl, "\"leaf\":1", "\"leaf\": 1", 2),
        (ExportFormat::Jsonl, "wc=\"", "wd=\"", 2),
        (ExportFormat::Jsonl, "\"kind\"", "\"sort\"", 2),
        (ExportFormat::Jsonl, "42}}\n", "42}}", 2),
    ] {
        let file = if format == ExportFormat::Csv { &csv } else { &json };
        let changed = file.replacen(old, new, 1);
        assert!(*file != changed, "{old}");
        assert_eq!(read(format, changed.as_bytes()).unwrap_err().0, line, "{old} -> {new}");
    }
    let fault = read(ExportFormat::Csv, csv.replace(",42,", ",43,").as_bytes()).unwrap_err();
    assert!(matches!(fault, (3, RecordProblem::Columns)));
    let endless = vec![b'x'; LINE_OCTETS + 2];
    assert!(matches!(read(ExportFormat::Jsonl, &endless), Err((1, RecordProblem::TooLong))));
    assert!(matches!(read(ExportFormat::Csv, b""), Err((1, RecordProblem::Header))));
    assert_eq!(read(ExportFormat::Jsonl, b"").unwrap(), 0);
}

proptest! {
    #[test]
    fn no_octets_make_the_readers_fall(file in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(ExportFormat::Jsonl, &file);
        let _ = read(ExportFormat::Csv, &[CSV_HEADER.as_bytes(), &file].concat());
    }

    /// Where a changed octet leaves a file that can be read, it is another record that is read: no two files say the same.
    #[test]
    fn two_files_never_say_the_same(at in 0..400_usize, octet in any::<u8>(), csv in any::<bool>()) {
        let format = if csv { ExportFormat::Csv } else { ExportFormat::Jsonl };
        let sound = lines(format, &[absent(6), present(70_000)]);
        let mut changed = sound.clone();
        let at = at % changed.len();
        changed[at] = octet;
        let mut reader = RecordReader::new(format, &changed[..]);
        let mut again = RecordEncoder::new(format).header().as_bytes().to_vec();
        while let Ok(Some(record)) = reader.next_record() {
            RecordEncoder::new(format).encode(&record, &mut again);
        }
        prop_assert_eq!(again == sound, changed == sound);
    }
}

#[test]
fn a_part_is_checked_and_summed_up_as_it_is_made() {
    let commitment = Commitment::of(&Salt([7; 32]), CONTENT);
    let mut part = PartBuilder::new(ExportFormat::Csv, 0, 1, 4);
    part.add(&present(1), &commitment).unwrap();
    assert_eq!(part.add(&present(1), &commitment), Err(PartFault::Order { expected: 2, found: 1 }));
    assert_eq!(part.add(&present(2), &Commitment([0; 32])), Err(PartFault::Commitment { leaf: 2 }));
    assert_eq!(part.add(&absent(2), &commitment), Err(PartFault::Commitment { leaf: 2 }));
    part.add(&absent(2), &Commitment([9; 32])).unwrap();
    part.add(&present(3), &commitment).unwrap();
    assert_eq!(part.add(&present(4), &commitment), Err(PartFault::Order { expected: 4, found: 4 }));
    let hashes = part.leaf_hashes().to_vec();
    let part = part.finish().unwrap();
    let file = lines(ExportFormat::Csv, &[present(1), absent(2), present(3)]);
    assert_eq!((part.purged, part.lost, part.records.octets), (1, 0, file.len() as u64));
    assert_eq!((part.records.sha256, part.hashes.sha256), (sha256(&file), sha256(hashes.as_flattened())));
    assert_eq!(part.nodes, [hashes[0], crate::hash::node_hash(&hashes[1], &hashes[2])]);
    assert_eq!(PartBuilder::new(ExportFormat::Csv, 0, 1, 4).finish(), Err(PartFault::Missing { leaf: 1 }));
}

#[test]
fn parts_are_cut_where_whole_subtrees_begin() {
    assert_eq!(parts_of(5, 5).count(), 0);
    assert_eq!(parts_of(65_535, 131_073).collect::<Vec<_>>(), [(0, 65_535, 65_536), (1, 65_536, 131_072), (2, 131_072, 131_073)]);
    assert_eq!((records_file(12, ExportFormat::Csv).as_str(), hashes_file(0).as_str()), ("records-00000012.csv", "hashes-00000000.bin"));
}

fn manifest() -> Manifest {
    let file = |name: String, octets| PartFile { name, octets, sha256: [1; 32] };
    let parts = parts_of(65_000, 70_000).map(|(number, from, to)| Part {
        number,
        from,
        to,
        purged: number,
        lost: 0,
        nodes: vec![[2; 32]],
        records: file(records_file(number, ExportFormat::Jsonl), 10),
        hashes: file(hashes_file(number), (to - from) * 32),
        evidence: None,
    });
    Manifest::new(ManifestContent {
        export: "00112233445566778899aabbccddeeff".to_owned(),
        origin: "log.example/x".to_owned(),
        key: "log.example/x+0+x".to_owned(),
        taken_at: "2026-11-21T14:12:22.1Z".parse().unwrap(),
        taken_by: "Anna".to_owned(),
        format: ExportFormat::Jsonl,
        checkpoint: "log.example/x\n70000\n".to_owned(),
        previous: Some(Previous { size: 65_000, consistency: vec![[3; 32]] }),
        before: vec![[4; 32]],
        after: Vec::new(),
        recipient: None,
        parts: parts.collect(),
    })
    .unwrap()
}

#[test]
fn a_manifest_is_one_canonical_line() {
    let manifest = manifest();
    let text = manifest.to_text();
    assert!(text.starts_with(r#"{"after":[],"before":["BAQE"#) && text.ends_with("\"type\":\"tsunagi.audit-export.v1\"}\n"), "{text}");
    assert!(text.contains(r#""taken_at":"2026-11-21T14:12:22.100Z""#) && text.lines().count() == 1);
    assert_eq!(Manifest::parse(&text).unwrap(), manifest);
    assert_eq!((manifest.records, manifest.purged, manifest.from, manifest.to), (4_999, 1, 65_000, 70_000));
}

#[test]
fn a_manifest_that_contradicts_itself_is_none() {
    let text = manifest().to_text();
    for (old, new) in [
        ("\"records\":4999", "\"records\":5000"),
        ("\"purged\":1,", "\"purged\":2,"),
        ("\"from\":65000", "\"from\":65001"),
        ("\"to\":70000,", "\"to\":140000,"),
        ("hashes-00000001.bin", "../hashes.bin"),
        ("records-00000001.jsonl", "records-00000002.jsonl"),
        ("\"octets\":17152", "\"octets\":17153"),
        ("00112233", "0011223X"),
        ("\"type\"", " \"type\""),
        ("tsunagi.audit-export.v1", "tsunagi.audit-export.v2"),
        ("\"origin\"", "\"more\":1,\"origin\""),
        ("AQEBAQEB", "AQEBAQE="),
        ("}\n", "}"),
        ("22.100Z", "22.1Z"),
    ] {
        let other = text.replacen(old, new, 1);
        // The hashes of files are hexadecimal: that replacement alone finds nothing.
        if old != "AQEBAQEB" {
            assert!(other != text, "{old}");
            assert!(Manifest::parse(&other).is_err(), "{old} -> {new}");
        }
    }
    assert_eq!(Manifest::parse(&" ".repeat(MANIFEST_OCTETS + 1)), Err(ManifestFault::TooLong));
    let none = ManifestContent { parts: Vec::new(), ..content_of(manifest()) };
    assert!(matches!(Manifest::new(none), Err(ManifestFault::Contradiction(_))));
}

fn content_of(manifest: Manifest) -> ManifestContent {
    let Manifest { export, origin, key, taken_at, taken_by, format, checkpoint, previous, before, after, recipient, parts, .. } = manifest;
    ManifestContent { export, origin, key, taken_at, taken_by, format, checkpoint, previous, before, after, recipient, parts }
}

fn evidence(application: u64) -> Evidence {
    Evidence {
        application,
        leaf: application * 2,
        sha256: [5; 32],
        cms: vec![6; 3_000],
        authentication_certificate: Some(vec![7; 900]),
        signature_ocsp: None,
    }
}

fn encrypted(identity: &age::x25519::Identity, count: u64) -> Vec<u8> {
    let recipient: Recipient = identity.to_public().to_string().parse().unwrap();
    let mut writer = EvidenceWriter::new(&recipient, Vec::new()).unwrap();
    (0..count).for_each(|application| writer.add(&evidence(application)).unwrap());
    writer.finish().unwrap()
}

fn identities(identity: &age::x25519::Identity) -> Identities {
    use secrecy::ExposeSecret as _;
    Identities::parse(&format!("# a comment\n{}\n", identity.to_string().expose_secret())).unwrap()
}

#[test]
fn evidence_is_for_one_reader_and_shows_every_change() {
    let identity = age::x25519::Identity::generate();
    let file = encrypted(&identity, 100);
    let open = |file: &[u8], keys: &Identities| -> Result<u64, EvidenceFault> {
        let mut reader = EvidenceReader::new(keys, file)?;
        let mut count = 0;
        while let Some(found) = reader.next_evidence()? {
            assert_eq!(found, evidence(count));
            count += 1;
        }
        Ok(count)
    };
    let keys = identities(&identity);
    assert_eq!(open(&file, &keys).unwrap(), 100);
    let other = identities(&age::x25519::Identity::generate());
    assert!(matches!(open(&file, &other), Err(EvidenceFault::NotForUs)));
    for at in [0, 60, 150, 300, file.len() / 2, file.len() - 1] {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(open(&changed, &keys).is_err(), "{at}");
        assert!(open(&file[..at], &keys).is_err(), "{at}");
    }
    assert!(matches!("age1nobody".parse::<Recipient>(), Err(EvidenceFault::Recipient)));
    assert!(matches!(Identities::parse("ssh-ed25519 x"), Err(EvidenceFault::Identity)));
    assert!(matches!(Identities::parse("# none\n"), Err(EvidenceFault::Identity)));
    assert!(!format!("{:?}", evidence(1)).contains("cms"));
}

/// What we encrypt, another implementation reads: the command `age`.
#[test]
fn the_age_command_reads_what_we_encrypt() {
    use secrecy::ExposeSecret as _;

    let directory = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    let (keys, file) = (directory.path().join("key.txt"), directory.path().join("evidence.age"));
    std::fs::write(&keys, identity.to_string().expose_secret()).unwrap();
    std::fs::File::create(&file).unwrap().write_all(&encrypted(&identity, 3)).unwrap();
    let read = std::process::Command::new("age").arg("--decrypt").arg("--identity").args([&keys, &file]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let lines: Vec<Evidence> =
        read.stdout.split_inclusive(|octet| *octet == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(lines, (0..3).map(evidence).collect::<Vec<_>>());
}
