//! Witnesses: those who answer as they should, those who do not, and those who know a tree that the store does not have.

use std::time::{Duration, Instant};

use audit_log::{Checkpoint, SignedCheckpoint, WitnessVerifier};
use ca_service::{DisputedBy, KnownTree, LogDispute, LogFault};
use schema::on_each_database;
use schema::testing::TestDatabase;

use crate::stage::{Stage, events, keep, lead};
use crate::witness_server::{Manner, WitnessServer};

/// A store whose log has begun, a stage with so many witnesses.
fn with_witnesses(store: &TestDatabase, count: usize) -> (Stage, Vec<WitnessServer>) {
    let mut stage = Stage::new();
    stage.begin(store);
    let key = stage.key();
    let servers: Vec<_> = (0..count).map(|number| WitnessServer::start(&format!("witness.test/w{number}"), key.verifier())).collect();
    stage.witnesses = servers.iter().map(|server| server.settings.clone()).collect();
    (stage, servers)
}

fn note(stage: &Stage, store: &TestDatabase) -> SignedCheckpoint {
    Checkpoint::verify(&store.reader().log_head().unwrap().note.unwrap().text, stage.key().verifier()).unwrap()
}

fn is_cosigned(checkpoint: &SignedCheckpoint, server: &WitnessServer) -> bool {
    checkpoint.cosigned_by(&WitnessVerifier::parse(&server.settings.key).unwrap()).unwrap().is_some()
}

on_each_database! {
    fn witnesses_cosign_what_extends_what_they_saw(store) {
        let (stage, servers) = with_witnesses(store, 2);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        for more in [0, 300, 20] {
            events(store.database(), more);
            keep(&keeper, &lease);
            let note = note(&stage, store);
            assert!(servers.iter().all(|server| is_cosigned(&note, server) && server.size() == note.size()));
            stage.judge(&store.reader());
        }
        // The next process knows from the note what they have seen, and asks them before it appends.
        servers.iter().for_each(|server| drop(server.answers()));
        events(store.database(), 5);
        keep(&stage.keeper(store.database()), &lease);
        assert_eq!(servers[0].answers(), [200, 200]);
    }

    fn a_witness_that_was_away_tells_what_it_saw_last(store) {
        let (stage, servers) = with_witnesses(store, 1);
        let lease = lead(store.database(), "a", 0);
        events(store.database(), 30);
        keep(&stage.keeper(store.database()), &lease);
        servers[0].be(Manner::Failing(503));
        events(store.database(), 30);
        keep(&stage.keeper(store.database()), &lease);
        assert!(!is_cosigned(&note(&stage, store), &servers[0]));
        assert_eq!(servers[0].size(), 31);
        servers[0].be(Manner::Honest);
        drop(servers[0].answers());
        keep(&stage.keeper(store.database()), &lease);
        assert_eq!(servers[0].answers()[..2], [409, 200], "it is asked as if it had seen nothing, and tells 31");
        assert!(is_cosigned(&note(&stage, store), &servers[0]));
        assert_eq!(servers[0].size(), 61);
    }

    fn what_a_witness_failed_to_cosign_it_cosigns_later(store) {
        let (mut stage, servers) = with_witnesses(store, 2);
        stage.pace.rest_first = Duration::from_millis(20);
        stage.pace.rest_longest = Duration::from_millis(100);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        servers[1].be(Manner::Failing(500));
        keep(&keeper, &lease);
        let first = note(&stage, store);
        assert!(is_cosigned(&first, &servers[0]) && !is_cosigned(&first, &servers[1]));
        servers[1].be(Manner::Honest);
        let began = Instant::now();
        while !keeper.sign(&lease).unwrap() {
            assert!(began.elapsed() < Duration::from_secs(60), "it is never asked again");
            std::thread::sleep(Duration::from_millis(10));
        }
        let second = note(&stage, store);
        assert!(second.size() == first.size() && servers.iter().all(|server| is_cosigned(&second, server)));
        keep(&keeper, &lease);
        stage.judge(&store.reader());
    }

    fn a_witness_that_failed_rests_first(store) {
        let (stage, servers) = with_witnesses(store, 2);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        servers[1].be(Manner::Failing(500));
        keep(&keeper, &lease);
        servers[1].be(Manner::Honest);
        assert!(!keeper.sign(&lease).unwrap(), "there is nothing to sign and nobody to ask");
        events(store.database(), 1);
        keep(&keeper, &lease);
        let note = note(&stage, store);
        assert!(note.size() == 2 && is_cosigned(&note, &servers[0]) && !is_cosigned(&note, &servers[1]));
        assert_eq!((servers[1].questions(), servers[1].answers()), (1, vec![500]));
    }

    fn a_checkpoint_goes_out_without_whoever_lies_or_is_slow_or_away(store) {
        let (mut stage, servers) = with_witnesses(store, 3);
        stage.witnesses[2].url = "http://127.0.0.1:9".to_owned();
        stage.pace.patience = Duration::from_secs(2);
        servers[0].be(Manner::Lying);
        servers[1].be(Manner::Slow(Duration::from_secs(3_600)));
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        keeper.sequence(&lease).unwrap();
        assert!(keeper.sign(&lease).unwrap());
        let signed = note(&stage, store);
        assert_eq!((signed.size(), signed.note().matches('\u{2014}').count()), (1, 1), "{}", signed.note());
        keep(&keeper, &lease);
        stage.judge(&store.reader());
        // The next one does not wait for them at all.
        let asked = [servers[0].questions(), servers[1].questions()];
        assert_eq!(asked[1], 1);
        events(store.database(), 1);
        keeper.sequence(&lease).unwrap();
        assert!(keeper.sign(&lease).unwrap());
        assert_eq!([servers[0].questions(), servers[1].questions()], asked);
    }

    fn what_a_witness_claims_and_does_not_prove_stops_nothing_and_is_told(store) {
        let (mut stage, servers) = with_witnesses(store, 2);
        stage.pace.rest_first = Duration::ZERO;
        stage.pace.rest_longest = Duration::ZERO;
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        keep(&keeper, &lease);
        for (manner, claim) in [
            (Manner::Ahead(99_999_999), "witness.test/w1 says that it cosigned a tree of 99999999 leaves"),
            (Manner::Failing(422), "witness.test/w1 says that our tree does not follow from what it cosigned"),
        ] {
            servers[1].be(manner);
            events(store.database(), 2);
            keep(&keeper, &lease);
            stage.judge(&store.reader());
            let signed = note(&stage, store);
            assert!(is_cosigned(&signed, &servers[0]) && !is_cosigned(&signed, &servers[1]));
            assert_eq!((keeper.state().objections(), keeper.state().dispute()), (vec![claim.to_owned()], None));
            // Nor does it keep another from taking the lead.
            let next = stage.keeper(store.database());
            keep(&next, &lease);
            assert_eq!(next.state().objections(), [claim]);
        }
        servers[1].be(Manner::Honest);
        events(store.database(), 2);
        keep(&keeper, &lease);
        assert!(is_cosigned(&note(&stage, store), &servers[1]));
        assert_eq!(keeper.state().objections(), Vec::<String>::new());
    }

    fn a_witness_that_shows_a_larger_tree_under_our_own_key_stops_the_log(store) {
        let (stage, servers) = with_witnesses(store, 2);
        let before = TestDatabase::sqlite();
        stage.begin(&before);
        events(before.database(), 7);
        keep(&stage.keeper(before.database()), &lead(before.database(), "before", 0));
        // The store went back, and the tile directory is gone, too.
        std::fs::remove_dir_all(stage.directory()).unwrap();
        servers[0].be(Manner::Failing(500));
        events(store.database(), 2);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        assert_eq!(keeper.sequence(&lease).unwrap(), 3);
        let expected = LogDispute { by: DisputedBy::Witness("witness.test/w1".to_owned()), known: KnownTree::Larger(8), size: 3 };
        assert!(matches!(keeper.sign(&lease), Err(LogFault::Disputed(dispute)) if dispute == expected));
        assert_eq!(keeper.state().dispute(), Some(expected));
        assert!(keeper.state().dispute().unwrap().to_string().contains("the witness witness.test/w1 has a tree of 8 leaves"));
        events(store.database(), 2);
        assert!(matches!(stage.keeper(store.database()).sequence(&lease), Err(LogFault::Disputed(_))), "nothing is appended either");
        let head = store.reader().log_head().unwrap();
        assert!(head.size == 3 && head.note.is_none() && stage.published().is_none());
    }

    fn a_witness_that_saw_another_tree_stops_the_log(store) {
        let (stage, servers) = with_witnesses(store, 1);
        let before = TestDatabase::sqlite();
        stage.begin(&before);
        events(before.database(), 7);
        keep(&stage.keeper(before.database()), &lead(before.database(), "before", 0));
        assert_eq!(servers[0].size(), 8);
        std::fs::remove_dir_all(stage.directory()).unwrap();

        // The store was set up anew under the same key, and has more in it than the witness saw.
        events(store.database(), 20);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        // There is no tree yet that a witness could be asked about.
        assert_eq!(keeper.sequence(&lease).unwrap(), 21);
        let expected = LogDispute { by: DisputedBy::Witness("witness.test/w0".to_owned()), known: KnownTree::OtherRoot(8), size: 21 };
        assert!(matches!(keeper.sign(&lease), Err(LogFault::Disputed(dispute)) if dispute == expected));
        assert!(store.reader().log_head().unwrap().note.is_none() && stage.published().is_none());
    }
}
