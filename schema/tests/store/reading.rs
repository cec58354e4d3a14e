//! The reader: cannot write, and survives corrupt rows.

use schema::certificate::CertificateFilter;
use schema::fault::FaultClass;
use schema::testing::{Sample, add_ca_keys, moment};
use schema::{EventPosition, StoreFault, on_each_database};

on_each_database! {
    fn a_reader_cannot_write(store) {
        for statement in ["UPDATE event_counter SET position = 5", "DELETE FROM event_counter", "CREATE TABLE smuggled (id INTEGER)"] {
            let fault = store.reader().execute_for_test(statement).unwrap_err();
            assert_eq!(fault.class(), Some(FaultClass::ReadOnly), "{fault}");
        }
        assert_eq!(store.reader().position().unwrap(), EventPosition(0));
    }

    fn a_corrupt_row_is_a_fault_and_other_rows_are_still_read(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let reader = store.reader();
        let kind = sample.kinds[0];

        store.execute("UPDATE certificate SET not_after = 9223372036854775807").unwrap();
        assert_eq!(reader.certificate_status(keys[0], &sample.serial(kind)), Err(StoreFault::Corrupt("a time")));
        assert!(reader.list_certificates(&CertificateFilter::default(), None, 10).is_err());
        assert!(reader.certificate_detail(None, &sample.serial(kind)).is_err());

        let octet = if store.is_postgres() { "'\\x00'" } else { "x'00'" };
        store.execute(&format!("UPDATE ca_key SET certificate = {octet}")).unwrap();
        assert_eq!(reader.ca_keys(), Err(StoreFault::Corrupt("a CA key")));
        assert_eq!(reader.application_by_digest(&sample.digest()).unwrap().map(|record| record.id.0), Some(1));
    }

    fn a_reader_goes_on_after_its_connections_were_lost(store) {
        store.reader().position().unwrap();
        if store.is_postgres() {
            store.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").unwrap();
        }
        assert_eq!(store.reader().position().unwrap(), EventPosition(0));
    }
}

#[test]
fn codes_that_break_their_constraints_are_faults_on_sqlite() {
    let store = schema::testing::TestDatabase::sqlite();
    let keys = add_ca_keys(&store.writer());
    let sample = Sample::new(1, keys);
    let application = sample.accept_and_issue(&store.writer(), moment(2)).map(|_| sample.digest()).unwrap();
    let serial = sample.serial(sample.kinds[0]);
    let reader = store.reader();
    for (change, undo) in [
        ("state = 99", "state = 1"),
        ("kind = 77", "kind = 1"),
        ("reason = 8, revoked_at = 0", "reason = NULL, revoked_at = NULL"),
        ("revoked_at = 5", "revoked_at = NULL"),
    ] {
        store
            .execute(&format!(
                "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; UPDATE certificate SET {change} WHERE id = 1"
            ))
            .unwrap();
        assert!(matches!(reader.certificate_detail(None, &serial), Err(StoreFault::Corrupt(_))), "{change}");
        store
            .execute(&format!(
                "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; UPDATE certificate SET {undo} WHERE id = 1"
            ))
            .unwrap();
    }
    store.execute("PRAGMA ignore_check_constraints = ON; UPDATE application SET state = 3").unwrap();
    assert!(matches!(reader.application_by_digest(&application), Err(StoreFault::Corrupt(_))));
    store.execute("PRAGMA ignore_check_constraints = ON; UPDATE application SET state = 2, ticket_hash = x'0102'").unwrap();
    assert!(matches!(reader.application_by_digest(&application), Err(StoreFault::Corrupt(_))));
}
