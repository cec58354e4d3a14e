//! The gate against the list before, and against the number of entries in the store.

use ca_core::revocation::RevocationReason as Reason;
use ca_core::signer::KeyType;
use crl_publisher::gate::{Compared, GateFault, GateReport, Standing};
use crl_publisher::list::Heading;
use schema::crl::ListedRevocation;

use crate::house::{House, SERIAL, entry, heading, some};
use crate::oracle;
use crate::support::{at, serial};

/// `some()` was the list before; the new one has these.
fn against(house: &House, new: &[ListedRevocation]) -> Result<GateReport, GateFault> {
    let before = house.write(&heading(1), &some());
    let der = house.write(&heading(2), new);
    house.check(&der, &heading(2), new.len(), Some((&before, 1)))
}

fn without(place: usize) -> Vec<ListedRevocation> {
    let mut entries = some();
    entries.remove(place);
    entries
}

fn missing(result: Result<GateReport, GateFault>) -> Vec<String> {
    match result {
        Err(GateFault::Missing(missing)) => missing.first().iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_did_not_change_and_what_is_new_passes_and_is_counted() {
    let house = House::new();
    assert_eq!(against(&house, &some()).unwrap().compared, Some(Compared { unchanged: 4, ..Compared::default() }));
    let mut more = some();
    more.insert(0, entry("00", "2026-02-01T00:00:00Z", Reason::Superseded));
    more.push(entry("FF", "2026-02-01T00:00:00Z", Reason::CertificateHold));
    assert_eq!(against(&house, &more).unwrap().compared, Some(Compared { unchanged: 4, new: 2, ..Compared::default() }));
    let der = house.write(&heading(1), &[]);
    assert_eq!(house.check(&der, &heading(1), 0, None).unwrap().compared, None);
}

#[test]
fn the_entry_of_a_revocation_leaves_only_when_its_certificate_expired_long_enough_ago() {
    let mut house = House::new();
    assert_eq!(missing(against(&house, &without(1))), [SERIAL]);
    assert_eq!(missing(against(&house, &without(0))), ["01"]);
    assert_eq!(missing(against(&house, &without(3))), ["8002"]);
    assert_eq!(missing(against(&house, &[])), ["01", SERIAL, "8001", "8002"]);
    // What was revoked for good stays, even if the store says that the certificate lives again.
    house.standing = Box::new(|_| Standing::Free);
    assert_eq!(missing(against(&house, &without(1))), [SERIAL]);
    assert_eq!(missing(against(&house, &[])), ["01", SERIAL, "8002"]);
    house.standing = Box::new(|left| if *left == serial(SERIAL) { Standing::LongExpired } else { Standing::Listed });
    house.asked.borrow_mut().clear();
    assert_eq!(against(&house, &without(1)).unwrap().compared, Some(Compared { unchanged: 3, expired: 1, ..Compared::default() }));
    assert_eq!(*house.asked.borrow(), [serial(SERIAL)], "the store is asked for what left only");
}

#[test]
fn a_hold_leaves_when_it_was_lifted_or_becomes_permanent_from_its_own_date() {
    let mut house = House::new();
    assert_eq!(missing(against(&house, &without(2))), ["8001"]);
    for (time, reason) in [
        ("2026-02-03T00:00:00Z", Reason::KeyCompromise),
        // Lifted, and later revoked, or held again.
        ("2026-02-04T00:00:00Z", Reason::KeyCompromise),
        ("2026-02-04T00:00:00Z", Reason::CertificateHold),
    ] {
        let mut entries = some();
        entries[2] = entry("8001", time, reason);
        let compared = against(&house, &entries).unwrap().compared;
        assert_eq!(compared, Some(Compared { unchanged: 3, holds_changed: 1, ..Compared::default() }));
    }
    house.standing = Box::new(|_| Standing::Free);
    assert_eq!(against(&house, &without(2)).unwrap().compared, Some(Compared { unchanged: 3, lifted: 1, ..Compared::default() }));
    house.standing = Box::new(|_| Standing::LongExpired);
    assert_eq!(against(&house, &without(2)).unwrap().compared, Some(Compared { unchanged: 3, expired: 1, ..Compared::default() }));
}

#[test]
fn many_that_left_are_explained_or_named_up_to_ten() {
    let mut house = House::new();
    let all: Vec<_> = (0..1_000).map(|number| entry(&format!("40{number:04X}"), "2026-02-01T00:00:00Z", Reason::Superseded)).collect();
    let before = house.write(&heading(1), &all);
    let rest: Vec<_> = all.iter().skip(1).step_by(4).cloned().collect();
    let der = house.write(&heading(2), &rest);
    house.standing = Box::new(|_| Standing::LongExpired);
    let compared = house.check(&der, &heading(2), rest.len(), Some((&before, 1))).unwrap().compared;
    assert_eq!(compared, Some(Compared { unchanged: 250, expired: 750, ..Compared::default() }));
    assert_eq!(house.asked.borrow().len(), 750);
    house.standing = Box::new(|left| if left.as_bytes()[2] % 8 == 0 { Standing::Listed } else { Standing::LongExpired });
    let fault = house.check(&der, &heading(2), rest.len(), Some((&before, 1))).unwrap_err();
    assert!(fault.to_string().starts_with("125 certificates (400000, 400008, 400010, "), "{fault}");
    assert!(matches!(&fault, GateFault::Missing(missing) if missing.count() == 125 && missing.first().len() == 10));
}

#[test]
fn the_list_before_must_be_the_one_that_was_published() {
    let house = House::new();
    let before = house.write(&heading(4), &some());
    let der = house.write(&heading(5), &some());
    let check = |before: &[u8], number| house.check(&der, &heading(5), 4, Some((before, number)));
    check(&before, 4).unwrap();
    assert!(matches!(check(&before, 3), Err(GateFault::NotTheListBefore("cRLNumber"))));
    assert!(matches!(check(&before, 5), Err(GateFault::Field("cRLNumber"))), "a number that does not rise");
    let stranger = House::new().write(&heading(4), &some());
    assert!(matches!(check(&stranger, 4), Err(GateFault::NotTheListBefore("signature"))));
    let mut shorter = oracle::decode(&before);
    shorter.tbs_cert_list.revoked_certificates.as_mut().unwrap().remove(0);
    let shorter = der::Encode::to_der(&shorter).unwrap();
    assert!(matches!(check(&shorter, 4), Err(GateFault::NotTheListBefore("signature"))));
    assert!(matches!(check(&before[..before.len() - 1], 4), Err(GateFault::PreviousUnreadable(_))));
    let mut other_shard = House::of(KeyType::EcdsaP256, 9);
    other_shard.issuer = house.issuer.clone();
    let other = other_shard.write(&heading(4), &some());
    assert!(matches!(check(&other, 4), Err(GateFault::NotTheListBefore("issuingDistributionPoint"))));
    let disorder = oracle::changed(&house.issuer, &before, |list| list.revoked_certificates.as_mut().unwrap().swap(1, 2));
    assert!(matches!(check(&disorder, 4), Err(GateFault::NotTheListBefore("order"))));
}

#[test]
fn a_clock_set_back_makes_no_older_list() {
    let house = House::new();
    let before = house.write(&heading(1), &some());
    let back = Heading { this_update: at("2026-03-01T11:59:59Z"), ..heading(2) };
    let der = house.write(&back, &some());
    assert!(matches!(house.check(&der, &back, 4, Some((&before, 1))), Err(GateFault::Older)));
}

#[test]
fn a_list_that_a_clock_ahead_made_is_followed_by_a_right_one() {
    let house = House::new();
    let ahead = Heading { this_update: at("2026-03-02T12:00:00Z"), next_update: at("2026-03-02T19:00:00Z"), ..heading(1) };
    let before = house.write(&ahead, &some());
    let der = house.write(&heading(2), &some());
    assert_eq!(house.check(&der, &heading(2), 4, Some((&before, 1))).unwrap().compared.unwrap().unchanged, 4);
    // What was on it must be on the right one, too.
    let der = house.write(&heading(2), &some()[1..]);
    assert!(matches!(house.check(&der, &heading(2), 3, Some((&before, 1))), Err(GateFault::Missing(_))));
}

#[test]
fn the_store_must_have_as_many_but_for_those_that_changed_meanwhile() {
    let mut house = House::new();
    let der = house.write(&heading(1), &some());
    let verdict = |house: &House| house.check(&der, &heading(1), 4, None).map(|report| report.changed_meanwhile);
    for (count, changed, verdict_wanted) in [
        (4, vec![], Ok(0)),
        (3, vec![], Err((3, 4))),
        (5, vec![], Err((5, 4))),
        // One was revoked after the page was read on which it would have stood, or before: either is right.
        (5, vec![("9000", true)], Ok(1)),
        (4, vec![("8002", true)], Ok(1)),
        // A hold was lifted after its page was read, or before.
        (3, vec![("8001", false)], Ok(1)),
        (4, vec![("7E", false)], Ok(1)),
        // One changed, and another is missing.
        (5, vec![("8002", true)], Err((4, 3))),
        (4, vec![("01", true), ("8001", false), ("8003", true), ("FF", false)], Ok(4)),
        (0, vec![("01", true)], Err((0, 3))),
    ] {
        house.count = Some(count);
        house.changed = changed.iter().map(|(number, listed)| (serial(number), *listed)).collect();
        match (verdict(&house), verdict_wanted) {
            (Ok(found), Ok(wanted)) => assert_eq!(found, wanted),
            (Err(GateFault::Count { expected, found, position }), Err(wanted)) => {
                assert_eq!((expected, found, position.0), (wanted.0, wanted.1, 77))
            }
            (other, _) => panic!("{count} {changed:?}: {other:?}"),
        }
    }
}
