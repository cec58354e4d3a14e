//! What an application must bring.

use chrono::Duration;
use const_oid::ObjectIdentifier;
use serde::Deserialize;

use crate::document::{self, PolicyFault, distinct, require};
use crate::key::KeyPolicy;
use crate::usage::{KeyUsageBit, purposes};

/// What an application must bring so that smartphone certificates are issued on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationPolicy {
    /// The policy's own name.
    pub name: String,
    /// The card certificate that signs the application.
    pub card_signature: CardRules,
    /// The card certificate to which an authentication certificate is linked.
    pub card_authentication: CardRules,
    /// The keys that smartphones may have.
    pub keys: KeyPolicy,
    /// How fresh the proofs of the card's status must be.
    pub evidence: EvidencePolicy,
    /// How fresh the application must be.
    pub challenge: ChallengePolicy,
    /// The SHA-256 of the document's text.
    #[serde(skip)]
    pub sha256: [u8; 32],
}

/// What a card certificate must say about itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardRules {
    /// One of these policies must be among its certificate policies.
    #[serde(deserialize_with = "document::oids")]
    pub policy_oids: Vec<ObjectIdentifier>,
    /// These bits must be set in its keyUsage.
    pub key_usage: Vec<KeyUsageBit>,
    /// These purposes must be in its extKeyUsage.
    #[serde(deserialize_with = "purposes")]
    pub extended_key_usage: Vec<ObjectIdentifier>,
}

/// How old evidence may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidencePolicy {
    /// The age of an OCSP answer, from its thisUpdate, in seconds.
    pub ocsp_max_age_seconds: u32,
    /// The age of a CRL, from its thisUpdate, in seconds.
    pub crl_max_age_seconds: u32,
    /// How far in the future a thisUpdate may lie, in seconds.
    pub clock_skew_seconds: u32,
}

/// How long challenges live.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengePolicy {
    /// A new beacon is drawn after so many seconds.
    pub beacon_interval_seconds: u32,
    /// A challenge is accepted so many seconds after its beacon was drawn.
    pub lifetime_seconds: u32,
}

impl ApplicationPolicy {
    /// Reads and checks a policy; `document` is what it is called in messages.
    pub fn parse(document: &str, text: &str) -> Result<Self, PolicyFault> {
        let (mut policy, sha256): (Self, _) = document::parse(document, text)?;
        policy.sha256 = sha256;
        for card in [&policy.card_signature, &policy.card_authentication] {
            require(document, !card.policy_oids.is_empty(), "a card's policy_oids is empty: any certificate of the card CA would do")?;
            require(document, distinct(&card.policy_oids), "a card's policy_oids has a policy twice")?;
            require(document, !card.key_usage.is_empty(), "a card's key_usage is empty")?;
        }
        policy.keys.check(document)?;
        let EvidencePolicy { ocsp_max_age_seconds, crl_max_age_seconds, clock_skew_seconds } = policy.evidence;
        let week = 604_800;
        require(document, (1..=week).contains(&ocsp_max_age_seconds), "ocsp_max_age_seconds is not from 1 to 604800 (a week)")?;
        require(document, (1..=week).contains(&crl_max_age_seconds), "crl_max_age_seconds is not from 1 to 604800 (a week)")?;
        require(document, clock_skew_seconds <= 300, "clock_skew_seconds is above 300")?;
        let ChallengePolicy { beacon_interval_seconds, lifetime_seconds } = policy.challenge;
        require(document, beacon_interval_seconds > 0, "beacon_interval_seconds is 0")?;
        require(document, lifetime_seconds <= 3600, "lifetime_seconds is above 3600")?;
        // A phone that takes the oldest current beacon still needs time to have the card sign.
        require(document, lifetime_seconds >= 2 * beacon_interval_seconds, "lifetime_seconds is below two beacon intervals")?;
        Ok(policy)
    }
}

impl EvidencePolicy {
    /// The age of an OCSP answer.
    pub fn ocsp_max_age(&self) -> Duration {
        Duration::seconds(self.ocsp_max_age_seconds.into())
    }

    /// The age of a CRL.
    pub fn crl_max_age(&self) -> Duration {
        Duration::seconds(self.crl_max_age_seconds.into())
    }

    /// How far in the future a thisUpdate may lie.
    pub fn clock_skew(&self) -> Duration {
        Duration::seconds(self.clock_skew_seconds.into())
    }
}

impl ChallengePolicy {
    /// The time between two beacons.
    pub fn beacon_interval(&self) -> Duration {
        Duration::seconds(self.beacon_interval_seconds.into())
    }

    /// How long a challenge is accepted after its beacon was drawn.
    pub fn lifetime(&self) -> Duration {
        Duration::seconds(self.lifetime_seconds.into())
    }
}
