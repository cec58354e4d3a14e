//! The topics of the settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use back_office::{CardStatusSettings, ConnectionSettings};
use ca_core::kind::CertificateKind;
use ca_service::{
    DeviceCommandSettings, EvidenceLimits, LifeSettings, MassSettings, NoticeSettings, RetentionSettings, ScheduleSettings,
    SecondLookSettings, TestCertificateSettings,
};
use clap::ValueEnum;
use ocsp::OcspSettings;
use policies::{LifecyclePolicy, Policies, PolicyFault};
use ra_api::{HolderSettings, OperatorSettings};
use serde::{Deserialize, Serialize};

/// A life cycle policy that is shipped in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ShippedLifecycle {
    /// The Japanese Public Key Infrastructure's: no hold is ever lifted, and the smartphone's certificates end with the card's
    Jpki,
    /// NIST SP 800-157r1's: holds are lifted, and a lost card ends nothing
    DerivedPiv,
}

impl ShippedLifecycle {
    /// The word in the settings.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Jpki => "jpki",
            Self::DerivedPiv => "derived-piv",
        }
    }

    /// The shipped policies with this life cycle.
    pub(crate) fn policies(self) -> Result<Policies, PolicyFault> {
        let lifecycle = match self {
            Self::Jpki => LifecyclePolicy::jpki()?,
            Self::DerivedPiv => LifecyclePolicy::derived_piv()?,
        };
        Ok(Policies { lifecycle: lifecycle.into(), ..Policies::shipped()? })
    }
}

/// Where everything is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreTopic {
    /// `sqlite://PATH` or `postgres://USER@HOST/DATABASE`.
    pub(crate) url: String,
    /// How many connections read at the same time.
    #[serde(default = "StoreTopic::readers")]
    pub(crate) readers: u32,
    /// The high-water files: how far the store had come, for noticing that it was restored. At least one should lie on another disk or
    /// machine than the store and its backups; the highest counts. A process without the CA role keeps files of its own beside them,
    /// with `-status` in the name.
    #[serde(default = "StoreTopic::high_water")]
    pub(crate) high_water: Vec<PathBuf>,
}

impl StoreTopic {
    fn readers() -> u32 {
        16
    }
    fn high_water() -> Vec<PathBuf> {
        vec![PathBuf::from("high-water.json")]
    }
}

/// What faces the holders.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RaTopic {
    /// Where holders connect (TLS).
    pub(crate) listen: SocketAddr,
    /// This RA's name: the `audience` that applications must be made for.
    pub(crate) name: String,
    /// The server certificate's chain, PEM.
    pub(crate) certificate: PathBuf,
    /// The server certificate's key, PEM.
    pub(crate) key: PathBuf,
    /// 32 octets in hexadecimal, the same for all processes of the RA: what challenges and tokens are made with.
    pub(crate) challenge_key: PathBuf,
    /// 32 octets in hexadecimal, the same for all processes of the RA and for ever: what verifiers' pseudonyms are made with.
    pub(crate) pseudonym_key: PathBuf,
    /// The listener's bounds.
    #[serde(default)]
    pub(crate) limits: HolderSettings,
}

/// What faces the operators.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperatorsTopic {
    /// Where operators connect (mutual TLS).
    pub(crate) listen: SocketAddr,
    /// The server certificate's chain, PEM.
    pub(crate) certificate: PathBuf,
    /// The server certificate's key, PEM.
    pub(crate) key: PathBuf,
    /// The CA whose client certificates are let in, PEM.
    pub(crate) client_ca: PathBuf,
    /// The listener's bounds.
    #[serde(default)]
    pub(crate) limits: OperatorSettings,
}

/// The CA role.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaTopic {
    /// The directory of the CA keys, `ca-KIND-GENERATION.key.pem`, and of the key for commands to phones,
    /// `device-command.key.pem`: encrypted PKCS#8.
    pub(crate) keys: PathBuf,
    /// The file with the passphrase of the keys.
    pub(crate) passphrase_file: PathBuf,
    /// The token with the CA keys that are no files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pkcs11: Option<Pkcs11Topic>,
    /// How many applications are issued on in one transaction at most.
    #[serde(default = "CaTopic::batch")]
    pub(crate) batch: u32,
    /// How often the back office's feed of card events is asked, in seconds.
    #[serde(default = "CaTopic::feed_seconds")]
    pub(crate) feed_seconds: u32,
    /// How often the card CRLs are read, in seconds.
    #[serde(default = "CaTopic::card_crl_seconds")]
    pub(crate) card_crl_seconds: u32,
    /// How long responder certificates last, in days.
    #[serde(default = "CaTopic::responder_days")]
    pub(crate) responder_days: u32,
    /// When what is done regularly is done.
    #[serde(default)]
    pub(crate) schedules: ScheduleSettings,
    /// How old the news of cards may be for certificates to be issued.
    #[serde(default)]
    pub(crate) evidence: EvidenceLimits,
    /// What an operator may do to many certificates at once.
    #[serde(default)]
    pub(crate) mass: MassSettings,
    /// The second look at a card after issuance.
    #[serde(default)]
    pub(crate) second_look: SecondLookSettings,
    /// Erase and lock commands to phones.
    #[serde(default)]
    pub(crate) device_commands: DeviceCommandSettings,
    /// Notices to holders.
    #[serde(default)]
    pub(crate) notices: NoticeSettings,
    /// Certificates with which relying parties try their checks.
    #[serde(default)]
    pub(crate) test_certificates: TestCertificateSettings,
    /// How long records are kept.
    #[serde(default)]
    pub(crate) retention: RetentionSettings,
}

impl CaTopic {
    /// How the life of certificates is looked after.
    pub(crate) fn life(&self) -> LifeSettings {
        LifeSettings {
            schedules: self.schedules.clone(),
            evidence: self.evidence.clone(),
            mass: self.mass.clone(),
            second_look: self.second_look.clone(),
            device_commands: self.device_commands.clone(),
            notices: self.notices.clone(),
            test_certificates: self.test_certificates.clone(),
            retention: self.retention.clone(),
        }
    }

    fn batch() -> u32 {
        64
    }
    fn feed_seconds() -> u32 {
        5
    }
    fn card_crl_seconds() -> u32 {
        300
    }
    fn responder_days() -> u32 {
        30
    }
}

/// A token (PKCS #11) with CA keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pkcs11Topic {
    /// The token's library.
    pub(crate) module: PathBuf,
    /// The token's label.
    pub(crate) token: String,
    /// The file with the user's PIN.
    pub(crate) pin_file: PathBuf,
    /// How many sessions sign at the same time at most.
    #[serde(default = "Pkcs11Topic::sessions")]
    pub(crate) sessions: u32,
}

impl Pkcs11Topic {
    pub(crate) fn sessions() -> u32 {
        8
    }
}

/// OCSP, CRLs and CA certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusTopic {
    /// Where relying parties connect (plain HTTP: everything there is signed).
    pub(crate) listen: SocketAddr,
    /// What relying parties reach it as. It stands in every certificate: a change holds for new CA keys only.
    pub(crate) url: String,
    /// The directory of the responder keys: `ocsp-KIND-GENERATION.key.pem`, encrypted PKCS#8.
    pub(crate) keys: PathBuf,
    /// The file with the passphrase of the keys.
    pub(crate) passphrase_file: PathBuf,
    /// Where the CA role asks it, to see what relying parties are told: the address of the OCSP responder. Without it, a process that
    /// has both roles asks at `listen`, and another at the address in the certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) witness_url: Option<String>,
    /// The certificate of a verifier as whom the CA role asks it, PEM, where only verifiers may ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) witness_certificate: Option<PathBuf>,
    /// The key of that certificate, PEM, in clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) witness_key: Option<PathBuf>,
    /// How OCSP answers.
    #[serde(default)]
    pub(crate) ocsp: OcspSettings,
}

/// The back office.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackOfficeTopic {
    /// Its address: `https://…`.
    pub(crate) url: String,
    /// The CA of its server certificate, PEM.
    pub(crate) ca_certificate: PathBuf,
    /// The file with the token that we show.
    pub(crate) token_file: PathBuf,
    /// Connections to it.
    #[serde(default)]
    pub(crate) connection: ConnectionSettings,
}

/// The card CAs, by the kind of card certificate that they issue.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardTopic {
    /// The CA of the cards' signature certificates.
    pub(crate) signature: CardAuthorityTopic,
    /// The CA of the cards' authentication certificates.
    pub(crate) authentication: CardAuthorityTopic,
    /// How their status services are asked.
    #[serde(default)]
    pub(crate) status: CardStatusSettings,
}

/// A card CA.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardAuthorityTopic {
    /// The certificates of its key generations, PEM or DER: all of one name, told apart by their key identifiers.
    pub(crate) certificates: Vec<PathBuf>,
    /// Where it answers OCSP requests.
    pub(crate) ocsp_url: String,
    /// Where its CRLs are; `{distribution_point}` stands for the SHA-256 (hexadecimal) of the distribution point's
    /// directoryName in DER.
    pub(crate) crl_url: String,
}

impl CardTopic {
    /// The CA of one kind.
    pub(crate) fn authority(&self, kind: CertificateKind) -> &CardAuthorityTopic {
        match kind {
            CertificateKind::Signature => &self.signature,
            CertificateKind::Authentication => &self.authentication,
        }
    }
}

/// This machine's clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClockTopic {
    /// How far it may be from the back office's and the database's before that is told, in seconds.
    pub(crate) max_offset_seconds: u32,
}

impl Default for ClockTopic {
    fn default() -> Self {
        Self { max_offset_seconds: 5 }
    }
}

/// Logs, metrics, health.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TelemetryTopic {
    /// Where `/metrics` and `/health/…` are served (plain HTTP; keep it inside). Without it they are not. A process that has
    /// only the CA role opens no listener and leaves this aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    /// A file that the metrics are written to every ten seconds, for a textfile collector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics_file: Option<PathBuf>,
    /// Logs as JSON lines instead of text.
    pub(crate) json_logs: bool,
}
