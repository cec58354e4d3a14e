//! What is remembered is told for as long as it is so, and not a second longer; whatever comes first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use ca_core::kind::CertificateKind;
use ca_core::ocsp::{CertIdHash, Nonce};
use ca_core::time::from_generalized_time;
use chrono::{SubsecRound, TimeDelta};
use ocsp::cache::Cache;
use ocsp::freshness::Freshness;
use ocsp::status::{Status, StatusEntry};
use ocsp::{NeverIssued, OcspSettings};
use schema::event::EventPosition;
use schema::testing::TestDatabase;
use support::house::{COMPROMISED, HELD, House, LATER, Told, told};
use support::{basic, request, serial};

fn house() -> House {
    House::new(OcspSettings::default())
}

fn milliseconds(number: i64) -> TimeDelta {
    TimeDelta::milliseconds(number)
}

/// How many answers are remembered.
fn answers(house: &House) -> usize {
    house.service.cache().entries().1
}

#[test]
fn the_same_octets_are_given_again_until_the_status_changes_or_they_get_old() {
    let house = house();
    house.issue(1);
    house.service.look().unwrap();
    let first = house.reply(1);
    assert_eq!(told(&first.der), Told::Good);
    for _ in 0..29 {
        house.time.pass(milliseconds(1_000));
        house.service.look().unwrap();
        assert_eq!(house.reply(1).der, first.der);
    }
    house.time.pass(milliseconds(1_000));
    house.service.look().unwrap();
    let second = house.reply(1);
    assert_ne!(second.der, first.der, "after half of its life it is signed anew");
    let this_update = |der: &[u8]| basic(der).response_data().responses[0].this_update.to_unix_duration();
    assert_eq!((this_update(&second.der) - this_update(&first.der)).as_secs(), 30);

    house.hold(1);
    house.service.look().unwrap();
    assert_eq!(house.told(1), HELD);
    house.lift(1);
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
    house.revoke(1);
    house.service.look().unwrap();
    assert_eq!(house.told(1), COMPROMISED);
}

#[test]
fn a_change_that_was_not_looked_at_is_told_a_second_after_it_at_the_latest() {
    let house = house();
    house.issue(1);
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
    house.revoke(1);
    // Nobody follows: within a second of the last look the old answer may still be given, and not after.
    house.time.pass(milliseconds(1_000));
    assert_eq!(house.told(1), Told::Good);
    house.time.pass(milliseconds(1));
    assert_eq!(house.told(1), COMPROMISED, "the store is read");
    let repeatable = house.reply(1);
    house.service.look().unwrap();
    assert_eq!(house.reply(1).der, repeatable.der, "what was read after the change outlives the look that finds the change");
}

#[test]
fn a_never_issued_number_is_good_as_soon_as_issuance_catches_up() {
    let house = house();
    assert_eq!(house.told(7), Told::NeverIssued);
    assert_eq!(house.told(7), Told::NeverIssued);
    assert_eq!(answers(&house), 1);
    house.issue(7);
    house.service.look().unwrap();
    assert_eq!(house.told(7), Told::Good);
    // And a certificate is revoked that was never asked about.
    house.issue(8);
    house.revoke(8);
    house.service.look().unwrap();
    assert_eq!(house.told(8), COMPROMISED);
}

#[test]
fn what_was_read_before_a_change_is_not_kept_after_it_in_whichever_order_both_come() {
    let (cache, freshness) = (Cache::new(1 << 20), Freshness::new(60_000));
    let ca_key = support::TestCa::new(1, CertificateKind::Signature, 1, chrono::Utc::now()).ca_key().id();
    let number = serial(1);
    let entry = |position| StatusEntry::new(Status::NEVER_ISSUED, EventPosition(position));
    let keep = |era: (u64, u64), position| cache.keep_status(&freshness, era, (ca_key, &number), entry(position));
    let era = || (freshness.era(), freshness.epoch());
    let seen = |position| {
        // As the follower does: raise what is seen, then kill.
        freshness.advance(EventPosition(position));
        cache.kill(ca_key, &number, EventPosition(position));
    };
    seen(5);
    assert!(!keep(era(), 4).is_alive(), "read at 4, kept after the change at 5 was seen");
    assert!(cache.status(ca_key, &number).is_none());
    let at_5 = keep(era(), 5);
    assert!(at_5.is_alive(), "read at 5 itself it knows of the change");
    let at_9 = keep(era(), 9);
    assert!(!at_5.is_alive() && at_9.is_alive(), "a newer one takes the place of an older");
    assert!(Arc::ptr_eq(&keep(era(), 7), &at_9), "and an older one does not take the place of a newer");
    seen(8);
    assert!(at_9.is_alive(), "a change that it knows of does not kill it");
    seen(10);
    assert!(!at_9.is_alive());
    let before = era();
    let at_11 = keep(before, 11);
    assert!(at_11.is_alive());
    cache.forget_everything(&freshness);
    assert!(!at_11.is_alive());
    assert!(!keep(before, 12).is_alive(), "read in an earlier era");
    assert!(keep(era(), 12).is_alive());
}

#[test]
fn what_is_dropped_for_want_of_room_is_dead_and_is_read_again() {
    let settings = OcspSettings { cache_megabytes: 1, ..OcspSettings::default() };
    let house = House::new(settings);
    let count = 3_000;
    let mut first = None;
    for number in 1..=count {
        let reply = house.reply(number);
        first = first.or(reply.repeatable);
    }
    let cache = house.service.cache();
    let (statuses, kept) = cache.entries();
    assert!(cache.octets() <= 1 << 20, "{} octets", cache.octets());
    assert!(statuses < 3_000 && kept < 3_000 && statuses > 100 && kept > 100, "{statuses} statuses, {kept} answers");
    assert!(cache.take_evictions() > 0);
    // Whatever is still remembered of any of them is killed by its change, whatever is not cannot be told from memory.
    for number in 1..=count {
        house.issue(number);
    }
    house.service.look().unwrap();
    assert!(!first.unwrap().is_alive());
    for number in 1..=count {
        assert_eq!(house.told(number), Told::Good, "{number}");
    }
}

#[test]
fn cut_off_from_the_store_it_tells_what_it_remembers_for_a_minute_and_then_nothing() {
    for table in ["store_meta", "event_counter"] {
        let house = house();
        house.issue(1);
        house.service.look().unwrap();
        let first = house.reply(1);
        house.issue(2);
        let rename = |from: &str, to: &str| house.store.execute(&format!("ALTER TABLE {from} RENAME TO {to}")).unwrap();
        rename(table, "lost");
        let at = |seconds| Some(support::house::start().trunc_subsecs(0) + TimeDelta::seconds(seconds));
        for seconds in [0, 20, 20, 19] {
            house.time.pass(TimeDelta::seconds(seconds));
            house.service.look().unwrap_err();
            assert_eq!(house.told(1), Told::Good);
            assert_eq!(house.told(2), LATER, "what is not remembered cannot be told");
            let nonce = Nonce::new(&[7; 32]).unwrap();
            let answer = house.service.reply(&request(vec![house.ca.id(CertIdHash::Sha1, &serial(1))], Some(&nonce)));
            let answer = basic(&answer.der);
            let one = &answer.response_data().responses[0];
            assert_eq!(from_generalized_time(one.this_update), at(0), "no answer claims to know more than was looked at");
            assert_eq!(from_generalized_time(one.next_update.unwrap()), at(60));
        }
        assert!(house.service.ready().is_ok());
        house.time.pass(TimeDelta::seconds(2));
        house.service.look().unwrap_err();
        assert_eq!(house.told(1), LATER, "an old good is never told");
        assert_eq!(house.service.ready().unwrap_err().code(), "cut_off");
        rename("lost", table);
        house.service.look().unwrap();
        assert_ne!(house.reply(1).der, first.der);
        assert_eq!((house.told(1), house.told(2)), (Told::Good, Told::Good));
        assert!(house.service.ready().is_ok());
    }
}

#[test]
fn a_restored_store_is_not_believed_until_it_is_reconciled() {
    let house = house();
    house.issue(1);
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
    let begin = house.store.writer().write(|tx| tx.begin_epoch(2, &[], support::house::start()));
    assert_eq!(begin.unwrap(), 2);
    // Not looked at yet: what must be read is not told even so.
    assert_eq!(house.told(2), LATER);
    house.service.look().unwrap();
    assert_eq!(house.told(1), LATER);
    assert_eq!(house.service.ready().unwrap_err().code(), "reconciling");
    assert_eq!(house.service.cache().entries(), (0, 0));
    house.store.writer().write(|tx| tx.end_reconciliation(support::house::start())).unwrap();
    assert_eq!(house.told(1), LATER);
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
    assert!(house.service.ready().is_ok());
}

#[test]
fn a_store_that_went_back_is_not_believed_before_a_new_epoch() {
    let house = house();
    for number in 1..=3 {
        house.issue(number);
    }
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
    // As after a restore that nobody has noticed: the last event is gone, and what it told.
    let last = "(SELECT max(position) FROM event)";
    house.store.execute(&format!("DELETE FROM event WHERE position = {last}; UPDATE event_counter SET position = {last}")).unwrap();
    assert_eq!(house.told(9), LATER, "what is read is older than what was seen");
    house.service.look().unwrap();
    assert_eq!(house.told(1), LATER);
    assert_eq!(house.service.ready().unwrap_err().code(), "went_back");
    // Going past the old position again, by the hand of a process that has noticed nothing, does not bring back what was forgotten.
    let unnoticed = "UPDATE event_counter SET position = position + 1; INSERT INTO event (position, at, kind, data) \
                     SELECT position, 0, 'ca_key.added', '{}' FROM event_counter";
    house.store.execute(&format!("{unnoticed}; {unnoticed}")).unwrap();
    house.service.look().unwrap();
    assert_eq!(house.told(1), LATER);
    house.store.open_again().writer().write(|tx| tx.begin_epoch(2, &[], support::house::start())).unwrap();
    house.service.look().unwrap();
    assert_eq!(house.service.ready().unwrap_err().code(), "reconciling");
    house.store.open_again().writer().write(|tx| tx.end_reconciliation(support::house::start())).unwrap();
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
}

#[test]
fn whoever_keeps_the_high_water_mark_can_silence_it() {
    let house = house();
    house.issue(1);
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
    house.service.store_went_back(true);
    house.service.look().unwrap();
    assert_eq!(house.told(1), LATER);
    assert_eq!(house.service.ready().unwrap_err().code(), "went_back");
    house.service.store_went_back(false);
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
}

#[test]
fn a_clock_that_goes_back_is_noticed_and_what_was_signed_for_later_is_forgotten() {
    let house = house();
    house.issue(1);
    house.service.look().unwrap();
    let first = house.reply(1);
    house.time.set_wall(milliseconds(-1_900));
    house.service.look().unwrap();
    assert_eq!(house.reply(1).der, first.der, "a clock that is being adjusted");
    assert!(house.service.ready().is_ok());
    house.time.set_wall(milliseconds(-200));
    house.service.look().unwrap();
    assert_eq!(house.service.ready().unwrap_err().code(), "clock_went_back");
    let second = house.reply(1);
    assert_ne!(second.der, first.der);
    let this_update = |der: &[u8]| basic(der).response_data().responses[0].this_update.to_unix_duration();
    assert!(this_update(&second.der) < this_update(&first.der));
    // It is judged by ticks how old a look is: the clock on the wall changes nothing about that.
    house.revoke(1);
    house.service.look().unwrap();
    assert_eq!(house.told(1), COMPROMISED);
    house.time.pass(milliseconds(3_000));
    house.service.look().unwrap();
    assert!(house.service.ready().is_ok());
}

#[test]
fn a_certificate_that_ends_is_told_with_the_archive_cutoff_from_then_on() {
    let house = house();
    let end = house.time.wall() + TimeDelta::seconds(10);
    house.store.issue_certificate(house.ca.ca_key().id(), &serial(1), end, house.time.wall());
    house.service.look().unwrap();
    let has_cutoff = || basic(&house.reply(1).der).response_data().responses[0].single_extensions.is_some();
    assert!(!has_cutoff());
    house.time.pass(milliseconds(9_000));
    house.service.look().unwrap();
    assert!(!has_cutoff());
    house.time.pass(milliseconds(2_001));
    house.service.look().unwrap();
    assert!(has_cutoff(), "an answer signed before the end is not given again after it");
}

#[test]
fn numbers_never_issued_may_be_unknown_and_a_store_that_fails_is_never_good() {
    let settings = OcspSettings { never_issued: NeverIssued::Unknown, ..OcspSettings::default() };
    let house = House::on(TestDatabase::sqlite(), settings);
    assert_eq!(house.told(1), Told::Unknown);
    house.issue(2);
    house.service.look().unwrap();
    house.store.execute("ALTER TABLE certificate RENAME TO lost").unwrap();
    assert_eq!(house.told(2), LATER);
}
