//! Applications that deserve to be refused, each for one reason.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::PhoneFault;
use super::apply::{ApplyWish, statement};
use super::pkcs10::{Pkcs10, pkcs10};
use super::statement::StatedRequest;
use crate::card::{Card, CardSide, SignedMessage, sign};
use crate::keys::{Key, KeyAlgorithm, random};
use crate::kind::Kind;
use crate::oids;

/// What is wrong with it. Everything else is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deviation {
    /// No bytes.
    Empty,
    /// Random bytes.
    Noise,
    /// The second half is missing.
    Truncated,
    /// Bytes after the end.
    TrailingBytes,
    /// More than a mebibyte of statement.
    Oversized,
    /// eContentType id-data: a signature given to a document.
    WrongContentType,
    /// The contentType attribute says id-data.
    OtherStatedContentType,
    /// The contentType attribute is missing.
    NoStatedContentType,
    /// The messageDigest attribute is missing.
    NoMessageDigest,
    /// The messageDigest attribute is of something else.
    WrongMessageDigest,
    /// No signed attributes.
    NoSignedAttributes,
    /// Two SignerInfos.
    TwoSigners,
    /// No SignerInfo.
    NoSigner,
    /// The content is not inside.
    Detached,
    /// The certificate is not inside.
    NoCertificate,
    /// SHA-512 instead of SHA-256.
    OtherDigest,
    /// A bit of the signature is turned.
    BrokenSignature,
    /// The statement was changed after signing.
    TamperedStatement,
    /// Signed by a key that is not the certificate's.
    OtherCardKey,
    /// Signed with the card's authentication half.
    AuthenticationCard,
    /// The statement is no JSON.
    NotJson,
    /// The statement has a member nobody knows.
    UnknownMember,
    /// The statement is of a type to come.
    OtherType,
    /// Meant for another registration authority.
    OtherAudience,
    /// A challenge nobody gave, in statement and requests alike.
    InventedChallenge,
    /// A challenge that is no base64.
    UnreadableChallenge,
    /// No requests.
    NoRequests,
    /// Two requests for one kind.
    SameKindTwice,
    /// One key for both kinds.
    SameKeyTwice,
    /// A request that is no PKCS#10.
    RequestNoise,
    /// A request with another challenge than the statement's.
    OtherChallengeInRequest,
    /// A request without challenge.
    NoChallengeInRequest,
    /// A request signed by another key: no proof of possession.
    NoPossession,
    /// RSA with 1,024 bits.
    SmallKey,
    /// RSA with exponent 3.
    SmallExponent,
    /// RSA whose primes are neighbours.
    ClosePrimes,
    /// RSA as CVE-2017-15361 made it.
    Roca,
}

impl Deviation {
    /// All of them.
    pub const ALL: [Self; 37] = [
        Self::Empty,
        Self::Noise,
        Self::Truncated,
        Self::TrailingBytes,
        Self::Oversized,
        Self::WrongContentType,
        Self::OtherStatedContentType,
        Self::NoStatedContentType,
        Self::NoMessageDigest,
        Self::WrongMessageDigest,
        Self::NoSignedAttributes,
        Self::TwoSigners,
        Self::NoSigner,
        Self::Detached,
        Self::NoCertificate,
        Self::OtherDigest,
        Self::BrokenSignature,
        Self::TamperedStatement,
        Self::OtherCardKey,
        Self::AuthenticationCard,
        Self::NotJson,
        Self::UnknownMember,
        Self::OtherType,
        Self::OtherAudience,
        Self::InventedChallenge,
        Self::UnreadableChallenge,
        Self::NoRequests,
        Self::SameKindTwice,
        Self::SameKeyTwice,
        Self::RequestNoise,
        Self::OtherChallengeInRequest,
        Self::NoChallengeInRequest,
        Self::NoPossession,
        Self::SmallKey,
        Self::SmallExponent,
        Self::ClosePrimes,
        Self::Roca,
    ];
}

/// Builds an application with exactly one thing wrong; `challenge` is a good one.
pub fn build_deviating_application(card: &Card, wish: &ApplyWish, challenge: &str, deviation: Deviation) -> Result<Vec<u8>, PhoneFault> {
    let invented = STANDARD.encode(random::<48>()?);
    let challenge = match deviation {
        Deviation::InventedChallenge => &invented,
        Deviation::UnreadableChallenge => "not base64 at all",
        _ => challenge,
    };
    let requests = requests(wish, challenge, &invented, deviation)?;
    let content = content(wish, challenge, requests, deviation)?;
    let mut message = SignedMessage::new(content);
    deform(&mut message, deviation)?;
    let other_key = match deviation {
        Deviation::OtherCardKey => Some(CardSide { certificate: Vec::new(), key: Arc::new(Key::generate(KeyAlgorithm::Rsa2048)?) }),
        _ => None,
    };
    let signature = &card.signature;
    let signers = match deviation {
        Deviation::NoSigner => vec![],
        Deviation::TwoSigners => vec![(signature, signature), (card.authentication.as_ref().unwrap_or(signature), signature)],
        Deviation::OtherCardKey => other_key.iter().map(|other| (signature, other)).collect(),
        Deviation::AuthenticationCard => card.authentication.iter().map(|side| (side, side)).collect(),
        _ => vec![(signature, signature)],
    };
    let mut cms = sign(&message, &signers)?;
    match deviation {
        Deviation::Empty => cms.clear(),
        Deviation::Noise => cms = random::<2048>()?.to_vec(),
        Deviation::Truncated => cms.truncate(cms.len() / 2),
        Deviation::TrailingBytes => cms.extend_from_slice(&[0, 0]),
        _ => {}
    }
    Ok(cms)
}

fn deform(message: &mut SignedMessage, deviation: Deviation) -> Result<(), PhoneFault> {
    match deviation {
        Deviation::WrongContentType => {
            message.content_type = oids::CMS_DATA;
            message.stated_content_type = Some(oids::CMS_DATA);
        }
        Deviation::OtherStatedContentType => message.stated_content_type = Some(oids::CMS_DATA),
        Deviation::NoStatedContentType => message.stated_content_type = None,
        Deviation::NoMessageDigest => message.has_digest = false,
        Deviation::WrongMessageDigest => message.stated_digest = Some(random::<32>()?.to_vec()),
        Deviation::NoSignedAttributes => message.signed_attributes = false,
        Deviation::Detached => message.attached = false,
        Deviation::NoCertificate => message.has_certificate = false,
        Deviation::OtherDigest => message.sha512 = true,
        Deviation::BrokenSignature => message.broken_signature = true,
        Deviation::TamperedStatement => {
            let changed = String::from_utf8_lossy(&message.content).replacen("\"replaces\":\"none\"", "\"replaces\":\"any\"", 1);
            let changed = if changed.as_bytes() == message.content { changed.replacen("\"any\"", "\"none\"", 1) } else { changed };
            message.replaced_content = Some(changed.into_bytes());
        }
        _ => {}
    }
    Ok(())
}

fn content(wish: &ApplyWish, challenge: &str, requests: Vec<StatedRequest>, deviation: Deviation) -> Result<Vec<u8>, PhoneFault> {
    let mut statement = statement(wish, challenge, requests);
    match deviation {
        Deviation::NotJson => return Ok(b"I apply for everything.".to_vec()),
        Deviation::OtherType => statement.statement_type = "tsunagi.application.v999".to_owned(),
        Deviation::OtherAudience => statement.audience = format!("not {}", wish.audience),
        Deviation::Oversized => statement.device.model = "x".repeat(1_200_000),
        Deviation::UnknownMember => {
            let mut value = serde_json::to_value(&statement).unwrap_or(Value::Null);
            value["administrator"] = json!(true);
            return Ok(value.to_string().into_bytes());
        }
        _ => {}
    }
    Ok(statement.to_json())
}

fn requests(wish: &ApplyWish, challenge: &str, other_challenge: &str, deviation: Deviation) -> Result<Vec<StatedRequest>, PhoneFault> {
    let algorithm = match deviation {
        Deviation::SmallKey => KeyAlgorithm::WeakRsa1024,
        Deviation::SmallExponent => KeyAlgorithm::WeakRsaExponentThree,
        Deviation::ClosePrimes => KeyAlgorithm::WeakRsaClosePrimes,
        Deviation::Roca => KeyAlgorithm::WeakRsaRoca,
        _ => wish.key_algorithm,
    };
    let kinds = match deviation {
        Deviation::NoRequests => vec![],
        Deviation::SameKindTwice => vec![Kind::Signature, Kind::Signature],
        Deviation::SameKeyTwice => Kind::ALL.to_vec(),
        _ => wish.kinds.clone(),
    };
    let (first, other) = (Key::generate(algorithm)?, Key::generate(wish.key_algorithm)?);
    let mut requests = Vec::with_capacity(kinds.len());
    for (place, kind) in kinds.into_iter().enumerate() {
        // The first request is the wrong one; a weak key takes its time to make.
        let key = if place == 0 || deviation == Deviation::SameKeyTwice { &first } else { &Key::generate(wish.key_algorithm)? };
        let mut request = Pkcs10::new(key, challenge);
        match deviation {
            Deviation::OtherChallengeInRequest if place == 0 => request.challenge = Some(other_challenge),
            Deviation::NoChallengeInRequest if place == 0 => request.challenge = None,
            Deviation::NoPossession if place == 0 => request.signing_key = &other,
            _ => {}
        }
        let der = if deviation == Deviation::RequestNoise { random::<200>()?.to_vec() } else { pkcs10(&request)? };
        requests.push(StatedRequest { kind, pkcs10: STANDARD.encode(der) });
    }
    Ok(requests)
}
