//! What every request passes before any handler sees it, and every answer after: correlation id, log span, bounds on number
//! and time, problem details, counters.

mod address;
mod body;
mod correlation;
mod passage;

pub use address::AddressLimits;
pub use body::{BoundedBody, content_type_is, read_question};
pub use correlation::{CORRELATION_HEADER, CorrelationId};
pub use passage::{Edge, pass};
