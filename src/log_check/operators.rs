//! The operator behind an event, as searches find it: it follows from the event's data, which its leaf commits to.

use schema::{EventPosition, Reader, StoreFault};

use super::Findings;

/// Events looked at at a time.
const SOME: u32 = 4_096;

/// Looks at every event; `progress` hears up to which position.
pub(super) fn examine(reader: &Reader, findings: &mut Findings, mut progress: impl FnMut(u64)) -> Result<(), StoreFault> {
    let mut after = EventPosition(0);
    loop {
        let (others, last) = reader.events_of_another_operator(after, SOME)?;
        for position in others {
            let words = "the operator that searches find it by is not the one that it names";
            findings.add(format!("event {}", position.0), None, "event_operator", words);
        }
        let Some(last) = last else { return Ok(()) };
        after = last;
        progress(u64::try_from(last.0).unwrap_or_default());
    }
}
