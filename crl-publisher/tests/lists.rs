//! Lists as they are written, and the gate that they must pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ca_core::issuer::Issuer;
use ca_core::kind::CertificateKind;
use ca_core::revocation::RevocationReason as Reason;
use ca_core::serial::SerialNumber;
use ca_core::signer::{FileSigner, KeyType};
use chrono::{SubsecRound, TimeDelta, Utc};
use crl_publisher::before::gate::{self, GateFault, Standing};
use crl_publisher::before::list::{Entries, Heading, sign};
use crl_publisher::before::read_back::ReadBack;
use der::{Decode, Encode};
use schema::StoreFault;
use support::{at, entries, issuer, issuer_with_key, openssl, openssl_crl, serial, write_pem};
use x509_cert::crl::CertificateList;

fn heading(number: u64) -> Heading {
    Heading { number, this_update: at("2026-03-01T12:00:00Z"), next_update: at("2026-03-01T19:00:00Z") }
}

fn signature_ca() -> Issuer {
    issuer(1, CertificateKind::Signature, 1, KeyType::EcdsaP256, at("2026-03-01T00:00:00Z"))
}

const SERIAL: &str = "7F00000000000000000000000000000000000001";

fn some() -> Entries {
    entries(&[
        ("01", "2026-02-01T00:00:00Z", Reason::Unspecified),
        (SERIAL, "2026-02-02T10:20:30Z", Reason::AffiliationChanged),
        ("8001", "2026-02-03T00:00:00Z", Reason::CertificateHold),
    ])
}

fn never(_: &SerialNumber) -> Result<Standing, StoreFault> {
    Ok(Standing::Listed)
}

#[test]
fn openssl_verifies_lists_of_every_type_of_key_and_reads_what_was_written() {
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048] {
        let issuer = issuer(1, CertificateKind::Authentication, 3, key_type, at("2026-03-01T00:00:00Z"));
        let der = sign(&issuer, &heading(258), &some()).unwrap();
        gate::check(&der, &issuer, &heading(258), 3, None, never).unwrap();
        let said = openssl_crl(&der, issuer.ca_key().certificate_der());
        for line in [
            "Version 2 (0x1)",
            "Last Update: Mar  1 12:00:00 2026 GMT",
            "Next Update: Mar  1 19:00:00 2026 GMT",
            "X509v3 Authority Key Identifier",
            "X509v3 CRL Number: \n                258",
            "X509v3 Issuing Distribution Point: critical",
            "URI:http://status.example/crl/authentication-3.crl",
            SERIAL,
            "Revocation Date: Feb  2 10:20:30 2026 GMT",
            "Affiliation Changed",
            "Certificate Hold",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
        assert_eq!(said.matches("X509v3 CRL Reason Code").count(), 2, "unspecified is left out: {said}");
        assert_eq!(CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&der).unwrap().to_der().unwrap(), der);
    }
}

#[test]
fn openssl_finds_a_certificate_revoked_by_the_list_of_its_own_distribution_point_only() {
    let now = Utc::now().trunc_subsecs(0);
    let signer = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    signer.save(&directory.path().join("ca.key"), &"secret".to_owned().into()).unwrap();
    let issuer = issuer_with_key(1, CertificateKind::Signature, 1, signer, now);
    write_pem(issuer.ca_key().certificate_der(), &directory.path().join("ca.pem"));
    let (ca, key, ca_key) = (path("ca.pem"), path("holder.key"), path("ca.key"));
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &key]);
    openssl(&["req", "-new", "-key", &key, "-subj", "/C=JP/CN=holder", "-out", &path("holder.csr")]);
    let heading = Heading { number: 1, this_update: now, next_update: now + TimeDelta::hours(1) };
    let own = issuer.ca_key().urls().crl.clone();
    for (url, number, verdict) in [
        (own.as_str(), "01", "certificate revoked"),
        (own.as_str(), "02", "OK"),
        ("http://status.example/crl/signature-2.crl", "02", "different CRL scope"),
    ] {
        let extensions = format!(
            "crlDistributionPoints=URI:{url}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\nbasicConstraints=critical,CA:FALSE\n"
        );
        std::fs::write(path("holder.cnf"), extensions).unwrap();
        let (csr, cnf, pem) = (path("holder.csr"), path("holder.cnf"), path("holder.pem"));
        let signed = ["x509", "-req", "-in", &csr, "-CA", &ca, "-CAkey", &ca_key, "-passin", "pass:secret", "-extfile", &cnf, "-out", &pem];
        openssl(&[signed.as_slice(), &["-set_serial", &format!("0x{number}"), "-days", "30"]].concat());
        let time = now.to_rfc3339();
        let list = sign(&issuer, &heading, &entries(&[("01", &time, Reason::Superseded)])).unwrap();
        std::fs::write(path("list.crl"), list).unwrap();
        openssl(&["crl", "-inform", "der", "-in", &path("list.crl"), "-out", &path("list.pem")]);
        let output = std::process::Command::new("openssl")
            .args(["verify", "-x509_strict", "-crl_check", "-CAfile", &ca, "-CRLfile", &path("list.pem"), &pem])
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(verdict), "{url} {number}: {said}");
    }
}

#[test]
fn a_list_without_entries_has_no_revoked_certificates_at_all() {
    let issuer = signature_ca();
    let der = sign(&issuer, &heading(1), &Entries::default()).unwrap();
    gate::check(&der, &issuer, &heading(1), 0, None, never).unwrap();
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&der).unwrap();
    assert_eq!(list.tbs_cert_list.revoked_certificates, None);
    assert!(openssl_crl(&der, issuer.ca_key().certificate_der()).contains("No Revoked Certificates"));
}

#[test]
fn the_distribution_point_is_octet_for_octet_that_of_the_certificates() {
    let issuer = signature_ca();
    let der = sign(&issuer, &heading(1), &some()).unwrap();
    let list = ReadBack::from_der(&der).unwrap();
    let point = list.extensions[2].extn_value.as_bytes();
    // SEQUENCE { [0] { DistributionPointName } }
    assert!(point.ends_with(issuer.ca_key().distribution_point_der()));
    assert_eq!(point.len(), issuer.ca_key().distribution_point_der().len() + 4);
}

#[test]
fn the_gate_refuses_another_key_another_heading_and_any_changed_octet() {
    let issuer = signature_ca();
    let der = sign(&issuer, &heading(7), &some()).unwrap();
    let check = |der: &[u8], heading: &Heading, entries| gate::check(der, &issuer, heading, entries, None, never);
    check(&der, &heading(7), 3).unwrap();
    assert!(matches!(check(&der, &heading(8), 3), Err(GateFault::Field("cRLNumber"))));
    assert!(matches!(check(&der, &heading(7), 2), Err(GateFault::Count { expected: 2, found: 3 })));
    let later = Heading { this_update: at("2026-03-01T12:00:01Z"), ..heading(7) };
    assert!(matches!(check(&der, &later, 3), Err(GateFault::Field("thisUpdate"))));
    let longer = Heading { next_update: at("2026-03-01T19:00:01Z"), ..heading(7) };
    assert!(matches!(check(&der, &longer, 3), Err(GateFault::Field("nextUpdate"))));
    let stranger = sign(&signature_ca(), &heading(7), &some()).unwrap();
    assert!(matches!(check(&stranger, &heading(7), 3), Err(GateFault::Signature)));
    for position in 0..der.len() {
        let mut changed = der.clone();
        changed[position] ^= 1;
        assert!(check(&changed, &heading(7), 3).is_err(), "octet {position}");
        assert!(check(&der[..position], &heading(7), 3).is_err());
    }
}

#[test]
fn entries_out_of_order_or_twice_are_not_let_through() {
    let issuer = signature_ca();
    let time = "2026-02-01T00:00:00Z";
    for numbers in [["02", "01"], ["01", "01"]] {
        let entries = entries(&numbers.map(|number| (number, time, Reason::Superseded)));
        let der = sign(&issuer, &heading(1), &entries).unwrap();
        assert!(matches!(gate::check(&der, &issuer, &heading(1), 2, None, never), Err(GateFault::Order)));
    }
}

#[test]
fn the_entry_of_a_revocation_leaves_only_if_its_certificate_expired_and_never_changes() {
    let issuer = signature_ca();
    let before = sign(&issuer, &heading(1), &some()).unwrap();
    let against = |new: &Entries, standing: &dyn Fn(&SerialNumber) -> Result<Standing, StoreFault>| {
        let der = sign(&issuer, &heading(2), new).unwrap();
        gate::check(&der, &issuer, &heading(2), new.count(), Some(&before), standing)
    };
    against(&some(), &never).unwrap();

    let one = ("01", "2026-02-01T00:00:00Z", Reason::Unspecified);
    let middle = (SERIAL, "2026-02-02T10:20:30Z", Reason::AffiliationChanged);
    let held = ("8001", "2026-02-03T00:00:00Z", Reason::CertificateHold);
    let without = entries(&[one, held]);
    assert!(matches!(against(&without, &never), Err(GateFault::Missing(missing)) if missing == serial(SERIAL)));
    against(&without, &|left| Ok(if *left == serial(SERIAL) { Standing::LongExpired } else { Standing::Listed })).unwrap();
    assert!(matches!(against(&without, &|_| Err(StoreFault::Stopped)), Err(GateFault::Store(StoreFault::Stopped))));
    for (last_or_first, missing) in [(entries(&[one, middle]), "8001"), (entries(&[middle, held]), "01")] {
        assert!(matches!(against(&last_or_first, &never), Err(GateFault::Missing(found)) if found == serial(missing)));
    }
    assert!(matches!(against(&Entries::default(), &never), Err(GateFault::Missing(_))));

    let sooner = entries(&[one, (SERIAL, "2026-02-02T10:20:29Z", Reason::AffiliationChanged), held]);
    assert!(matches!(against(&sooner, &never), Err(GateFault::Changed(changed)) if changed == serial(SERIAL)));
    let more = entries(&[("00FF", "2026-02-01T00:00:00Z", Reason::Superseded)]);
    assert!(against(&more, &|_| Ok(Standing::LongExpired)).is_ok());
}

#[test]
fn a_hold_leaves_when_it_was_lifted_or_becomes_permanent_from_its_own_date() {
    let issuer = signature_ca();
    let before = sign(&issuer, &heading(1), &some()).unwrap();
    let against = |new: &Entries, standing: Standing| {
        let der = sign(&issuer, &heading(2), new).unwrap();
        gate::check(&der, &issuer, &heading(2), new.count(), Some(&before), |_| Ok(standing))
    };
    let one = ("01", "2026-02-01T00:00:00Z", Reason::Unspecified);
    let middle = (SERIAL, "2026-02-02T10:20:30Z", Reason::AffiliationChanged);
    let without_hold = entries(&[one, middle]);
    against(&without_hold, Standing::Free).unwrap();
    assert!(matches!(against(&without_hold, Standing::Listed), Err(GateFault::Missing(missing)) if missing == serial("8001")));
    // What was revoked for good stays, even if the store says that the certificate lives again.
    let without_revocation = entries(&[one, ("8001", "2026-02-03T00:00:00Z", Reason::CertificateHold)]);
    assert!(matches!(against(&without_revocation, Standing::Free), Err(GateFault::Missing(missing)) if missing == serial(SERIAL)));

    for (time, reason) in [
        ("2026-02-03T00:00:00Z", Reason::KeyCompromise),
        // Lifted, and later revoked, or held for another cause.
        ("2026-02-04T00:00:00Z", Reason::KeyCompromise),
        ("2026-02-04T00:00:00Z", Reason::CertificateHold),
    ] {
        against(&entries(&[one, middle, ("8001", time, reason)]), Standing::Listed).unwrap();
    }
    let sooner = entries(&[one, middle, ("8001", "2026-02-02T23:59:59Z", Reason::KeyCompromise)]);
    assert!(matches!(against(&sooner, Standing::Listed), Err(GateFault::Changed(changed)) if changed == serial("8001")));
}

#[test]
fn a_clock_set_back_makes_no_older_list() {
    let issuer = signature_ca();
    let before = sign(&issuer, &heading(1), &some()).unwrap();
    let back = Heading { number: 2, this_update: at("2026-03-01T11:59:59Z"), ..heading(2) };
    let der = sign(&issuer, &back, &some()).unwrap();
    assert!(matches!(gate::check(&der, &issuer, &back, 3, Some(&before), never), Err(GateFault::Older)));
}
