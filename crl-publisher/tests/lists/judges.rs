//! OpenSSL, GnuTLS and pkilint, on lists of every sort.

use std::path::Path;
use std::process::Command;

use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason as Reason};
use ca_core::signer::{FileSigner, KeyType};
use chrono::{SubsecRound, TimeDelta, Utc};
use crl_publisher::list::Heading;
use schema::crl::ListedRevocation;

use crate::house::{House, SERIAL, entry, heading, some};
use crate::support::{at, issuer_with_key, openssl, openssl_crl, serial, write_pem};

#[test]
fn openssl_verifies_lists_of_every_type_of_key_and_reads_what_was_written() {
    for (key_type, shard, url) in [
        (KeyType::EcdsaP256, 0, "URI:http://status.example/crl/signature-1.crl"),
        (KeyType::EcdsaP384, 17, "URI:http://status.example/crl/signature-1-17.crl"),
        (KeyType::Rsa2048, 1_023, "URI:http://status.example/crl/signature-1-1023.crl"),
    ] {
        let house = House::of(key_type, shard);
        let der = house.write(&heading(258), &some());
        house.check(&der, &heading(258), 4, None).unwrap();
        let said = openssl_crl(&der, house.issuer.ca_key().certificate_der());
        for line in [
            "Version 2 (0x1)",
            "Last Update: Mar  1 12:00:00 2026 GMT",
            "Next Update: Mar  1 19:00:00 2026 GMT",
            "X509v3 Authority Key Identifier",
            "X509v3 CRL Number: \n                258",
            "X509v3 Issuing Distribution Point: critical",
            url,
            SERIAL,
            "Revocation Date: Feb  2 10:20:30 2026 GMT",
            "Affiliation Changed",
            "Certificate Hold",
            "Invalidity Date: \n                Jan 31 23:59:59 2026 GMT",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
        assert_eq!(said.matches("X509v3 CRL Reason Code").count(), 3, "unspecified is left out: {said}");
    }
}

#[test]
fn openssl_gnutls_and_pkilint_accept_every_sort_of_list() {
    let lists = tempfile::tempdir().unwrap();
    let now = Utc::now().trunc_subsecs(0);
    let soon = Heading { number: 1, this_update: now, next_update: now + TimeDelta::hours(1) };
    let last = Heading { number: u64::MAX, next_update: Heading::NEVER, ..soon };
    let later = vec![entry("01", "2050-01-01T00:00:00Z", Reason::Superseded), entry("02", "9999-12-31T23:59:59Z", Reason::KeyCompromise)];
    let only_invalid = Revocation { invalidity: Some(at("1970-01-01T00:00:00Z")), ..Revocation::new(now, Reason::Unspecified) };
    let only_invalid = vec![ListedRevocation { serial: serial("7F"), revocation: only_invalid }];
    for (sort, key_type, shard, heading, entries, gnutls, said_by_openssl) in [
        ("full", KeyType::EcdsaP256, 0, soon, some(), "Revoked certificates (4)", "Certificate Hold"),
        ("shard", KeyType::EcdsaP384, 5, soon, some(), "Revoked certificates (4)", "/crl/signature-1-5.crl"),
        ("empty", KeyType::EcdsaP256, 0, soon, vec![], "No revoked certificates", "No Revoked Certificates"),
        ("final", KeyType::EcdsaP256, 0, last, some(), "Fri Dec 31 23:59:59 UTC 9999", "Next Update: Dec 31 23:59:59 9999 GMT"),
        ("invalidity date alone", KeyType::EcdsaP256, 0, soon, only_invalid, "Revoked certificates (1)", "Jan  1 00:00:00 1970 GMT"),
        ("beyond 2049", KeyType::EcdsaP256, 0, soon, later, "Sat Jan 01 00:00:00 UTC 2050", "Revocation Date: Dec 31 23:59:59 9999 GMT"),
        ("signed by RSA", KeyType::Rsa2048, 0, soon, some(), "Revoked certificates (4)", "sha256WithRSAEncryption"),
    ] {
        let house = House::built(key_type, shard, now);
        let der = house.write(&heading, &entries);
        house.check(&der, &heading, entries.len(), None).unwrap();
        let said = openssl_crl(&der, house.issuer.ca_key().certificate_der());
        assert!(said.contains(said_by_openssl), "{sort}: {said}");
        let said = certtool(&house, &der);
        assert!(said.contains("Verification output: Verified"), "{sort}: {said}");
        assert!(said.contains(gnutls), "{sort}: {said}");
        std::fs::write(lists.path().join(format!("crl-signature-{}.crl", sort.replace(' ', "-"))), der).unwrap();
    }
    pkilint_finds_nothing(lists.path());
}

fn pkilint_finds_nothing(lists: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/pkilint-judge");
    let output = Command::new(script).arg(lists).args(["--expect", "crl"]).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("7 × crl, 0 × ocsp; findings: 0"), "{said}");
}

/// What GnuTLS says of a list, and of its signature by the CA certificate, now.
fn certtool(house: &House, crl: &[u8]) -> String {
    let path = |name: &str| house.path(name).to_str().unwrap().to_owned();
    std::fs::write(path("judged.der"), crl).unwrap();
    openssl(&["crl", "-inform", "der", "-in", &path("judged.der"), "-out", &path("judged.pem")]);
    write_pem(house.issuer.ca_key().certificate_der(), &house.path("ca.pem"));
    let run = |arguments: &[&str]| {
        let output = Command::new("certtool").args(arguments).env("TZ", "UTC").output();
        let output = output.expect("certtool (gnutls-bin) is needed for this test");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let verified = run(&["--verify-crl", "--load-ca-certificate", &path("ca.pem"), "--infile", &path("judged.pem")]);
    verified + &run(&["--crl-info", "--infile", &path("judged.pem")])
}

#[test]
fn openssl_finds_a_certificate_revoked_by_the_list_of_its_own_distribution_point_only() {
    let now = Utc::now().trunc_subsecs(0);
    let signer = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let mut house = House::new();
    let path = |name: &str| house.path(name).to_str().unwrap().to_owned();
    signer.save(&house.path("ca.key"), &"secret".to_owned().into()).unwrap();
    let issuer = issuer_with_key(1, CertificateKind::Signature, 1, signer, now);
    write_pem(issuer.ca_key().certificate_der(), &house.path("ca.pem"));
    let (ca, key, ca_key) = (path("ca.pem"), path("holder.key"), path("ca.key"));
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &key]);
    openssl(&["req", "-new", "-key", &key, "-subj", "/C=JP/CN=holder", "-out", &path("holder.csr")]);
    let heading = Heading { number: 1, this_update: now, next_update: now + TimeDelta::hours(1) };
    house.issuer = issuer;
    for (of, list_of, number, verdict) in [
        (0, 0, "01", "certificate revoked"),
        (0, 0, "02", "OK"),
        (7, 7, "01", "certificate revoked"),
        (7, 7, "02", "OK"),
        (7, 0, "01", "different CRL scope"),
        (0, 7, "01", "different CRL scope"),
    ] {
        house.shard = list_of;
        let path = |name: &str| house.path(name).to_str().unwrap().to_owned();
        let extensions = format!(
            "crlDistributionPoints=URI:{}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\nbasicConstraints=critical,CA:FALSE\n",
            house.issuer.ca_key().distribution_point(of).url
        );
        std::fs::write(path("holder.cnf"), extensions).unwrap();
        let (csr, cnf, pem) = (path("holder.csr"), path("holder.cnf"), path("holder.pem"));
        let signed = ["x509", "-req", "-in", &csr, "-CA", &ca, "-CAkey", &ca_key, "-passin", "pass:secret", "-extfile", &cnf, "-out", &pem];
        openssl(&[signed.as_slice(), &["-set_serial", &format!("0x{number}"), "-days", "30"]].concat());
        let revoked = ListedRevocation { serial: serial("01"), revocation: Revocation::new(now, Reason::Superseded) };
        std::fs::write(path("list.crl"), house.write(&heading, &[revoked])).unwrap();
        openssl(&["crl", "-inform", "der", "-in", &path("list.crl"), "-out", &path("list.pem")]);
        let output = Command::new("openssl")
            .args(["verify", "-x509_strict", "-crl_check", "-CAfile", &ca, "-CRLfile", &path("list.pem"), &pem])
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(verdict), "certificate of shard {of}, list of {list_of}, {number}: {said}");
    }
}
