//! `tsunagi certificate hold|lift|revoke`: operators' instructions.

use ca_core::kind::CertificateKind;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::{Value, json};

use super::serial_argument;
use crate::command::{Ticket, permanent_reason, public_id};
use crate::failure::Failure;
use crate::operator::{OperatorArguments, told};
use crate::output::{Output, time};

/// Which certificates are meant: those that are live or held.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whose").required(true).args(["serial", "device", "holder"])))]
struct Target {
    /// The certificate with this serial number, in hexadecimal
    #[arg(value_name = "SERIAL", value_parser = serial_argument)]
    serial: Option<SerialNumber>,
    /// Its kind, should both CAs have used that number
    #[arg(long, requires = "serial", conflicts_with_all = ["device", "holder"])]
    kind: Option<CertificateKind>,
    /// All certificates in this phone, by what it is called here
    #[arg(long, value_name = "DEVICE", value_parser = public_id)]
    device: Option<String>,
    /// All certificates of this holder
    #[arg(long, value_name = "HOLDER_ID")]
    holder: Option<String>,
}

impl Target {
    fn json(&self) -> Value {
        match (&self.serial, &self.device, &self.holder) {
            (Some(serial), _, _) => match self.kind {
                Some(kind) => json!({ "serial": serial.to_string(), "kind": kind }),
                None => json!({ "serial": serial.to_string() }),
            },
            (None, Some(device), _) => json!({ "device": device }),
            (None, None, holder) => json!({ "holder_id": holder }),
        }
    }
}

/// Who asks, why, and for which certificates.
#[derive(Debug, Args)]
struct Request {
    #[command(flatten)]
    operator: OperatorArguments,
    #[command(flatten)]
    ticket: Ticket,
    #[command(flatten)]
    target: Target,
}

impl Request {
    /// Has it done, as the operator `usual` where none is named; `how` are the members of the action that say how.
    fn instruct(&self, usual: &str, action: &str, how: &[(&str, &str)], output: Output) -> Result<(), Failure> {
        let mut what = json!({ "action": action, "target": self.target.json(), "ticket": self.ticket.text });
        for (member, word) in how {
            what[member] = json!(word);
        }
        self.operator.client(usual)?.instruct(&what)?.print(output, told)
    }
}

/// Why a certificate is on hold, as far as operators say so; the card's own hold is the back office's.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cause {
    /// The phone is lost: placing a hold for this tells it to lock its keys, too
    PhoneLost,
    /// Anything else that the operator knows
    Operator,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::PhoneLost => "phone-lost",
            Self::Operator => "operator",
        }
    }
}

/// Place a hold: nobody may rely on it until the hold is lifted
///
/// A certificate is on hold while any cause for it stands. OCSP says so from its next answer on (certificateHold), CRLs from the next
/// list on. Whether a hold can be lifted, and whether it becomes a revocation after a time, is the life cycle policy's to say:
/// under JPKI's none is ever lifted, and the holder applies again.
#[derive(Debug, Args)]
#[command(after_help = "Example: tsunagi certificate hold --holder H-00017 --ticket \"Left in a train; called at 2:40\"")]
pub(crate) struct Hold {
    #[command(flatten)]
    request: Request,
    /// Why
    #[arg(long, value_enum, default_value_t = Cause::PhoneLost)]
    cause: Cause,
}

/// Lift a hold, for one cause; while others stand it stays on hold
///
/// Refused where the life cycle policy never lifts holds, and where the cause does not stand.
#[derive(Debug, Args)]
pub(crate) struct Lift {
    #[command(flatten)]
    request: Request,
    /// Which cause stands no more
    #[arg(long, value_enum, default_value_t = Cause::PhoneLost)]
    cause: Cause,
}

/// Revoke, for good
///
/// What is revoked stays revoked; the holder may apply again. The phone is told to erase the keys.
#[derive(Debug, Args)]
#[command(after_help = "Example: tsunagi certificate revoke --device 0f3a… --reason keyCompromise --ticket \"Keys seen for sale\"")]
pub(crate) struct Revoke {
    #[command(flatten)]
    request: Request,
    /// Why, as RFC 5280 calls it: keyCompromise, cessationOfOperation, affiliationChanged, superseded, unspecified, …
    #[arg(long, value_parser = permanent_reason)]
    reason: RevocationReason,
    /// Since when it has been invalid, if that is known to be earlier: the key was out of its holder's hands. In RFC 3339, such as
    /// 2027-04-01T09:30:00Z. Relying parties are told (invalidityDate), unless the certificate was on hold by then
    #[arg(long, value_name = "TIME", value_parser = past_time)]
    invalid_since: Option<DateTime<Utc>>,
}

fn past_time(text: &str) -> Result<DateTime<Utc>, String> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) if at >= DateTime::UNIX_EPOCH => Ok(at.to_utc()),
        _ => Err("a time in RFC 3339, not before 1970".to_owned()),
    }
}

pub(super) fn hold(arguments: &Hold, output: Output) -> Result<(), Failure> {
    arguments.request.instruct("call-centre", "hold", &[("cause", arguments.cause.as_str())], output)
}

pub(super) fn lift(arguments: &Lift, output: Output) -> Result<(), Failure> {
    arguments.request.instruct("call-centre", "lift", &[("cause", arguments.cause.as_str())], output)
}

pub(super) fn revoke(arguments: &Revoke, output: Output) -> Result<(), Failure> {
    let since = arguments.invalid_since.map(time);
    let mut how = vec![("reason", arguments.reason.as_str())];
    how.extend(since.as_deref().map(|since| ("invalid_since", since)));
    arguments.request.instruct("administrator", "revoke", &how, output)
}
