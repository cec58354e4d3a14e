//! Card events by the million, as JSON Lines for `tsunagi card-event import`.

use std::io::{self, Write};

use chrono::{DateTime, SubsecRound as _, Utc};

use crate::back_office::{CardEvent, CardEventType};
use crate::reason::Reason;

/// Which events to write.
#[derive(Debug, Clone)]
pub struct CardEventLines {
    /// How many in all.
    pub count: u64,
    /// What happens to each card certificate.
    pub event_type: CardEventType,
    /// With `revoked`: why.
    pub reason: Option<Reason>,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// Key identifiers, hex, of the card CA's keys that cards nobody knows are of, in turn.
    pub issuer_key_ids: Vec<String>,
    /// Cards that exist: issuer key identifier and serial number, hex, with the sequence number of the event. They are spread
    /// evenly over the lines.
    pub known: Vec<(String, String, i64)>,
    /// Part of every event_id and serial number: another run, other events and other cards.
    pub run: u32,
}

impl CardEventLines {
    /// So many revocations, cessationOfOperation, of cards that nobody knows.
    pub fn new(count: u64, issuer_key_ids: Vec<String>) -> Self {
        Self {
            count,
            event_type: CardEventType::Revoked,
            reason: Some(Reason::CessationOfOperation),
            occurred_at: Utc::now().trunc_subsecs(0),
            issuer_key_ids,
            known: Vec::new(),
            run: 1,
        }
    }

    /// One event a line; how many.
    pub fn write(&self, to: &mut impl Write) -> io::Result<u64> {
        let known = self.known.len() as u64;
        let mut written = 0;
        for number in 0..self.count.max(known) {
            // As many lines as there are known cards hit one each, at even distances.
            let place = number * known / self.count.max(known).max(1);
            let is_hit = known > 0 && (number == 0 || place != (number - 1) * known / self.count.max(known));
            let event = match self.known.get(usize::try_from(place).unwrap_or(usize::MAX)) {
                Some(card) if is_hit => self.event(number, &card.0, card.1.clone(), card.2),
                _ => self.event(number, self.issuer(number), self.invented_serial(number), 1),
            };
            serde_json::to_writer(&mut *to, &event)?;
            to.write_all(b"\n")?;
            written += 1;
        }
        Ok(written)
    }

    fn event(&self, number: u64, issuer_key_id: &str, serial: String, sequence: i64) -> CardEvent {
        CardEvent {
            event_id: format!("run-{:08x}-{number}", self.run),
            issuer_key_id: issuer_key_id.to_owned(),
            serial,
            sequence,
            event_type: self.event_type.as_str().to_owned(),
            reason: self.reason,
            occurred_at: self.occurred_at,
        }
    }

    fn issuer(&self, number: u64) -> &str {
        let place = number % (self.issuer_key_ids.len().max(1) as u64);
        self.issuer_key_ids.get(usize::try_from(place).unwrap_or(0)).map_or("", String::as_str)
    }

    /// Twelve octets: no card CA here gives such numbers.
    fn invented_serial(&self, number: u64) -> String {
        format!("01{:06x}{number:016x}", self.run & 0xFF_FFFF)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn lines(wish: &CardEventLines) -> Vec<CardEvent> {
        let mut out = Vec::new();
        assert_eq!(wish.write(&mut out).unwrap(), wish.count.max(wish.known.len() as u64));
        out.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    #[test]
    fn every_event_is_another_and_every_known_card_is_hit_once() {
        for (count, known) in [(1000, 7), (10, 10), (3, 5), (5, 0)] {
            let mut wish = CardEventLines::new(count, vec!["aa".to_owned(), "bb".to_owned()]);
            wish.known = (0..known).map(|number| ("cc".to_owned(), format!("{number:08x}"), 2)).collect();
            let events = lines(&wish);
            let ids: HashSet<_> = events.iter().map(|event| &event.event_id).collect();
            let cards: HashSet<_> = events.iter().map(|event| (&event.issuer_key_id, &event.serial)).collect();
            assert_eq!((ids.len(), cards.len()), (events.len(), events.len()));
            assert_eq!(events.iter().filter(|event| event.issuer_key_id == "cc").count(), known, "{count} {known}");
        }
    }
}
