//! `POST /v1/card-certificates/lookup`, on the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::fault::BackOfficeFault;
use crate::port::{CardHolder, CardReference};

/// Octets of a card certificate in DER at most; real ones have about 1,800.
const CERTIFICATE_OCTETS: usize = 16 << 10;
/// Characters of a holder's identifier at most.
pub(crate) const IDENTIFIER_CHARACTERS: usize = 128;

#[derive(Serialize)]
struct Question {
    cards: Vec<Card>,
}

#[derive(Serialize)]
struct Card {
    issuer_key_id: String,
    serial: String,
    sha256: String,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    found: bool,
    holder_id: Option<String>,
    authentication_certificate: Option<String>,
}

pub(crate) fn encode(cards: &[CardReference]) -> Result<Vec<u8>, BackOfficeFault> {
    let cards = cards
        .iter()
        .map(|card| Card {
            issuer_key_id: hex::encode(&card.issuer_key_id),
            serial: hex::encode(&card.serial),
            sha256: hex::encode(card.sha256),
        })
        .collect();
    serde_json::to_vec(&Question { cards }).map_err(|_| BackOfficeFault::Malformed("the question cannot be written"))
}

/// Reads the answer to a question about `expected` cards. Members that we do not know are passed over; those we need are
/// held to their form.
pub(crate) fn decode(answer: &[u8], expected: usize) -> Result<Vec<Option<CardHolder>>, BackOfficeFault> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| BackOfficeFault::Malformed("not a look-up's answer"))?;
    if answer.results.len() != expected {
        return Err(BackOfficeFault::Malformed("not one result for each card"));
    }
    answer.results.into_iter().map(holder).collect()
}

/// Whether `text` is 1 to 128 visible ASCII characters.
pub(crate) fn is_identifier(text: &str) -> bool {
    (1..=IDENTIFIER_CHARACTERS).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic())
}

fn holder(result: Found) -> Result<Option<CardHolder>, BackOfficeFault> {
    if !result.found {
        return Ok(None);
    }
    let holder_id = result.holder_id.ok_or(BackOfficeFault::Malformed("a card that was found has no holder_id"))?;
    if !is_identifier(&holder_id) {
        return Err(BackOfficeFault::Malformed("a holder_id is not 1 to 128 visible ASCII characters"));
    }
    let authentication_certificate = match result.authentication_certificate {
        None => None,
        Some(text) => Some(certificate(&text)?),
    };
    Ok(Some(CardHolder { holder_id, authentication_certificate }))
}

fn certificate(text: &str) -> Result<Vec<u8>, BackOfficeFault> {
    if text.len() > CERTIFICATE_OCTETS.div_ceil(3) * 4 {
        return Err(BackOfficeFault::Malformed("an authentication_certificate exceeds 16 KiB"));
    }
    let der = STANDARD.decode(text).map_err(|_| BackOfficeFault::Malformed("an authentication_certificate is not base64"))?;
    if der.is_empty() {
        return Err(BackOfficeFault::Malformed("an authentication_certificate is empty"));
    }
    Ok(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(answer: &str, expected: usize) -> String {
        decode(answer.as_bytes(), expected).unwrap_err().to_string()
    }

    #[test]
    fn cards_found_and_not_found_come_back_in_order() {
        let answer = br#"{"results":[{"found":false},{"found":true,"holder_id":"h-1","authentication_certificate":"MAA=","new":1},
            {"found":true,"holder_id":"h-2","authentication_certificate":null}],"also":{}}"#;
        let holders = decode(answer, 3).unwrap();
        assert_eq!(holders[0], None);
        assert_eq!(holders[1].as_ref().unwrap().authentication_certificate.as_deref(), Some(&[0x30, 0][..]));
        assert_eq!(holders[2].as_ref().unwrap().holder_id, "h-2");
        assert_eq!(holders[2].as_ref().unwrap().authentication_certificate, None);
    }

    #[test]
    fn an_answer_about_fewer_cards_is_refused() {
        assert!(message(r#"{"results":[]}"#, 1).contains("one result for each card"));
    }

    #[test]
    fn a_holder_without_an_identifier_is_refused() {
        assert!(message(r#"{"results":[{"found":true}]}"#, 1).contains("no holder_id"));
        assert!(message(r#"{"results":[{"found":true,"holder_id":""}]}"#, 1).contains("visible ASCII"));
        assert!(message(r#"{"results":[{"found":true,"holder_id":"山田"}]}"#, 1).contains("visible ASCII"));
    }

    #[test]
    fn a_certificate_must_be_base64_and_small() {
        assert!(message(r#"{"results":[{"found":true,"holder_id":"h","authentication_certificate":"%"}]}"#, 1).contains("base64"));
        let long = format!(r#"{{"results":[{{"found":true,"holder_id":"h","authentication_certificate":"{}"}}]}}"#, "A".repeat(40_000));
        assert!(message(&long, 1).contains("16 KiB"));
    }

    #[test]
    fn a_holder_is_not_written_into_logs() {
        let holder = CardHolder { holder_id: "h-77".into(), authentication_certificate: None };
        assert!(!format!("{holder:?}").contains("h-77"));
    }
}
