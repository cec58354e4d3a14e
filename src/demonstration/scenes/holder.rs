//! The actors: a person with a card, and the phones that take commands.

use sandbox::back_office::NewCard;
use sandbox::card::Card;
use sandbox::fcm::PushSubscription;
use sandbox::kind::Kind;
use sandbox::phone::{ApplyWish, Device, DeviceCommand, Enrolled, Phone, Replaces, Reply};
use sandbox::relying_party::Status;

use super::Set;
use crate::demonstration::checks::{await_status, demand, expect, failed};
use crate::demonstration::stage::Stage;
use crate::failure::Failure;

/// A phone, with the messages that were pushed to it.
pub(super) struct Handset {
    pub(super) phone: Phone,
    push: PushSubscription,
    letters: Vec<String>,
}

/// Makes a card for a new person.
pub(super) fn new_card(stage: &Stage) -> Result<Card, Failure> {
    let file = stage.back_office.new_card(&NewCard::default()).map_err(failed)?;
    Card::from_file(&file).map_err(failed)
}

/// What the holder is called at the back office.
pub(super) fn holder_of(card: &Card) -> Result<&str, Failure> {
    card.holder_id.as_deref().ok_or_else(|| Failure::other("the card has no holder"))
}

/// What a wish for both certificates looks like; whatever an older phone has is to end.
pub(super) fn wish(stage: &Stage, push_token: &str) -> ApplyWish {
    let device = Device { push_token: Some(push_token.to_owned()), ..Device::default() };
    ApplyWish { device, replaces: Replaces::Any, ..ApplyWish::new(&stage.settings.ra.name) }
}

impl Handset {
    /// A phone that applies with a card, and whose certificates are good. Its messages come by a token.
    pub(super) fn enrol(set: &Set<'_>, card: &Card, push_token: &str) -> Result<Self, Failure> {
        let stage = set.stage;
        let phone = Phone::apply(&stage.ra()?, card, &wish(stage, push_token)).map_err(failed)?;
        for enrolled in &phone.certificates {
            await_status(stage, enrolled, |status| *status == Status::Good)?;
        }
        let push = PushSubscription::new(stage.push.url(), push_token).map_err(failed)?;
        Ok(Self { phone, push, letters: Vec::new() })
    }

    /// Its certificate of a kind.
    pub(super) fn of(&self, kind: Kind) -> Result<&Enrolled, Failure> {
        self.phone.of(kind).ok_or_else(|| Failure::other(format!("the phone has no {kind} certificate")))
    }

    /// What the issuer calls it.
    pub(super) fn device(&self) -> Result<&str, Failure> {
        self.phone.device_id().ok_or_else(|| Failure::other("the phone was not told its name"))
    }

    /// Waits for so many commands by push, and verifies each; as they came, and as understood.
    pub(super) fn await_commands(&mut self, stage: &Stage, count: usize) -> Result<Vec<(String, DeviceCommand)>, Failure> {
        expect(&format!("{count} commands by push"), || {
            self.letters.extend(self.push.commands().ok()?);
            (self.letters.len() >= count).then_some(())
        })?;
        let ra = stage.ra()?;
        let letters = std::mem::take(&mut self.letters);
        letters.into_iter().map(|letter| self.phone.receive(&ra, &letter).map(|command| (letter, command)).map_err(failed)).collect()
    }

    /// Carries commands out and confirms them, signed; waits until the issuer knows.
    pub(super) fn obey(&mut self, stage: &Stage, commands: &[(String, DeviceCommand)]) -> Result<(), Failure> {
        let ra = stage.ra()?;
        for (_, command) in commands {
            let told = self.phone.obey(&ra, command, Reply::Signed).map_err(failed)?;
            demand(told.is_some_and(|told| (200..300).contains(&told.status)), "the confirmation was not taken")?;
        }
        let auditor = stage.operator("auditor")?;
        let device = self.device()?;
        let is_confirmed = |name: &str| {
            let seen = auditor.device(device).ok()?;
            let listed = seen["commands"].as_array()?.iter().find(|listed| listed["command"] == name)?;
            (listed["state"] == "confirmed").then_some(())
        };
        for (_, command) in commands {
            expect("the confirmation of a command", || is_confirmed(&command.command))?;
        }
        Ok(())
    }
}
