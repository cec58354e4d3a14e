//! The one transaction that issues: everything about an application's certificates, or nothing.

use ca_core::application::ApplicationId;
use ca_core::card::identity::CardIdentity;
use ca_core::digest::Sha256Digest;
use ca_core::issuance::SignedCertificate;
use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::lifecycle::{CardStanding, Command};
use ca_core::refusal::Refusal;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, TimeDelta, Utc};
use policies::LifecyclePolicy;
use serde_json::{Value, json};

use crate::batch;
use crate::card::{self, LockedCard};
use crate::certificate::CertificateId;
use crate::change::Origin;
use crate::change::standing::{self, Grounds};
use crate::codes;
use crate::device::{self, NewDevice};
use crate::event::{EventKind, NewEvent};
use crate::fault::{StoreFault, WriteError};
use crate::sql::{placeholders, sql, value_rows};
use crate::transaction::Transaction;

/// An application's signed certificates, to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuance {
    /// The accepted application.
    pub application: ApplicationId,
    /// The challenge it answers.
    pub challenge: [u8; 48],
    /// Whose certificates they are: an opaque identifier, 1 to 255 octets.
    pub holder_id: String,
    /// The card certificate that signed the application; it must stand even if none of the certificates hangs on it.
    pub signing_card: CardIdentity,
    /// The Name (DER) of its CRL distribution point, if it has one.
    pub signing_card_distribution_point: Option<Vec<u8>>,
    /// One or two, of different kinds.
    pub certificates: Vec<NewCertificate>,
    /// Whether the holder asked for the ending of an earlier phone's certificates.
    pub supersede: bool,
    /// The phone they are for.
    pub device: Option<NewDevice>,
    /// After how long the card certificates are looked at again.
    pub second_look_after: TimeDelta,
}

/// A signed certificate, to be stored and linked. Its intent is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// What it is for.
    pub kind: CertificateKind,
    /// The key that signed it.
    pub ca_key: CaKeyId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// The CRL shard that it names, 0 to 4095; it is open.
    pub shard: u16,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// When it begins.
    pub not_before: DateTime<Utc>,
    /// When it ends.
    pub not_after: DateTime<Utc>,
    /// The SHA-256 of its SubjectPublicKeyInfo in DER.
    pub public_key_sha256: Sha256Digest,
    /// The SHA-256 of the profile by which it was issued.
    pub policy_sha256: Sha256Digest,
    /// The card certificate it hangs on.
    pub card: CardIdentity,
    /// The Name (DER) of the card certificate's CRL distribution point, if it has one.
    pub card_distribution_point: Option<Vec<u8>>,
}

impl NewCertificate {
    /// A signed certificate with its card certificate's distribution point (Name in DER); `None` if it is linked to no card
    /// certificate, as a responder's.
    pub fn new(signed: &SignedCertificate, card_distribution_point: Option<&[u8]>) -> Option<Self> {
        Some(Self {
            kind: signed.kind(),
            ca_key: signed.ca_key(),
            serial: signed.serial().clone(),
            shard: signed.shard(),
            der: signed.der().to_vec(),
            not_before: signed.not_before(),
            not_after: signed.not_after(),
            public_key_sha256: signed.public_key_sha256(),
            policy_sha256: signed.policy_sha256(),
            card: signed.card()?.clone(),
            card_distribution_point: card_distribution_point.map(<[u8]>::to_vec),
        })
    }
}

/// What issuing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The new certificates' rows, in the order given.
    pub certificates: Vec<CertificateId>,
    /// The earlier phone's certificates that ended.
    pub superseded: Vec<CertificateId>,
}

/// Why nothing was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueRefusal {
    /// The application was decided before.
    #[error("the application was decided before")]
    AlreadyDecided,
    /// Another application with this challenge was issued on.
    #[error("the challenge was used before")]
    ChallengeSpent,
    /// A certificate was issued for one of the public keys before.
    #[error("a public key was certified before")]
    KeyAlreadyCertified,
    /// A card certificate is known to be revoked.
    #[error("the card certificate is revoked")]
    CardRevoked,
    /// A card certificate is on hold.
    #[error("the card certificate is on hold")]
    CardHeld,
    /// The holder has a live certificate, and did not ask for its ending.
    #[error("the holder has a live certificate of this kind")]
    HolderHasLiveCertificate,
}

impl Refusal for IssueRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyDecided => "already_decided",
            Self::ChallengeSpent => "challenge_spent",
            Self::KeyAlreadyCertified => "key_already_certified",
            Self::CardRevoked => "card_revoked",
            Self::CardHeld => "card_held",
            Self::HolderHasLiveCertificate => "holder_has_live_certificate",
        }
    }
}

type IssueResult<T> = Result<T, WriteError<IssueRefusal>>;

impl Transaction<'_> {
    /// Stores an application's certificates, links them, ends the earlier phone's, decides the application, and leaves the
    /// events of all that.
    ///
    /// After a refusal the closure must return it (or any error): what was written on the way is then rolled back. Each
    /// application is therefore a write of its own; submitted together, they share a commit.
    ///
    /// Two issuances for one holder, and an issuance and a cascade of one card, are put one after the other by row locks;
    /// should they ever not be, the index `certificate_one_live` refuses the later one. An issuance and the start of a batch that
    /// covers its cards are put so by the CA keys' rows, which a new certificate refers to and the start of a batch locks.
    ///
    /// Errors besides refusals: [`StoreFault::Reconciling`], and [`StoreFault::Misuse`] if a CA key is retired.
    pub fn issue(&mut self, issuance: &Issuance, policy: &LifecyclePolicy, now: DateTime<Utc>) -> IssueResult<Issued> {
        if issuance.certificates.is_empty() {
            return Err(StoreFault::Misuse("an issuance of no certificates").into());
        }
        let application_sha256 = self.decide(issuance.application, now)?;
        if !self.spend_challenge(&issuance.challenge, now)? {
            return Err(WriteError::Refused(IssueRefusal::ChallengeSpent));
        }
        let cards = self.lock_cards(issuance)?;
        let holder = self.lock_holder(&issuance.holder_id)?;
        let superseded = self.end_earlier(holder, issuance, policy, now)?;
        let ids = self.insert_certificates(holder, issuance.application, &issuance.certificates)?;
        let ca_keys: Vec<CaKeyId> = issuance.certificates.iter().map(|new| new.ca_key).collect();
        self.refuse_issuing_with(&ca_keys)?;
        self.refuse_covered(issuance, &cards)?;
        self.certify_keys(&ids, &issuance.certificates, now)?;
        self.insert_links(&ids, &cards, issuance, now)?;
        if let Some(new) = &issuance.device {
            let device = device::insert(self.session, holder, new, now)?;
            sql("UPDATE application SET device_id = ? WHERE id = ?").bind(device).bind(issuance.application).execute(self.session)?;
            self.emit(device::added(new, now).about_application(issuance.application));
        }
        for (id, new) in ids.iter().zip(&issuance.certificates) {
            let card = cards.iter().find(|card| is_of(card, &new.card)).map(|card| card.id);
            let mut data = told(new, holder, card, &application_sha256);
            if let Some(device) = &issuance.device {
                data["platform"] = json!(device.platform);
            }
            let event = NewEvent::new(EventKind::CertificateIssued, now, data);
            self.emit(event.about_certificate(*id).about_application(issuance.application));
        }
        self.emit(NewEvent::new(EventKind::ApplicationIssued, now, json!({})).about_application(issuance.application));
        Ok(Issued { certificates: ids, superseded })
    }

    /// Decides an accepted application against it. `detail` is a sentence without personal data.
    pub fn refuse_application(&mut self, id: ApplicationId, code: &str, detail: &str, now: DateTime<Utc>) -> IssueResult<()> {
        let accepted = sql("UPDATE application SET state = 3, decided_at = ?, refusal_code = ?, refusal_detail = ? \
             WHERE id = ? AND state = 1 RETURNING digest, accepted_at")
        .bind(now)
        .bind(code)
        .bind(detail)
        .bind(id)
        .optional(self.session, |row| Ok((row.digest()?, row.time()?)))?;
        self.emit_accepted(id, accepted, now)?;
        self.emit(NewEvent::new(EventKind::ApplicationRefused, now, json!({"code": code})).about_application(id));
        Ok(())
    }

    /// Decides an application for it; the digest of its message.
    fn decide(&mut self, id: ApplicationId, now: DateTime<Utc>) -> IssueResult<Sha256Digest> {
        let accepted = sql("UPDATE application SET state = 2, decided_at = ? WHERE id = ? AND state = 1 RETURNING digest, accepted_at")
            .bind(now)
            .bind(id)
            .optional(self.session, |row| Ok((row.digest()?, row.time()?)))?;
        self.emit_accepted(id, accepted, now)
    }

    /// The event of the acceptance, which the RA itself cannot leave; nothing was accepted that is not waiting any more.
    ///
    /// The RA dates it, but not later than it is: nothing is accepted after it was decided.
    fn emit_accepted(
        &mut self,
        id: ApplicationId,
        accepted: Option<(Sha256Digest, DateTime<Utc>)>,
        now: DateTime<Utc>,
    ) -> IssueResult<Sha256Digest> {
        let (digest, accepted_at) = accepted.ok_or(WriteError::Refused(IssueRefusal::AlreadyDecided))?;
        let mut data = json!({"digest": digest.to_string()});
        if accepted_at > now {
            data["accepted_at"] = json!(accepted_at);
        }
        self.emit(NewEvent::new(EventKind::ApplicationAccepted, accepted_at.min(now), data).about_application(id));
        Ok(digest)
    }

    fn certify_keys(&mut self, ids: &[CertificateId], certificates: &[NewCertificate], now: DateTime<Utc>) -> IssueResult<()> {
        let mut insert = sql(format!(
            "INSERT INTO certified_key (spki_sha256, certificate_id, certified_at) VALUES {} ON CONFLICT DO NOTHING",
            value_rows(certificates.len(), 3)
        ));
        // Always in the same order, so that two writers do not wait for each other.
        let mut keys: Vec<_> = certificates.iter().map(|new| &new.public_key_sha256).zip(ids).collect();
        keys.sort_unstable();
        for (digest, id) in keys {
            insert = insert.bind(digest).bind(id.0).bind(now);
        }
        let certified = insert.execute(self.session)?;
        if certified == certificates.len() { Ok(()) } else { Err(WriteError::Refused(IssueRefusal::KeyAlreadyCertified)) }
    }

    /// Locks the cards, which must stand.
    fn lock_cards(&mut self, issuance: &Issuance) -> IssueResult<Vec<LockedCard>> {
        let cards = issuance.certificates.iter().map(|new| &new.card).chain([&issuance.signing_card]);
        let identities: Vec<_> = cards.map(|card| (&card.issuer_key_id, &card.serial)).collect();
        let locked = card::lock(self.session, &identities)?;
        for card in &locked {
            match card.record.standing {
                CardStanding::Good => {}
                CardStanding::Held { .. } => return Err(WriteError::Refused(IssueRefusal::CardHeld)),
                CardStanding::Ended(_) => return Err(WriteError::Refused(IssueRefusal::CardRevoked)),
            }
        }
        Ok(locked)
    }

    /// A batch may cover cards that nobody had heard of when it ran. To be called when the certificates are inserted.
    fn refuse_covered(&mut self, issuance: &Issuance, cards: &[LockedCard]) -> IssueResult<()> {
        let named = cards.iter().map(|card| {
            let point = match issuance.certificates.iter().find(|new| is_of(card, &new.card)) {
                Some(new) => &new.card_distribution_point,
                // It signs, and nothing is to hang on it.
                None => &issuance.signing_card_distribution_point,
            };
            (card, point.as_deref().map(Sha256Digest::of))
        });
        match batch::covering(self.session, &named.collect::<Vec<_>>())? {
            None => Ok(()),
            Some(batch::BatchChange::Revoke { .. }) => Err(WriteError::Refused(IssueRefusal::CardRevoked)),
            Some(batch::BatchChange::Hold) => Err(WriteError::Refused(IssueRefusal::CardHeld)),
        }
    }

    fn lock_holder(&mut self, holder_id: &str) -> Result<i64, StoreFault> {
        sql("INSERT INTO holder (holder_id) VALUES (?) ON CONFLICT (holder_id) DO UPDATE SET holder_id = excluded.holder_id RETURNING id")
            .bind(holder_id)
            .optional(self.session, |row| row.big())?
            .ok_or(StoreFault::Corrupt("an upsert returned no row"))
    }

    /// Ends the holder's live and held certificates of the kinds to be issued.
    fn end_earlier(
        &mut self,
        holder: i64,
        issuance: &Issuance,
        policy: &LifecyclePolicy,
        now: DateTime<Utc>,
    ) -> IssueResult<Vec<CertificateId>> {
        let kinds = &issuance.certificates;
        // The cascade of the earlier phone's card may be revoking them just now: what came first keeps its reason.
        let lock = self.session.update_lock();
        let mut select = sql(format!(
            "SELECT {} FROM certificate AS c WHERE c.holder = ? AND c.state IN (1, 2) AND c.kind IN ({}) ORDER BY c.id{lock}",
            standing::COLUMNS,
            placeholders(kinds.len())
        ))
        .bind(holder);
        for new in kinds {
            select = select.bind(new.kind);
        }
        let mut earlier: Vec<_> = standing::read(self.session, select, |_| Ok(()))?.into_iter().map(|((), standing)| standing).collect();
        let grounds = Grounds { by: &Origin::Issuance, card_change: None, instruction: None, policy };
        let impossible = |_| StoreFault::Misuse("the end of an earlier certificate was refused");
        for standing in &mut earlier {
            // What has reached its end makes room without being asked.
            let mut change = standing.take(&Command::Expire, policy, now).map_err(impossible)?;
            if change.is_none() {
                if !issuance.supersede {
                    return Err(WriteError::Refused(IssueRefusal::HolderHasLiveCertificate));
                }
                change = standing.take(&Command::End { reason: RevocationReason::Superseded }, policy, now).map_err(impossible)?;
            }
            if let Some(change) = change {
                self.emit(standing.event(&change, &grounds, now).about_application(issuance.application));
            }
        }
        standing::write(self.session, &earlier, None, now)?;
        Ok(earlier.into_iter().map(|standing| standing.id).collect())
    }

    fn insert_certificates(
        &mut self,
        holder: i64,
        application: ApplicationId,
        certificates: &[NewCertificate],
    ) -> Result<Vec<CertificateId>, StoreFault> {
        let mut insert = sql(format!(
            "INSERT INTO certificate (kind, ca_key_id, serial, shard, holder, state, not_before, not_after) VALUES {} RETURNING id, kind",
            value_rows(certificates.len(), 8)
        ));
        for new in certificates {
            insert = insert
                .bind(new.kind)
                .bind(new.ca_key.0)
                .bind(&new.serial)
                .bind(codes::shard_code(new.shard))
                .bind(holder)
                .bind(codes::LIVE)
                .bind(new.not_before)
                .bind(new.not_after);
        }
        // The order of returned rows is not promised.
        let rows = insert.rows(self.session, |row| Ok((CertificateId(row.big()?), row.kind()?)))?;
        let id_of = |new: &NewCertificate| rows.iter().find(|(_, kind)| *kind == new.kind).map(|(id, _)| *id);
        let ids: Vec<CertificateId> = certificates.iter().filter_map(id_of).collect();
        if ids.len() != certificates.len() {
            return Err(StoreFault::Corrupt("an insert returned other rows"));
        }
        let mut insert = sql(format!(
            "INSERT INTO certificate_body (certificate_id, application_id, der, policy_sha256) VALUES {}",
            value_rows(certificates.len(), 4)
        ));
        for (id, new) in ids.iter().zip(certificates) {
            insert = insert.bind(id.0).bind(application).bind(new.der.as_slice()).bind(&new.policy_sha256);
        }
        insert.execute(self.session)?;
        Ok(ids)
    }

    fn insert_links(
        &mut self,
        ids: &[CertificateId],
        cards: &[LockedCard],
        issuance: &Issuance,
        now: DateTime<Utc>,
    ) -> Result<(), StoreFault> {
        let certificates = &issuance.certificates;
        let points: Vec<Option<Sha256Digest>> =
            certificates.iter().map(|new| new.card_distribution_point.as_deref().map(Sha256Digest::of)).collect();
        let row = "(?, ?, ?, (SELECT id FROM card_distribution_point WHERE issuer_key_id = ? AND name_sha256 = ?), ?)";
        let mut insert = sql(format!(
            "INSERT INTO link (certificate_id, card_id, card_sha256, distribution_point_id, second_look_at) VALUES {} \
             RETURNING certificate_id, distribution_point_id",
            vec![row; ids.len()].join(", ")
        ));
        for ((id, new), point) in ids.iter().zip(certificates).zip(&points) {
            let card = cards.iter().find(|card| is_of(card, &new.card)).ok_or(StoreFault::Corrupt("a card was not locked"))?;
            insert = insert
                .bind(id.0)
                .bind(card.id)
                .bind(&new.card.sha256)
                .bind(&new.card.issuer_key_id)
                .bind(point.as_ref())
                .bind(now + issuance.second_look_after);
        }
        let linked = insert.rows(self.session, |row| Ok((CertificateId(row.big()?), row.optional_big()?)))?;
        // Nearly always the distribution point is known; else it is added here, and the link completed.
        for ((id, new), point) in ids.iter().zip(certificates).zip(&points) {
            let (Some(name), Some(sha256)) = (&new.card_distribution_point, point) else { continue };
            if linked.iter().any(|(linked, point)| linked == id && point.is_some()) {
                continue;
            }
            sql("INSERT INTO card_distribution_point (issuer_key_id, name_sha256, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
                .bind(&new.card.issuer_key_id)
                .bind(sha256)
                .bind(name.as_slice())
                .execute(self.session)?;
            sql("UPDATE link SET distribution_point_id = \
                 (SELECT id FROM card_distribution_point WHERE issuer_key_id = ? AND name_sha256 = ?) WHERE certificate_id = ?")
            .bind(&new.card.issuer_key_id)
            .bind(sha256)
            .bind(id.0)
            .execute(self.session)?;
        }
        Ok(())
    }
}

/// What the event of an issuance tells: enough for whoever has nothing else to recognise the certificate and what it rests on.
fn told(new: &NewCertificate, holder: i64, card: Option<i64>, application_sha256: &Sha256Digest) -> Value {
    json!({
        "kind": new.kind, "ca_key": new.ca_key.0, "serial": new.serial.to_string(), "shard": new.shard, "holder": holder, "card": card,
        "sha256": Sha256Digest::of(&new.der).to_string(), "public_key_sha256": new.public_key_sha256.to_string(),
        "policy_sha256": new.policy_sha256.to_string(), "application_sha256": application_sha256.to_string(),
        "not_before": new.not_before, "not_after": new.not_after,
    })
}

fn is_of(card: &LockedCard, identity: &CardIdentity) -> bool {
    card.issuer_key_id == identity.issuer_key_id && card.serial == identity.serial
}
