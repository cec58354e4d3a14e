//! Purging: of lives that are long over nothing personal is left, and the log keeps its commitments.

use ca_core::application::ApplicationId;
use chrono::{DateTime, TimeDelta, Utc};
use schema::log::LeafContent;
use schema::purge::Purged;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment};
use schema::{EventKind, StoreFault, Writer, on_each_database};

use crate::leaves::{lead, sequence};

/// When the samples' certificates end.
fn end() -> DateTime<Utc> {
    Sample::new(0, [ca_core::issuer::CaKeyId(1), ca_core::issuer::CaKeyId(2)]).not_after
}

fn years(count: i64) -> TimeDelta {
    TimeDelta::days(366 * count)
}

/// Three holders whose certificates ended and are marked so, in the log; the last one's have just ended.
fn ended(store: &TestDatabase) -> [Sample; 3] {
    let writer = store.writer();
    let ca_keys = add_ca_keys(&writer);
    let mut samples = [101, 102, 103].map(|number| Sample { holder_id: format!("person-{number}"), ..Sample::new(number, ca_keys) });
    samples[2].not_after = end() + years(10);
    for sample in &samples {
        sample.accept_and_issue(&writer, moment(2)).unwrap();
    }
    for at in [end() + TimeDelta::minutes(1), end() + years(10) + TimeDelta::minutes(1)] {
        let order = schema::change::Order::from(schema::change::Origin::Schedule { name: "expire".to_owned() });
        writer.write(move |tx| tx.expire_due(100, &jpki(), &order, at)).unwrap();
    }
    sequence(store, &lead(store));
    samples
}

fn purge(writer: &Writer, applications: &[ApplicationId], before: DateTime<Utc>) -> Purged {
    let applications = applications.to_vec();
    let now = before + years(10);
    let mut purged = writer.write(move |tx| tx.purge_lives(&applications, before, now)).unwrap();
    purged += writer.write(move |tx| tx.purge_others(before, 1_000, now)).unwrap();
    purged
}

/// Everything that the database has in its tables, and on SQLite in its file.
fn everything(store: &TestDatabase) -> Vec<u8> {
    if store.is_postgres() {
        let query = "SELECT convert_to(string_agg(CAST(query_to_xml(format('SELECT CAST(t AS TEXT) AS r FROM %I AS t', tablename), \
                     false, false, '') AS TEXT), ''), 'UTF8') FROM pg_tables WHERE schemaname = 'public'";
        return store.reader().octets_for_test(query).unwrap().concat();
    }
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let octets = std::fs::read(store.url().strip_prefix("sqlite://").unwrap()).unwrap();
    // As PostgreSQL shows octets.
    let mut shown = hex::encode(&octets).into_bytes();
    shown.extend(octets);
    shown
}

fn has(everything: &[u8], what: &[u8]) -> bool {
    everything.windows(what.len()).any(|window| window == what)
}

fn tells_of(everything: &[u8], sample: &Sample) -> Vec<&'static str> {
    let hexadecimal = |octets: &[u8]| hex::encode(octets).into_bytes();
    let card = format!("authentication certificate {}", sample.card);
    let found = [
        ("the holder", has(everything, sample.holder_id.as_bytes())),
        ("the message", has(everything, &hexadecimal(&sample.cms()))),
        ("the card certificate", has(everything, &hexadecimal(card.as_bytes()))),
    ];
    found.into_iter().filter(|(_, is_there)| *is_there).map(|(what, _)| what).collect()
}

on_each_database! {
    fn of_a_life_that_is_long_over_nothing_personal_is_left(store) {
        let samples = ended(store);
        let (before, reader) = (end() + TimeDelta::days(1), store.reader());
        let commitments = reader.log_commitments(0, 1_000).unwrap();
        for sample in &samples {
            assert_eq!(tells_of(&everything(store), sample).len(), 3, "what is looked for can be found");
        }
        let overdue = reader.overdue_lives(ApplicationId(1), before, 100).unwrap();
        assert_eq!(overdue.applications, [ApplicationId(1), ApplicationId(2)]);
        assert_eq!(reader.overdue_lives(ApplicationId(1), end() - TimeDelta::days(1), 100).unwrap().applications, []);

        let all = [1, 2, 3].map(ApplicationId);
        let purged = purge(&store.writer(), &all, before);
        assert_eq!(purged.lives, 2);
        let seen = everything(store);
        assert_eq!(tells_of(&seen, &samples[0]), Vec::<&str>::new());
        assert_eq!(tells_of(&seen, &samples[1]), Vec::<&str>::new());
        assert_eq!(tells_of(&seen, &samples[2]).len(), 3);

        // The tree is what it was, but for what is in it.
        assert_eq!(reader.log_commitments(0, 1_000).unwrap(), commitments);
        let mut absent = 0;
        let leaves = reader.log_records(0, 1_000, |record| -> Result<(), StoreFault> {
            absent += u64::from(record.content == LeafContent::Purged);
            Ok(())
        });
        assert_eq!((leaves.unwrap(), absent), (commitments.len() as u64, purged.leaves));
        let told = reader.events_after(schema::EventPosition(0), 10_000).unwrap();
        let told: Vec<u64> =
            told.iter().filter(|event| event.kind == EventKind::LogPurged).map(|event| event.data["leaves"].as_u64().unwrap()).collect();
        assert_eq!(told.iter().sum::<u64>(), purged.leaves);

        // Neither serial number, nor message, nor key may come again; and there is nothing to be done twice.
        assert_eq!(purge(&store.writer(), &all, before), Purged::default());
        assert_eq!(reader.count_for_test("SELECT COUNT(*) FROM issuance_intent").unwrap(), 6);
        assert_eq!(reader.count_for_test("SELECT COUNT(*) FROM certified_key").unwrap(), 6);
        assert_eq!(reader.count_for_test("SELECT COUNT(*) FROM application").unwrap(), 3);
        assert_eq!(reader.count_for_test("SELECT COUNT(*) FROM certificate_body").unwrap(), 2);
        let statuses = reader.status_at(samples[0].ca_keys[0], &[samples[0].serial(ca_core::kind::CertificateKind::Signature)]).unwrap();
        assert!(statuses.statuses[0].is_some());
        assert!(reader.first_kept_life().unwrap() == Some(ApplicationId(3)));
    }

    fn what_is_not_under_a_signed_note_or_still_stands_stays(store) {
        let writer = store.writer();
        let ca_keys = add_ca_keys(&writer);
        let sample = Sample::new(7, ca_keys);
        sample.accept_and_issue(&writer, moment(2)).unwrap();
        let lease = lead(store);
        sequence(store, &lease);
        let (late, all) = (end() + years(5), [ApplicationId(1)]);
        assert_eq!(purge(&writer, &all, late), Purged::default(), "nobody marked its certificates as expired");
        let order = schema::change::Order::from(schema::change::Origin::Schedule { name: "expire".to_owned() });
        writer.write(move |tx| tx.expire_due(100, &jpki(), &order, end() + TimeDelta::minutes(1))).unwrap();
        assert_eq!(purge(&writer, &all, late), Purged::default(), "the log does not have its end");
        sequence(store, &lease);
        assert_eq!(purge(&writer, &all, end()), Purged::default(), "it ended later");
        assert_eq!(purge(&writer, &all, late).lives, 1);
    }

    fn a_holder_who_applied_again_keeps_the_name_and_instructions_wait_for_the_lives_of_their_time(store) {
        let writer = store.writer();
        let ca_keys = add_ca_keys(&writer);
        let first = Sample { holder_id: "who came again".to_owned(), ..Sample::new(1, ca_keys) };
        let second = Sample { holder_id: first.holder_id.clone(), not_after: end() + years(20), ..Sample::new(2, ca_keys) };
        first.accept_and_issue(&writer, moment(2)).unwrap();
        let blob = |octets: &str| if store.is_postgres() { format!("'\\x{octets}'") } else { format!("x'{octets}'") };
        let digest = blob(&"ab".repeat(32));
        let message = blob(&hex::encode("what somebody wanted"));
        let at = moment(3).timestamp_millis();
        store.execute(&format!(
            "INSERT INTO instruction (digest, form, message, received_at, state, decided_at) VALUES ({digest}, 1, {message}, {at}, 2, {at}); \
             INSERT INTO lookup (verifier, purpose, question, found, at) VALUES ('v', 'p', 'who is it', 0, {at})"
        )).unwrap();
        // Accepted by the samples' clock at the same moment as the first.
        second.accept_and_issue(&writer, moment(4)).unwrap();
        let order = schema::change::Order::from(schema::change::Origin::Schedule { name: "expire".to_owned() });
        writer.write(move |tx| tx.expire_due(100, &jpki(), &order, end() + TimeDelta::minutes(1))).unwrap();
        sequence(store, &lead(store));
        let purged = purge(&writer, &[1, 2].map(ApplicationId), end() + years(1));
        assert_eq!((purged.lives, purged.others), (1, 0));
        let seen = everything(store);
        assert!(has(&seen, b"who came again") && has(&seen, hex::encode("what somebody wanted").as_bytes()));
        assert!(!has(&seen, hex::encode(first.cms()).as_bytes()));

        let order = schema::change::Order::from(schema::change::Origin::Schedule { name: "expire".to_owned() });
        writer.write(move |tx| tx.expire_due(100, &jpki(), &order, end() + years(20) + TimeDelta::minutes(1))).unwrap();
        sequence(store, &lead(store));
        let purged = purge(&writer, &[1, 2].map(ApplicationId), end() + years(21));
        assert_eq!((purged.lives, purged.others), (1, 2));
        let seen = everything(store);
        for gone in [b"who came again".to_vec(), hex::encode("what somebody wanted").into_bytes(), b"who is it".to_vec()] {
            assert!(!has(&seen, &gone), "{}", String::from_utf8_lossy(&gone));
        }
        assert_eq!(store.reader().count_for_test("SELECT COUNT(*) FROM instruction").unwrap(), 1, "it is not taken again");
    }
}

#[cfg(feature = "postgres")]
#[test]
fn the_ca_role_may_purge_and_nobody_else() {
    use crate::grants::{CA, RA, STATUS, Users};
    let users = Users::new();
    ended(&users.store);
    let before = end() + TimeDelta::days(1);
    for user in [RA, STATUS] {
        let writer = users.open_as(user).writer();
        assert!(writer.write(move |tx| tx.purge_lives(&[ApplicationId(1)], before, before)).is_err());
    }
    assert_eq!(purge(&users.open_as(CA).writer(), &[1, 2].map(ApplicationId), before).lives, 2);
}
