//! What a verifier may call a holder by.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// Tells this use of the key from any other.
const PURPOSE: &str = "tsunagi.pseudonym.v1";

/// The RA's key for pseudonyms. Whoever has it can join what verifiers know; whoever loses it changes every pseudonym.
pub struct PseudonymKey(hmac::Key);

impl PseudonymKey {
    /// Takes 32 secret octets.
    pub fn new(octets: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, octets))
    }

    /// The holder's pseudonym for one verifier: 43 characters of base64url (RFC 4648 section 5), the HMAC-SHA256 over purpose,
    /// the verifier's name and the holder's identifier, each after its length in 8 octets. The same for all certificates that
    /// the holder ever has, another for every verifier.
    pub fn pseudonym(&self, verifier: &str, holder_id: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [PURPOSE, verifier, holder_id] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(context.sign())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_stable_and_differs_by_verifier_holder_and_key() {
        let key = PseudonymKey::new(&[1; 32]);
        let pseudonym = key.pseudonym("a bank", "holder 1");
        assert_eq!(pseudonym.len(), 43);
        assert_eq!(PseudonymKey::new(&[1; 32]).pseudonym("a bank", "holder 1"), pseudonym);
        assert_ne!(key.pseudonym("a shop", "holder 1"), pseudonym);
        assert_ne!(key.pseudonym("a bank", "holder 2"), pseudonym);
        assert_ne!(PseudonymKey::new(&[2; 32]).pseudonym("a bank", "holder 1"), pseudonym);
        // Where one part ends and the next begins makes a difference.
        assert_ne!(key.pseudonym("ab", "c"), key.pseudonym("a", "bc"));
    }
}
