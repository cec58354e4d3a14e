//! Certificate revocation lists: one full CRL for each CA key, from the first certificate on (RFC 5280 section 5).
//!
//! [`list`] writes a CRL and [`read_back`] reads one strictly; [`gate`] is what stands between the two and the public: a list is
//! published only after it was read back and compared with what it should say and with the list before it. [`Publisher`] decides
//! when ([`schedule`], [`settings`]), takes the entries from the store page by page and publishes in one transaction. [`http`]
//! gives the latest lists, and the CA certificates, to whoever asks.

pub mod before;
pub mod follower;
pub mod gate;
pub mod http;
pub mod list;
pub mod publisher;
pub mod read_back;
pub mod schedule;
pub mod settings;

pub use before::gate::GateFault;
pub use follower::Cause;
pub use http::DownloadService;
pub use publisher::{PublishFault, Published, Publisher};
pub use schedule::Schedule;
pub use settings::{AtOnce, CrlSettings, SettingsRefusal};
