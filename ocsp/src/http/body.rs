//! The body of a POST.

use std::future::poll_fn;
use std::pin::Pin;

use actix_http::Payload;
use actix_http::error::PayloadError;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum NoBody {
    /// More octets than allowed; the rest is not read.
    TooLong,
    /// The connection broke off, or what came is no HTTP.
    Broken(PayloadError),
}

/// Reads a body of `limit` octets at most. One that came in one piece, as nearly all do, is not copied.
pub(super) async fn read(mut payload: Payload, limit: usize) -> Result<Bytes, NoBody> {
    let mut whole = Bytes::new();
    while let Some(piece) = poll_fn(|context| Pin::new(&mut payload).poll_next(context)).await {
        let piece = piece.map_err(NoBody::Broken)?;
        if whole.len() + piece.len() > limit {
            return Err(NoBody::TooLong);
        }
        whole = if whole.is_empty() {
            piece
        } else {
            let mut joined = BytesMut::from(whole.as_ref());
            joined.extend_from_slice(&piece);
            joined.freeze()
        };
    }
    Ok(whole)
}
