//! The rules of JPKI and of SP 800-157r1, one by one.

use super::*;

const LOST: HoldCause = HoldCause::PhoneLost;
const CARD: HoldCause = HoldCause::CardHeld;
const OPERATOR: HoldCause = HoldCause::Operator;

/// What comes of a command to a certificate that ends in 2030.
fn outcome(policy: &LifecyclePolicy, kind: CertificateKind, state: State, command: Command) -> Result<State, LifecycleRefusal> {
    let certificate = Certificate { kind, not_after: at("2030-01-01T00:00:00Z"), state };
    let change = decide(&certificate, &command, policy, now())?;
    Ok(change.map_or(state, |change| apply(state, &change)))
}

fn revoked(reason: Reason) -> State {
    State::Ended(Revocation::new(now(), reason))
}

fn revoked_from_hold(reason: Reason) -> State {
    State::Ended(Revocation::new(held_since(), reason))
}

fn on_hold(cause: HoldCause) -> State {
    State::Held(Holds::first(now(), cause))
}

/// What a change of the card certificate makes of a live certificate for signature, and of one for authentication.
fn by_card(policy: &LifecyclePolicy, kind: CardChangeKind, reason: Option<Reason>) -> [State; 2] {
    let change = CardChange::new(kind, reason, now() - TimeDelta::hours(2)).unwrap();
    CertificateKind::ALL.map(|kind| outcome(policy, kind, State::Live, Command::Card(change)).unwrap())
}

#[test]
fn what_a_card_certificate_s_changes_do_under_jpki() {
    let [jpki, _] = policies();
    let both = |state| [state, state];
    let cessation = revoked(Reason::CessationOfOperation);
    // Rule of life 4 and its cascade: what revokes the card's revokes the phone's, for the same reason.
    for reason in Reason::ALL.into_iter().filter(|reason| reason.is_permanent()) {
        assert_eq!(by_card(&jpki, CardChangeKind::Revoked, Some(reason)), both(revoked(reason)));
    }
    let cases = [
        // Rule 6: a card's hold is the phone's, and in JPKI never released.
        (CardChangeKind::Held, both(on_hold(CARD))),
        (CardChangeKind::Released, both(State::Live)),
        // Rule 5: renewal ends both links.
        (CardChangeKind::Renewed, both(revoked(Reason::Superseded))),
        // Both end at the same second anyway (practice statement 3.4).
        (CardChangeKind::Expired, both(State::Live)),
        // Rule 5: ends signature, leaves authentication.
        (CardChangeKind::RecordChanged, [revoked(Reason::AffiliationChanged), State::Live]),
        // Rule 4: death, emigration, error in the record.
        (CardChangeKind::Died, both(cessation)),
        (CardChangeKind::Emigrated, both(cessation)),
        (CardChangeKind::RecordError, both(revoked(Reason::Unspecified))),
    ];
    for (kind, expected) in cases {
        assert_eq!(by_card(&jpki, kind, None), expected, "{kind}");
    }
    let released = Command::Card(CardChange::Released { at: now() });
    assert_eq!(outcome(&jpki, CertificateKind::Signature, held(&[CARD]), released), Ok(held(&[CARD])));
}

#[test]
fn what_a_card_certificate_s_changes_do_under_sp_800_157r1() {
    let [_, piv] = policies();
    let both = |state| [state, state];
    let cessation = revoked(Reason::CessationOfOperation);
    let cases = [
        // Section 2.3: unaffected when the card is lost, stolen or damaged, or replaced by a new one. Section 2.4: termination of the
        // card does not usually require it.
        (CardChangeKind::Revoked, Some(Reason::KeyCompromise), both(State::Live)),
        (CardChangeKind::Revoked, Some(Reason::Superseded), both(State::Live)),
        (CardChangeKind::Renewed, None, both(State::Live)),
        (CardChangeKind::Held, None, both(State::Live)),
        (CardChangeKind::Released, None, both(State::Live)),
        (CardChangeKind::Expired, None, both(State::Live)),
        // Section 2.4: all are invalidated when the account is terminated; section 2.1: when the subscriber becomes ineligible.
        (CardChangeKind::Revoked, Some(Reason::CessationOfOperation), both(cessation)),
        (CardChangeKind::Revoked, Some(Reason::PrivilegeWithdrawn), both(revoked(Reason::PrivilegeWithdrawn))),
        (CardChangeKind::Revoked, Some(Reason::CaCompromise), both(revoked(Reason::CaCompromise))),
        (CardChangeKind::Died, None, both(cessation)),
        (CardChangeKind::Emigrated, None, both(cessation)),
        (CardChangeKind::RecordError, None, both(revoked(Reason::Unspecified))),
        // Section 2.3.1: reissued if what appears in the credential changes, and the one before invalidated.
        (CardChangeKind::RecordChanged, None, [revoked(Reason::AffiliationChanged), State::Live]),
    ];
    for (kind, reason, expected) in cases {
        assert_eq!(by_card(&piv, kind, reason), expected, "{kind} {reason:?}");
    }
}

#[test]
fn a_hold_for_the_card_s_sake_goes_with_the_card_where_holds_are_lifted() {
    let mut piv = LifecyclePolicy::derived_piv().unwrap();
    piv.signature.held = policies::Effect::Hold;
    let card = |state, change| outcome(&piv, CertificateKind::Signature, state, Command::Card(change)).unwrap();
    let at = now();
    let on_hold = card(State::Live, CardChange::Held { at });
    assert_eq!(on_hold, super::rules::on_hold(CARD));
    assert_eq!(card(on_hold, CardChange::Released { at }), State::Live);
    // The card is lost for good, which the certificate outlives: nothing holds it any more.
    assert_eq!(card(on_hold, CardChange::Revoked { reason: Reason::KeyCompromise, at }), State::Live);
    assert_eq!(card(held(&[CARD, LOST]), CardChange::Released { at }), held(&[LOST]));
    assert_eq!(card(held(&[LOST]), CardChange::Released { at }), held(&[LOST]));
}

#[test]
fn what_people_may_do_with_holds() {
    let [jpki, piv] = policies();
    let ended = super::ended(Reason::Superseded);
    let (hold, lift) = (|cause| Command::Hold { cause }, |cause| Command::Lift { cause });
    let same = |outcome: Result<State, LifecycleRefusal>| [outcome, outcome];
    // State, command, and what comes of it under JPKI and under SP 800-157r1.
    let cases = [
        (State::Live, hold(LOST), same(Ok(on_hold(LOST)))),
        (State::Live, hold(OPERATOR), same(Ok(on_hold(OPERATOR)))),
        (held(&[LOST]), hold(LOST), same(Ok(held(&[LOST])))),
        (held(&[CARD]), hold(LOST), same(Ok(held(&[CARD, LOST])))),
        (ended, hold(LOST), same(Err(LifecycleRefusal::CertificateEnded))),
        (State::Expired, hold(LOST), same(Err(LifecycleRefusal::CertificateEnded))),
        (State::Live, hold(CARD), same(Err(LifecycleRefusal::HoldOfCard))),
        (held(&[CARD]), lift(CARD), same(Err(LifecycleRefusal::HoldOfCard))),
        // Rule 6: in JPKI a hold is never released; elsewhere it may be.
        (held(&[LOST]), lift(LOST), [Err(LifecycleRefusal::HoldNotLiftable), Ok(State::Live)]),
        (held(&[LOST, OPERATOR]), lift(LOST), [Err(LifecycleRefusal::HoldNotLiftable), Ok(held(&[OPERATOR]))]),
        (held(&[CARD, LOST]), lift(LOST), [Err(LifecycleRefusal::HoldNotLiftable), Ok(held(&[CARD]))]),
        (held(&[CARD]), lift(LOST), [Err(LifecycleRefusal::HoldNotLiftable), Err(LifecycleRefusal::NotOnHold)]),
        (State::Live, lift(LOST), [Err(LifecycleRefusal::HoldNotLiftable), Err(LifecycleRefusal::NotOnHold)]),
        (ended, lift(LOST), same(Err(LifecycleRefusal::CertificateEnded))),
    ];
    for kind in CertificateKind::ALL {
        for (state, command, expected) in cases {
            let found = [&jpki, &piv].map(|policy| outcome(policy, kind, state, command));
            assert_eq!(found, expected, "{state:?} {command:?}");
        }
    }
}

#[test]
fn a_revocation_wins_over_every_hold_and_keeps_its_date() {
    for policy in policies() {
        for kind in CertificateKind::ALL {
            let reason = Reason::KeyCompromise;
            let found = |state, command| outcome(&policy, kind, state, command);
            // Rule 7, and rule 6: a permanent revocation wins over all causes.
            assert_eq!(found(State::Live, Command::Revoke { reason, invalid_since: None }), Ok(revoked(reason)));
            assert_eq!(
                found(held(&[CARD, LOST, OPERATOR]), Command::Revoke { reason, invalid_since: None }),
                Ok(revoked_from_hold(reason))
            );
            // Rule 1: a new phone's certificate ends the old phone's, held or not.
            let superseded = Command::End { reason: Reason::Superseded };
            assert_eq!(found(held(&[LOST]), superseded), Ok(revoked_from_hold(Reason::Superseded)));
            // What has ended keeps its first reason.
            assert_eq!(found(ended(Reason::CessationOfOperation), superseded), Ok(ended(Reason::CessationOfOperation)));
        }
    }
}

#[test]
fn a_hold_becomes_a_revocation_after_the_time_that_policy_gives() {
    let [jpki, piv] = policies();
    let certificate = Certificate { kind: CertificateKind::Signature, not_after: at("2030-01-01T00:00:00Z"), state: held(&[LOST]) };
    let permanent = Ok(Some(Change::Revoked(Revocation::new(held_since(), Reason::CessationOfOperation))));
    let due = held_since() + TimeDelta::days(30);
    let look = |policy, when| decide(&certificate, &Command::Deadline, policy, when);
    assert_eq!(look(&piv, due - TimeDelta::milliseconds(1)), Ok(None));
    assert_eq!(look(&piv, due), permanent);
    assert_eq!(look(&jpki, due + TimeDelta::days(1000)), Ok(None));
    // At the certificate's end at the latest, under any policy.
    for policy in [&jpki, &piv] {
        let expire = |when| decide(&certificate, &Command::Expire, policy, at(when));
        assert_eq!(expire("2030-01-01T00:00:00.999Z"), Ok(None));
        assert_eq!(expire("2030-01-01T00:00:01Z"), permanent);
    }
}

#[test]
fn times_that_relying_parties_see_are_whole_seconds() {
    let [jpki, _] = policies();
    let certificate = Certificate { kind: CertificateKind::Signature, not_after: at("2030-01-01T00:00:00Z"), state: State::Live };
    let moment = at("2026-06-15T12:00:00.987Z");
    assert_eq!(decide(&certificate, &Command::Hold { cause: LOST }, &jpki, moment), Ok(Some(Change::Held { cause: LOST, at: now() })));
    let reason = Reason::CessationOfOperation;
    let expected = Change::Revoked(Revocation::new(now(), reason));
    assert_eq!(decide(&certificate, &Command::Revoke { reason, invalid_since: None }, &jpki, moment), Ok(Some(expected)));
}

#[test]
fn what_was_published_comes_back_as_it_was_told_and_changes_nothing_that_was_revoked() {
    let told = at("2025-03-01T10:00:00Z");
    for policy in policies() {
        // The second has ended meanwhile, the third with the second of its revocation, the fourth before.
        for not_after in [at("2030-01-01T00:00:00Z"), at("2026-06-15T11:59:59Z"), told, told - TimeDelta::seconds(1)] {
            for state in states() {
                for reason in Reason::ALL {
                    let certificate = Certificate { kind: CertificateKind::Signature, not_after, state };
                    let revocation = Revocation { invalidity: Some(told - TimeDelta::days(1)), ..Revocation::new(told, reason) };
                    let change = decide(&certificate, &Command::PutBack { revocation }, &policy, now()).unwrap();
                    let expected = match (state, reason.is_permanent()) {
                        (State::Ended(_), _) | (State::Held(_) | State::Expired, false) => None,
                        (State::Expired, true) if not_after < told => None,
                        (State::Expired, true) => Some(Change::Revoked(revocation)),
                        (State::Live | State::Held(_), true) => Some(Change::Revoked(revocation)),
                        (State::Live, false) => Some(Change::Held { cause: OPERATOR, at: told }),
                    };
                    assert_eq!(change, expected, "{state:?} {reason}");
                    let after = change.map_or(state, |change| apply(state, &change));
                    let certificate = Certificate { state: after, ..certificate };
                    assert_eq!(decide(&certificate, &Command::PutBack { revocation }, &policy, now()), Ok(None), "once more");
                }
            }
        }
    }
}
