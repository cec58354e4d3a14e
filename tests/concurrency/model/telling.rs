//! What happens to cards, and how the CA hears of it: by push, feed, card CRL and comparison; and batches.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use sandbox::back_office::{BatchOrder, CardEvent, CardEventType, CardOrder, OrderDetail, RevocationRequest};
use sandbox::kind::Kind;
use sandbox::reason::Reason;

use super::cards::{Batch, Happened, Standing, Way, What};
use super::world::World;
use crate::stage;

/// What the back office is told to do to a card.
#[derive(Debug, Clone)]
pub(crate) enum CardDeed {
    Revoke(Vec<Kind>, Reason),
    Order(CardOrder, Option<Vec<Kind>>),
}

impl World<'_, '_> {
    /// Something happens to a card; the CA has not been told yet.
    pub(crate) fn happen(&mut self, card: usize, deed: &CardDeed) {
        let card_id = self.cards[card].card.card_id.clone().unwrap();
        let (events, renewed) = match deed {
            CardDeed::Revoke(kinds, reason) => {
                let request = RevocationRequest { kinds: kinds.clone(), reason: *reason, at: None };
                (self.rooms.back_office.revoke(&card_id, &request).unwrap(), None)
            }
            CardDeed::Order(order, kinds) => {
                let detail = OrderDetail { kinds: kinds.clone(), pooled_keys: true, ..OrderDetail::default() };
                let changed = self.rooms.back_office.order(&card_id, *order, &detail).unwrap();
                (changed.events, changed.card.filter(|_| *order == CardOrder::Renew))
            }
        };
        for event in events {
            self.is_known_to_happen(event);
        }
        if let Some(file) = renewed {
            let of = &self.cards[card];
            let (renewed, holder) = (of.card.renewed(&file).unwrap(), of.holder);
            let halves = [self.add_half(holder, Kind::Signature, &renewed), self.add_half(holder, Kind::Authentication, &renewed)];
            self.cards[card].card = renewed;
            self.cards[card].halves = halves;
            self.cards[card].not_after = self.not_after_of_renewed(card);
        }
    }

    /// The earlier end of the two halves.
    fn not_after_of_renewed(&self, card: usize) -> chrono::DateTime<chrono::Utc> {
        let ends = self.cards[card].card.sides().map(|(_, side)| {
            let validity = *side.decoded().unwrap().tbs_certificate().validity();
            chrono::DateTime::from(std::time::UNIX_EPOCH + validity.not_after.to_unix_duration())
        });
        ends.min().unwrap()
    }

    fn is_known_to_happen(&mut self, event: CardEvent) {
        let serial = hex::decode(&event.serial).unwrap();
        let serial = ca_core::serial::SerialNumber::from_magnitude(&serial).unwrap();
        let half = self.halves.iter().position(|half| {
            let (issuer, own) = crate::events::identity(&half.side);
            own == serial && hex::encode(issuer.as_bytes()) == event.issuer_key_id
        });
        let (half, change) = (half.unwrap(), event.event_type.parse::<CardEventType>().unwrap());
        let (reason, sequence) = (event.reason, event.sequence);
        self.halves[half].happen(change, reason, sequence);
        self.happened.push(Happened { event_id: event.event_id, what: What::ToHalf { half, change, reason, sequence } });
    }

    /// Something happens to many cards at once.
    pub(crate) fn happen_to_many(&mut self, half: usize, whole: bool, reason: Option<Reason>) {
        let scope = self.model_scope(half, whole);
        let wire = self.scope_of(&self.halves[half], whole);
        let event_type = if reason.is_some() { CardEventType::Revoked } else { CardEventType::Held };
        let done = self.rooms.back_office.order_batch(&BatchOrder { scope: wire, event_type, reason, at: None }).unwrap();
        for half in self.halves.iter_mut().filter(|half| scope.covers(half)) {
            match (half.truth, reason) {
                (Standing::Good | Standing::Held, Some(reason)) => half.happen(CardEventType::Revoked, Some(reason), half.sequence + 1),
                (Standing::Good, None) => half.happen(CardEventType::Held, None, half.sequence + 1),
                _ => {}
            }
        }
        self.happened.push(Happened { event_id: done.event.event_id, what: What::ToMany { scope, reason } });
    }

    /// What happened comes into the feed: late, again, out of order.
    pub(crate) fn tell_feed(&mut self, which: usize) {
        if self.happened.is_empty() {
            return;
        }
        let which = which % self.happened.len();
        let Happened { event_id, what } = &self.happened[which];
        let item = match what {
            What::ToHalf { half, change, reason, sequence } => {
                stage::card_item(&self.halves[*half].side, event_id, (*change, *reason), *sequence)
            }
            What::ToMany { scope, reason } => {
                let half = self.halves.iter().find(|half| scope.covers(half)).unwrap();
                stage::batch_item(&self.scope_of(half, scope.holder.is_none()), event_id, *reason)
            }
        };
        self.office.tell(item);
        self.feed.push(which);
    }

    /// The CA reads the feed, to its end or for so many pages until the connection breaks.
    pub(crate) fn follow_feed(&mut self, pages: Option<usize>) {
        if let Some(pages) = pages {
            self.office.break_after(pages);
        }
        let left = self.feed.len() - self.read;
        let to_the_end = left.div_ceil(stage::FEED_PAGE).max(1);
        let breaks = pages.is_some_and(|pages| pages < to_the_end);
        assert_eq!(self.ca.role.follow_feed().is_err(), breaks);
        let count = if breaks { pages.unwrap_or_default() * stage::FEED_PAGE } else { left };
        if !breaks {
            self.office.break_after(usize::MAX);
        }
        for place in self.read..self.read + count {
            self.turn += 1;
            let Happened { event_id, what } = self.happened[self.feed[place]].clone();
            match what {
                What::ToHalf { half, change, reason, sequence } => self.hear(half, change, reason, sequence, Way::Feed),
                What::ToMany { scope, reason } if self.batches.iter().all(|batch| batch.event_id != event_id) => {
                    let (started_at, by_operator) = (self.turn, false);
                    self.batches.push(Batch { scope, reason, by_operator, started_at, cursor: 0, runs: true, event_id });
                }
                What::ToMany { .. } => {}
            }
        }
        self.read += count;
    }

    /// The RA puts what happened into the inbox, and the CA takes it from there.
    pub(crate) fn push(&mut self, which: usize) {
        if self.happened.is_empty() {
            return;
        }
        let Happened { event_id, what } = self.happened[which % self.happened.len()].clone();
        if let What::ToHalf { half, change, reason, sequence } = what {
            self.push_event(half, &event_id, change, reason, sequence);
        }
    }

    /// The RA makes something up.
    pub(crate) fn make_up(&mut self, half: usize, change: CardEventType, reason: Reason, sequence: i64) {
        let (event_id, half) = (format!("made-up-{}", self.turn), half % self.halves.len());
        self.push_event(half, &event_id, change, (change == CardEventType::Revoked).then_some(reason), sequence);
    }

    fn push_event(&mut self, half: usize, event_id: &str, change: CardEventType, reason: Option<Reason>, sequence: i64) {
        stage::push(self.rooms, &self.halves[half].side, event_id, (change, reason), sequence);
        let is_new = self.pushed.insert(event_id.to_owned());
        assert_eq!(self.ca.role.apply_inbox().unwrap(), usize::from(is_new));
        if is_new {
            self.hear(half, change, reason, sequence, Way::Push);
        }
    }

    pub(crate) fn read_card_crls(&mut self) {
        self.ca.role.read_card_crls().unwrap();
        let published: BTreeSet<_> = self.halves.iter().filter(|half| half.linked).map(|half| (half.holder, half.kind)).collect();
        self.hear_crls(&published);
    }

    fn hear_crls(&mut self, published: &BTreeSet<(usize, Kind)>) {
        for half in 0..self.halves.len() {
            let of = &self.halves[half];
            if of.heard_at.is_none() || !published.contains(&(of.holder, of.kind)) || matches!(of.known, Standing::Ended(_)) {
                continue;
            }
            match of.truth {
                Standing::Good => {}
                Standing::Held => self.hear(half, CardEventType::Held, None, 0, Way::Crl),
                Standing::Ended(reason) => self.hear(half, CardEventType::Revoked, Some(reason), 0, Way::Crl),
            }
        }
    }

    pub(crate) fn compare(&mut self) {
        self.ca.role.compare_cards().unwrap();
        let linked: BTreeSet<usize> = self.certificates.iter().filter(|certificate| certificate.stands()).map(|it| it.half).collect();
        self.hear_truth(linked);
    }

    /// Cards are looked at again, a week after issuance.
    pub(crate) fn look_again(&mut self) {
        self.ca.role.take_second_looks().unwrap();
        let now = self.now;
        let due = self.which(|certificate| certificate.second_look.is_some_and(|at| at <= now));
        let mut halves = BTreeSet::new();
        for certificate in due {
            self.certificates[certificate].second_look = None;
            if self.certificates[certificate].stands() {
                halves.insert(self.certificates[certificate].half);
            }
        }
        let published = halves.iter().map(|half| (self.halves[*half].holder, self.halves[*half].kind)).collect();
        self.hear_truth(halves);
        self.hear_crls(&published);
    }

    fn hear_truth(&mut self, halves: BTreeSet<usize>) {
        for half in halves {
            let of = &self.halves[half];
            let sequence = of.sequence;
            match (of.truth, of.known) {
                (_, Standing::Ended(_)) | (Standing::Good, Standing::Good) | (Standing::Held, Standing::Held) => {}
                (Standing::Good, Standing::Held) => self.hear(half, CardEventType::Released, None, sequence, Way::Comparison),
                (Standing::Held, Standing::Good) => self.hear(half, CardEventType::Held, None, sequence, Way::Comparison),
                (Standing::Ended(reason), _) => self.hear(half, CardEventType::Revoked, Some(reason), sequence, Way::Comparison),
            }
        }
    }

    /// Each running batch does its next page, which here is all there is, or finds that it is done.
    pub(crate) fn advance_batches(&mut self) {
        let running = self.batches.iter().filter(|batch| batch.runs).count();
        assert_eq!(self.ca.role.advance_batches().unwrap(), running);
        for place in 0..self.batches.len() {
            if self.batches[place].runs {
                self.turn += 1;
                self.do_page(place);
            }
        }
    }

    fn do_page(&mut self, place: usize) {
        let batch = &self.batches[place];
        let page = (0..self.halves.len()).filter(|half| {
            let half = &self.halves[*half];
            let is_there = half.linked || batch.scope.holder.is_none() && half.heard_at.is_some();
            batch.scope.covers(half) && is_there && half.heard_at.is_some_and(|at| at > batch.cursor)
        });
        let page: Vec<usize> = page.collect();
        let Some(last) = page.iter().filter_map(|half| self.halves[*half].heard_at).max() else {
            self.batches[place].runs = false;
            return;
        };
        self.batches[place].cursor = last;
        for half in page {
            let batch = &self.batches[place];
            let (change, reason, by_operator) = (batch.change(), batch.reason, batch.by_operator);
            if by_operator {
                let of_half = self.which(|certificate| certificate.half == half);
                for certificate in of_half {
                    self.change(certificate, |living| match reason {
                        Some(reason) => living.end(reason),
                        None => living.hold(super::rules::Cause::Operator),
                    });
                }
            } else if self.halves[half].be_in_batch(batch) {
                let effect = self.rules.effect(self.halves[half].kind, change, reason);
                self.reach(half, effect, true);
            }
        }
    }

    pub(crate) fn expire(&mut self) {
        self.ca.role.expire_certificates().unwrap();
        let rules = self.rules;
        for certificate in self.which(|_| true) {
            self.change(certificate, |living| living.expire(rules));
        }
    }

    pub(crate) fn enforce_deadlines(&mut self) {
        self.ca.role.enforce_hold_deadlines().unwrap();
        let rules = self.rules;
        for certificate in self.which(|_| true) {
            self.change(certificate, |living| living.deadline(rules));
        }
    }

    /// Nothing happens for a long time.
    pub(crate) fn jump(&mut self, by: TimeDelta) {
        self.go_on(by);
        self.hand_over();
        self.ocsp = super::checks::responder(&self.ca);
    }
}
