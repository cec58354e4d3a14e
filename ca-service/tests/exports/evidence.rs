//! Evidence: of every accepted application in the range, for one reader alone, bounded, and gone when the export is.

use audit_log::export::{Evidence, EvidenceReader, Identities};
use audit_log::hash::sha256;
use ca_core::clock::{Clock as _, SystemClock};
use ca_service::AuditSettings;
use chrono::TimeDelta;
use schema::audit_export::{ExportFormat, ExportState};
use schema::testing::{Sample, add_ca_keys};
use secrecy::ExposeSecret as _;

use crate::stage::House;

/// A house with so many applications, and an auditor's key.
fn house(applications: u32) -> (House, age::x25519::Identity) {
    let house = House::new(3);
    let ca_keys = add_ca_keys(&house.store.writer());
    for number in 0..applications {
        Sample::new(number, ca_keys).accept_and_issue(&house.store.writer(), SystemClock.now()).unwrap();
    }
    house.grow(3);
    (house, age::x25519::Identity::generate())
}

impl House {
    fn evidence_octets(&self, export: &str) -> Vec<u8> {
        let (reader, export) = (self.store.reader(), self.export(export).id);
        (0..).map_while(|sequence| reader.evidence_chunk(export, 0, sequence).unwrap()).flatten().collect()
    }
}

#[test]
fn evidence_is_there_for_whoever_has_the_key() {
    let (house, identity) = house(20);
    let export = house.ask('a', (0, house.size()), ExportFormat::Jsonl, Some(identity.to_public().to_string()));
    house.work();
    let manifest = house.manifest(&export);
    let stated = manifest.parts[0].evidence.as_ref().unwrap();
    let octets = house.evidence_octets(&export);
    assert_eq!((stated.applications, stated.file.octets, stated.file.sha256), (20, octets.len() as u64, sha256(&octets)));

    let mut reader = EvidenceReader::new(&Identities::parse(identity.to_string().expose_secret()).unwrap(), &octets[..]).unwrap();
    let mut found: Vec<Evidence> = Vec::new();
    while let Some(evidence) = reader.next_evidence().unwrap() {
        found.push(evidence);
    }
    assert_eq!(found.len(), 20);
    for (number, evidence) in (0..).zip(&found) {
        assert_eq!(evidence.cms, format!("card-signed message {number}").into_bytes());
        assert_eq!(evidence.sha256, sha256(&evidence.cms));
        assert_eq!(evidence.signature_ocsp.as_deref(), Some(format!("OCSP response {number}").as_bytes()));
        assert_eq!(evidence.authentication_certificate.as_deref(), Some(format!("authentication certificate {number}").as_bytes()));
    }
    assert!(!octets.windows(11).any(|octets| octets == b"card-signed"));
}

#[test]
fn there_is_no_more_of_it_than_the_settings_allow() {
    let (house, identity) = house(20);
    let export = house.ask('a', (0, house.size()), ExportFormat::Jsonl, Some(identity.to_public().to_string()));
    let settings = AuditSettings { evidence_applications: 19, ..AuditSettings::default() };
    let exporter = house.exporter(settings, TimeDelta::zero());
    while exporter.advance(&house.lease).unwrap() {}
    assert_eq!(house.failure(&export), "there is evidence of more than 19 applications: take shorter stretches");
    assert!(house.evidence_octets(&export).is_empty());
}

#[test]
fn it_is_removed_when_the_export_expires() {
    let (house, identity) = house(2);
    let export = house.ask('a', (0, house.size()), ExportFormat::Jsonl, Some(identity.to_public().to_string()));
    house.work();
    assert!(!house.evidence_octets(&export).is_empty());
    assert!(house.exporter(AuditSettings::default(), TimeDelta::days(8)).advance(&house.lease).unwrap());
    assert!(matches!(house.export(&export).state, ExportState::Expired { .. }));
    assert!(house.evidence_octets(&export).is_empty());
}
