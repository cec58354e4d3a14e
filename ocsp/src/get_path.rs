//! A request within a URL.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::question::QuestionRefusal;

const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Reads the request out of the path of a GET (RFC 6960 appendix A.1: the URL encoding of the base64 of the DER), after `/ocsp/`.
///
/// Clients differ in what they send, and all of these are read:
/// - `+`, `/` and `=` percent-encoded, as the RFC says, or as they are, or the padding left out;
/// - the URL-safe alphabet (`-`, `_`), and `+` that a proxy made a space;
/// - a slash too many in front, from a base URL that ends in one;
/// - line ends within, percent-encoded, from tools that break base64 at 64 characters.
///
/// # Errors
/// [`QuestionRefusal::TooLong`] before anything is decoded, [`QuestionRefusal::NotBase64`].
pub fn request_of_path(path: &[u8], max_request_octets: usize) -> Result<Vec<u8>, QuestionRefusal> {
    // Four characters for three octets, each perhaps as %XX, and a little for line ends.
    if path.len() > max_request_octets.saturating_mul(4) + 64 {
        return Err(QuestionRefusal::TooLong);
    }
    let mut text = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [b'/', after @ ..] = rest {
        rest = after;
    }
    while let [first, after @ ..] = rest {
        rest = after;
        let character = match *first {
            b'%' => {
                let [high, low, after @ ..] = after else { return Err(QuestionRefusal::NotBase64) };
                rest = after;
                16 * hexadecimal(*high)? + hexadecimal(*low)?
            }
            character => character,
        };
        match character {
            b'-' | b' ' => text.push(b'+'),
            b'_' => text.push(b'/'),
            b'\r' | b'\n' => {}
            other => text.push(other),
        }
    }
    BASE64.decode(text).map_err(|_| QuestionRefusal::NotBase64)
}

fn hexadecimal(digit: u8) -> Result<u8, QuestionRefusal> {
    (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or(QuestionRefusal::NotBase64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Their base64 has every troublesome character: `++////4=`.
    const OCTETS: &[u8] = &[0xfb, 0xef, 0xff, 0xff, 0xfe];

    #[test]
    fn every_form_that_clients_send_is_the_same_request() {
        for text in [
            "++////4=",
            "++////4",
            "%2B%2B%2F%2F%2f%2F4%3D",
            "--____4=",
            "-+/_/_4%3d",
            "  ////4=",
            "%20%20////4%3D",
            "/++////4=",
            "//%2B+////4=",
            "++//%0D%0A//4=",
        ] {
            assert_eq!(request_of_path(text.as_bytes(), 4096).as_deref(), Ok(OCTETS), "{text}");
        }
    }

    #[test]
    fn what_is_no_base64_is_refused_and_what_is_too_long_not_decoded() {
        for text in ["%", "%4", "%zz", "M*==", "M", "\u{e9}", "TUFC%252F", "TUFC\0"] {
            assert_eq!(request_of_path(text.as_bytes(), 4096), Err(QuestionRefusal::NotBase64), "{text}");
        }
        assert_eq!(request_of_path("A".repeat(5000).as_bytes(), 1000), Err(QuestionRefusal::TooLong));
        assert_eq!(request_of_path(b"", 4096), Ok(Vec::new()));
    }
}
