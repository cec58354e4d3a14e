//! A list that is not what it should be does not pass the gate, whatever about it is wrong.

use ca_core::revocation::RevocationReason as Reason;
use ca_core::signer::KeyType;
use crl_publisher::gate::GateFault;
use crl_publisher::list::Heading;
use der::asn1::{BitString, GeneralizedTime, OctetString};
use der::{Decode, Encode};
use x509_cert::Version;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::{RevokedCert, TbsCertList};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

use crate::house::{House, SERIAL, entry, heading, some};
use crate::oracle;
use crate::support::at;

type Tbs = TbsCertList<Rfc5280>;
type Change = fn(&mut Tbs);

fn entries(list: &mut Tbs) -> &mut Vec<RevokedCert> {
    list.revoked_certificates.as_mut().unwrap()
}

/// An extension of an entry.
fn extension_of(list: &mut Tbs, entry: usize, extension: usize) -> &mut Extension {
    &mut entries(list)[entry].crl_entry_extensions.as_mut().unwrap()[extension]
}

fn extensions(list: &mut Tbs) -> &mut Vec<Extension> {
    list.crl_extensions.as_mut().unwrap()
}

fn set(extension: &mut Extension, value: &[u8]) {
    extension.extn_value = OctetString::new(value).unwrap();
}

fn time(text: &str) -> Time {
    ca_core::time::to_time(at(text)).unwrap()
}

/// Changes to a list, by name, and what the gate has to say to it although the right key signed it.
const CHANGES: &[(&str, Change, &str)] = &[
    (
        "an entry is dropped",
        |list| drop(entries(list).remove(1)),
        "certificate 7F00000000000000000000000000000000000001 is on the list before, and neither",
    ),
    (
        "two are dropped",
        |list| drop(entries(list).drain(..2)),
        "2 certificates (01, 7F00000000000000000000000000000000000001) are on the list before",
    ),
    ("all are dropped", |list| list.revoked_certificates = None, "4 certificates (01, 7F"),
    ("an empty list is written", |list| list.revoked_certificates = Some(Vec::new()), "its revokedCertificates is malformed"),
    (
        "two are swapped",
        |list| entries(list).swap(1, 2),
        "certificate 7F00000000000000000000000000000000000001 stands on the new list twice, or out of order",
    ),
    (
        "one is there twice",
        |list| {
            let twice = entries(list)[2].clone();
            entries(list).insert(2, twice)
        },
        "certificate 8001 stands on the new list twice",
    ),
    (
        "one too many",
        |list| {
            let mut more = entries(list)[3].clone();
            more.serial_number = SerialNumber::new(&[0, 0x90]).unwrap();
            entries(list).push(more);
        },
        "the new list has 5 of the certificates whose status did not change while it was made, the database 4, at position 77",
    ),
    (
        "a revocation is dated otherwise",
        |list| entries(list)[1].revocation_date = time("2026-02-02T10:20:29Z"),
        "certificate 7F00000000000000000000000000000000000001 is on the new list otherwise",
    ),
    (
        "a hold begins earlier",
        |list| entries(list)[2].revocation_date = time("2026-02-02T23:59:59Z"),
        "certificate 8001 is on the new list otherwise",
    ),
    (
        "a reason is another",
        |list| set(extension_of(list, 1, 0), &[0x0A, 1, 4]),
        "certificate 7F00000000000000000000000000000000000001 is on the new list otherwise",
    ),
    ("a revocation becomes a hold", |list| set(extension_of(list, 1, 0), &[0x0A, 1, 6]), "is on the new list otherwise"),
    ("a reason is left out", |list| entries(list)[1].crl_entry_extensions = None, "is on the new list otherwise"),
    (
        "invalid since another day",
        |list| set(extension_of(list, 3, 1), b"\x18\x0F20260130235959Z"),
        "certificate 8002 is on the new list otherwise",
    ),
    (
        "no longer known since when",
        |list| drop(entries(list)[3].crl_entry_extensions.as_mut().unwrap().remove(1)),
        "certificate 8002 is on the new list otherwise",
    ),
    // What we never write.
    ("unspecified is said", |list| set(extension_of(list, 1, 0), &[0x0A, 1, 0]), "entry 2 is malformed"),
    ("removeFromCRL in a full list", |list| set(extension_of(list, 1, 0), &[0x0A, 1, 8]), "entry 2 is malformed"),
    ("a reason that is none", |list| set(extension_of(list, 1, 0), &[0x0A, 1, 7]), "entry 2 is malformed"),
    ("a reason of two octets", |list| set(extension_of(list, 1, 0), &[0x0A, 2, 0, 4]), "entry 2 is malformed"),
    ("a critical reason", |list| extension_of(list, 1, 0).critical = true, "entry 2 is malformed"),
    (
        "a reason twice",
        |list| {
            let twice = extension_of(list, 1, 0).clone();
            entries(list)[1].crl_entry_extensions.as_mut().unwrap().push(twice)
        },
        "entry 2 is malformed",
    ),
    ("invalidityDate before reasonCode", |list| entries(list)[3].crl_entry_extensions.as_mut().unwrap().swap(0, 1), "entry 4 is malformed"),
    (
        "an extension of an entry that is none of ours",
        |list| extension_of(list, 3, 1).extn_id = const_oid::db::rfc5280::ID_CE_CERTIFICATE_ISSUER,
        "entry 4 is malformed",
    ),
    ("no extensions, said so", |list| entries(list)[0].crl_entry_extensions = Some(Vec::new()), "entry 1 is malformed"),
    ("invalid since a UTCTime", |list| set(extension_of(list, 3, 1), b"\x17\x0D260131235959Z"), "entry 4 is malformed"),
    ("a fraction of a second", |list| set(extension_of(list, 3, 1), b"\x18\x1120260131235959.5Z"), "entry 4 is malformed"),
    (
        "GeneralizedTime before 2050",
        |list| {
            let date = der::DateTime::new(2026, 2, 1, 0, 0, 0).unwrap();
            entries(list)[0].revocation_date = Time::GeneralTime(GeneralizedTime::from_date_time(date));
        },
        "entry 1 is malformed",
    ),
    // Fields.
    ("version 1", |list| list.version = Version::V1, "its version is malformed"),
    ("version 3", |list| list.version = Version::V3, "its version is malformed"),
    (
        "another algorithm inside",
        |list| list.signature.oid = const_oid::db::rfc5912::ECDSA_WITH_SHA_384,
        "the new list's signature algorithm is not",
    ),
    (
        "an algorithm unknown to us",
        |list| list.signature.oid = const_oid::db::rfc5912::ECDSA_WITH_SHA_512,
        "signature algorithm is none of ours",
    ),
    (
        "another issuer",
        |list| list.issuer = Name::from_der(b"\x30\x0D\x31\x0B\x30\x09\x06\x03\x55\x04\x06\x13\x02JP").unwrap(),
        "the new list's issuer is not",
    ),
    ("thisUpdate a second later", |list| list.this_update = time("2026-03-01T12:00:01Z"), "the new list's thisUpdate is not"),
    ("nextUpdate a second later", |list| list.next_update = Some(time("2026-03-01T19:00:01Z")), "the new list's nextUpdate is not"),
    ("no nextUpdate", |list| list.next_update = None, "its nextUpdate is malformed"),
    ("no extensions", |list| list.crl_extensions = None, "its crlExtensions is malformed"),
    (
        "another key identifier",
        |list| set(&mut extensions(list)[0], b"\x30\x06\x80\x04abcd"),
        "the new list's authorityKeyIdentifier is not",
    ),
    ("another number", |list| set(&mut extensions(list)[1], &[2, 1, 8]), "the new list's cRLNumber is not"),
    ("a negative number", |list| set(&mut extensions(list)[1], &[2, 1, 0x87]), "the new list's cRLNumber is not"),
    ("a number with a zero before it", |list| set(&mut extensions(list)[1], &[2, 2, 0, 7]), "the new list's cRLNumber is not"),
    ("a number of 72 bits", |list| set(&mut extensions(list)[1], &[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 7]), "the new list's cRLNumber is not"),
    ("a critical number", |list| extensions(list)[1].critical = true, "the new list's set of extensions is not"),
    (
        "the distribution point of another shard",
        |list| {
            let another = [b"\x30\x33\xA0\x31\xA0\x2F\x86\x2D".as_slice(), b"http://status.example/crl/signature-1-170.crl"].concat();
            set(&mut extensions(list)[2], &another);
        },
        "the new list's issuingDistributionPoint is not",
    ),
    (
        "only some certificates",
        |list| {
            let point = extensions(list)[2].extn_value.as_bytes().to_vec();
            let more = [&[0x30, point[1] + 3], &point[2..], &[0x81, 1, 0xFF]].concat();
            set(&mut extensions(list)[2], &more);
        },
        "the new list's issuingDistributionPoint is not",
    ),
    ("a distribution point that may be overlooked", |list| extensions(list)[2].critical = false, "the new list's set of extensions is not"),
    ("no distribution point", |list| drop(extensions(list).remove(2)), "the new list's set of extensions is not"),
    (
        "a delta list's extension",
        |list| {
            let mut delta = extensions(list)[1].clone();
            delta.extn_id = const_oid::db::rfc5280::ID_CE_DELTA_CRL_INDICATOR;
            extensions(list).push(delta);
        },
        "the new list's set of extensions is not",
    ),
    ("extensions in another order", |list| extensions(list).swap(0, 1), "the new list's set of extensions is not"),
];

#[test]
fn one_thing_wrong_is_refused_for_what_it_is_although_the_right_key_signed_it() {
    let house = House::new();
    let before = house.write(&Heading { number: 6, ..heading(6) }, &some());
    let der = house.write(&heading(7), &some());
    let check = |der: &[u8]| house.check(der, &heading(7), some().len(), Some((&before, 6)));
    check(&oracle::changed(&house.issuer, &der, |_| ())).unwrap();
    for (name, change, wanted) in CHANGES {
        let wrong = oracle::changed(&house.issuer, &der, change);
        match check(&wrong) {
            Ok(report) => panic!("{name}: let through: {report:?}"),
            Err(fault) => assert!(fault.to_string().contains(wanted), "{name}: {fault}"),
        }
    }
}

#[test]
fn nothing_passes_with_any_octet_changed_or_cut_off() {
    let house = House::new();
    let der = house.write(&heading(7), &some());
    let check = |der: &[u8]| house.check(der, &heading(7), some().len(), None);
    check(&der).unwrap();
    for position in 0..der.len() {
        let mut changed = der.clone();
        changed[position] ^= 1 << (position % 8);
        assert!(check(&changed).is_err(), "octet {position}");
        assert!(check(&der[..position]).is_err(), "{position} octets");
    }
    assert!(check(&[der.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn another_key_of_the_same_name_or_another_algorithm_of_it_signs_nothing_for_us() {
    let house = House::new();
    let stranger = House::new().write(&heading(7), &some());
    let check = |der: &[u8]| house.check(der, &heading(7), some().len(), None);
    // The key identifier is right, the key is not.
    let identifier = oracle::decode(&house.write(&heading(7), &some())).tbs_cert_list.crl_extensions.unwrap()[0].clone();
    let mut forged = oracle::decode(&stranger);
    forged.tbs_cert_list.crl_extensions.as_mut().unwrap()[0] = identifier;
    assert!(matches!(check(&forged.to_der().unwrap()), Err(GateFault::Signature)));
    assert!(matches!(check(&stranger), Err(GateFault::Signature)));

    let p384 = House::of(KeyType::EcdsaP384, 0).write(&heading(7), &some());
    assert!(matches!(check(&p384), Err(GateFault::Field("signature algorithm"))));

    let mut unused_bits = oracle::decode(&house.write(&heading(7), &some()));
    unused_bits.signature = BitString::new(1, [unused_bits.signature.raw_bytes(), &[0]].concat()).unwrap();
    let fault = check(&unused_bits.to_der().unwrap()).unwrap_err();
    assert!(fault.to_string().contains("its signatureValue is malformed"), "{fault}");
}

#[test]
fn a_list_must_say_what_was_to_be_said() {
    let house = House::new();
    let der = house.write(&heading(7), &some());
    let check = |heading: &Heading| house.check(&der, heading, some().len(), None);
    check(&heading(7)).unwrap();
    assert!(matches!(check(&heading(8)), Err(GateFault::Field("cRLNumber"))));
    assert!(matches!(check(&Heading { this_update: at("2026-03-01T12:00:01Z"), ..heading(7) }), Err(GateFault::Field("thisUpdate"))));
    assert!(matches!(check(&Heading { next_update: Heading::NEVER, ..heading(7) }), Err(GateFault::Field("nextUpdate"))));
    let backwards = Heading { next_update: at("2026-03-01T12:00:00Z"), ..heading(7) };
    let der = house.write(&backwards, &some());
    assert!(matches!(house.check(&der, &backwards, some().len(), None), Err(GateFault::Field("nextUpdate"))));
    let last = Heading { next_update: Heading::NEVER, ..heading(7) };
    let der = house.write(&last, &some());
    let report = house.check(&der, &last, some().len(), None).unwrap();
    assert_eq!((report.entries, report.octets), (4, der.len() as u64));
    assert_eq!(report.sha256, ca_core::digest::Sha256Digest::of(&der));
}

#[test]
fn entries_that_the_writer_was_given_in_disorder_are_found() {
    let house = House::new();
    for numbers in [["02", "01"], ["01", "01"]] {
        let entries = numbers.map(|number| entry(number, "2026-02-01T00:00:00Z", Reason::Superseded));
        let der = house.write(&heading(1), &entries);
        assert!(matches!(house.check(&der, &heading(1), 2, None), Err(GateFault::Order(found)) if found == entries[1].serial));
    }
    assert_eq!(some()[1].serial.to_string(), SERIAL);
}
