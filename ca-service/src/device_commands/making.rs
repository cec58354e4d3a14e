//! Commands that follow from events: erase what was revoked or superseded, lock what is on hold because the phone is lost,
//! unlock what is live again.

use ca_core::device_command::{DeviceAction, DeviceCommand, NamedCertificate};
use ca_core::issuance::RandomnessFault;
use chrono::{DateTime, Utc};
use ring::rand::{SecureRandom as _, SystemRandom};
use schema::certificate::CertificateState;
use schema::device_command::NewDeviceCommand;
use schema::{Event, EventKind, EventPosition, StoreFault, Transaction};

use crate::CaFault;
use crate::notices::passed;
use crate::role::CaRole;
use crate::told::{ToldCertificate, word};

/// What the follower is called in the store.
const FOLLOWER: &str = "device-commands";
/// Positions that are passed in one transaction at most, and events about certificates among them.
const SPAN: u32 = 10_000;
const PAGE: u32 = 200;

/// A command that is to be made.
pub(crate) struct Ordered {
    /// The phone.
    pub(crate) device: String,
    /// What it shall do.
    pub(crate) action: DeviceAction,
    /// With which certificates' keys.
    pub(crate) certificates: Vec<NamedCertificate>,
    /// The event from which this follows.
    pub(crate) event: Option<EventPosition>,
}

impl CaRole {
    /// Makes the commands that follow from new events; how many events were passed. The cursor moves in the same transaction.
    pub fn follow_commands(&self) -> Result<usize, CaFault> {
        let from = self.reader.follower(FOLLOWER)?;
        let (events, until) = self.reader.certificate_events_after(from, SPAN, PAGE)?;
        if until == from {
            return Ok(0);
        }
        let now = self.clock.now();
        let mut commands = Vec::new();
        for event in &events {
            if let Some(ordered) = self.order_for(event)? {
                commands.push(self.command(ordered, now)?);
            }
        }
        self.write(move |tx| {
            for command in &commands {
                if is_of_use(tx, command)? {
                    tx.create_device_command(command, now)?;
                }
            }
            tx.advance_follower(FOLLOWER, until)
        })?;
        Ok(passed(from, until))
    }

    /// What a hold or its end asked for is not done if the certificate has gone on since: it has a later event then, which tells what to do.
    fn order_for(&self, event: &Event) -> Result<Option<Ordered>, CaFault> {
        let action = match event.kind {
            EventKind::CertificateRevoked => DeviceAction::Erase,
            EventKind::CertificateHeld | EventKind::CertificateHoldAdded if word(event, "cause") == Some("phone-lost") => {
                DeviceAction::Lock
            }
            EventKind::CertificateReleased => DeviceAction::Unlock,
            _ => return Ok(None),
        };
        let Some(told) = ToldCertificate::of(event) else { return Ok(None) };
        let wanted = match action {
            DeviceAction::Erase => None,
            DeviceAction::Lock => Some(CertificateState::Held),
            DeviceAction::Unlock => Some(CertificateState::Live),
        };
        if let Some(wanted) = wanted {
            let found = self.reader.certificate_detail(Some(told.kind), &told.serial)?;
            if found.is_none_or(|certificate| certificate.summary.state != wanted) {
                return Ok(None);
            }
        }
        let Some(device) = self.reader.device_of_certificate(told.ca_key, &told.serial)? else { return Ok(None) };
        let certificates = vec![NamedCertificate { kind: told.kind, serial: told.serial }];
        Ok(Some(Ordered { device: device.public_id, action, certificates, event: Some(event.position) }))
    }

    /// Signs a command.
    pub(crate) fn command(&self, ordered: Ordered, now: DateTime<Utc>) -> Result<NewDeviceCommand, CaFault> {
        let Ordered { device, action, certificates, event } = ordered;
        let expires_at = now + self.settings.life.command_life();
        let command = DeviceCommand { command: random_public_id()?, device, action, certificates, issued_at: now, expires_at };
        let message = self.command_key.sign(&command)?;
        let DeviceCommand { command: public_id, device, certificates, .. } = command;
        Ok(NewDeviceCommand { public_id, device, action, message, certificates, expires_at, event })
    }
}

/// Keys are unlocked only where they were to be locked.
fn is_of_use(tx: &mut Transaction<'_>, command: &NewDeviceCommand) -> Result<bool, StoreFault> {
    if command.action != DeviceAction::Unlock {
        return Ok(true);
    }
    for certificate in &command.certificates {
        if tx.is_locked(certificate)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a device or a command is called outside: 32 hexadecimal digits, random.
pub(crate) fn random_public_id() -> Result<String, CaFault> {
    let mut octets = [0; 16];
    SystemRandom::new().fill(&mut octets).map_err(|_| CaFault::Randomness(RandomnessFault))?;
    Ok(hex::encode(octets))
}
