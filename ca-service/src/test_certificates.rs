//! Certificates with which relying parties try their checks: for the issuing key of each kind one that is good, one revoked, one held
//! and one expired, renewed before they end.
//!
//! They go the way of every certificate, linted, recorded and signed, and are told and listed as every certificate is. Their private
//! keys are made in memory and thrown away, so that nobody can use them.

use ca_core::issuance::{Template, record_one};
use ca_core::issuer::Issuer;
use ca_core::lifecycle::{Command, HoldCause};
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use ca_core::signer::{FileSigner, KeyType, Signer as _};
use chrono::TimeDelta;
use policies::{Curve, KeyPolicy};
use schema::certificate::CertificateState;
use schema::change::{Order, Origin, Target};
use schema::intent::StoredIntents;
use schema::test_certificate::{NewTestCertificate, TestCertificate, TestStatus};
use schema::{StoreFault, WriteError};

use crate::CaFault;
use crate::role::CaRole;
use crate::schedules::ScheduleName;

impl CaRole {
    /// Makes the test certificates that are missing, have less than a third of their life left, or are no more what they are to be
    /// examples of; how many were made.
    pub fn renew_test_certificates(&self) -> Result<usize, CaFault> {
        if !self.settings.life.test_certificates.enabled {
            return Ok(0);
        }
        self.open_shards()?;
        let known = self.reader.test_certificates()?;
        let mut made = 0;
        for issuer in self.issuers.values() {
            for status in TestStatus::ALL {
                self.go_on()?;
                let present = known.iter().find(|one| one.ca_key == issuer.ca_key().id() && one.status == status);
                if self.is_test_due(issuer, status, present)? {
                    if self.log_is_late()? {
                        return Err(CaFault::LogLate);
                    }
                    // Those of earlier key generations go with it: there is one for each kind and status.
                    let earlier = known.iter().filter(|one| one.status == status).map(|one| one.serial.clone()).collect();
                    self.make_test_certificate(issuer, status, earlier)?;
                    made += 1;
                }
            }
        }
        Ok(made)
    }

    fn is_test_due(&self, issuer: &Issuer, status: TestStatus, present: Option<&TestCertificate>) -> Result<bool, CaFault> {
        let Some(present) = present else { return Ok(true) };
        // An expired certificate stays expired.
        if status == TestStatus::Expired {
            return Ok(false);
        }
        let ends_soon = present.not_after - self.clock.now() <= self.test_life() / 3;
        // A CA key near its own end certifies no longer than that.
        if ends_soon && present.not_after < issuer.ca_key().not_after() {
            return Ok(true);
        }
        let statuses = self.reader.certificate_statuses(present.ca_key, std::slice::from_ref(&present.serial))?;
        let state = statuses.first().and_then(|status| status.as_ref()).map(|status| status.state);
        Ok(state != Some(state_of(status)) && !ends_soon)
    }

    fn test_life(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.settings.life.test_certificates.life_days))
    }

    fn make_test_certificate(&self, issuer: &Issuer, status: TestStatus, earlier: Vec<SerialNumber>) -> Result<(), CaFault> {
        let now = self.clock.now();
        let not_after = match status {
            TestStatus::Expired => now - TimeDelta::seconds(1),
            TestStatus::Good | TestStatus::Revoked | TestStatus::Held => (now + self.test_life()).min(issuer.ca_key().not_after()),
        };
        // Its private half is gone at the end of this block.
        let public_key_info = FileSigner::generate(key_type(&issuer.profile().subject_keys))?.public_key_info().to_vec();
        let template = Template::for_test(&public_key_info, issuer, issuer.random_serial()?, not_after, now);
        let linted = template.map_err(|fault| CaFault::TestCertificate(Box::new(fault)))?;
        let linted = linted.lint().map_err(|failure| CaFault::TestCertificate(Box::new(failure)))?;
        let mut ledger = StoredIntents::new(self.writer.clone(), now).under(self.current_lease()?);
        let signed = record_one(linted, &mut ledger)?.sign()?;
        let new = NewTestCertificate::new(&signed, status);

        let order = Order::from(Origin::Schedule { name: ScheduleName::TestCertificates.as_str().to_owned() });
        let policy = self.lifecycle.clone();
        let target = |serial: &SerialNumber| Target::Serial { serial: serial.clone(), kind: Some(new.kind) };
        let (earlier, itself) = (earlier.iter().map(target).collect::<Vec<_>>(), [target(&new.serial)]);
        self.write(move |tx| {
            match tx.change_certificates(&earlier, &Command::End { reason: RevocationReason::Superseded }, &policy, &order, now) {
                // There was none of this kind.
                Ok(_) | Err(WriteError::Refused(_)) => {}
                Err(WriteError::Fault(fault)) => return Err(fault),
            }
            tx.add_test_certificate(&new, now)?;
            let Some(command) = command(new.status) else { return Ok(()) };
            match tx.change_certificates(&itself, &command, &policy, &order, now) {
                Ok(_) => Ok(()),
                Err(WriteError::Refused(_)) => Err(StoreFault::Misuse("a test certificate cannot be made what it is an example of")),
                Err(WriteError::Fault(fault)) => Err(fault),
            }
        })?;
        tracing::info!(ca_key = issuer.ca_key().label(), status = status.as_str(), serial = %signed.serial(), "a test certificate was made");
        Ok(())
    }
}

/// What is done to a new certificate so that it becomes an example of the status.
fn command(status: TestStatus) -> Option<Command> {
    match status {
        TestStatus::Good => None,
        TestStatus::Revoked => Some(Command::Revoke { reason: RevocationReason::CessationOfOperation, invalid_since: None }),
        TestStatus::Held => Some(Command::Hold { cause: HoldCause::Operator }),
        TestStatus::Expired => Some(Command::Expire),
    }
}

fn state_of(status: TestStatus) -> CertificateState {
    match status {
        TestStatus::Good => CertificateState::Live,
        TestStatus::Revoked => CertificateState::Revoked,
        TestStatus::Held => CertificateState::Held,
        TestStatus::Expired => CertificateState::Expired,
    }
}

/// A type of key that the profile allows.
fn key_type(keys: &KeyPolicy) -> KeyType {
    match keys.curves.first() {
        Some(Curve::P256) => KeyType::EcdsaP256,
        Some(Curve::P384) => KeyType::EcdsaP384,
        None if keys.rsa_min_bits <= 2_048 => KeyType::Rsa2048,
        None if keys.rsa_min_bits <= 3_072 => KeyType::Rsa3072,
        None => KeyType::Rsa4096,
    }
}
