//! What happened, and in which order feed and push tell of it: the right one, unless a fault is ordered.

use super::events::{BatchEvent, CardEvent, EventPage, FeedEvent};
use super::orders::Faults;

/// Every event in the order in which it happened, and two tellings of it, which name events by their place.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    pub(crate) happened: Vec<FeedEvent>,
    pub(crate) feed: Vec<usize>,
    pub(crate) push: Vec<usize>,
    /// How many of the push's the operators' listener has acknowledged.
    pub(crate) pushed: usize,
    withheld: Vec<usize>,
    faults: Faults,
    /// Where the feed ends while it is held back.
    feed_end: Option<usize>,
}

impl Telling {
    /// What a kept back office has to tell; orders for faults are not kept.
    pub(crate) fn restored(happened: Vec<FeedEvent>, feed: Vec<usize>, push: Vec<usize>, pushed: usize) -> Self {
        let known = |place: &usize| *place < happened.len();
        let (feed, push): (Vec<_>, Vec<_>) = (feed.into_iter().filter(known).collect(), push.into_iter().filter(known).collect());
        let pushed = pushed.min(push.len());
        Self { happened, feed, push, pushed, ..Self::default() }
    }

    pub(crate) fn faults(&self) -> Faults {
        self.faults
    }

    /// Changes the faults from now on; what was withheld is told if nothing is to be withheld any more.
    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.feed_end = if faults.hold_back_feed { self.feed_end.or(Some(self.feed.len())) } else { None };
        self.faults = faults;
        if faults.withhold == 0 {
            for place in std::mem::take(&mut self.withheld).into_iter().rev() {
                self.tell_place(place);
            }
        }
    }

    /// Takes a delivery of notices: `None` to refuse it, otherwise whether its answer gets lost.
    pub(crate) fn takes_notices(&mut self) -> Option<bool> {
        if used(&mut self.faults.refuse_notices) { None } else { Some(used(&mut self.faults.lose_notice_answers)) }
    }

    /// Tells an event as the faults want it.
    pub(crate) fn tell(&mut self, mut event: FeedEvent) {
        let place = self.happened.len();
        if used(&mut self.faults.misname) {
            let (FeedEvent::Card(CardEvent { event_type, .. }) | FeedEvent::Batch(BatchEvent { event_type, .. })) = &mut event;
            "reviewed".clone_into(event_type);
        }
        self.happened.push(event);
        if used(&mut self.faults.withhold) {
            self.withheld.push(place);
        } else {
            self.tell_place(place);
        }
    }

    /// Events after a place in the feed.
    pub(crate) fn page(&self, start: usize, limit: usize) -> Option<EventPage> {
        let end = self.feed_end.unwrap_or(self.feed.len());
        // A cursor may lie beyond where the feed is held back: then there is nothing yet.
        let rest = if start > end && start <= self.feed.len() { &[] } else { self.feed.get(start..end)? };
        let page = &rest[..rest.len().min(limit)];
        let mut events: Vec<FeedEvent> = page.iter().filter_map(|place| self.happened.get(*place).cloned()).collect();
        if self.faults.reverse {
            events.reverse();
        }
        Some(EventPage { events, cursor: format!("e-{:016x}", start + page.len()), more: rest.len() > page.len() })
    }

    /// What is to be pushed next: the place in the push after it, and the events.
    pub(crate) fn to_push(&self, most: usize) -> (usize, Vec<CardEvent>) {
        let places: Vec<usize> = self.push.iter().skip(self.pushed).take(most).copied().collect();
        let mut events: Vec<CardEvent> = places.iter().filter_map(|place| self.happened.get(*place)?.card().cloned()).collect();
        if self.faults.reverse {
            events.reverse();
        }
        (self.pushed + places.len(), events)
    }

    fn tell_place(&mut self, place: usize) {
        let is_card = self.happened.get(place).is_some_and(|event| event.card().is_some());
        let both = used(&mut self.faults.drop_from_both);
        let times = if used(&mut self.faults.deliver_twice) { 2 } else { 1 };
        if !both && !used(&mut self.faults.drop_from_feed) {
            self.feed.extend(std::iter::repeat_n(place, times));
        }
        // A batch is told in the feed only, and does not use up a fault of the push.
        if !both && is_card && !used(&mut self.faults.drop_from_push) {
            self.push.extend(std::iter::repeat_n(place, times));
        }
    }
}

/// Counts down; whether there was something left.
fn used(left: &mut u32) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn event(name: &str) -> FeedEvent {
        FeedEvent::Card(CardEvent {
            event_id: name.to_owned(),
            issuer_key_id: "00".to_owned(),
            serial: "01".to_owned(),
            sequence: 1,
            event_type: "expired".to_owned(),
            reason: None,
            occurred_at: Utc::now(),
        })
    }

    fn feed(telling: &Telling) -> Vec<String> {
        let page = telling.page(0, 100).unwrap();
        page.events.iter().filter_map(|event| event.card().map(|event| event.event_id.clone())).collect()
    }

    fn pushed(telling: &Telling) -> Vec<String> {
        telling.to_push(100).1.into_iter().map(|event| event.event_id).collect()
    }

    #[test]
    fn dropped_events_are_missing_where_they_were_dropped() {
        let mut telling = Telling::default();
        telling.set_faults(Faults { drop_from_both: 1, ..Faults::default() });
        telling.tell(event("a"));
        telling.set_faults(Faults { drop_from_feed: 1, ..Faults::default() });
        telling.tell(event("b"));
        telling.set_faults(Faults { drop_from_push: 1, ..Faults::default() });
        telling.tell(event("c"));
        telling.tell(event("d"));
        assert_eq!(feed(&telling), ["c", "d"]);
        assert_eq!(pushed(&telling), ["b", "d"]);
        assert_eq!(telling.happened.len(), 4);
    }

    #[test]
    fn withheld_events_come_late_and_last_first() {
        let mut telling = Telling::default();
        telling.set_faults(Faults { withhold: 2, ..Faults::default() });
        for name in ["a", "b", "c"] {
            telling.tell(event(name));
        }
        assert_eq!(feed(&telling), ["c"]);
        telling.set_faults(Faults::default());
        assert_eq!(feed(&telling), ["c", "b", "a"]);
        assert_eq!(pushed(&telling), ["c", "b", "a"]);
    }

    #[test]
    fn events_can_come_twice_and_back_to_front() {
        let mut telling = Telling::default();
        telling.set_faults(Faults { deliver_twice: 1, reverse: true, ..Faults::default() });
        telling.tell(event("a"));
        telling.tell(event("b"));
        assert_eq!(feed(&telling), ["b", "a", "a"]);
        assert_eq!(pushed(&telling), ["b", "a", "a"]);
    }

    #[test]
    fn a_feed_that_is_held_back_goes_on_where_it_stood() {
        let mut telling = Telling::default();
        telling.tell(event("a"));
        telling.set_faults(Faults { hold_back_feed: true, ..Faults::default() });
        telling.tell(event("b"));
        let page = telling.page(0, 10).unwrap();
        assert_eq!((page.events.len(), page.more), (1, false));
        assert_eq!(pushed(&telling), ["a", "b"]);
        telling.set_faults(Faults::default());
        assert_eq!(telling.page(1, 10).unwrap().events.len(), 1);
        assert!(telling.page(3, 10).is_none());
    }
}
