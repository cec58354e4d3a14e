//! What operators should know of the lists, from what the store has: the CA role, which makes them, has no listener.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use schema::crl::CrlCause;
use schema::{Reader, StoreFault};

use crate::settings::CrlSettings;
use crate::shelf::label;

/// A word on each list whose successor failed, and on each that is missing or near its end.
///
/// # Errors
/// If the store cannot be read.
pub fn warnings(reader: &Reader, settings: &CrlSettings, now: DateTime<Utc>) -> Result<Vec<String>, StoreFault> {
    let ca_keys: BTreeMap<_, _> = reader.ca_keys()?.into_iter().map(|ca_key| (ca_key.id(), ca_key)).collect();
    let latest: BTreeMap<_, _> = reader.latest_crls()?.into_iter().map(|list| ((list.ca_key, list.shard), list)).collect();
    let mut warnings = Vec::new();
    for scope in reader.crl_scopes()? {
        let Some(ca_key) = ca_keys.get(&scope.ca_key) else { continue };
        let name = label(ca_key, scope.shard);
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        match latest.get(&(scope.ca_key, scope.shard)) {
            Some(list) if list.cause == CrlCause::Final => continue,
            Some(list) if list.next_update <= now => warnings.push(format!("CRL {name} ended at {}", time(list.next_update))),
            Some(list) if list.next_update - now < settings.overlap() / 2 => {
                warnings.push(format!("CRL {name} ends at {}, and there is no other yet", time(list.next_update)));
            }
            Some(_) => {}
            None => warnings.push(format!("CRL {name} was never published")),
        }
        if let Some(failure) = reader.crl_failure(scope.ca_key, scope.shard)? {
            warnings.push(format!("CRL {name} number {} was not published at {}: {}", failure.number, time(failure.at), failure.reason));
        }
    }
    Ok(warnings)
}
