//! What an instruction asks for, verified, in the terms of the store.

use ca_core::digest::Sha256Digest;
use ca_core::instruction::KeyReport;
use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::lifecycle::Command;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use schema::audit_export::NewExport;
use schema::batch::NewBatch;
use schema::change::{Order, Origin, Target};
use schema::device_command::NewDeviceCommand;
use schema::instruction::Asked;
use serde_json::Value;

use super::refused::Refused;
use crate::schedules::ScheduleName;

/// What an instruction's signature says beside what is asked for.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    /// The challenge that it answers; a report of a key needs none.
    pub(super) challenge: Option<[u8; 48]>,
    /// Who asks.
    pub(super) by: Origin,
    /// What for: the word in the statement.
    pub(super) action: &'static str,
}

impl Signed {
    /// As the instruction's event tells it.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { by: Some(&self.by), action: Some(self.action) }
    }
}

/// An instruction of which everything was verified that signatures can say.
pub(super) struct Verified {
    pub(super) digest: Sha256Digest,
    pub(super) signed: Signed,
    pub(super) work: Work,
}

/// What is to be done.
pub(super) enum Work {
    /// Certificates change.
    Change {
        /// Which.
        targets: Vec<Target>,
        /// How.
        command: Command,
        /// The certificate that signed: it must be one of those that change, for what has ended asks for nothing any more.
        signer: Option<(CertificateKind, SerialNumber)>,
        /// What is said if there are none.
        if_none: Refused,
    },
    /// A phone is found by another push token.
    PushToken {
        device: String,
        push_token: String,
        /// The certificate that signed: what has ended asks for nothing any more.
        signer: (CaKeyId, SerialNumber),
    },
    /// A command goes to a phone.
    Command(NewDeviceCommand),
    /// A schedule runs now.
    RunSchedule(ScheduleName),
    /// Many certificates change.
    Mass {
        batch: NewBatch,
        /// How many there are now.
        count: u64,
    },
    /// Many certificates would change, and a second person must agree.
    AwaitApproval {
        /// What would be done.
        outcome: Value,
    },
    /// A stretch of the log is prepared for an auditor.
    Export(Box<NewExport>),
    /// What another person asked for happens now.
    Approve {
        /// That instruction.
        approved: Sha256Digest,
        /// Who gave it.
        by: Origin,
        batch: NewBatch,
        count: u64,
    },
}

impl Verified {
    /// Every certificate with a reported key ends.
    pub(super) fn key_report(report: &KeyReport) -> Self {
        Self {
            digest: report.digest(),
            signed: Signed { challenge: None, by: Origin::KeyReport, action: "report-key" },
            work: Work::Change {
                targets: vec![Target::PublicKey(report.public_key_sha256())],
                command: Command::Revoke { reason: RevocationReason::KeyCompromise, invalid_since: None },
                signer: None,
                if_none: Refused::new("key_unknown", "no certificate with this key has not ended"),
            },
        }
    }

    /// The order under which its changes are written.
    pub(super) fn order(&self) -> Order {
        Order { origin: self.signed.by.clone(), instruction: Some(self.digest) }
    }
}
