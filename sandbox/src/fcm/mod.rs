//! A mock of Firebase Cloud Messaging, HTTP v1, which carries messages to phones, or does not.
//!
//! ```text
//! HTTP, bearer token    POST /v1/projects/{project}/messages:send    as FCM has it
//!                       POST /admin/behaviours                       what is to become of a token's messages
//!                       GET  /admin/messages                         what came, and what became of it
//! HTTP                  POST /device/messages                         {token, after}: the phone, which knows its push token
//! ```

mod behaviour;
mod mailbox;
mod routes;
mod server;
mod subscription;

pub use behaviour::{Behaviour, BehaviourOrder};
pub use mailbox::{Fate, PushedMessage};
pub use server::{PushService, PushServiceFault, PushServiceSettings};
pub use subscription::PushSubscription;
