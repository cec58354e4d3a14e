//! One process serves a SQLite file at a time.

use schema::testing::TestDatabase;
use schema::{Database, OpenOptions, StoreFault};

fn serve(store: &TestDatabase) -> Result<Database, StoreFault> {
    Database::open(store.url(), &OpenOptions { sole_server: true, ..OpenOptions::default() })
}

#[test]
fn a_sqlite_file_is_served_by_one_and_looked_at_by_many() {
    let store = TestDatabase::sqlite();
    let serving = serve(&store).unwrap();
    let kept = serving.clone();
    assert_eq!(serve(&store).err(), Some(StoreFault::Served));
    store.open_again().reader().position().unwrap();
    drop(serving);
    assert_eq!(serve(&store).err(), Some(StoreFault::Served), "a clone is open");
    drop(kept);
    serve(&store).unwrap();
}

#[cfg(feature = "postgres")]
#[test]
fn a_postgresql_database_is_served_by_many() {
    let store = TestDatabase::postgres();
    let serving = [serve(&store).unwrap(), serve(&store).unwrap()];
    assert_eq!(serving[0].instance(), serving[1].instance());
}
