//! Exports that auditors take: asked for once, prepared part by part by whoever leads, ended for good.

use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use schema::audit_export::{ExportFormat, ExportId, ExportPart, ExportState, NewExport};
use schema::change::Origin;
use schema::fault::FaultClass;
use schema::instruction::{InstructionForm, NewInstruction};
use schema::lease::Lease;
use schema::testing::{Sample, TestDatabase, add_ca_keys, moment};
use schema::{EventKind, EventPosition, StoreFault, Transaction, on_each_database};
use serde_json::json;

use crate::leaves::{lead, sequence};

fn auditor() -> Origin {
    Origin::Operator { name: "Mori".to_owned(), role: "auditor".to_owned() }
}

fn ask(store: &TestDatabase, message: &str) -> Sha256Digest {
    let new = NewInstruction::new(InstructionForm::Operator, message.as_bytes().to_vec());
    let digest = new.digest;
    store.writer().write(move |tx| tx.receive_instruction(&new, moment(1))).unwrap();
    digest
}

fn new_export(number: u8, instruction: Sha256Digest) -> NewExport {
    NewExport {
        public_id: format!("{number:032x}"),
        instruction,
        taken_by: auditor(),
        from_leaf: 65_000,
        to_leaf: 140_000,
        format: ExportFormat::Jsonl,
        previous_size: Some(65_000),
        recipient: Some("age1example".to_owned()),
        checkpoint: "a note\n".to_owned(),
    }
}

fn take(store: &TestDatabase, new: &NewExport) -> Result<ExportId, StoreFault> {
    let new = new.clone();
    store.writer().write(move |tx| tx.take_export(&new, moment(2)))
}

fn write(
    store: &TestDatabase,
    lease: &Lease,
    write: impl Fn(&mut Transaction<'_>, &Lease) -> Result<(), StoreFault> + Send + 'static,
) -> Result<(), StoreFault> {
    let lease = lease.clone();
    store.writer().write(move |tx| write(tx, &lease))
}

fn parts() -> [ExportPart; 3] {
    [(0, 65_000, 65_536), (1, 65_536, 131_072), (2, 131_072, 140_000)].map(|(number, from_leaf, to_leaf)| ExportPart {
        number,
        from_leaf,
        to_leaf,
        detail: json!({"number": number}),
    })
}

fn evidence(store: &TestDatabase, export: ExportId, number: u64) -> Vec<u8> {
    let reader = store.reader();
    (0..).map_while(|sequence| reader.evidence_chunk(export, number, sequence).unwrap()).flatten().collect()
}

on_each_database! {
    fn an_export_is_taken_once_for_an_instruction_and_leaves_its_event(store) {
        let instruction = ask(store, "all of it");
        let new = new_export(1, instruction);
        let id = take(store, &new).unwrap();
        assert_eq!(take(store, &NewExport { public_id: "f".repeat(32), ..new.clone() }).unwrap_err().class(), Some(FaultClass::Unique));
        let unknown = NewExport { public_id: "e".repeat(32), instruction: Sha256Digest::of(b"nothing"), ..new.clone() };
        assert!(matches!(take(store, &unknown), Err(StoreFault::Misuse(_))));
        let nobody = NewExport { taken_by: Origin::HolderCard, ..new.clone() };
        assert!(matches!(take(store, &nobody), Err(StoreFault::Misuse(_))));

        let export = store.reader().audit_export(&new.public_id).unwrap().unwrap();
        assert_eq!((export.id, export.instruction, export.taken_by.as_str(), export.taken_at), (id, instruction, "Mori", moment(2)));
        assert_eq!((export.from_leaf, export.to_leaf, export.cursor, export.previous_size), (65_000, 140_000, 65_000, Some(65_000)));
        assert_eq!((export.format, export.recipient.as_deref(), export.state.clone()), (ExportFormat::Jsonl, Some("age1example"), ExportState::Preparing));
        assert_eq!(store.reader().audit_exports_preparing(10).unwrap(), [export]);
        let event = &store.reader().events_after(EventPosition(0), 10).unwrap()[0];
        assert_eq!((event.kind, &event.data), (EventKind::ExportTaken, &json!({
            "export": new.public_id, "from": 65_000, "to": 140_000, "format": "jsonl", "with_evidence": true,
            "by": {"operator": "Mori", "role": "auditor"}, "instruction": instruction.to_string(),
        })));
    }

    fn an_export_is_prepared_part_by_part_and_then_ready(store) {
        let lease = lead(store);
        let new = new_export(1, ask(store, "all of it"));
        let id = take(store, &new).unwrap();
        let finish = |manifest: &'static str| write(store, &lease, move |tx, lease| tx.finish_export(lease, id, manifest, moment(9)));
        for (place, part) in parts().into_iter().enumerate() {
            assert!(matches!(finish("too early"), Err(StoreFault::Misuse(_))));
            let number = part.number;
            write(store, &lease, move |tx, lease| tx.add_evidence_chunk(lease, (id, number), 0, b"broken off")).unwrap();
            write(store, &lease, move |tx, lease| tx.add_evidence_chunk(lease, (id, number), 1, b"broken off")).unwrap();
            write(store, &lease, move |tx, lease| tx.add_evidence_chunk(lease, (id, number), 0, b"the first, ")).unwrap();
            write(store, &lease, move |tx, lease| tx.add_evidence_chunk(lease, (id, number), 1, b"the second")).unwrap();
            let again = part.clone();
            let next = parts()[(place + 1) % 3].clone();
            assert!(write(store, &lease, move |tx, lease| tx.add_export_part(lease, id, &next)).is_err(), "it is not the next");
            write(store, &lease, move |tx, lease| tx.add_export_part(lease, id, &part)).unwrap();
            assert!(write(store, &lease, move |tx, lease| tx.add_export_part(lease, id, &again)).is_err(), "it is there");
            assert_eq!(evidence(store, id, number), b"the first, the second");
        }
        finish("a signed manifest").unwrap();
        assert!(finish("another").is_err());
        let export = store.reader().audit_export(&new.public_id).unwrap().unwrap();
        assert_eq!(export.state, ExportState::Ready { manifest: "a signed manifest".to_owned(), at: moment(9) });
        assert_eq!(export.cursor, 140_000);
        assert_eq!(store.reader().audit_export_parts(id, 0, 10).unwrap(), parts());
        assert_eq!(store.reader().audit_export_parts(id, 1, 1).unwrap(), parts()[1..2]);
        assert_eq!(store.reader().audit_exports_preparing(10).unwrap(), []);

        assert_eq!(store.reader().audit_exports_ready_before(moment(9), 10).unwrap(), []);
        assert_eq!(store.reader().audit_exports_ready_before(moment(10), 10).unwrap(), std::slice::from_ref(&export));
        write(store, &lease, move |tx, lease| tx.expire_export(lease, id, moment(20))).unwrap();
        assert!(write(store, &lease, move |tx, lease| tx.expire_export(lease, id, moment(20))).is_err());
        let expired = store.reader().audit_export(&new.public_id).unwrap().unwrap();
        assert_eq!(expired.state, ExportState::Expired { manifest: "a signed manifest".to_owned(), at: moment(20) });
        assert_eq!(store.reader().audit_export_parts(id, 0, 10).unwrap(), []);
        assert_eq!(evidence(store, id, 0), b"");
    }

    fn an_export_that_cannot_be_made_says_why_and_keeps_nothing(store) {
        let lease = lead(store);
        let (first, second) = (new_export(1, ask(store, "one")), new_export(2, ask(store, "two")));
        let id = take(store, &first).unwrap();
        let other = take(store, &second).unwrap();
        write(store, &lease, move |tx, lease| tx.add_evidence_chunk(lease, (id, 0), 0, b"secret")).unwrap();
        write(store, &lease, move |tx, lease| tx.fail_export(lease, id, "leaf 65007 is not what was committed to", moment(9))).unwrap();
        assert!(write(store, &lease, move |tx, lease| tx.fail_export(lease, id, "again", moment(9))).is_err());
        let failed = store.reader().audit_export(&first.public_id).unwrap().unwrap();
        assert_eq!(failed.state, ExportState::Failed { failure: "leaf 65007 is not what was committed to".to_owned(), at: moment(9) });
        assert_eq!(evidence(store, id, 0), b"");
        let names = |page: Vec<schema::audit_export::AuditExport>| page.iter().map(|export| export.id).collect::<Vec<_>>();
        assert_eq!(names(store.reader().audit_exports(None, 10).unwrap()), [other, id]);
        assert_eq!(names(store.reader().audit_exports(Some(other), 10).unwrap()), [id]);
        assert_eq!(names(store.reader().audit_exports(None, 1).unwrap()), [other]);
    }

    fn a_former_leader_prepares_nothing(store) {
        let former = lead(store);
        let id = take(store, &new_export(1, ask(store, "all of it"))).unwrap();
        let later = chrono::TimeDelta::seconds(10);
        store.writer().write(move |tx| tx.acquire_lease("log", "two", moment(5_000), later)).unwrap().unwrap();
        let fenced = Err(StoreFault::Fenced("log".to_owned()));
        let part = parts()[0].clone();
        assert_eq!(write(store, &former, move |tx, lease| tx.add_export_part(lease, id, &part)), fenced);
        assert_eq!(write(store, &former, move |tx, lease| tx.add_evidence_chunk(lease, (id, 0), 0, b"x")), fenced);
        assert_eq!(write(store, &former, move |tx, lease| tx.finish_export(lease, id, "x", moment(9))), fenced);
        assert_eq!(write(store, &former, move |tx, lease| tx.fail_export(lease, id, "x", moment(9))), fenced);
        assert_eq!(write(store, &former, move |tx, lease| tx.expire_export(lease, id, moment(9))), fenced);
    }

    fn evidence_is_found_by_the_leaves_of_acceptances(store) {
        let lease = lead(store);
        let keys = add_ca_keys(&store.writer());
        let samples = [1, 2, 3].map(|number| Sample::new(number, keys));
        let signature_only = Sample { kinds: vec![CertificateKind::Signature], ..samples[2].clone() };
        for sample in [&samples[0], &samples[1], &signature_only] {
            sample.accept_and_issue(&store.writer(), moment(10)).unwrap();
        }
        sequence(store, &lease);
        let all = store.reader().accepted_evidence(0, 100, 10).unwrap();
        let told: Vec<_> = all.iter().map(|found| (found.leaf, found.digest, found.cms.clone(), found.authentication_certificate.is_some())).collect();
        let expected = |sample: &Sample, leaf: u64, is_both: bool| (leaf, sample.digest(), sample.cms(), is_both);
        assert_eq!(told, [expected(&samples[0], 2, true), expected(&samples[1], 6, true), expected(&signature_only, 10, false)]);
        assert_eq!(all[0].signature_ocsp.as_deref(), Some(b"OCSP response 1".as_slice()));
        assert_eq!(store.reader().accepted_evidence(3, 10, 10).unwrap(), all[1..2]);
        assert_eq!(store.reader().accepted_evidence(0, 100, 1).unwrap(), all[..1]);
    }
}
