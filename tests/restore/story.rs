//! What happens before a backup and after it, and what relying parties were told of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sandbox::back_office::RevocationRequest;
use sandbox::card::Card;
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, OperatorAction, Target};
use sandbox::phone::{Enrolled, Enrolment};
use sandbox::reason::Reason;
use sandbox::relying_party::{CrlAnswer, OcspWish, RelyingPartyFault, Status, ask_ocsp, fetch_crl};

use crate::support::{Installation, until};

/// People and their certificates.
pub(crate) struct Story {
    pub(crate) authorities: Arc<[Vec<u8>; 2]>,
    /// Revoked by an administrator after the backup.
    revoked: Enrolment,
    /// Held by the call centre after the backup.
    held: Enrolment,
    /// Ended by the card's revocation after the backup.
    cascaded: Enrolment,
    card: Card,
    /// Nothing happens to them.
    untouched: Enrolment,
    /// Somebody asks for their revocation while the store is restored.
    pub(crate) asked: Enrolment,
    /// Issued and revoked after the backup.
    pub(crate) forgotten: Option<Enrolment>,
    /// Issued after the backup, and good.
    lost: Option<Enrolment>,
    /// What was told of each certificate that was not good before the restore, by its serial number.
    told: BTreeMap<String, Status>,
    /// The numbers of the lists then, by kind.
    pub(crate) numbers: [u64; 2],
    /// Where the lists were kept by somebody else.
    pub(crate) kept: PathBuf,
}

impl Story {
    /// Before the backup.
    pub(crate) fn begin(installation: &Installation) -> Self {
        let card = installation.card();
        let apply = || installation.apply(&installation.card());
        let story = Self {
            authorities: Arc::new(Kind::ALL.map(|kind| installation.ca(kind))),
            revoked: apply(),
            held: apply(),
            cascaded: installation.apply(&card),
            card,
            untouched: apply(),
            asked: apply(),
            forgotten: None,
            lost: None,
            told: BTreeMap::new(),
            numbers: [0, 0],
            kept: installation.scratch().join("kept"),
        };
        for enrolled in story.untouched.certificates.iter().chain(&story.revoked.certificates) {
            until("the first answers", || story.status(enrolled).ok().filter(|status| *status == Status::Good));
            until("the first lists", || story.list(enrolled).ok());
        }
        story
    }

    /// Everything that the backup does not know; returns when OCSP and lists tell it.
    pub(crate) fn goes_on_after_the_backup(&mut self, installation: &Installation) {
        let administrator = installation.operator_named("administrator");
        let revoke = |enrolled: &Enrolled| {
            let target = Target::certificate(&enrolled.serial, enrolled.kind);
            let action = OperatorAction::Revoke { target, reason: Reason::KeyCompromise, invalid_since: None, ticket: "stolen".to_owned() };
            administrator.instruct(&action).unwrap();
        };
        self.revoked.certificates.iter().for_each(revoke);
        let target = Target::device(self.held.device().unwrap());
        let action = OperatorAction::Hold { target, cause: HoldCause::PhoneLost, ticket: "in a train".to_owned() };
        installation.operator_named("call-centre").instruct(&action).unwrap();
        let request = RevocationRequest { kinds: Kind::ALL.to_vec(), reason: Reason::CessationOfOperation, at: None };
        installation.back_office.revoke(self.card.card_id.as_deref().unwrap(), &request).unwrap();
        let forgotten = installation.apply(&installation.card());
        forgotten.certificates.iter().for_each(revoke);
        self.forgotten = Some(forgotten);
        self.lost = Some(installation.apply(&installation.card()));

        let ended: Vec<&Enrolled> = self.ended().collect();
        let (mut told, mut numbers) = (BTreeMap::new(), self.numbers);
        std::fs::create_dir_all(&self.kept).unwrap();
        for enrolled in ended {
            let status = until("OCSP tells it", || self.status(enrolled).ok().filter(|status| matches!(status, Status::Revoked { .. })));
            told.insert(enrolled.serial.clone(), status);
            let list = until("a list has it", || self.list(enrolled).ok().filter(|list| list.entry.is_some()));
            let place = &mut numbers[index(enrolled.kind)];
            *place = (*place).max(number(&list));
            std::fs::write(self.kept.join(format!("{}-1.crl", enrolled.kind)), &list.der).unwrap();
        }
        (self.told, self.numbers) = (told, numbers);
        // The high-water file is written each second.
        std::thread::sleep(std::time::Duration::from_millis(2_200));
    }

    /// The certificates of which relying parties were told that they are revoked or held.
    pub(crate) fn ended(&self) -> impl Iterator<Item = &Enrolled> {
        [Some(&self.revoked), Some(&self.held), Some(&self.cascaded), self.forgotten.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(|enrolment| &enrolment.certificates)
    }

    pub(crate) fn status(&self, enrolled: &Enrolled) -> Result<Status, RelyingPartyFault> {
        ask_ocsp(&enrolled.certificate, &self.authorities[index(enrolled.kind)], &OcspWish::default()).map(|answer| answer.status)
    }

    fn list(&self, enrolled: &Enrolled) -> Result<CrlAnswer, RelyingPartyFault> {
        fetch_crl(&enrolled.certificate, &self.authorities[index(enrolled.kind)])
    }

    /// Whether the status service answers at all.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.status(&self.untouched.certificates[0]), Ok(_) | Err(RelyingPartyFault::Error(_)))
    }

    /// Of every certificate, the good ones too.
    pub(crate) fn everything_is_try_later(&self) {
        let all = self.ended().chain(&self.untouched.certificates).chain(self.lost.iter().flat_map(|lost| &lost.certificates));
        for enrolled in all {
            until("OCSP says tryLater", || match self.status(enrolled) {
                Err(RelyingPartyFault::Error(error)) if error == "TryLater" => Some(()),
                Ok(Status::Good) if !self.told.contains_key(&enrolled.serial) => None,
                // A restored database may be away for a moment, and its last answers are still right.
                Ok(status) if self.told.get(&enrolled.serial) == Some(&status) => None,
                Err(RelyingPartyFault::Http(_)) => None,
                other => panic!("{}: {other:?}", enrolled.serial),
            });
        }
    }

    /// Nothing that was told is told otherwise; what is good is good; and what was issued after the backup was never issued.
    pub(crate) fn everything_is_told_as_before(&self) {
        let first = &self.untouched.certificates[0];
        until("OCSP answers again", || self.status(first).ok());
        for enrolled in self.ended() {
            assert_eq!(self.status(enrolled).unwrap(), self.told[&enrolled.serial], "{}", enrolled.serial);
        }
        for enrolled in &self.untouched.certificates {
            assert_eq!(self.status(enrolled).unwrap(), Status::Good);
        }
        for enrolled in &self.lost.as_ref().unwrap().certificates {
            assert_eq!(self.status(enrolled).unwrap(), Status::NeverIssued);
        }
    }

    /// Every certificate is on a list with a higher number than any before.
    pub(crate) fn lists_go_on_with_higher_numbers(&self) {
        for enrolled in self.ended() {
            let before = self.numbers[index(enrolled.kind)];
            let list = until("a new list", || self.list(enrolled).ok().filter(|list| number(list) > before));
            let entry = list.entry.unwrap_or_else(|| panic!("{} is not on list {}", enrolled.serial, list.number));
            let told = Status::Revoked { at: entry.at, reason: entry.reason };
            assert_eq!(told, self.told[&enrolled.serial], "{}", enrolled.serial);
        }
    }
}

pub(crate) fn index(kind: Kind) -> usize {
    Kind::ALL.iter().position(|known| *known == kind).unwrap()
}

pub(crate) fn number(list: &CrlAnswer) -> u64 {
    u64::from_str_radix(&list.number, 16).unwrap()
}
