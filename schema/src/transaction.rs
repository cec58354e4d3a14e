//! What a write may do: the topics' modules add their methods to [`Transaction`].

use crate::connection::Session;
use crate::event::NewEvent;

/// One piece of work inside the writer's transaction, undone alone if it fails.
///
/// If a statement fails, the piece is rolled back and answered with the fault, whatever its closure makes of it.
pub struct Transaction<'a> {
    pub(crate) session: &'a mut Session,
    events: &'a mut Vec<NewEvent>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(session: &'a mut Session, events: &'a mut Vec<NewEvent>) -> Self {
        Self { session, events }
    }

    /// Leaves an event. It gets its position when the transaction ends, after those of earlier pieces.
    pub fn emit(&mut self, event: NewEvent) {
        self.events.push(event);
    }
}
