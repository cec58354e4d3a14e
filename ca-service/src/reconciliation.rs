//! Reconciling a store that was restored with what was published before: nothing that relying parties were told to be revoked is ever
//! told to be good.
//!
//! What the store forgot is found again where it left traces that outlast it: in the published CRLs, at the back office, in the card
//! CA's CRLs. Whoever reconciles leads (see [`CaRole::lead_reconciliation`]), puts everything back, and only then ends it. Every step
//! may be done again, so one that was broken off anywhere is simply begun anew.
//!
//! The order matters to holds. A list tells that a certificate is on hold, and not why. So the card events come first: a hold that
//! follows the card comes back as the card's, and goes with it; what is still on a list after them is held as by an operator, whom
//! nothing but an operator's lift undoes.

use ca_core::issuer::CaKeyId;
use ca_core::serial::SerialNumber;
use schema::StoreFault;
use schema::certificate::CertificateState;
use schema::crl::ListedRevocation;
use schema::forgotten::ForgottenRevocation;
use schema::log::{LogIdentity, LogNote, LostLeaves};

use crate::CaFault;
use crate::cascade::{AT_ONCE, FEED};
use crate::role::CaRole;

/// What came of entries of a published list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutBack {
    /// Told the same by the store, or more: revoked, or held where the list has a hold.
    pub known: u64,
    /// Forgotten by the store, and put back into it.
    pub put_back: u64,
    /// Of certificates that the store does not know: remembered by themselves.
    pub remembered: u64,
    /// Of certificates that the store has as expired, and that stay so: on hold when they were listed, or revoked after their end.
    pub expired: u64,
}

impl PutBack {
    /// All entries that were looked at.
    pub fn total(&self) -> u64 {
        self.known + self.put_back + self.remembered + self.expired
    }
}

impl std::ops::AddAssign for PutBack {
    fn add_assign(&mut self, more: Self) {
        self.known += more.known;
        self.put_back += more.put_back;
        self.remembered += more.remembered;
        self.expired += more.expired;
    }
}

/// What news of cards brought back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CardsHeard {
    /// Events of the back office's feed, from its beginning on.
    pub events: u64,
    /// Certificates that they changed, those of batches included.
    pub changed: u64,
    /// Cards whose revocation or hold was found in card CRLs.
    pub found_by_crl: u64,
    /// Cards of which the back office says something else than was known.
    pub found_by_comparison: u64,
}

impl CaRole {
    /// Holds entries of a published list against the store and puts back what is forgotten; with `dry`, only counts. The shard is opened
    /// if the store has forgotten that, too.
    pub fn put_back(&self, ca_key: CaKeyId, shard: u16, listed: &[ListedRevocation], dry: bool) -> Result<PutBack, CaFault> {
        let mut came = PutBack::default();
        for some in listed.chunks(AT_ONCE as usize) {
            if !dry {
                self.go_on()?;
            }
            came += self.put_some_back(ca_key, shard, some, dry)?;
        }
        Ok(came)
    }

    fn put_some_back(&self, ca_key: CaKeyId, shard: u16, listed: &[ListedRevocation], dry: bool) -> Result<PutBack, CaFault> {
        let serials: Vec<SerialNumber> = listed.iter().map(|entry| entry.serial.clone()).collect();
        let mut came = PutBack::default();
        let (mut forgotten, mut unknown) = (Vec::new(), Vec::new());
        for (entry, status) in listed.iter().zip(self.reader.certificate_statuses(ca_key, &serials)?) {
            let is_permanent = entry.revocation.reason.is_permanent();
            match status {
                None => unknown.push(entry),
                Some(status) if status.is_forgotten => {
                    let was_hold = status.revocation.is_some_and(|revocation| !revocation.reason.is_permanent());
                    if was_hold && is_permanent { unknown.push(entry) } else { came.known += 1 }
                }
                Some(status) => match status.state {
                    CertificateState::Revoked => came.known += 1,
                    CertificateState::Held if !is_permanent => came.known += 1,
                    CertificateState::Held | CertificateState::Live => forgotten.push(entry.clone()),
                    // It came to its end because nobody knew any more that it was revoked.
                    CertificateState::Expired if is_permanent && entry.revocation.at <= status.not_after => forgotten.push(entry.clone()),
                    CertificateState::Expired => came.expired += 1,
                },
            }
        }
        came.put_back = forgotten.len() as u64;
        came.remembered = unknown.len() as u64;
        if dry || (forgotten.is_empty() && unknown.is_empty()) {
            return Ok(came);
        }
        let remember =
            |entry: &ListedRevocation| ForgottenRevocation { ca_key, serial: entry.serial.clone(), shard, revocation: entry.revocation };
        let unknown: Vec<ForgottenRevocation> = unknown.into_iter().map(remember).collect();
        let (policy, now) = (self.lifecycle.clone(), self.clock.now());
        self.write(move |tx| {
            tx.put_back(ca_key, &forgotten, &policy, now)?;
            tx.remember_forgotten(&unknown, now)
        })?;
        Ok(came)
    }

    /// Opens the shards of a CA key up to this one: certificates that the store has forgotten may name it, and its list goes on.
    pub fn open_shard_again(&self, ca_key: CaKeyId, shard: u16) -> Result<(), CaFault> {
        let now = self.clock.now();
        self.write(move |tx| tx.open_crl_shards(ca_key, shard.saturating_add(1), now))?;
        Ok(())
    }

    /// Takes up leaves of the issuance log that were published and that the store has forgotten: the log goes on after them.
    pub fn adopt_lost_leaves(&self, lost: LostLeaves) -> Result<(), CaFault> {
        let now = self.clock.now();
        self.write(move |tx| tx.adopt_lost_leaves(&lost, now))
    }

    /// Lets another log go on with the leaves of one of which leaves were signed that nobody has any more.
    pub fn renew_log(&self, identity: LogIdentity, note: Option<LogNote>) -> Result<(), CaFault> {
        let now = self.clock.now();
        self.write(move |tx| tx.renew_log(&identity, note.as_ref(), now))
    }

    /// Raises the numbers of CRLs to come above `number`, which was published.
    pub fn raise_crl_number(&self, ca_key: CaKeyId, number: u64) -> Result<(), CaFault> {
        self.write(move |tx| tx.raise_crl_number(ca_key, number))
    }

    /// Hears all news of cards again: the back office's feed from its beginning on, with the batches that it asks for, the card CRLs, and
    /// how every linked card stands. `progress` is told what is done and how much of it.
    ///
    /// The feed's new beginning is remembered by the epoch: broken off, it goes on where it was.
    pub fn hear_of_cards_again(&self, mut progress: impl FnMut(&'static str, u64)) -> Result<CardsHeard, CaFault> {
        let name = format!("{FEED}/epoch-{}", self.reader.store_state()?.epoch);
        let reading = self.read_feed(&name, |events| progress("card events", events as u64))?;
        let mut changed = reading.changed as u64;
        if let Some(cursor) = self.reader.feed_cursor(&name)? {
            self.write(move |tx| tx.set_feed_cursor(FEED, &cursor))?;
        }
        let before = self.reader.position()?;
        loop {
            self.go_on()?;
            progress("batches", changed);
            if self.advance_batches()? == 0 {
                break;
            }
        }
        changed += self.certificates_changed_since(before)?;
        progress("card CRLs", 0);
        let found_by_crl = self.read_card_crls()? as u64;
        progress("cards compared", found_by_crl);
        let found_by_comparison = self.compare_cards()? as u64;
        Ok(CardsHeard { events: reading.events as u64, changed, found_by_crl, found_by_comparison })
    }

    /// Decides the instructions that waited while nobody led; how many there were. Lifts go on waiting: nothing is lifted yet.
    pub fn decide_waiting_instructions(&self) -> Result<usize, CaFault> {
        let Some(since) = self.reader.store_state()?.reconciling_since else { return Ok(0) };
        let (mut decided, mut only_lifts) = (0, false);
        loop {
            self.go_on()?;
            match self.take_instructions_that_waited(since) {
                Ok(0) => return Ok(decided),
                Ok(more) => (decided, only_lifts) = (decided + more, false),
                Err(CaFault::Store(StoreFault::Reconciling)) if !only_lifts => only_lifts = true,
                Err(CaFault::Store(StoreFault::Reconciling)) => return Ok(decided),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Everything is put back: status is told again, and certificates are issued. Whether this was still awaited.
    pub fn end_reconciliation(&self) -> Result<bool, CaFault> {
        let now = self.clock.now();
        self.write(move |tx| tx.end_reconciliation(now))
    }

    fn certificates_changed_since(&self, mut position: schema::EventPosition) -> Result<u64, CaFault> {
        let mut changed = 0;
        loop {
            let (events, until) = self.reader.certificate_events_after(position, 10_000, 1_000)?;
            if until == position {
                return Ok(changed);
            }
            changed += events.len() as u64;
            position = until;
        }
    }
}
