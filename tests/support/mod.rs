//! What the whole-system tests stand on: a mock back office in this process, an installation made by `tsunagi init`, and
//! `tsunagi serve` as child processes on free ports of the loopback interface.
#![allow(dead_code, unused_imports, unused_macros, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod addresses;
mod card_status;
mod installation;
mod larger_tree;
mod process;
mod tools;

pub use addresses::{free_address, free_addresses};
pub use card_status::{CardStatusDesk, Question, Reply};
pub use installation::{Installation, Store};
pub use larger_tree::publish_larger_tree;
pub use process::Process;
pub use tools::{openssl, program, run, said, sequence_of_steps, shell, try_openssl, tsunagi};

use std::time::{Duration, Instant};

/// How long the tests wait for what takes a second at most on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until there is something to see, or patience ends.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// The same with another patience.
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begin.elapsed() < patience, "not within {} s: {what}", patience.as_secs());
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// Writes a test once and runs it on each database; `$store` is a [`Store`].
macro_rules! on_each_database {
    ($($(#[$attribute:meta])* fn $name:ident($store:ident) $body:block)*) => {
        $(
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                $(#[$attribute])*
                fn check($store: crate::support::Store) $body

                #[test]
                fn on_sqlite() {
                    check(crate::support::Store::Sqlite);
                }

                #[cfg(feature = "postgres")]
                #[test]
                fn on_postgres() {
                    check(crate::support::Store::Postgres);
                }
            }
        )*
    };
}
pub(crate) use on_each_database;

/// Holds an answer to be problem details (RFC 9457) with this code, and the status that the code has. Gives the document.
#[track_caller]
pub fn expect_problem(about: &str, answer: &sandbox::http::HttpAnswer, code: &str) -> serde_json::Value {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.content_type, "application/problem+json", "{about}: {} {body}", answer.status);
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document["code"], code, "{about}: {document}");
    let entry = ra_api::problem::CATALOGUE.iter().find(|entry| entry.code == code);
    let status = entry.unwrap_or_else(|| panic!("{code} is not in the catalogue")).status;
    assert_eq!((answer.status, document["status"].as_u64()), (status, Some(status.into())), "{about}: {document}");
    assert_eq!(document["type"], format!("urn:tsunagi:problem:{code}"), "{about}");
    for member in ["title", "detail"] {
        assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{about}: no {member}: {document}");
    }
    let correlation = document["correlation_id"].as_str().unwrap_or_default();
    assert!(correlation.len() == 32 && correlation.bytes().all(|octet| octet.is_ascii_hexdigit()), "{about}: {document}");
    document
}
