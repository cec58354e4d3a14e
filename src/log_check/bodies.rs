//! What is stored of certificates against what their issuance told: the certificate itself, whose it is, what it hangs on, and upon what it
//! was issued.

use ca_core::digest::Sha256Digest;
use chrono::{DateTime, Utc};
use schema::Event;
use schema::examination::KeptCertificate;

/// What of it is not as the event of its issuance tells. What the event does not tell, as before there was a log, is not judged; the
/// card-signed message is `with_evidence` alone.
pub(super) fn complaint(kept: &KeptCertificate, issued: &Event, with_evidence: bool) -> Option<&'static str> {
    let digest = |key: &str, is: &Sha256Digest| issued.data[key].as_str().is_some_and(|told| told != is.to_string());
    let row = |key: &str, is: Option<i64>| issued.data[key].as_i64().is_some_and(|told| Some(told) != is);
    let time = |key: &str, is: DateTime<Utc>| {
        let told = issued.data[key].as_str();
        told.is_some_and(|told| told.parse::<DateTime<Utc>>().ok() != Some(is))
    };
    let tells_of_message = issued.data["application_sha256"].is_string();
    let evidence = kept.evidence_sha256.as_ref();
    [
        (digest("sha256", &kept.sha256), "another certificate is stored"),
        (row("holder", Some(kept.holder)), "it is stored as another holder's"),
        (row("card", kept.card), "it is stored as hanging on another card certificate, or on none"),
        (time("not_before", kept.not_before), "another beginning is stored"),
        (time("not_after", kept.not_after), "another end is stored"),
        (digest("policy_sha256", &kept.policy_sha256), "another profile is stored"),
        (issued.application.is_some_and(|told| told != kept.application), "it is stored as issued upon another application"),
        (digest("application_sha256", &kept.application_sha256), "its application is stored under another digest"),
        (with_evidence && tells_of_message && evidence.is_none(), "the card-signed message that it was issued upon is gone"),
        (evidence.is_some_and(|is| digest("application_sha256", is)), "another card-signed message is stored than it was issued upon"),
    ]
    .into_iter()
    .find_map(|(is_wrong, words)| is_wrong.then_some(words))
}
