//! Issuing: from accepted applications to certificates, in batches.
//!
//! Each application is verified again from its evidence, as if the RA had done nothing. The order is fixed: verify, ask the
//! back office, make and lint, record the intent, sign, commit everything at once. A crash before the commit leaves the
//! application accepted and nothing issued; it is taken up again with new serial numbers.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use back_office::{CardHolder, CardReference};
use ca_core::application::ApplicationId;
use ca_core::application::challenge::Beacon;
use ca_core::application::refusal::ApplicationRefusal;
use ca_core::application::verified::VerifiedApplication;
use ca_core::application::verifier::UnverifiedApplication;
use ca_core::device_command::{DeviceAction, NamedCertificate};
use ca_core::issuance::{self, Linted, Recorded, SignedCertificate, Template, TemplateFault};
use ca_core::refusal::Refusal as _;
use ca_core::signer::SignerFault;
use chrono::{DateTime, Utc};
use schema::WriteError;
use schema::application::StoredApplication;
use schema::channel::Channel;
use schema::device::NewDevice;
use schema::device_command::NewDeviceCommand;
use schema::intent::StoredIntents;
use schema::issuance::{Issuance, IssueRefusal, NewCertificate};

use crate::CaFault;
use crate::device_commands::{Ordered, random_public_id};
use crate::evidence::EvidenceVerdict;
use crate::role::CaRole;
use crate::steps::IssuanceStep;

/// What one round of issuing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Applications taken up.
    pub taken: usize,
    /// Applications issued on.
    pub issued: usize,
    /// Applications refused.
    pub refused: usize,
}

/// Why the CA refuses what the RA had accepted: a stable code and a sentence without personal data.
#[derive(Debug, Clone)]
struct CaRefusal {
    code: &'static str,
    detail: String,
}

impl From<ApplicationRefusal> for CaRefusal {
    fn from(refusal: ApplicationRefusal) -> Self {
        Self { code: refusal.code(), detail: refusal.to_string() }
    }
}

/// What goes on to the next step, and what is refused.
type Sorted<T> = (Vec<T>, Vec<(ApplicationId, CaRefusal)>);

/// An application on its way through the steps, with what it has become so far.
struct InWork<T> {
    application: ApplicationId,
    verified: VerifiedApplication,
    certificates: Vec<T>,
}

/// Applications that one worker has in hand; dropping it lets go of them, decided or not.
struct InHand<'a> {
    all: &'a Mutex<HashSet<ApplicationId>>,
    taken: Vec<ApplicationId>,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        for application in &self.taken {
            all.remove(application);
        }
    }
}

impl CaRole {
    /// Takes up to a batch of accepted applications and decides each of them. Several threads may do so at once.
    ///
    /// Where the evidence about cards is too old, applications wait a moment for it, as after a start, and are refused then. Where the
    /// log cannot be written, they wait for that.
    pub fn issue_batch(&self) -> Result<BatchOutcome, CaFault> {
        let in_hand = self.take()?;
        let taken = in_hand.taken.len();
        if taken == 0 || self.log_is_late()? {
            return Ok(BatchOutcome::default());
        }
        let mut refused = Vec::new();
        let now = self.clock.now();
        let stored = match self.judge_evidence(now)? {
            EvidenceVerdict::Fresh => self.read(&in_hand, &mut refused)?,
            EvidenceVerdict::Waiting => return Ok(BatchOutcome::default()),
            EvidenceVerdict::Stale(channel) => {
                refused.extend(in_hand.taken.iter().map(|id| (*id, stale(channel))));
                Vec::new()
            }
        };
        self.steps.reached(IssuanceStep::Taken);
        let (verified, more) = self.verify_again(stored, now)?;
        refused.extend(more);
        let (verified, more) = self.ask_back_office(verified)?;
        refused.extend(more);
        self.steps.reached(IssuanceStep::Verified);
        self.open_shards()?;
        let (linted, more) = self.make(verified, now)?;
        refused.extend(more);
        self.steps.reached(IssuanceStep::Linted);
        let recorded = self.record(linted)?;
        self.steps.reached(IssuanceStep::Recorded);
        let (signed, unsigned) = Self::sign(recorded);
        self.steps.reached(IssuanceStep::Signed);
        let outcome = self.commit(signed, refused, now)?;
        self.steps.reached(IssuanceStep::Committed);
        metrics::counter!("tsunagi_ca_applications_issued_total").increment(outcome.issued as u64);
        metrics::counter!("tsunagi_ca_applications_refused_total").increment(outcome.refused as u64);
        unsigned.map_or(Ok(BatchOutcome { taken, ..outcome }), |fault| Err(fault.into()))
    }

    /// Takes the oldest accepted applications that no other worker of this process has in hand.
    fn take(&self) -> Result<InHand<'_>, CaFault> {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = self.settings.batch.saturating_add(u32::try_from(in_hand.len()).unwrap_or(u32::MAX));
        let mut taken = self.reader.accepted_application_ids(limit)?;
        taken.retain(|id| !in_hand.contains(id));
        taken.truncate(self.settings.batch as usize);
        in_hand.extend(&taken);
        Ok(InHand { all: &self.in_hand, taken })
    }

    /// Reads what was taken. A row that cannot be read is refused: it must not keep all others waiting.
    fn read(&self, in_hand: &InHand<'_>, refused: &mut Vec<(ApplicationId, CaRefusal)>) -> Result<Vec<StoredApplication>, CaFault> {
        let unreadable = |id| {
            let detail = "what was stored of the application cannot be read".to_owned();
            (id, CaRefusal { code: "evidence_unreadable", detail })
        };
        let mut stored = Vec::with_capacity(in_hand.taken.len());
        let found = self.reader.read_accepted(&in_hand.taken)?;
        // No evidence at all, which no honest RA leaves; or decided meanwhile, and then the refusal comes to nothing.
        let without = in_hand.taken.iter().filter(|id| !found.iter().any(|(found, _)| found == *id));
        refused.extend(without.map(|id| unreadable(*id)));
        for (id, application) in found {
            match application {
                Ok(application) => stored.push(application),
                Err(fault) => {
                    tracing::error!(application = id.0, %fault, "a stored application cannot be read");
                    refused.push(unreadable(id));
                }
            }
        }
        Ok(stored)
    }

    fn verify_again(
        &self,
        stored: Vec<StoredApplication>,
        now: DateTime<Utc>,
    ) -> Result<Sorted<(ApplicationId, VerifiedApplication)>, CaFault> {
        let beacons = self.reader.beacons(now - self.verifier.policy().challenge.lifetime())?;
        let mut verified = Vec::with_capacity(stored.len());
        let mut refused = Vec::new();
        for stored in stored {
            let id = stored.id;
            match self.verify_stored(stored, &beacons, now) {
                Ok(application) => verified.push((id, application)),
                Err(refusal) => refused.push((id, refusal.into())),
            }
        }
        Ok((verified, refused))
    }

    fn verify_stored(
        &self,
        stored: StoredApplication,
        beacons: &[Beacon],
        now: DateTime<Utc>,
    ) -> Result<VerifiedApplication, ApplicationRefusal> {
        let signed = self.verifier.verify_signature(UnverifiedApplication::from_bytes(stored.cms)?, now)?;
        self.verifier.verify(signed, stored.evidence, beacons, now)
    }

    /// Whose card it is, no signature says: the CA asks for itself, and refuses where the RA had been told something else.
    fn ask_back_office(
        &self,
        verified: Vec<(ApplicationId, VerifiedApplication)>,
    ) -> Result<Sorted<(ApplicationId, VerifiedApplication)>, CaFault> {
        if verified.is_empty() {
            return Ok((verified, Vec::new()));
        }
        let cards: Vec<_> = verified.iter().map(|(_, application)| reference(application)).collect();
        let holders = self.back_office.look_up(&cards)?;
        let mut confirmed = Vec::with_capacity(verified.len());
        let mut refused = Vec::new();
        for ((id, application), holder) in verified.into_iter().zip(holders) {
            match contradiction(&application, holder.as_ref()) {
                None => confirmed.push((id, application)),
                Some(refusal) => refused.push((id, refusal.into())),
            }
        }
        Ok((confirmed, refused))
    }

    fn make(&self, verified: Vec<(ApplicationId, VerifiedApplication)>, now: DateTime<Utc>) -> Result<Sorted<InWork<Linted>>, CaFault> {
        let mut made = Vec::with_capacity(verified.len());
        let mut refused = Vec::new();
        for (application, verified) in verified {
            match self.make_one(application, &verified, now)? {
                Ok(certificates) => made.push(InWork { application, verified, certificates }),
                Err(refusal) => refused.push((application, refusal)),
            }
        }
        Ok((made, refused))
    }

    fn make_one(
        &self,
        application: ApplicationId,
        verified: &VerifiedApplication,
        now: DateTime<Utc>,
    ) -> Result<Result<Vec<Linted>, CaRefusal>, CaFault> {
        let mut certificates = Vec::with_capacity(verified.requests().len());
        for request in verified.requests() {
            let Some(issuer) = self.issuers.get(&request.kind()) else {
                let detail = format!("this CA issues no certificates for {}", request.kind());
                return Ok(Err(CaRefusal { code: "kind_not_issued", detail }));
            };
            let serial = issuer.random_serial()?;
            // One application that no certificate can be made of must not keep the others of its batch waiting for ever.
            let failure = match Template::for_request(request, application, issuer, serial, now) {
                Ok(template) => match template.lint() {
                    Ok(linted) => {
                        certificates.push(linted);
                        continue;
                    }
                    Err(failure) => failure.to_string(),
                },
                Err(TemplateFault::Randomness(fault)) => return Err(fault.into()),
                Err(fault) => fault.to_string(),
            };
            tracing::error!(application = application.0, failure, "a certificate did not pass the lints");
            metrics::counter!("tsunagi_ca_lint_failures_total").increment(1);
            let detail = "the certificate asked for would break the rules for certificates".to_owned();
            return Ok(Err(CaRefusal { code: "certificate_lint", detail }));
        }
        Ok(Ok(certificates))
    }

    fn record(&self, linted: Vec<InWork<Linted>>) -> Result<Vec<InWork<Recorded>>, CaFault> {
        if linted.is_empty() {
            return Ok(Vec::new());
        }
        let mut shapes = Vec::with_capacity(linted.len());
        let mut all = Vec::new();
        for work in linted {
            shapes.push((work.application, work.verified, work.certificates.len()));
            all.extend(work.certificates);
        }
        let mut ledger = StoredIntents::new(self.writer.clone(), self.clock.now()).under(self.current_lease()?);
        let mut recorded = issuance::record(all, &mut ledger)?.into_iter();
        let works = shapes.into_iter().map(|(application, verified, count)| InWork {
            application,
            verified,
            certificates: recorded.by_ref().take(count).collect(),
        });
        Ok(works.collect())
    }

    /// What could be signed, and why the rest could not: a key that fails holds up what needs it and nothing else.
    fn sign(recorded: Vec<InWork<Recorded>>) -> (Vec<InWork<SignedCertificate>>, Option<SignerFault>) {
        let mut signed = Vec::with_capacity(recorded.len());
        let mut failed = None;
        for InWork { application, verified, certificates } in recorded {
            match certificates.into_iter().map(Recorded::sign).collect() {
                Ok(certificates) => signed.push(InWork { application, verified, certificates }),
                Err(fault) => failed = Some(fault),
            }
        }
        (signed, failed)
    }

    /// Everything of one application or nothing; the batch in few commits, as the writer groups what is submitted together.
    fn commit(
        &self,
        signed: Vec<InWork<SignedCertificate>>,
        refused: Vec<(ApplicationId, CaRefusal)>,
        now: DateTime<Utc>,
    ) -> Result<BatchOutcome, CaFault> {
        let lease = self.current_lease()?;
        let mut outcome = BatchOutcome::default();
        let pending: Vec<(ApplicationId, _)> = signed
            .into_iter()
            .map(|work| {
                let (lease, policy) = (lease.clone(), self.lifecycle.clone());
                let id = work.application;
                let device = new_device(&work.verified)?;
                let left_behind = self.left_behind(&work.verified, &device, now)?;
                let issuance = self.issuance_of(work, device)?;
                let pending = self.writer.submit(move |tx| {
                    tx.check_lease(&lease)?;
                    let issued = tx.issue(&issuance, &policy, now)?;
                    if let Some(command) = &left_behind {
                        tx.create_device_command(command, now)?;
                    }
                    Ok(issued)
                });
                Ok((id, pending))
            })
            .collect::<Result<_, CaFault>>()?;
        let mut refusals = refused;
        let mut failed = None;
        for (id, pending) in pending {
            match pending.wait() {
                Ok(_) => outcome.issued += 1,
                // Decided before: a crash came between commit and cursor, or two batches overlapped. Nothing to do.
                Err(WriteError::Refused(IssueRefusal::AlreadyDecided)) => {}
                Err(WriteError::Refused(refusal)) => {
                    refusals.push((id, CaRefusal { code: refusal.code(), detail: refusal.to_string() }));
                }
                // What one of them fails for keeps no other from being decided.
                Err(WriteError::Fault(fault)) => failed = Some(fault),
            }
        }
        let pending: Vec<_> = refusals
            .into_iter()
            .map(|(id, refusal)| {
                let lease = lease.clone();
                tracing::info!(application = id.0, code = refusal.code, "application refused by the CA");
                self.writer.submit(move |tx| {
                    tx.check_lease(&lease)?;
                    tx.refuse_application(id, refusal.code, &refusal.detail, now)
                })
            })
            .collect();
        outcome.refused = pending.len();
        for pending in pending {
            match pending.wait() {
                Ok(()) | Err(WriteError::Refused(_)) => {}
                Err(WriteError::Fault(fault)) => return Err(fault.into()),
            }
        }
        failed.map_or(Ok(outcome), |fault| Err(fault.into()))
    }

    /// What the store takes: each certificate with the distribution point of its card certificate.
    fn issuance_of(&self, work: InWork<SignedCertificate>, device: NewDevice) -> Result<Issuance, CaFault> {
        let InWork { application, verified, certificates } = work;
        let certificates = certificates.iter().map(|signed| {
            let request = verified.requests().iter().find(|request| request.kind() == signed.kind());
            let point = request.and_then(|request| request.card_distribution_point());
            NewCertificate::new(signed, point).ok_or(CaFault::Unlinked)
        });
        Ok(Issuance {
            application,
            challenge: *verified.challenge(),
            holder_id: verified.holder_id().to_owned(),
            signing_card: verified.signing_card().clone(),
            signing_card_distribution_point: verified.signing_card_distribution_point().map(<[u8]>::to_vec),
            certificates: certificates.collect::<Result<_, _>>()?,
            supersede: verified.supersedes(),
            device: Some(device),
            second_look_after: self.settings.life.second_look_delay(),
        })
    }

    /// The command that cleans a phone of what an earlier owner left behind in it: it ends nothing.
    fn left_behind(
        &self,
        verified: &VerifiedApplication,
        device: &NewDevice,
        now: DateTime<Utc>,
    ) -> Result<Option<NewDeviceCommand>, CaFault> {
        let mut certificates: Vec<NamedCertificate> = Vec::new();
        for named in &verified.device().left_behind {
            if !certificates.contains(named) {
                certificates.push(named.clone());
            }
        }
        if certificates.is_empty() {
            return Ok(None);
        }
        let ordered = Ordered { device: device.public_id.clone(), action: DeviceAction::Erase, certificates, event: None };
        self.command(ordered, now).map(Some)
    }
}

/// The phone as it describes itself, under a name of ours.
fn new_device(verified: &VerifiedApplication) -> Result<NewDevice, CaFault> {
    let device = verified.device();
    Ok(NewDevice {
        public_id: random_public_id()?,
        platform: device.platform.as_str().to_owned(),
        model: device.model.clone(),
        key_storage: device.key_storage.as_str().to_owned(),
        push_token: device.push_token.clone(),
        command_key: device.command_key.clone(),
    })
}

fn stale(channel: Channel) -> CaRefusal {
    let detail = format!("too long ago that news of cards came over the channel {}", channel.as_str());
    CaRefusal { code: "card_evidence_stale", detail }
}

fn reference(application: &VerifiedApplication) -> CardReference {
    let card = application.signing_card();
    CardReference { issuer_key_id: card.issuer_key_id.as_bytes().to_vec(), serial: card.serial.as_bytes().to_vec(), sha256: card.sha256.0 }
}

/// What the back office says that does not agree with the evidence the RA stored.
fn contradiction(application: &VerifiedApplication, holder: Option<&CardHolder>) -> Option<ApplicationRefusal> {
    let Some(holder) = holder else {
        return Some(ApplicationRefusal::HolderUnknown);
    };
    if holder.holder_id != application.holder_id() {
        return Some(ApplicationRefusal::HolderUnknown);
    }
    let linked = application.evidence().authentication.as_ref()?;
    (holder.authentication_certificate.as_ref() != Some(&linked.certificate)).then_some(ApplicationRefusal::NoAuthenticationCard)
}
