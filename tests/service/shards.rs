//! Lists in shards, from the setting to the relying party.

use std::collections::BTreeSet;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sandbox::kind::Kind;
use sandbox::phone::{Enrolled, Enrolment};
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspWish, Status, ask_ocsp, crl_url, fetch_crl};

use crate::support::{Installation, until};

/// Four lists for each CA key: every certificate names one of them, is looked for there, and found there when it is revoked.
pub(crate) fn each_certificate_is_on_the_list_that_it_names(installation: &Installation) {
    // Those for relying parties are made before anybody applied, and name shards as well.
    until("test certificates of both kinds", || {
        let certificates = installation.certificates();
        (certificates.iter().filter(|certificate| certificate["test"] == true).count() == 8).then_some(())
    });
    let phones: Vec<Enrolment> = (0..6).map(|_| installation.apply(&installation.card())).collect();
    let own: Vec<&Enrolled> = phones.iter().map(|phone| phone.of(Kind::Signature).unwrap()).collect();
    let ca = installation.ca(Kind::Signature);
    let urls: BTreeSet<String> = own.iter().map(|enrolled| crl_url(&enrolled.certificate).unwrap()).collect();
    let named = |shard: &str| format!("http://{}/crl/signature-1{shard}.crl", installation.status);
    let allowed: BTreeSet<String> = ["", "-1", "-2", "-3"].map(named).into();
    assert!(urls.is_subset(&allowed) && urls.len() > 1, "{urls:?}");
    for enrolled in &own {
        let list = until("the list that the certificate names", || fetch_crl(&enrolled.certificate, &ca).ok());
        assert!(list.entry.is_none());
    }

    let revoked = own[0];
    let since = Utc::now().trunc_subsecs(0) - TimeDelta::days(2);
    let told = since.to_rfc3339();
    installation.json(&[
        "certificate",
        "revoke",
        &revoked.serial,
        "--reason",
        "keyCompromise",
        "--invalid-since",
        &told,
        "--ticket",
        "Found for sale",
    ]);
    let entry = until("the entry on the list", || fetch_crl(&revoked.certificate, &ca).unwrap().entry);
    assert_eq!((entry.reason, entry.invalid_since), (Reason::KeyCompromise, Some(since)));
    let answer = ask_ocsp(&revoked.certificate, &ca, &OcspWish::default()).unwrap();
    assert_eq!(answer.status, Status::Revoked { at: entry.at, reason: Reason::KeyCompromise });
    assert_eq!(answer.invalid_since, Some(since));
    // The others' lists do not name it, and the command line tells what relying parties are told.
    for other in &own[1..] {
        assert!(fetch_crl(&other.certificate, &ca).unwrap().entry.is_none());
    }
    let shown = installation.json(&["certificate", "show", &revoked.serial]);
    let shown: DateTime<Utc> = shown["revocation"]["invalid_since"].as_str().unwrap().parse().unwrap();
    let history = installation.json(&["certificate", "history", &revoked.serial]);
    let history: DateTime<Utc> = history["certificate"]["invalid_since"].as_str().unwrap().parse().unwrap();
    assert_eq!((shown, history), (since, since));
}
