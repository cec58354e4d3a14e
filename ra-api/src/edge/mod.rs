//! What every request passes before any handler sees it, and every answer after: correlation id, log span, bounds on number
//! and time, problem details, counters.

mod address;
mod body;
mod correlation;
mod passage;
mod prefer;

pub(crate) use address::AddressLimits;
pub(crate) use body::{BoundedBody, read_question};
pub(crate) use correlation::{CORRELATION_HEADER, CorrelationId};
pub(crate) use passage::{Edge, pass};
pub(crate) use prefer::{PREFERENCE_APPLIED, Wait};
