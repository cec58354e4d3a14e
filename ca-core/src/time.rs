//! Times between the domain and DER.

use std::time::Duration;

use chrono::{DateTime, Utc};
use der::asn1::GeneralizedTime;
use x509_cert::time::Time;

/// Time (RFC 5280 sections 4.1.2.5 and 5.1.2.4) of a moment: UTCTime through 2049, GeneralizedTime from 2050; a fraction of a second
/// is cut off.
///
/// # Errors
/// If the moment lies before 1970 or after 9999.
pub fn to_time(at: DateTime<Utc>) -> der::Result<Time> {
    Ok(Time::from(der::DateTime::from_unix_duration(since_1970(at)?)?))
}

/// The moment of a Time, in either form; `None` beyond what chrono can tell, which neither form is.
pub fn from_time(time: &Time) -> Option<DateTime<Utc>> {
    moment(time.to_unix_duration())
}

/// GeneralizedTime (RFC 5280 section 4.1.2.5.2: Zulu, seconds always, no fraction) of a moment; a fraction of a second is cut off.
///
/// # Errors
/// If the moment lies before 1970 or after 9999.
pub fn to_generalized_time(at: DateTime<Utc>) -> der::Result<GeneralizedTime> {
    GeneralizedTime::from_unix_duration(since_1970(at)?)
}

/// The moment of a GeneralizedTime; `None` beyond what chrono can tell, which DER's four-digit years never are.
pub fn from_generalized_time(time: GeneralizedTime) -> Option<DateTime<Utc>> {
    moment(time.to_unix_duration())
}

fn since_1970(at: DateTime<Utc>) -> der::Result<Duration> {
    let seconds = u64::try_from(at.timestamp()).map_err(|_| der::ErrorKind::DateTime)?;
    Ok(Duration::from_secs(seconds))
}

fn moment(since_1970: Duration) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(since_1970.as_secs()).ok()?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_in_the_form_that_belongs_to_their_year() {
        for (text, utc_time) in [("2049-12-31T23:59:59Z", true), ("2050-01-01T00:00:00Z", false), ("1970-01-01T00:00:00Z", true)] {
            let at: DateTime<Utc> = text.parse().unwrap();
            let time = to_time(at + chrono::TimeDelta::milliseconds(999)).unwrap();
            assert_eq!((from_time(&time), matches!(time, Time::UtcTime(_))), (Some(at), utc_time));
            assert_eq!(from_generalized_time(to_generalized_time(at).unwrap()), Some(at));
        }
        let before = DateTime::<Utc>::UNIX_EPOCH - chrono::TimeDelta::seconds(1);
        assert!(to_time(before).is_err() && to_generalized_time(before).is_err());
    }
}
