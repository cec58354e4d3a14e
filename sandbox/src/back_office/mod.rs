//! The mock back office (J-LIS): keeps holders and cards, answers the product's questions, tells it what happens to cards, passes
//! notices on to holders, and runs the card CA's status service.
//!
//! ```text
//! HTTPS, bearer token   POST /v1/card-certificates/lookup     whose card is it
//!                       POST /v1/card-certificates/states     how do they stand: the full comparison
//!                       GET  /v1/card-events?after=&limit=    what happened, in order
//!                       POST /v1/notices                      tell holders
//!                       POST /admin/cards                     hand out a card
//!                       POST /admin/cards/bulk                hand out many
//!                       POST /admin/cards/{card_id}/revoke    end a card's certificates
//!                       POST /admin/cards/{card_id}/{order}   hold, release, renew, expire, record-change, death, emigration,
//!                                                             record-error, transfer
//!                       POST /admin/batches                   a municipality's or a whole card CA key's cards by one event
//!                       POST /admin/faults, GET /admin/faults what is to go wrong on purpose
//!                       GET  /admin/notices                   what holders were told
//!                       GET  /admin/card-authorities          the card CA's certificates
//! HTTP                  POST /ocsp/{kind}, GET /ocsp/{kind}/… RFC 6960
//!                       GET  /crl/{kind}/{dp}.crl             dp: hex SHA-256 of the distribution point's Name
//! mutual TLS, outwards  POST /v1/card-events                  the push to the operators' listener
//! ```

mod client;
mod counter;
mod desk;
mod events;
mod kept;
mod lost;
mod notices;
mod orders;
mod push;
mod registry;
mod routes;
mod server;
mod status;
mod status_routes;
mod telling;
mod tls;
mod wire;

pub use client::BackOfficeClient;
pub use desk::CardAuthority;
pub use events::{BatchEvent, CardEvent, CardEventType, EventPage, EventScope, EventsPushed, FeedEvent, UnknownEventType};
pub use notices::{KeptNotice, LARGEST_DELIVERY, Notice, NoticeDelivery, NoticeList, NoticeText, NoticesAccepted};
pub use orders::{BatchDone, BatchOrder, CardChanged, CardOrder, Faults, OrderDetail, UnknownOrder};
pub use push::PushTarget;
pub use server::{BackOffice, BackOfficeSettings};
pub use wire::{
    BulkCard, BulkCards, BulkRequest, BulkSide, CardAuthorityEntry, CardFile, CardReference, CardSideFile, CardState, LookupAnswer,
    LookupRequest, LookupResult, NewCard, RevocationRequest, StateQuestion, StatesAnswer, StatesRequest,
};

use crate::card_ca::CardCaFault;
use crate::http::HttpFault;
use crate::keys::KeyFault;
use crate::pem::PemFault;

/// Largest number of cards made in one bulk request.
pub const LARGEST_BULK: u32 = 1000;

/// The back office, or its client, could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum BackOfficeFault {
    /// The card CA failed.
    #[error(transparent)]
    CardCa(#[from] CardCaFault),
    /// A key failed.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A file failed.
    #[error(transparent)]
    File(#[from] PemFault),
    /// The kept state cannot be read.
    #[error("the kept state of the back office cannot be read: {0}")]
    Kept(String),
    /// TLS material failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// A listener failed.
    #[error("listening on {address}: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
    /// HTTP failed.
    #[error(transparent)]
    Http(#[from] HttpFault),
    /// The request asks for what cannot be.
    #[error("{0}")]
    Refused(String),
    /// The server answered with an error.
    #[error("the back office answered {status}: {body}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// Body, shortened.
        body: String,
    },
}
