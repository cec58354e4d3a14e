//! Holders' instructions: signed with the phone, which speaks for itself alone, or with the card, which speaks for the holder.

use back_office::{CardHolder, CardReference};
use ca_core::application::challenge::Beacon;
use ca_core::card::identity::CardIdentity;
use ca_core::digest::Sha256Digest;
use ca_core::instruction::{HolderInstruction, HolderSigner, PhoneSigner, SignedHolderInstruction, UnverifiedInstruction};
use ca_core::lifecycle::Command;
use ca_core::revocation::RevocationReason;
use chrono::{DateTime, Utc};
use schema::change::{Origin, Target};

use super::Judged;
use super::refused::Refused;
use super::work::{Signed, Verified, Work};
use crate::CaFault;
use crate::role::CaRole;

/// An instruction that a card signed: everything of its holder ends.
pub(super) struct CardSigned {
    digest: Sha256Digest,
    signed: Signed,
    card: CardIdentity,
    reason: RevocationReason,
}

impl CaRole {
    pub(super) fn judge_holder(
        &self,
        instruction: &UnverifiedInstruction,
        beacons: &[Beacon],
        now: DateTime<Utc>,
    ) -> Result<Judged, CaFault> {
        let verified = self.instructions.verify_holder(instruction, now);
        let signed = match verified.and_then(|signed| self.instructions.check_beacon(signed.challenge(), beacons, now).map(|()| signed)) {
            Ok(signed) => signed,
            Err(refusal) => return Ok(Judged::unsigned(instruction.digest(), Refused::of(&refusal))),
        };
        match signed.signer() {
            HolderSigner::Phone(phone) => self.judge_phone(&signed, phone),
            HolderSigner::Card(card) => Ok(judge_card(&signed, card)),
        }
    }

    fn judge_phone(&self, instruction: &SignedHolderInstruction, phone: &PhoneSigner) -> Result<Judged, CaFault> {
        let digest = instruction.digest();
        let signed = Signed {
            challenge: Some(*instruction.challenge().as_bytes()),
            by: Origin::HolderPhone,
            action: instruction.instruction().as_str(),
        };
        let device = self.reader.device_of_certificate(phone.ca_key, &phone.serial)?;
        let work = match instruction.instruction() {
            HolderInstruction::End { reason, .. } => {
                let mut targets = vec![Target::Serial { serial: phone.serial.clone(), kind: Some(phone.kind) }];
                targets.extend(device.map(|device| Target::Device(device.public_id)));
                Work::Change {
                    targets,
                    command: Command::Revoke { reason: *reason, invalid_since: None },
                    signer: Some((phone.kind, phone.serial.clone())),
                    if_none: Refused::new("certificate_unknown", "the certificate that signed is none of this CA's"),
                }
            }
            HolderInstruction::PushToken { push_token } => match device {
                Some(device) => Work::PushToken {
                    device: device.public_id,
                    push_token: push_token.clone(),
                    signer: (phone.ca_key, phone.serial.clone()),
                },
                None => return Ok(Judged::refused(digest, signed, Refused::new("target_unknown", "there is no such device"))),
            },
            // Answered by the RA at once; as an instruction it asks for nothing.
            HolderInstruction::List {} => {
                return Ok(Judged::refused(digest, signed, Refused::new("instruction_action", "a list is no instruction to the CA")));
            }
        };
        Ok(Judged::verified(Verified { digest, signed, work }))
    }
}

fn judge_card(instruction: &SignedHolderInstruction, card: &CardIdentity) -> Judged {
    let digest = instruction.digest();
    let signed =
        Signed { challenge: Some(*instruction.challenge().as_bytes()), by: Origin::HolderCard, action: instruction.instruction().as_str() };
    match instruction.instruction() {
        HolderInstruction::End { reason, .. } => Judged::CardSigned(CardSigned { digest, signed, card: card.clone(), reason: *reason }),
        HolderInstruction::PushToken { .. } | HolderInstruction::List {} => {
            let refusal = Refused::new("instruction_action", "a card asks the CA for the end of certificates and for nothing else");
            Judged::refused(digest, signed, refusal)
        }
    }
}

impl CardSigned {
    pub(super) fn reference(&self) -> CardReference {
        CardReference {
            issuer_key_id: self.card.issuer_key_id.as_bytes().to_vec(),
            serial: self.card.serial.as_bytes().to_vec(),
            sha256: self.card.sha256.0,
        }
    }

    /// Whose card it is, as the back office says: all of that holder's certificates end.
    pub(super) fn of_holder(self, holder: Option<CardHolder>) -> Judged {
        let Self { digest, signed, card: _, reason } = self;
        let Some(holder) = holder else {
            return Judged::refused(digest, signed, Refused::new("holder_unknown", "the back office knows no holder of this card"));
        };
        let work = Work::Change {
            targets: vec![Target::Holder(holder.holder_id)],
            command: Command::Revoke { reason, invalid_since: None },
            signer: None,
            if_none: Refused::new("target_unknown", "the holder has no certificate that has not ended"),
        };
        Judged::verified(Verified { digest, signed, work })
    }
}
