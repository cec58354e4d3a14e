//! Requests that somebody has tampered with.

use ca_core::ocsp::OcspRequest;
use der::{Decode as _, Encode as _};

const REQUESTS: [&[u8]; 3] = [
    include_bytes!("../../src/ocsp/fixtures/request-sha1-nonce.der"),
    include_bytes!("../../src/ocsp/fixtures/request-sha256-two.der"),
    include_bytes!("../../src/ocsp/fixtures/request-signed.der"),
];

const MUTATIONS: usize = 100_000;

/// Numbers that are the same in each run (xorshift64*, Vigna 2016).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound
    }

    fn octet(&mut self) -> u8 {
        // Lengths and tags that mean something more often than chance would have them.
        const TELLING: [u8; 12] = [0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x30, 0x7f, 0x80, 0x81, 0xa0, 0xff];
        if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { u8::try_from(self.below(256)).unwrap() }
    }

    /// One to four changes: an octet written over, left out, put in, or a piece repeated.
    fn mutate(&mut self, octets: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let place = self.below(octets.len().max(1)).min(octets.len().saturating_sub(1));
            match self.below(8) {
                0 if octets.len() > 1 => drop(octets.remove(place)),
                1 => octets.insert(place, self.octet()),
                2 => {
                    let end = (place + 1 + self.below(40)).min(octets.len());
                    let piece = octets[place..end].to_vec();
                    octets.splice(place..place, piece);
                }
                3 => octets.truncate(place + 1),
                _ => octets[place] = self.octet(),
            }
        }
    }
}

#[test]
fn a_hundred_thousand_mutated_requests_are_refused_or_read_and_none_is_believed_wrongly() {
    let mut numbers = Numbers(0x5eed);
    let mut read = 0;
    let signed = OcspRequest::from_der(REQUESTS[2]).unwrap();
    assert!(signed.verify_signature().is_ok());
    for round in 0..MUTATIONS {
        let mut octets = REQUESTS[round % REQUESTS.len()].to_vec();
        numbers.mutate(&mut octets);
        let Ok(request) = OcspRequest::from_der(&octets) else { continue };
        read += 1;
        assert!(request.to_der().is_ok());
        // Any outcome will do but a panic.
        drop(request.nonce());
        assert!(
            request.tbs_request().request_list.iter().all(|one| one.req_cert.serial().is_none_or(|serial| serial.as_bytes().len() <= 20))
        );
        if request.verify_signature().is_ok() {
            assert_eq!(request.tbs_request_der(), signed.tbs_request_der(), "a changed request counts as signed");
        }
    }
    assert!(read > MUTATIONS / 20, "only {read} were read at all: the mutations are too wild to say much");
    assert!(read < MUTATIONS, "mutations that change nothing say nothing");
}
