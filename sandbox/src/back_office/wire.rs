//! The JSON of the back office.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::card_ca::Sex;
use crate::kind::Kind;
use crate::reason::Reason;

/// `POST /v1/card-certificates/lookup`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupRequest {
    /// At most 1,000.
    pub cards: Vec<CardReference>,
}

/// A card certificate, named unmistakably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardReference {
    /// Key identifier of the issuer's key, hex.
    pub issuer_key_id: String,
    /// Serial number, hex.
    pub serial: String,
    /// SHA-256 of the certificate, hex.
    pub sha256: String,
}

/// The answer to a lookup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookupAnswer {
    /// In the order of the question.
    pub results: Vec<LookupResult>,
}

/// Whose card certificate it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupResult {
    /// Whether the back office knows it.
    pub found: bool,
    /// The holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_id: Option<String>,
    /// The same card's authentication certificate, base64 DER; `null` if the card has none.
    #[serde(default, skip_serializing_if = "is_absent", with = "absent_or_null")]
    pub authentication_certificate: Option<Option<String>>,
}

/// `POST /v1/card-certificates/states`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatesRequest {
    /// At most 1,000.
    pub cards: Vec<StateQuestion>,
}

/// A card certificate, as the product's record names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateQuestion {
    /// Key identifier of the issuer's key, hex.
    pub issuer_key_id: String,
    /// Serial number, hex.
    pub serial: String,
}

/// The answer to a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatesAnswer {
    /// In the order of the question.
    pub states: Vec<CardState>,
}

/// How a card certificate stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardState {
    /// Whether the back office knows it; if not, nothing else is told but a sequence of 0.
    pub known: bool,
    /// `good`, `held` or `revoked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// With `revoked`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// With `held` and `revoked`: since when; RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// How many events there were about it.
    pub sequence: i64,
}

/// `POST /admin/cards`. Everything is optional; what is not said is invented.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewCard {
    /// An existing or new holder.
    pub holder_id: Option<String>,
    /// Romanised prefecture; goes with `city`.
    pub prefecture: Option<String>,
    /// Romanised city.
    pub city: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Birth date.
    pub birth_date: Option<NaiveDate>,
    /// Sex.
    pub sex: Option<Sex>,
    /// Address.
    pub address: Option<String>,
    /// Key generation of the card CA; the newest if not said.
    pub generation: Option<u32>,
    /// Start of validity; now if not said.
    pub not_before: Option<DateTime<Utc>>,
    /// End of validity; the fifth birthday if not said.
    pub not_after: Option<DateTime<Utc>>,
    /// Another policy OID for the signature certificate.
    pub signature_policy: Option<String>,
    /// Another policy OID for the authentication certificate.
    pub authentication_policy: Option<String>,
    /// A card with a signature certificate only.
    pub without_authentication: bool,
    /// Take keys from a small pool instead of making new ones: quick, for tests.
    pub pooled_keys: bool,
}

/// A card with its private keys: what the holder would carry away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CardFile {
    /// Names the card in the admin interface.
    pub card_id: String,
    /// Names the holder.
    pub holder_id: String,
    /// The signature half.
    pub signature: CardSideFile,
    /// The authentication half.
    pub authentication: Option<CardSideFile>,
}

/// One half of a card.
#[derive(Clone, Serialize, Deserialize)]
pub struct CardSideFile {
    /// PEM.
    pub certificate: String,
    /// PEM of PKCS#8, unencrypted.
    pub key: String,
    /// Serial number, hex.
    pub serial: String,
    /// Key identifier of the issuer's key, hex.
    pub issuer_key_id: String,
}

impl std::fmt::Debug for CardSideFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CardSideFile").field("serial", &self.serial).finish_non_exhaustive()
    }
}

/// `POST /admin/cards/bulk`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    /// How many, at most [`super::LARGEST_BULK`].
    pub count: u32,
    /// For which CertID hashes to sign OCSP answers beforehand: `sha1`, `sha256`.
    #[serde(default)]
    pub presign: Vec<String>,
}

/// Many cards that share a few keys; each has its own serial numbers, holder and certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkCards {
    /// PEM of PKCS#8.
    pub keys: Vec<String>,
    /// The cards.
    pub cards: Vec<BulkCard>,
}

/// A card of a bulk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkCard {
    /// Names the card.
    pub card_id: String,
    /// Names the holder.
    pub holder_id: String,
    /// The signature half.
    pub signature: BulkSide,
    /// The authentication half.
    pub authentication: BulkSide,
}

/// A half of a card of a bulk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkSide {
    /// Base64 DER.
    pub certificate: String,
    /// Index into the keys.
    pub key: usize,
}

/// `POST /admin/cards/{card_id}/revoke`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    /// Which certificates of the card.
    pub kinds: Vec<Kind>,
    /// Why.
    pub reason: Reason,
    /// When; now if not said.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
}

/// An entry of `GET /admin/card-authorities`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CardAuthorityEntry {
    /// Kind.
    pub kind: Kind,
    /// Key generation, from 1.
    pub generation: u32,
    /// Key identifier, hex.
    pub key_identifier: String,
    /// PEM.
    pub certificate: String,
}

#[allow(clippy::option_option, clippy::ref_option)]
fn is_absent(value: &Option<Option<String>>) -> bool {
    value.is_none()
}

/// Tells a member that is `null` from one that is not there.
#[allow(clippy::option_option, clippy::ref_option)]
mod absent_or_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<Option<String>>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
        Option::<String>::deserialize(deserializer).map(Some)
    }
}
