//! The CA role: takes work from the store, verifies it again, issues, runs the cascade, and keeps its leader's duties.
//!
//! It opens no listener. What reaches it are rows that the RA wrote, which it believes only as far as it can verify them
//! itself, and what it fetches: the back office's word and the card CAs' CRLs. It carries out instructions, keeps what is done
//! regularly, tells holders what happened to their certificates, and commands phones.

mod backoff;
mod beacon;
mod card_crl;
mod cascade;
mod clock_check;
mod comparison;
mod device_commands;
mod evidence;
mod exports;
mod instructions;
mod issuing;
mod latency;
mod leader;
mod log;
mod log_lateness;
mod notices;
mod purging;
mod reconciliation;
mod responder;
mod role;
mod running;
mod schedules;
mod settings;
mod shards;
mod steps;
mod sweeps;
mod take_over;
mod test_certificates;
mod timetable;
mod told;

pub use self::backoff::Backoff;
pub use self::exports::{AuditSettings, AuditSettingsRefusal, Defect, ExportFault, Exporter, ExporterParts};
pub use self::issuing::BatchOutcome;
pub use self::log::{
    DisputedBy, KnownTree, LogDispute, LogFault, LogKeeper, LogParts, LogSettings, LogSettingsRefusal, LogState, WitnessClaim, WitnessPace,
    WitnessSays, WitnessSettings, WitnessTold, ask_witnesses, is_origin,
};
pub use self::notices::WordingFault;
pub use self::reconciliation::{CardsHeard, PutBack};
pub use self::role::{CaRole, CaRoleParts, CaRoleRefusal, CardStatusSource, CrlLocation};
pub use self::schedules::{ScheduleName, UnknownSchedule};
pub use self::settings::{
    CaRoleSettings, DeviceCommandSettings, EvidenceLimits, LifeSettings, LifeSettingsRefusal, MassSettings, NoticeSettings,
    RetentionSettings, ScheduleSettings, SecondLookSettings, TestCertificateSettings,
};
pub use self::steps::{IssuanceStep, NoSteps, Steps};
pub use self::timetable::{Timetable, TimetableRefusal};

/// Why the CA role could not do its work: nothing was lost, and it tries again.
#[derive(Debug, thiserror::Error)]
pub enum CaFault {
    /// The store.
    #[error("the store failed")]
    Store(#[from] schema::StoreFault),
    /// The back office, or a card CA's status service.
    #[error("the back office, or a card CA's status service, failed")]
    BackOffice(#[from] back_office::BackOfficeFault),
    /// A signing key.
    #[error("a CA key could not sign")]
    Signer(#[from] ca_core::signer::SignerFault),
    /// A responder certificate could not be renewed.
    #[error("a responder certificate could not be renewed")]
    Responder(#[source] Box<ca_core::issuer::ResponderFault<schema::StoreFault>>),
    /// A stored responder certificate cannot be read.
    #[error("a stored responder certificate cannot be read")]
    StoredResponder,
    /// A test certificate could not be made.
    #[error("a test certificate could not be made")]
    TestCertificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A card CRL that cannot be used.
    #[error("a card CRL: {0}")]
    CardCrl(&'static str),
    /// A signed certificate that belongs to no card: a fault of the program.
    #[error("a signed certificate is linked to no card certificate")]
    Unlinked,
    /// The machine gave no random octets.
    #[error("no random octets to be had")]
    Randomness(#[from] ca_core::issuance::RandomnessFault),
    /// A schedule without times: a fault of the program.
    #[error("a schedule has no times")]
    Unscheduled,
    /// This process is about to end: what it broke off is begun again by the next.
    #[error("this process is about to end")]
    Stopping,
    /// A piece of work panicked: a fault of the program. What it had not committed is done again.
    #[error("a piece of work panicked")]
    Panicked,
    /// Events wait for the log: nothing is issued meanwhile.
    #[error("events wait for the log, and nothing is issued before it is written again")]
    LogLate,
    /// Another process leads: this one's writes no longer count.
    #[error("another process has taken the lead")]
    Fenced,
}
