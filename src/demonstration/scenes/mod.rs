//! Scenes of a certificate's later life, each with a holder of its own.

mod audit;
mod card_renewed;
mod erase_never_arrives;
mod evidence;
mod holder;
mod lost_phone;
mod moved_house;
mod new_phone;

use clap::ValueEnum;
use sandbox::back_office::KeptNotice;
use sandbox::kind::Kind;
use sandbox::phone::Enrolled;

use super::Play;
use super::artifacts::Artifacts;
use super::checks::expect;
use super::stage::Stage;
use crate::failure::Failure;

/// A scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scene {
    /// A phone is lost: the call centre holds its certificates, and it is told to lock its keys
    LostPhone,
    /// A new phone takes the place of a held one, which is told to erase its keys
    NewPhone,
    /// The holder moves house: the signature certificate ends, the authentication certificate stays
    MovedHouse,
    /// The card is renewed: both end, and the holder is invited to apply again
    CardRenewed,
    /// An erase command never arrives: the revocation does not wait, and the phone is remembered
    EraseNeverArrives,
    /// Nobody need believe any of it: a receipt, and an export of the log, are verified
    Evidence,
}

impl Scene {
    /// All of them, in the order in which they are played.
    pub(crate) const ALL: [Self; 6] =
        [Self::LostPhone, Self::NewPhone, Self::MovedHouse, Self::CardRenewed, Self::EraseNeverArrives, Self::Evidence];

    /// The word on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LostPhone => "lost-phone",
            Self::NewPhone => "new-phone",
            Self::MovedHouse => "moved-house",
            Self::CardRenewed => "card-renewed",
            Self::EraseNeverArrives => "erase-never-arrives",
            Self::Evidence => "evidence",
        }
    }

    /// What stands above it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::LostPhone => "Lost phone",
            Self::NewPhone => "New phone",
            Self::MovedHouse => "Moved house",
            Self::CardRenewed => "Card renewed",
            Self::EraseNeverArrives => "An erase command that never arrives",
            Self::Evidence => "Evidence",
        }
    }

    /// Plays it.
    pub(super) fn play(self, set: &mut Set<'_>) -> Result<(), Failure> {
        match self {
            Self::LostPhone => lost_phone::play(set),
            Self::NewPhone => new_phone::play(set),
            Self::MovedHouse => moved_house::play(set),
            Self::CardRenewed => card_renewed::play(set),
            Self::EraseNeverArrives => erase_never_arrives::play(set),
            Self::Evidence => evidence::play(set),
        }
    }
}

/// What a scene is played on.
pub(super) struct Set<'a> {
    pub(super) play: &'a mut Play,
    pub(super) stage: &'a Stage,
    pub(super) artifacts: &'a Artifacts,
}

impl Set<'_> {
    fn claim(&mut self, claim: impl Into<String>) {
        self.play.claim(claim);
    }

    /// Keeps certificates under `phone-NAME-KIND.pem`.
    fn keep_certificates(&self, name: &str, certificates: &[Enrolled]) -> Result<(), Failure> {
        for enrolled in certificates {
            let pem = sandbox::pem::encode(sandbox::pem::CERTIFICATE, &enrolled.certificate);
            self.artifacts.write(&format!("phone-{name}-{}.pem", enrolled.kind), pem.as_bytes())?;
        }
        Ok(())
    }

    /// The notices of a template that a holder was given, once there is one for each of `kinds`.
    fn await_notices(&self, holder: &str, template: &str, kinds: &[Kind]) -> Result<Vec<KeptNotice>, Failure> {
        expect(&format!("a notice {template} to the holder"), || {
            let mut notices = self.stage.back_office.notices();
            notices.retain(|kept| kept.notice.holder_id == holder && kept.notice.template == template);
            (notices.len() >= kinds.len()).then_some(notices)
        })
    }
}
