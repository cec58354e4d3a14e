//! PEM (RFC 7468) in files with plain names.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A file that could not be read or written, or is not what its name says.
#[derive(Debug, thiserror::Error)]
pub enum PemFault {
    /// The file system refused.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No PEM, or another label than expected.
    #[error("{path}: no PEM of a {label}")]
    Label {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        label: &'static str,
    },
}

/// The label of certificates.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// The label of unencrypted PKCS#8 keys.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";

/// DER as PEM with 64 characters a line.
pub fn encode(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// The first block of that label as DER; text around blocks is skipped, as openssl writes it.
pub fn decode(label: &str, pem: &str) -> Option<Vec<u8>> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let body = pem.split_once(&begin)?.1.split_once(&end)?.0;
    let text: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}

/// Writes a file anybody may read.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), PemFault> {
    fs::write(path, content).map_err(|source| PemFault::File { path: path.to_owned(), source })
}

/// Writes a file only its owner may read.
pub fn write_secret(path: &Path, content: impl AsRef<[u8]>) -> Result<(), PemFault> {
    let fault = |source| PemFault::File { path: path.to_owned(), source };
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(fault)?;
    file.write_all(content.as_ref()).map_err(fault)
}

/// Removes a file; one that is not there is removed.
pub fn remove(path: &Path) -> Result<(), PemFault> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(PemFault::File { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

/// Reads the first block of that label from a file.
pub fn read(path: &Path, label: &'static str) -> Result<Vec<u8>, PemFault> {
    let text = fs::read_to_string(path).map_err(|source| PemFault::File { path: path.to_owned(), source })?;
    decode(label, &text).ok_or_else(|| PemFault::Label { path: path.to_owned(), label })
}
