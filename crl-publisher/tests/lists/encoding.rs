//! What is written is what another reads, and what we read back.

use std::io::Read;

use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use ca_core::signer::KeyType;
use chrono::{DateTime, Utc};
use crl_publisher::list::{Heading, ListFault};
use crl_publisher::read_back::{Ending, ReadBack, ReadFault};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use schema::crl::ListedRevocation;

use crate::house::{House, entry, heading, some};
use crate::oracle;
use crate::support::at;

fn read(from: impl Read) -> Result<(Vec<ListedRevocation>, Ending), ReadFault> {
    let mut list = ReadBack::begin(from)?;
    let mut entries = Vec::new();
    while let Some(entry) = list.next_entry()? {
        entries.push(entry);
    }
    Ok((entries, list.finish()?))
}

/// A file that gives as many octets at a time as it pleases.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = into.len().min(self.1).min(self.0.len());
        into[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

prop_compose! {
    fn time()(seconds in prop_oneof![0..4_102_444_800_i64, 0..253_402_300_800_i64]) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }
}

prop_compose! {
    fn listed()(
        magnitude in vec(any::<u8>(), 1..=19),
        at in time(),
        reason in prop::sample::select(RevocationReason::ALL.to_vec()),
        invalidity in option::of(time()),
    ) -> ListedRevocation {
        let serial = SerialNumber::from_magnitude(&magnitude).unwrap();
        ListedRevocation { serial, revocation: Revocation { at, reason, invalidity } }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_list_reads_as_what_went_in_by_ourselves_and_by_others(
        mut entries in vec(listed(), 0..40),
        number in any::<u64>(),
        this_update in time(),
        next_update in time(),
        shard in 0..1024_u16,
        (key_type, at_a_time) in (prop::sample::select(vec![KeyType::EcdsaP256, KeyType::EcdsaP384]), 1..200_usize),
    ) {
        entries.sort_by(|one, other| one.serial.cmp(&other.serial));
        entries.dedup_by(|one, other| one.serial == other.serial);
        let house = House::of(key_type, shard);
        let heading = Heading { number, this_update, next_update };
        let der = house.write(&heading, &entries);

        let list = oracle::decode(&der);
        prop_assert_eq!(oracle::entries(&list), entries.clone());
        prop_assert_eq!(list.tbs_cert_list.revoked_certificates.is_some(), !entries.is_empty());

        let begun = ReadBack::begin(der.as_slice()).unwrap();
        prop_assert_eq!((begun.head().this_update, begun.head().next_update), (this_update, next_update));
        let (found, ending) = read(Slow(&der, at_a_time)).unwrap();
        prop_assert_eq!(&found, &entries);
        prop_assert_eq!((ending.number(), ending.entries, ending.octets), (Some(number), entries.len() as u64, der.len() as u64));
        prop_assert_eq!(ending.distribution_point().unwrap(), house.issuer.ca_key().distribution_point(shard).name_der);
        prop_assert!(ending.is_signed_by(house.issuer.ca_key().subject_public_key()));
        prop_assert_eq!(ending.sha256, ca_core::digest::Sha256Digest::of(&der));
    }

    #[test]
    fn whatever_octets_come_reading_ends_and_does_not_panic(octets in vec(any::<u8>(), 0..400), place in any::<prop::sample::Index>()) {
        let _ = read(octets.as_slice());
        let mut der = WRITTEN.clone();
        let place = place.index(der.len());
        der.splice(place..(place + octets.len() / 8).min(WRITTEN.len()), octets);
        let _ = read(der.as_slice());
    }
}

static WRITTEN: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| House::new().write(&heading(1), &some()));

#[test]
fn a_list_of_many_pieces_reads_as_what_went_in_whoever_signs() {
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048] {
        let house = House::of(key_type, 3);
        let entries: Vec<_> = (0..20_000_u32)
            .map(|number| {
                let serial = SerialNumber::from_magnitude(&(0x7000_0000 + number).to_be_bytes()).unwrap();
                let reason = RevocationReason::ALL[number as usize % RevocationReason::ALL.len()];
                ListedRevocation { serial, revocation: Revocation::new(at("2026-02-01T00:00:00Z"), reason) }
            })
            .collect();
        let der = house.write(&heading(1), &entries);
        assert!(der.len() > 512 * 1024, "several buffers: {}", der.len());
        let (found, ending) = read(der.as_slice()).unwrap();
        assert_eq!(found, entries);
        assert!(ending.is_signed_by(house.issuer.ca_key().subject_public_key()));
        let list = oracle::decode(&der);
        assert_eq!(list.signature.raw_bytes().len() > 200, key_type == KeyType::Rsa2048);
        house.check(&der, &heading(1), entries.len(), None).unwrap();
    }
}

#[test]
fn every_length_around_where_lengths_grow_is_right() {
    // With one entry more or less, and times of either form, the lengths of list, signed part and entries pass 128, 256 and 65,536.
    let house = House::new();
    for count in (0..6).chain(1_560..1_575) {
        let entries: Vec<_> =
            (0..count).map(|number| entry(&format!("7F00{number:012X}"), "2050-01-01T00:00:00Z", RevocationReason::Superseded)).collect();
        let der = house.write(&heading(1), &entries);
        assert_eq!(oracle::entries(&oracle::decode(&der)), entries);
        assert_eq!(read(der.as_slice()).unwrap().0, entries);
    }
}

#[test]
fn times_that_no_list_can_say_are_refused_and_leave_nothing_behind() {
    let house = House::new();
    let mut old = entry("01", "1969-12-31T23:59:59Z", RevocationReason::Superseded);
    assert!(matches!(house.try_write(&heading(1), &[old.clone()]), Err(ListFault::Time(_))));
    old.revocation = Revocation {
        invalidity: Some(at("+10000-01-01T00:00:00Z")),
        ..Revocation::new(at("2026-02-01T00:00:00Z"), RevocationReason::Superseded)
    };
    assert!(matches!(house.try_write(&heading(1), &[old]), Err(ListFault::Time(_))));
    let never = Heading { next_update: at("+10000-01-01T00:00:00Z"), ..heading(1) };
    assert!(matches!(house.try_write(&never, &some()), Err(ListFault::Time("nextUpdate"))));
    assert!(!house.path("entries").exists() && !house.path("1.crl").exists());
    let nowhere = crl_publisher::list::ListWriter::begin(&house.path("no/such/directory"));
    assert!(matches!(nowhere, Err(ListFault::File { .. })));
}

#[test]
fn a_list_that_ends_early_or_goes_on_is_none() {
    for length in 0..WRITTEN.len() {
        assert!(matches!(read(&WRITTEN[..length]), Err(ReadFault::Truncated)), "{length} octets");
    }
    let more = [WRITTEN.as_slice(), &[0]].concat();
    assert!(matches!(read(more.as_slice()), Err(ReadFault::Malformed("end"))));
}

#[test]
fn a_header_that_claims_gigabytes_takes_no_memory_for_them() {
    // The issuer of a list, said to have 1 GiB.
    let start = b"\x30\x84\x50\x00\x00\x00\x30\x84\x4F\x00\x00\x00\x02\x01\x01\x30\x0A\x06\x08\x2A\x86\x48\xCE\x3D\x04\x03\x02\x30\x84\x40\x00\x00\x00";
    let fault = ReadBack::begin(start.chain(std::io::repeat(0))).unwrap_err();
    assert!(matches!(fault, ReadFault::Malformed("issuer")), "{fault}");
}
