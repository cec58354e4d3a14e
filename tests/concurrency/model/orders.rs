//! What people ask for: operators, holders with phone or card, and whoever has found a key.

use ca_core::digest::Sha256Digest;
use sandbox::back_office::EventScope;
use sandbox::operator::{HoldCause, MassChange, OperatorAction, Target};
use sandbox::phone::{Pkcs10, pkcs10};
use sandbox::reason::Reason;
use schema::instruction::{InstructionForm, InstructionState};

use super::cards::{Batch, Scope};
use super::rules::{Cause, Living, Told};
use super::world::World;
use crate::rooms::desk::end;

/// Which certificates are meant, going by one of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meant {
    Itself,
    Phone,
    Holder,
}

/// What becomes of an order to one certificate.
type Answer = Result<Told, &'static str>;

impl World<'_, '_> {
    pub(crate) fn hold(&mut self, certificate: usize, meant: Meant, cause: HoldCause) {
        let targets = self.meant(certificate, meant);
        let action = OperatorAction::Hold { target: self.target(certificate, meant), cause, ticket: "lost".to_owned() };
        let digest = self.rooms.instruct(&self.administrator, &action);
        let expected = self.order(&targets, |living| if living.is_over() { Err("certificate_ended") } else { Ok(living.hold(of(cause))) });
        self.is_answered(digest, expected);
    }

    pub(crate) fn lift(&mut self, certificate: usize, meant: Meant, cause: HoldCause) {
        let targets = self.meant(certificate, meant);
        let action = OperatorAction::Lift { target: self.target(certificate, meant), cause, ticket: "found".to_owned() };
        let digest = self.rooms.instruct(&self.administrator, &action);
        let liftable = self.rules.liftable;
        let expected = self.order(&targets, |living| match living.is_over() {
            true => Err("certificate_ended"),
            false if !liftable => Err("hold_not_liftable"),
            false => living.lift(of(cause)).map(Some).ok_or("not_on_hold"),
        });
        self.is_answered(digest, expected);
    }

    pub(crate) fn revoke(&mut self, certificate: usize, meant: Meant, reason: Reason) {
        let targets = self.meant(certificate, meant);
        let action =
            OperatorAction::Revoke { target: self.target(certificate, meant), reason, invalid_since: None, ticket: "wrong".to_owned() };
        let digest = self.rooms.instruct(&self.administrator, &action);
        let expected = self.order(&targets, |living| ended(living, reason));
        self.is_answered(digest, expected);
    }

    /// With either key of a phone, both its certificates end; if the one that signs has not ended before.
    pub(crate) fn end_by_phone(&mut self, certificate: usize, reason: Reason) {
        let of = &self.certificates[certificate];
        let (kind, now) = (of.kind, self.now);
        let key = &self.phones[of.phone].keys.iter().find(|(known, _)| *known == kind).unwrap().1;
        let signer = sandbox::instruction::Signer { certificate: &of.der, key };
        let digest = self.rooms.holder_instructs(signer, &end("this-phone", reason.as_str()));
        let expected = if of.not_after < now {
            Err(vec!["signer_expired"])
        } else if !of.stands() {
            Err(vec!["certificate_ended"])
        } else {
            let targets = self.meant(certificate, Meant::Phone);
            self.order(&targets, |living| ended(living, reason))
        };
        self.is_answered(digest, expected);
    }

    /// With the card, whatever the holder has ends.
    pub(crate) fn end_by_card(&mut self, card: usize, reason: Reason) {
        let of = &self.cards[card];
        let digest = self.rooms.holder_instructs((&of.card.signature).into(), &end("all", reason.as_str()));
        let (holder, has_expired) = (of.holder, of.not_after < self.now);
        let targets = self.which(|certificate| certificate.holder == holder && certificate.stands());
        let expected = if has_expired { Err(vec!["card_expired"]) } else { self.order(&targets, |living| ended(living, reason)) };
        self.is_answered(digest, expected);
    }

    pub(crate) fn report_key(&mut self, certificate: usize) {
        let of = &self.certificates[certificate];
        let key = &self.phones[of.phone].keys.iter().find(|(known, _)| *known == of.kind).unwrap().1;
        let report = pkcs10(&Pkcs10::key_compromise(key)).unwrap();
        let stands = of.stands();
        let digest = self.rooms.store_instruction(InstructionForm::KeyCompromise, report);
        let expected =
            if stands { self.order(&[certificate], |living| ended(living, Reason::KeyCompromise)) } else { Err(vec!["key_unknown"]) };
        self.is_answered(digest, expected);
    }

    /// A mass command, with the count that the dry run shows or another.
    pub(crate) fn mass(&mut self, half: usize, whole: bool, reason: Option<Reason>, is_counted_right: bool) {
        let scope = self.model_scope(half, whole);
        let count = self.which(|certificate| scope.covers(&self.halves[certificate.half]) && certificate.stands()).len() as u64;
        let wire: EventScope = self.scope_of(&self.halves[half], whole);
        let change = if reason.is_some() { MassChange::Revoke } else { MassChange::Hold };
        let expected = if is_counted_right { count } else { count + 1 };
        let action = OperatorAction::Mass { change, reason, scope: wire, expected, ticket: "many".to_owned() };
        let digest = self.rooms.instruct(&self.administrator, &action);
        self.turn += 1;
        if is_counted_right {
            self.batches.push(Batch {
                scope,
                reason,
                by_operator: true,
                started_at: self.turn,
                cursor: 0,
                runs: true,
                event_id: String::new(),
            });
        }
        self.is_answered(digest, if is_counted_right { Ok(()) } else { Err(vec!["count_changed"]) });
    }

    pub(crate) fn model_scope(&self, half: usize, whole: bool) -> Scope {
        Scope { kind: self.halves[half].kind, holder: (!whole).then_some(self.halves[half].holder) }
    }

    /// Does something to several certificates; refused if it is to each.
    fn order(&mut self, targets: &[usize], mut act: impl FnMut(&mut Living<'_>) -> Answer) -> Result<(), Vec<&'static str>> {
        let mut refusals = Vec::new();
        for certificate in targets {
            self.change(*certificate, |living| match act(living) {
                Ok(told) => told,
                Err(code) => {
                    refusals.push(code);
                    None
                }
            });
        }
        match (targets.is_empty(), refusals.len() == targets.len()) {
            (true, _) => Err(vec!["target_unknown"]),
            (false, true) => Err(refusals),
            (false, false) => Ok(()),
        }
    }

    fn meant(&self, certificate: usize, meant: Meant) -> Vec<usize> {
        let of = &self.certificates[certificate];
        let (phone, holder) = (of.phone, of.holder);
        match meant {
            Meant::Itself => vec![certificate],
            Meant::Phone => {
                let in_phone = &self.phones[phone].certificates;
                in_phone.iter().copied().filter(|place| self.certificates[*place].stands()).collect()
            }
            Meant::Holder => self.which(|certificate| certificate.holder == holder && certificate.stands()),
        }
    }

    fn target(&self, certificate: usize, meant: Meant) -> Target {
        let of = &self.certificates[certificate];
        match meant {
            Meant::Itself => Target::certificate(&of.serial.to_string(), of.kind),
            Meant::Phone => Target::device(&self.phones[of.phone].device),
            Meant::Holder => Target::holder(self.cards[2 * of.holder].card.holder_id.as_ref().unwrap()),
        }
    }

    /// The CA carries the instruction out, or refuses it, as the model does.
    fn is_answered(&self, digest: Sha256Digest, expected: Result<(), Vec<&'static str>>) {
        assert_eq!(self.ca.role.take_instructions().unwrap(), 1);
        match (self.rooms.instruction(&digest), expected) {
            (InstructionState::Done { .. }, Ok(())) => {}
            (InstructionState::Refused { code, .. }, Err(codes)) if codes.contains(&code.as_str()) => {}
            (state, expected) => panic!("{state:?} and not {expected:?}"),
        }
    }
}

fn ended(living: &mut Living<'_>, reason: Reason) -> Answer {
    living.end(reason).map(Some).ok_or("certificate_ended")
}

fn of(cause: HoldCause) -> Cause {
    match cause {
        HoldCause::PhoneLost => Cause::PhoneLost,
        HoldCause::Operator => Cause::Operator,
        HoldCause::CardHeld => Cause::CardHeld,
    }
}
