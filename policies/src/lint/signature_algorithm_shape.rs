//! The signature algorithm is one of ours, its parameters absent for ECDSA and NULL for RSA.

use super::{Context, Lint, Severity};

/// The signature algorithm is one of ours, its parameters absent for ECDSA and NULL for RSA.
pub(super) const LINT: Lint =
    Lint { name: "signature_algorithm_shape", citation: "RFC 5758 section 3.2, RFC 4055 section 5", severity: Severity::Error, check };

/// ecdsa-with-SHA256, ecdsa-with-SHA384 and sha256WithRSAEncryption, as the RFCs have them encoded.
const SHAPES: [&[u8]; 3] = [
    &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
    &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00],
];

fn check(context: &Context<'_>) -> Option<String> {
    (!SHAPES.contains(&context.certificate.signature))
        .then(|| "the signature algorithm is none of ours, or its parameters are wrong".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, oid, oid_der, sequence, tlv};

    #[test]
    fn ecdsa_without_parameters_passes() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn ecdsa_with_null_parameters_and_sha_1_are_found() {
        let null_parameters = sequence(&[oid_der(oid("1.2.840.10045.4.3.2")), tlv(0x05, &[])]);
        let sha_1_with_rsa = sequence(&[oid_der(oid("1.2.840.113549.1.1.5")), tlv(0x05, &[])]);
        for algorithm in [null_parameters, sha_1_with_rsa] {
            let mut fixture = Fixture::signature();
            fixture.signature = algorithm;
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
