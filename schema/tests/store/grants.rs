//! What the roles' database users may do on PostgreSQL, attempted as those users; that it is enough is in `roles`.

use schema::grants::grants_sql;
use schema::testing::{TestDatabase, unique};
use schema::{Database, OpenOptions};

/// Users of one test; roles belong to the whole server, so they are removed again.
pub(crate) struct Users {
    pub(crate) store: TestDatabase,
    names: [String; 3],
}

impl Users {
    pub(crate) fn new() -> Self {
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
    pub(crate) fn open_as(&self, user: usize) -> Database {
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

pub(crate) const RA: usize = 0;
pub(crate) const CA: usize = 1;
pub(crate) const STATUS: usize = 2;

/// Every table; a test sees to that.
const TABLES: [&str; 51] = [
    "__diesel_schema_migrations",
    "application",
    "application_evidence",
    "audit_evidence_chunk",
    "audit_export",
    "audit_export_part",
    "batch",
    "beacon",
    "ca_key",
    "card_crl",
    "card_distribution_point",
    "card_event_inbox",
    "card_state",
    "certificate",
    "certificate_body",
    "certified_key",
    "channel",
    "command_key",
    "crl",
    "crl_chunk",
    "crl_shard",
    "deferred_instruction",
    "deferred_lift",
    "device",
    "device_command",
    "device_command_certificate",
    "device_command_result",
    "event",
    "event_counter",
    "feed_cursor",
    "follower",
    "forgotten_revocation",
    "hold",
    "holder",
    "instruction",
    "issuance_intent",
    "lease",
    "link",
    "log_head",
    "log_leaf",
    "log_tile",
    "lookup",
    "notice",
    "rejection",
    "responder",
    "revocation_latency",
    "schedule",
    "settings_topic",
    "spent_challenge",
    "store_meta",
    "test_certificate",
];

/// What the CA role may remove: what is over, and what is purged.
const OVER: [&str; 21] = [
    "application_evidence",
    "audit_evidence_chunk",
    "audit_export_part",
    "beacon",
    "card_crl",
    "card_event_inbox",
    "card_state",
    "certificate_body",
    "crl_chunk",
    "deferred_lift",
    "device",
    "device_command",
    "device_command_certificate",
    "device_command_result",
    "event",
    "hold",
    "link",
    "lookup",
    "notice",
    "rejection",
    "settings_topic",
];

#[test]
fn no_table_is_forgotten() {
    let store = TestDatabase::postgres();
    let query = "SELECT convert_to(tablename::text, 'UTF8') FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename COLLATE \"C\"";
    let tables: Vec<_> = store.reader().octets_for_test(query).unwrap().into_iter().map(|name| String::from_utf8(name).unwrap()).collect();
    assert_eq!(tables, TABLES);
}

#[test]
fn nobody_but_the_owner_deletes_anything_but_what_is_over() {
    let users = Users::new();
    for user in [RA, CA, STATUS] {
        for table in TABLES {
            let over = OVER.contains(&table);
            assert_eq!(users.may(user, &format!("DELETE FROM {table} WHERE false")), user == CA && over, "{user} {table}");
            assert!(!users.may(user, &format!("TRUNCATE {table}")));
        }
        assert!(!users.may(user, "CREATE TABLE smuggled (id INTEGER)"));
    }
}

#[test]
fn who_faces_the_internet_cannot_take_all_connections() {
    let users = Users::new();
    let is = |user: usize, limit: i32| {
        let name = &users.names[user];
        let check = format!("IF (SELECT rolconnlimit FROM pg_roles WHERE rolname = '{name}') <> {limit} THEN RAISE '{name}'; END IF");
        users.store.execute(&format!("DO $$ BEGIN {check}; END $$")).unwrap();
    };
    is(RA, 40);
    is(STATUS, 40);
    is(CA, -1);
    // A limit that somebody set stays; and an owner who may set none is warned and gets the rest.
    users
        .store
        .execute(&format!("ALTER ROLE {} CONNECTION LIMIT 7; ALTER ROLE {} CONNECTION LIMIT -1", users.names[RA], users.names[STATUS]))
        .unwrap();
    let [ra, ca, status] = &users.names;
    let owner = unique("tsunagi_owner");
    let change_hands = format!(
        "CREATE ROLE {owner}; DO $$ DECLARE t TEXT; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' \
         LOOP EXECUTE format('ALTER TABLE public.%I OWNER TO {owner}', t); END LOOP; END $$; ALTER SCHEMA public OWNER TO {owner}"
    );
    users.store.execute(&change_hands).unwrap();
    users.store.execute(&format!("SET ROLE {owner}; {}", grants_sql(ra, ca, status))).unwrap();
    is(RA, 7);
    is(STATUS, -1);
    users.store.execute(&format!("DROP OWNED BY {owner} CASCADE; DROP ROLE {owner}")).unwrap();
}

#[test]
fn the_status_user_writes_nothing_and_sees_no_holder_card_or_phone() {
    let users = Users::new();
    for table in TABLES {
        assert!(!users.may(STATUS, &format!("INSERT INTO {table} DEFAULT VALUES")), "{table}");
        let told = [
            "__diesel_schema_migrations",
            "store_meta",
            "ca_key",
            "responder",
            "certificate",
            "event",
            "event_counter",
            "crl_shard",
            "crl",
            "crl_chunk",
            "forgotten_revocation",
            "revocation_latency",
            "test_certificate",
            "log_head",
            "log_leaf",
            "log_tile",
        ];
        assert_eq!(users.may(STATUS, &format!("SELECT 1 FROM {table}")), told.contains(&table), "{table}");
    }
    assert!(!users.may(STATUS, "SELECT holder FROM certificate"));
    assert!(users.may(STATUS, "SELECT serial, state FROM certificate"));
    assert!(users.may(STATUS, "SELECT leaf, commitment FROM log_leaf"));
    assert!(!users.may(STATUS, "SELECT salt FROM log_leaf") && !users.may(STATUS, "SELECT position FROM log_leaf"));
    assert!(!users.may(STATUS, "UPDATE event_counter SET position = 1"));
}

#[test]
fn the_ra_user_changes_no_row_of_any_table() {
    let users = Users::new();
    let query = "SELECT convert_to('UPDATE ' || quote_ident(table_name) || ' SET ' || quote_ident(column_name) || ' = DEFAULT', 'UTF8') \
                 FROM information_schema.columns WHERE table_schema = 'public'";
    let statements = users.store.reader().octets_for_test(query).unwrap();
    assert!(statements.len() > 200);
    for statement in statements {
        let statement = String::from_utf8(statement).unwrap();
        assert!(!users.may(RA, &statement), "{statement}");
    }
    for table in TABLES {
        // What locks rows without changing them would keep the CA role from changing them.
        assert!(!users.may(RA, &format!("SELECT 1 FROM {table} FOR KEY SHARE")), "{table}");
        assert!(!users.may(RA, &format!("LOCK TABLE {table} IN SHARE MODE")), "{table}");
    }
}

#[test]
fn the_ra_user_adds_rows_only_where_the_ra_brings_something() {
    let users = Users::new();
    let brings = [
        "application",
        "application_evidence",
        "card_crl",
        "card_event_inbox",
        "device_command_result",
        "instruction",
        "lookup",
        "rejection",
    ];
    for table in TABLES {
        // Where it may write some columns, the statements below tell which.
        if !brings.contains(&table) {
            assert!(!users.may(RA, &format!("INSERT INTO {table} DEFAULT VALUES")), "{table}");
        }
    }
    for statement in [
        "INSERT INTO application (digest, challenge, state, accepted_at, ticket_hash) SELECT digest, challenge, 2, 0, digest FROM application",
        "INSERT INTO application (digest, challenge, accepted_at, ticket_hash, device_id) SELECT digest, challenge, 0, digest, 1 FROM application",
        "INSERT INTO card_event_inbox (event_id, applied_at) VALUES ('x', 1)",
        "INSERT INTO event (position, at, kind, data) VALUES (9223372036854775807, 1, 'certificate.revoked', '{}')",
        "INSERT INTO instruction (digest, form, message, received_at, state, decided_at, outcome) SELECT digest, 1, digest, 1, 2, 1, '{}' FROM application",
        "INSERT INTO instruction (digest, form, message, received_at, approved_by) SELECT digest, 1, digest, 1, id FROM instruction",
        "INSERT INTO device_command_result (command_public_id, body, signed, received_at, taken_at) VALUES ('x', 'x', 0, 1, 1)",
        "INSERT INTO hold (certificate_id, cause, placed_at) VALUES (1, 3, 1)",
        "INSERT INTO batch (name, issuer_key_id, change, origin, started_at) SELECT 'x', digest, 2, '{}', 1 FROM application",
        "INSERT INTO schedule (name, expression) VALUES ('x', 'x')",
        "INSERT INTO channel (name, last_success_at) VALUES ('feed', 9)",
        "INSERT INTO command_key (key_id, public_key, added_at) SELECT 'x', digest, 1 FROM application",
        "INSERT INTO spent_challenge (challenge, spent_at) SELECT challenge, 1 FROM application",
    ] {
        assert!(!users.may(RA, statement), "{statement}");
    }
    for statement in [
        "INSERT INTO instruction (digest, form, message, received_at) SELECT digest, 1, digest, 1 FROM application",
        "INSERT INTO device_command_result (command_public_id, body, signed, received_at) SELECT public_id, 'x', 0, 1 FROM device_command",
        "INSERT INTO lookup (verifier, purpose, question, found, at) SELECT 'x', 'x', 'x', 0, 1 FROM application",
    ] {
        assert!(users.may(RA, statement), "{statement}");
    }
}

#[test]
fn the_ra_user_reads_only_what_its_answers_need() {
    let users = Users::new();
    let unread = [
        "application_evidence",
        "crl",
        "crl_chunk",
        "crl_shard",
        "deferred_instruction",
        "deferred_lift",
        "device_command_result",
        "feed_cursor",
        "follower",
        "forgotten_revocation",
        "issuance_intent",
        "lease",
        "lookup",
        "notice",
        "rejection",
        "responder",
        "settings_topic",
        "spent_challenge",
    ];
    for table in TABLES {
        assert_eq!(users.may(RA, &format!("SELECT 1 FROM {table}")), !unread.contains(&table), "{table}");
    }
    assert!(!users.may(RA, "SELECT push_token FROM device"));
}

#[test]
fn the_ca_user_changes_of_the_log_only_what_grows_and_what_is_purged() {
    let users = Users::new();
    for allowed in [
        "UPDATE log_leaf SET position = NULL, salt = NULL, absent = 1 WHERE false",
        "UPDATE log_tile SET hashes = hashes WHERE false",
        "UPDATE log_head SET size = size WHERE false",
        "UPDATE audit_export SET state = state WHERE false",
    ] {
        assert!(users.may(CA, allowed), "{allowed}");
    }
    for forbidden in [
        "UPDATE log_leaf SET commitment = commitment",
        "UPDATE log_leaf SET leaf = leaf",
        "UPDATE log_tile SET number = number",
        "UPDATE event SET at = at",
        "UPDATE audit_export SET from_leaf = from_leaf",
        "UPDATE audit_export_part SET detail = detail",
        "UPDATE audit_evidence_chunk SET octets = octets",
    ] {
        assert!(!users.may(CA, forbidden), "{forbidden}");
    }
}

#[test]
fn what_the_ra_user_writes_can_always_be_read_back() {
    let users = Users::new();
    // A row of a sort that the program never writes: the database refuses it, or those who take the work up could not go on.
    for statement in [
        "INSERT INTO instruction (digest, form, message, received_at) VALUES (sha256('x'), 9, 'x', 1)",
        "INSERT INTO instruction (digest, form, message, received_at) VALUES ('x', 1, 'x', 1)",
        "INSERT INTO instruction (digest, form, message, received_at) VALUES (sha256('x'), 1, 'x', 9223372036854775807)",
        "INSERT INTO device_command_result (command_public_id, body, signed, received_at) VALUES (md5('x'), 'x', 7, 1)",
        "INSERT INTO device_command_result (command_public_id, body, signed, received_at) VALUES (md5('x'), 'x', 1, -1)",
        "INSERT INTO device_command_result (command_public_id, body, signed, received_at) VALUES (md5('x'), repeat('x', 8193), 1, 1)",
    ] {
        let fault = users.store.execute(&format!("SET ROLE {}; {statement}", users.names[RA])).unwrap_err();
        assert_eq!(fault.class(), Some(schema::fault::FaultClass::Check), "{statement}: {fault}");
    }
}
