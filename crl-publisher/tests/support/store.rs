//! A throwaway store, with certificates put into its tables by hand: issuing them properly takes a card.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ca_core::issuer::{CaKey, CaKeyId};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use schema::Database;
use schema::authority::NewCaKey;

pub struct Store {
    pub database: Database,
    path: String,
    _directory: tempfile::TempDir,
}

impl Store {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.sqlite").to_str().unwrap().to_owned();
        let database = Database::create(&format!("sqlite://{path}")).unwrap();
        Self { database, path, _directory: directory }
    }

    /// Stores the CA key under an id that the store chooses, which is to be the one the key has already.
    pub fn add_ca_key(&self, ca_key: &CaKey, now: DateTime<Utc>) {
        let new = NewCaKey {
            kind: ca_key.kind(),
            generation: ca_key.generation(),
            certificate: ca_key.certificate_der().to_vec(),
            urls: ca_key.urls().clone(),
        };
        let id = self.database.writer().write(move |tx| tx.add_ca_key(&new, now)).unwrap();
        assert_eq!(id, ca_key.id());
    }

    pub fn issue(&self, ca_key: CaKeyId, serial: &SerialNumber, not_after: DateTime<Utc>) {
        let serial = hex(serial);
        let (end, begin) = (not_after.timestamp_millis(), not_after.timestamp_millis() - 1_000_000_000);
        self.execute(&format!(
            "INSERT INTO holder (holder_id) VALUES ('holder-{serial}-{key}'); \
             INSERT INTO issuance_intent SELECT kind, x'{serial}', id, zeroblob(32), NULL, 0 FROM ca_key WHERE id = {key}; \
             INSERT INTO certificate (kind, ca_key_id, serial, holder, state, not_before, not_after) \
             SELECT ca_key.kind, ca_key.id, x'{serial}', holder.id, 1, {begin}, {end} FROM ca_key, holder \
             WHERE ca_key.id = {key} AND holder.holder_id = 'holder-{serial}-{key}'",
            key = ca_key.0,
        ));
    }

    /// Revokes (or holds) a certificate, with the event of it, in one transaction.
    pub fn revoke(&self, ca_key: CaKeyId, serial: &SerialNumber, revocation: Revocation) {
        let state = if revocation.reason == RevocationReason::CertificateHold { 2 } else { 3 };
        self.execute(&format!(
            "BEGIN IMMEDIATE; \
             UPDATE certificate SET state = {state}, reason = {reason}, revoked_at = {at} WHERE ca_key_id = {key} AND serial = x'{serial}'; \
             UPDATE event_counter SET position = position + 1; \
             INSERT INTO event (position, at, kind, data) SELECT position, {at}, 'certificate.revoked', \
             '{{\"ca_key\":{key},\"reason\":\"{word}\"}}' FROM event_counter; \
             COMMIT",
            reason = revocation.reason.code(),
            word = revocation.reason,
            at = revocation.at.timestamp_millis(),
            key = ca_key.0,
            serial = hex(serial),
        ));
    }

    pub fn execute(&self, statements: &str) {
        let mut connection = SqliteConnection::establish(&self.path).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
        connection.batch_execute(statements).unwrap();
    }
}

fn hex(serial: &SerialNumber) -> String {
    serial.to_string()
}
