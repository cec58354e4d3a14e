//! How claims are checked: by looking from outside, with patience.

use std::time::{Duration, Instant};

use sandbox::phone::Enrolled;
use sandbox::reason::Reason;
use sandbox::relying_party::{CrlAnswer, OcspAnswer, OcspWish, Status, ask_ocsp, fetch_crl};

use super::stage::Stage;
use crate::failure::Failure;

/// How long the play waits for what should come within about a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends the play unless it holds.
pub(super) fn demand(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::other(format!("a claim does not hold: {otherwise}"))) }
}

/// Looks until there is something to see, or patience ends.
pub(super) fn until<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The same for what has to come: `what` says what did not.
pub(super) fn expect<T>(what: &str, look: impl FnMut() -> Option<T>) -> Result<T, Failure> {
    until(look).ok_or_else(|| Failure::other(format!("a claim does not hold: {what} did not come")))
}

/// Asks OCSP until the status is as expected.
pub(super) fn await_status(stage: &Stage, enrolled: &Enrolled, expected: impl Fn(&Status) -> bool) -> Result<OcspAnswer, Failure> {
    let mut last = String::new();
    let answer = until(|| match ask_ocsp(&enrolled.certificate, stage.ca(enrolled.kind), &OcspWish::default()) {
        Ok(answer) if expected(&answer.status) => Some(answer),
        Ok(answer) => {
            last = answer.status.to_string();
            None
        }
        Err(fault) => {
            last = fault.to_string();
            None
        }
    });
    answer.ok_or_else(|| Failure::other(format!("a claim does not hold: OCSP says of the {} certificate: {last}", enrolled.kind)))
}

/// Fetches the CRL until it lists the certificate for that reason.
pub(super) fn await_entry(stage: &Stage, enrolled: &Enrolled, reason: Reason) -> Result<CrlAnswer, Failure> {
    let is_listed = |crl: &CrlAnswer| crl.entry.is_some_and(|entry| entry.reason == reason);
    expect(&format!("a CRL that lists the {} certificate, {reason},", enrolled.kind), || {
        fetch_crl(&enrolled.certificate, stage.ca(enrolled.kind)).ok().filter(is_listed)
    })
}

/// What another party says, as a failure.
pub(super) fn failed(fault: impl std::fmt::Display) -> Failure {
    Failure::other(fault.to_string())
}
