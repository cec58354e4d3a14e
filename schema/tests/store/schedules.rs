//! Schedules, channels, followers and the keys of commands: what the CA role keeps for itself.

use schema::channel::Channel;
use schema::command_key::CommandKey;
use schema::testing::moment;
use schema::{EventPosition, on_each_database};

on_each_database! {
    fn a_schedule_keeps_its_last_run_when_its_time_is_changed(store) {
        let writer = store.writer();
        writer.write(|tx| tx.define_schedule("expire", "0 0 * * * *")).unwrap();
        writer.write(|tx| tx.start_schedule("expire", moment(10))).unwrap();
        writer.write(|tx| tx.finish_schedule("expire", "3 expired", moment(12))).unwrap();
        writer.write(|tx| tx.define_schedule("expire", "0 30 * * * *")).unwrap();
        writer.write(|tx| tx.define_schedule("compare", "0 0 3 * * *")).unwrap();
        let schedules = store.reader().schedules().unwrap();
        assert_eq!(schedules.iter().map(|schedule| schedule.name.as_str()).collect::<Vec<_>>(), ["compare", "expire"]);
        let expire = &schedules[1];
        assert_eq!(expire.expression, "0 30 * * * *");
        assert_eq!((expire.last_started_at, expire.last_finished_at), (Some(moment(10)), Some(moment(12))));
        assert_eq!(expire.last_outcome.as_deref(), Some("3 expired"));
        assert_eq!(schedules[0].last_started_at, None);
    }

    fn a_run_that_is_asked_for_stands_until_a_run_that_began_later_has_ended(store) {
        let writer = store.writer();
        let asked = || store.reader().schedules().unwrap()[0].requested_at;
        writer.write(|tx| tx.define_schedule("compare", "0 0 3 * * *")).unwrap();
        assert!(!writer.write(|tx| tx.request_schedule("unknown", moment(1))).unwrap());
        writer.write(|tx| tx.start_schedule("compare", moment(1))).unwrap();
        assert!(writer.write(|tx| tx.request_schedule("compare", moment(2))).unwrap());
        writer.write(|tx| tx.finish_schedule("compare", "", moment(3))).unwrap();
        assert_eq!(asked(), Some(moment(2)), "asked for while another run was on");
        writer.write(|tx| tx.start_schedule("compare", moment(4))).unwrap();
        assert_eq!(asked(), Some(moment(2)), "the run may be broken off");
        writer.write(|tx| tx.finish_schedule("compare", "", moment(5))).unwrap();
        assert_eq!(asked(), None);
    }

    fn a_channels_age_counts_from_the_stores_birth_and_then_from_the_latest_news(store) {
        let before = chrono::Utc::now();
        for channel in Channel::ALL {
            assert!(store.reader().last_success(channel).unwrap() <= before);
        }
        store.writer().write(|tx| tx.touch_channel(Channel::Feed, moment(100))).unwrap();
        store.writer().write(|tx| tx.touch_channel(Channel::Feed, moment(50))).unwrap();
        assert_eq!(store.reader().last_success(Channel::Feed).unwrap(), moment(50), "a clock was ahead");
        assert!(store.reader().last_success(Channel::Push).unwrap() <= before);
    }

    fn a_follower_never_goes_back(store) {
        assert_eq!(store.reader().follower("notices").unwrap(), EventPosition(0));
        for position in [5, 3] {
            store.writer().write(move |tx| tx.advance_follower("notices", EventPosition(position))).unwrap();
        }
        assert_eq!(store.reader().follower("notices").unwrap(), EventPosition(5));
        assert_eq!(store.reader().follower("commands").unwrap(), EventPosition(0));
    }

    fn command_keys_are_kept_oldest_first_and_added_once(store) {
        let keys = ["b", "a"].map(|id| CommandKey { key_id: id.to_owned(), public_key: id.as_bytes().to_vec() });
        for (second, key) in (0..).zip([&keys[0], &keys[1], &keys[0]]) {
            let key = key.clone();
            store.writer().write(move |tx| tx.add_command_key(&key, moment(second))).unwrap();
        }
        assert_eq!(store.reader().command_keys().unwrap(), keys);
    }
}
