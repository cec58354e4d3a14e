//! Certificates with a status and nothing else, for tests of what relying parties are told: issuing them properly takes a card.

use ca_core::issuer::{CaKey, CaKeyId};
use ca_core::lifecycle::{Command, HoldCause};
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, TimeDelta, Utc};
use policies::LifecyclePolicy;
use serde_json::json;

use super::TestDatabase;
use crate::authority::NewCaKey;
use crate::certificate::CertificateId;
use crate::change::{Changed, Order, Origin, Target};
use crate::codes;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::sql::sql;
use crate::transaction::Transaction;

impl TestDatabase {
    /// Stores the CA key under an id that the store chooses, which is to be the one the key has already.
    pub fn add_ca_key(&self, ca_key: &CaKey, now: DateTime<Utc>) {
        let new = NewCaKey {
            kind: ca_key.kind(),
            generation: ca_key.generation(),
            certificate: ca_key.certificate_der().to_vec(),
            urls: ca_key.urls().clone(),
        };
        let id = self.writer().write(move |tx| -> Result<_, StoreFault> { tx.add_ca_key(&new, now) }).expect("a CA key is added");
        assert_eq!(id, ca_key.id());
    }

    /// Puts a live certificate of a holder of its own into the tables.
    pub fn put_certificate(&self, ca_key: CaKeyId, serial: &SerialNumber, not_after: DateTime<Utc>) {
        self.put_certificate_in(ca_key, 0, serial, not_after);
    }

    /// The same, in a CRL shard, which must be open.
    pub fn put_certificate_in(&self, ca_key: CaKeyId, shard: u16, serial: &SerialNumber, not_after: DateTime<Utc>) {
        let serial = serial.clone();
        let put = self.writer().write(move |tx| put(tx, ca_key, shard, &serial, not_after));
        put.expect("a certificate is put into the tables");
    }

    /// The same in shard 0, with the event that issuance leaves.
    pub fn issue_certificate(&self, ca_key: CaKeyId, serial: &SerialNumber, not_after: DateTime<Utc>, at: DateTime<Utc>) {
        let serial = serial.clone();
        let issue = move |tx: &mut Transaction<'_>| -> Result<(), StoreFault> {
            put(tx, ca_key, 0, &serial, not_after)?;
            let id = sql("SELECT id FROM certificate WHERE ca_key_id = ? AND serial = ?").bind(ca_key.0).bind(&serial);
            let id = id.optional(tx.session, |row| row.big())?.ok_or(StoreFault::Corrupt("what was just put is not there"))?;
            tx.emit(NewEvent::new(EventKind::CertificateIssued, at, json!({})).about_certificate(CertificateId(id)));
            Ok(())
        };
        self.writer().write(issue).expect("a certificate is issued");
    }

    /// Does something to a certificate at a moment, as an operator would, under a policy that lifts holds.
    pub fn command(&self, ca_key: CaKeyId, serial: &SerialNumber, command: Command, at: DateTime<Utc>) -> Vec<Changed> {
        let ca_keys = self.reader().ca_keys().expect("CA keys are read");
        let kind = ca_keys.iter().find(|key| key.id() == ca_key).map(CaKey::kind);
        let targets = [Target::Serial { serial: serial.clone(), kind }];
        let policy = LifecyclePolicy::derived_piv().expect("the shipped policy is sound");
        let order = Order::from(Origin::Operator { name: "Test".to_owned(), role: "administrator".to_owned() });
        let change = self.writer().write(move |tx| tx.change_certificates(&targets, &command, &policy, &order, at));
        change.expect("the certificate is changed")
    }

    /// Revokes a certificate, or places an operator's hold on it.
    pub fn revoke(&self, ca_key: CaKeyId, serial: &SerialNumber, revocation: Revocation) {
        let Revocation { at, reason, .. } = revocation;
        let command = if reason.is_permanent() {
            Command::Revoke { reason, invalid_since: None }
        } else {
            Command::Hold { cause: HoldCause::Operator }
        };
        self.command(ca_key, serial, command, at);
    }

    /// Lifts that hold.
    pub fn lift(&self, ca_key: CaKeyId, serial: &SerialNumber, at: DateTime<Utc>) {
        self.command(ca_key, serial, Command::Lift { cause: HoldCause::Operator }, at);
    }
}

fn put(tx: &mut Transaction<'_>, ca_key: CaKeyId, shard: u16, serial: &SerialNumber, not_after: DateTime<Utc>) -> Result<(), StoreFault> {
    let holder = format!("holder-{serial}-{}", ca_key.0);
    sql("INSERT INTO holder (holder_id) VALUES (?)").bind(holder.as_str()).execute(tx.session)?;
    sql("INSERT INTO issuance_intent (kind, serial, ca_key_id, tbs_sha256, application_id, recorded_at) \
         SELECT kind, ?, id, ?, NULL, 0 FROM ca_key WHERE id = ?")
    .bind(serial)
    .bind([0_u8; 32].as_slice())
    .bind(ca_key.0)
    .execute(tx.session)?;
    sql("INSERT INTO certificate (kind, ca_key_id, serial, shard, holder, state, not_before, not_after) \
         SELECT ca_key.kind, ca_key.id, ?, ?, holder.id, 1, ?, ? FROM ca_key, holder WHERE ca_key.id = ? AND holder.holder_id = ?")
    .bind(serial)
    .bind(codes::shard_code(shard))
    .bind(not_after - TimeDelta::days(10))
    .bind(not_after)
    .bind(ca_key.0)
    .bind(holder.as_str())
    .execute(tx.session)?;
    Ok(())
}
