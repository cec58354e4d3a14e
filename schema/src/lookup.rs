//! What verifiers may look up, and the record of who did, for what purpose.

use ca_core::card::identity::{CardIdentity, KeyIdentifier};
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::certificate::{self, CertificateSummary};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

/// Who asked what, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLookup {
    /// The verifier, as its client certificate names it: 1 to 255 octets.
    pub verifier: String,
    /// The purpose it stated: 1 to 4,096 octets.
    pub purpose: String,
    /// What it asked for: 1 to 65,536 octets.
    pub question: String,
    /// How much of it was found.
    pub found: u32,
}

/// How one certificate is related to another of the same holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The same.
    Itself,
    /// Of the other kind: on the same application, else the one that stands, else the newest.
    OtherKind,
    /// Of the same kind, the next one.
    Successor,
    /// Of the same kind, the one before.
    Predecessor,
}

impl Reader {
    /// The certificate that is so related to the one with this serial number, whose kind may be left out.
    pub fn related_certificate(
        &self,
        kind: Option<CertificateKind>,
        serial: &SerialNumber,
        relation: Relation,
    ) -> Result<Option<CertificateSummary>, StoreFault> {
        let (condition, order) = match relation {
            Relation::Itself => ("c.id = own.id", "c.id"),
            Relation::OtherKind => (
                "c.kind <> own.kind",
                "CASE WHEN (SELECT application_id FROM certificate_body WHERE certificate_id = c.id) = \
                 (SELECT application_id FROM certificate_body WHERE certificate_id = own.id) THEN 0 \
                 WHEN c.state IN (1, 2) THEN 1 ELSE 2 END, c.id DESC",
            ),
            Relation::Successor => ("c.kind = own.kind AND c.id > own.id", "c.id"),
            Relation::Predecessor => ("c.kind = own.kind AND c.id < own.id", "c.id DESC"),
        };
        let kind_condition = if kind.is_some() { " AND own.kind = ?" } else { "" };
        let text = format!(
            "SELECT {} FROM certificate AS own JOIN certificate AS c ON c.holder = own.holder JOIN holder AS h ON h.id = c.holder \
             WHERE own.serial = ?{kind_condition} AND {condition} \
             AND NOT EXISTS (SELECT 1 FROM test_certificate AS t WHERE t.certificate_id = own.id) ORDER BY {order} LIMIT 1",
            certificate::SUMMARY_COLUMNS
        );
        self.read(|session| {
            let statement = sql(text.clone()).bind(serial);
            let statement = kind.iter().fold(statement, |statement, kind| statement.bind(*kind));
            statement.optional(session, certificate::decode_summary)
        })
    }

    /// The card certificate that the certificate with this serial number hangs on.
    pub fn card_of_certificate(&self, kind: Option<CertificateKind>, serial: &SerialNumber) -> Result<Option<CardIdentity>, StoreFault> {
        let related = self.related_certificate(kind, serial, Relation::Itself)?;
        let Some(certificate) = related else { return Ok(None) };
        self.read(|session| {
            sql("SELECT s.issuer_key_id, s.serial, l.card_sha256 FROM link AS l JOIN card_state AS s ON s.id = l.card_id \
                 WHERE l.certificate_id = ?")
            .bind(certificate.id.0)
            .optional(session, |row| {
                Ok(CardIdentity { issuer_key_id: row.key_identifier()?, serial: row.serial()?, sha256: row.digest()? })
            })
        })
    }

    /// The certificate that hangs on a card certificate: the one that stands, else the newest.
    pub fn certificate_of_card(
        &self,
        issuer_key_id: &KeyIdentifier,
        serial: &SerialNumber,
    ) -> Result<Option<CertificateSummary>, StoreFault> {
        self.read(|session| {
            sql(format!(
                "SELECT {} FROM card_state AS s JOIN link AS l ON l.card_id = s.id JOIN certificate AS c ON c.id = l.certificate_id \
                 JOIN holder AS h ON h.id = c.holder WHERE s.issuer_key_id = ? AND s.serial = ? \
                 ORDER BY CASE WHEN c.state IN (1, 2) THEN 0 ELSE 1 END, c.id DESC LIMIT 1",
                certificate::SUMMARY_COLUMNS
            ))
            .bind(issuer_key_id)
            .bind(serial)
            .optional(session, certificate::decode_summary)
        })
    }
}

impl Transaction<'_> {
    /// Puts a lookup on record; to be committed before the answer goes out.
    pub fn record_lookup(&mut self, lookup: &NewLookup, now: DateTime<Utc>) -> Result<(), StoreFault> {
        sql("INSERT INTO lookup (verifier, purpose, question, found, at) VALUES (?, ?, ?, ?, ?)")
            .bind(lookup.verifier.as_str())
            .bind(lookup.purpose.as_str())
            .bind(lookup.question.as_str())
            .bind(i64::from(lookup.found))
            .bind(now)
            .execute(self.session)?;
        Ok(())
    }
}
