//! A file, or a part of it, sent piece by piece.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::BlockingError;
use actix_web::web::{self, Bytes};

/// So many octets are in memory at a time for each who downloads.
const PIECE: usize = 65_536;

type Reading = Pin<Box<dyn Future<Output = Result<io::Result<(File, Bytes)>, BlockingError>>>>;

/// The octets of a file from a place on. Nothing is read before there is room to send it.
pub(super) struct FileBody {
    length: u64,
    left: u64,
    state: State,
}

enum State {
    Idle(File, Option<u64>),
    Reading(Reading),
    Done,
}

impl FileBody {
    /// `count` octets from `first` on.
    pub(super) fn new(file: File, first: u64, count: u64) -> Self {
        Self { length: count, left: count, state: State::Idle(file, Some(first)) }
    }

    /// Nothing but the length, for HEAD.
    pub(super) fn length_only(count: u64) -> Self {
        Self { length: count, left: 0, state: State::Done }
    }
}

impl MessageBody for FileBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Poll::Ready(None),
                State::Idle(..) if self.left == 0 => return Poll::Ready(None),
                State::Idle(file, first) => {
                    let count = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
                    self.state = State::Reading(Box::pin(web::block(move || read(file, first, count))));
                }
                State::Reading(mut reading) => {
                    let Poll::Ready(read) = reading.as_mut().poll(context) else {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    return Poll::Ready(Some(match read {
                        Ok(Ok((file, octets))) => {
                            self.left -= octets.len() as u64;
                            self.state = State::Idle(file, None);
                            Ok(octets)
                        }
                        Ok(Err(error)) => Err(error),
                        Err(stopping) => Err(io::Error::other(stopping)),
                    }));
                }
            }
        }
    }
}

fn read(mut file: File, first: Option<u64>, count: usize) -> io::Result<(File, Bytes)> {
    if let Some(first) = first {
        file.seek(SeekFrom::Start(first))?;
    }
    let mut octets = vec![0; count];
    file.read_exact(&mut octets)?;
    Ok((file, octets.into()))
}
