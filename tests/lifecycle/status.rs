//! What relying parties will read of a certificate: the list that it names, and since when it was invalid.

use std::collections::HashMap;
use std::num::NonZeroU16;

use ca_core::issuer::CaKeyId;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sandbox::operator::{OperatorAction, Target};
use sandbox::reason::Reason;
use sandbox::relying_party::crl_url;
use schema::EventPosition;
use schema::certificate::CertificateSummary;
use schema::history::StoryEntry;
use schema::on_each_database;

use crate::instructions::hold;
use crate::rooms::{Ca, CaWish, Rooms};

/// A CA whose certificates are spread over so many lists.
fn spreading(rooms: &Rooms<'_>, name: &str, shards: u16) -> Ca {
    let shards = NonZeroU16::new(shards).unwrap();
    rooms.outfit.ca(CaWish { shards, ..CaWish::named(name) }).leading()
}

fn open_shards(rooms: &Rooms<'_>, ca_key: CaKeyId) -> Vec<u16> {
    let scopes = rooms.reader.crl_scopes().unwrap();
    scopes.into_iter().filter(|scope| scope.ca_key == ca_key).map(|scope| scope.shard).collect()
}

/// The shard of each certificate, as whoever follows its status hears of it.
fn stored_shards(rooms: &Rooms<'_>) -> HashMap<SerialNumber, u16> {
    let (changes, _) = rooms.reader.status_changes_after(EventPosition(0), 1_000).unwrap();
    changes.into_iter().map(|change| (change.serial, change.shard)).collect()
}

/// The address of the list that a certificate names.
fn named(rooms: &Rooms<'_>, certificate: &CertificateSummary) -> String {
    let detail = rooms.reader.certificate_detail(Some(certificate.kind), &certificate.serial).unwrap().unwrap();
    crl_url(&detail.der).unwrap()
}

fn revoke(target: Target, invalid_since: Option<DateTime<Utc>>) -> OperatorAction {
    let invalid_since = invalid_since.map(|since| since.to_rfc3339());
    OperatorAction::Revoke { target, reason: Reason::KeyCompromise, invalid_since, ticket: "seen for sale".to_owned() }
}

/// The entry of the revocation in a certificate's story.
fn told(rooms: &Rooms<'_>, certificate: &CertificateSummary) -> StoryEntry {
    let history = rooms.reader.history(Some(certificate.kind), &certificate.serial).unwrap().unwrap();
    history.story.into_iter().find(|entry| entry.what.as_str() == "certificate.revoked").unwrap()
}

on_each_database! {
    fn a_certificate_names_the_list_of_its_shard_whatever_the_number_of_shards_is_later(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let ca = spreading(&rooms, "eight", 8);
        for _ in 0..8 {
            rooms.phone(&ca, &card);
        }
        let certificates = rooms.certificates(&card);
        assert_eq!(certificates.len(), 16);
        let before: Vec<String> = certificates.iter().map(|certificate| named(&rooms, certificate)).collect();
        for ca_key in rooms.reader.ca_keys().unwrap() {
            assert_eq!(open_shards(&rooms, ca_key.id()), (0..8).collect::<Vec<_>>());
            let own = certificates.iter().zip(&before).filter(|(certificate, _)| certificate.kind == ca_key.kind());
            let stored = stored_shards(&rooms);
            let mut shards = Vec::new();
            for (certificate, url) in own {
                let shard = stored[&certificate.serial];
                assert_eq!(*url, ca_key.distribution_point(shard).url);
                let [.., a, b, c, d] = *certificate.serial.as_bytes() else { panic!("a short serial number") };
                assert_eq!(u32::from(shard), u32::from_be_bytes([a, b, c, d]) % 8);
                shards.push(shard);
            }
            shards.sort_unstable();
            shards.dedup();
            assert!(shards.len() > 1, "eight certificates of one shard");
        }
        ca.stand_down();
        let ca = spreading(&rooms, "two", 2);
        let phone = rooms.phone(&ca, &card);
        let stored = stored_shards(&rooms);
        assert!(phone.certificates.iter().all(|(certificate, _)| stored[&certificate.serial] < 2));
        let after: Vec<String> = certificates.iter().map(|certificate| named(&rooms, certificate)).collect();
        assert_eq!(before, after);
        for ca_key in rooms.reader.ca_keys().unwrap() {
            assert_eq!(open_shards(&rooms, ca_key.id()).len(), 8, "a list once named goes on");
        }
        rooms.sound();
    }

    fn an_operator_may_say_since_when_a_certificate_was_invalid(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let administrator = rooms.operators.operator("alice", "administrator");
        let now = Utc::now().trunc_subsecs(0);
        let since = now - TimeDelta::days(3);

        let (card, other) = (rooms.card(), rooms.card());
        let phone = rooms.phone(&ca, &card);
        let too_early = rooms.instruct(&administrator, &revoke(Target::device(&phone.device), Some(now + TimeDelta::hours(1))));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&too_early), "invalid_since_in_future");
        let revoked = rooms.instruct(&administrator, &revoke(Target::device(&phone.device), Some(since)));
        ca.role.take_instructions().unwrap();
        rooms.outcome(&revoked);
        for certificate in rooms.certificates(&card) {
            let revocation = certificate.revocation.unwrap();
            assert!(revocation.at >= now);
            assert_eq!(revocation.invalidity, Some(since));
            assert_eq!(told(&rooms, &certificate).invalid_since, Some(since));
        }

        // On hold before it was invalid: told as revoked since then, and nobody needs to know more.
        let held = rooms.phone(&ca, &other);
        rooms.instruct(&administrator, &hold(Target::device(&held.device)));
        ca.role.take_instructions().unwrap();
        ca.clock.set_ahead(120);
        ca.role.lead().unwrap();
        ca.role.draw_beacon_if_due().unwrap();
        rooms.instruct(&administrator, &revoke(Target::device(&held.device), Some(now + TimeDelta::seconds(60))));
        ca.role.take_instructions().unwrap();
        for certificate in rooms.certificates(&other) {
            let revocation = certificate.revocation.unwrap();
            assert!(revocation.reason.is_permanent() && revocation.at < now + TimeDelta::seconds(60));
            assert_eq!((revocation.invalidity, told(&rooms, &certificate).invalid_since), (None, None));
        }
        rooms.sound();
    }
}
