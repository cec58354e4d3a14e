//! Where the CRL of one shard is found.

/// The distribution point of a CRL: of a CA key's only one, or of one shard of its certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionPoint {
    /// Its address.
    pub url: String,
    /// DistributionPointName in DER (RFC 5280 section 4.2.1.13), the same octets in the certificates and in the
    /// issuingDistributionPoint of the CRL (section 5.2.5).
    pub name_der: Vec<u8>,
}

impl DistributionPoint {
    /// The most characters of a CA key's CRL address: with the number of a shard in it, it is still told in DER with one octet of
    /// length.
    pub(super) const MAX_URL_CHARACTERS: usize = 200;

    /// The point of a shard, given the address of shard 0, of at most [`Self::MAX_URL_CHARACTERS`] ASCII characters: `…/name.crl`
    /// for shard 0 and `…/name-17.crl` for shard 17.
    pub(super) fn of_shard(url: &str, shard: u16) -> Self {
        let url = match (shard, url.strip_suffix(SUFFIX)) {
            (0, _) => url.to_owned(),
            (_, Some(name)) => format!("{name}-{shard}{SUFFIX}"),
            (_, None) => format!("{url}-{shard}"),
        };
        Self { name_der: tlv(FULL_NAME, &tlv(UNIFORM_RESOURCE_IDENTIFIER, url.as_bytes())), url }
    }
}

const SUFFIX: &str = ".crl";
/// DistributionPointName: `fullName [0] GeneralNames`, IMPLICIT.
const FULL_NAME: u8 = 0xa0;
/// GeneralName: `uniformResourceIdentifier [6] IA5String`, IMPLICIT.
const UNIFORM_RESOURCE_IDENTIFIER: u8 = 0x86;

/// Tag, length and at most 255 octets of content.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., length] = content.len().to_be_bytes();
    let mut octets = vec![tag];
    if length >= 0x80 {
        octets.push(0x81);
    }
    octets.push(length);
    octets.extend_from_slice(content);
    octets
}

#[cfg(test)]
mod tests {
    use der::asn1::Ia5String;
    use der::{Decode, Encode};
    use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

    use super::*;

    #[test]
    fn shards_are_told_apart_before_the_suffix_and_shard_0_is_the_address_itself() {
        let url = |url: &str, shard| DistributionPoint::of_shard(url, shard).url;
        assert_eq!(url("http://status.example/crl/signature-1.crl", 0), "http://status.example/crl/signature-1.crl");
        assert_eq!(url("http://status.example/crl/signature-1.crl", 17), "http://status.example/crl/signature-1-17.crl");
        assert_eq!(url("http://status.example/crl", 1023), "http://status.example/crl-1023");
    }

    #[test]
    fn the_name_is_the_one_that_x509_cert_writes_at_every_length() {
        for characters in 8..=DistributionPoint::MAX_URL_CHARACTERS {
            for shard in [0, 1, u16::MAX] {
                let point = DistributionPoint::of_shard(&format!("{}.crl", "u".repeat(characters - 4)), shard);
                let uri = GeneralName::UniformResourceIdentifier(Ia5String::new(&point.url).unwrap());
                let name = DistributionPointName::FullName(vec![uri]);
                assert_eq!(name.to_der().unwrap(), point.name_der);
                assert_eq!(DistributionPointName::from_der(&point.name_der).unwrap(), name);
            }
        }
    }
}
