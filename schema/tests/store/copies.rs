//! Copies of a store into another database.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ca_core::issuer::CaKeyId;
use schema::copy::{CopyFailure, CopyRefusal, Side, StoreCopy};
use schema::testing::{Sample, TestDatabase, add_ca_keys, execute_on, moment};
use schema::{Database, OpenOptions, StoreFault, Writer};
use tempfile::TempDir;

/// A database without tables, gone when this is dropped.
enum Empty {
    Directory(TempDir),
    #[cfg(feature = "postgres")]
    Server(TestDatabase),
}

impl Empty {
    fn sqlite() -> Self {
        Self::Directory(tempfile::tempdir().unwrap())
    }

    #[cfg(feature = "postgres")]
    fn postgres() -> Self {
        let database = TestDatabase::postgres();
        database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").unwrap();
        Self::Server(database)
    }

    fn url(&self) -> String {
        match self {
            Self::Directory(directory) => format!("sqlite://{}", directory.path().join("copy.db").display()),
            #[cfg(feature = "postgres")]
            Self::Server(database) => database.url().to_owned(),
        }
    }
}

fn issue(sample: &Sample, writer: &Writer) {
    sample.accept_and_issue(writer, moment(2)).unwrap();
}

/// A store with rows in every sort of table, that nobody has open.
fn fill(store: &TestDatabase) {
    let database = store.open_again();
    let writer = database.writer();
    let ca_keys = add_ca_keys(&writer);
    for number in 0..120 {
        issue(&Sample::new(number, ca_keys), &writer);
    }
    // The one that is approved comes before the one by which it is.
    let instruction = |number: u8, approved_by: &str| {
        let digest = hex::encode([number; 32]);
        let octets = if store.is_postgres() { format!("'\\x{digest}'") } else { format!("x'{digest}'") };
        format!(
            "INSERT INTO instruction (id, digest, form, message, received_at, approved_by) VALUES ({number}, {octets}, 1, {octets}, 1, {approved_by});"
        )
    };
    let last = "INSERT INTO lookup (id, verifier, purpose, question, found, at) VALUES (77, 'v', 'p', 'q', 0, 1); DELETE FROM lookup WHERE id = 77;";
    let statements = [instruction(1, "NULL"), instruction(2, "NULL"), "UPDATE instruction SET approved_by = 2 WHERE id = 1;".to_owned()];
    store.execute(&format!("{} {last}", statements.concat())).unwrap();
    if store.is_postgres() {
        store
            .execute(
                "SELECT setval(pg_get_serial_sequence('lookup', 'id'), 77); SELECT setval(pg_get_serial_sequence('instruction', 'id'), 2)",
            )
            .unwrap();
    }
}

fn copy(from: &str, to: &str) -> Result<StoreCopy, CopyFailure> {
    let mut copy = StoreCopy::begin(from, to)?;
    copy.copy(|_, _| {})?;
    Ok(copy)
}

fn copied_as_a_whole(store: &TestDatabase, target: &Empty) {
    fill(store);
    let mut copy = copy(store.url(), &target.url()).unwrap();
    assert!(!copy.is_resumed());
    let tables = copy.compare(|_, _| {}).unwrap();
    assert_eq!(Database::open(&target.url(), &OpenOptions::default()).err(), Some(StoreFault::Unfinished));
    copy.finish().unwrap();
    let rows = |name: &str| tables.iter().find(|table| table.table == name).unwrap_or_else(|| panic!("{name} is forgotten")).rows;
    assert_eq!((rows("certificate"), rows("application"), rows("instruction"), rows("log_head")), (240, 120, 2, 1));

    let there = Database::open(&target.url(), &OpenOptions::default()).unwrap();
    let here = store.open_again();
    assert_eq!(there.instance(), here.instance());
    assert_eq!(there.reader().store_state().unwrap(), here.reader().store_state().unwrap());
    assert_eq!(there.reader().count_for_test("SELECT approved_by FROM instruction WHERE id = 1").unwrap(), 2);
    // Triggers, keys and numbers given out by the database go on as they would have.
    for statement in ["DELETE FROM crl_shard", "UPDATE event SET at = 1", "DELETE FROM holder"] {
        assert!(execute_on(&target.url(), statement).is_err(), "{statement}");
    }
    let ca_keys: Vec<CaKeyId> = there.reader().ca_keys().unwrap().iter().map(|key| key.id()).collect();
    issue(&Sample::new(500, ca_keys.try_into().unwrap()), &there.writer());
    let lookup = "INSERT INTO lookup (verifier, purpose, question, found, at) VALUES ('v', 'p', 'q', 0, 1)";
    execute_on(&target.url(), lookup).unwrap();
    assert_eq!(there.reader().count_for_test("SELECT MAX(id) FROM lookup").unwrap(), 78);
    let again = StoreCopy::begin(store.url(), &target.url()).err().unwrap();
    assert!(matches!(again, CopyFailure::Refused(CopyRefusal::InUse(_) | CopyRefusal::TargetIsStore)), "{again}");
}

fn gone_on_with(store: &TestDatabase, target: &Empty) {
    fill(store);
    let mut broken_off = 0;
    for at in 1.. {
        let mut heard = 0;
        let mut copy = StoreCopy::begin(store.url(), &target.url()).unwrap();
        assert_eq!(copy.is_resumed(), at > 1);
        let copied = catch_unwind(AssertUnwindSafe(|| {
            copy.copy(|_, _| {
                heard += 1;
                assert!(heard < 20 + at, "broken off on purpose");
            })
        }));
        match copied {
            Err(_) => broken_off += 1,
            Ok(copied) => {
                copied.unwrap();
                copy.compare(|_, _| {}).unwrap();
                copy.finish().unwrap();
                break;
            }
        }
    }
    assert!(broken_off > 5, "{broken_off}");
    let there = Database::open(&target.url(), &OpenOptions::default()).unwrap();
    assert_eq!(there.reader().count_for_test("SELECT COUNT(*) FROM event").unwrap(), there.reader().position().unwrap().0);
}

macro_rules! from_and_to {
    ($($name:ident: $check:ident;)*) => {
        $(
            mod $name {
                use super::*;

                #[test]
                fn from_sqlite_to_sqlite() {
                    $check(&TestDatabase::sqlite(), &Empty::sqlite());
                }

                #[cfg(feature = "postgres")]
                #[test]
                fn from_sqlite_to_postgres() {
                    $check(&TestDatabase::sqlite(), &Empty::postgres());
                }

                #[cfg(feature = "postgres")]
                #[test]
                fn from_postgres_to_sqlite() {
                    $check(&TestDatabase::postgres(), &Empty::sqlite());
                }
            }
        )*
    };
}

from_and_to! {
    a_copy_is_the_same_store: copied_as_a_whole;
    a_copy_that_was_broken_off_is_gone_on_with: gone_on_with;
}

#[test]
fn a_source_that_went_on_another_source_and_a_store_in_use_are_refused() {
    let (store, other, target) = (TestDatabase::sqlite(), TestDatabase::sqlite(), Empty::sqlite());
    let refused = |from: &str, to: &str| match StoreCopy::begin(from, to).err().unwrap() {
        CopyFailure::Refused(refusal) => refusal,
        fault => panic!("{fault}"),
    };
    let ca_keys = add_ca_keys(&store.writer());
    drop(StoreCopy::begin(store.url(), &target.url()).unwrap());
    assert_eq!(refused(other.url(), &target.url()), CopyRefusal::OtherSource);
    issue(&Sample::new(1, ca_keys), &store.writer());
    assert_eq!(refused(store.url(), &target.url()), CopyRefusal::SourceWentOn);
    assert_eq!(refused(store.url(), store.url()), CopyRefusal::Itself);
    assert_eq!(refused(store.url(), other.url()), CopyRefusal::TargetIsStore);
    let served = Database::open(store.url(), &OpenOptions { sole_server: true, ..OpenOptions::default() }).unwrap();
    assert_eq!(refused(store.url(), &Empty::sqlite().url()), CopyRefusal::InUse(Side::From));
    drop(served);
    let foreign = Empty::sqlite();
    std::fs::File::create(foreign.url().strip_prefix("sqlite://").unwrap()).unwrap();
    execute_on(&foreign.url(), "CREATE TABLE something (id INTEGER)").unwrap();
    assert_eq!(refused(store.url(), &foreign.url()), CopyRefusal::TargetNotEmpty);
}

#[test]
fn a_row_that_changed_on_the_way_is_found() {
    let (store, target) = (TestDatabase::sqlite(), Empty::sqlite());
    fill(&store);
    let mut copy = copy(store.url(), &target.url()).unwrap();
    execute_on(&target.url(), "UPDATE certificate SET not_before = not_before + 1 WHERE id = 7").unwrap();
    let found = copy.compare(|_, _| {}).err().unwrap();
    assert_eq!(found, CopyFailure::Refused(CopyRefusal::Different("certificate".to_owned())));
}

#[test]
fn a_source_that_is_written_to_behind_the_lock_is_found() {
    let (store, target) = (TestDatabase::sqlite(), Empty::sqlite());
    fill(&store);
    let mut copy = copy(store.url(), &target.url()).unwrap();
    store.execute("INSERT INTO lookup (verifier, purpose, question, found, at) VALUES ('v', 'p', 'q', 0, 1)").unwrap();
    assert_eq!(copy.compare(|_, _| {}).err(), Some(CopyFailure::Refused(CopyRefusal::Different("lookup".to_owned()))));
}
