//! Instructions that deserve to be refused, each for one reason.
//!
//! What a replay needs is none of these: the same octets again, an old challenge, or the challenge of another instruction.

use chrono::{DateTime, Utc};
use der::{Decode as _, Encode as _};
use serde_json::json;

use super::{Instruction, Signer};
use crate::card::{CmsFault, SignedMessage, sign_with};
use crate::card_ca::{Certificate, certificate};
use crate::keys::{Key, KeyAlgorithm, random};
use crate::oids;

/// What is wrong with it. Everything else is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstructionDeviation {
    /// Random octets.
    Noise,
    /// The second half is missing.
    Truncated,
    /// Octets after the end.
    TrailingBytes,
    /// More than 64 KiB of statement.
    Oversized,
    /// eContentType of an application.
    ApplicationContentType,
    /// eContentType of the other sort of instruction: a holder's as an operator's, an operator's as a holder's.
    OtherContentType,
    /// eContentType id-data: a signature given to a document.
    DocumentContentType,
    /// The contentType attribute says id-data.
    OtherStatedContentType,
    /// The messageDigest attribute is of something else.
    WrongMessageDigest,
    /// No signed attributes.
    NoSignedAttributes,
    /// Two SignerInfos.
    TwoSigners,
    /// The content is not inside.
    Detached,
    /// The certificate is not inside.
    NoCertificate,
    /// A bit of the signature is turned.
    BrokenSignature,
    /// The statement was changed after signing.
    TamperedStatement,
    /// Signed by another key of the same sort than the certificate's.
    OtherKey,
    /// Signed by its certificate's key, but the certificate is a forgery: name, serial number and extensions of the real one,
    /// another key, its own signature.
    ForgedCertificate,
    /// The statement is no JSON.
    NotJson,
    /// The statement has a member nobody knows.
    UnknownMember,
    /// The statement is of a type to come.
    OtherType,
    /// Meant for another registration authority.
    OtherAudience,
    /// A challenge nobody gave.
    InventedChallenge,
    /// A challenge that is no base64.
    UnreadableChallenge,
    /// An action nobody knows.
    UnknownAction,
}

impl InstructionDeviation {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Noise,
        Self::Truncated,
        Self::TrailingBytes,
        Self::Oversized,
        Self::ApplicationContentType,
        Self::OtherContentType,
        Self::DocumentContentType,
        Self::OtherStatedContentType,
        Self::WrongMessageDigest,
        Self::NoSignedAttributes,
        Self::TwoSigners,
        Self::Detached,
        Self::NoCertificate,
        Self::BrokenSignature,
        Self::TamperedStatement,
        Self::OtherKey,
        Self::ForgedCertificate,
        Self::NotJson,
        Self::UnknownMember,
        Self::OtherType,
        Self::OtherAudience,
        Self::InventedChallenge,
        Self::UnreadableChallenge,
        Self::UnknownAction,
    ];
}

/// Signs an instruction with exactly one thing wrong.
pub fn build_deviating_instruction(
    instruction: &Instruction,
    signer: Signer<'_>,
    deviation: InstructionDeviation,
) -> Result<Vec<u8>, CmsFault> {
    use InstructionDeviation as D;

    let mut message = SignedMessage::of_type(content_type(instruction, deviation), statement(instruction, deviation)?);
    match deviation {
        D::OtherStatedContentType => message.stated_content_type = Some(oids::CMS_DATA),
        D::WrongMessageDigest => message.stated_digest = Some(random::<32>()?.to_vec()),
        D::NoSignedAttributes => message.signed_attributes = false,
        D::Detached => message.attached = false,
        D::NoCertificate => message.has_certificate = false,
        D::BrokenSignature => message.broken_signature = true,
        D::TamperedStatement => {
            let mut changed = instruction.statement.clone();
            changed["audience"] = json!(format!("{} ", instruction.statement["audience"].as_str().unwrap_or_default()));
            message.replaced_content = Some(changed.to_string().into_bytes());
        }
        _ => {}
    }
    let other = Key::generate(if signer.key.is_rsa() { KeyAlgorithm::Rsa2048 } else { KeyAlgorithm::P256 })?;
    let mut cms = match deviation {
        D::OtherKey => sign_with(&message, &[(signer.certificate, &other)])?,
        D::ForgedCertificate => sign_with(&message, &[(&forgery(signer.certificate, &other)?, &other)])?,
        D::TwoSigners => {
            let second = forgery(signer.certificate, &other)?;
            sign_with(&message, &[(signer.certificate, signer.key), (&second, &other)])?
        }
        _ => sign_with(&message, &[(signer.certificate, signer.key)])?,
    };
    match deviation {
        D::Noise => cms = random::<2048>()?.to_vec(),
        D::Truncated => cms.truncate(cms.len() / 2),
        D::TrailingBytes => cms.extend_from_slice(&[0, 0]),
        _ => {}
    }
    Ok(cms)
}

fn content_type(instruction: &Instruction, deviation: InstructionDeviation) -> der::asn1::ObjectIdentifier {
    match deviation {
        InstructionDeviation::ApplicationContentType => oids::APPLICATION_CONTENT_TYPE,
        InstructionDeviation::DocumentContentType => oids::CMS_DATA,
        InstructionDeviation::OtherContentType if instruction.content_type == oids::HOLDER_INSTRUCTION_CONTENT_TYPE => {
            oids::OPERATOR_INSTRUCTION_CONTENT_TYPE
        }
        InstructionDeviation::OtherContentType => oids::HOLDER_INSTRUCTION_CONTENT_TYPE,
        _ => instruction.content_type,
    }
}

fn statement(instruction: &Instruction, deviation: InstructionDeviation) -> Result<Vec<u8>, CmsFault> {
    use base64::Engine as _;
    let mut statement = instruction.statement.clone();
    match deviation {
        InstructionDeviation::NotJson => return Ok(b"I instruct you.".to_vec()),
        InstructionDeviation::UnknownMember => statement["administrator"] = json!(true),
        InstructionDeviation::OtherType => statement["type"] = json!("tsunagi.instruction.v999"),
        InstructionDeviation::OtherAudience => statement["audience"] = json!("another registration authority"),
        InstructionDeviation::InventedChallenge => {
            statement["challenge"] = json!(base64::engine::general_purpose::STANDARD.encode(random::<48>()?));
        }
        InstructionDeviation::UnreadableChallenge => statement["challenge"] = json!("not base64 at all"),
        InstructionDeviation::UnknownAction => statement["do"] = json!({ "action": "promote" }),
        InstructionDeviation::Oversized => statement["audience"] = json!("x".repeat(100_000)),
        _ => {}
    }
    Ok(statement.to_string().into_bytes())
}

/// A certificate that says what another says, of another key, signed by that key itself.
fn forgery(real: &[u8], key: &Key) -> Result<Vec<u8>, CmsFault> {
    let real = x509_cert::Certificate::from_der(real)?;
    let tbs = real.tbs_certificate();
    let moment = |at: x509_cert::time::Time| DateTime::<Utc>::from(at.to_system_time());
    let extensions = tbs.extensions().map(|all| all.iter().map(der::Encode::to_der).collect::<Result<Vec<_>, _>>()).transpose()?;
    let content = Certificate {
        serial: tbs.serial_number().as_bytes(),
        issuer: &tbs.issuer().to_der()?,
        not_before: moment(tbs.validity().not_before),
        not_after: moment(tbs.validity().not_after),
        subject: &tbs.subject().to_der()?,
        public_key_info: key.public_key_info(),
        extensions: extensions.unwrap_or_default(),
    };
    Ok(certificate(&content, key)?)
}
