//! A connection from which no more is read than its client takes back.
//!
//! actix-http puts a response without a body (304, 405) behind the others however many of them wait already, and goes on reading. A
//! client that sends requests and reads nothing would so take all memory. Here reading waits while writing does, and ends with it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// So many octets of requests are read at a time; their responses are written before more are read. A usual request has some hundred
/// octets. The shortest that is answered has 20, and a response without a body 100 to 400: some ten times this waits at most, for each
/// connection, beside what actix-http itself allows.
const TURN: usize = 4_096;

/// A client that takes nothing at all for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream, served by one task.
pub(super) struct Paced<S> {
    stream: S,
    /// The last read was as long as is allowed: the task has its turn before the next.
    has_turned: bool,
    /// While the client takes nothing.
    blocked: Option<Pin<Box<Sleep>>>,
    /// Whether reading waits for writing.
    read_waits: bool,
}

impl<S> Paced<S> {
    /// Over `stream`.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, has_turned: true, blocked: None, read_waits: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.blocked.is_some() {
            self.read_waits = true;
            return Poll::Pending;
        }
        if !std::mem::replace(&mut self.has_turned, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buffer.remaining().min(TURN);
        let mut turn = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut turn))?;
        let count = turn.filled().len();
        buffer.advance(count);
        self.has_turned = count < room || count == 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, octets) {
            Poll::Ready(written) => {
                self.blocked = None;
                if std::mem::take(&mut self.read_waits) {
                    context.waker().wake_by_ref();
                }
                Poll::Ready(written)
            }
            Poll::Pending => {
                let patience = self.blocked.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
                ready!(patience.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: ActixStream> ActixStream for Paced<S> {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.stream.poll_read_ready(context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.stream.poll_write_ready(context)
    }
}
