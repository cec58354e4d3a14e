//! How long it took from hearing of something to the change of the certificate: cascades from the card's event (`received_at`), holds and
//! lifts from the instruction's arrival at the RA.
//!
//! Percentiles are exact to the millisecond below ten seconds, to the second below an hour, and to the minute above, rounded up.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Deserialize;

use crate::verify::{CertificateData, Event, milliseconds};

use super::{Cell, ROWS, Tally};

#[derive(Debug, Default)]
pub(super) struct Latency {
    /// Causes that were told, the latest last: what they bring about stands in the same transaction.
    causes: VecDeque<(String, i64)>,
    /// What was changed by instructions whose own event is still to come: when, what and how often.
    changed: HashMap<String, (i64, BTreeMap<&'static str, u64>)>,
    histograms: BTreeMap<&'static str, BTreeMap<i64, u64>>,
}

#[derive(Deserialize)]
struct Cause<'a> {
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    instruction: Option<Cow<'a, str>>,
    #[serde(borrow)]
    received_at: Option<Cow<'a, str>>,
}

/// So many causes are remembered: more than one transaction tells.
const CAUSES: usize = 4_096;

impl Tally for Latency {
    fn count(&mut self, event: &Event<'_>) -> bool {
        match event.kind() {
            "card.revoked" | "card.held" | "card.released" => {
                let Some(cause) = event.data::<Cause<'_>>() else { return false };
                let received_at = cause.received_at.as_deref().and_then(milliseconds);
                let (Some(event_id), Some(received_at)) = (cause.event_id, received_at) else { return false };
                if self.causes.len() == CAUSES {
                    self.causes.pop_front();
                }
                self.causes.push_back((event_id.into_owned(), received_at));
                true
            }
            "instruction.done" => {
                let Some(cause) = event.data::<Cause<'_>>() else { return false };
                let Some((at, changed)) = cause.instruction.and_then(|instruction| self.changed.remove(&*instruction)) else { return true };
                let Some(received_at) = cause.received_at.as_deref().and_then(milliseconds) else { return false };
                changed.iter().for_each(|(what, count)| self.add(what, at - received_at, *count));
                true
            }
            kind if kind.starts_with("certificate.") && kind != "certificate.issued" => self.certificate(event),
            _ => true,
        }
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["what", "count", "median_ms", "p90_ms", "p99_ms", "longest_ms"]
    }

    fn rows(&self) -> Vec<Vec<Cell>> {
        let row = |(what, histogram): (&&'static str, &BTreeMap<i64, u64>)| {
            let count: u64 = histogram.values().sum();
            let at = |share: f64| percentile(histogram, count, share);
            let longest = histogram.keys().last().copied().unwrap_or(0);
            vec![Cell::text(*what), Cell::Number(count), at(0.5), at(0.9), at(0.99), Cell::Number(u64::try_from(longest).unwrap_or(0))]
        };
        self.histograms.iter().map(row).collect()
    }
}

impl Latency {
    fn certificate(&mut self, event: &Event<'_>) -> bool {
        let Some(data) = event.data::<CertificateData<'_>>() else { return false };
        if let Some(cause) = data.by.as_ref().and_then(|by| by.card_event.as_deref()) {
            let Some((_, received_at)) = self.causes.iter().rev().find(|(event_id, _)| event_id == cause) else { return false };
            let what = if event.kind() == "certificate.revoked" { "cascade, revoked" } else { "cascade, held or lifted" };
            self.add(what, event.at - received_at, 1);
            return true;
        }
        let Some(instruction) = data.instruction else { return true };
        let what = match event.kind() {
            "certificate.held" | "certificate.hold_added" => "hold",
            "certificate.hold_lifted" | "certificate.released" => "lift",
            "certificate.revoked" => "revocation",
            _ => return true,
        };
        if self.changed.len() >= ROWS && !self.changed.contains_key(&*instruction) {
            return false;
        }
        let (at, changed) = self.changed.entry(instruction.into_owned()).or_default();
        *at = event.at.max(*at);
        *changed.entry(what).or_default() += 1;
        true
    }

    fn add(&mut self, what: &'static str, took: i64, count: u64) {
        *self.histograms.entry(what).or_default().entry(rounded(took.max(0))).or_default() += count;
    }
}

/// Rounded up, so that there are few different values however long things took.
const fn rounded(took: i64) -> i64 {
    let unit = match took {
        ..10_000 => 1,
        10_000..3_600_000 => 1_000,
        _ => 60_000,
    };
    // A century is long enough for anything.
    let bounded = if took > 3_155_760_000_000 { 3_155_760_000_000 } else { took };
    (bounded + unit - 1) / unit * unit
}

/// The smallest value that at least this share is not above.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percentile(histogram: &BTreeMap<i64, u64>, count: u64, share: f64) -> Cell {
    let wanted = ((count as f64 * share).ceil() as u64).max(1);
    let mut seen = 0;
    let found = histogram.iter().find(|(_, here)| {
        seen += **here;
        seen >= wanted
    });
    found.map_or(Cell::Nothing, |(took, _)| Cell::Number(u64::try_from(*took).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_seen() {
        let histogram: BTreeMap<i64, u64> = (1..=100).map(|took| (took, 1)).collect();
        assert_eq!(percentile(&histogram, 100, 0.5), Cell::Number(50));
        assert_eq!(percentile(&histogram, 100, 0.99), Cell::Number(99));
        assert_eq!(percentile(&histogram, 100, 1.0), Cell::Number(100));
        assert_eq!(percentile(&BTreeMap::new(), 0, 0.5), Cell::Nothing);
    }

    #[test]
    fn what_took_long_is_rounded_up() {
        assert_eq!([rounded(0), rounded(9_999), rounded(10_001), rounded(3_600_001)], [0, 9_999, 11_000, 3_660_000]);
        assert_eq!(rounded(i64::MAX), 3_155_760_000_000);
    }
}
