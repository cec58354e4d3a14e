//! How far a store has come: what may only rise.

use std::collections::BTreeMap;

use ca_core::digest::Sha256Digest;
use ca_core::issuer::{CaKey, CaKeyId};
use chrono::{DateTime, Utc};
use crl_publisher::shelf::label as scope_label;
use schema::crl::PublishedCrl;
use schema::{EventPosition, Reader, StoreFault};
use serde::{Deserialize, Serialize};

/// How far CRL numbers are raised above the highest that is known to have been published, where a store went back: more than a list a
/// second for eleven days, so that no number is given out twice even if the files had stood still for a while. Gaps are allowed
/// (RFC 5280 section 5.2.3).
pub(crate) const CRL_NUMBER_GAP: u64 = 1_000_000;

/// How far a store has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    /// The store's epoch: rises when it was found restored.
    pub(crate) epoch: u64,
    /// The position of the last event.
    pub(crate) position: i64,
    /// SHA-256, in hexadecimal, that tells this event from any other; unknown in files of older programs, and before the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<String>,
    /// The number of the last published CRL of each scope, by the scope's label, such as `signature-1` or, for a shard, `signature-1-17`.
    pub(crate) crl_numbers: BTreeMap<String, u64>,
    /// The issuance log as it was last signed; unknown in files of older programs, and before the first signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<Box<SignedLog>>,
    /// When it was looked at.
    pub(crate) at: DateTime<Utc>,
}

/// How large the issuance log was when it was last signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedLog {
    /// Its name: another log's leaves do not compare.
    pub(crate) origin: String,
    /// Its leaves.
    pub(crate) size: u64,
    /// Its root in base64, as the checkpoint has it.
    pub(crate) root: String,
}

impl SignedLog {
    /// That of the store.
    pub(crate) fn of_store(reader: &Reader) -> Result<Option<Box<Self>>, StoreFault> {
        let note = reader.log_head()?.note;
        // Origin, size, root: the first three lines of a checkpoint (C2SP tlog-checkpoint).
        Ok(note.and_then(|note| {
            let mut lines = note.text.lines();
            Some(Box::new(Self { origin: lines.next()?.to_owned(), size: note.size, root: lines.nth(1)?.to_owned() }))
        }))
    }

    /// What is lower or other here than in `reached`, in words.
    fn below(own: Option<&Self>, reached: &Self) -> Option<String> {
        match own {
            Some(own) if own.origin != reached.origin => None,
            None => Some(format!("its log is not signed, and had {} leaves", reached.size)),
            Some(own) if own.size < reached.size => Some(format!("its log has {} signed leaves and had {}", own.size, reached.size)),
            Some(own) if own.size == reached.size && own.root != reached.root => {
                Some(format!("its log of {} leaves has another root than it had", own.size))
            }
            Some(_) => None,
        }
    }
}

impl Mark {
    /// How far the store has come. The numbers are read after the position, and none of it ever sinks in a store that did not go
    /// back, so what is told was reached.
    pub(crate) fn of_store(reader: &Reader, now: DateTime<Utc>) -> Result<Self, StoreFault> {
        let state = reader.store_state()?;
        let ca_keys = reader.ca_keys()?;
        let label = |list: &PublishedCrl| {
            let ca_key = ca_keys.iter().find(|key| key.id() == list.ca_key).ok_or(StoreFault::Corrupt("a CRL of no CA key"))?;
            Ok::<_, StoreFault>(scope_label(ca_key, list.shard))
        };
        let log = SignedLog::of_store(reader)?;
        let lists = reader.latest_crls()?;
        let crl_numbers = lists.iter().map(|list| Ok::<_, StoreFault>((label(list)?, list.number))).collect::<Result<_, _>>()?;
        Ok(Self { epoch: state.epoch, position: state.position.0, event: words(state.event), crl_numbers, log, at: now })
    }

    /// The same without the numbers of CRLs, which the RA may not read.
    pub(crate) fn of_events(reader: &Reader, now: DateTime<Utc>) -> Result<Self, StoreFault> {
        let state = reader.store_state()?;
        let log = SignedLog::of_store(reader)?;
        Ok(Self { epoch: state.epoch, position: state.position.0, event: words(state.event), crl_numbers: BTreeMap::new(), log, at: now })
    }

    /// Whether the store has another event than this one at its position, in words; `None` also if it is not in this mark's epoch, or not
    /// beyond its position: then the numbers tell. A store that lost its last events may have gone beyond them since.
    pub(crate) fn replaced_in(&self, reader: &Reader) -> Result<Option<String>, StoreFault> {
        let (state, found) = reader.store_state_since(EventPosition(self.position))?;
        let compares = state.epoch == self.epoch && state.position.0 >= self.position && self.event.is_some();
        Ok((compares && words(found) != self.event).then(|| format!("event {} is another than it was", self.position)))
    }

    /// What is lower here than in `reached`, in words; `None` if nothing is. Within one epoch everything compares; in a later one
    /// nothing is expected of positions and numbers.
    pub(crate) fn below(&self, reached: &Self) -> Option<String> {
        if self.epoch != reached.epoch {
            return (self.epoch < reached.epoch).then(|| format!("its epoch is {} and was {}", self.epoch, reached.epoch));
        }
        if self.position < reached.position {
            return Some(format!("its last event is {} and was {}", self.position, reached.position));
        }
        if let Some(why) = reached.log.as_deref().and_then(|reached| SignedLog::below(self.log.as_deref(), reached)) {
            return Some(why);
        }
        let lower = |(label, number): (&String, &u64)| match self.crl_numbers.get(label) {
            Some(own) => (own < number).then(|| format!("the last CRL of {label} is number {own} and was {number}")),
            None => Some(format!("it has no CRL of {label}, and had number {number}")),
        };
        reached.crl_numbers.iter().find_map(lower)
    }

    /// Whether this tells of anything that a store did not have when its present epoch began, given how far it has come since. Only then
    /// was it known before the store went back, and not seen in it afterwards.
    pub(crate) fn is_beyond(&self, store: &Self) -> bool {
        let higher = |(label, number): (&String, &u64)| store.crl_numbers.get(label).is_none_or(|own| own < number);
        let signed = |mark: &Self| mark.log.as_ref().map_or(0, |log| log.size);
        self.position >= store.position || signed(self) > signed(store) || self.crl_numbers.iter().any(higher)
    }

    /// The highest of both: of the later epoch, with the highest number of each CA key in either.
    pub(crate) fn highest(self, other: Self) -> Self {
        let (mut higher, lower) = if (self.epoch, self.position) >= (other.epoch, other.position) { (self, other) } else { (other, self) };
        if (higher.epoch, higher.position) == (lower.epoch, lower.position) {
            higher.event = higher.event.or(lower.event);
        }
        let size = |log: &Option<Box<SignedLog>>| log.as_ref().map_or(0, |log| log.size);
        if size(&lower.log) > size(&higher.log) {
            higher.log = lower.log;
        }
        for (label, number) in lower.crl_numbers {
            let known = higher.crl_numbers.entry(label).or_default();
            *known = (*known).max(number);
        }
        higher
    }

    /// Whether it tells the same as another, whenever that was looked at.
    pub(crate) fn tells_the_same(&self, other: &Self) -> bool {
        (self.epoch, self.position, &self.event, &self.crl_numbers, &self.log)
            == (other.epoch, other.position, &other.event, &other.crl_numbers, &other.log)
    }

    /// The numbers below which no CRL may be published in a store that went back, for the CA keys that it has.
    pub(crate) fn raised(&self, ca_keys: &[CaKey]) -> Vec<(CaKeyId, u64)> {
        let number = |key: &CaKey| {
            let (first, shards) = (key.label(), format!("{}-", key.label()));
            let own = self.crl_numbers.iter().filter(|(label, _)| **label == first || label.starts_with(&shards));
            own.map(|(_, number)| *number).max().unwrap_or(0).saturating_add(CRL_NUMBER_GAP)
        };
        ca_keys.iter().map(|key| (key.id(), number(key))).collect()
    }
}

fn words(event: Option<Sha256Digest>) -> Option<String> {
    event.map(|digest| digest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(epoch: u64, position: i64, signature: u64) -> Mark {
        Mark {
            epoch,
            position,
            event: None,
            crl_numbers: BTreeMap::from([("signature-1".to_owned(), signature)]),
            log: None,
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_lower_in_one_epoch_went_back_and_a_later_epoch_did_not() {
        let reached = mark(2, 70, 9);
        assert_eq!(mark(2, 70, 9).below(&reached), None);
        assert_eq!(mark(2, 71, 12).below(&reached), None);
        assert_eq!(mark(3, 5, 0).below(&reached), None);
        for (found, word) in [(mark(1, 99, 99), "epoch"), (mark(2, 69, 9), "event"), (mark(2, 70, 8), "CRL of signature-1")] {
            let why = found.below(&reached).unwrap();
            assert!(why.contains(word), "{why}");
        }
        let mut without = mark(2, 70, 9);
        without.crl_numbers.clear();
        assert!(without.below(&reached).unwrap().contains("no CRL of signature-1"));
    }

    #[test]
    fn a_log_that_was_signed_larger_or_with_another_root_went_back() {
        let with = |size: u64, root: &str| Mark {
            log: Some(Box::new(SignedLog { origin: "log".to_owned(), size, root: root.to_owned() })),
            ..mark(1, 7, 3)
        };
        assert_eq!(with(5, "a").below(&with(5, "a")), None);
        assert_eq!(with(6, "b").below(&with(5, "a")), None);
        assert_eq!(with(6, "b").below(&mark(1, 7, 3)), None, "an older program did not know");
        assert!(with(4, "a").below(&with(5, "a")).unwrap().contains("4 signed leaves and had 5"));
        assert!(with(5, "b").below(&with(5, "a")).unwrap().contains("another root"));
        assert!(mark(1, 7, 3).below(&with(5, "a")).unwrap().contains("not signed"));
        assert!(with(6, "b").is_beyond(&with(5, "a")) && with(4, "a").highest(with(5, "b")).log == with(5, "b").log);
    }

    #[test]
    fn the_highest_has_the_later_epoch_and_the_highest_numbers_of_both() {
        let mut other = mark(1, 99, 12);
        other.crl_numbers.insert("authentication-1".to_owned(), 4);
        for highest in [mark(2, 5, 3).highest(other.clone()), other.highest(mark(2, 5, 3))] {
            assert_eq!((highest.epoch, highest.position), (2, 5));
            assert_eq!(highest.crl_numbers, BTreeMap::from([("signature-1".to_owned(), 12), ("authentication-1".to_owned(), 4)]));
        }
    }
}
