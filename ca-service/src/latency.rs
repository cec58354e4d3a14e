//! How long revocations take until the status service tells them: each revocation and hold is followed from its commit on, by asking
//! as a relying party asks, until the answer says so.
//!
//! Nothing waits for this. Where revocations come faster than they can be asked about, it falls behind, and what it then records is
//! how long it took until it *saw* them told: more than relying parties waited, never less.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use ca_core::issuer::{CaKey, CaKeyId};
use ca_core::ocsp::{Inquiry, StatusWitness, ToldStatus, WitnessFault};
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, TimeDelta, Utc};
use schema::EventPosition;
use schema::latency::{CommittedRevocation, LatencyStage};

use crate::CaFault;
use crate::role::CaRole;

/// What the follower is called in the store.
const FOLLOWER: &str = "latency-ocsp";
/// Revocations read at a time, and followed at the same time at most.
const PAGE: u32 = 512;
const FOLLOWED: usize = 4_096;
/// Certificates asked about in a round at most, before what is settled is recorded.
const ROUND: usize = 16 * Inquiry::MOST;
/// After so long, a revocation that is not told is given up as lost.
const GIVE_UP: TimeDelta = TimeDelta::seconds(60);
/// What is not told after this may have been lifted meanwhile.
const LIFTED: TimeDelta = TimeDelta::seconds(1);
/// The pause between two requests, and after one without an answer: the responder is there for relying parties.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_AFTER_FAULT: Duration = Duration::from_millis(500);
/// When a certificate is asked about again: at first soon, then less and less often.
const AGAIN_FIRST: TimeDelta = TimeDelta::milliseconds(20);
const AGAIN_LONGEST: TimeDelta = TimeDelta::seconds(1);
/// The cursor is moved where nothing was measured, too, but only after so many events: each move is a commit.
const UNMEASURED: i64 = 10_000;

/// What is followed at present, since this process took the lead.
pub(crate) struct Watch {
    /// The lease under which it began: after another has led, its cursor counts.
    epoch: i64,
    /// Up to where events were read, and up to where that is stored.
    read: EventPosition,
    stored: EventPosition,
    followed: VecDeque<Followed>,
    ca_keys: Vec<CaKey>,
}

struct Followed {
    revocation: CommittedRevocation,
    first_asked: Option<DateTime<Utc>>,
    ask_at: DateTime<Utc>,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy)]
enum Outcome {
    /// Told, so long after the commit.
    Told(TimeDelta),
    /// Not told in time.
    Lost,
    /// Lifted before it was seen.
    Lifted,
}

impl CaRole {
    /// Asks about what was revoked or put on hold, and records what came of it; how many events were passed or asked about. The cursor
    /// moves in the transaction that records the measurements.
    pub fn follow_latency(&self) -> Result<usize, CaFault> {
        let Some(witness) = &self.witness else { return Ok(0) };
        let mut place = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.current_lease()?.epoch;
        // After a fault there is none: whatever is not on record is asked about again.
        let mut watch = match place.take().filter(|watch| watch.epoch == epoch) {
            Some(watch) => watch,
            None => self.begin_watch(epoch)?,
        };
        let done = self.watch_on(&mut watch, witness.as_ref())?;
        *place = Some(watch);
        Ok(done)
    }

    fn watch_on(&self, watch: &mut Watch, witness: &dyn StatusWitness) -> Result<usize, CaFault> {
        let from = watch.read;
        self.read_on(watch)?;
        let asked = self.ask(watch, witness)?;
        self.record_settled(watch)?;
        let open: Vec<&Followed> = watch.followed.iter().filter(|one| one.outcome.is_none()).collect();
        let oldest = open.iter().map(|one| self.clock.now() - one.revocation.at).max().unwrap_or_default();
        metrics::gauge!("tsunagi_revocation_to_ocsp_open").set(open.len() as f64);
        metrics::gauge!("tsunagi_revocation_to_ocsp_oldest_seconds").set(seconds(oldest));
        let found = asked + usize::from(watch.read > from);
        if found == 0 && !open.is_empty() {
            // Nothing is due yet, and no commit will say when it is.
            thread::sleep(PAUSE);
            return Ok(1);
        }
        Ok(found)
    }

    /// Begins where the cursor stands; on a store that was never followed, at its end: how long it took of old is not known.
    fn begin_watch(&self, epoch: i64) -> Result<Watch, CaFault> {
        let mut cursor = self.reader.follower(FOLLOWER)?;
        if cursor == EventPosition(0) {
            cursor = self.reader.position()?;
            self.write(move |tx| tx.advance_follower(FOLLOWER, cursor))?;
        }
        Ok(Watch { epoch, read: cursor, stored: cursor, followed: VecDeque::new(), ca_keys: Vec::new() })
    }

    fn read_on(&self, watch: &mut Watch) -> Result<(), CaFault> {
        while watch.followed.len() < FOLLOWED {
            let (revocations, until) = self.reader.revocations_after(watch.read, PAGE)?;
            if until == watch.read {
                break;
            }
            watch.read = until;
            let followed =
                |revocation: CommittedRevocation| Followed { ask_at: revocation.at, revocation, first_asked: None, outcome: None };
            watch.followed.extend(revocations.into_iter().map(followed));
        }
        Ok(())
    }

    /// One round of requests about what is due; how many certificates were asked about.
    fn ask(&self, watch: &mut Watch, witness: &dyn StatusWitness) -> Result<usize, CaFault> {
        let now = self.clock.now();
        let due = watch.followed.iter().enumerate().filter(|(_, one)| one.outcome.is_none() && one.ask_at <= now);
        let mut due: Vec<(DateTime<Utc>, usize, CaKeyId)> = due.map(|(place, one)| (one.ask_at, place, one.revocation.ca_key)).collect();
        // Who has waited longest comes first.
        due.sort_unstable_by_key(|(ask_at, place, _)| (*ask_at, *place));
        due.truncate(ROUND);
        due.sort_unstable_by_key(|(_, place, ca_key)| (*ca_key, *place));
        let mut asked = 0;
        for of_key in due.chunk_by(|one, other| one.2 == other.2) {
            for some in of_key.chunks(Inquiry::MOST) {
                self.go_on()?;
                let Some((.., ca_key)) = some.first() else { continue };
                let places: Vec<usize> = some.iter().map(|(_, place, _)| *place).collect();
                let answered = self.ask_about(watch, witness, *ca_key, &places)?;
                asked += places.len();
                self.rest(if answered { PAUSE } else { PAUSE_AFTER_FAULT })?;
                if !answered {
                    // The other key's responder may be another.
                    break;
                }
            }
        }
        Ok(asked)
    }

    /// One request; whether there was an answer to go by.
    fn ask_about(&self, watch: &mut Watch, witness: &dyn StatusWitness, ca_key: CaKeyId, places: &[usize]) -> Result<bool, CaFault> {
        if !watch.ca_keys.iter().any(|known| known.id() == ca_key) {
            watch.ca_keys = self.reader.ca_keys()?;
        }
        let serials: Vec<SerialNumber> =
            places.iter().filter_map(|place| watch.followed.get(*place)).map(|one| one.revocation.serial.clone()).collect();
        let asked_at = self.clock.now();
        let told = match watch.ca_keys.iter().find(|known| known.id() == ca_key) {
            Some(ca_key) => witness.told(ca_key, &serials),
            None => Err(WitnessFault::Unreachable("the CA key is not in the store".to_owned())),
        };
        if let Err(fault) = &told {
            let fault_name = match fault {
                WitnessFault::Unreachable(_) => "unreachable",
                WitnessFault::Later => "later",
                WitnessFault::Unbelievable(_) => "unbelievable",
            };
            metrics::counter!("tsunagi_revocation_to_ocsp_faults_total", "fault" => fault_name).increment(1);
            tracing::warn!(%fault, "how revocations are told cannot be seen");
        }
        let now = self.clock.now();
        let lifted = self.lifted(watch, ca_key, places, &serials, now)?;
        let mut statuses = told.as_deref().unwrap_or_default().iter();
        for (place, lifted) in places.iter().zip(lifted) {
            let status = statuses.next();
            if let Some(one) = watch.followed.get_mut(*place) {
                one.learn(status, lifted, asked_at, now);
            }
        }
        Ok(told.is_ok())
    }

    /// Which of them stand no more as revoked or held, as far as that matters by now.
    fn lifted(
        &self,
        watch: &Watch,
        ca_key: CaKeyId,
        places: &[usize],
        serials: &[SerialNumber],
        now: DateTime<Utc>,
    ) -> Result<Vec<bool>, CaFault> {
        let is_old = |place: &usize| watch.followed.get(*place).and_then(|one| one.first_asked).is_some_and(|first| now - first > LIFTED);
        if !places.iter().any(is_old) {
            return Ok(vec![false; places.len()]);
        }
        let statuses = self.reader.certificate_statuses(ca_key, serials)?;
        Ok(statuses.iter().map(|status| status.as_ref().is_none_or(|status| status.revocation.is_none())).collect())
    }

    /// Records everything up to the first revocation that is still open.
    fn record_settled(&self, watch: &mut Watch) -> Result<(), CaFault> {
        let settled = watch.followed.iter().take_while(|one| one.outcome.is_some()).count();
        let until = match watch.followed.get(settled) {
            Some(open) => EventPosition(open.revocation.position.0.saturating_sub(1)),
            None => watch.read,
        };
        if settled == 0 && until.0.saturating_sub(watch.stored.0) < UNMEASURED {
            return Ok(());
        }
        let settled: Vec<(DateTime<Utc>, Outcome)> =
            watch.followed.drain(..settled).filter_map(|one| Some((one.revocation.at, one.outcome?))).collect();
        let told = settled.iter().filter_map(|(at, outcome)| match outcome {
            Outcome::Told(took) => Some((*at, *took)),
            Outcome::Lost | Outcome::Lifted => None,
        });
        let told: Vec<(DateTime<Utc>, TimeDelta)> = told.collect();
        let lost: Vec<DateTime<Utc>> = settled.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Lost)).map(|(at, _)| *at).collect();
        self.write(move |tx| {
            tx.record_latency(LatencyStage::Ocsp, &told)?;
            tx.record_lost(LatencyStage::Ocsp, &lost)?;
            tx.advance_follower(FOLLOWER, until)
        })?;
        watch.stored = until;
        Ok(())
    }
}

impl Followed {
    /// What an answer means, or that there was none.
    fn learn(&mut self, told: Option<&ToldStatus>, lifted: bool, asked_at: DateTime<Utc>, now: DateTime<Utc>) {
        let first_asked = *self.first_asked.get_or_insert(asked_at);
        let is_told = match told {
            // Of one that was held before, only the revocation is news.
            Some(ToldStatus::Revoked(told)) => self.revocation.is_hold || told.reason != RevocationReason::CertificateHold,
            Some(ToldStatus::Good | ToldStatus::NeverIssued | ToldStatus::Unknown) | None => false,
        };
        if is_told {
            let took = (now - self.revocation.at).max(TimeDelta::zero());
            metrics::histogram!("tsunagi_revocation_to_ocsp_seconds").record(seconds(took));
            self.outcome = Some(Outcome::Told(took));
        } else if lifted {
            self.outcome = Some(Outcome::Lifted);
        } else if now - first_asked > GIVE_UP {
            metrics::counter!("tsunagi_revocation_to_ocsp_lost_total").increment(1);
            let revocation = &self.revocation;
            tracing::error!(position = revocation.position.0, serial = %revocation.serial, "a revocation is not told by OCSP");
            self.outcome = Some(Outcome::Lost);
        } else {
            self.ask_at = now + ((now - first_asked) / 10).clamp(AGAIN_FIRST, AGAIN_LONGEST);
        }
    }
}

fn seconds(duration: TimeDelta) -> f64 {
    duration.num_milliseconds().max(0) as f64 / 1_000.0
}
