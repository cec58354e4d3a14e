//! An answer that is lost on the way: its head arrives, and then the connection breaks.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;

/// A body that promises an octet and never sends it.
#[derive(Debug)]
pub(crate) struct LostAnswer;

impl MessageBody for LostAnswer {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(1)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("lost on purpose"))))
    }
}
