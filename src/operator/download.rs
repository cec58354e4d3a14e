//! Files from the operators' listener, from any place on.

use std::io::Read;
use std::time::Duration;

use ureq::Body;
use ureq::http::Response;

use super::client::{Answer, OperatorClient};
use crate::failure::Failure;

/// How long nothing may come before the server is held to be gone.
const SILENCE: Duration = Duration::from_secs(60);

/// A file on its way.
pub(crate) struct Fetched {
    /// Where in the file `octets` begins.
    pub(crate) from: u64,
    /// Its octets from there on.
    pub(crate) octets: Box<dyn Read>,
}

impl OperatorClient {
    /// Fetches a file from a place on; from its beginning, if the server does not do otherwise. Bounded by nothing but the reader's patience.
    pub(crate) fn fetch(&self, path: &str, from: u64) -> Result<Fetched, Failure> {
        let request = self.agent().get(self.place(path)).config().timeout_global(None).timeout_per_read(Some(SILENCE)).build();
        let request = if from == 0 { request } else { request.header("Range", format!("bytes={from}-")) };
        let answer = request.call().map_err(|error| self.unreachable(&error))?;
        let from = match answer.status().as_u16() {
            200 => 0,
            206 if begins_at(&answer, from) => from,
            206 => return Err(Failure::other("the server sent another part of the file than was asked for")),
            _ => {
                let answer = Answer::read(answer).map_err(|error| self.unreachable(&error))?;
                return Err(answer.judge().err().unwrap_or_else(|| Failure::other("the server did not send the file")));
            }
        };
        Ok(Fetched { from, octets: Box::new(answer.into_body().into_reader()) })
    }
}

fn begins_at(answer: &Response<Body>, from: u64) -> bool {
    let range = answer.headers().get("content-range").and_then(|value| value.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()) == Some(from)
}
