//! Applications, decided at once or later, and broken off on the way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ca_service::IssuanceStep;
use chrono::TimeDelta;
use sandbox::kind::Kind;
use sandbox::phone::Replaces;
use sandbox::reason::Reason;
use schema::certificate::CertificateSummary;

use super::cards::Standing;
use super::rules::{Life, Living};
use super::world::{Certificate, Phone, Waiting, World};
use crate::stage;

impl World<'_, '_> {
    pub(crate) fn apply(&mut self, card: usize, kinds: &[Kind], replaces: bool) {
        let of = &self.cards[card];
        let wish = if replaces { Replaces::Any } else { Replaces::None };
        let (application, keys) = stage::apply(self.rooms, &of.card, kinds, wish, self.now);
        let (halves, not_after, at) = (of.halves, of.not_after, self.now);
        self.waiting.push(Waiting { application, card, halves, not_after, kinds: kinds.to_vec(), replaces, at, keys });
    }

    /// The CA decides whatever waits.
    pub(crate) fn decide(&mut self) {
        self.ca.issue_all();
        for waiting in std::mem::take(&mut self.waiting) {
            self.is_decided(waiting);
        }
    }

    /// The process dies at a step of the next issuance, and another takes over.
    pub(crate) fn break_off(&mut self, step: IssuanceStep) {
        self.breaker.set(Some(step));
        let broken = catch_unwind(AssertUnwindSafe(|| self.ca.role.issue_batch())).is_err();
        assert_eq!(broken, !self.waiting.is_empty());
        if broken && step == IssuanceStep::Committed {
            let first = self.waiting.remove(0);
            self.is_decided(first);
        }
        self.hand_over();
    }

    fn is_decided(&mut self, waiting: Waiting) {
        self.turn += 1;
        let reasons = self.reasons_to_refuse(&waiting);
        if !reasons.is_empty() {
            assert!(!self.rooms.is_issued(waiting.application), "issued, and not refused with one of {reasons:?}");
            let code = self.rooms.refusal(waiting.application);
            assert!(reasons.contains(&code.as_str()), "refused with {code} and not with one of {reasons:?}");
            return;
        }
        assert!(self.rooms.is_issued(waiting.application), "{:?}", self.rooms.state(waiting.application));
        let holder = self.cards[waiting.card].holder;
        for earlier in self.which(|certificate| certificate.holder == holder && waiting.kinds.contains(&certificate.kind)) {
            let rules = self.rules;
            // What is past its end makes room by itself.
            let makes_room =
                |living: &mut Living<'_>| if living.is_past_its_end() { living.expire(rules) } else { living.end(Reason::Superseded) };
            self.change(earlier, makes_room);
        }
        let summaries = stage::issued(self.rooms, &self.cards[waiting.card].card, waiting.application);
        assert_eq!(summaries.len(), waiting.kinds.len());
        let signing = waiting.halves[0];
        self.halves[signing].heard_at.get_or_insert(self.turn);
        let first = &summaries[0];
        let device = self.rooms.reader.device_of_certificate(first.ca_key, &first.serial).unwrap().unwrap().public_id;
        let phone = self.phones.len();
        let certificates: Vec<usize> = summaries.iter().map(|summary| self.is_issued(summary, &waiting, phone)).collect();
        self.phones.push(Phone { keys: waiting.keys, certificates, device });
    }

    fn is_issued(&mut self, summary: &CertificateSummary, waiting: &Waiting, phone: usize) -> usize {
        let kind: Kind = summary.kind.as_str().parse().unwrap();
        let half = waiting.halves[usize::from(kind == Kind::Authentication)];
        self.halves[half].heard_at.get_or_insert(self.turn);
        self.halves[half].linked = true;
        assert!(summary.not_after <= waiting.not_after, "it outlives its card certificate");
        let der = self.rooms.reader.certificate_detail(Some(summary.kind), &summary.serial).unwrap().unwrap().der;
        let place = self.certificates.len();
        self.certificates.push(Certificate {
            id: summary.id,
            serial: summary.serial.clone(),
            der,
            kind,
            holder: self.cards[waiting.card].holder,
            half,
            phone,
            not_after: summary.not_after,
            second_look: Some(self.now + TimeDelta::days(7)),
            life: Life::Live,
            replayed: Life::Live,
            has_ended: false,
        });
        self.told.push((place, "certificate.issued", ""));
        place
    }

    /// Why nothing may be issued; nothing if it must be.
    fn reasons_to_refuse(&self, waiting: &Waiting) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if self.now - waiting.at > TimeDelta::minutes(5) {
            reasons.extend(["challenge_expired", "card_status_stale"]);
        }
        if self.now > waiting.not_after {
            reasons.push("card_expired");
        }
        let card = &self.cards[waiting.card];
        if waiting.kinds.contains(&Kind::Authentication) && card.halves[1] != waiting.halves[1] {
            reasons.push("card_without_authentication");
        }
        // What signs must stand, and what is to be linked.
        let mut involved = vec![waiting.halves[0]];
        involved.extend(waiting.kinds.contains(&Kind::Authentication).then_some(waiting.halves[1]));
        for half in involved.into_iter().map(|half| &self.halves[half]) {
            match half.known {
                Standing::Good => {}
                Standing::Held => reasons.push("card_held"),
                Standing::Ended(_) => reasons.push("card_revoked"),
            }
            for batch in self.batches.iter().filter(|batch| batch.forbids(half)) {
                reasons.push(if batch.reason.is_some() { "card_revoked" } else { "card_held" });
            }
        }
        let stands = |certificate: &Certificate| {
            certificate.holder == card.holder
                && waiting.kinds.contains(&certificate.kind)
                && certificate.stands()
                && certificate.not_after >= self.now
        };
        if !waiting.replaces && self.certificates.iter().any(stands) {
            reasons.push("holder_has_live_certificate");
        }
        reasons
    }
}
