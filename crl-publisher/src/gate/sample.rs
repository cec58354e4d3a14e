//! Whom the status service is asked about.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use schema::crl::ListedRevocation;

/// Entries chosen while the list goes by.
pub(super) struct Sample {
    random: Random,
    first: Option<ListedRevocation>,
    last: Option<ListedRevocation>,
    any: Reservoir,
    new: Reservoir,
    lifted: Reservoir,
}

/// A certificate, and what the new list says of it; `None` if it was on hold and left the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) serial: SerialNumber,
    pub(super) listed: Option<Revocation>,
}

impl Sample {
    /// `size` of each sort; none at all if that is 0.
    pub(super) fn new(size: usize) -> Self {
        let reservoir = || Reservoir { size, offered: 0, kept: Vec::new() };
        Self { random: Random::new(), first: None, last: None, any: reservoir(), new: reservoir(), lifted: reservoir() }
    }

    /// An entry of the new list.
    pub(super) fn offer(&mut self, entry: &ListedRevocation) {
        if self.any.offered == 0 {
            self.first = Some(entry.clone());
        }
        self.any.offer(entry, &mut self.random);
    }

    /// One that was not on the list before, or was otherwise.
    pub(super) fn offer_new(&mut self, entry: &ListedRevocation) {
        self.new.offer(entry, &mut self.random);
    }

    /// One of the list before, of a hold that was lifted.
    pub(super) fn offer_lifted(&mut self, entry: &ListedRevocation) {
        self.lifted.offer(entry, &mut self.random);
    }

    /// The new list's last entry.
    pub(super) fn offer_last(&mut self, entry: Option<ListedRevocation>) {
        self.last = entry;
    }

    /// What is to be asked: each certificate once.
    pub(super) fn questions(&self) -> Vec<Question> {
        if self.any.size == 0 {
            return Vec::new();
        }
        let listed = self.any.kept.iter().chain(&self.new.kept).chain(&self.first).chain(&self.last);
        let listed = listed.map(|entry| Question { serial: entry.serial.clone(), listed: Some(entry.revocation) });
        let lifted = self.lifted.kept.iter().map(|entry| Question { serial: entry.serial.clone(), listed: None });
        let mut questions: Vec<Question> = listed.chain(lifted).collect();
        questions.sort_by(|one, other| one.serial.cmp(&other.serial));
        questions.dedup();
        questions
    }
}

/// So many of however many there will be, each as likely as any other (Vitter's algorithm R).
struct Reservoir {
    size: usize,
    offered: u64,
    kept: Vec<ListedRevocation>,
}

impl Reservoir {
    fn offer(&mut self, entry: &ListedRevocation, random: &mut Random) {
        self.offered += 1;
        if self.kept.len() < self.size {
            self.kept.push(entry.clone());
        } else {
            let place = random.below(self.offered);
            if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
                kept.clone_from(entry);
            }
        }
    }
}

/// Numbers that nobody who prepares a list in advance could foresee; no secret hangs on them (SplitMix64, seeded by the system).
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // The product's upper half: without the division, and as even as anybody can tell.
        ((u128::from(mixed ^ (mixed >> 31)) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use ca_core::revocation::RevocationReason;
    use chrono::DateTime;

    use super::*;

    fn entry(number: u16) -> ListedRevocation {
        ListedRevocation {
            serial: SerialNumber::from_magnitude(&number.to_be_bytes()).unwrap(),
            revocation: Revocation::new(DateTime::UNIX_EPOCH, RevocationReason::Superseded),
        }
    }

    #[test]
    fn the_first_the_last_and_as_many_as_were_wanted_are_asked_about_once_each() {
        for (size, of, least, most) in [(0, 1_000, 0, 0), (5, 1_000, 5, 7), (5, 3, 3, 3), (5, 0, 0, 0)] {
            let mut sample = Sample::new(size);
            let entries: Vec<_> = (1..=of).map(entry).collect();
            entries.iter().for_each(|entry| sample.offer(entry));
            sample.offer_last(entries.last().cloned());
            let questions = sample.questions();
            assert!((least..=most).contains(&questions.len()), "{size} of {of}: {}", questions.len());
            for end in [entries.first(), entries.last()].into_iter().flatten().filter(|_| size > 0) {
                assert!(questions.iter().any(|question| question.serial == end.serial));
            }
        }
    }

    #[test]
    fn each_entry_is_as_likely_as_any_other() {
        let mut drawn = [0_u32; 100];
        for _ in 0..2_000 {
            let mut sample = Sample::new(10);
            (0..100).for_each(|number| sample.offer(&entry(number)));
            for kept in &sample.any.kept {
                drawn[usize::from(*kept.serial.as_bytes().last().unwrap())] += 1;
            }
        }
        // 200 each is to be expected, with a standard deviation of 13.
        assert!(drawn.iter().all(|count| (110..=290).contains(count)), "{drawn:?}");
    }
}
