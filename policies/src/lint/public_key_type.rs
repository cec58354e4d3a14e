//! The key of a CA or a responder is of a type that its profile names.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::UintRef;
use der::{Reader, SliceReader};

use super::{Context, Lint, PublicKey, Role, Severity};
use crate::key::KeyType;

/// The key of a CA or a responder is of a type that its profile names.
pub(super) const LINT: Lint = Lint { name: "public_key_type", citation: "Practice statement 3.5", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let allowed = match context.expectation.role {
        Role::Smartphone(_) | Role::Test(_) => return None,
        Role::Responder(profile) => &profile.key_types,
        Role::Authority(profile, _) => &profile.key_types,
    };
    match type_of(&context.certificate.public_key) {
        Some(key_type) if allowed.contains(&key_type) => None,
        Some(key_type) => Some(format!("the profile does not allow a key of type {key_type}")),
        None => Some("the key is of no type that profiles name".to_owned()),
    }
}

fn type_of(key: &PublicKey<'_>) -> Option<KeyType> {
    match key.algorithm {
        rfc5912::ID_EC_PUBLIC_KEY => match key.parameters?.decode_as::<ObjectIdentifier>().ok()? {
            rfc5912::SECP_256_R_1 => Some(KeyType::EcdsaP256),
            rfc5912::SECP_384_R_1 => Some(KeyType::EcdsaP384),
            _ => None,
        },
        rfc5912::RSA_ENCRYPTION => match modulus_octets(key.octets)? {
            256 => Some(KeyType::Rsa2048),
            384 => Some(KeyType::Rsa3072),
            512 => Some(KeyType::Rsa4096),
            _ => None,
        },
        _ => None,
    }
}

fn modulus_octets(rsa_public_key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(rsa_public_key).ok()?;
    reader
        .sequence(|fields| {
            let modulus: UintRef<'_> = fields.decode()?;
            fields.decode::<UintRef<'_>>()?;
            Ok::<_, der::Error>(modulus.as_bytes().len())
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::key::KeyType;
    use crate::lint::fixture::{Fixture, rsa_key};

    #[test]
    fn types_that_the_profile_names_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
        assert_eq!(Fixture::responder().with_key(rsa_key(&[0xff; 384], &[1, 0, 1])).judge(&LINT), None);
    }

    #[test]
    fn types_that_it_does_not_name_are_found() {
        let mut fixture = Fixture::responder();
        std::sync::Arc::make_mut(&mut fixture.policies.responder).key_types = vec![KeyType::EcdsaP384];
        assert!(fixture.judge(&LINT).is_some());
        assert!(Fixture::authority().with_key(rsa_key(&[0xff; 300], &[1, 0, 1])).judge(&LINT).is_some());
    }
}
