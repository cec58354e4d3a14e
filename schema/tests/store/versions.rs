//! Creating and opening: only a database of exactly this program's version is used.

use schema::{Database, OpenOptions, StoreFault, on_each_database};

fn open(url: &str) -> Result<Database, StoreFault> {
    Database::open(url, &OpenOptions::default())
}

on_each_database! {
    fn a_newer_database_is_refused(store) {
        store.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000001')").unwrap();
        assert_eq!(open(store.url()).err(), Some(StoreFault::Newer { found: "20991231000001".to_owned() }));
    }

    fn an_older_database_is_refused(store) {
        store.execute("DELETE FROM __diesel_schema_migrations").unwrap();
        assert!(matches!(open(store.url()).err(), Some(StoreFault::Older { .. })));
    }

    fn a_database_is_not_created_twice(store) {
        assert_eq!(Database::create(store.url()).err(), Some(StoreFault::Exists));
    }

    fn a_database_keeps_its_instance_name_over_reopening(store) {
        let again = store.open_again();
        assert_eq!(again.instance(), store.database().instance());
        assert_eq!(again.instance().len(), 32);
    }
}

#[test]
fn a_missing_or_empty_sqlite_file_is_not_initialised() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nothing.db");
    let url = format!("sqlite://{}", path.display());
    assert_eq!(open(&url).err(), Some(StoreFault::NotInitialised));
    assert!(!path.exists());
    std::fs::write(&path, b"").unwrap();
    assert_eq!(open(&url).err(), Some(StoreFault::NotInitialised));
}

#[test]
fn a_file_that_is_no_database_is_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text.db");
    std::fs::write(&path, "no database at all, but long enough to be read as the header of one".repeat(100)).unwrap();
    assert!(open(&format!("sqlite://{}", path.display())).is_err());
}

#[cfg(unix)]
#[test]
fn a_new_sqlite_database_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let database = Database::create(&format!("sqlite://{}", path.display())).unwrap();
    database.writer().write(|tx| tx.set_feed_cursor("feed", "1")).unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_postgresql_server_without_fsync_is_refused() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/with-postgres");
    let mut server = Command::new(script)
        .args(["sh", "-c", "echo \"$TSUNAGI_TEST_POSTGRES\"; cat"])
        .env("TSUNAGI_POSTGRES_OPTIONS", "-c fsync=off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let created = Database::create(url.trim()).err();
    // The command ends with its input, and the server with it.
    drop(server.stdin.take());
    server.wait().unwrap();
    assert_eq!(created, Some(StoreFault::UnsafeServer("fsync is off")));
}

#[cfg(feature = "postgres")]
#[test]
fn a_postgresql_server_that_is_not_there_is_unreachable_and_its_password_is_not_told() {
    let fault = open("postgres://someone:secret@127.0.0.1:1/nowhere").err().unwrap();
    assert!(matches!(fault, StoreFault::Unreachable(_)));
    assert!(!fault.to_string().contains("secret"));
}
