//! The new list against the one before.

use std::fs::File;

use ca_core::issuer::CaKey;
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use schema::crl::ListedRevocation;

use super::sample::Sample;
use super::{AskStore, Certificates, GateFault, PreviousList, Standing, open};
use crate::list::Heading;
use crate::read_back::ReadBack;
use crate::scope::is_ahead;

/// What differs from the list before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Entries that read as they did.
    pub unchanged: u64,
    /// Certificates that were not on it.
    pub new: u64,
    /// Holds that became permanent, or were lifted and followed by something later.
    pub holds_changed: u64,
    /// Holds that were lifted.
    pub lifted: u64,
    /// Entries of certificates that expired long enough ago.
    pub expired: u64,
}

/// How many certificates the store is asked for at a time.
const AT_ONCE: usize = 256;

/// The list before, read side by side with the new one.
pub(super) struct Comparison<'a> {
    previous: ReadBack<File>,
    number: u64,
    ca_key: &'a CaKey,
    shard: u16,
    /// Its entry that the new list has not come to yet.
    ahead: Option<ListedRevocation>,
    found: Compared,
    missing: Certificates,
    changed: Certificates,
    /// Entries that are no longer there, and why is still to be asked.
    left: Vec<ListedRevocation>,
}

impl<'a> Comparison<'a> {
    pub(super) fn begin(previous: &PreviousList<'_>, ca_key: &'a CaKey, shard: u16, heading: &Heading) -> Result<Self, GateFault> {
        let number = previous.number;
        let mut previous = ReadBack::begin(open(previous.path)?).map_err(GateFault::PreviousUnreadable)?;
        if heading.number <= number {
            return Err(GateFault::Field("cRLNumber"));
        }
        if previous.head().issuer != ca_key.subject_name_der() {
            return Err(GateFault::NotTheListBefore("issuer"));
        }
        // One that lies in the future was made by a clock that was ahead: it must be followed all the same, and numbers tell lists apart.
        let before = previous.head().this_update;
        if heading.this_update < before && !is_ahead(before, heading.this_update) {
            return Err(GateFault::Older);
        }
        let ahead = previous.next_entry().map_err(GateFault::PreviousUnreadable)?;
        let (missing, changed) = (Certificates::default(), Certificates::default());
        Ok(Self { previous, number, ca_key, shard, ahead, found: Compared::default(), missing, changed, left: Vec::new() })
    }

    /// The new list's next entry.
    pub(super) fn with(&mut self, entry: &ListedRevocation, sample: &mut Sample, standing: AskStore<'_>) -> Result<(), GateFault> {
        while let Some(left) = self.ahead.take_if(|before| before.serial < entry.serial) {
            self.step(&left.serial)?;
            self.left.push(left);
            if self.left.len() == AT_ONCE {
                self.explain_left(sample, standing)?;
            }
        }
        match self.ahead.take_if(|before| before.serial == entry.serial) {
            Some(before) => {
                // For each there is one encoding only: equal octets, or not.
                if before == *entry {
                    self.found.unchanged += 1;
                } else if may_become(&before.revocation, &entry.revocation) {
                    self.found.holds_changed += 1;
                    sample.offer_new(entry);
                } else {
                    self.changed.add(&entry.serial);
                }
                self.step(&before.serial)
            }
            None => {
                self.found.new += 1;
                sample.offer_new(entry);
                Ok(())
            }
        }
    }

    /// The new list has no more.
    pub(super) fn end(mut self, sample: &mut Sample, standing: AskStore<'_>) -> Result<Compared, GateFault> {
        while let Some(left) = self.ahead.take() {
            self.step(&left.serial)?;
            self.left.push(left);
            if self.left.len() == AT_ONCE {
                self.explain_left(sample, standing)?;
            }
        }
        self.explain_left(sample, standing)?;
        let ending = self.previous.finish().map_err(GateFault::PreviousUnreadable)?;
        for (right, what) in [
            (ending.is_signed_by(self.ca_key.subject_public_key()), "signature"),
            (ending.number() == Some(self.number), "cRLNumber"),
            (ending.distribution_point() == Some(&self.ca_key.distribution_point(self.shard).name_der), "issuingDistributionPoint"),
        ] {
            if !right {
                return Err(GateFault::NotTheListBefore(what));
            }
        }
        self.missing.none_or(GateFault::Missing)?;
        self.changed.none_or(GateFault::Changed)?;
        Ok(self.found)
    }

    /// Goes on to the entry after `serial`.
    fn step(&mut self, serial: &SerialNumber) -> Result<(), GateFault> {
        self.ahead = self.previous.next_entry().map_err(GateFault::PreviousUnreadable)?;
        if self.ahead.as_ref().is_some_and(|next| next.serial <= *serial) { Err(GateFault::NotTheListBefore("order")) } else { Ok(()) }
    }

    /// An entry leaves when its certificate has expired for long enough, or if it was a hold and the certificate is free of it.
    /// There is no removeFromCRL for that: it belongs into delta CRLs (RFC 5280 section 5.3.1).
    fn explain_left(&mut self, sample: &mut Sample, standing: AskStore<'_>) -> Result<(), GateFault> {
        let left = std::mem::take(&mut self.left);
        let serials: Vec<SerialNumber> = left.iter().map(|entry| entry.serial.clone()).collect();
        let standings = if serials.is_empty() { Vec::new() } else { standing(&serials)? };
        for (place, entry) in left.iter().enumerate() {
            match standings.get(place) {
                Some(Standing::LongExpired) => self.found.expired += 1,
                Some(Standing::Free) if is_hold(&entry.revocation) => {
                    self.found.lifted += 1;
                    sample.offer_lifted(entry);
                }
                Some(Standing::Free | Standing::Listed) | None => self.missing.add(&entry.serial),
            }
        }
        Ok(())
    }
}

/// A permanent revocation never changes. A hold may become one, from its own date; if it was lifted meanwhile, whatever stands now
/// began later.
fn may_become(before: &Revocation, now: &Revocation) -> bool {
    is_hold(before) && before.at <= now.at
}

fn is_hold(revocation: &Revocation) -> bool {
    revocation.reason == RevocationReason::CertificateHold
}
