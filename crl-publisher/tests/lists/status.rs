//! The gate and the status service.

use std::sync::{Arc, Mutex};

use ca_core::issuer::CaKey;
use ca_core::ocsp::{StatusWitness, ToldStatus, WitnessFault};
use ca_core::revocation::{Revocation, RevocationReason as Reason};
use ca_core::serial::SerialNumber;
use crl_publisher::gate::{Asked, GateFault, GateReport, Standing};
use schema::crl::ListedRevocation;

use crate::house::{House, entry, heading, some};
use crate::support::{at, serial};

type Says = Box<dyn Fn(&SerialNumber, u32) -> Result<ToldStatus, WitnessFault> + Send + Sync>;

/// Says of each certificate what it is told to say, the first time and from then on.
struct Responder {
    says: Says,
    asked: Arc<Mutex<Vec<Vec<SerialNumber>>>>,
}

impl StatusWitness for Responder {
    fn told(&self, _: &CaKey, serials: &[SerialNumber]) -> Result<Vec<ToldStatus>, WitnessFault> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(serials.to_vec());
        serials.iter().map(|serial| (self.says)(serial, asked.len() as u32)).collect()
    }
}

fn listed(number: &SerialNumber) -> ToldStatus {
    some().iter().find(|entry| entry.serial == *number).map_or(ToldStatus::Good, |entry| ToldStatus::Revoked(entry.revocation))
}

/// What comes of asking about a new list against `some()`, and how often who was asked about.
fn ask(
    new: &[ListedRevocation],
    standing: Standing,
    says: impl Fn(&SerialNumber, u32) -> Result<ToldStatus, WitnessFault> + Send + Sync + 'static,
) -> (Result<GateReport, GateFault>, Vec<Vec<String>>) {
    let asked = Arc::default();
    let mut house = House::new();
    house.witness = Some(Box::new(Responder { says: Box::new(says), asked: Arc::clone(&asked) }));
    house.standing = Box::new(move |_| standing);
    let before = house.write(&heading(1), &some());
    let der = house.write(&heading(2), new);
    let result = house.check(&der, &heading(2), new.len(), Some((&before, 1)));
    let asked = asked.lock().unwrap().iter().map(|asked| asked.iter().map(ToString::to_string).collect()).collect();
    (result, asked)
}

#[test]
fn who_says_the_same_agrees_and_is_asked_once() {
    let (result, asked) = ask(&some(), Standing::Listed, |serial, _| Ok(listed(serial)));
    assert_eq!(result.unwrap().asked, Asked::Agreed(4));
    assert_eq!(asked.len(), 1);
    // A date of invalidity need not be told.
    let silent = |serial: &SerialNumber, _| match listed(serial) {
        ToldStatus::Revoked(revocation) => Ok(ToldStatus::Revoked(Revocation { invalidity: None, ..revocation })),
        other => Ok(other),
    };
    assert_eq!(ask(&some(), Standing::Listed, silent).0.unwrap().asked, Asked::Agreed(4));
}

#[test]
fn who_says_otherwise_is_asked_again_and_then_contradicts() {
    let other = |at: &str, reason| ToldStatus::Revoked(Revocation::new(self::at(at), reason));
    // Not even the store explains a permanent revocation away.
    for (told, standing, words) in [
        (ToldStatus::Good, Standing::Free, "the status service says not revoked"),
        (ToldStatus::Unknown, Standing::Listed, "the status service says unknown"),
        (ToldStatus::NeverIssued, Standing::LongExpired, "the status service says never issued"),
        (
            other("2026-02-01T00:00:01Z", Reason::Unspecified),
            Standing::Listed,
            "the status service says revoked at 2026-02-01T00:00:01+00:00 (unspecified)",
        ),
        (
            other("2026-02-01T00:00:00Z", Reason::Superseded),
            Standing::Listed,
            "the status service says revoked at 2026-02-01T00:00:00+00:00 (superseded)",
        ),
    ] {
        let (result, asked) = ask(&some(), standing, move |number, _| Ok(if *number == serial("01") { told } else { listed(number) }));
        let fault = result.unwrap_err();
        assert!(matches!(&fault, GateFault::Contradicted { serial: about, .. } if *about == serial("01")), "{fault}");
        let text = fault.to_string();
        assert!(text.starts_with("certificate 01 is revoked at 2026-02-01T00:00:00+00:00 (unspecified) on the new list"), "{text}");
        assert!(text.ends_with(words), "{text}");
        assert_eq!(asked[1], ["01"], "only about that one again");
    }
    let invalid_otherwise = |number: &SerialNumber, _| match listed(number) {
        ToldStatus::Revoked(revocation) if revocation.invalidity.is_some() => {
            Ok(ToldStatus::Revoked(Revocation { invalidity: Some(at("2026-01-30T00:00:00Z")), ..revocation }))
        }
        same => Ok(same),
    };
    let fault = ask(&some(), Standing::Listed, invalid_otherwise).0.unwrap_err();
    assert!(matches!(fault, GateFault::Contradicted { serial: about, .. } if about == serial("8002")));
}

#[test]
fn a_status_service_may_be_a_second_late() {
    let (result, asked) = ask(&some(), Standing::Listed, |serial, time| Ok(if time == 1 { ToldStatus::Good } else { listed(serial) }));
    assert_eq!(result.unwrap().asked, Asked::Agreed(4));
    assert_eq!(asked.len(), 2);
}

#[test]
fn where_there_is_no_answer_the_list_passes_unchecked() {
    for fault in [WitnessFault::Unreachable("refused".to_owned()), WitnessFault::Later, WitnessFault::Unbelievable("expired".to_owned())] {
        let wanted = Asked::Unchecked(fault.clone());
        let first = fault.clone();
        assert_eq!(ask(&some(), Standing::Listed, move |_, _| Err(first.clone())).0.unwrap().asked, wanted);
        let late = move |_: &SerialNumber, time| if time == 1 { Ok(ToldStatus::Good) } else { Err(fault.clone()) };
        assert_eq!(ask(&some(), Standing::Listed, late).0.unwrap().asked, wanted);
    }
    let mut house = House::new();
    let der = house.write(&heading(1), &some());
    assert_eq!(house.check(&der, &heading(1), 4, None).unwrap().asked, Asked::Nobody);
    struct Short;
    impl StatusWitness for Short {
        fn told(&self, _: &CaKey, _: &[SerialNumber]) -> Result<Vec<ToldStatus>, WitnessFault> {
            Ok(vec![ToldStatus::Good])
        }
    }
    house.witness = Some(Box::new(Short));
    let asked = house.check(&der, &heading(1), 4, None).unwrap().asked;
    assert!(matches!(asked, Asked::Unchecked(WitnessFault::Unbelievable(_))), "{asked:?}");
}

#[test]
fn holds_lifted_since_the_list_was_made_are_explained_by_the_store() {
    let held = serial("8001");
    let says = |told: ToldStatus| move |number: &SerialNumber, _| Ok(if *number == serial("8001") { told } else { listed(number) });
    let revoked = |at: &str| ToldStatus::Revoked(Revocation::new(self::at(at), Reason::KeyCompromise));
    for (told, standing, explained) in [
        (ToldStatus::Good, Standing::Free, true),
        (ToldStatus::Good, Standing::LongExpired, true),
        (ToldStatus::Good, Standing::Listed, false),
        (revoked("2026-02-03T00:00:00Z"), Standing::Listed, true),
        (revoked("2026-02-02T00:00:00Z"), Standing::Listed, false),
        (revoked("2026-02-03T00:00:00Z"), Standing::Free, false),
        (ToldStatus::NeverIssued, Standing::Free, false),
        (ToldStatus::Unknown, Standing::Listed, false),
    ] {
        match ask(&some(), standing, says(told)).0 {
            Ok(report) => assert!(explained && report.asked == Asked::Agreed(4), "{told:?} {standing:?}"),
            Err(GateFault::Contradicted { serial, .. }) => assert!(!explained && serial == held, "{told:?} {standing:?}"),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn those_that_left_because_a_hold_was_lifted_must_be_told_good() {
    let mut without = some();
    without.remove(2);
    let good = |number: &SerialNumber, _| Ok(if *number == serial("8001") { ToldStatus::Good } else { listed(number) });
    let (result, asked) = ask(&without, Standing::Free, good);
    assert_eq!(result.unwrap().asked, Asked::Agreed(4));
    assert!(asked[0].contains(&"8001".to_owned()));
    let fault = ask(&without, Standing::Free, |number, _| Ok(listed(number))).0.unwrap_err();
    assert!(matches!(&fault, GateFault::Contradicted { serial: about, listed: None, .. } if *about == serial("8001")), "{fault}");
    assert!(
        fault.to_string().starts_with("certificate 8001 is not revoked on the new list, and the status service says revoked"),
        "{fault}"
    );
}

#[test]
fn what_is_new_is_asked_about_whatever_chance_says() {
    let mut many: Vec<_> = (0..2_000).map(|number| entry(&format!("40{number:04X}"), "2026-02-01T00:00:00Z", Reason::Superseded)).collect();
    let asked = Arc::default();
    let mut house = House::new();
    house.witness = Some(Box::new(Responder { says: Box::new(|_, _| Err(WitnessFault::Later)), asked: Arc::clone(&asked) }));
    let before = house.write(&heading(1), &many);
    many.insert(1_000, entry("4003E700", "2026-02-28T00:00:00Z", Reason::KeyCompromise));
    let der = house.write(&heading(2), &many);
    let report = house.check(&der, &heading(2), many.len(), Some((&before, 1))).unwrap();
    assert_eq!(report.asked, Asked::Unchecked(WitnessFault::Later));
    let asked = asked.lock().unwrap();
    assert!((5..=8).contains(&asked[0].len()), "{asked:?}");
    for number in ["400000", "4003E700", "4007CF"] {
        assert!(asked[0].contains(&serial(number)), "{number}");
    }
}
