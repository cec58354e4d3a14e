//! Which lists are made when, and what is on them.

use ca_core::clock::Clock as _;
use ca_core::revocation::{Revocation, RevocationReason as Reason};
use crl_publisher::{AtOnce, CrlCause, CrlSettings, GateFault, PublishFault, Publisher};
use schema::on_each_database;

use crate::house::{AUTHENTICATION, SIGNATURE, at_once, house, run};
use crate::support::{at, openssl_crl, serial};

on_each_database! {
    fn the_first_lists_come_at_once_then_each_hour_and_the_number_rises(store) {
        let house = house(store);
        let mut publisher = house.publisher(CrlSettings::default());
        let first = run(&mut publisher);
        assert_eq!(
            first.iter().map(|one| (one.list.ca_key, one.list.number, one.list.cause)).collect::<Vec<_>>(),
            [(SIGNATURE, 1, CrlCause::First), (AUTHENTICATION, 1, CrlCause::First)]
        );
        assert_eq!(first[0].list.next_update, at("2026-03-01T19:00:00Z"));
        assert_eq!(house.listed(SIGNATURE), []);
        house.clock.set("2026-03-01T12:59:59.999Z");
        assert_eq!(run(&mut publisher), []);
        house.clock.set("2026-03-01T13:00:00.250Z");
        let regular = run(&mut publisher);
        assert_eq!(regular.iter().map(|one| (one.list.number, one.list.cause)).collect::<Vec<_>>(), [(2, CrlCause::Regular); 2]);
        assert_eq!(regular[0].list.this_update, at("2026-03-01T13:00:00Z"));
        house.assert_whole(SIGNATURE);
        // Another publisher, after a restart, knows what is there.
        assert_eq!(run(&mut house.publisher(CrlSettings::default())), []);
    }

    fn a_revocation_is_listed_after_the_delay_for_its_key_alone_even_if_it_happened_while_nobody_looked(store) {
        let house = house(store);
        house.put(AUTHENTICATION, &["0A", "8001", "FF"]);
        house.put(SIGNATURE, &["0B"]);
        run(&mut house.publisher(CrlSettings::default()));

        house.revoke(AUTHENTICATION, "FF", "2026-03-01T12:31:00Z", Reason::AffiliationChanged);
        house.revoke(AUTHENTICATION, "8001", "2026-03-01T12:31:00Z", Reason::CertificateHold);
        house.clock.set("2026-03-01T12:31:01Z");
        // Small pages, so that there are several.
        let mut publisher = house.publisher(CrlSettings { page_entries: 1, ..CrlSettings::default() });
        assert_eq!(publisher.due(house.clock.now()).unwrap(), []);
        house.clock.set("2026-03-01T12:31:01.200Z");
        let published = run(&mut publisher);
        assert_eq!(
            published.iter().map(|one| (one.list.ca_key, one.list.cause, one.list.entries)).collect::<Vec<_>>(),
            [(AUTHENTICATION, CrlCause::Revocation, 2)]
        );
        // By rising octets of the serial number.
        let mut expected = [("FF".to_owned(), Reason::AffiliationChanged), ("8001".to_owned(), Reason::CertificateHold)];
        expected.sort_by_key(|(number, _)| serial(number));
        assert_eq!(house.listed(AUTHENTICATION), expected);
        assert_eq!(house.listed(SIGNATURE), []);
        assert_eq!(run(&mut publisher), []);
        let said = openssl_crl(&house.octets(AUTHENTICATION, 0), house.issuers[1].ca_key().certificate_der());
        assert!(said.contains("Serial Number: 8001") && said.contains("Serial Number: FF"), "{said}");
    }

    fn each_shard_has_a_list_of_its_own_and_a_revocation_touches_only_one(store) {
        let house = house(store);
        let now = house.clock.now();
        store.writer().write(move |tx| tx.open_crl_shards(SIGNATURE, 3, now)).unwrap();
        for (shard, number) in [(0, "0A"), (1, "0B"), (2, "0C")] {
            store.put_certificate_in(SIGNATURE, shard, &serial(number), at("2027-01-01T00:00:00Z"));
        }
        let mut publisher = house.publisher(at_once());
        let first = run(&mut publisher);
        assert_eq!(first.len(), 4);
        // The numbers of one CA key rise over all its lists.
        assert_eq!(first.iter().filter(|one| one.list.ca_key == SIGNATURE).map(|one| one.list.number).collect::<Vec<_>>(), [1, 2, 3]);
        house.revoke(SIGNATURE, "0C", "2026-03-01T12:31:00Z", Reason::KeyCompromise);
        house.clock.set("2026-03-01T12:31:01Z");
        let published = run(&mut publisher);
        assert_eq!(published.iter().map(|one| (one.list.shard, one.list.number, one.list.entries)).collect::<Vec<_>>(), [(2, 4, 1)]);
        assert_eq!(house.entries(SIGNATURE, 2)[0].serial, serial("0C"));
        let said = openssl_crl(&house.octets(SIGNATURE, 2), house.issuers[0].ca_key().certificate_der());
        assert!(said.contains("URI:http://status.example/crl/signature-1-2.crl"), "{said}");
        assert_eq!(house.shelf().in_force("signature-1-2").unwrap().number, 4);
    }

    fn a_hold_shows_on_the_list_leaves_it_when_lifted_and_keeps_its_date_when_it_becomes_permanent(store) {
        let house = house(store);
        house.put(SIGNATURE, &["0A", "0B"]);
        let mut publisher = house.publisher(at_once());
        run(&mut publisher);
        let mut listed_after = |when: &str| {
            house.clock.set(when);
            let published = run(&mut publisher);
            assert_eq!(published.iter().map(|one| (one.list.ca_key, one.list.cause)).collect::<Vec<_>>(), [(SIGNATURE, CrlCause::Revocation)]);
            house.entries(SIGNATURE, 0).into_iter().map(|entry| (entry.serial, entry.revocation)).collect::<Vec<_>>()
        };
        let held = Revocation::new(at("2026-03-01T12:31:00Z"), Reason::CertificateHold);
        for number in ["0A", "0B"] {
            store.revoke(SIGNATURE, &serial(number), held);
        }
        assert_eq!(listed_after("2026-03-01T12:32:00Z"), [(serial("0A"), held), (serial("0B"), held)]);

        store.lift(SIGNATURE, &serial("0A"), at("2026-03-01T12:33:00Z"));
        assert_eq!(listed_after("2026-03-01T12:34:00Z"), [(serial("0B"), held)]);

        house.revoke(SIGNATURE, "0B", "2026-03-01T12:35:00Z", Reason::KeyCompromise);
        let permanent = Revocation { reason: Reason::KeyCompromise, ..held };
        assert_eq!(listed_after("2026-03-01T12:36:00Z"), [(serial("0B"), permanent)]);

        let again = Revocation { at: at("2026-03-01T12:37:00Z"), ..held };
        store.revoke(SIGNATURE, &serial("0A"), again);
        assert_eq!(listed_after("2026-03-01T12:38:00Z"), [(serial("0A"), again), (serial("0B"), permanent)]);
    }

    fn with_urgent_only_the_others_wait_for_the_regular_list(store) {
        let house = house(store);
        house.put(SIGNATURE, &["0A", "0B", "0C"]);
        let mut publisher = house.publisher(CrlSettings { at_once: AtOnce::Urgent, ..CrlSettings::default() });
        run(&mut publisher);
        house.revoke(SIGNATURE, "0A", "2026-03-01T12:31:00Z", Reason::Superseded);
        house.revoke(SIGNATURE, "0C", "2026-03-01T12:31:00Z", Reason::CertificateHold);
        publisher.due(house.clock.now()).unwrap();
        house.clock.set("2026-03-01T12:40:00Z");
        assert_eq!(run(&mut publisher), []);
        house.revoke(SIGNATURE, "0B", "2026-03-01T12:40:00Z", Reason::KeyCompromise);
        publisher.due(house.clock.now()).unwrap();
        house.clock.set("2026-03-01T12:40:01Z");
        assert_eq!(run(&mut publisher)[0].list.entries, 3);
    }

    fn an_urgent_list_goes_before_one_that_is_only_regular(store) {
        let house = house(store);
        house.put(AUTHENTICATION, &["0A"]);
        let mut publisher = house.publisher(CrlSettings::default());
        run(&mut publisher);
        house.revoke(AUTHENTICATION, "0A", "2026-03-01T12:59:00Z", Reason::KeyCompromise);
        house.clock.set("2026-03-01T13:00:00Z");
        assert_eq!(run(&mut publisher).iter().map(|one| one.list.ca_key).collect::<Vec<_>>(), [AUTHENTICATION, SIGNATURE]);
    }

    fn an_expired_entry_stays_for_one_regular_list_and_then_leaves(store) {
        let house = house(store);
        store.put_certificate(SIGNATURE, &serial("0A"), at("2026-03-01T12:45:00Z"));
        store.put_certificate(SIGNATURE, &serial("0B"), at("2026-03-01T13:00:00Z"));
        let mut publisher = house.publisher(CrlSettings::default());
        run(&mut publisher);
        for number in ["0A", "0B"] {
            house.revoke(SIGNATURE, number, "2026-03-01T12:40:00Z", Reason::Superseded);
        }
        let count = |publisher: &mut Publisher, when: &str| {
            publisher.due(house.clock.now()).unwrap();
            house.clock.set(when);
            run(publisher).iter().find(|one| one.list.ca_key == SIGNATURE).map(|one| (one.list.cause, one.list.entries))
        };
        assert_eq!(count(&mut publisher, "2026-03-01T12:41:00Z"), Some((CrlCause::Revocation, 2)));
        // Issued beyond the end of 0A, not beyond that of 0B: both are on it.
        assert_eq!(count(&mut publisher, "2026-03-01T13:00:00Z"), Some((CrlCause::Regular, 2)));
        // 0A was on a regular list after its end and may leave; 0B must be on this one.
        assert_eq!(count(&mut publisher, "2026-03-01T14:00:00Z"), Some((CrlCause::Regular, 1)));
        assert_eq!(house.listed(SIGNATURE), [("0B".to_owned(), Reason::Superseded)]);
        assert_eq!(count(&mut publisher, "2026-03-01T15:00:00Z"), Some((CrlCause::Regular, 0)));
    }

    fn a_store_that_forgot_a_revocation_gets_no_list_the_last_one_stays_and_operators_see_why(store) {
        let house = house(store);
        house.put(SIGNATURE, &["0A"]);
        house.revoke(SIGNATURE, "0A", "2026-03-01T12:00:00Z", Reason::Superseded);
        let mut publisher = house.publisher(CrlSettings::default());
        assert_eq!(run(&mut publisher)[0].list.entries, 1);
        store.execute("UPDATE certificate SET state = 1, reason = NULL, revoked_at = NULL").unwrap();
        house.clock.set("2026-03-01T13:00:00Z");
        let outcomes = publisher.run_once(None).unwrap();
        let missing = [serial("0A")];
        assert!(matches!(&outcomes[0], Err(PublishFault::Gate(GateFault::Missing(found))) if found.first() == missing), "{outcomes:?}");
        assert!(outcomes[1].is_ok(), "the other key's list is not kept back");
        assert_eq!(house.number(SIGNATURE), Some(1));
        house.assert_whole(SIGNATURE);
        let failure = store.reader().crl_failure(SIGNATURE, 0).unwrap().unwrap();
        assert_eq!((failure.number, failure.at), (2, at("2026-03-01T13:00:00Z")));
        assert!(failure.reason.contains("certificate 0A"), "{failure:?}");
        assert_eq!(store.reader().crl_failure(AUTHENTICATION, 0).unwrap(), None);
        // It is tried again, but not at once; the number that was not used stays unused.
        assert_eq!(publisher.due(house.clock.now()).unwrap(), []);
        store.execute("UPDATE certificate SET state = 3, reason = 4, revoked_at = 1772366400000").unwrap();
        house.clock.set("2026-03-01T13:00:10Z");
        assert_eq!(run(&mut publisher).iter().map(|one| (one.list.ca_key, one.list.number)).collect::<Vec<_>>(), [(SIGNATURE, 3)]);
        assert_eq!(store.reader().crl_failure(SIGNATURE, 0).unwrap(), None);
    }

    fn a_list_before_that_was_damaged_on_the_shelf_is_made_whole_and_the_next_one_compared_with_it(store) {
        let house = house(store);
        let mut publisher = house.publisher(CrlSettings::default());
        run(&mut publisher);
        std::fs::write(house.directory.path().join("signature-1").join("1.crl"), b"no list any more").unwrap();
        house.clock.set("2026-03-01T13:00:00Z");
        let published = run(&mut publisher);
        assert_eq!(published.len(), 2);
        assert!(published.iter().all(|one| one.report.compared.is_some()));
        house.assert_whole(SIGNATURE);
    }

    fn the_list_after_a_retirement_is_the_last_and_is_good_for_ever(store) {
        let house = house(store);
        house.put(SIGNATURE, &["0A"]);
        house.revoke(SIGNATURE, "0A", "2026-03-01T12:00:00Z", Reason::Superseded);
        let mut publisher = house.publisher(CrlSettings::default());
        run(&mut publisher);
        let now = house.clock.now();
        assert!(store.writer().write(move |tx| tx.retire_ca_key(SIGNATURE, now)).unwrap());
        let last = run(&mut publisher);
        assert_eq!(last.iter().map(|one| (one.list.ca_key, one.list.cause, one.list.entries)).collect::<Vec<_>>(), [(SIGNATURE, CrlCause::Final, 1)]);
        assert_eq!(last[0].list.next_update, at("9999-12-31T23:59:59Z"));
        let said = openssl_crl(&house.octets(SIGNATURE, 0), house.issuers[0].ca_key().certificate_der());
        assert!(said.contains("Next Update: Dec 31 23:59:59 9999 GMT"), "{said}");
        house.clock.set("2026-03-02T13:00:00Z");
        assert_eq!(run(&mut publisher).iter().map(|one| one.list.ca_key).collect::<Vec<_>>(), [AUTHENTICATION]);
        assert_eq!(run(&mut house.publisher(CrlSettings::default())), []);
    }

    fn earlier_lists_are_kept_for_days_and_those_made_at_once_for_an_hour(store) {
        let house = house(store);
        house.put(SIGNATURE, &["0A"]);
        let mut publisher = house.publisher(CrlSettings { keep_days: 1, ..at_once() });
        run(&mut publisher);
        house.revoke(SIGNATURE, "0A", "2026-03-01T12:31:00Z", Reason::Superseded);
        house.clock.set("2026-03-01T12:32:00Z");
        assert_eq!(run(&mut publisher)[0].list.cause, CrlCause::Revocation);
        let kept = || store.reader().crls_kept(SIGNATURE, 0).unwrap().iter().map(|list| list.number).collect::<Vec<_>>();
        for (when, expected) in [
            ("2026-03-01T13:00:00Z", vec![3, 2, 1]),
            ("2026-03-01T14:00:00Z", vec![4, 3, 2, 1]),
            ("2026-03-01T14:30:00Z", vec![4, 3, 1]),
            ("2026-03-02T12:30:00.001Z", vec![5, 4, 3]),
            ("2026-03-05T12:00:00Z", vec![6, 5]),
        ] {
            house.clock.set(when);
            run(&mut publisher);
            assert_eq!(kept(), expected, "{when}");
            let mut here = house.shelf().numbers("signature-1").unwrap();
            here.reverse();
            assert_eq!(here, expected, "{when}");
        }
    }
}
