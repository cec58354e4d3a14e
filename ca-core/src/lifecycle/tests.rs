//! Every state, every command, both policies.

use chrono::{DateTime, TimeDelta, Utc};
use policies::{LifecyclePolicy, RevocationReason as Reason};

use super::*;
use crate::kind::CertificateKind;
use crate::refusal::Refusal;
use crate::revocation::Revocation;

mod card;
mod rules;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    at("2026-06-15T12:00:00Z")
}

/// When all the holds here began.
fn held_since() -> DateTime<Utc> {
    at("2026-06-01T09:00:00Z")
}

fn policies() -> [LifecyclePolicy; 2] {
    [LifecyclePolicy::jpki().unwrap(), LifecyclePolicy::derived_piv().unwrap()]
}

fn held(causes: &[HoldCause]) -> State {
    State::Held(Holds::new(held_since(), causes.iter().copied().collect()).unwrap())
}

fn ended(reason: Reason) -> State {
    State::Ended(Revocation::new(at("2026-05-01T00:00:00Z"), reason))
}

/// Live, held for every set of causes, revoked for every reason, expired.
fn states() -> Vec<State> {
    let mut states = vec![State::Live, State::Expired];
    for set in 1..8_u8 {
        let causes = HoldCause::ALL.into_iter().filter(|cause| set & (1 << (cause.code() - 1)) != 0);
        states.push(held(&causes.collect::<Vec<_>>()));
    }
    states.extend(Reason::ALL.into_iter().filter(|reason| reason.is_permanent()).map(ended));
    states
}

/// Every change of a card certificate, with every reason.
fn card_changes() -> Vec<CardChange> {
    let at = now() - TimeDelta::hours(1);
    let revocations = Reason::ALL.into_iter().filter_map(|reason| CardChange::new(CardChangeKind::Revoked, Some(reason), at));
    revocations.chain(CardChangeKind::ALL.into_iter().filter_map(|kind| CardChange::new(kind, None, at))).collect()
}

/// Every command but [`Command::PutBack`], which keeps other rules, and has tests of its own.
fn commands() -> Vec<Command> {
    let mut commands = vec![Command::Deadline, Command::Expire];
    commands.extend(HoldCause::ALL.into_iter().flat_map(|cause| [Command::Hold { cause }, Command::Lift { cause }]));
    commands.extend(Reason::ALL.into_iter().flat_map(|reason| {
        let revoke = |invalid_since| Command::Revoke { reason, invalid_since };
        let (long_ago, to_come) = (held_since() - TimeDelta::days(1), now() + TimeDelta::seconds(1));
        [revoke(None), revoke(Some(long_ago)), revoke(Some(now())), revoke(Some(to_come)), Command::End { reason }]
    }));
    commands.extend(card_changes().into_iter().map(Command::Card));
    commands
}

/// One case of all.
struct Case {
    policy: LifecyclePolicy,
    certificate: Certificate,
    command: Command,
    decision: Result<Option<Change>, LifecycleRefusal>,
}

/// Every state × every command × both policies × both kinds × before the end and past it.
fn each(check: impl Fn(&Case)) {
    let mut cases = 0;
    for policy in policies() {
        for kind in CertificateKind::ALL {
            for not_after in [at("2030-01-01T00:00:00Z"), at("2026-06-15T11:59:59Z")] {
                for state in states() {
                    for command in commands() {
                        let certificate = Certificate { kind, not_after, state };
                        let decision = decide(&certificate, &command, &policy, now());
                        check(&Case { policy: policy.clone(), certificate, command, decision });
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 2 * 2 * 2 * (2 + 7 + 8) * (2 + 6 + 45 + 16));
}

impl Case {
    fn after(&self) -> State {
        let change = self.decision.ok().flatten();
        change.map_or(self.certificate.state, |change| apply(self.certificate.state, &change))
    }

    fn told(&self) -> String {
        format!("{} {:?} {:?}: {:?}", self.policy.name, self.certificate, self.command, self.decision)
    }
}

#[test]
fn what_has_ended_never_changes() {
    each(|case| {
        if case.certificate.state.is_final() {
            assert!(matches!(case.decision, Ok(None) | Err(_)), "{}", case.told());
        }
    });
    // Nor by a change that was decided on while it lived; but what has expired may learn that it was revoked before.
    each(|case| {
        for state in states().into_iter().filter(State::is_final) {
            match case.decision {
                Ok(Some(Change::Revoked(revocation))) if state == State::Expired => {
                    assert_eq!(apply(state, &Change::Revoked(revocation)), State::Ended(revocation));
                }
                Ok(Some(change)) => assert_eq!(apply(state, &change), state),
                Ok(None) | Err(_) => {}
            }
        }
    });
}

#[test]
fn a_change_that_was_decided_on_changes_the_state_and_says_what_it_did() {
    each(|case| {
        let Ok(Some(change)) = case.decision else { return };
        let (before, after) = (case.certificate.state, case.after());
        assert_ne!(before, after, "{}", case.told());
        let right = match change {
            Change::Held { cause, at } => before == State::Live && after == State::Held(Holds::first(at, cause)),
            Change::HoldAdded { .. } | Change::HoldLifted { .. } => matches!((before, after), (State::Held(_), State::Held(_))),
            Change::Released { .. } => matches!(before, State::Held(_)) && after == State::Live,
            Change::Revoked(revocation) => after == State::Ended(revocation) && revocation.reason.is_permanent(),
            Change::Expired => before == State::Live && after == State::Expired,
        };
        assert!(right, "{}", case.told());
    });
}

#[test]
fn once_more_changes_nothing_more() {
    each(|case| {
        let Ok(Some(_)) = case.decision else { return };
        let certificate = Certificate { state: case.after(), ..case.certificate };
        let again = decide(&certificate, &case.command, &case.policy, now());
        let by_a_person = matches!(case.command, Command::Lift { .. } | Command::Revoke { .. });
        assert!(if by_a_person { again.is_err() } else { again == Ok(None) }, "{}: {again:?}", case.told());
    });
}

#[test]
fn consequences_are_refused_for_a_reason_that_is_none_and_never_else() {
    each(|case| {
        let by_a_person = matches!(case.command, Command::Hold { .. } | Command::Lift { .. } | Command::Revoke { .. });
        let for_a_hold = matches!(case.command, Command::Revoke { reason, .. } | Command::End { reason } if !reason.is_permanent());
        match case.decision {
            Err(LifecycleRefusal::NotPermanent) => assert!(for_a_hold, "{}", case.told()),
            Err(_) => assert!(by_a_person && !for_a_hold, "{}", case.told()),
            Ok(_) => assert!(!for_a_hold, "{}", case.told()),
        }
    });
}

#[test]
fn people_are_told_that_it_has_ended() {
    each(|case| {
        let placed = matches!(case.command, Command::Hold { cause } | Command::Lift { cause } if cause != HoldCause::CardHeld);
        let revoked = matches!(case.command, Command::Revoke { reason, .. } if reason.is_permanent());
        if case.certificate.state.is_final() && (placed || revoked) {
            assert_eq!(case.decision, Err(LifecycleRefusal::CertificateEnded), "{}", case.told());
        }
    });
}

#[test]
fn since_when_it_was_invalid_is_told_if_somebody_says_so_and_it_was_not_on_hold_by_then() {
    each(|case| {
        let Command::Revoke { invalid_since, .. } = case.command else {
            let invalidity = case.after().revocation().and_then(|revocation| revocation.invalidity);
            return assert_eq!(invalidity, None, "{}", case.told());
        };
        if invalid_since.is_some_and(|since| since > now()) {
            assert!(case.decision.is_err(), "{}", case.told());
        } else if let Ok(Some(Change::Revoked(revocation))) = case.decision {
            let expected = match case.certificate.state {
                State::Held(_) => invalid_since.filter(|since| *since <= held_since()),
                _ => invalid_since,
            };
            assert_eq!(revocation.invalidity, expected, "{}", case.told());
        }
    });
}

#[test]
fn the_date_of_a_hold_stays_whatever_becomes_of_it() {
    each(|case| {
        let State::Held(before) = case.certificate.state else { return };
        match case.after() {
            State::Held(after) => assert_eq!(after.since(), before.since(), "{}", case.told()),
            State::Ended(revocation) => assert_eq!(revocation.at, before.since(), "{}", case.told()),
            State::Live | State::Expired => {}
        }
        if let State::Ended(revocation) = case.after() {
            assert_eq!(State::Ended(revocation).revocation(), Some(revocation));
        }
    });
}

#[test]
fn lifting_one_cause_leaves_the_others_and_the_last_one_frees() {
    each(|case| {
        let (State::Held(before), Ok(Some(Change::HoldLifted { cause } | Change::Released { cause }))) =
            (case.certificate.state, case.decision)
        else {
            return;
        };
        assert!(before.causes().contains(cause));
        let left: Vec<_> = before.causes().iter().filter(|stands| *stands != cause).collect();
        match case.after() {
            State::Held(after) => assert_eq!(after.causes().iter().collect::<Vec<_>>(), left, "{}", case.told()),
            after => assert!(after == State::Live && left.is_empty(), "{}", case.told()),
        }
        assert!(case.policy.holds.liftable, "{}", case.told());
        assert!(case.certificate.not_after >= now(), "{}", case.told());
    });
}

#[test]
fn past_its_end_only_a_hold_becomes_permanent_and_the_rest_expires() {
    each(|case| {
        if case.certificate.not_after >= now() {
            assert_ne!(case.decision, Ok(Some(Change::Expired)), "{}", case.told());
            return;
        }
        match (case.certificate.state, case.decision) {
            (State::Live, Ok(Some(change))) => assert_eq!((change, case.command), (Change::Expired, Command::Expire)),
            (State::Held(_), Ok(Some(change))) => assert!(matches!(change, Change::Revoked(_)), "{}", case.told()),
            (State::Held(_), Ok(None)) => assert_ne!(case.command, Command::Expire),
            _ => {}
        }
    });
}

#[test]
fn any_change_on_any_state_leads_to_a_state() {
    let at = held_since();
    let mut changes = vec![Change::Expired, Change::Revoked(Revocation::new(at, Reason::Unspecified))];
    for cause in HoldCause::ALL {
        changes.extend([Change::Held { cause, at }, Change::HoldAdded { cause }, Change::HoldLifted { cause }, Change::Released { cause }]);
    }
    for state in states() {
        for change in &changes {
            let once = apply(state, change);
            assert_eq!(apply(once, change), once, "{state:?} {change:?}");
            let ends = matches!(change, Change::Expired | Change::Revoked(_));
            assert_eq!(once.is_final(), state.is_final() || ends, "{state:?} {change:?}");
        }
    }
}

#[test]
fn words_and_numbers_lead_back() {
    for cause in HoldCause::ALL {
        assert_eq!(cause.as_str().parse(), Ok(cause));
        assert_eq!(HoldCause::from_code(cause.code()), Some(cause));
        assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
    }
    for kind in CardChangeKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
        assert_eq!(CardChangeKind::from_code(kind.code()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    assert_eq!((HoldCause::from_code(0), CardChangeKind::from_code(10)), (None, None));
    assert!("stolen".parse::<HoldCause>().is_err() && "stolen".parse::<CardChangeKind>().is_err());
    let refusals = [
        LifecycleRefusal::CertificateEnded,
        LifecycleRefusal::HoldNotLiftable,
        LifecycleRefusal::NotOnHold,
        LifecycleRefusal::HoldOfCard,
        LifecycleRefusal::NotPermanent,
    ];
    let codes: std::collections::BTreeSet<_> = refusals.iter().map(Refusal::code).collect();
    assert_eq!(codes.len(), refusals.len());
}
