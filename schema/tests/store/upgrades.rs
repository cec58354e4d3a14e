//! A store of an earlier version is brought up to this one, with what is in it.

use std::path::Path;

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use schema::certificate::CertificateState;
use schema::crl::{CRL_CHUNK_OCTETS, CrlCause, CrlScope, PublishedCrl};
use schema::search::SearchQuestion;
use schema::testing::{TestDatabase, execute_on, moment, new_ca_key};
use schema::{Database, EventPosition, OpenOptions, StoreFault, on_each_database};

const FIRST: &str = "20261121000001";
const SECOND: &str = "20261121000002";

const SPINE: &str = "2026-11-21-000001_spine";

/// Events of the store of the second version, besides the two that something hangs on.
const EVENTS: i64 = 20_000;
const KEY: CaKeyId = CaKeyId(1);

fn migration(database: &str, name: &str) -> String {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database).join(name).join("up.sql");
    std::fs::read_to_string(place).unwrap()
}

/// The URL of a database with the tables of these migrations, and nothing in them.
fn earlier(store: &TestDatabase, versions: &[(&str, &str)]) -> String {
    let database = if store.is_postgres() { "postgres" } else { "sqlite" };
    let mut statements =
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT \
         CURRENT_TIMESTAMP);"
            .to_owned();
    for (version, name) in versions {
        statements += &format!("{} INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}');", migration(database, name));
    }
    if store.is_postgres() {
        store.execute(&format!("DROP SCHEMA public CASCADE; CREATE SCHEMA public; {statements}")).unwrap();
        return store.url().to_owned();
    }
    // The migrations' own connection has this function. Without a list yet, it is asked about none.
    let statements = statements.replace("sha256(b.der)", "NULL");
    let url = store.url().replace("store.db", "earlier.db");
    std::fs::File::create(url.strip_prefix("sqlite://").unwrap()).unwrap();
    execute_on(&url, &statements).unwrap();
    url
}

fn blob(store: &TestDatabase, octets: &[u8]) -> String {
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    if store.is_postgres() { format!("'\\x{hex}'") } else { format!("X'{hex}'") }
}

fn list() -> Vec<u8> {
    (0..CRL_CHUNK_OCTETS + 5).map(|place| (place % 251) as u8).collect()
}

fn serial(number: u8) -> SerialNumber {
    SerialNumber::from_magnitude(&[0x40, number]).unwrap()
}

/// The URL of a store as the first version left it: certificates live, revoked and held; two numbers of lists, the first published.
fn first_version(store: &TestDatabase) -> String {
    let url = earlier(store, &[(FIRST, SPINE)]);
    let blob = |octets: &[u8]| blob(store, octets);
    let key = new_ca_key(CertificateKind::Signature);
    let mut rows = format!(
        "INSERT INTO store_meta (id, instance_id, created_at) VALUES (1, '{}', 0);
         INSERT INTO ca_key (kind, generation, certificate, key_identifier, crl_url, ocsp_url, ca_url, not_after, last_crl_number, added_at)
         VALUES (1, 1, {}, {}, '{}', '{}', '{}', 4102444800000, 2, 0);",
        "a".repeat(32),
        blob(&key.certificate),
        blob(&[7; 20]),
        key.urls.crl,
        key.urls.ocsp,
        key.urls.certificate,
    );
    for (number, state, reason, revoked_at) in [(1, 1, "NULL", "NULL"), (2, 3, "1", "1000"), (3, 2, "6", "2000")] {
        rows += &format!(
            "INSERT INTO holder (holder_id) VALUES ('holder-{number}');
             INSERT INTO issuance_intent (kind, serial, ca_key_id, tbs_sha256, recorded_at) VALUES (1, {serial}, 1, {digest}, 0);
             INSERT INTO certificate (kind, ca_key_id, serial, holder, state, reason, revoked_at, not_before, not_after)
             SELECT 1, 1, {serial}, id, {state}, {reason}, {revoked_at}, 0, 4000000000000 FROM holder WHERE holder_id = 'holder-{number}';",
            serial = blob(serial(number).as_bytes()),
            digest = blob(&[0; 32]),
        );
    }
    rows += "INSERT INTO hold (certificate_id, cause, placed_at) SELECT id, 3, 2000 FROM certificate WHERE state = 2;";
    rows += &format!(
        "INSERT INTO crl (ca_key_id, number, state, reserved_at, this_update, next_update, entries, event_position)
         VALUES (1, 1, 2, 1000, 2000, 3000, 2, 0);
         INSERT INTO crl (ca_key_id, number, state, reserved_at) VALUES (1, 2, 1, 3000);
         INSERT INTO crl_body (ca_key_id, number, der) VALUES (1, 1, {});",
        blob(&list())
    );
    let by = |operator: &str| format!(r#"{{"by":{{"operator":"{operator}","role":"administrator"}},"instruction":"{}"}}"#, "0".repeat(64));
    rows += &format!(
        "INSERT INTO event (position, at, kind, data) VALUES (1, 1000, 'ca_key.added', '{{}}'), (2, 2000, 'instruction.done', '{}'),
         (3, 3000, 'crl.published', '{{\"by\":\"nobody\"}}'); UPDATE event_counter SET position = 3;",
        by("Sato")
    );
    execute_on(&url, &rows).unwrap();
    url
}

/// The URL of a store as the second version left it, with many events and a command to a phone that follows from one of them.
fn second_version(store: &TestDatabase) -> String {
    let url = earlier(store, &[(FIRST, SPINE), (SECOND, "2026-11-21-000002_status")]);
    let (command, device) = ("c".repeat(32), "d".repeat(32));
    let rows = format!(
        r#"INSERT INTO store_meta (id, instance_id, created_at) VALUES (1, '{instance}', 0);
         INSERT INTO holder (holder_id) VALUES ('holder');
         INSERT INTO device (public_id, holder, platform, model, key_storage, added_at) SELECT '{device}', id, 'android', '', '', 0 FROM holder;
         WITH RECURSIVE numbered (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbered WHERE i < {EVENTS})
         INSERT INTO event (position, at, kind, data) SELECT i, i, 'card.event_received', '{{"channel":"push"}}' FROM numbered;
         INSERT INTO event (position, at, kind, data) VALUES
             ({EVENTS} + 1, {EVENTS} + 1, 'instruction.done', '{{"by":{{"operator":"Sato","role":"administrator"}}}}'),
             ({EVENTS} + 2, {EVENTS} + 2, 'instruction.done', '{{"by":{{"operator":"Ito","role":"administrator"}}}}');
         UPDATE event_counter SET position = {EVENTS} + 2;
         INSERT INTO device_command (public_id, device_id, action, message, created_at, expires_at, event_position)
         SELECT '{command}', id, 2, 'a.b.c', 0, 4000000000000, {EVENTS} + 1 FROM device;"#,
        instance = "a".repeat(32),
    );
    execute_on(&url, &rows).unwrap();
    url
}

on_each_database! {
    fn many_events_of_the_second_version_are_there_after_an_upgrade_and_change_no_more(store) {
        let url = second_version(store);
        assert_eq!(Database::upgrade(&url).unwrap(), ["20261121000003"]);
        let database = Database::open(&url, &OpenOptions::default()).unwrap();
        let reader = database.reader();
        let (mut next, mut after) = (0, EventPosition(0));
        let seen = reader.events_to_sequence(after, u32::MAX, |event| -> Result<(), StoreFault> {
            assert_eq!(event.position.0, after.0 + 1);
            (next, after) = (next + 1, event.position);
            Ok(())
        });
        assert_eq!((seen.unwrap(), next), (EVENTS as u32 + 2, EVENTS + 2));
        for (operator, position) in [("Sato", EVENTS + 1), ("Ito", EVENTS + 2)] {
            let question = SearchQuestion { operator: Some(operator.to_owned()), limit: 10, ..SearchQuestion::default() };
            let found: Vec<_> = reader.search(&question).unwrap().hits.iter().map(|hit| hit.event.position.0).collect();
            assert_eq!(found, [position]);
        }
        let command = reader.device_command(&"c".repeat(32)).unwrap().expect("the command");
        assert_eq!(command.message, "a.b.c");
        // The rows are sealed, all of them.
        for statement in ["UPDATE event SET at = 0 WHERE position = 1", "UPDATE event SET operator = NULL", "DELETE FROM event"] {
            assert!(execute_on(&url, statement).is_err(), "{statement}");
        }
    }

    fn what_the_first_version_stored_is_there_after_an_upgrade(store) {
        let url = first_version(store);
        let fault = Database::open(&url, &OpenOptions::default()).err().unwrap();
        assert!(matches!(fault, StoreFault::Older { .. }) && fault.to_string().contains("tsunagi store upgrade"), "{fault}");
        assert_eq!(Database::upgrade(&url).unwrap(), ["20261121000002", "20261121000003"]);
        assert_eq!(Database::upgrade(&url).unwrap(), [""; 0]);
        let database = Database::open(&url, &OpenOptions::default()).unwrap();
        let reader = database.reader();

        let list = list();
        let time = |milliseconds| chrono::DateTime::from_timestamp_millis(milliseconds).unwrap();
        let published = PublishedCrl {
            ca_key: KEY,
            shard: 0,
            number: 1,
            this_update: time(2000),
            next_update: time(3000),
            entries: 2,
            octets: list.len() as u64,
            sha256: Sha256Digest::of(&list),
            event_position: EventPosition(0),
            cause: CrlCause::Regular,
        };
        assert_eq!(reader.latest_crl_in(KEY, 0).unwrap(), Some(published));
        let mut chunks = Vec::new();
        let octets = reader.crl_chunks(KEY, 1, |chunk| -> Result<(), StoreFault> { chunks.push(chunk.to_vec()); Ok(()) }).unwrap();
        assert_eq!((octets, chunks.len(), chunks.concat() == list), (list.len() as u64, 2, true));
        assert_eq!(reader.crl_scopes().unwrap(), [CrlScope { ca_key: KEY, shard: 0, retired_at: None }]);
        assert_eq!(database.writer().write(|tx| tx.reserve_crl_number_in(KEY, 0, moment(0))).unwrap(), 3);

        let state = reader.store_state().unwrap();
        assert_eq!((state.epoch, state.position, state.reconciling_since), (1, EventPosition(3), None));
        let statuses = reader.status_at(KEY, &[serial(1), serial(2), serial(3), serial(4)]).unwrap().statuses;
        let states: Vec<_> = statuses.iter().map(|status| status.map(|status| (status.state, status.revocation))).collect();
        let revoked = Revocation::new(time(1000), RevocationReason::KeyCompromise);
        let held = Revocation::new(time(2000), RevocationReason::CertificateHold);
        let expected = [
            Some((CertificateState::Live, None)),
            Some((CertificateState::Revoked, Some(revoked))),
            Some((CertificateState::Held, Some(held))),
            None,
        ];
        assert_eq!(states, expected);
        let mut listed = Vec::new();
        reader.revoked_in_scope(KEY, 0, moment(0), None, 10, |entry| listed.push((entry.serial.clone(), entry.revocation))).unwrap();
        assert_eq!(listed, [(serial(2), revoked), (serial(3), held)]);

        // The log begins before its first event, and what operators did is found.
        let head = reader.log_head().unwrap();
        assert_eq!((head.size, head.position, head.identity, head.note), (0, EventPosition(0), None, None));
        assert_eq!(reader.unsequenced_since().unwrap(), Some(time(1000)));
        let mut waiting = Vec::new();
        let seen = reader.events_to_sequence(head.position, 10, |event| -> Result<(), StoreFault> {
            waiting.push((event.position.0, event.kind.to_owned()));
            Ok(())
        });
        let words = ["ca_key.added", "instruction.done", "crl.published"];
        assert_eq!((seen.unwrap(), waiting), (3, (1..).zip(words.map(str::to_owned)).collect()));
        let by_sato = SearchQuestion { operator: Some("Sato".to_owned()), limit: 10, ..SearchQuestion::default() };
        let found: Vec<_> = reader.search(&by_sato).unwrap().hits.iter().map(|hit| hit.event.position.0).collect();
        assert_eq!(found, [2]);
    }

    fn a_newer_store_is_not_upgraded_and_an_empty_database_is_none(store) {
        store.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000001')").unwrap();
        assert_eq!(Database::upgrade(store.url()).err(), Some(StoreFault::Newer { found: "20991231000001".to_owned() }));
        store.execute("DROP TABLE __diesel_schema_migrations").unwrap();
        if store.is_postgres() {
            store.execute("DROP TABLE store_meta").unwrap();
        } else {
            store.execute("PRAGMA foreign_keys = OFF; DROP TABLE store_meta").unwrap();
        }
        assert_eq!(Database::upgrade(store.url()).err(), Some(StoreFault::NotInitialised));
    }
}

#[test]
fn a_sqlite_store_that_a_process_serves_is_not_upgraded_under_it() {
    let store = TestDatabase::sqlite();
    let serving = Database::open(store.url(), &OpenOptions { sole_server: true, ..OpenOptions::default() }).unwrap();
    assert_eq!(Database::upgrade(store.url()).err(), Some(StoreFault::Served));
    drop(serving);
    assert_eq!(Database::upgrade(store.url()).unwrap(), [""; 0]);
}
