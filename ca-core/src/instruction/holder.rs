//! A holder's instruction: signed by the phone or by the card.

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::application::challenge::Challenge;
use crate::application::statement::is_push_token;
use crate::card::identity::CardIdentity;
use crate::digest::Sha256Digest;
use crate::issuer::CaKeyId;
use crate::kind::CertificateKind;
use crate::revocation::RevocationReason;
use crate::serial::SerialNumber;

/// The `type` of the statement that this version understands.
pub(super) const STATEMENT_TYPE: &str = "tsunagi.holder-instruction.v1";

/// What a holder asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum HolderInstruction {
    /// Certificates shall end, for good.
    End {
        /// Which.
        certificates: CertificatesToEnd,
        /// One of cessationOfOperation, keyCompromise and unspecified.
        #[serde(deserialize_with = "holders_reason")]
        reason: RevocationReason,
    },
    /// The holder's own certificates and their history, please.
    List {},
    /// The phone is found under another push token.
    PushToken {
        /// 1 to 4,096 visible ASCII characters.
        #[serde(deserialize_with = "push_token")]
        push_token: String,
    },
}

/// Which certificates a holder ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificatesToEnd {
    /// Both of the phone that signs.
    ThisPhone,
    /// All of the holder whose card signs.
    All,
}

impl HolderInstruction {
    /// The word in the statement.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::End { .. } => "end",
            Self::List {} => "list",
            Self::PushToken { .. } => "push-token",
        }
    }

    /// Whether such a signer may ask for it. A phone speaks for itself alone: who finds one must not reach another.
    pub(super) fn is_for(&self, signer: &HolderSigner) -> bool {
        match self {
            Self::End { certificates: CertificatesToEnd::ThisPhone, .. } | Self::PushToken { .. } => {
                matches!(signer, HolderSigner::Phone(_))
            }
            Self::End { certificates: CertificatesToEnd::All, .. } => matches!(signer, HolderSigner::Card(_)),
            Self::List {} => true,
        }
    }
}

fn holders_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RevocationReason, D::Error> {
    match RevocationReason::deserialize(deserializer)? {
        reason @ (RevocationReason::CessationOfOperation | RevocationReason::KeyCompromise | RevocationReason::Unspecified) => Ok(reason),
        _ => Err(D::Error::custom("not a reason that a holder gives")),
    }
}

fn push_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let token = String::deserialize(deserializer)?;
    if is_push_token(&token) { Ok(token) } else { Err(D::Error::custom("not a push token")) }
}

/// Who signed a holder's instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HolderSigner {
    /// A phone, with the key of one of its smartphone certificates.
    Phone(PhoneSigner),
    /// A card, with its signature key.
    Card(CardIdentity),
}

/// A smartphone certificate that signed: one of ours by its issuer's key and signature, and within its validity. Whether it
/// lives, is held or has ended only the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneSigner {
    /// Of which kind it is.
    pub kind: CertificateKind,
    /// The key that issued it.
    pub ca_key: CaKeyId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// When it ends.
    pub not_after: DateTime<Utc>,
    /// The SHA-256 of its SubjectPublicKeyInfo in DER.
    pub public_key_sha256: Sha256Digest,
}

/// A holder's instruction, of which message, signer, statement and the challenge's form are in order.
#[derive(Debug, Clone)]
pub struct SignedHolderInstruction {
    pub(super) digest: Sha256Digest,
    pub(super) signer: HolderSigner,
    pub(super) challenge: Challenge,
    pub(super) instruction: HolderInstruction,
}

impl SignedHolderInstruction {
    /// What the instruction is called everywhere.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Who signed it.
    pub fn signer(&self) -> &HolderSigner {
        &self.signer
    }

    /// The challenge it answers; its age is still to be checked.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// What is asked for.
    pub fn instruction(&self) -> &HolderInstruction {
        &self.instruction
    }
}
