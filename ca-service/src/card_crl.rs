//! Reading the card CRLs: what the back office's events should have told and may not have (SP 800-157r1 section 2.4).

use ca_core::card::status::CardCrl;
use ca_core::chain::Chain;
use ca_core::digest::Sha256Digest;
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use schema::card_event::{CardChange, CardEvent, CardEventSource};

use crate::CaFault;
use crate::role::{CaRole, CrlLocation};

/// How many of a CRL's entries are looked up at once.
const CHUNK: usize = 500;

impl CaRole {
    /// Reads the CRL of every distribution point that a live certificate's card certificate has, and applies the revocations
    /// of linked cards that are not known yet; how many there were.
    ///
    /// One CRL that cannot be had or does not verify does not keep the others from being read.
    pub fn read_card_crls(&self) -> Result<usize, CaFault> {
        let mut found = 0;
        let mut failed = None;
        for location in &self.crl_locations {
            for point in self.reader.card_distribution_points(&location.key_id)? {
                match self.read_card_crl(location, &point) {
                    Ok(count) => found += count,
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
                metrics::gauge!("tsunagi_ca_card_crl_last_success_timestamp_seconds").set(self.clock.now().timestamp() as f64);
                Ok(found)
            }
        }
    }

    fn read_card_crl(&self, location: &CrlLocation, point: &[u8]) -> Result<usize, CaFault> {
        let authority =
            self.verifier.authorities().find(location.kind, &location.key_id).ok_or(CaFault::CardCrl("no such card CA is trusted"))?;
        let url = location.template.url(&Sha256Digest::of(point).0);
        let der = self.card_status.fetch_crl(&url)?;
        let crl = CardCrl::verify(&der, authority).map_err(|_| CaFault::CardCrl("it does not verify"))?;
        if !crl.covers(point) {
            return Err(CaFault::CardCrl("it is another distribution point's"));
        }
        if crl.next_update().is_some_and(|next| next < self.clock.now()) {
            // What it lists is revoked all the same; that it is old is for the operator to know.
            metrics::counter!("tsunagi_ca_card_crl_stale_total").increment(1);
        }
        let listed: Vec<_> = crl.revocations().filter(|(_, revocation)| is_permanent(revocation)).collect();
        let mut count = 0;
        for some in listed.chunks(CHUNK) {
            let serials: Vec<SerialNumber> = some.iter().map(|(serial, _)| (*serial).clone()).collect();
            let news = self.reader.good_cards_among(&location.key_id, &serials)?;
            let events: Vec<_> = some
                .iter()
                .filter(|(serial, _)| news.contains(serial))
                .map(|(serial, revocation)| event(location, serial, **revocation))
                .collect();
            count += events.len();
            self.apply(events)?;
        }
        Ok(count)
    }
}

/// A card on hold may come back: its certificate is not revoked for it.
fn is_permanent(revocation: &Revocation) -> bool {
    revocation.reason != RevocationReason::CertificateHold
}

/// The CRL's word as an event, named by a digest: a card's serial number has no place in events. It has no sequence of the back office's: the lowest never hides a later one.
fn event(location: &CrlLocation, serial: &SerialNumber, revocation: Revocation) -> CardEvent {
    CardEvent {
        event_id: format!("crl:{}", Sha256Digest::of(format!("{} {} {serial}", location.kind, location.key_id).as_bytes())),
        issuer_key_id: location.key_id.clone(),
        serial: serial.clone(),
        sequence: 0,
        change: CardChange::Revoked { reason: revocation.reason, at: revocation.at },
        source: CardEventSource::Crl,
    }
}
