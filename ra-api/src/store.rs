//! Asking the store from a handler.

use actix_web::web;
use schema::StoreFault;

use crate::problem::Problem;

/// Runs `look`, which blocks, where blocking is allowed.
pub(crate) async fn look<T: Send + 'static>(
    doing: &'static str,
    look: impl FnOnce() -> Result<T, StoreFault> + Send + 'static,
) -> Result<T, Problem> {
    let found = web::block(look).await.map_err(|error| Problem::fault(doing, &error))?;
    found.map_err(|fault| problem(doing, &fault))
}

/// The problem of a fault of the store.
pub(crate) fn problem(doing: &'static str, fault: &StoreFault) -> Problem {
    match fault {
        StoreFault::Overloaded => Problem::new("too_busy", "Too many requests are under way.").retry_after(1),
        other => Problem::fault(doing, other),
    }
}

/// What was just stored is not there.
#[derive(Debug, thiserror::Error)]
#[error("it is not in the store")]
pub(crate) struct Vanished;
