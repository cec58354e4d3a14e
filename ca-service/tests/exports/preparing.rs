//! Preparing: part by part, by whoever leads, until it is signed; and no longer kept than said.

use audit_log::export::parts_of;
use audit_log::hash::sha256;
use audit_log::{Checkpoint, Commitment, CompactRange, root_of_ranges, verify_consistency};
use ca_service::AuditSettings;
use chrono::TimeDelta;
use schema::StoreFault;
use schema::audit_export::{ExportFormat, ExportState};

use crate::log_stage::lead;
use crate::stage::House;

#[test]
fn an_export_is_what_its_manifest_says() {
    let house = House::new(70_000);
    let size = house.size();
    house.grow(300);
    for (name, format, range) in [('a', ExportFormat::Jsonl, (0, size)), ('b', ExportFormat::Csv, (65_000, size + 250))] {
        let export = house.ask(name, range, format, None);
        house.work();
        let manifest = house.manifest(&export);
        assert_eq!((manifest.from, manifest.to, manifest.records), (range.0, range.1, range.1 - range.0));
        assert_eq!((manifest.taken_by.as_str(), manifest.origin.as_str()), ("Anna", house.stage.key().origin()));
        let checkpoint = Checkpoint::verify(&manifest.checkpoint, house.stage.key().verifier()).unwrap();
        let mut ranges = vec![CompactRange::new(0, range.0, manifest.before.clone()).unwrap()];
        for (part, (number, from, to)) in manifest.parts.iter().zip(parts_of(range.0, range.1)) {
            assert_eq!((part.number, part.from, part.to), (number, from, to));
            let records = house.records(&manifest, part);
            assert_eq!((part.records.octets, part.records.sha256), (records.len() as u64, sha256(&records)));
            let commitments = house.store.reader().log_commitments(from, u32::try_from(to - from).unwrap()).unwrap();
            let hashes: Vec<u8> = commitments.iter().flat_map(|one| Commitment(*one).leaf_hash()).collect();
            assert_eq!((part.hashes.octets, part.hashes.sha256), (hashes.len() as u64, sha256(&hashes)));
            ranges.push(CompactRange::new(from, to, part.nodes.clone()).unwrap());
        }
        ranges.push(CompactRange::new(range.1, checkpoint.size(), manifest.after.clone()).unwrap());
        assert_eq!(root_of_ranges(&ranges).unwrap(), *checkpoint.root());
        assert_eq!(manifest.previous.unwrap().size, range.0);
    }
}

impl House {
    /// The text of the last checkpoint.
    fn export_note_text(&self) -> String {
        let note = self.store.reader().log_head().unwrap().note.unwrap();
        self.stage.key().verifier().open(&note.text).unwrap().text().to_owned()
    }
}

#[test]
fn the_tree_of_an_export_extends_the_one_before() {
    let house = House::new(300);
    let (size, root) = (house.size(), Checkpoint::parse(&house.export_note_text()).unwrap().root);
    house.grow(600);
    let export = house.ask('a', (size, house.size()), ExportFormat::Jsonl, None);
    house.work();
    let manifest = house.manifest(&export);
    let checkpoint = Checkpoint::verify(&manifest.checkpoint, house.stage.key().verifier()).unwrap();
    let previous = manifest.previous.unwrap();
    assert_eq!(previous.size, size);
    verify_consistency(&previous.consistency, size, &root, checkpoint.size(), checkpoint.root()).unwrap();
}

#[test]
fn another_leader_goes_on_and_the_first_is_fenced_off() {
    let house = House::new(70_000);
    let export = house.ask('a', (0, house.size()), ExportFormat::Jsonl, None);
    let exporter = house.exporter(AuditSettings::default(), TimeDelta::zero());
    assert!(exporter.advance(&house.lease).unwrap());
    assert_eq!(house.export(&export).cursor, 65_536, "one part is prepared");

    let other = house.store.open_again();
    let lease = lead(&other, "two", 1);
    let fenced = exporter.advance(&house.lease).unwrap_err();
    assert!(matches!(fenced, ca_service::ExportFault::Store(StoreFault::Fenced(_))), "{fenced:?}");
    let next = house.exporter_in(&other, AuditSettings::default(), TimeDelta::zero());
    while next.advance(&lease).unwrap() {}
    assert_eq!(house.manifest(&export).parts.len(), 2);
}

#[test]
fn an_export_is_kept_as_long_as_the_settings_say() {
    let house = House::new(20);
    let export = house.ask('a', (0, house.size()), ExportFormat::Jsonl, None);
    house.work();
    let settings = AuditSettings { keep_days: 3, ..AuditSettings::default() };
    assert!(!house.exporter(settings.clone(), TimeDelta::hours(71)).advance(&house.lease).unwrap());
    assert!(matches!(house.export(&export).state, ExportState::Ready { .. }));
    assert!(house.exporter(settings, TimeDelta::hours(73)).advance(&house.lease).unwrap());
    assert!(matches!(house.export(&export).state, ExportState::Expired { .. }));
}
