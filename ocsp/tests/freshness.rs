//! What is remembered is told for as long as it is so, and not a second longer; whatever comes first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use ca_core::kind::CertificateKind;
use chrono::TimeDelta;
use ocsp::cache::Cache;
use ocsp::freshness::Freshness;
use ocsp::status::{Status, StatusEntry};
use ocsp::{NeverIssued, OcspSettings};
use schema::event::EventPosition;
use schema::testing::TestDatabase;
use support::house::{COMPROMISED, House, LATER, Told};
use support::{basic, serial};

fn house() -> House {
    House::new(OcspSettings::default())
}

fn milliseconds(number: i64) -> TimeDelta {
    TimeDelta::milliseconds(number)
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
fn a_clock_that_was_ahead_for_a_moment_is_believed_again_after_a_steady_minute() {
    let house = house();
    house.time.set_wall(TimeDelta::days(1));
    house.service.look().unwrap();
    house.time.set_wall(-TimeDelta::days(1));
    house.service.look().unwrap();
    assert_eq!(house.service.ready().unwrap_err().code(), "clock_went_back");
    let pass = |seconds| {
        for _ in 0..seconds {
            house.time.pass(milliseconds(1_000));
            house.service.look().unwrap();
        }
    };
    pass(50);
    // Not steady: it counts from here.
    house.time.set_wall(milliseconds(-5_000));
    pass(59);
    assert_eq!(house.service.ready().unwrap_err().code(), "clock_went_back");
    pass(3);
    assert!(house.service.ready().is_ok());
    // From here on it is watched as before.
    house.time.set_wall(milliseconds(-3_000));
    house.service.look().unwrap();
    assert_eq!(house.service.ready().unwrap_err().code(), "clock_went_back");
}

#[test]
fn a_machine_that_slept_tells_nothing_from_memory_that_was_read_before() {
    let settings = OcspSettings { answer_life_seconds: 86_400, reuse_seconds: 3_600, ..OcspSettings::default() };
    let house = House::new(settings);
    house.issue(1);
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
    house.revoke(1);
    // Ticks stand still; the follower has not looked yet.
    house.time.set_wall(milliseconds(30_000));
    assert_eq!(house.told(1), COMPROMISED, "read anew");
    house.store.execute("ALTER TABLE certificate RENAME TO lost").unwrap();
    house.store.execute("ALTER TABLE store_meta RENAME TO gone").unwrap();
    house.service.look().unwrap_err();
    house.time.set_wall(TimeDelta::hours(1));
    assert_eq!(house.told(1), LATER, "cut off for longer than is allowed");
}

#[test]
fn while_the_follower_waits_for_the_store_too_long_what_is_remembered_is_told_for_as_long_as_cut_off() {
    let freshness = Freshness::new(60_000);
    let start = support::house::start();
    let known = |tick: u64| freshness.known(tick, start + milliseconds(i64::try_from(tick).unwrap()));
    freshness.complete(1, start);
    assert!(known(900).is_some_and(|known| !known.cut_off));
    assert!(known(1_500).is_none(), "the store answers, so it is read");
    freshness.asks(1_000);
    assert!(known(1_500).is_none(), "it may answer yet");
    assert!(known(2_500).is_some_and(|known| known.cut_off));
    assert!(known(60_001).is_some() && known(60_002).is_none());
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
