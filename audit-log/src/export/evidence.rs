//! What the cards signed, for auditors who may see it: encrypted with age (<https://age-encryption.org/v1>) to a key of theirs.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::octets::{base64_octets, file_hash, optional_octets};

/// The most octets of one line: a card's message is far smaller.
const LINE_OCTETS: u64 = 4 << 20;

/// What one application brought. Holds personal data: it is written encrypted only, and never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The application's row number, as the log's records have it.
    pub application: u64,
    /// The leaf of its `application.accepted`.
    pub leaf: u64,
    /// The SHA-256 of the card's message, which is what the application is called.
    #[serde(with = "file_hash")]
    pub sha256: [u8; 32],
    /// The card's message: CMS SignedData in DER.
    #[serde(with = "base64_octets")]
    pub cms: Vec<u8>,
    /// The card's authentication certificate in DER, as the back office gave it.
    #[serde(default, with = "optional_octets", skip_serializing_if = "Option::is_none")]
    pub authentication_certificate: Option<Vec<u8>>,
    /// What the card CA's responder said of the card's signature certificate: OCSPResponse in DER.
    #[serde(default, with = "optional_octets", skip_serializing_if = "Option::is_none")]
    pub signature_ocsp: Option<Vec<u8>>,
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").field("application", &self.application).field("leaf", &self.leaf).finish_non_exhaustive()
    }
}

/// What goes wrong with evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceFault {
    /// Not an X25519 recipient of age.
    #[error("not a recipient of age: \"age1\" and 58 characters more are expected")]
    Recipient,
    /// Not a file of X25519 identities of age.
    #[error("not a file of identities of age: lines that begin with \"AGE-SECRET-KEY-1\" are expected")]
    Identity,
    /// Encrypted to somebody else.
    #[error("none of the identities opens the file")]
    NotForUs,
    /// No age file, or one that was changed.
    #[error("the file is no age file, or was changed")]
    Undecipherable,
    /// It cannot be read or written.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// What was encrypted is not evidence; which line, from 1.
    #[error("line {line} of the encrypted text is not evidence")]
    Malformed {
        /// The line.
        line: u64,
    },
}

/// Whom evidence is encrypted to: an X25519 recipient of age, `age1…`.
#[derive(Clone)]
pub struct Recipient(age::x25519::Recipient);

impl FromStr for Recipient {
    type Err = EvidenceFault;

    fn from_str(text: &str) -> Result<Self, EvidenceFault> {
        text.parse().map(Self).map_err(|_| EvidenceFault::Recipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

/// The keys that open evidence: what `age-keygen` writes.
pub struct Identities(Vec<age::x25519::Identity>);

impl Identities {
    /// Reads the text of a file of identities.
    ///
    /// # Errors
    /// If it is none, or has no identity.
    pub fn parse(text: &str) -> Result<Self, EvidenceFault> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities: Vec<_> = lines.map(|line| line.parse().map_err(|_| EvidenceFault::Identity)).collect::<Result<_, _>>()?;
        if identities.is_empty() { Err(EvidenceFault::Identity) } else { Ok(Self(identities)) }
    }

    /// Whether one of them opens what is encrypted to a recipient (`age1…`).
    pub fn open(&self, recipient: &str) -> bool {
        self.0.iter().any(|identity| identity.to_public().to_string() == recipient)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

/// Encrypts evidence, line by line.
pub struct EvidenceWriter<W: Write>(age::stream::StreamWriter<W>);

impl<W: Write> EvidenceWriter<W> {
    /// Begins an age file on `output`.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn new(recipient: &Recipient, output: W) -> Result<Self, EvidenceFault> {
        let recipients = std::iter::once(&recipient.0 as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(|error| EvidenceFault::Unreadable(io::Error::other(error)))?;
        Ok(Self(encryptor.wrap_output(output)?))
    }

    /// Writes what one application brought.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn add(&mut self, evidence: &Evidence) -> Result<(), EvidenceFault> {
        let mut line = zeroize::Zeroizing::new(serde_json::to_vec(evidence).map_err(io::Error::from)?);
        line.push(b'\n');
        Ok(self.0.write_all(&line)?)
    }

    /// Ends the file: without this nobody can read it to its end.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn finish(self) -> Result<W, EvidenceFault> {
        Ok(self.0.finish()?)
    }
}

/// Decrypts evidence, line by line.
pub struct EvidenceReader<R: Read> {
    text: BufReader<age::stream::StreamReader<R>>,
    line: zeroize::Zeroizing<Vec<u8>>,
    lines: u64,
}

impl<R: Read> EvidenceReader<R> {
    /// Opens an age file.
    ///
    /// # Errors
    /// If it is none, or for somebody else.
    pub fn new(identities: &Identities, source: R) -> Result<Self, EvidenceFault> {
        let decryptor = age::Decryptor::new(source).map_err(opening)?;
        let identities = identities.0.iter().map(|identity| identity as &dyn age::Identity);
        let text = BufReader::with_capacity(1 << 16, decryptor.decrypt(identities).map_err(opening)?);
        Ok(Self { text, line: zeroize::Zeroizing::new(Vec::new()), lines: 0 })
    }

    /// What the next application brought; `None` after the last.
    ///
    /// # Errors
    /// If the file was changed or cut, or the text is not evidence. After that nothing more can be read.
    pub fn next_evidence(&mut self) -> Result<Option<Evidence>, EvidenceFault> {
        self.line.clear();
        let read = (&mut self.text).take(LINE_OCTETS).read_until(b'\n', &mut self.line).map_err(reading)?;
        if read == 0 {
            return Ok(None);
        }
        self.lines += 1;
        let malformed = EvidenceFault::Malformed { line: self.lines };
        match self.line.strip_suffix(b"\n").map(serde_json::from_slice) {
            Some(Ok(evidence)) => Ok(Some(evidence)),
            _ => Err(malformed),
        }
    }
}

fn opening(error: age::DecryptError) -> EvidenceFault {
    match error {
        age::DecryptError::NoMatchingKeys => EvidenceFault::NotForUs,
        age::DecryptError::Io(error) => reading(error),
        _ => EvidenceFault::Undecipherable,
    }
}

/// A changed or cut file shows as an error of reading.
fn reading(error: io::Error) -> EvidenceFault {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => EvidenceFault::Undecipherable,
        _ => EvidenceFault::Unreadable(error),
    }
}
