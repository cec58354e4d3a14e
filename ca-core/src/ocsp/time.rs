//! Times between the domain and DER.

use std::time::Duration;

use chrono::{DateTime, Utc};
use der::asn1::GeneralizedTime;

/// GeneralizedTime (RFC 5280 section 4.1.2.5.2: Zulu, seconds always, no fraction) of a moment; a fraction of a second is cut off.
///
/// # Errors
/// If the moment lies before 1970 or after 9999.
pub fn to_generalized_time(at: DateTime<Utc>) -> der::Result<GeneralizedTime> {
    let seconds = u64::try_from(at.timestamp()).map_err(|_| der::ErrorKind::DateTime)?;
    GeneralizedTime::from_unix_duration(Duration::from_secs(seconds))
}

/// The moment of a GeneralizedTime; `None` beyond what chrono can tell, which DER's four-digit years never are.
pub fn from_generalized_time(time: GeneralizedTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(time.to_unix_duration().as_secs()).ok()?, 0)
}
