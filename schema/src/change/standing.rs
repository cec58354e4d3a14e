//! Certificates under lock: where they stand, what is done to them, and how that is written.

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use ca_core::lifecycle::{self, CardChangeKind, Certificate, Change, Command, HoldCause, HoldCauses, Holds, LifecycleRefusal, State};
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;
use serde_json::{Value, json};

use super::Origin;
use crate::certificate::{CertificateId, CertificateState};
use crate::codes;
use crate::connection::Session;
use crate::deferred_instruction;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::hold;
use crate::sql::{Fields, Statement, few_sizes, placeholders, sql, value_rows};

/// The columns that [`read`] takes, of `certificate AS c`; others may come before them.
pub(crate) const COLUMNS: &str =
    "c.id, c.kind, c.ca_key_id, c.serial, c.holder, c.not_after, c.state, c.revoked_at, c.reason, c.invalidity_at";

/// A certificate as its row was read, under lock, and what has been done to it since.
pub(crate) struct Standing {
    pub(crate) id: CertificateId,
    ca_key: CaKeyId,
    pub(crate) serial: SerialNumber,
    /// Its holder's row.
    holder: i64,
    /// As it is now.
    pub(crate) certificate: Certificate,
    stored: State,
    /// The cause that was asked for last, if it stood already.
    repeated: Option<HoldCause>,
}

/// Why something is done: what the events of it tell beside what was done.
#[derive(Clone, Copy)]
pub(crate) struct Grounds<'a> {
    pub(crate) by: &'a Origin,
    /// What happened to the card certificate, if that is why.
    pub(crate) card_change: Option<CardChangeKind>,
    /// The instruction by which it was asked for.
    pub(crate) instruction: Option<&'a Sha256Digest>,
    /// What decided.
    pub(crate) policy: &'a LifecyclePolicy,
}

impl Standing {
    /// Decides a command and carries its change out here; [`write()`] brings it to the database.
    pub(crate) fn take(
        &mut self,
        command: &Command,
        policy: &LifecyclePolicy,
        now: DateTime<Utc>,
    ) -> Result<Option<Change>, LifecycleRefusal> {
        let change = lifecycle::decide(&self.certificate, command, policy, now)?;
        let standing = causes(&self.certificate.state);
        self.repeated = command.placed(self.certificate.kind, policy).filter(|cause| standing.contains(*cause));
        if let Some(change) = &change {
            self.certificate.state = lifecycle::apply(self.certificate.state, change);
        }
        Ok(change)
    }

    /// The one event of a change.
    pub(crate) fn event(&self, change: &Change, grounds: &Grounds<'_>, now: DateTime<Utc>) -> NewEvent {
        let mut data = json!({
            "kind": self.certificate.kind, "ca_key": self.ca_key.0, "serial": self.serial.to_string(), "holder": self.holder,
            "by": grounds.by, "policy": Sha256Digest(grounds.policy.sha256).to_string(),
        });
        if let Some(digest) = grounds.instruction {
            data["instruction"] = json!(digest.to_string());
        }
        if let Some(card_change) = grounds.card_change {
            data["card_change"] = json!(card_change);
        }
        NewEvent::new(describe(change, &mut data), now, data).about_certificate(self.id)
    }
}

/// Puts what a change consists of into its event's data, so that it can be replayed; the event's kind.
fn describe(change: &Change, data: &mut Value) -> EventKind {
    match change {
        Change::Held { cause, at } => {
            data["cause"] = json!(cause);
            data["effective_at"] = json!(at);
            EventKind::CertificateHeld
        }
        Change::HoldAdded { cause } => {
            data["cause"] = json!(cause);
            EventKind::CertificateHoldAdded
        }
        Change::HoldLifted { cause } => {
            data["cause"] = json!(cause);
            EventKind::CertificateHoldLifted
        }
        Change::Released { cause } => {
            data["cause"] = json!(cause);
            EventKind::CertificateReleased
        }
        Change::Revoked(revocation) => {
            data["reason"] = json!(revocation.reason);
            data["effective_at"] = json!(revocation.at);
            if let Some(invalidity) = revocation.invalidity {
                data["invalidity"] = json!(invalidity);
            }
            EventKind::CertificateRevoked
        }
        Change::Expired => EventKind::CertificateExpired,
    }
}

/// Runs a query for certificates, whose rows end with [`COLUMNS`]; `before` decodes what comes before those. That the rows are
/// locked is for the query to see to.
pub(crate) fn read<T>(
    session: &mut Session,
    query: Statement<'_>,
    mut before: impl FnMut(&mut Fields<'_, '_, '_>) -> Result<T, StoreFault>,
) -> Result<Vec<(T, Standing)>, StoreFault> {
    let rows = query.rows(session, |row| Ok((before(row)?, Row::decode(row)?)))?;
    let held: Vec<CertificateId> = rows.iter().filter(|(_, row)| row.state == CertificateState::Held).map(|(_, row)| row.id).collect();
    let causes = hold::causes(session, &held)?;
    rows.into_iter()
        .map(|(before, row)| {
            let causes = causes.get(&row.id).copied().unwrap_or_default();
            Ok((before, row.complete(causes)?))
        })
        .collect()
}

/// The certificates with these rows, locked, in the order of their rows.
pub(crate) fn by_rows(session: &mut Session, ids: &[CertificateId]) -> Result<Vec<Standing>, StoreFault> {
    let mut found = Vec::with_capacity(ids.len());
    let mut ids = ids.to_vec();
    // Always in the same order, so that two writers do not wait for each other.
    ids.sort_unstable();
    ids.dedup();
    for some in few_sizes(&ids) {
        let lock = session.update_lock();
        let text = format!("SELECT {COLUMNS} FROM certificate AS c WHERE c.id IN ({}) ORDER BY c.id{lock}", placeholders(some.len()));
        let select = some.iter().fold(sql(text), |select, id| select.bind(id.0));
        found.extend(read(session, select, |_| Ok(()))?.into_iter().map(|((), standing)| standing));
    }
    Ok(found)
}

/// A certificate's row, whose causes of hold lie in other rows.
struct Row {
    id: CertificateId,
    kind: ca_core::kind::CertificateKind,
    ca_key: CaKeyId,
    serial: SerialNumber,
    holder: i64,
    not_after: DateTime<Utc>,
    state: CertificateState,
    revocation: Option<Revocation>,
}

impl Row {
    fn decode(row: &mut Fields<'_, '_, '_>) -> Result<Self, StoreFault> {
        Ok(Self {
            id: CertificateId(row.big()?),
            kind: row.kind()?,
            ca_key: CaKeyId(row.int()?),
            serial: row.serial()?,
            holder: row.big()?,
            not_after: row.time()?,
            state: CertificateState::from_code(row.small()?)?,
            revocation: codes::certificate_revocation(row.optional_big()?, row.optional_small()?, row.optional_big()?)?,
        })
    }

    fn complete(self, causes: HoldCauses) -> Result<Standing, StoreFault> {
        let state = match (self.state, self.revocation) {
            (CertificateState::Live, None) => Some(State::Live),
            (CertificateState::Held, Some(revocation)) => Holds::new(revocation.at, causes).map(State::Held),
            (CertificateState::Revoked, Some(revocation)) => Some(State::Ended(revocation)),
            (CertificateState::Expired, None) => Some(State::Expired),
            _ => None,
        };
        let state = state.ok_or(StoreFault::Corrupt("a certificate's state, revocation and holds contradict each other"))?;
        let certificate = Certificate { kind: self.kind, not_after: self.not_after, state };
        Ok(Standing {
            id: self.id,
            ca_key: self.ca_key,
            serial: self.serial,
            holder: self.holder,
            certificate,
            stored: state,
            repeated: None,
        })
    }
}

/// Brings what was done to certificates to the database. `instruction` placed the holds that were placed. A hold that people ask for again
/// counts from now: no lift that was asked for before undoes it.
pub(crate) fn write<'a>(
    session: &mut Session,
    standings: impl IntoIterator<Item = &'a Standing>,
    instruction: Option<&Sha256Digest>,
    now: DateTime<Utc>,
) -> Result<(), StoreFault> {
    let (changed, unchanged): (Vec<&Standing>, Vec<&Standing>) =
        standings.into_iter().partition(|standing| standing.certificate.state != standing.stored);
    let repeated =
        unchanged.iter().filter_map(|standing| Some((standing.id, standing.repeated.filter(|cause| is_placed_by_people(*cause))?)));
    let mut gone: Vec<(CertificateId, HoldCause)> = repeated.collect();
    let mut placed = gone.clone();
    for standing in &changed {
        let (before, after) = (causes(&standing.stored), causes(&standing.certificate.state));
        let of = |cause: HoldCause| (standing.id, cause);
        gone.extend(before.iter().filter(|cause| !after.contains(*cause)).map(of));
        placed.extend(after.iter().filter(|cause| !before.contains(*cause)).map(of));
    }
    for some in few_sizes(&changed) {
        let mut update = sql(format!(
            "WITH v (id, state, reason, revoked_at, invalidity_at) AS (VALUES {}) UPDATE certificate SET state = v.state, \
             reason = v.reason, revoked_at = v.revoked_at, invalidity_at = v.invalidity_at FROM v WHERE certificate.id = v.id",
            value_rows(some.len(), 5)
        ));
        for standing in some {
            let revocation = standing.certificate.state.revocation();
            update = update
                .bind(standing.id.0)
                .bind(state(&standing.certificate.state).code())
                .bind(revocation.map(|revocation| revocation.reason))
                .bind(revocation.map(|revocation| revocation.at))
                .bind(revocation.and_then(|revocation| revocation.invalidity));
        }
        if update.execute(session)? != some.len() {
            return Err(StoreFault::Corrupt("a locked certificate is not there"));
        }
    }
    let is_to_outlast_lifts = placed.iter().any(|(_, cause)| is_placed_by_people(*cause));
    let at = if is_to_outlast_lifts { deferred_instruction::after_all(session, now)? } else { now };
    hold::remove(session, &gone)?;
    hold::place(session, &placed, instruction, at)
}

fn is_placed_by_people(cause: HoldCause) -> bool {
    match cause {
        HoldCause::CardHeld => false,
        HoldCause::PhoneLost | HoldCause::Operator => true,
    }
}

fn causes(state: &State) -> HoldCauses {
    match state {
        State::Held(holds) => holds.causes(),
        State::Live | State::Ended(_) | State::Expired => HoldCauses::default(),
    }
}

fn state(state: &State) -> CertificateState {
    match state {
        State::Live => CertificateState::Live,
        State::Held(_) => CertificateState::Held,
        State::Ended(_) => CertificateState::Revoked,
        State::Expired => CertificateState::Expired,
    }
}
