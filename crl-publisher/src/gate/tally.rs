//! Counting, with what moves left out.

use ca_core::serial::SerialNumber;
use schema::crl::GateCount;

use super::GateFault;

/// How many entries there are, and how many of them are of certificates whose status changed while the list was made.
pub(super) struct Tally<'a> {
    entries: u64,
    changed: u64,
    /// Of the certificates that changed, those that the list has not come to yet; by rising serial number, as its entries are.
    ahead: &'a [(SerialNumber, bool)],
}

impl<'a> Tally<'a> {
    pub(super) fn new(counted: &'a GateCount) -> Self {
        Self { entries: 0, changed: 0, ahead: &counted.changed }
    }

    pub(super) fn count(&mut self, serial: &SerialNumber) {
        self.entries += 1;
        while let [(next, _), rest @ ..] = self.ahead {
            if next > serial {
                break;
            }
            self.changed += u64::from(next == serial);
            self.ahead = rest;
        }
    }

    /// |L| − |L ∩ E| = |S| − |S ∩ E|, where L is the list, S what the store has at the position, and E what changed.
    pub(super) fn check(self, counted: &GateCount) -> Result<(), GateFault> {
        let found = self.entries - self.changed;
        let listed = counted.changed.iter().filter(|(_, listed)| *listed).count() as u64;
        // A store that has fewer than changed has none of the others.
        let expected = counted.count.saturating_sub(listed);
        if found == expected { Ok(()) } else { Err(GateFault::Count { expected, found, position: counted.position }) }
    }
}
