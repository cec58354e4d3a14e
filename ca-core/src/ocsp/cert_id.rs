//! Which certificate is asked about.

use der::asn1::{AnyRef, Int, Null, OctetString};
use der::{Sequence, Tagged};
use ring::digest;
use spki::AlgorithmIdentifierOwned;

use super::oid;
use crate::serial::SerialNumber;

/// CertID (RFC 6960 section 4.1.1).
///
/// ```text
/// CertID          ::=     SEQUENCE {
///     hashAlgorithm       AlgorithmIdentifier,
///     issuerNameHash      OCTET STRING, -- Hash of issuer's DN
///     issuerKeyHash       OCTET STRING, -- Hash of issuer's public key
///     serialNumber        CertificateSerialNumber }
/// ```
///
/// Equality is that of the octets. Whether two identify the same certificate is another question: absent and NULL parameters of
/// the hash mean the same (RFC 5754 section 2), and clients reject an answer that writes them otherwise than they asked, so an
/// answer repeats the identifier of its question.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct CertId {
    /// The hash of the next two fields.
    pub hash_algorithm: AlgorithmIdentifierOwned,
    /// The hash of the DER encoding of the issuer's name, as the certificate has it.
    pub issuer_name_hash: OctetString,
    /// The hash of the content of the issuer's subjectPublicKey BIT STRING, without tag, length and unused-bits octet.
    pub issuer_key_hash: OctetString,
    /// The serial number; any INTEGER, see [`CertId::serial`].
    pub serial_number: Int,
}

/// The hashes we understand in a CertID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertIdHash {
    /// What nearly every client asks with (RFC 5019 section 2.1.1 demanded it); no collision resistance is needed here.
    Sha1,
    /// RFC 9654 and newer profiles.
    Sha256,
    /// Where SHA-256 is not thought strong enough; nothing forbids it here.
    Sha384,
    /// The same.
    Sha512,
}

impl CertIdHash {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The object identifier of the hash.
    pub const fn oid(self) -> der::asn1::ObjectIdentifier {
        match self {
            Self::Sha1 => oid::SHA1,
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
        }
    }

    /// The hash of `octets`: 20, 32, 48 or 64 octets.
    pub fn digest(self, octets: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, octets).as_ref().to_vec()
    }
}

impl CertId {
    /// Identifies a certificate by its issuer's name (DER) and key (content octets of the subjectPublicKey BIT STRING) and its
    /// serial number. The hash's parameters are NULL, as OpenSSL, Java and Windows write them.
    ///
    /// # Errors
    /// Only if a value is too long for DER, which neither a hash nor a serial number is.
    pub fn new(hash: CertIdHash, issuer_name_der: &[u8], issuer_public_key: &[u8], serial: &SerialNumber) -> der::Result<Self> {
        Ok(Self {
            hash_algorithm: AlgorithmIdentifierOwned { oid: hash.oid(), parameters: Some(Null.into()) },
            issuer_name_hash: OctetString::new(hash.digest(issuer_name_der))?,
            issuer_key_hash: OctetString::new(hash.digest(issuer_public_key))?,
            serial_number: Int::new(&serial.to_der_content())?,
        })
    }

    /// The hash it was made with; `None` if we do not know it or it has parameters other than NULL.
    pub fn hash(&self) -> Option<CertIdHash> {
        let null = |parameters: &der::asn1::Any| parameters.tag() == der::Tag::Null && AnyRef::from(parameters).is_null();
        if !self.hash_algorithm.parameters.as_ref().is_none_or(null) {
            return None;
        }
        CertIdHash::ALL.into_iter().find(|hash| hash.oid() == self.hash_algorithm.oid)
    }

    /// The serial number; `None` for a negative one or one of more than 20 octets: no certificate under RFC 5280 has such.
    pub fn serial(&self) -> Option<SerialNumber> {
        let content = self.serial_number.as_bytes();
        if content.first().is_none_or(|octet| octet & 0x80 != 0) {
            return None;
        }
        SerialNumber::from_magnitude(content).ok()
    }

    /// Whether both identify the same certificate: equal but for the way in which the hash's absent parameters are written.
    pub fn identifies_same_as(&self, other: &Self) -> bool {
        self.hash().is_some()
            && self.hash() == other.hash()
            && self.issuer_name_hash == other.issuer_name_hash
            && self.issuer_key_hash == other.issuer_key_hash
            && self.serial_number == other.serial_number
    }
}

#[cfg(test)]
mod tests {
    use der::{Decode, Encode};

    use super::*;

    fn id(serial: &[u8]) -> CertId {
        let serial = SerialNumber::from_magnitude(serial).unwrap();
        CertId::new(CertIdHash::Sha1, b"name", b"key", &serial).unwrap()
    }

    #[test]
    fn absent_and_null_parameters_identify_the_same_but_are_written_as_they_were_read() {
        let null = id(&[1]);
        let mut absent = null.clone();
        absent.hash_algorithm.parameters = None;
        assert!(absent.identifies_same_as(&null));
        assert_ne!(absent, null);
        for each in [null, absent] {
            let octets = each.to_der().unwrap();
            assert_eq!(CertId::from_der(&octets).unwrap().to_der().unwrap(), octets);
        }
    }

    #[test]
    fn each_hash_has_its_own_length_and_name_and_is_recognised() {
        for (hash, octets) in CertIdHash::ALL.into_iter().zip([20, 32, 48, 64]) {
            let id = CertId::new(hash, b"name", b"key", &SerialNumber::from_hex("01").unwrap()).unwrap();
            assert_eq!((id.hash(), id.issuer_name_hash.as_bytes().len()), (Some(hash), octets));
            assert_eq!(id.issuer_key_hash.as_bytes(), hash.digest(b"key"));
            let others = CertIdHash::ALL.into_iter().filter(|other| *other != hash);
            assert!(others.into_iter().all(|other| other.oid() != hash.oid()));
        }
    }

    #[test]
    fn a_serial_with_the_top_bit_set_is_positive_and_a_negative_one_is_none() {
        assert_eq!(id(&[0x80]).serial().unwrap().as_bytes(), [0x80]);
        let mut negative = id(&[1]);
        negative.serial_number = Int::new(&[0x80]).unwrap();
        assert_eq!(negative.serial(), None);
    }

    #[test]
    fn an_unknown_hash_or_odd_parameters_are_no_hash_of_ours() {
        let mut md5 = id(&[1]);
        md5.hash_algorithm.oid = "1.2.840.113549.2.5".parse().unwrap();
        assert_eq!(md5.hash(), None);
        let mut odd = id(&[1]);
        odd.hash_algorithm.parameters = Some(der::asn1::Any::new(der::Tag::Integer, [1]).unwrap());
        assert_eq!(odd.hash(), None);
    }
}
