//! Certificate revocation lists: full CRLs, one for each shard of each CA key's certificates, from the first certificate on (RFC
//! 5280 section 5).
//!
//! [`list`] writes a CRL and [`read_back`] reads one strictly; [`gate`] is what stands between the two and the public: a list is
//! published only after it was read back and compared with what it should say and with the list before it. [`Publisher`] decides
//! when ([`schedule`], [`scope`], [`settings`]), takes the entries from the store page by page, and publishes in one transaction.
//! From the store lists come to the [`shelf`] of each machine, a directory, and from there [`http`] gives them to whoever asks.

pub mod gate;
pub mod health;
pub mod http;
pub mod list;
pub mod publisher;
pub mod read_back;
pub mod schedule;
pub mod scope;
pub mod settings;
pub mod shelf;
pub mod upload;

pub use gate::GateFault;
pub use http::DownloadService;
pub use publisher::{NoPublishSteps, PublishFault, PublishStep, PublishSteps, Published, Publisher, PublisherParts};
pub use schedule::Schedule;
pub use schema::crl::CrlCause;
pub use settings::{AtOnce, CrlSettings, S3Settings, SettingsRefusal};
pub use shelf::{Filler, Shelf};
