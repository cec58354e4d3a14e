//! The soft phone: makes keys, has the card sign an application, brings home certificates, instructs the RA, and obeys its
//! commands.

mod apply;
mod commands;
mod deviation;
mod handset;
mod instruct;
mod pkcs10;
mod ra_client;
mod statement;

pub(crate) use apply::submit_and_wait;
pub use apply::{Application, ApplyWish, Enrolled, Enrolment, apply, build_application, enrol_file_names, receipt_file_name};
pub use commands::{CommandAction, DeviceCommand, Reply};
pub use deviation::{Deviation, build_deviating_application};
pub use handset::Phone;
pub use instruct::{CertificatesToEnd, HolderAction, build_instruction, build_key_compromise_report, instruct, report_key_compromise};
pub use pkcs10::{KEY_COMPROMISE_NAME, Pkcs10, pkcs10};
pub use ra_client::{Challenge, RaAnswer, RaClient, RaSettings};
pub use statement::{Device, NamedCertificate, Replaces, StatedRequest, Statement};

use crate::card::{CardFault, CmsFault};
use crate::http::HttpFault;
use crate::jws::JwsFault;
use crate::keys::KeyFault;
use crate::kind::Kind;
use crate::pem::PemFault;

/// The phone did not get its certificates.
#[derive(Debug, thiserror::Error)]
pub enum PhoneFault {
    /// A key failed.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// The card's signature failed.
    #[error(transparent)]
    Cms(#[from] CmsFault),
    /// The card cannot be used.
    #[error(transparent)]
    Card(#[from] CardFault),
    /// A file failed.
    #[error(transparent)]
    File(#[from] PemFault),
    /// A command's signature is not to be believed.
    #[error(transparent)]
    Jws(#[from] JwsFault),
    /// A command came after its time.
    #[error("the command has expired")]
    Expired,
    /// A command is to another phone.
    #[error("the command is to another phone")]
    OtherDevice,
    /// The key was erased or locked.
    #[error("the phone's {kind} key is erased or locked")]
    NoKey {
        /// Which.
        kind: Kind,
    },
    /// The RA was not reached.
    #[error(transparent)]
    Http(#[from] HttpFault),
    /// The RA refused.
    #[error("refused with status {status}, code {code}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The stable code of the problem, empty if it has none.
        code: String,
        /// Title and detail.
        detail: String,
    },
    /// The RA's answer is not of the agreed form.
    #[error("the registration authority's answer is not as agreed: {0}")]
    Answer(String),
    /// Accepted, but not decided in time; the same application can be sent again.
    #[error("accepted, but not decided within {seconds} seconds")]
    Undecided {
        /// How long was waited.
        seconds: u64,
    },
    /// A certificate is not for the key it was asked for.
    #[error("the {kind} certificate is not for the key of the request")]
    OtherKey {
        /// Which.
        kind: Kind,
    },
}

impl PhoneFault {
    /// The RA's refusal code, if it refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}
