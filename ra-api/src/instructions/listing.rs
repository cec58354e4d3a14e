//! A holder's own certificates and their history, for whoever signs with a key of the phone or the card.

use std::sync::{Arc, Mutex, PoisonError};

use ca_core::application::challenge::Challenge;
use ca_core::card::identity::CardIdentity;
use ca_core::instruction::HolderSigner;
use schema::card::CardStanding;
use schema::history::CertificateHistory;
use schema::{Reader, StoreFault};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::holders::{EvidenceFailure, EvidenceSource};
use crate::problem::Problem;
use crate::recent::Recent;
use crate::store;
use crate::view::{CertificateView, StoryView};

/// Challenges of lists remembered as used.
const REMEMBERED: usize = 65_536;

/// Answers lists. They change nothing, so the CA role is not asked.
pub(crate) struct ListingDesk {
    evidence: Arc<dyn EvidenceSource>,
    /// Lists are stored nowhere, and neither are their challenges: this process remembers those it has seen. Another would show
    /// the same list once more to whoever has the signed request, within the challenge's life.
    used: Mutex<Recent<[u8; 48]>>,
}

/// A holder's certificates.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct OwnCertificates {
    /// Oldest first; the newest hundred at most.
    pub certificates: Vec<OwnCertificate>,
}

/// One of a holder's certificates.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct OwnCertificate {
    /// The certificate.
    #[serde(flatten)]
    pub certificate: CertificateView,
    /// What the phone that has it is called here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub device: Option<String>,
    /// The phone's model, as it described itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What happened to it, in order.
    pub history: Vec<StoryView>,
}

impl ListingDesk {
    /// `evidence` knows whose a card is.
    pub(crate) fn new(evidence: Arc<dyn EvidenceSource>) -> Self {
        Self { evidence, used: Mutex::new(Recent::new(REMEMBERED)) }
    }

    /// The list for `signer`, once for each challenge. Blocks.
    pub(super) fn answer(&self, reader: &Reader, signer: &HolderSigner, challenge: &Challenge) -> Result<Value, Problem> {
        let holder_id = match signer {
            HolderSigner::Phone(phone) => {
                let holder = reader.holder_of_certificate(phone.ca_key, &phone.serial).map_err(|fault| trouble(&fault))?;
                holder.ok_or_else(|| trouble(&StoreFault::Corrupt("a certificate without a holder")))?
            }
            HolderSigner::Card(card) => self.holder_of_card(reader, card)?,
        };
        if !self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(*challenge.as_bytes()) {
            return Err(Problem::new("challenge_spent", "The challenge was used before."));
        }
        let histories = reader.holder_histories(&holder_id).map_err(|fault| trouble(&fault))?;
        let list = OwnCertificates { certificates: histories.iter().map(OwnCertificate::from).collect() };
        serde_json::to_value(list).map_err(|error| Problem::fault("writing a list of certificates", &error))
    }

    /// Whose card it is only the back office knows for sure; that it has ended, the store may.
    fn holder_of_card(&self, reader: &Reader, card: &CardIdentity) -> Result<String, Problem> {
        let known = reader.card_record(&card.issuer_key_id, &card.serial).map_err(|fault| trouble(&fault))?;
        if known.is_some_and(|known| matches!(known.standing, CardStanding::Ended(_))) {
            return Err(Problem::new("card_revoked", "The card certificate that signed the instruction is revoked."));
        }
        self.evidence.holder_id(card).map_err(|failure| match failure {
            EvidenceFailure::Refused(refusal) => Problem::refusal(&refusal),
            failure => {
                tracing::error!(%failure, "the back office gives no answer");
                Problem::new("back_office_unavailable", "The back office cannot be asked about the card now.").retry_after(5)
            }
        })
    }
}

impl From<&CertificateHistory> for OwnCertificate {
    fn from(history: &CertificateHistory) -> Self {
        Self {
            certificate: CertificateView::from(&history.certificate.summary),
            device: history.device.as_ref().map(|device| device.public_id.clone()),
            model: history.device.as_ref().map(|device| device.model.clone()),
            history: history.story.iter().map(StoryView::for_holders).collect(),
        }
    }
}

fn trouble(fault: &StoreFault) -> Problem {
    store::problem("listing certificates", fault)
}
