//! Software keys, kept in files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1};
use der::Decode;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use pkcs8::{DecodePrivateKey as _, EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef};
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaKeyPair,
};
use secrecy::{ExposeSecret, SecretString};
use spki::ObjectIdentifier;
use zeroize::Zeroizing;

use super::public_key::{public_key_info, rsa_key_type};
use super::{KeyType, MessageDigest, Signer, SignerFault, digest_algorithm, verify_digest};

/// The PEM label of an encrypted PKCS #8 key (RFC 7468 section 11).
const PEM_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// The PEM label of a PKCS #8 key in clear (RFC 7468 section 10).
const CLEAR_PEM_LABEL: &str = "PRIVATE KEY";

/// Longer key files are refused unread.
const MAX_FILE_OCTETS: u64 = 64 * 1024;

/// A key in this process's memory; between runs it lies in a file as encrypted PKCS #8 (RFC 5958, PBES2 with scrypt and
/// AES-256-CBC), which `openssl pkey` reads too.
pub struct FileSigner {
    key: SoftwareKey,
    key_type: KeyType,
    public_key_info: Vec<u8>,
    pkcs8: Zeroizing<Vec<u8>>,
    random: SystemRandom,
}

enum SoftwareKey {
    Ecdsa { whole: EcdsaKeyPair, digest: DigestKey },
    Rsa(RsaKeyPair),
}

/// The same key for digests, which ring does not sign; overwritten when it goes. Its nonces are deterministic (RFC 6979).
enum DigestKey {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

/// A key file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileFault {
    /// Something is there already: a key is never overwritten.
    #[error("key file {0} exists already")]
    Exists(String),
    /// The file system said no.
    #[error("key file {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file's content is no PKCS #8 key in PEM, encrypted or in clear as was asked for.
    #[error("key file {0} is no PKCS #8 key in PEM, or is not encrypted where it must be, or is where it must not")]
    NotAKey(String),
    /// The passphrase does not open it.
    #[error("the passphrase does not open key file {0}")]
    Passphrase(String),
    /// The key inside is of no type that we sign with, or not sound.
    #[error("the key in {0} is of no type that is used here, or not sound")]
    UnsupportedKey(String),
    /// The key could not be encrypted.
    #[error("the key for {0} could not be encrypted")]
    Encryption(String),
}

impl FileSigner {
    /// Makes a new key. RSA takes a while.
    pub fn generate(key_type: KeyType) -> Result<Self, SignerFault> {
        let fault = || SignerFault::Generation(key_type);
        let pkcs8 = match key_type {
            KeyType::EcdsaP256 => generate_ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyType::EcdsaP384 => generate_ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyType::Rsa2048 => generate_rsa(2048),
            KeyType::Rsa3072 => generate_rsa(3072),
            KeyType::Rsa4096 => generate_rsa(4096),
        };
        let signer = pkcs8.and_then(Self::from_pkcs8).ok_or_else(fault)?;
        if signer.key_type == key_type { Ok(signer) } else { Err(fault()) }
    }

    /// Writes the key, encrypted under the passphrase, to a new file that only its owner may read; durable on return.
    pub fn save(&self, path: &Path, passphrase: &SecretString) -> Result<(), KeyFileFault> {
        let name = || path.display().to_string();
        let pem = PrivateKeyInfoRef::from_der(&self.pkcs8)
            .ok()
            .and_then(|info| info.encrypt(passphrase.expose_secret()).ok())
            .and_then(|document| document.to_pem(PEM_LABEL, LineEnding::LF).ok())
            .ok_or_else(|| KeyFileFault::Encryption(name()))?;
        let mut file = create_private(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileFault::Exists(name()),
            _ => KeyFileFault::File { path: name(), source },
        })?;
        let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| sync_directory(path));
        written.map_err(|source| {
            // Half a key is worse than none: the next attempt would find it and stop.
            let _ = fs::remove_file(path);
            KeyFileFault::File { path: name(), source }
        })
    }

    /// Reads a key back.
    pub fn open(path: &Path, passphrase: &SecretString) -> Result<Self, KeyFileFault> {
        let name = || path.display().to_string();
        let document = read_pem(path, PEM_LABEL)?;
        let encrypted = EncryptedPrivateKeyInfoRef::from_der(document.as_bytes()).map_err(|_| KeyFileFault::NotAKey(name()))?;
        let opened = encrypted.decrypt(passphrase.expose_secret()).map_err(|_| KeyFileFault::Passphrase(name()))?;
        Self::from_pkcs8(Zeroizing::new(opened.as_bytes().to_vec())).ok_or_else(|| KeyFileFault::UnsupportedKey(name()))
    }

    /// Reads a key that lies in clear, as the keys of TLS certificates do: an operator's, say. None of ours is written so.
    pub fn open_clear(path: &Path) -> Result<Self, KeyFileFault> {
        let document = read_pem(path, CLEAR_PEM_LABEL)?;
        let pkcs8 = Zeroizing::new(document.as_bytes().to_vec());
        Self::from_pkcs8(pkcs8).ok_or_else(|| KeyFileFault::UnsupportedKey(path.display().to_string()))
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Option<Self> {
        let random = SystemRandom::new();
        let info = PrivateKeyInfoRef::from_der(&pkcs8).ok()?;
        let (key, key_type) = match info.algorithm.oid {
            ID_EC_PUBLIC_KEY => {
                let curve = info.algorithm.parameters?.decode_as::<ObjectIdentifier>().ok()?;
                let (key_type, algorithm) = match curve {
                    SECP_256_R_1 => (KeyType::EcdsaP256, &ECDSA_P256_SHA256_ASN1_SIGNING),
                    SECP_384_R_1 => (KeyType::EcdsaP384, &ECDSA_P384_SHA384_ASN1_SIGNING),
                    _ => return None,
                };
                let whole = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8, &random).ok()?;
                (SoftwareKey::Ecdsa { whole, digest: DigestKey::from_pkcs8(key_type, &pkcs8)? }, key_type)
            }
            RSA_ENCRYPTION => {
                let key = RsaKeyPair::from_pkcs8(&pkcs8).ok()?;
                let key_type = rsa_key_type(key.public().modulus_len())?;
                (SoftwareKey::Rsa(key), key_type)
            }
            _ => return None,
        };
        let public_key_info = public_key_info(key_type, key.public_key())?;
        Some(Self { key, key_type, public_key_info, pkcs8, random })
    }
}

impl Signer for FileSigner {
    fn key_type(&self) -> KeyType {
        self.key_type
    }

    fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerFault> {
        match &self.key {
            SoftwareKey::Ecdsa { whole: key, .. } => {
                key.sign(&self.random, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| SignerFault::Refused)
            }
            SoftwareKey::Rsa(key) => {
                let mut octets = vec![0; key.public().modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &self.random, message, &mut octets).map_err(|_| SignerFault::Refused)?;
                Ok(octets)
            }
        }
    }

    fn takes_digests(&self) -> bool {
        matches!(self.key, SoftwareKey::Ecdsa { .. })
    }

    fn sign_digest(&self, digest: &MessageDigest) -> Result<Vec<u8>, SignerFault> {
        let SoftwareKey::Ecdsa { digest: key, .. } = &self.key else { return Err(SignerFault::WholeMessagesOnly) };
        if digest.algorithm() != digest_algorithm(self.key_type) {
            return Err(SignerFault::WrongDigest);
        }
        let signature = key.sign(digest.as_bytes()).ok_or(SignerFault::Refused)?;
        // Of a deterministic signature that a faulty computation made, the key can be worked out: it must not get out.
        let sound = verify_digest(self.key_type, self.key.public_key(), digest, &signature);
        if sound { Ok(signature) } else { Err(SignerFault::WrongSignature) }
    }
}

impl std::fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSigner").field("key_type", &self.key_type).finish_non_exhaustive()
    }
}

impl SoftwareKey {
    /// The content of the BIT STRING subjectPublicKey.
    fn public_key(&self) -> &[u8] {
        match self {
            Self::Ecdsa { whole, .. } => whole.public_key().as_ref(),
            Self::Rsa(key) => key.public_key().as_ref(),
        }
    }
}

impl DigestKey {
    fn from_pkcs8(key_type: KeyType, pkcs8: &[u8]) -> Option<Self> {
        match key_type {
            KeyType::EcdsaP256 => p256::ecdsa::SigningKey::from_pkcs8_der(pkcs8).ok().map(Self::P256),
            KeyType::EcdsaP384 => p384::ecdsa::SigningKey::from_pkcs8_der(pkcs8).ok().map(Self::P384),
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => None,
        }
    }

    /// ECDSA-Sig-Value in DER.
    fn sign(&self, digest: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(digest).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(digest).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

fn generate_ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Option<Zeroizing<Vec<u8>>> {
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).ok()?;
    Some(Zeroizing::new(document.as_ref().to_vec()))
}

/// ring cannot make RSA keys; the `rsa` crate makes them and does nothing else with private keys (RUSTSEC-2023-0071).
fn generate_rsa(bits: usize) -> Option<Zeroizing<Vec<u8>>> {
    use rsa::pkcs8::EncodePrivateKey as _;

    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).ok()?;
    Some(Zeroizing::new(key.to_pkcs8_der().ok()?.as_bytes().to_vec()))
}

/// The content of a PEM file with this label.
fn read_pem(path: &Path, label: &str) -> Result<der::SecretDocument, KeyFileFault> {
    let name = || path.display().to_string();
    let mut pem = Zeroizing::new(String::new());
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_OCTETS).read_to_string(&mut pem))
        .map_err(|source| KeyFileFault::File { path: name(), source })?;
    match der::SecretDocument::from_pem(&pem) {
        Ok((found, document)) if found == label => Ok(document),
        _ => Err(KeyFileFault::NotAKey(name())),
    }
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the file's name durable, not only its content.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
