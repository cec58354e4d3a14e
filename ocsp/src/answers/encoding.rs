//! The octets of an answer, put together from octets: most of them are the same for every answer of a responder.
//!
//! The structures are those of `ca_core::ocsp`, whose grammar stands there; reading them back with it is how this is tested.

/// What stays the same in every answer that a responder signs; all in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// ResponderID.
    pub responder_id: Vec<u8>,
    /// The AlgorithmIdentifier of the signature.
    pub signature_algorithm: Vec<u8>,
    /// The `certs` of the BasicOCSPResponse, with their tag.
    pub certificates: Vec<u8>,
}

impl Frame {
    /// With one certificate.
    pub fn new(responder_id: Vec<u8>, signature_algorithm: Vec<u8>, certificate: &[u8]) -> Self {
        Self { responder_id, signature_algorithm, certificates: tlv(CONTEXT_0, &[&tlv(SEQUENCE, &[certificate])]) }
    }
}

const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_1: u8 = 0xa1;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;

/// OCSPResponseStatus successful.
const SUCCESSFUL: [u8; 3] = [0x0a, 1, 0];
/// id-pkix-ocsp-basic.
const BASIC: [u8; 11] = [0x06, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];

/// SingleResponse of a CertID, a CertStatus, two times and, unless there are none, its extensions.
pub fn single_response(cert_id: &[u8], status: &[u8], this_update: &[u8], next_update: &[u8], extensions: &[u8]) -> Vec<u8> {
    let next_update = tlv(CONTEXT_0, &[next_update]);
    tlv(SEQUENCE, &[cert_id, status, this_update, &next_update, &extension_field(extensions)])
}

/// ResponseData: what is signed. `responses` and `extensions` are SingleResponses and Extensions one after another.
pub fn response_data(frame: &Frame, produced_at: &[u8], responses: &[u8], extensions: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&frame.responder_id, produced_at, &tlv(SEQUENCE, &[responses]), &extension_field(extensions)])
}

/// OCSPResponse around the ResponseData and its signature.
pub fn response(frame: &Frame, response_data: &[u8], signature: &[u8]) -> Vec<u8> {
    // No bits of the last octet are unused.
    let signature = tlv(BIT_STRING, &[&[0], signature]);
    let basic = [response_data, &frame.signature_algorithm, &signature, &frame.certificates];
    let inner = basic.iter().map(|part| part.len()).sum();
    // From the inside out: the OCTET STRING around BasicOCSPResponse, ResponseBytes, its tag, OCSPResponse.
    let octet_string = tlv_len(inner);
    let response_bytes = BASIC.len() + tlv_len(octet_string);
    let tagged = tlv_len(response_bytes);
    let whole = SUCCESSFUL.len() + tlv_len(tagged);
    let mut octets = Vec::with_capacity(tlv_len(whole));
    header(&mut octets, SEQUENCE, whole);
    octets.extend_from_slice(&SUCCESSFUL);
    header(&mut octets, CONTEXT_0, tagged);
    header(&mut octets, SEQUENCE, response_bytes);
    octets.extend_from_slice(&BASIC);
    header(&mut octets, OCTET_STRING, octet_string);
    header(&mut octets, SEQUENCE, inner);
    for part in basic {
        octets.extend_from_slice(part);
    }
    octets
}

/// Extensions `[1] EXPLICIT`, or nothing.
fn extension_field(extensions: &[u8]) -> Vec<u8> {
    if extensions.is_empty() { Vec::new() } else { tlv(CONTEXT_1, &[&tlv(SEQUENCE, &[extensions])]) }
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut octets = Vec::with_capacity(tlv_len(length));
    header(&mut octets, tag, length);
    for part in parts {
        octets.extend_from_slice(part);
    }
    octets
}

/// How many octets a value of `length` takes with its tag and length.
fn tlv_len(length: usize) -> usize {
    1 + length_len(length) + length
}

fn length_len(length: usize) -> usize {
    if length < 0x80 { 1 } else { 1 + significant(length) }
}

/// How many octets `length` has without leading zeros.
fn significant(length: usize) -> usize {
    size_of::<usize>() - (length.leading_zeros() / 8) as usize
}

fn header(octets: &mut Vec<u8>, tag: u8, length: usize) {
    octets.push(tag);
    let big_endian = length.to_be_bytes();
    let [.., lowest] = big_endian;
    if length < 0x80 {
        octets.push(lowest);
    } else {
        let count = significant(length);
        // At most eight.
        octets.push(0x80 | count as u8);
        octets.extend_from_slice(&big_endian[big_endian.len() - count..]);
    }
}

#[cfg(test)]
mod tests {
    use der::Encode;
    use der::asn1::OctetString;

    use super::*;

    #[test]
    fn lengths_are_written_as_der_demands() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let octets = vec![7; length];
            assert_eq!(tlv(OCTET_STRING, &[&octets]), OctetString::new(octets).unwrap().to_der().unwrap(), "{length}");
        }
    }
}
