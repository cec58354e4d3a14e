//! A phone as a thing that stays: its certificates and keys, the key that confirms commands, and what it was told to do.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::PhoneFault;
use super::apply::{ApplyWish, Enrolled, Enrolment, apply, enrol_file_names, fetch_receipts, receipt_file_name};
use super::commands::{CommandAction, DeviceCommand, Reply};
use super::instruct::{CertificatesToEnd, HolderAction, instruct, report_key_compromise};
use super::ra_client::{RaAnswer, RaClient};
use super::statement::{Device, NamedCertificate};
use crate::card::Card;
use crate::instruction::{Decision, Signer};
use crate::keys::{Key, KeyAlgorithm};
use crate::kind::Kind;
use crate::pem;
use crate::reason::Reason;

/// The command key's file.
const COMMAND_KEY_FILE: &str = "phone-command.key.pem";
/// What else the phone remembers.
const MEMORY_FILE: &str = "phone.json";

/// A phone with certificates.
#[derive(Debug)]
pub struct Phone {
    /// How it describes itself.
    pub device: Device,
    /// Its certificates with their keys; what was erased is gone.
    pub certificates: Vec<Enrolled>,
    audience: String,
    /// The newest last.
    tickets: Vec<Ticket>,
    command_key: Key,
    /// What an earlier owner left in it.
    left_behind: Vec<Enrolled>,
    locks: Vec<Lock>,
    obeyed: Vec<String>,
    directory: Option<PathBuf>,
}

/// An application of this phone, and what opens its commands.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ticket {
    application_id: String,
    token: Option<String>,
    device_id: Option<String>,
}

/// What the last command that counted said of a certificate's key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lock {
    certificate: NamedCertificate,
    is_locked: bool,
    issued_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    audience: String,
    tickets: Vec<Ticket>,
    device: Device,
    certificates: Vec<NamedCertificate>,
    locks: Vec<Lock>,
    obeyed: Vec<String>,
}

impl Phone {
    /// Applies as a phone that takes commands: makes a command key and states it.
    pub fn apply(ra: &RaClient, card: &Card, wish: &ApplyWish) -> Result<Self, PhoneFault> {
        let command_key = Key::generate(KeyAlgorithm::P256)?;
        let wish = stating(&wish.device, &command_key, wish);
        Ok(Self::new(apply(ra, card, &wish)?, &wish, command_key))
    }

    /// The same with a phone that was somebody else's, and still has what was in it: stated as left behind.
    pub fn apply_with_used(ra: &RaClient, card: &Card, wish: &ApplyWish, used: Self) -> Result<Self, PhoneFault> {
        let device = Device { left_behind: used.names_of_certificates(), ..wish.device.clone() };
        let new = Self::apply(ra, card, &ApplyWish { device, ..wish.clone() })?;
        Ok(Self { left_behind: used.certificates, ..new })
    }

    /// Applies again with the same phone, before its certificates end or after the card's were renewed. The old keys stay until
    /// they are erased by command; the new ones are what it signs with.
    pub fn renew(&mut self, ra: &RaClient, card: &Card, wish: &ApplyWish) -> Result<(), PhoneFault> {
        let wish = stating(&self.device, &self.command_key, wish);
        let enrolment = apply(ra, card, &wish)?;
        self.tickets.push(Ticket::of(&enrolment));
        let old = std::mem::replace(&mut self.certificates, enrolment.certificates);
        self.certificates.extend(old);
        match self.directory.clone() {
            Some(directory) => self.save(&directory),
            None => Ok(()),
        }
    }

    /// Fetches the receipts of the newest certificates, and keeps them beside those; the RA holds its answer for so many seconds at
    /// most.
    ///
    /// # Errors
    /// [`PhoneFault::Undecided`] if the log does not have them by then.
    pub fn fetch_receipts(&mut self, ra: &RaClient, wait_seconds: u32) -> Result<(), PhoneFault> {
        let ticket = self.tickets.last().ok_or_else(|| PhoneFault::Answer("nothing was applied for".to_owned()))?;
        fetch_receipts(ra, &ticket.application_id, ticket.token()?, wait_seconds, &mut self.certificates)?;
        match self.directory.clone() {
            Some(directory) => self.save(&directory),
            None => Ok(()),
        }
    }

    /// A phone around what an application brought; `command_key` is the one that the application stated.
    pub fn new(enrolment: Enrolment, wish: &ApplyWish, command_key: Key) -> Self {
        Self {
            device: wish.device.clone(),
            audience: wish.audience.clone(),
            tickets: vec![Ticket::of(&enrolment)],
            certificates: enrolment.certificates,
            command_key,
            left_behind: Vec::new(),
            locks: Vec::new(),
            obeyed: Vec::new(),
            directory: None,
        }
    }

    /// The RA's name for the newest application.
    pub fn application_id(&self) -> &str {
        self.tickets.last().map_or("", |ticket| &ticket.application_id)
    }

    /// The phone's name at the issuer, if it was told.
    pub fn device_id(&self) -> Option<&str> {
        self.tickets.last().and_then(|ticket| ticket.device_id.as_deref())
    }

    /// What an earlier owner left in it and no command has erased yet.
    pub fn left_behind(&self) -> &[Enrolled] {
        &self.left_behind
    }

    /// The certificate of a kind, unless it was erased.
    pub fn of(&self, kind: Kind) -> Option<&Enrolled> {
        self.certificates.iter().find(|enrolled| enrolled.kind == kind)
    }

    /// Certificate and key of a kind, to sign with; refused if erased or locked.
    pub fn signer(&self, kind: Kind) -> Result<Signer<'_>, PhoneFault> {
        let enrolled = self.of(kind).ok_or(PhoneFault::NoKey { kind })?;
        if self.is_locked(kind) {
            return Err(PhoneFault::NoKey { kind });
        }
        Ok(enrolled.signer())
    }

    /// Ends both certificates of this phone, signed with the key of either.
    pub fn end(&self, ra: &RaClient, with: Kind, reason: Reason) -> Result<Decision, PhoneFault> {
        self.instruct(ra, with, &HolderAction::End { certificates: CertificatesToEnd::ThisPhone, reason })
    }

    /// Asks for the holder's certificates and their history.
    pub fn list(&self, ra: &RaClient, with: Kind) -> Result<Decision, PhoneFault> {
        self.instruct(ra, with, &HolderAction::List)
    }

    /// Gives the RA another push token.
    pub fn change_push_token(&mut self, ra: &RaClient, with: Kind, push_token: &str) -> Result<Decision, PhoneFault> {
        let decision = self.instruct(ra, with, &HolderAction::PushToken { push_token: push_token.to_owned() })?;
        self.device.push_token = Some(push_token.to_owned());
        self.remember()?;
        Ok(decision)
    }

    /// Any instruction, signed with the key of a kind.
    pub fn instruct(&self, ra: &RaClient, with: Kind, action: &HolderAction) -> Result<Decision, PhoneFault> {
        instruct(ra, &self.audience, self.signer(with)?, action)
    }

    /// Reports the key of a kind as compromised.
    pub fn report_key_compromise(&self, ra: &RaClient, kind: Kind) -> Result<Decision, PhoneFault> {
        report_key_compromise(ra, self.signer(kind)?.key)
    }

    /// Asks the RA for commands that wait, and verifies them.
    pub fn commands(&self, ra: &RaClient) -> Result<Vec<DeviceCommand>, PhoneFault> {
        let keys = ra.command_keys()?;
        let mut commands = Vec::new();
        for ticket in &self.tickets {
            for text in ra.commands(&ticket.application_id, ticket.token()?)? {
                let command = self.meant(DeviceCommand::verify(&text, &keys)?)?;
                if !commands.contains(&command) {
                    commands.push(command);
                }
            }
        }
        Ok(commands)
    }

    /// Verifies a command that came by push.
    pub fn receive(&self, ra: &RaClient, text: &str) -> Result<DeviceCommand, PhoneFault> {
        self.meant(DeviceCommand::verify(text, &ra.command_keys()?)?)
    }

    /// Carries out a command, and tells the RA in that manner. `None`: nothing was told. A command that was carried out before
    /// is only told of again.
    pub fn obey(&mut self, ra: &RaClient, command: &DeviceCommand, reply: Reply) -> Result<Option<RaAnswer>, PhoneFault> {
        if reply != Reply::Failed && !self.obeyed.contains(&command.command) {
            self.carry_out(command)?;
        }
        let Some(body) = command.result(reply, &self.command_key)? else { return Ok(None) };
        // A phone that has applied more than once is more than one device to the issuer.
        let mut answer = None;
        for ticket in self.tickets.iter().rev() {
            let told = ra.command_result(&ticket.application_id, ticket.token()?, &command.command, &body)?;
            let is_known = told.status != 404;
            answer = Some(told);
            if is_known {
                break;
            }
        }
        Ok(answer)
    }

    /// Asks, verifies, carries out and answers whatever waits; how many commands there were.
    pub fn check_in(&mut self, ra: &RaClient, reply: Reply) -> Result<usize, PhoneFault> {
        let commands = self.commands(ra)?;
        for command in &commands {
            if let Some(answer) = self.obey(ra, command, reply)?
                && !(200..300).contains(&answer.status)
            {
                return Err(answer.refusal());
            }
        }
        Ok(commands.len())
    }

    /// Whether the keys of a kind are there but locked.
    pub fn is_locked(&self, kind: Kind) -> bool {
        self.of(kind).is_some_and(|enrolled| self.locks.iter().any(|lock| lock.is_locked && enrolled.is(&lock.certificate)))
    }

    /// Its certificates by name: what a next owner finds left behind.
    pub fn names_of_certificates(&self) -> Vec<NamedCertificate> {
        self.certificates.iter().map(Enrolled::name).collect()
    }

    /// Writes certificates, keys and memory into an existing directory; what is erased later is removed from it.
    pub fn save(&mut self, directory: &Path) -> Result<(), PhoneFault> {
        // Of each kind the newest comes first, and is what the file is to hold.
        for enrolled in self.certificates.iter().rev() {
            enrolled.save(directory)?;
        }
        pem::write_secret(&directory.join(COMMAND_KEY_FILE), self.command_key.to_pem())?;
        self.directory = Some(directory.to_owned());
        self.remember()
    }

    /// Reads what [`Self::save`] wrote.
    pub fn load(directory: &Path) -> Result<Self, PhoneFault> {
        let unreadable = |reason: String| PhoneFault::Answer(format!("{MEMORY_FILE}: {reason}"));
        let memory = std::fs::read(directory.join(MEMORY_FILE)).map_err(|error| unreadable(error.to_string()))?;
        let memory: Memory = serde_json::from_slice(&memory).map_err(|error| unreadable(error.to_string()))?;
        let mut certificates = Vec::with_capacity(memory.certificates.len());
        for named in memory.certificates {
            // Of an older one of the kind, only the name is kept.
            if certificates.iter().any(|newer: &Enrolled| newer.kind == named.kind) {
                continue;
            }
            let (certificate, key) = enrol_file_names(named.kind);
            certificates.push(Enrolled {
                kind: named.kind,
                serial: named.serial,
                certificate: pem::read(&directory.join(certificate), pem::CERTIFICATE)?,
                key: Key::from_pkcs8(pem::read(&directory.join(key), pem::PRIVATE_KEY)?)?,
                receipt: kept_receipt(directory, named.kind)?,
            });
        }
        Ok(Self {
            device: memory.device,
            audience: memory.audience,
            tickets: memory.tickets,
            left_behind: Vec::new(),
            command_key: Key::from_pkcs8(pem::read(&directory.join(COMMAND_KEY_FILE), pem::PRIVATE_KEY)?)?,
            certificates,
            locks: memory.locks,
            obeyed: memory.obeyed,
            directory: Some(directory.to_owned()),
        })
    }

    /// A command, if it is to this phone; one that was never told its name takes what its token opens.
    fn meant(&self, command: DeviceCommand) -> Result<DeviceCommand, PhoneFault> {
        let mut named = self.tickets.iter().filter_map(|ticket| ticket.device_id.as_deref()).peekable();
        if named.peek().is_none() || named.any(|device| device == command.device) { Ok(command) } else { Err(PhoneFault::OtherDevice) }
    }

    fn carry_out(&mut self, command: &DeviceCommand) -> Result<(), PhoneFault> {
        match command.action {
            CommandAction::Lock | CommandAction::Unlock => {
                let is_locked = command.action == CommandAction::Lock;
                command.certificates.iter().for_each(|named| self.set_lock(named, is_locked, command.issued_at));
            }
            CommandAction::Erase => {
                let is_named = |enrolled: &Enrolled| command.certificates.iter().any(|named| enrolled.is(named));
                if let Some(directory) = &self.directory {
                    for enrolled in self.certificates.iter().filter(|enrolled| is_named(enrolled)) {
                        enrolled.remove(directory)?;
                    }
                }
                self.certificates.retain(|enrolled| !is_named(enrolled));
                self.left_behind.retain(|enrolled| !is_named(enrolled));
                self.device.left_behind.retain(|left| !command.certificates.iter().any(|named| left.is(named)));
            }
        }
        self.obeyed.push(command.command.clone());
        self.remember()
    }

    /// Of a lock and an unlock, the one that was issued later counts, in whichever order they arrive.
    fn set_lock(&mut self, certificate: &NamedCertificate, is_locked: bool, issued_at: DateTime<Utc>) {
        let lock = Lock { certificate: certificate.clone(), is_locked, issued_at };
        match self.locks.iter_mut().find(|known| known.certificate == *certificate) {
            Some(known) if known.issued_at <= issued_at => *known = lock,
            Some(_) => {}
            None => self.locks.push(lock),
        }
    }

    fn remember(&self) -> Result<(), PhoneFault> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let memory = Memory {
            audience: self.audience.clone(),
            tickets: self.tickets.clone(),
            device: self.device.clone(),
            certificates: self.names_of_certificates(),
            locks: self.locks.clone(),
            obeyed: self.obeyed.clone(),
        };
        let memory = serde_json::to_vec_pretty(&memory).map_err(|error| PhoneFault::Answer(error.to_string()))?;
        Ok(pem::write_secret(&directory.join(MEMORY_FILE), memory)?)
    }
}

impl Ticket {
    fn of(enrolment: &Enrolment) -> Self {
        Self {
            application_id: enrolment.application_id.clone(),
            token: enrolment.token().map(str::to_owned),
            device_id: enrolment.device().map(str::to_owned),
        }
    }

    fn token(&self) -> Result<&str, PhoneFault> {
        self.token.as_deref().ok_or_else(|| PhoneFault::Answer("the application's answer brought no token".to_owned()))
    }
}

/// A wish that states a device with its command key.
fn stating(device: &Device, command_key: &Key, wish: &ApplyWish) -> ApplyWish {
    let command_key = Some(STANDARD.encode(command_key.public_key_info()));
    ApplyWish { device: Device { command_key, ..device.clone() }, ..wish.clone() }
}

fn kept_receipt(directory: &Path, kind: Kind) -> Result<Option<Value>, PhoneFault> {
    let name = receipt_file_name(kind);
    let unreadable = |reason: String| PhoneFault::Answer(format!("{name}: {reason}"));
    match std::fs::read(directory.join(&name)) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| unreadable(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(error.to_string())),
    }
}
