//! Settings that do not go together.

use back_office::CrlUrlTemplate;
use ca_core::application::verifier::MAX_OCTETS;
use ca_core::card::status::{MAX_CRL_OCTETS, MAX_OCSP_OCTETS};
use ca_core::kind::CertificateKind;

use super::Settings;

/// Every contradiction, in words that name the keys.
pub(super) fn contradictions(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    let mut demand = |holds: bool, complaint: &str| {
        if !holds {
            found.push(complaint.to_owned());
        }
    };
    let url = &settings.store.url;
    demand(url.starts_with("sqlite://") || url.starts_with("postgres://") || url.starts_with("postgresql://"), {
        "store.url: begins with sqlite:// or postgres://"
    });
    demand((1..=1_000).contains(&settings.store.readers), "store.readers: from 1 to 1000");
    // The follower, the CRL shelf, the pages and the high-water mark read beside the lookups.
    demand(
        u64::from(settings.status.ocsp.lookup_threads) + 4 <= u64::from(settings.store.readers),
        "status.ocsp.lookup_threads: at least 4 less than store.readers, for everything reads on the same connections",
    );
    demand(settings.store.high_water.len() <= 8, "store.high_water: at most 8 files");
    demand(settings.store.high_water.iter().all(|path| path.file_name().is_some()), "store.high_water: names files");
    demand(
        settings.policy_directory.is_none() || settings.lifecycle.is_none(),
        "lifecycle: only without policy_directory, whose lifecycle.toml chooses instead",
    );
    demand(!settings.ra.name.is_empty(), "ra.name: must not be empty, applications are made for it");
    demand((1..=1_000).contains(&settings.ca.batch), "ca.batch: from 1 to 1000");
    demand((1..=3_600).contains(&settings.clock.max_offset_seconds), "clock.max_offset_seconds: from 1 to 3600");
    demand(settings.ca.feed_seconds >= 1, "ca.feed_seconds: at least 1");
    demand(settings.ca.card_crl_seconds >= 1, "ca.card_crl_seconds: at least 1");
    demand((3..=365).contains(&settings.ca.responder_days), "ca.responder_days: from 3 to 365");
    if let Some(pkcs11) = &settings.ca.pkcs11 {
        #[cfg(not(feature = "pkcs11"))]
        demand(false, super::WITHOUT_PKCS11);
        demand((1..=32).contains(&pkcs11.token.len()), "ca.pkcs11.token: a token's label has 1 to 32 octets");
        demand((1..=1_000).contains(&pkcs11.sessions), "ca.pkcs11.sessions: from 1 to 1000");
    }
    let status_url = &settings.status.url;
    demand(
        status_url.starts_with("http://"),
        "status.url: begins with http:// (what is there is signed, and TLS would need status itself)",
    );
    demand(!status_url.ends_with('/'), "status.url: without a slash at the end");
    let witness_url = settings.status.witness_url.as_deref();
    demand(witness_url.is_none_or(|url| url.starts_with("http://")), "status.witness_url: begins with http://");
    demand(
        settings.status.witness_certificate.is_some() == settings.status.witness_key.is_some(),
        "status.witness_certificate and status.witness_key: both or none",
    );
    demand(settings.back_office.url.starts_with("https://"), "back_office.url: begins with https://");
    demand(!settings.card.signature.certificates.is_empty(), "card.signature.certificates: without one no application is trusted");
    let status = &settings.card.status;
    let bound = |limit: usize| u64::try_from(limit).unwrap_or(u64::MAX);
    demand(status.ocsp_octets <= bound(MAX_OCSP_OCTETS), "card.status.ocsp_octets: at most 16384, larger answers are no evidence");
    demand(status.crl_octets <= bound(MAX_CRL_OCTETS), "card.status.crl_octets: at most 16777216, larger CRLs are no evidence");
    demand(settings.ra.limits.application_octets <= MAX_OCTETS, "ra.limits.application_octets: at most 65536, larger ones are refused");
    for kind in CertificateKind::ALL {
        if let Err(fault) = CrlUrlTemplate::parse(&settings.card.authority(kind).crl_url) {
            found.push(format!("card.{kind}.crl_url: {fault}"));
        }
    }
    // Each room checks its own.
    found.extend(settings.ca.life().check().err().map(|refusal| format!("ca.{refusal}")));
    found.extend(settings.ra.limits.check().err().map(|refusal| format!("ra.limits: {refusal}")));
    found.extend(settings.operators.limits.check().err().map(|refusal| format!("operators.limits: {refusal}")));
    found.extend(settings.status.ocsp.check().err().map(|refusal| format!("status: {refusal}")));
    found.extend(settings.crl.check().err().map(|refusal| refusal.to_string()));
    found.extend(settings.log.check().err().map(|refusal| format!("log.{refusal}")));
    found.extend(settings.audit.check().err().map(|refusal| format!("audit.{refusal}")));
    let listeners = [settings.ra.listen, settings.operators.listen, settings.status.listen];
    for (index, listener) in listeners.iter().enumerate() {
        if listener.port() != 0 && listeners[..index].contains(listener) {
            found.push(format!("{listener} is named for two listeners"));
        }
    }
    found
}
