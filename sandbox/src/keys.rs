//! Keys of the sandbox: RSA for cards and their CA, ECDSA or RSA for phones, and deliberately weak ones.
//!
//! ring signs; the `rsa` crate only makes RSA keys, and signs with those that ring rightly refuses to load.

use num_bigint_dig::prime::probably_prime;
use num_bigint_dig::{BigUint, RandBigInt as _, RandPrime as _};
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use serde::{Deserialize, Serialize};

use crate::{asn1, oids, pem};

/// What key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// ECDSA P-256 with SHA-256: StrongBox, TEE, Secure Enclave.
    #[default]
    P256,
    /// ECDSA P-384 with SHA-384.
    P384,
    /// RSA-2048 with SHA-256, PKCS#1 v1.5: the GP-SE.
    Rsa2048,
    /// RSA-3072.
    Rsa3072,
    /// Weak: a modulus of 1,024 bits.
    WeakRsa1024,
    /// Weak: exponent 3.
    WeakRsaExponentThree,
    /// Weak: the primes lie next to each other, so that Fermat factors the modulus.
    WeakRsaClosePrimes,
    /// Weak: primes of the form that CVE-2017-15361 (ROCA) factors.
    WeakRsaRoca,
}

/// A private key with its public half.
#[derive(Debug)]
pub struct Key {
    pkcs8: Vec<u8>,
    public_key_info: Vec<u8>,
    public_key: Vec<u8>,
    signer: Signer,
}

#[derive(Debug)]
enum Signer {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Weak(Box<RsaPrivateKey>),
}

/// A key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// Generation failed.
    #[error("no key could be made: {0}")]
    Generation(String),
    /// Not a PKCS#8 key of a known algorithm.
    #[error("not an unencrypted PKCS#8 key with P-256, P-384 or RSA")]
    Unreadable,
    /// Signing failed.
    #[error("signing failed")]
    Signing,
}

impl Key {
    /// Makes a key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyFault> {
        let random = SystemRandom::new();
        let ecdsa = |curve| EcdsaKeyPair::generate_pkcs8(curve, &random).map(|document| document.as_ref().to_vec());
        let pkcs8 = match algorithm {
            KeyAlgorithm::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| KeyFault::Generation("P-256".to_owned()))?,
            KeyAlgorithm::P384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING).map_err(|_| KeyFault::Generation("P-384".to_owned()))?,
            KeyAlgorithm::Rsa2048 => encode_rsa(&sound_rsa(2048)?)?,
            KeyAlgorithm::Rsa3072 => encode_rsa(&sound_rsa(3072)?)?,
            KeyAlgorithm::WeakRsa1024 => encode_rsa(&sound_rsa(1024)?)?,
            KeyAlgorithm::WeakRsaExponentThree => encode_rsa(&rsa_with_exponent_three()?)?,
            KeyAlgorithm::WeakRsaClosePrimes => encode_rsa(&rsa_with_close_primes()?)?,
            KeyAlgorithm::WeakRsaRoca => encode_rsa(&rsa_with_roca()?)?,
        };
        Self::from_pkcs8(pkcs8)
    }

    /// Reads a key from PKCS#8 DER (RFC 5208), whatever its algorithm.
    pub fn from_pkcs8(pkcs8: Vec<u8>) -> Result<Self, KeyFault> {
        let random = SystemRandom::new();
        let (signer, public_key) = if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &random) {
            let public_key = pair.public_key().as_ref().to_vec();
            (Signer::P256(pair), public_key)
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &pkcs8, &random) {
            let public_key = pair.public_key().as_ref().to_vec();
            (Signer::P384(pair), public_key)
        } else if let Ok(pair) = RsaKeyPair::from_pkcs8(&pkcs8) {
            let public_key = pair.public().as_ref().to_vec();
            (Signer::Rsa(Box::new(pair)), public_key)
        } else {
            let key = RsaPrivateKey::from_pkcs8_der(&pkcs8).map_err(|_| KeyFault::Unreadable)?;
            let public_key = asn1::sequence(&[asn1::unsigned(&key.n().to_bytes_be()), asn1::unsigned(&key.e().to_bytes_be())]);
            (Signer::Weak(Box::new(key)), public_key)
        };
        let algorithm = match signer {
            Signer::P256(_) => asn1::sequence(&[asn1::oid(&oids::EC_PUBLIC_KEY), asn1::oid(&oids::P256)]),
            Signer::P384(_) => asn1::sequence(&[asn1::oid(&oids::EC_PUBLIC_KEY), asn1::oid(&oids::P384)]),
            Signer::Rsa(_) | Signer::Weak(_) => asn1::sequence(&[asn1::oid(&oids::RSA_ENCRYPTION), asn1::null()]),
        };
        let public_key_info = asn1::sequence(&[algorithm, asn1::bit_string(&public_key)]);
        Ok(Self { pkcs8, public_key_info, public_key, signer })
    }

    /// PKCS#8 DER, unencrypted.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// PKCS#8 as PEM, unencrypted.
    pub fn to_pem(&self) -> String {
        pem::encode(pem::PRIVATE_KEY, &self.pkcs8)
    }

    /// SubjectPublicKeyInfo, DER.
    pub fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    /// The content of the public key's BIT STRING.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// SHA-1 of the public key's bits: method 1 of RFC 5280 section 4.2.1.2.
    pub fn key_identifier(&self) -> [u8; 20] {
        sha1(&self.public_key)
    }

    /// AlgorithmIdentifier of what [`Self::sign`] gives, DER.
    pub fn signature_algorithm(&self) -> Vec<u8> {
        match self.signer {
            Signer::P256(_) => asn1::sequence(&[asn1::oid(&oids::ECDSA_WITH_SHA256)]),
            Signer::P384(_) => asn1::sequence(&[asn1::oid(&oids::ECDSA_WITH_SHA384)]),
            Signer::Rsa(_) | Signer::Weak(_) => asn1::sequence(&[asn1::oid(&oids::SHA256_WITH_RSA), asn1::null()]),
        }
    }

    /// Signs a message with the algorithm's own digest; ECDSA signatures are DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        match &self.signer {
            Signer::P256(pair) | Signer::P384(pair) => {
                pair.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec()).map_err(|_| KeyFault::Signing)
            }
            Signer::Rsa(pair) => sign_rsa(pair, &RSA_PKCS1_SHA256, message),
            Signer::Weak(key) => {
                let algorithm = asn1::sequence(&[asn1::oid(&oids::SHA256), asn1::null()]);
                let digest_info = asn1::sequence(&[algorithm, asn1::octet_string(&sha256(message))]);
                key.sign(Pkcs1v15Sign::new_unprefixed(), &digest_info).map_err(|_| KeyFault::Signing)
            }
        }
    }

    /// Whether [`Self::sign`] digests with SHA-384 and not with SHA-256.
    pub fn signs_with_sha384(&self) -> bool {
        matches!(self.signer, Signer::P384(_))
    }

    /// Whether it is an RSA key, sound or weak.
    pub fn is_rsa(&self) -> bool {
        matches!(self.signer, Signer::Rsa(_) | Signer::Weak(_))
    }

    /// Signs as ES256 does (RFC 7518 section 3.4): 64 octets, r and s. Only P-256 keys can.
    pub fn sign_es256(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let Signer::P256(_) = &self.signer else { return Err(KeyFault::Signing) };
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8, &random).map_err(|_| KeyFault::Signing)?;
        pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| KeyFault::Signing)
    }

    /// Signs with RSA PKCS#1 v1.5 and SHA-512, which no card does; only sound RSA keys can.
    pub fn sign_with_sha512(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        match &self.signer {
            Signer::Rsa(pair) => sign_rsa(pair, &RSA_PKCS1_SHA512, message),
            Signer::P256(_) | Signer::P384(_) | Signer::Weak(_) => Err(KeyFault::Signing),
        }
    }

    /// `SEQUENCE { tbs, algorithm, signature }`: the form of certificates, CRLs and requests.
    pub fn seal(&self, tbs: &[u8]) -> Result<Vec<u8>, KeyFault> {
        Ok(asn1::sequence(&[tbs.to_vec(), self.signature_algorithm(), asn1::bit_string(&self.sign(tbs)?)]))
    }
}

/// SHA-1 of something that is only named by it.
pub fn sha1(content: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    out.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, content).as_ref());
    out
}

/// SHA-256.
pub fn sha256(content: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
    out
}

/// Random octets of the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], KeyFault> {
    let mut octets = [0; N];
    SystemRandom::new().fill(&mut octets).map_err(|_| KeyFault::Generation("random octets".to_owned()))?;
    Ok(octets)
}

/// A random number below `bound`; good enough to pick from a list.
pub fn random_below(bound: usize) -> Result<usize, KeyFault> {
    let number = u64::from_be_bytes(random::<8>()?);
    Ok(usize::try_from(number % (bound.max(1) as u64)).unwrap_or(0))
}

fn sign_rsa(pair: &RsaKeyPair, padding: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(padding, &SystemRandom::new(), message, &mut signature).map_err(|_| KeyFault::Signing)?;
    Ok(signature)
}

fn generation(error: impl std::fmt::Display) -> KeyFault {
    KeyFault::Generation(error.to_string())
}

fn encode_rsa(key: &RsaPrivateKey) -> Result<Vec<u8>, KeyFault> {
    key.to_pkcs8_der().map(|document| document.as_bytes().to_vec()).map_err(generation)
}

fn sound_rsa(bits: usize) -> Result<RsaPrivateKey, KeyFault> {
    RsaPrivateKey::new(&mut OsRng, bits).map_err(generation)
}

fn rsa_with_exponent_three() -> Result<RsaPrivateKey, KeyFault> {
    RsaPrivateKey::new_with_exp(&mut OsRng, 2048, &BigUint::from(3_u8)).map_err(generation)
}

fn rsa_with_close_primes() -> Result<RsaPrivateKey, KeyFault> {
    for _ in 0..16 {
        let first = OsRng.gen_prime(1024);
        let mut second = &first + 2_u8;
        while !probably_prime(&second, 10) {
            second += 2_u8;
        }
        if let Ok(key) = RsaPrivateKey::from_p_q(first, second, BigUint::from(65_537_u32)) {
            return Ok(key);
        }
    }
    Err(KeyFault::Generation("no pair of close primes found".to_owned()))
}

/// Both primes are k·M + (65537^a mod M), M the product of the first 126 primes (Nemec and others, "The Return of
/// Coppersmith's Attack", 2017).
fn rsa_with_roca() -> Result<RsaPrivateKey, KeyFault> {
    let product = first_primes(126).into_iter().fold(BigUint::from(1_u8), |product, prime| product * prime);
    for _ in 0..16 {
        let (first, second) = (roca_prime(&product)?, roca_prime(&product)?);
        if let Ok(key) = RsaPrivateKey::from_p_q(first, second, BigUint::from(65_537_u32)) {
            return Ok(key);
        }
    }
    Err(KeyFault::Generation("no pair of ROCA primes found".to_owned()))
}

fn roca_prime(product: &BigUint) -> Result<BigUint, KeyFault> {
    let top = BigUint::from(1_u8) << 1024;
    let bottom = BigUint::from(3_u8) << 1022;
    for _ in 0..20_000 {
        let start = OsRng.gen_biguint_range(&bottom, &(&top - product));
        let power = BigUint::from(65_537_u32).modpow(&OsRng.gen_biguint(62), product);
        let candidate = &start - (&start % product) + power;
        if probably_prime(&candidate, 10) {
            return Ok(candidate);
        }
    }
    Err(KeyFault::Generation("no ROCA prime found".to_owned()))
}

fn first_primes(count: usize) -> Vec<u32> {
    let mut primes: Vec<u32> = Vec::with_capacity(count);
    let mut candidate = 2;
    while primes.len() < count {
        if primes.iter().all(|prime| candidate % prime != 0) {
            primes.push(candidate);
        }
        candidate += 1;
    }
    primes
}
