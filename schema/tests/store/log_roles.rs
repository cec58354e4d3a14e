//! Each role's work on the log, done as its database user on PostgreSQL.

use chrono::TimeDelta;
use schema::audit_export::{ExportFormat, ExportPart, NewExport};
use schema::change::Origin;
use schema::instruction::{InstructionForm, NewInstruction};
use schema::log::{LogIdentity, LogNote, LogTile, LostLeaves};
use schema::search::SearchQuestion;
use schema::testing::{Sample, add_ca_keys, moment};
use schema::{Database, EventPosition, StoreFault, Transaction};
use serde_json::json;

use crate::grants::{CA, RA, STATUS, Users};
use crate::leaves::next_leaves;

fn write<T: Send + 'static>(database: &Database, work: impl FnMut(&mut Transaction<'_>) -> Result<T, StoreFault> + Send + 'static) -> T {
    database.writer().write(work).expect("the role may do its work")
}

/// How many leaves a role reads with their events.
fn records(database: &Database) -> Result<u64, StoreFault> {
    database.reader().log_records(0, 100, |_| -> Result<(), StoreFault> { Ok(()) })
}

#[test]
fn the_ca_keeps_the_log_the_ra_reads_it_and_the_status_service_sees_what_is_public() {
    let users = Users::new();
    let keys = add_ca_keys(&users.store.writer());
    let (ra, ca, status) = (users.open_as(RA), users.open_as(CA), users.open_as(STATUS));
    let identity = LogIdentity { origin: "log.example".to_owned(), verifier_key: "log.example+00+key".to_owned() };
    write(&ca, move |tx| tx.begin_log(&identity, moment(0)));
    let sample = Sample::new(1, keys);
    let application = sample.accept(&ra.writer());
    sample.issue(&ca.writer(), application, moment(2)).unwrap();

    let lease = write(&ca, |tx| tx.acquire_lease("log", "one", moment(0), TimeDelta::seconds(99))).unwrap();
    let mut seen = 0;
    ca.reader()
        .events_to_sequence(EventPosition(0), 100, |_| -> Result<(), StoreFault> {
            seen += 1;
            Ok(())
        })
        .unwrap();
    let mut batch = next_leaves(&users.store, seen);
    batch.tiles = vec![LogTile { level: 1, number: 0, hashes: vec![1; 32] }];
    let again = LogTile { hashes: vec![1; 64], ..batch.tiles[0].clone() };
    let leader = lease.clone();
    write(&ca, move |tx| tx.append_leaves(&leader, &batch, moment(3)));
    let size = ca.reader().log_head().unwrap().size;
    let note = LogNote { size, text: "a note\n".to_owned(), at: moment(4) };
    let leader = lease.clone();
    write(&ca, move |tx| tx.store_note(&leader, &note));
    let lost = LostLeaves { first_leaf: size, commitments: vec![[7; 32]], tiles: vec![again], root: [7; 32] };
    write(&ca, move |tx| tx.adopt_lost_leaves(&lost, moment(5)));

    let new = NewInstruction::new(InstructionForm::Operator, b"export".to_vec());
    let instruction = new.digest;
    write(&ra, move |tx| tx.receive_instruction(&new, moment(6)));
    let export = NewExport {
        public_id: "a".repeat(32),
        instruction,
        taken_by: Origin::Operator { name: "Mori".to_owned(), role: "auditor".to_owned() },
        from_leaf: 0,
        to_leaf: size,
        format: ExportFormat::Csv,
        previous_size: None,
        recipient: Some("age1example".to_owned()),
        checkpoint: "a note\n".to_owned(),
    };
    let id = write(&ca, move |tx| tx.take_export(&export, moment(7)));
    assert_eq!(ca.reader().accepted_evidence(0, size, 10).unwrap().len(), 1);
    let leader = lease.clone();
    let part = ExportPart { number: 0, from_leaf: 0, to_leaf: size, detail: json!({}) };
    write(&ca, move |tx| {
        tx.add_evidence_chunk(&leader, (id, 0), 0, b"sealed")?;
        tx.add_export_part(&leader, id, &part)?;
        tx.finish_export(&leader, id, "a manifest", moment(8))
    });

    let reader = ra.reader();
    assert_eq!(records(&ra), Ok(size + 1));
    let mut receipts = 0;
    reader.leaves_of_application(application, |_| receipts += 1).unwrap();
    assert_eq!(receipts, 4);
    reader.unsequenced_since().unwrap();
    let question = SearchQuestion { holder_id: Some(sample.holder_id), limit: 10, ..SearchQuestion::default() };
    assert_eq!(reader.search(&question).unwrap().hits.len(), 4);
    assert_eq!(reader.audit_export(&"a".repeat(32)).unwrap().unwrap().instruction, instruction);
    assert_eq!(reader.audit_export_parts(id, 0, 10).unwrap().len(), 1);
    assert_eq!(reader.evidence_chunk(id, 0, 0).unwrap().as_deref(), Some(b"sealed".as_slice()));
    assert!(reader.accepted_evidence(0, size, 10).is_err(), "evidence goes to the auditor sealed, or not at all");

    let reader = status.reader();
    assert_eq!(reader.log_head().unwrap().size, size + 1);
    assert_eq!(reader.log_commitments(0, 100).unwrap().len() as u64, size + 1);
    assert_eq!(reader.log_tile(1, 0).unwrap(), Some(vec![1; 64]));
    assert!(records(&status).is_err() && reader.audit_exports(None, 10).is_err(), "salts and exports are nobody's there");

    write(&ca, move |tx| tx.expire_export(&lease, id, moment(9)));
    assert_eq!(ra.reader().evidence_chunk(id, 0, 0).unwrap(), None);
    // Other roles leave no leaf, and no evidence of having tried.
    for (role, database) in [("ra", &ra), ("status", &status)] {
        let tried = database.writer().write(|tx| -> Result<(), StoreFault> {
            let lost = LostLeaves { first_leaf: 8, commitments: vec![[7; 32]], tiles: Vec::new(), root: [7; 32] };
            tx.adopt_lost_leaves(&lost, moment(5))
        });
        assert!(tried.is_err(), "{role}");
    }
    assert_eq!(ca.reader().log_head().unwrap().size, size + 1);
}
