//! The roles' database users on PostgreSQL.

use schema::grants::grants_sql;
use schema::testing::{Sample, TestDatabase, add_ca_keys, moment, unique};
use schema::{Database, OpenOptions};

/// Users of one test; roles belong to the whole server, so they are removed again.
struct Users {
    store: TestDatabase,
    names: [String; 3],
}

impl Users {
    fn new() -> Self {
        let store = TestDatabase::postgres();
        let names = ["ra", "ca", "status"].map(|role| unique(&format!("tsunagi_{role}")));
        for name in &names {
            store.execute(&format!("CREATE ROLE {name} LOGIN")).unwrap();
        }
        store.execute(&grants_sql(&names[0], &names[1], &names[2])).unwrap();
        Self { store, names }
    }

    fn may(&self, user: usize, statement: &str) -> bool {
        let result = self.store.execute(&format!("SET ROLE {}; {statement}", self.names[user]));
        if let Err(fault) = &result {
            assert!(fault.to_string().contains("permission denied"), "{statement}: {fault}");
        }
        result.is_ok()
    }

    /// The database as one of the users opens it.
    fn open_as(&self, user: usize) -> Database {
        let (scheme, rest) = self.store.url().split_once("://").unwrap();
        let address = rest.split_once('@').map_or(rest, |(_, address)| address);
        Database::open(&format!("{scheme}://{}@{address}", self.names[user]), &OpenOptions::default()).unwrap()
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = self.store.execute(&format!("DROP OWNED BY {name}; DROP ROLE {name}"));
        }
    }
}

const RA: usize = 0;
const CA: usize = 1;
const STATUS: usize = 2;

const TABLES: [&str; 25] = [
    "store_meta",
    "ca_key",
    "responder",
    "beacon",
    "application",
    "application_evidence",
    "card_crl",
    "holder",
    "issuance_intent",
    "certificate",
    "certificate_body",
    "card_state",
    "card_distribution_point",
    "link",
    "certified_key",
    "spent_challenge",
    "card_event_inbox",
    "feed_cursor",
    "event",
    "event_counter",
    "rejection",
    "crl",
    "crl_body",
    "lease",
    "__diesel_schema_migrations",
];

#[test]
fn nobody_but_the_owner_deletes_anything_but_old_beacons_and_rejections_that_became_events() {
    let users = Users::new();
    for user in [RA, CA, STATUS] {
        for table in TABLES {
            assert_eq!(
                users.may(user, &format!("DELETE FROM {table} WHERE false")),
                user == CA && ["beacon", "rejection"].contains(&table),
                "{user} {table}"
            );
            assert!(!users.may(user, &format!("TRUNCATE {table}")));
        }
        assert!(!users.may(user, "CREATE TABLE smuggled (id INTEGER)"));
    }
}

#[test]
fn the_status_user_writes_nothing_and_sees_no_holder_or_card() {
    let users = Users::new();
    for table in TABLES {
        assert!(!users.may(STATUS, &format!("INSERT INTO {table} SELECT * FROM {table}")), "{table}");
    }
    for table in ["application", "application_evidence", "holder", "link", "card_state", "certificate_body", "card_event_inbox"] {
        assert!(!users.may(STATUS, &format!("SELECT 1 FROM {table}")), "{table}");
    }
    assert!(!users.may(STATUS, "SELECT holder FROM certificate"));
    assert!(users.may(STATUS, "SELECT serial, state FROM certificate"));
    assert!(!users.may(STATUS, "UPDATE event_counter SET position = 1"));
}

#[test]
fn the_ra_user_cannot_write_what_is_the_cas() {
    let users = Users::new();
    for table in [
        "beacon",
        "certificate",
        "certificate_body",
        "spent_challenge",
        "certified_key",
        "card_state",
        "crl",
        "crl_body",
        "lease",
        "link",
        "holder",
        "issuance_intent",
        "ca_key",
        "responder",
        "feed_cursor",
        "store_meta",
    ] {
        assert!(!users.may(RA, &format!("INSERT INTO {table} DEFAULT VALUES")), "{table}");
        assert!(!users.may(RA, &format!("DELETE FROM {table}")), "{table}");
    }
    for statement in [
        "UPDATE certificate SET state = 1, reason = NULL, revoked_at = NULL",
        "UPDATE application SET state = 2",
        "UPDATE application_evidence SET holder_id = 'other'",
        "INSERT INTO application (digest, challenge, state, accepted_at, ticket_hash) SELECT digest, challenge, 2, 0, digest FROM application",
        "UPDATE card_event_inbox SET applied_at = 1",
        "INSERT INTO card_event_inbox (event_id, applied_at) VALUES ('x', 1)",
        "UPDATE event SET kind = 'x'",
        "INSERT INTO event (position, at, kind, data) VALUES (9223372036854775807, 1, 'certificate.revoked', '{}')",
        "UPDATE event_counter SET position = 9223372036854775807",
        "SELECT position FROM event_counter FOR UPDATE",
        "UPDATE lease SET epoch = 9",
        "SELECT 1 FROM holder",
        "SELECT 1 FROM application_evidence",
    ] {
        assert!(!users.may(RA, statement), "{statement}");
    }
}

#[test]
fn each_role_can_do_its_work_as_its_user() {
    let users = Users::new();
    let keys = add_ca_keys(&users.store.writer());
    let (ra, ca, status) = (users.open_as(RA), users.open_as(CA), users.open_as(STATUS));
    let sample = Sample::new(1, keys);

    let application = sample.accept(&ra.writer());
    assert_eq!(sample.accept(&ra.writer()), application);
    let event = sample.card_revoked(sample.kinds[0], 1, ca_core::revocation::RevocationReason::Superseded);
    let received = event.clone();
    ra.writer().write(move |tx| tx.receive_card_event(&received, moment(1))).unwrap();
    ra.writer().write(|tx| tx.leave_rejection(&ca_core::digest::Sha256Digest::of(b"an application"), "card_revoked", moment(1))).unwrap();

    let beacon = ca_core::application::challenge::Beacon { value: [1; 32], drawn_at: moment(0) };
    ca.writer().write(move |tx| tx.draw_beacon(&beacon)).unwrap();
    assert_eq!(ca.reader().accepted_applications(10).unwrap().len(), 1);
    sample.issue(&ca.writer(), application, moment(2)).unwrap();
    let renewed = Sample { holder_id: sample.holder_id.clone(), card: sample.card, ..Sample::new(2, keys) };
    let second = renewed.accept(&ra.writer());
    renewed.issue(&ca.writer(), second, moment(3)).unwrap();
    assert_eq!(ca.reader().unapplied_card_events(10).unwrap().len(), 1);
    ca.writer().write(move |tx| tx.apply_card_event(&event, &schema::testing::jpki(), moment(4))).unwrap();
    assert_eq!(ca.writer().write(|tx| tx.take_rejections()).unwrap(), 1);
    assert_eq!(ca.writer().write(|tx| tx.take_rejections()).unwrap(), 0);
    let lease = ca.writer().write(|tx| tx.acquire_lease("ca", "one", moment(0), chrono::TimeDelta::seconds(9))).unwrap().unwrap();
    let key = keys[0];
    let crl = ca
        .writer()
        .write(move |tx| {
            tx.check_lease(&lease)?;
            tx.set_feed_cursor("feed", "1")?;
            let number = tx.reserve_crl_number(key, moment(4))?;
            let crl = schema::crl::StoredCrl {
                ca_key: key,
                number,
                der: vec![1],
                this_update: moment(4),
                next_update: moment(5),
                entries: 1,
                event_position: schema::EventPosition(1),
            };
            tx.publish_crl(&crl, moment(4))?;
            Ok::<_, schema::StoreFault>(crl)
        })
        .unwrap();
    let third = Sample::new(3, keys).accept(&ra.writer());
    ca.writer().write(move |tx| tx.refuse_application(third, "code", "detail", moment(5))).unwrap();

    assert!(ra.reader().application_by_digest(&renewed.digest()).unwrap().is_some());
    assert_eq!(ra.reader().latest_beacon().unwrap(), Some(beacon));
    assert_eq!(ra.reader().ca_keys().unwrap().len(), 2);
    assert!(!ra.reader().events_after(schema::EventPosition(0), 100).unwrap().is_empty());

    assert_eq!(status.reader().latest_crl(keys[0]).unwrap(), Some(crl));
    assert!(status.reader().certificate_status(keys[0], &sample.serial(sample.kinds[0])).unwrap().is_some());
    assert_eq!(
        status.reader().certificate_statuses(keys[0], &[sample.serial(sample.kinds[0]), renewed.serial(sample.kinds[0])]).unwrap().len(),
        2
    );
    assert_eq!(status.reader().revoked_certificates(keys[0], moment(0), None, 10).unwrap().len(), 2);
    assert!(status.reader().responders().unwrap().is_empty());
    assert_eq!(status.reader().position().unwrap(), ra.reader().position().unwrap());
    drop((ra, ca, status));
}
