//! Asking the back office how cards stand: the full comparison, which finds what push, feed and CRL have lost, and the second look
//! at a card some days after issuance (SP 800-157 of 2014, section 2.1; its revision looks from the other end, section 2.4).

use std::collections::BTreeSet;
use std::time::Duration;

use back_office::{CARD_STATES_AT_ONCE, CardName, RegisterState, Standing};
use ca_core::card::identity::KeyIdentifier;
use ca_core::chain::Chain;
use ca_core::lifecycle::{CardChange, CardRecord, CardStanding};
use ca_core::serial::SerialNumber;
use chrono::{DateTime, SecondsFormat, Utc};
use schema::card_event::{CardEvent, CardEventSource};
use schema::certificate::CertificateId;
use schema::channel::Channel;
use schema::second_look::SecondLook;

use crate::CaFault;
use crate::cascade::revoked;
use crate::role::CaRole;

/// Cards that are asked about at once.
const PAGE: u32 = 500;
/// The pauses after which a question is asked again.
const PATIENCE: [Duration; 4] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// A card certificate, and what is known of it here.
struct Known {
    issuer_key_id: KeyIdentifier,
    serial: SerialNumber,
    record: CardRecord,
}

impl CaRole {
    /// Compares every linked card with what the back office says of it now, and applies what is different; how many were. A card
    /// that has ended stays ended, whatever is said later.
    pub fn compare_cards(&self) -> Result<usize, CaFault> {
        let event_id = name("comparison", self.clock.now());
        let (mut cursor, mut different) = (0, 0);
        loop {
            self.go_on()?;
            let page = self.reader.linked_cards_after(cursor, PAGE)?;
            let Some(last) = page.last() else {
                self.heard(Channel::Comparison)?;
                return Ok(different);
            };
            cursor = last.cursor;
            let known =
                |card: schema::card::LinkedCard| Known { issuer_key_id: card.issuer_key_id, serial: card.serial, record: card.record };
            different += self.compare(page.into_iter().map(known).collect(), &event_id)?;
        }
    }

    /// Takes the second looks that are due: at the back office's word, and at a fresh card CRL if there is one to be had; how many
    /// there were. One to which the back office said nothing stays due.
    pub fn take_second_looks(&self) -> Result<usize, CaFault> {
        let now = self.clock.now();
        let event_id = name("second-look", now);
        let mut taken = 0;
        loop {
            self.go_on()?;
            let due = self.reader.second_looks_due(PAGE, now)?;
            if due.is_empty() {
                return Ok(taken);
            }
            self.look_again(&due, &event_id)?;
            taken += due.len();
            let done: Vec<CertificateId> = due.iter().map(|look| look.certificate).collect();
            self.write(move |tx| tx.second_look_done(&done))?;
        }
    }

    fn look_again(&self, due: &[SecondLook], event_id: &str) -> Result<(), CaFault> {
        let standing: Vec<&SecondLook> = due.iter().filter(|look| look.stands).collect();
        let mut cards = Vec::with_capacity(standing.len());
        for look in &standing {
            let (issuer_key_id, serial) = (look.card.issuer_key_id.clone(), look.card.serial.clone());
            let record = self.reader.card_record(&issuer_key_id, &serial)?.unwrap_or(CardRecord::NEW);
            cards.push(Known { issuer_key_id, serial, record });
        }
        let different = self.compare(cards, event_id)?;
        let points: BTreeSet<_> =
            standing.iter().filter_map(|look| Some((&look.card.issuer_key_id, look.distribution_point.as_ref()?))).collect();
        for (issuer_key_id, point) in points {
            if let Some(location) = self.crl_locations.iter().find(|location| location.key_id == *issuer_key_id) {
                // The register has spoken; the list is read again and again anyhow, and says so where it cannot be had.
                if let Err(fault) = self.read_card_crl(location, point) {
                    tracing::warn!(fault = %Chain(&fault), "a second look goes without the card CRL, which could not be read");
                }
            }
        }
        metrics::counter!("tsunagi_ca_second_looks_total").increment(due.len() as u64);
        if different > 0 {
            tracing::warn!(different, "the second look at cards found what no event had told");
        }
        Ok(())
    }

    fn compare(&self, cards: Vec<Known>, event_id: &str) -> Result<usize, CaFault> {
        let mut events = Vec::new();
        for some in cards.chunks(CARD_STATES_AT_ONCE) {
            let name =
                |card: &Known| CardName { issuer_key_id: card.issuer_key_id.as_bytes().to_vec(), serial: card.serial.as_bytes().to_vec() };
            let states = self.card_states(&some.iter().map(name).collect::<Vec<_>>())?;
            for (card, state) in some.iter().zip(states) {
                let Some(state) = state else {
                    metrics::counter!("tsunagi_ca_cards_unknown_to_back_office_total").increment(1);
                    tracing::error!("the back office does not know a card certificate that it had named");
                    continue;
                };
                events.extend(difference(card, &state, event_id));
            }
        }
        let different = events.len();
        metrics::counter!("tsunagi_ca_card_differences_total").increment(different as u64);
        self.apply(events)?;
        Ok(different)
    }
}

impl CaRole {
    /// Asks how cards stand, and again after a while where the back office is out of reach for a moment: the comparison of a whole
    /// country's cards takes tens of thousands of questions, and must not come to nothing by one lost answer.
    fn card_states(&self, cards: &[CardName]) -> Result<Vec<Option<RegisterState>>, CaFault> {
        for pause in PATIENCE {
            match self.back_office.card_states(cards) {
                Err(fault) if fault.is_passing() => {
                    tracing::warn!(fault = %Chain(&fault), "the back office is asked again how cards stand")
                }
                answer => return Ok(answer?),
            }
            self.rest(pause)?;
        }
        Ok(self.back_office.card_states(cards)?)
    }
}

/// What the back office's word adds to what is known of a card.
fn difference(card: &Known, state: &RegisterState, event_id: &str) -> Option<CardEvent> {
    let change = match (&state.standing, card.record.standing) {
        (Standing::Good, CardStanding::Good) | (Standing::Held { .. }, CardStanding::Held { .. }) => return None,
        (Standing::Revoked { .. }, CardStanding::Ended(_)) => return None,
        (Standing::Good | Standing::Held { .. }, CardStanding::Ended(_)) => {
            metrics::counter!("tsunagi_ca_cards_said_to_live_again_total").increment(1);
            tracing::error!("the back office says that a card certificate lives that had been revoked; it stays so");
            return None;
        }
        (Standing::Good, CardStanding::Held { since }) => CardChange::Released { at: since },
        (Standing::Held { since }, CardStanding::Good) => CardChange::Held { at: (*since).max(DateTime::UNIX_EPOCH) },
        (Standing::Revoked { reason, since }, _) => revoked(reason, event_id, (*since).max(DateTime::UNIX_EPOCH)),
    };
    Some(CardEvent {
        event_id: event_id.to_owned(),
        issuer_key_id: card.issuer_key_id.clone(),
        serial: card.serial.clone(),
        sequence: state.sequence,
        change,
        source: CardEventSource::Comparison,
    })
}

/// What the events of one run are called: a card's serial number has no place in them.
fn name(what: &str, now: DateTime<Utc>) -> String {
    format!("{what}:{}", now.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use ca_core::revocation::{Revocation, RevocationReason};

    use super::*;

    fn known(standing: CardStanding) -> Known {
        let record = CardRecord { standing, last_sequence: Some(3) };
        Known { issuer_key_id: KeyIdentifier::new(vec![1]).unwrap(), serial: SerialNumber::from_magnitude(&[7]).unwrap(), record }
    }

    #[test]
    fn only_what_is_different_becomes_an_event_and_nothing_lives_again() {
        let at = DateTime::UNIX_EPOCH;
        let good = Standing::Good;
        let held = Standing::Held { since: at };
        let ended = Standing::Revoked { reason: "superseded".to_owned(), since: at };
        let reason = RevocationReason::Superseded;
        let (ours_good, ours_held) = (CardStanding::Good, CardStanding::Held { since: at });
        let ours_ended = CardStanding::Ended(Revocation::new(at, reason));
        for (theirs, ours, expected) in [
            (&good, ours_good, None),
            (&good, ours_held, Some(CardChange::Released { at })),
            (&good, ours_ended, None),
            (&held, ours_good, Some(CardChange::Held { at })),
            (&held, ours_held, None),
            (&held, ours_ended, None),
            (&ended, ours_good, Some(CardChange::Revoked { reason, at })),
            (&ended, ours_held, Some(CardChange::Revoked { reason, at })),
            (&ended, ours_ended, None),
        ] {
            let state = RegisterState { standing: theirs.clone(), sequence: 4 };
            let event = difference(&known(ours), &state, "comparison:now");
            assert_eq!(event.map(|event| event.change), expected, "{theirs:?} {ours:?}");
        }
    }
}
