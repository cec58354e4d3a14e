//! The beacon: a random value drawn each minute, on which challenges are made.

use ca_core::application::challenge::Beacon;
use ca_core::issuance::RandomnessFault;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::CaFault;
use crate::role::CaRole;

impl CaRole {
    /// Draws a beacon if the latest is as old as the policy's interval, or if there is none.
    pub fn draw_beacon_if_due(&self) -> Result<(), CaFault> {
        match self.new_beacon_if_due()? {
            Some(beacon) => self.write(move |tx| tx.draw_beacon(&beacon)),
            None => Ok(()),
        }
    }

    /// The same without the lead, which nobody has in a store that is not reconciled: two processes may then draw one each, which does no
    /// harm.
    pub(crate) fn draw_beacon_while_reconciling(&self) -> Result<(), CaFault> {
        if self.reader.store_state()?.reconciling_since.is_none() {
            return Ok(());
        }
        match self.new_beacon_if_due()? {
            Some(beacon) => Ok(self.writer.write(move |tx| if tx.is_reconciling()? { tx.draw_beacon(&beacon) } else { Ok(()) })?),
            None => Ok(()),
        }
    }

    fn new_beacon_if_due(&self) -> Result<Option<Beacon>, CaFault> {
        let now = self.clock.now();
        let interval = self.verifier.policy().challenge.beacon_interval();
        // One drawn in the future is no reason to wait: the clock was set back.
        if self.reader.latest_beacon()?.is_some_and(|beacon| beacon.drawn_at <= now && now - beacon.drawn_at < interval) {
            return Ok(None);
        }
        let mut value = [0; 32];
        SystemRandom::new().fill(&mut value).map_err(|_| CaFault::Randomness(RandomnessFault))?;
        Ok(Some(Beacon { value, drawn_at: now }))
    }
}
