//! The soft card: two certificates and their keys in plain PEM files, and signatures with them.

mod cms;

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Encode as _};
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlDistributionPoints};

pub use cms::{CmsFault, SignedMessage, SignerName, sign, sign_with};

use crate::back_office::{BulkCards, CardFile, CardSideFile, EventScope};
use crate::keys::{Key, KeyFault, sha256};
use crate::kind::Kind;
use crate::pem::{self, PemFault};

/// A card as its holder has it.
#[derive(Debug, Clone)]
pub struct Card {
    /// Names it to the back office; a card put together by hand has none.
    pub card_id: Option<String>,
    /// Names the holder; as above.
    pub holder_id: Option<String>,
    /// The signature half.
    pub signature: CardSide,
    /// The authentication half.
    pub authentication: Option<CardSide>,
}

/// One half of a card.
#[derive(Debug, Clone)]
pub struct CardSide {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Arc<Key>,
}

/// A card cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CardFault {
    /// A file failed.
    #[error(transparent)]
    File(#[from] PemFault),
    /// A key failed.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// Not what a card consists of.
    #[error("not a card: {0}")]
    Content(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct CardLabel {
    card_id: Option<String>,
    holder_id: Option<String>,
}

impl Card {
    /// Takes a card from the back office's hands.
    pub fn from_file(file: &CardFile) -> Result<Self, CardFault> {
        Ok(Self {
            card_id: Some(file.card_id.clone()),
            holder_id: Some(file.holder_id.clone()),
            signature: CardSide::from_pem(&file.signature)?,
            authentication: file.authentication.as_ref().map(CardSide::from_pem).transpose()?,
        })
    }

    /// Takes the cards of a bulk.
    pub fn from_bulk(bulk: &BulkCards) -> Result<Vec<Self>, CardFault> {
        let keys = bulk.keys.iter().map(|key| key_from_pem(key).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let side = |side: &crate::back_office::BulkSide| {
            let certificate = STANDARD.decode(&side.certificate).map_err(|error| CardFault::Content(error.to_string()))?;
            let key = keys.get(side.key).ok_or_else(|| CardFault::Content("no such key".to_owned()))?;
            Ok::<_, CardFault>(CardSide { certificate, key: key.clone() })
        };
        let card = |card: &crate::back_office::BulkCard| {
            Ok(Self {
                card_id: Some(card.card_id.clone()),
                holder_id: Some(card.holder_id.clone()),
                signature: side(&card.signature)?,
                authentication: Some(side(&card.authentication)?),
            })
        };
        bulk.cards.iter().map(card).collect()
    }

    /// Writes `card-signature.pem`, `card-signature.key.pem`, `card-authentication.pem`, `card-authentication.key.pem` and
    /// `card.json` (who it is) into an existing directory.
    pub fn save(&self, directory: &Path) -> Result<(), CardFault> {
        for (kind, side) in self.sides() {
            pem::write(&directory.join(format!("card-{kind}.pem")), pem::encode(pem::CERTIFICATE, &side.certificate))?;
            pem::write_secret(&directory.join(format!("card-{kind}.key.pem")), side.key.to_pem())?;
        }
        let label = CardLabel { card_id: self.card_id.clone(), holder_id: self.holder_id.clone() };
        let label = serde_json::to_vec_pretty(&label).map_err(|error| CardFault::Content(error.to_string()))?;
        Ok(pem::write(&directory.join("card.json"), label)?)
    }

    /// Reads what [`Self::save`] writes; the authentication half and `card.json` may be missing.
    pub fn load(directory: &Path) -> Result<Self, CardFault> {
        let label = match std::fs::read(directory.join("card.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| CardFault::Content(format!("card.json: {error}")))?,
            Err(_) => CardLabel { card_id: None, holder_id: None },
        };
        let side = |kind: Kind| {
            let certificate = pem::read(&directory.join(format!("card-{kind}.pem")), pem::CERTIFICATE)?;
            let key = pem::read(&directory.join(format!("card-{kind}.key.pem")), pem::PRIVATE_KEY)?;
            Ok::<_, CardFault>(CardSide { certificate, key: Arc::new(Key::from_pkcs8(key)?) })
        };
        let authentication = directory.join("card-authentication.pem").exists().then(|| side(Kind::Authentication)).transpose()?;
        Ok(Self { card_id: label.card_id, holder_id: label.holder_id, signature: side(Kind::Signature)?, authentication })
    }

    /// The card after its certificates were renewed, or one of them: what the file has replaces what the card had.
    pub fn renewed(&self, file: &CardFile) -> Result<Self, CardFault> {
        let new = Self::from_file(file)?;
        Ok(Self { authentication: new.authentication.or_else(|| self.authentication.clone()), ..new })
    }

    /// The halves it has.
    pub fn sides(&self) -> impl Iterator<Item = (Kind, &CardSide)> {
        let authentication = self.authentication.as_ref().map(|side| (Kind::Authentication, side));
        std::iter::once((Kind::Signature, &self.signature)).chain(authentication)
    }
}

impl CardSide {
    /// The certificate, decoded.
    pub fn decoded(&self) -> Result<Certificate, CardFault> {
        Certificate::from_der(&self.certificate).map_err(|error| CardFault::Content(error.to_string()))
    }

    /// The municipality's scope that its certificate lies in: issuer key and distribution point. Without the distribution
    /// point it is that of the whole card CA key.
    pub fn scope(&self) -> Result<EventScope, CardFault> {
        let missing = |what: &str| CardFault::Content(format!("the certificate has no {what}"));
        let decoded = self.decoded()?;
        let tbs = decoded.tbs_certificate();
        let issuer = tbs.get_extension::<AuthorityKeyIdentifier>().ok().flatten().and_then(|(_, identifier)| identifier.key_identifier);
        let points = tbs.get_extension::<CrlDistributionPoints>().ok().flatten().map(|(_, points)| points.0).unwrap_or_default();
        let name = points.into_iter().find_map(|point| match point.distribution_point {
            Some(DistributionPointName::FullName(names)) => names.into_iter().find_map(|name| match name {
                GeneralName::DirectoryName(name) => name.to_der().ok(),
                _ => None,
            }),
            _ => None,
        });
        Ok(EventScope {
            issuer_key_id: hex::encode(issuer.ok_or_else(|| missing("authorityKeyIdentifier"))?.as_bytes()),
            distribution_point_sha256: Some(hex::encode(sha256(&name.ok_or_else(|| missing("distribution point"))?))),
        })
    }

    fn from_pem(file: &CardSideFile) -> Result<Self, CardFault> {
        let certificate = pem::decode(pem::CERTIFICATE, &file.certificate);
        let certificate = certificate.ok_or_else(|| CardFault::Content("no PEM certificate".to_owned()))?;
        Ok(Self { certificate, key: Arc::new(key_from_pem(&file.key)?) })
    }
}

fn key_from_pem(text: &str) -> Result<Key, CardFault> {
    let der = pem::decode(pem::PRIVATE_KEY, text).ok_or_else(|| CardFault::Content("no PEM key".to_owned()))?;
    Ok(Key::from_pkcs8(der)?)
}
