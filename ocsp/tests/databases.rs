//! What must be so on each database: what is remembered is told for as long as it is so, and of a store that cannot be reached or believed nothing is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ca_core::ocsp::{CertIdHash, Nonce};
use ca_core::time::from_generalized_time;
use chrono::{SubsecRound, TimeDelta};
use ocsp::OcspSettings;
use schema::testing::TestDatabase;
use support::house::{COMPROMISED, HELD, House, LATER, Told, told};
use support::{basic, request, serial};

/// Writes each test once and runs it on each database: `fn what_is_true(house) { … }`, where `house` makes one.
macro_rules! on_each_database {
    ($(fn $name:ident($house:ident) $body:block)*) => {
        $(
            mod $name {
                use super::*;

                fn check($house: fn() -> House) $body

                #[test]
                fn on_sqlite() {
                    check(|| House::on(TestDatabase::sqlite(), OcspSettings::default()));
                }

                #[cfg(feature = "postgres")]
                #[test]
                fn on_postgres() {
                    check(|| House::on(TestDatabase::postgres(), OcspSettings::default()));
                }
            }
        )*
    };
}

fn milliseconds(number: i64) -> TimeDelta {
    TimeDelta::milliseconds(number)
}

on_each_database! {
    fn the_same_octets_are_given_again_until_the_status_changes_or_they_get_old(house) {
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

    fn a_change_that_was_not_looked_at_is_told_a_second_after_it_at_the_latest(house) {
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

    fn a_never_issued_number_is_good_as_soon_as_issuance_catches_up(house) {
        let house = house();
        assert_eq!(house.told(7), Told::NeverIssued);
        assert_eq!(house.told(7), Told::NeverIssued);
        assert_eq!(house.service.cache().entries().1, 1);
        house.issue(7);
        house.service.look().unwrap();
        assert_eq!(house.told(7), Told::Good);
        // And a certificate is revoked that was never asked about.
        house.issue(8);
        house.revoke(8);
        house.service.look().unwrap();
        assert_eq!(house.told(8), COMPROMISED);
    }

    fn cut_off_from_the_store_it_tells_what_it_remembers_for_a_minute_and_then_nothing(house) {
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

    fn a_restored_store_is_not_believed_until_it_is_reconciled(house) {
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

    fn a_store_that_lost_events_and_went_beyond_them_is_not_believed(house) {
        let house = house();
        for number in 1..=3 {
            house.issue(number);
        }
        house.service.look().unwrap();
        assert_eq!((house.told(1), house.told(2)), (Told::Good, Told::Good));
        // As after a failover that lost the last event: another stands in its place, by which 2 was revoked, and others after it.
        let last = house.store.reader().position().unwrap().0;
        let two = "(SELECT certificate_id FROM event WHERE kind = 'certificate.issued' ORDER BY position LIMIT 1 OFFSET 1)";
        house
            .store
            .tamper(&format!(
                "UPDATE certificate SET state = 3, revoked_at = 5000, reason = 1 WHERE id = {two}; \
                 UPDATE event SET at = at + 1, kind = 'certificate.revoked', certificate_id = {two} WHERE position = {last}; \
                 UPDATE event_counter SET position = {last} + 1; \
                 INSERT INTO event (position, at, kind, data) VALUES ({last} + 1, 0, 'ca_key.added', '{{}}')"
            ))
            .unwrap();
        house.service.look().unwrap();
        assert_eq!((house.told(1), house.told(2)), (LATER, LATER));
        assert_eq!(house.service.ready().unwrap_err().code(), "went_back");
    }

    fn a_change_that_no_event_tells_of_is_told_after_ten_minutes_all_the_same(house) {
        let house = house();
        house.issue(1);
        house.service.look().unwrap();
        assert_eq!(house.told(1), Told::Good);
        house.store.execute("UPDATE certificate SET state = 3, revoked_at = 5000, reason = 1").unwrap();
        for (minutes, is_good) in [(9, true), (2, false)] {
            house.time.pass(TimeDelta::minutes(minutes));
            house.service.look().unwrap();
            assert_eq!(house.told(1) == Told::Good, is_good, "{minutes}");
        }
        assert!(matches!(house.told(1), Told::Revoked(..)), "{:?}", house.told(1));
    }

    fn a_store_that_went_back_is_not_believed_before_a_new_epoch(house) {
        let house = house();
        for number in 1..=3 {
            house.issue(number);
        }
        house.service.look().unwrap();
        assert_eq!(house.told(1), Told::Good);
        // As after a restore that nobody has noticed: the last event is gone, and what it told.
        let last = "(SELECT max(position) FROM event)";
        house.store.tamper(&format!("DELETE FROM event WHERE position = {last}; UPDATE event_counter SET position = {last}")).unwrap();
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
}
