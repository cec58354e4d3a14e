//! Sample applications and certificates: consistent rows without real signatures.

use ca_core::application::ApplicationId;
use ca_core::application::verified::{AuthenticationEvidence, Evidence, StatusEvidence};
use ca_core::card::identity::{CardIdentity, KeyIdentifier};
use ca_core::digest::Sha256Digest;
use ca_core::issuance::Intent;
use ca_core::issuer::{CaKeyId, CaUrls};
use ca_core::kind::CertificateKind;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, TimeDelta, Utc};
use policies::LifecyclePolicy;

use crate::application::{Acceptance, NewApplication};
use crate::authority::NewCaKey;
use crate::card_event::{CardChange, CardEvent, CardEventSource};
use crate::device::NewDevice;
use crate::fault::{StoreFault, WriteError};
use crate::issuance::{Issuance, IssueRefusal, Issued, NewCertificate};
use crate::writer::Writer;

/// A fixed moment, `seconds` after the samples' beginning.
pub fn moment(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a moment")
}

/// The life cycle policy that samples are issued under.
pub fn jpki() -> LifecyclePolicy {
    LifecyclePolicy::jpki().expect("the shipped policy")
}

/// A CA key of the kind, generation 1.
pub fn new_ca_key(kind: CertificateKind) -> NewCaKey {
    let certificate: &[u8] = match kind {
        CertificateKind::Signature => include_bytes!("ca-signature.der"),
        CertificateKind::Authentication => include_bytes!("ca-authentication.der"),
    };
    let url = |what: &str| format!("http://status.example/{what}/{kind}-1");
    NewCaKey {
        kind,
        generation: 1,
        certificate: certificate.to_vec(),
        urls: CaUrls { crl: url("crl"), ocsp: url("ocsp"), certificate: url("ca") },
    }
}

/// Adds a CA key for each kind: signature, authentication.
pub fn add_ca_keys(writer: &Writer) -> [CaKeyId; 2] {
    CertificateKind::ALL.map(|kind| {
        writer.write(move |tx| -> Result<_, StoreFault> { tx.add_ca_key(&new_ca_key(kind), moment(0)) }).expect("a CA key is added")
    })
}

/// One sample application by number, with everything that comes of it; different numbers share nothing but the holder, if
/// their holders are named alike.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Makes it different from other samples.
    pub number: u32,
    /// Its holder.
    pub holder_id: String,
    /// The number that its card certificates are made from: samples may share them.
    pub card: u32,
    /// The CA keys: signature, authentication.
    pub ca_keys: [CaKeyId; 2],
    /// Which kinds are applied for.
    pub kinds: Vec<CertificateKind>,
    /// Whether an earlier phone's certificates are to end.
    pub supersede: bool,
    /// When the certificates end.
    pub not_after: DateTime<Utc>,
    /// The phone they are for.
    pub device: Option<NewDevice>,
}

impl Sample {
    /// A sample of both kinds, for a holder and cards of its own.
    pub fn new(number: u32, ca_keys: [CaKeyId; 2]) -> Self {
        Self {
            number,
            holder_id: format!("holder-{number}"),
            card: number,
            ca_keys,
            kinds: CertificateKind::ALL.to_vec(),
            supersede: true,
            not_after: moment(0) + TimeDelta::days(1000),
            device: None,
        }
    }

    /// The challenge it answers.
    pub fn challenge(&self) -> [u8; 48] {
        let mut challenge = [7; 48];
        challenge[44..].copy_from_slice(&self.number.to_be_bytes());
        challenge
    }

    /// The card-signed message (no real one).
    pub fn cms(&self) -> Vec<u8> {
        format!("card-signed message {}", self.number).into_bytes()
    }

    /// The SHA-256 of the card-signed message.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.cms())
    }

    /// What it was verified against: an OCSP response for the signature certificate, a CRL for the authentication
    /// certificate, which all samples share.
    pub fn evidence(&self) -> Evidence {
        let authentication = AuthenticationEvidence {
            certificate: format!("authentication certificate {}", self.card).into_bytes(),
            status: StatusEvidence::Crl(b"a card CA's CRL".to_vec()),
        };
        Evidence {
            signature_status: StatusEvidence::Ocsp(format!("OCSP response {}", self.number).into_bytes()),
            holder_id: self.holder_id.clone(),
            authentication: self.kinds.contains(&CertificateKind::Authentication).then_some(authentication),
        }
    }

    /// The application for acceptance.
    pub fn application(&self) -> NewApplication {
        NewApplication::from_parts(self.cms(), self.challenge(), self.evidence(), Sha256Digest::of(&self.challenge()))
    }

    /// The card certificate of a kind.
    pub fn card(&self, kind: CertificateKind) -> CardIdentity {
        let number = self.card.to_be_bytes();
        CardIdentity {
            issuer_key_id: KeyIdentifier::new(Sha256Digest::of(kind.as_str().as_bytes()).0[..20].to_vec()).expect("20 octets"),
            serial: SerialNumber::from_magnitude(&[1, number[0], number[1], number[2], number[3]]).expect("a serial number"),
            sha256: Sha256Digest::of(format!("{kind} card {}", self.card).as_bytes()),
        }
    }

    /// The serial number of the certificate of a kind.
    pub fn serial(&self, kind: CertificateKind) -> SerialNumber {
        let digest = Sha256Digest::of(format!("{kind} serial {}", self.number).as_bytes());
        let mut magnitude = digest.0[..16].to_vec();
        magnitude[0] = 0x40 | (magnitude[0] & 0x3f);
        SerialNumber::from_magnitude(&magnitude).expect("a serial number")
    }

    /// The intents of its certificates.
    pub fn intents(&self, application: Option<ApplicationId>) -> Vec<Intent> {
        let intent = |kind: &CertificateKind| Intent {
            kind: *kind,
            ca_key: self.ca_key(*kind),
            serial: self.serial(*kind),
            tbs_sha256: Sha256Digest::of(format!("{kind} tbs {}", self.number).as_bytes()),
            application,
        };
        self.kinds.iter().map(intent).collect()
    }

    /// Its certificates.
    pub fn certificates(&self) -> Vec<NewCertificate> {
        let certificate = |kind: &CertificateKind| NewCertificate {
            kind: *kind,
            ca_key: self.ca_key(*kind),
            serial: self.serial(*kind),
            shard: 0,
            der: vec![0x30; 1200],
            not_before: moment(0),
            not_after: self.not_after,
            public_key_sha256: Sha256Digest::of(format!("{kind} key {}", self.number).as_bytes()),
            policy_sha256: Sha256Digest::of(b"profile"),
            card: self.card(*kind),
            card_distribution_point: Some(b"distribution point".to_vec()),
        };
        self.kinds.iter().map(certificate).collect()
    }

    /// What is stored on issuance.
    pub fn issuance(&self, application: ApplicationId) -> Issuance {
        Issuance {
            application,
            challenge: self.challenge(),
            holder_id: self.holder_id.clone(),
            signing_card: self.card(CertificateKind::Signature),
            signing_card_distribution_point: Some(b"distribution point".to_vec()),
            certificates: self.certificates(),
            supersede: self.supersede,
            device: self.device.clone(),
            second_look_after: TimeDelta::days(7),
        }
    }

    /// The revocation of its card certificate of a kind.
    pub fn card_revoked(&self, kind: CertificateKind, sequence: i64, reason: RevocationReason) -> CardEvent {
        let card = self.card(kind);
        CardEvent {
            event_id: format!("{kind}-{}-{sequence}", self.card),
            issuer_key_id: card.issuer_key_id,
            serial: card.serial,
            sequence,
            change: CardChange::Revoked { reason, at: moment(sequence) },
            source: CardEventSource::Push,
        }
    }

    /// Something that happened to its card certificate of a kind, as the feed tells it.
    pub fn card_event(&self, kind: CertificateKind, sequence: i64, change: CardChange) -> CardEvent {
        let card = self.card(kind);
        CardEvent {
            event_id: format!("{}-{kind}-{}-{sequence}", change.kind(), self.card),
            issuer_key_id: card.issuer_key_id,
            serial: card.serial,
            sequence,
            change,
            source: CardEventSource::Feed,
        }
    }

    /// Accepts the application.
    pub fn accept(&self, writer: &Writer) -> ApplicationId {
        let application = self.application();
        match writer.write(move |tx| tx.accept_application(&application, moment(1))).expect("the application is accepted") {
            Acceptance::Accepted(id) | Acceptance::Existing(id) => id,
        }
    }

    /// Records the intents, and stores the certificates in a write of its own.
    pub fn issue(&self, writer: &Writer, application: ApplicationId, now: DateTime<Utc>) -> Result<Issued, WriteError<IssueRefusal>> {
        let intents = self.intents(Some(application));
        writer.write(move |tx| tx.record_intents(&intents, now))?;
        let issuance = self.issuance(application);
        writer.write(move |tx| tx.issue(&issuance, &jpki(), now))
    }

    /// Accepts and issues.
    pub fn accept_and_issue(&self, writer: &Writer, now: DateTime<Utc>) -> Result<Issued, WriteError<IssueRefusal>> {
        let application = self.accept(writer);
        self.issue(writer, application, now)
    }

    fn ca_key(&self, kind: CertificateKind) -> CaKeyId {
        match kind {
            CertificateKind::Signature => self.ca_keys[0],
            CertificateKind::Authentication => self.ca_keys[1],
        }
    }
}
