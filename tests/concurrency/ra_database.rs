//! An RA in other hands that leaves our code aside and speaks to the database itself, with the rights that its user has on
//! PostgreSQL: what it may not touch, what its rows are worth, and that it stops no cascade.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use back_office::BackOffice;
use ca_core::application::challenge::Beacon;
use ca_core::digest::Sha256Digest;
use ca_core::revocation::RevocationReason;
use chrono::Utc;
use policies::LifecyclePolicy;
use sandbox::back_office::CardEventType;
use sandbox::card::Card;
use sandbox::instruction::{Instruction, InstructionDeviation, Signer, build_deviating_instruction};
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, OperatorAction, Target};
use sandbox::phone::{Pkcs10, pkcs10};
use sandbox::reason::Reason;
use schema::StoreFault;
use schema::grants::grants_sql;
use schema::instruction::InstructionState;
use schema::testing::{TestDatabase, replayed, stored, unique};

use crate::rooms::desk::end;
use crate::rooms::{Ca, CaWish, OperatorCa, RA_NAME, Rooms};
use crate::stage::{self, Office};

/// The RA's database user; users belong to the whole server, so it is removed again.
struct Intruder<'s> {
    store: &'s TestDatabase,
    users: [String; 3],
}

/// `instruction.form`
const OPERATOR: i32 = 1;
const HOLDER: i32 = 2;
const KEY_REPORT: i32 = 3;

impl<'s> Intruder<'s> {
    fn new(store: &'s TestDatabase) -> Self {
        let users = ["ra", "ca", "status"].map(|role| unique(&format!("tsunagi_{role}")));
        for user in &users {
            store.execute(&format!("CREATE ROLE {user} LOGIN")).unwrap();
        }
        store.execute(&grants_sql(&users[0], &users[1], &users[2])).unwrap();
        Self { store, users }
    }

    /// Runs statements with the RA's rights, in one transaction unless they say otherwise.
    fn run(&self, statements: &str) -> Result<(), StoreFault> {
        self.store.execute(&format!("SET ROLE {}; {statements}", self.users[0]))
    }

    #[track_caller]
    fn is_denied(&self, statements: &str) {
        let fault = self.run(statements).expect_err(statements).to_string();
        assert!(fault.contains("permission denied") || fault.contains("must be owner"), "{statements}: {fault}");
    }

    /// An instruction, called whatever it likes.
    fn instruct_as(&self, digest: &Sha256Digest, form: i32, message: &[u8]) {
        let (digest, message) = (hex::encode(digest.as_bytes()), hex::encode(message));
        let row = format!("'\\x{digest}', {form}, '\\x{message}', 1");
        self.run(&format!("INSERT INTO instruction (digest, form, message, received_at) VALUES ({row})")).unwrap();
    }

    fn instruct(&self, form: i32, message: &[u8]) -> Sha256Digest {
        let digest = Sha256Digest::of(message);
        self.instruct_as(&digest, form, message);
        digest
    }

    /// A card event, from wherever it likes.
    fn tell(&self, card: &Card, kind: Kind, event_id: &str, change: i32, sequence: i64, source: i32) {
        let (issuer, serial) = crate::events::identity(crate::events::side(card, kind));
        let (issuer, serial) = (hex::encode(issuer.as_bytes()), hex::encode(serial.as_bytes()));
        self.run(&format!(
            "INSERT INTO card_event_inbox (event_id, issuer_key_id, serial, sequence, change, reason, occurred_at, source, received_at) \
             VALUES ('{event_id}', '\\x{issuer}', '\\x{serial}', {sequence}, {change}, NULL, 1, {source}, 1)"
        ))
        .unwrap();
    }
}

impl Drop for Intruder<'_> {
    fn drop(&mut self) {
        for user in &self.users {
            let _ = self.store.execute(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
        }
    }
}

/// Under this policy a hold can be lifted and follows the card's: there is something to gain.
fn liftable() -> Arc<LifecyclePolicy> {
    Arc::new(crate::model::rules::Rules::every_word().policy)
}

fn leading(rooms: &Rooms<'_>, office: &Arc<Office>) -> Ca {
    let back_office = Some(Arc::clone(office) as Arc<dyn BackOffice>);
    rooms.outfit.ca(CaWish { back_office, lifecycle: liftable(), ..CaWish::named("one") }).leading()
}

fn hold(device: &str, cause: HoldCause) -> OperatorAction {
    OperatorAction::Hold { target: Target::device(device), cause, ticket: "lost".to_owned() }
}

fn lift(device: &str, cause: HoldCause) -> OperatorAction {
    OperatorAction::Lift { target: Target::device(device), cause, ticket: "found".to_owned() }
}

#[test]
fn what_is_not_the_ras_it_neither_changes_nor_deletes_nor_adds_to() {
    let store = TestDatabase::postgres();
    let rooms = Rooms::furnish(&store);
    let ca = leading(&rooms, &Office::new(&rooms));
    let phone = rooms.phone(&ca, &rooms.card());
    rooms.instruct(&rooms.operators.operator("Ada", "call-centre"), &hold(&phone.device, HoldCause::PhoneLost));
    ca.role.take_instructions().unwrap();
    let before = (stored(&rooms.reader), rooms.reader.position().unwrap());
    let intruder = Intruder::new(&store);
    // Every column of every table, one by one.
    let columns = "SELECT convert_to(table_name || '.' || column_name, 'UTF8') FROM information_schema.columns \
                   WHERE table_schema = 'public' ORDER BY 1";
    let columns = rooms.reader.octets_for_test(columns).unwrap();
    assert!(columns.len() > 200);
    for column in columns {
        let name = String::from_utf8(column).unwrap();
        let (table, column) = name.split_once('.').unwrap();
        intruder.is_denied(&format!("UPDATE {table} SET {column} = {column}"));
        intruder.is_denied(&format!("DELETE FROM {table}"));
    }
    for statement in [
        "UPDATE certificate SET state = 1, reason = NULL, revoked_at = NULL",
        "DELETE FROM hold",
        "UPDATE instruction SET state = 2, decided_at = 1, outcome = '{}'",
        "INSERT INTO instruction (digest, form, message, received_at, state) VALUES ('\\x00', 1, '\\x00', 1, 2)",
        "INSERT INTO hold (certificate_id, cause, placed_at) SELECT id, 3, 1 FROM certificate",
        "INSERT INTO card_event_inbox (event_id, issuer_key_id, serial, sequence, change, occurred_at, source, received_at, applied_at) \
         VALUES ('x', '\\x01', '\\x01', 1, 3, 1, 2, 1, 1)",
        "INSERT INTO batch (name, issuer_key_id, change, origin, started_at) VALUES ('x', '\\x01', 2, '{}', 1)",
        "INSERT INTO schedule (name, expression, requested_at) VALUES ('expire', 'x', 1)",
        "INSERT INTO event (position, at, kind, data) VALUES (1000, 1, 'certificate.released', '{}')",
        "UPDATE event_counter SET position = position + 1",
        "INSERT INTO beacon (value, drawn_at) VALUES ('\\x00', 1)",
        "INSERT INTO device_command (public_id, device_id, action, message, created_at, expires_at) SELECT 'x', id, 1, 'x', 1, 2 FROM device",
        "INSERT INTO channel (name, last_success_at) VALUES ('feed', 9000000000000)",
        "INSERT INTO feed_cursor (name, cursor) VALUES ('back-office', '1000')",
        "SELECT push_token FROM device",
        "SELECT * FROM spent_challenge",
        // Locks that would stand in others' way.
        "BEGIN; LOCK TABLE certificate IN SHARE MODE",
        "BEGIN; LOCK TABLE card_state IN ACCESS EXCLUSIVE MODE",
        "BEGIN; LOCK TABLE card_event_inbox IN SHARE ROW EXCLUSIVE MODE",
        "BEGIN; SELECT 1 FROM certificate FOR UPDATE",
        "BEGIN; SELECT 1 FROM card_state FOR KEY SHARE",
        "BEGIN; SELECT 1 FROM instruction FOR SHARE",
        "BEGIN; SELECT 1 FROM card_event_inbox FOR UPDATE",
        "BEGIN; SELECT 1 FROM event_counter FOR UPDATE",
        "TRUNCATE card_event_inbox",
        "CREATE TABLE smuggled (id INTEGER)",
        "CREATE FUNCTION smuggled() RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE certificate DISABLE TRIGGER ALL",
        "CREATE TRIGGER smuggled BEFORE UPDATE ON certificate FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ] {
        intruder.is_denied(statement);
    }
    assert_eq!((stored(&rooms.reader), rooms.reader.position().unwrap()), before);
}

#[test]
fn instructions_that_nobody_signed_who_may_lift_nothing_and_revoke_nothing() {
    let store = TestDatabase::postgres();
    let rooms = Rooms::furnish(&store);
    let ca = leading(&rooms, &Office::new(&rooms));
    let (cards, intruder) = ([rooms.card(), rooms.card()], Intruder::new(&store));
    let [lost, other] = [0, 1].map(|place: usize| rooms.phone(&ca, &cards[place]));
    let desk = rooms.operators.operator("Ada", "call-centre");
    // The true story: lost, found, lost again. The RA has kept what was signed.
    let mut kept = Vec::new();
    for action in [hold(&lost.device, HoldCause::PhoneLost), lift(&lost.device, HoldCause::PhoneLost)] {
        kept.push(rooms.signed_by_operator(&desk, &action));
        intruder.instruct(OPERATOR, kept.last().unwrap());
        assert_eq!(ca.role.take_instructions().unwrap(), 1);
    }
    rooms.instruct(&desk, &hold(&lost.device, HoldCause::PhoneLost));
    ca.role.take_instructions().unwrap();
    let before = stored(&rooms.reader);

    let mut forged: Vec<(String, Sha256Digest)> = Vec::new();
    let mut smuggle = |what: String, form, message: &[u8]| forged.push((what, intruder.instruct(form, message)));
    let revoke = OperatorAction::Revoke {
        target: Target::device(&other.device),
        reason: Reason::KeyCompromise,
        invalid_since: None,
        ticket: "x".to_owned(),
    };
    let release = lift(&lost.device, HoldCause::PhoneLost);
    let own_ca = OperatorCa::new();
    for action in [&revoke, &release] {
        smuggle(
            "an operator of its own CA".to_owned(),
            OPERATOR,
            &rooms.signed_by_operator(&own_ca.operator("Ada", "administrator"), action),
        );
        for role in ["auditor", "back-office", "verifier", "king"] {
            smuggle(format!("as {role}"), OPERATOR, &rooms.signed_by_operator(&rooms.operators.operator("Eve", role), action));
        }
        for form in [HOLDER, KEY_REPORT] {
            smuggle(format!("in form {form}"), form, &rooms.signed_by_operator(&desk, action));
        }
        // A phone is no operator.
        let by_phone = Instruction::of_operator(RA_NAME, &rooms.ra.challenge().to_base64(), action).sign(other.signer(Kind::Signature));
        smuggle("signed by a phone".to_owned(), OPERATOR, &by_phone.unwrap());
        // A challenge on a beacon of its own: the RA has the challenge key.
        let beacon = Beacon { value: [7; 32], drawn_at: Utc::now() };
        let challenge = rooms.ra.challenge_key().issue(&beacon).unwrap().to_base64();
        let signer = Signer { certificate: &desk.certificate, key: &desk.key };
        smuggle("on its own beacon".to_owned(), OPERATOR, &Instruction::of_operator(RA_NAME, &challenge, action).sign(signer).unwrap());
        for deviation in InstructionDeviation::ALL {
            let instruction = Instruction::of_operator(RA_NAME, &rooms.ra.challenge().to_base64(), action);
            let message = build_deviating_instruction(&instruction, signer, deviation).unwrap();
            if message.len() <= 65_536 {
                smuggle(format!("{deviation:?}"), OPERATOR, &message);
            }
        }
    }
    smuggle("the call centre revokes".to_owned(), OPERATOR, &rooms.signed_by_operator(&desk, &revoke));
    let stranger = Key::generate(KeyAlgorithm::P256).unwrap();
    let its_key = &other.keys[0].1;
    let report = Pkcs10 { signing_key: &stranger, ..Pkcs10::key_compromise(its_key) };
    smuggle("a key that it does not have".to_owned(), KEY_REPORT, &pkcs10(&report).unwrap());
    // The same bytes under another name, each of another case.
    for (place, message) in kept.iter().enumerate() {
        let name = Sha256Digest::of(&[place as u8]);
        intruder.instruct_as(&name, OPERATOR, message);
        forged.push(("a replay".to_owned(), name));
    }
    let mut left = forged.len();
    while left > 0 {
        left -= ca.role.take_instructions().unwrap();
    }
    for (what, digest) in &forged {
        assert!(matches!(rooms.instruction(digest), InstructionState::Refused { .. }), "{what}: {:?}", rooms.instruction(digest));
    }
    assert_eq!(stored(&rooms.reader), before);

    // A phone whose certificates have ended ends nothing, least of all the next one's.
    rooms.holder_instructs(other.signer(Kind::Authentication), &end("this-phone", "keyCompromise"));
    ca.role.take_instructions().unwrap();
    let next = rooms.phone(&ca, &cards[1]);
    let challenge = rooms.ra.challenge().to_base64();
    let again = Instruction::of_holder(RA_NAME, &challenge, &end("this-phone", "unspecified")).sign(other.signer(Kind::Signature)).unwrap();
    let again = intruder.instruct(HOLDER, &again);
    ca.role.take_instructions().unwrap();
    assert_eq!(rooms.refused(&again), "certificate_ended");
    assert_eq!(rooms.live(&cards[1]).len(), next.certificates.len());
    assert_eq!(replayed(&rooms.reader), stored(&rooms.reader));
    rooms.sound_under_any_policy();
}

#[test]
fn what_it_puts_into_the_inbox_releases_nothing_and_puts_no_true_event_off() {
    let store = TestDatabase::postgres();
    let rooms = Rooms::furnish(&store);
    let office = Office::new(&rooms);
    let (ca, card, intruder) = (leading(&rooms, &office), rooms.card(), Intruder::new(&store));
    rooms.phone(&ca, &card);
    // The card is held, as the feed says; then the RA lies about it in every way, under the ids that true events will have.
    let tell = |event_id: &str, change, sequence| {
        for (kind, side) in card.sides() {
            office.tell(stage::card_item(side, &format!("{event_id}-{kind}"), change, sequence));
        }
    };
    tell("held", (CardEventType::Held, None), 1);
    ca.role.follow_feed().unwrap();
    let held = stored(&rooms.reader);
    for (number, source) in (1..=4).enumerate() {
        for (kind, event_id) in [(Kind::Signature, "revoked-signature"), (Kind::Authentication, "revoked-authentication")] {
            let event_id = if number == 0 { event_id.to_owned() } else { format!("lie-{number}-{kind}") };
            intruder.tell(&card, kind, &event_id, 3, i64::MAX, source);
        }
    }
    assert_eq!(ca.role.apply_inbox().unwrap(), 8);
    assert_eq!(stored(&rooms.reader), held, "a hold was released by whoever says so");
    tell("revoked", (CardEventType::Revoked, Some(Reason::CessationOfOperation)), 2);
    ca.role.follow_feed().unwrap();
    for certificate in rooms.certificates(&card) {
        assert_eq!(certificate.revocation.unwrap().reason, RevocationReason::CessationOfOperation);
    }
    assert_eq!(replayed(&rooms.reader), stored(&rooms.reader));
    rooms.sound_under_any_policy();
}

/// Rows of every sort that it may write, as many as a statement bears, for as long as it is let.
const FLOODS: [&str; 6] = [
    "INSERT INTO card_event_inbox (event_id, issuer_key_id, serial, sequence, change, reason, occurred_at, source, received_at) \
     SELECT gen_random_uuid()::text, '\\xaa', int4send(16777216 + n), n, 1, 4, 1, 1, 1 FROM generate_series(1, 2000) AS n",
    "INSERT INTO card_event_inbox (event_id, issuer_key_id, serial, sequence, change, reason, occurred_at, source, received_at) \
     SELECT gen_random_uuid()::text, issuer_key_id, serial, n, 5, NULL, 1, 1, 1 FROM card_state, generate_series(1, 100) AS n LIMIT 2000",
    "INSERT INTO instruction (digest, form, message, received_at) SELECT sha256(m), 1 + n % 3, m, 1 \
     FROM (SELECT n, gen_random_uuid()::text::bytea AS m FROM generate_series(1, 200) AS n) AS made",
    "INSERT INTO rejection (digest, code, rejected_at) SELECT sha256(n::text::bytea), 'flood', 1 FROM generate_series(1, 500) AS n",
    "INSERT INTO device_command_result (command_public_id, body, signed, received_at) \
     SELECT md5(n::text), '{\"result\":\"done\"}', 0, 1 FROM generate_series(1, 500) AS n",
    "INSERT INTO application (digest, challenge, accepted_at, ticket_hash) SELECT sha256(m), sha256(m) || substr(sha256(m), 1, 16), 1, sha256(m) \
     FROM (SELECT gen_random_uuid()::text::bytea AS m FROM generate_series(1, 200)) AS made",
];

/// Transactions that stay open, with everything in them that may be locked or kept waiting for.
const HELD_OPEN: [&str; 3] = [
    "BEGIN; LOCK TABLE certificate, card_state, link, hold, event, event_counter IN ACCESS SHARE MODE; SELECT pg_sleep(3)",
    "BEGIN; INSERT INTO card_event_inbox (event_id, issuer_key_id, serial, sequence, change, reason, occurred_at, source, received_at) \
     SELECT 'true-' || n || '-' || kind, '\\xaa', '\\x01', 1, 3, NULL, 1, 1, 1 \
     FROM generate_series(0, 9) AS n, (VALUES ('signature'), ('authentication')) AS k (kind); SELECT pg_sleep(3)",
    "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM certificate; SELECT count(*) FROM card_state; \
     INSERT INTO rejection (digest, code, rejected_at) VALUES (sha256(''), 'x', 1); SELECT pg_sleep(3)",
];

/// In service, with all threads of the CA at work.
#[test]
fn a_flood_of_rows_and_transactions_held_open_do_not_keep_a_true_cascade_waiting() {
    let store = TestDatabase::postgres();
    let rooms = Rooms::furnish(&store);
    let office = Office::new(&rooms);
    let (intruder, stop) = (Intruder::new(&store), AtomicBool::new(false));
    let ca = leading(&rooms, &office);
    let cards: Vec<Card> = (0..5).map(|_| rooms.card()).collect();
    cards.iter().for_each(|card| drop(rooms.phone(&ca, card)));
    let waited = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| ca.role.run(&stop));
        let (intruder, stop) = (&intruder, &stop);
        for statement in HELD_OPEN {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    intruder.run(statement).unwrap();
                }
            });
        }
        for statement in FLOODS {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    intruder.run(statement).unwrap();
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        for (number, card) in cards.iter().enumerate() {
            std::thread::sleep(Duration::from_secs(2));
            let told = Instant::now();
            for (kind, side) in card.sides() {
                let change = (CardEventType::Revoked, Some(Reason::CessationOfOperation));
                office.tell(stage::card_item(side, &format!("true-{number}-{kind}"), change, 1));
            }
            while !rooms.live(card).is_empty() && told.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(20));
            }
            waited.lock().unwrap().push(told.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let waited = waited.into_inner().unwrap();
    let rows = "SELECT convert_to(concat(count(*), ' card events, ', count(*) FILTER (WHERE applied_at IS NULL), ' of them waiting; ', \
                (SELECT count(*) FROM instruction), ' instructions'), 'UTF8') FROM card_event_inbox";
    let rows = String::from_utf8(rooms.reader.octets_for_test(rows).unwrap().remove(0)).unwrap();
    println!("{rows}; from the feed to the end of the certificates: {waited:?}");
    // The feed is read each second; all else is the flood's doing.
    assert!(waited.iter().all(|waited| *waited < Duration::from_secs(5)), "{waited:?}");
    assert_eq!(replayed(&rooms.reader), stored(&rooms.reader));
    rooms.sound_under_any_policy();
}
