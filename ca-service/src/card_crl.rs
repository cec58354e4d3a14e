//! Reading the card CRLs: what the back office's events should have told and may not have (SP 800-157r1 section 2.4).

use ca_core::card::status::CardCrl;
use ca_core::chain::Chain;
use ca_core::digest::Sha256Digest;
use ca_core::lifecycle::CardChange;
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use schema::card_event::{CardEvent, CardEventSource};
use schema::channel::Channel;

use crate::CaFault;
use crate::role::{CaRole, CrlLocation};

/// How many of a CRL's entries are looked up at once.
const CHUNK: usize = 500;

/// What reading a CRL came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrlReading {
    /// Revocations and holds that were applied.
    pub(crate) found: usize,
    /// Whether its nextUpdate is still to come: an older one says nothing of now.
    pub(crate) is_current: bool,
}

impl CaRole {
    /// Reads the CRL of every distribution point that a live certificate's card certificate has, and applies the revocations
    /// and holds of linked cards that are not known yet; how many there were.
    ///
    /// One CRL that cannot be had or does not verify does not keep the others from being read.
    pub fn read_card_crls(&self) -> Result<usize, CaFault> {
        let mut found = 0;
        let mut failed = None;
        let mut all_current = true;
        for location in &self.crl_locations {
            for point in self.reader.card_distribution_points(&location.key_id)? {
                self.go_on()?;
                match self.read_card_crl(location, &point) {
                    Ok(reading) => {
                        found += reading.found;
                        all_current &= reading.is_current;
                    }
                    Err(fault) => {
                        metrics::counter!("tsunagi_ca_card_crl_failures_total").increment(1);
                        tracing::warn!(kind = %location.kind, fault = %Chain(&fault), "a card CRL could not be read");
                        failed = Some(fault);
                    }
                }
            }
        }
        match failed {
            Some(fault) => Err(fault),
            None => {
                if all_current {
                    self.heard(Channel::CardCrl)?;
                }
                Ok(found)
            }
        }
    }

    pub(crate) fn read_card_crl(&self, location: &CrlLocation, point: &[u8]) -> Result<CrlReading, CaFault> {
        let authority =
            self.verifier.authorities().find(location.kind, &location.key_id).ok_or(CaFault::CardCrl("no such card CA is trusted"))?;
        let url = location.template.url(&Sha256Digest::of(point).0);
        let der = self.card_status.fetch_crl(&url)?;
        let crl = CardCrl::verify(&der, authority).map_err(|_| CaFault::CardCrl("it does not verify"))?;
        if !crl.covers(point) {
            return Err(CaFault::CardCrl("it is another distribution point's"));
        }
        let is_current = crl.next_update().is_none_or(|next| next >= self.clock.now());
        if !is_current {
            // What it lists is revoked all the same; that it is old is for the operator to know.
            metrics::counter!("tsunagi_ca_card_crl_stale_total").increment(1);
        }
        // A card's serial number has no place in events: they name the list that told.
        let event_id = format!("crl:{}", Sha256Digest::of(&der));
        let listed: Vec<_> = crl.revocations().collect();
        let mut found = 0;
        for some in listed.chunks(CHUNK) {
            self.go_on()?;
            let serials: Vec<SerialNumber> = some.iter().map(|(serial, _)| (*serial).clone()).collect();
            let news = self.reader.good_cards_among(&location.key_id, &serials)?;
            let events: Vec<_> = some
                .iter()
                .filter(|(serial, _)| news.contains(serial))
                .map(|(serial, revocation)| event(location, serial, **revocation, &event_id))
                .collect();
            found += events.len();
            self.apply(events)?;
        }
        Ok(CrlReading { found, is_current })
    }
}

/// The CRL's word as an event. It has no sequence of the back office's: the lowest never hides a later one.
fn event(location: &CrlLocation, serial: &SerialNumber, revocation: Revocation, event_id: &str) -> CardEvent {
    let change = match revocation {
        Revocation { reason: RevocationReason::CertificateHold, at, .. } => CardChange::Held { at },
        Revocation { reason, at, .. } => CardChange::Revoked { reason, at },
    };
    CardEvent {
        event_id: event_id.to_owned(),
        issuer_key_id: location.key_id.clone(),
        serial: serial.clone(),
        sequence: 0,
        change,
        source: CardEventSource::Crl,
    }
}
