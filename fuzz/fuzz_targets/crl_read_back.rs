//! Octets as a list that the gate reads back. However they come, in whichever pieces, the same is read; and what the gate would look at
//! further, having the issuer and the extensions of a list of ours, another's reader (x509-cert) reads as well.

#![no_main]

use std::io::{self, Read};
use std::sync::LazyLock;

use crl_publisher::read_back::{Ending, Head, ReadBack, ReadFault};
use der::Decode;
use libfuzzer_sys::fuzz_target;
use schema::crl::ListedRevocation;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::CertificateList;

/// Gives one to seven octets at a time.
struct InPieces<'a>(&'a [u8]);

impl Read for InPieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = (1 + self.0.len() % 7).min(buffer.len());
        self.0.read(&mut buffer[..length])
    }
}

static ISSUER: LazyLock<Vec<u8>> = LazyLock::new(|| fuzz::issuer().ca_key().subject_name_der().to_vec());

fn read(from: impl Read) -> Result<(Head, Vec<ListedRevocation>, Ending), ReadFault> {
    let mut list = ReadBack::begin(from)?;
    let head = list.head().clone();
    let mut entries = Vec::new();
    while let Some(entry) = list.next_entry()? {
        entries.push(entry);
    }
    Ok((head, entries, list.finish()?))
}

fuzz_target!(|octets: &[u8]| {
    let whole = read(octets);
    let in_pieces = read(InPieces(octets));
    let (head, entries, ending) = match (whole, in_pieces) {
        (Err(one), Err(other)) => return assert_eq!(one.to_string(), other.to_string()),
        (Ok(one), Ok(other)) => {
            assert_eq!((&one.0, &one.1, one.2.sha256), (&other.0, &other.1, other.2.sha256));
            one
        }
        (one, other) => panic!("at once {one:?}, in pieces {other:?}"),
    };
    assert_eq!((ending.octets, ending.entries), (octets.len() as u64, entries.len() as u64));
    assert!(!ending.is_signed_by(&[4; 65]));
    // The gate compares these as they stand, so that the reader does not look into them.
    if head.issuer != *ISSUER || !ending.has_the_extensions_of_a_full_list() {
        return;
    }
    let theirs = CertificateList::<Rfc5280>::from_der(octets).unwrap().tbs_cert_list.revoked_certificates.unwrap_or_default();
    let theirs: Vec<_> = theirs.iter().map(|one| one.serial_number.as_bytes().to_vec()).collect();
    let ours: Vec<_> = entries.iter().map(|one| one.serial.to_der_content()).collect();
    assert_eq!(ours, theirs);
});
