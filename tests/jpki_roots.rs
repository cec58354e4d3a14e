//! The real certification authorities of the Japanese Public Key Infrastructure load as anchors.
//!
//! Their certificates are not in this repository: they lie in `jpki-roots` of the directory that `TSUNAGI_SHARED_DATA` names,
//! or of `../shared/data`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use ca_core::card::authority::{CardAuthorities, CardAuthority};
use ca_core::kind::CertificateKind;
use chrono::{DateTime, Utc};

fn directory() -> Option<PathBuf> {
    let data = std::env::var_os("TSUNAGI_SHARED_DATA").map(PathBuf::from);
    let directory = data.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data")).join("jpki-roots");
    if directory.is_dir() {
        return Some(directory);
    }
    eprintln!("NOT TESTED: the JPKI CA certificates are not at {}; TSUNAGI_SHARED_DATA may name another place", directory.display());
    None
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn the_real_jpki_authorities_load_and_are_told_apart_by_their_keys() {
    let Some(directory) = directory() else { return };
    let load = |kind: CertificateKind, name: &str| {
        CardAuthority::from_certificate(kind, &std::fs::read(directory.join(name)).unwrap())
            .unwrap_or_else(|fault| panic!("{name}: {fault}"))
    };
    let mut all = Vec::new();
    for (kind, word) in [(CertificateKind::Signature, "sign"), (CertificateKind::Authentication, "auth")] {
        let (old, new) = (load(kind, &format!("{word}_ca_2015.pem")), load(kind, &format!("{word}_ca_2023.pem")));
        assert_eq!(old.name(), new.name(), "the generations of one CA bear one name");
        assert_ne!(old.key_id(), new.key_id());
        assert!(old.is_valid_at(moment("2020-01-01T00:00:00Z")) && !old.is_valid_at(moment("2026-11-21T00:00:00Z")));
        assert!(!new.is_valid_at(moment("2020-01-01T00:00:00Z")) && new.is_valid_at(moment("2026-11-21T00:00:00Z")));
        all.extend([old, new]);
    }
    let names: Vec<Vec<u8>> = all.iter().map(|authority| authority.name().to_vec()).collect();
    assert_ne!(names[0], names[2], "the two kinds have names of their own");
    let keys: Vec<_> = all.iter().map(|authority| (authority.kind(), authority.key_id().clone())).collect();
    let authorities = CardAuthorities::new(all).unwrap();
    for (kind, key_id) in &keys {
        let found = authorities.find(*kind, key_id).unwrap();
        assert_eq!((found.kind(), found.key_id()), (*kind, key_id));
        let other = if *kind == CertificateKind::Signature { CertificateKind::Authentication } else { CertificateKind::Signature };
        assert!(authorities.find(other, key_id).is_none(), "a CA for {kind} was found for {other}");
    }
}
