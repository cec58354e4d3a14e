//! A store with a log, and somebody who asks for exports of it.

use std::sync::Arc;

use audit_log::LogKey;
use audit_log::export::{Manifest, Part, ReadContent, Record, RecordEncoder};
use audit_log::{Commitment, Content, Salt};
use ca_core::clock::{Clock, SystemClock};
use ca_core::instruction::InstructionForm;
use ca_service::{AuditSettings, Exporter, ExporterParts};
use chrono::{DateTime, TimeDelta, Utc};
use schema::audit_export::{AuditExport, ExportFormat, ExportState, NewExport};
use schema::change::Origin;
use schema::instruction::NewInstruction;
use schema::lease::Lease;
use schema::log::LeafContent;
use schema::testing::TestDatabase;
use schema::{Database, StoreFault};

use crate::log_stage::{Stage, events, keep, lead};

/// A clock that is ahead.
struct Ahead(TimeDelta);

impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.0
    }
}

/// A store, its log, and the lead.
pub(crate) struct House {
    pub(crate) stage: Stage,
    pub(crate) store: TestDatabase,
    pub(crate) lease: Lease,
}

impl House {
    /// A log of so many events and its beginning, in a new store.
    pub(crate) fn new(count: u32) -> Self {
        let (stage, store) = (Stage::new(), TestDatabase::sqlite());
        stage.begin(&store);
        let lease = lead(store.database(), "one", 0);
        let house = Self { stage, store, lease };
        house.grow(count);
        house
    }

    /// So many events more, and a checkpoint over them.
    pub(crate) fn grow(&self, count: u32) {
        events(self.store.database(), count);
        keep(&self.stage.keeper(self.store.database()), &self.lease);
    }

    /// The log's leaves under its last checkpoint.
    pub(crate) fn size(&self) -> u64 {
        self.store.reader().log_head().unwrap().note.unwrap().size
    }

    pub(crate) fn exporter(&self, settings: AuditSettings, ahead: TimeDelta) -> Exporter {
        self.exporter_in(self.store.database(), settings, ahead)
    }

    pub(crate) fn exporter_in(&self, database: &Database, settings: AuditSettings, ahead: TimeDelta) -> Exporter {
        let key: Arc<LogKey> = Arc::new(self.stage.key());
        Exporter::new(ExporterParts {
            key,
            directory: self.stage.tiles(),
            reader: database.reader(),
            writer: database.writer(),
            wake: database.wake(),
            clock: Arc::new(Ahead(ahead)),
            settings,
        })
    }

    /// Asks for an export, as the CA decides it.
    pub(crate) fn ask(&self, name: char, (from_leaf, to_leaf): (u64, u64), format: ExportFormat, recipient: Option<String>) -> String {
        let message = format!("an instruction {name}").into_bytes();
        let instruction = NewInstruction::new(InstructionForm::Operator, message);
        let public_id = name.to_string().repeat(32);
        let checkpoint = self.store.reader().log_head().unwrap().note.unwrap().text;
        let taken_by = Origin::Operator { name: "Anna".to_owned(), role: "auditor".to_owned() };
        let export = NewExport {
            public_id: public_id.clone(),
            instruction: instruction.digest,
            taken_by,
            from_leaf,
            to_leaf,
            format,
            previous_size: Some(from_leaf),
            recipient,
            checkpoint,
        };
        let take = move |tx: &mut schema::Transaction<'_>| -> Result<(), StoreFault> {
            tx.receive_instruction(&instruction, SystemClock.now())?;
            tx.take_export(&export, SystemClock.now()).map(drop)
        };
        self.store.writer().write(take).unwrap();
        public_id
    }

    /// Does all there is to do.
    pub(crate) fn work(&self) {
        let exporter = self.exporter(AuditSettings::default(), TimeDelta::zero());
        while exporter.advance(&self.lease).unwrap() {}
    }

    pub(crate) fn export(&self, public_id: &str) -> AuditExport {
        self.store.reader().audit_export(public_id).unwrap().unwrap()
    }

    /// The manifest of an export that is ready, under the log key.
    pub(crate) fn manifest(&self, public_id: &str) -> Manifest {
        let ExportState::Ready { manifest, .. } = self.export(public_id).state else { panic!("{:?}", self.export(public_id)) };
        let note = self.stage.key().verifier().open(&manifest).unwrap();
        Manifest::parse(note.text()).unwrap()
    }

    /// Why an export failed.
    pub(crate) fn failure(&self, public_id: &str) -> String {
        match self.export(public_id).state {
            ExportState::Failed { failure, .. } => failure,
            other => panic!("{other:?}"),
        }
    }

    /// A part's records, as they are written when somebody fetches them.
    pub(crate) fn records(&self, manifest: &Manifest, part: &Part) -> Vec<u8> {
        let encoder = RecordEncoder::new(manifest.format);
        let (mut lines, mut text) = (encoder.header().as_bytes().to_vec(), String::new());
        let read = self.store.reader().log_records(part.from, part.leaves(), |record| -> Result<(), StoreFault> {
            let LeafContent::Present { event, salt } = record.content else { panic!("leaf {}", record.leaf) };
            let parts = Content {
                application: event.application.map(|id| id.0),
                at: event.at,
                certificate: event.certificate.map(|id| id.0),
                data: event.data,
                kind: event.kind,
                position: event.position.0,
            };
            let content = ReadContent::write(parts, &mut text);
            assert_eq!(Commitment::of(&Salt(salt), content.text()).0, record.commitment);
            encoder.encode(&Record::Present { leaf: record.leaf, salt: Salt(salt), content }, &mut lines);
            Ok(())
        });
        assert_eq!(read.unwrap(), part.leaves());
        lines
    }
}
