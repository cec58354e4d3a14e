//! One key on a token.

use std::sync::Arc;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use der::asn1::{OctetStringRef, UintRef};
use der::{Decode, Encode, Sequence};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::pool::{Pool, Seat};
use super::{KeyType, Pkcs11Fault};
use crate::signer::public_key::{curve, public_key_info, rsa_key_type};
use crate::signer::{MessageDigest, Signer, SignerFault, digest_algorithm, verify, verify_digest};

/// A key that is used on its token and never leaves it. It is found by its label; its public half has the same label and CKA_ID.
pub struct Pkcs11Signer {
    pool: Arc<Pool>,
    label: String,
    key_type: KeyType,
    public_key_info: Vec<u8>,
    /// The content of the BIT STRING subjectPublicKey.
    public_key: Vec<u8>,
}

/// RFC 8017 appendix A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

/// 65537.
const PUBLIC_EXPONENT: [u8; 3] = [1, 0, 1];

impl Pkcs11Signer {
    /// The one key of that label.
    pub(super) fn find(pool: &Arc<Pool>, label: &str) -> Result<Self, Pkcs11Fault> {
        let (key_type, public_key) = pool.with_seat(|seat| {
            let private_key = private_key(&seat.session, label)?;
            public_key(&seat.session, private_key, label)
        })?;
        let public_key_info = public_key_info(key_type, &public_key).ok_or_else(|| Pkcs11Fault::UnsupportedKey(label.to_owned()))?;
        Ok(Self { pool: Arc::clone(pool), label: label.to_owned(), key_type, public_key_info, public_key })
    }

    /// Makes a key under a label that none has yet.
    pub(super) fn create(pool: &Arc<Pool>, label: &str, key_type: KeyType) -> Result<Self, Pkcs11Fault> {
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id).map_err(|_| Pkcs11Fault::Token(cryptoki::error::Error::InvalidValue))?;
        pool.with_seat(|seat| {
            let taken = seat.session.find_objects(&[Attribute::Label(label.into())]).map_err(Pkcs11Fault::Token)?;
            if !taken.is_empty() {
                return Err(Pkcs11Fault::Exists(label.to_owned()));
            }
            let session = pool.module().open_rw_session(seat.slot).map_err(Pkcs11Fault::Token)?;
            generate(&session, label, &id, key_type).map_err(Pkcs11Fault::Token)
        })?;
        Self::find(pool, label)
    }

    /// Removes the key from the token, for good.
    pub fn destroy(self) -> Result<(), Pkcs11Fault> {
        self.pool.with_seat(|seat| {
            let session = self.pool.module().open_rw_session(seat.slot).map_err(Pkcs11Fault::Token)?;
            let objects = session.find_objects(&[Attribute::Label(self.label.as_str().into())]).map_err(Pkcs11Fault::Token)?;
            objects.into_iter().try_for_each(|object| session.destroy_object(object)).map_err(Pkcs11Fault::Token)
        })
    }

    fn sign_unverified(&self, digest: &MessageDigest) -> Result<Vec<u8>, SignerFault> {
        let signed = self.pool.with_seat_twice(|seat| self.sign_once(seat, digest));
        let octets = signed.map_err(|fault| SignerFault::Unavailable(Box::new(fault)))?;
        in_der(self.key_type, octets).ok_or(SignerFault::WrongSignature)
    }

    fn sign_once(&self, seat: &mut Seat, digest: &MessageDigest) -> Result<Vec<u8>, Pkcs11Fault> {
        let key = match seat.keys.get(&self.label) {
            Some(key) => *key,
            None => {
                let key = private_key(&seat.session, &self.label)?;
                seat.keys.insert(self.label.clone(), key);
                key
            }
        };
        let signature = if curve(self.key_type).is_some() {
            seat.session.sign(&Mechanism::Ecdsa, key, digest.as_bytes())
        } else {
            let digest_info = [digest.algorithm().digest_info_prefix(), digest.as_bytes()].concat();
            seat.session.sign(&Mechanism::RsaPkcs, key, &digest_info)
        };
        signature.map_err(Pkcs11Fault::Token)
    }
}

impl Signer for Pkcs11Signer {
    fn key_type(&self) -> KeyType {
        self.key_type
    }

    fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerFault> {
        let signature = self.sign_unverified(&MessageDigest::of(digest_algorithm(self.key_type), message))?;
        let sound = verify(self.key_type, &self.public_key, message, &signature);
        if sound { Ok(signature) } else { Err(SignerFault::WrongSignature) }
    }

    fn takes_digests(&self) -> bool {
        true
    }

    fn sign_digest(&self, digest: &MessageDigest) -> Result<Vec<u8>, SignerFault> {
        if digest.algorithm() != digest_algorithm(self.key_type) {
            return Err(SignerFault::WrongDigest);
        }
        let signature = self.sign_unverified(digest)?;
        let sound = verify_digest(self.key_type, &self.public_key, digest, &signature);
        if sound { Ok(signature) } else { Err(SignerFault::WrongSignature) }
    }
}

impl std::fmt::Debug for Pkcs11Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pkcs11Signer").field("label", &self.label).field("key_type", &self.key_type).finish_non_exhaustive()
    }
}

/// CKM_ECDSA gives r and s one after the other; certificates and lists want ECDSA-Sig-Value (RFC 3279 section 2.2.3).
fn in_der(key_type: KeyType, octets: Vec<u8>) -> Option<Vec<u8>> {
    match key_type {
        KeyType::EcdsaP256 => Some(p256::ecdsa::Signature::from_slice(&octets).ok()?.to_der().as_bytes().to_vec()),
        KeyType::EcdsaP384 => Some(p384::ecdsa::Signature::from_slice(&octets).ok()?.to_der().as_bytes().to_vec()),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => Some(octets),
    }
}

fn generate(session: &Session, label: &str, id: &[u8], key_type: KeyType) -> cryptoki::error::Result<()> {
    let called = [Attribute::Token(true), Attribute::Label(label.into()), Attribute::Id(id.to_vec())];
    let mut public = called.to_vec();
    public.extend([Attribute::Private(false), Attribute::Verify(true), Attribute::Encrypt(false), Attribute::Wrap(false)]);
    let mut private = called.to_vec();
    private.extend([Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false)]);
    // It signs and does nothing else.
    private.extend([Attribute::Sign(true), Attribute::Decrypt(false), Attribute::Unwrap(false)]);
    let bits: Option<u64> = match key_type {
        KeyType::EcdsaP256 | KeyType::EcdsaP384 => None,
        KeyType::Rsa2048 => Some(2048),
        KeyType::Rsa3072 => Some(3072),
        KeyType::Rsa4096 => Some(4096),
    };
    let mechanism = match (bits, curve(key_type).and_then(|curve| curve.to_der().ok())) {
        (Some(bits), _) => {
            public.extend([Attribute::ModulusBits(bits.into()), Attribute::PublicExponent(PUBLIC_EXPONENT.to_vec())]);
            Mechanism::RsaPkcsKeyPairGen
        }
        (None, Some(curve)) => {
            public.push(Attribute::EcParams(curve));
            Mechanism::EccKeyPairGen
        }
        (None, None) => return Err(cryptoki::error::Error::NotSupported),
    };
    session.generate_key_pair(&mechanism, &public, &private).map(drop)
}

/// The one private key of that label.
fn private_key(session: &Session, label: &str) -> Result<ObjectHandle, Pkcs11Fault> {
    let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.into())];
    match *session.find_objects(&wanted).map_err(Pkcs11Fault::Token)? {
        [key] => Ok(key),
        [] => Err(Pkcs11Fault::NoKey(label.to_owned())),
        _ => Err(Pkcs11Fault::AmbiguousKey(label.to_owned())),
    }
}

/// Type and public half (content of subjectPublicKey) of a private key.
fn public_key(session: &Session, private_key: ObjectHandle, label: &str) -> Result<(KeyType, Vec<u8>), Pkcs11Fault> {
    let unsupported = || Pkcs11Fault::UnsupportedKey(label.to_owned());
    let id = session.get_attributes(private_key, &[AttributeType::Id]).map_err(Pkcs11Fault::Token)?;
    let mut wanted = vec![Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Label(label.into())];
    wanted.extend(id);
    let [object] = *session.find_objects(&wanted).map_err(Pkcs11Fault::Token)? else { return Err(unsupported()) };
    let asked = [AttributeType::EcParams, AttributeType::EcPoint, AttributeType::Modulus, AttributeType::PublicExponent];
    let (mut parameters, mut point, mut modulus, mut exponent) = (None, None, None, None);
    for attribute in session.get_attributes(object, &asked).map_err(Pkcs11Fault::Token)? {
        match attribute {
            Attribute::EcParams(octets) => parameters = Some(octets),
            Attribute::EcPoint(octets) => point = Some(octets),
            Attribute::Modulus(octets) => modulus = Some(octets),
            Attribute::PublicExponent(octets) => exponent = Some(octets),
            _ => {}
        }
    }
    match (parameters, point, modulus, exponent) {
        (Some(parameters), Some(point), ..) => ecdsa_public_key(&parameters, point).ok_or_else(unsupported),
        (_, _, Some(modulus), Some(exponent)) => rsa_public_key(&modulus, &exponent).ok_or_else(unsupported),
        _ => Err(unsupported()),
    }
}

/// CKA_EC_POINT is the point in an OCTET STRING; some tokens leave that away.
fn ecdsa_public_key(parameters: &[u8], point: Vec<u8>) -> Option<(KeyType, Vec<u8>)> {
    let named = der::asn1::ObjectIdentifier::from_der(parameters).ok()?;
    let key_type = [KeyType::EcdsaP256, KeyType::EcdsaP384].into_iter().find(|key_type| curve(*key_type) == Some(named))?;
    let point = <&OctetStringRef>::from_der(&point).map(|octets| octets.as_bytes().to_vec()).unwrap_or(point);
    let octets = if key_type == KeyType::EcdsaP256 { 65 } else { 97 };
    (point.len() == octets && point.first() == Some(&4)).then_some((key_type, point))
}

fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Option<(KeyType, Vec<u8>)> {
    let key = RsaPublicKey { modulus: UintRef::new(modulus).ok()?, public_exponent: UintRef::new(exponent).ok()? };
    let key_type = rsa_key_type(key.modulus.as_bytes().len())?;
    Some((key_type, key.to_der().ok()?))
}
