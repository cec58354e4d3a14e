//! What a shelf knows of lists that the store has forgotten.

use std::sync::Arc;

use ca_core::clock::Clock as _;
use crl_publisher::health::warnings;
use crl_publisher::list::{Heading, ListWriter};
use crl_publisher::{CrlSettings, Filler, Shelf};
use schema::on_each_database;

use crate::house::{House, SIGNATURE, house, run};
use crate::support::at;

/// Writes a list of that number in place of whatever is on the shelf; its octets.
fn put(house: &House<'_>, number: u64) -> Vec<u8> {
    let path = house.directory.path().join("signature-1").join(format!("{number}.crl"));
    // The list in force is another name of that file.
    drop(std::fs::remove_file(&path));
    let heading = Heading { number, this_update: at("2026-03-01T12:00:00Z"), next_update: at("2026-03-01T19:00:00Z") };
    let writer = ListWriter::begin(&path.with_extension("entries")).unwrap();
    writer.finish(&heading, &house.issuers[0], 0, &path).unwrap();
    std::fs::read(&path).unwrap()
}

fn told(house: &House<'_>, shelf: &Shelf) -> Vec<String> {
    warnings(&house.store.reader(), &CrlSettings::default(), shelf, house.clock.now()).unwrap()
}

on_each_database! {
    fn another_list_of_a_published_number_is_kept_aside_and_the_published_one_put_in_its_place(store) {
        let house = house(store);
        run(&mut house.publisher(CrlSettings::default()));
        let other = put(&house, 1);
        let shelf = Arc::new(house.shelf());
        assert_eq!(told(&house, &shelf), Vec::<String>::new());
        assert!(Filler::new(Arc::clone(&shelf), store.reader()).look().unwrap().is_empty());
        house.assert_whole(SIGNATURE);
        let aside = shelf.kept_aside().unwrap();
        assert_eq!(aside.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>(), [other]);
        let said = told(&house, &shelf);
        assert!(said.len() == 1 && said[0].contains("/aside/signature-1-1-"), "{said:?}");
        // What the CA key did not sign proves nothing.
        let path = house.directory.path().join("signature-1").join("1.crl");
        let mut octets = std::fs::read(&path).unwrap();
        *octets.last_mut().unwrap() ^= 1;
        std::fs::write(&path, octets).unwrap();
        let shelf = Arc::new(house.shelf());
        assert!(Filler::new(Arc::clone(&shelf), store.reader()).look().unwrap().is_empty());
        house.assert_whole(SIGNATURE);
        assert_eq!(shelf.kept_aside().unwrap(), aside);
    }

    fn a_list_above_the_stores_latest_is_told_and_stays(store) {
        let house = house(store);
        run(&mut house.publisher(CrlSettings::default()));
        let ninth = put(&house, 9);
        let shelf = Arc::new(house.shelf());
        let said = told(&house, &shelf);
        assert_eq!(said, ["CRL signature-1 number 9 is on the shelf and unknown to the store, which has 1: it went back"]);
        assert!(Filler::new(Arc::clone(&shelf), store.reader()).look().unwrap().is_empty());
        assert_eq!(std::fs::read(house.directory.path().join("signature-1.crl")).unwrap(), ninth);
    }

    fn a_list_of_a_time_to_come_is_told_and_followed_by_a_right_one(store) {
        let house = house(store);
        house.clock.set("2026-03-02T12:30:00Z");
        run(&mut house.publisher(CrlSettings::default()));
        house.clock.set("2026-03-01T12:40:00Z");
        let said = told(&house, &house.shelf());
        assert_eq!(said[0], "CRL signature-1 is of a time to come, 2026-03-02T12:30:00Z: a clock was ahead");
        let right = run(&mut house.publisher(CrlSettings::default()));
        assert_eq!((right.len(), right[0].list.number, right[0].list.this_update), (2, 2, at("2026-03-01T12:40:00Z")));
        assert_eq!(told(&house, &house.shelf()), Vec::<String>::new());
    }
}
