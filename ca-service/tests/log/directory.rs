//! The tile directory: rewritten where it is lost, believed where it knows more than the store.

use std::fs;

use ca_service::{DisputedBy, KnownTree, LogDispute, LogFault};
use schema::on_each_database;
use schema::testing::TestDatabase;

use crate::stage::{Stage, events, keep, lead};

fn disputed<T: std::fmt::Debug>(outcome: Result<T, LogFault>) -> LogDispute {
    match outcome {
        Err(LogFault::Disputed(dispute)) => dispute,
        other => panic!("it goes on: {other:?}"),
    }
}

on_each_database! {
    fn a_lost_directory_is_written_again(store) {
        let stage = Stage::new();
        stage.begin(store);
        events(store.database(), 1_000);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        keep(&keeper, &lease);
        fs::remove_dir_all(stage.directory()).unwrap();
        assert!(keeper.publish(&lease).unwrap());
        stage.judge(&store.reader());
        fs::remove_dir_all(stage.directory()).unwrap();
        events(store.database(), 1_000);
        keep(&stage.keeper(store.database()), &lease);
        stage.judge(&store.reader());
    }

    fn a_directory_that_knows_a_larger_tree_stops_the_log(store) {
        let stage = Stage::new();
        let larger = TestDatabase::sqlite();
        stage.begin(&larger);
        events(larger.database(), 50);
        keep(&stage.keeper(larger.database()), &lead(larger.database(), "before", 0));

        // The same log with less in it: as after a restore that nobody told of.
        stage.begin(store);
        events(store.database(), 10);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        let dispute = disputed(keeper.sequence(&lease));
        assert_eq!(dispute, LogDispute { by: DisputedBy::Directory, known: KnownTree::Larger(51), size: 0 });
        assert_eq!(keeper.state().dispute(), Some(dispute));
        assert!(!keeper.sign(&lease).unwrap() && !keeper.publish(&lease).unwrap());
        let head = store.reader().log_head().unwrap();
        assert_eq!((head.size, head.note), (0, None), "nothing was appended nor signed");
        assert_eq!(stage.published().unwrap().size(), 51);

        // Nothing speaks against it any more: it goes on by itself.
        fs::remove_dir_all(stage.directory()).unwrap();
        keep(&keeper, &lease);
        assert_eq!(keeper.state().dispute(), None);
        stage.judge(&store.reader());
    }

    fn a_directory_that_knows_another_tree_stops_the_log_also_while_it_runs(store) {
        let stage = Stage::new();
        stage.begin(store);
        events(store.database(), 10);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        keep(&keeper, &lease);
        fs::remove_dir_all(stage.directory()).unwrap();
        let other = TestDatabase::sqlite();
        stage.begin(&other);
        events(other.database(), 5);
        keep(&stage.keeper(other.database()), &lead(other.database(), "elsewhere", 0));

        let expected = LogDispute { by: DisputedBy::Directory, known: KnownTree::OtherRoot(6), size: 11 };
        assert_eq!(disputed(keeper.publish(&lease)), expected);
        events(store.database(), 1);
        assert_eq!(disputed(keeper.sequence(&lease)), LogDispute { size: 11, ..expected });
        assert_eq!(stage.published().unwrap().size(), 6, "it is left as it is");
    }

    fn what_is_no_checkpoint_of_the_log_is_not_written_over(store) {
        let (stage, other) = (Stage::new(), Stage::new());
        let elsewhere = TestDatabase::sqlite();
        other.begin(&elsewhere);
        keep(&other.keeper(elsewhere.database()), &lead(elsewhere.database(), "a", 0));
        stage.begin(store);
        fs::create_dir_all(stage.directory()).unwrap();
        fs::copy(other.directory().join("checkpoint"), stage.directory().join("checkpoint")).unwrap();
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        assert!(matches!(keeper.sequence(&lease), Err(LogFault::Published(_))));
        assert_eq!(store.reader().log_head().unwrap().size, 0);
    }
}
