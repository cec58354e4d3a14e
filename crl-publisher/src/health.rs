//! What operators should know of the lists, from what the store has: the CA role, which makes them, has no listener.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use schema::crl::CrlCause;
use schema::{Reader, StoreFault};

use crate::scope::is_ahead;
use crate::settings::CrlSettings;
use crate::shelf::{Shelf, label, unknown_above};

/// A word on each list whose successor failed, on each that is missing, near its end or of a time to come, and on those on the shelf
/// that the store does not know.
///
/// # Errors
/// If the store cannot be read.
pub fn warnings(reader: &Reader, settings: &CrlSettings, shelf: &Shelf, now: DateTime<Utc>) -> Result<Vec<String>, StoreFault> {
    let ca_keys: BTreeMap<_, _> = reader.ca_keys()?.into_iter().map(|ca_key| (ca_key.id(), ca_key)).collect();
    let latest: BTreeMap<_, _> = reader.latest_crls()?.into_iter().map(|list| ((list.ca_key, list.shard), list)).collect();
    let failures = reader.crl_failures()?;
    let mut warnings = Vec::new();
    for path in shelf.kept_aside().unwrap_or_default() {
        warnings.push(format!("{} was published under the number of another CRL: the store went back", path.display()));
    }
    for scope in reader.crl_scopes()? {
        let Some(ca_key) = ca_keys.get(&scope.ca_key) else { continue };
        let name = label(ca_key, scope.shard);
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let latest = latest.get(&(scope.ca_key, scope.shard));
        if let Some(list) = latest
            && let Some(number) = unknown_above(shelf, reader, &name, list)?
        {
            warnings.push(format!(
                "CRL {name} number {number} is on the shelf and unknown to the store, which has {}: it went back",
                list.number
            ));
        }
        match latest {
            Some(list) if list.cause == CrlCause::Final => continue,
            Some(list) if is_ahead(list.this_update, now) => {
                warnings.push(format!("CRL {name} is of a time to come, {}: a clock was ahead", time(list.this_update)));
            }
            Some(list) if list.next_update <= now => warnings.push(format!("CRL {name} ended at {}", time(list.next_update))),
            Some(list) if list.next_update - now < settings.overlap() / 2 => {
                warnings.push(format!("CRL {name} ends at {}, and there is no other yet", time(list.next_update)));
            }
            Some(_) => {}
            None => warnings.push(format!("CRL {name} was never published")),
        }
        if let Some(failure) = failures.get(&(scope.ca_key, scope.shard)) {
            warnings.push(format!("CRL {name} number {} was not published at {}: {}", failure.number, time(failure.at), failure.reason));
        }
    }
    Ok(warnings)
}
