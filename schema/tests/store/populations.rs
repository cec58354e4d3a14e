//! Very many certificates at once, as benches want them, are rows like any others.

use ca_core::kind::CertificateKind;
use ca_core::lifecycle::Command;
use ca_core::revocation::RevocationReason;
use schema::certificate::CertificateState;
use schema::search::SearchQuestion;
use schema::testing::{
    Population, add_ca_keys, moment, populate, populate_events, populate_leaves, population_is_revoked, population_serial,
};
use schema::{EventPosition, on_each_database};

const REVOKED_PER_MILLION: u32 = 200_000;

on_each_database! {
    fn a_population_is_what_its_numbers_say(store) {
        let keys = add_ca_keys(&store.writer());
        let population = Population {
            certificates: 20_501,
            kinds: CertificateKind::ALL.to_vec(),
            revoked_per_million: REVOKED_PER_MILLION,
            shards: 3,
        };
        let mut seen = 0;
        let made = populate(store.url(), &population, moment(0), |done| { assert!(done > seen); seen = done }).unwrap();
        assert_eq!((made.certificates, made.holders, seen), (20_501, 10_251, 20_501));
        let revoked = (0..20_501).filter(|number| population_is_revoked(*number, REVOKED_PER_MILLION)).count() as u64;
        assert_eq!(made.revoked, revoked);
        assert!((3_800..4_400).contains(&revoked), "{revoked}");
        let reader = store.reader();
        for number in (0..20_501).step_by(500) {
            let status = reader.certificate_status(keys[(number % 2) as usize], &population_serial(number)).unwrap().unwrap();
            let expected = population_is_revoked(number, REVOKED_PER_MILLION);
            assert_eq!(status.state == CertificateState::Revoked, expected, "{number}");
        }
        assert_eq!(reader.certificate_status(keys[1], &population_serial(20_501)).unwrap(), None);
        let mut listed = 0;
        for scope in reader.crl_scopes().unwrap() {
            let before = listed;
            reader.revoked_in_scope(scope.ca_key, scope.shard, moment(0), None, 20_000, |_| listed += 1).unwrap();
            assert_eq!(reader.gate_count(scope.ca_key, scope.shard, moment(0), EventPosition(0)).unwrap().count, listed - before);
        }
        assert_eq!(listed, revoked);
        let live = (0..).find(|number| number % 2 == 0 && !population_is_revoked(*number, REVOKED_PER_MILLION)).unwrap();
        let command = Command::Revoke { reason: RevocationReason::KeyCompromise, invalid_since: None };
        assert_eq!(store.command(keys[0], &population_serial(live), command, moment(9)).len(), 1);
    }

    fn the_events_of_a_population_are_found_and_have_leaves(store) {
        add_ca_keys(&store.writer());
        let population =
            Population { certificates: 2_600, kinds: CertificateKind::ALL.to_vec(), revoked_per_million: 0, shards: 1 };
        populate(store.url(), &population, moment(0), |_| {}).unwrap();
        let before = store.reader().position().unwrap().0.unsigned_abs();
        assert_eq!(populate_events(store.url(), 9_600, moment(0), |_| {}), Ok(9_600));
        assert_eq!(populate_leaves(store.url(), moment(0), |_| {}), Ok(before + 9_600));
        let reader = store.reader();
        let head = reader.log_head().unwrap();
        assert_eq!((head.size, head.position), (before + 9_600, reader.position().unwrap()));
        assert_eq!(reader.log_tile(1, 0).unwrap().map(|tile| tile.len()), Some(32 * (head.size as usize / 256)));
        let of = |question: SearchQuestion| reader.search(&SearchQuestion { limit: 1_000, ..question }).unwrap().hits.len();
        assert_eq!(of(SearchQuestion { holder_id: Some("population-7".to_owned()), ..Default::default() }), 7, "all but the card's");
        // Three of the application, a hold and its instruction.
        assert_eq!(of(SearchQuestion { certificate: Some((None, population_serial(0))), ..Default::default() }), 6);
        assert_eq!(of(SearchQuestion { operator: Some("operator-07".to_owned()), ..Default::default() }), 48);
        assert!(populate_events(store.url(), 16_000, moment(0), |_| {}).is_err(), "there are too few holders");
    }
}

#[test]
fn serial_numbers_can_be_made_anywhere() {
    // printf 'tsunagi population\0\0\0\0\0\0\0\x2a' | sha256sum
    assert_eq!(population_serial(42).to_string(), "3730240B05A48FF40B786EEAD69DF1FF1B8275E2");
}
