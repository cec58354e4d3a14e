//! The object identifiers of OCSP (RFC 6960 appendix B.1) and of the hashes of a CertID.

use der::asn1::ObjectIdentifier;

/// id-pkix-ocsp-basic (RFC 6960 section 4.2.1).
pub const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// id-pkix-ocsp-nonce (RFC 9654 section 2.1).
pub const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
/// id-pkix-ocsp-response (RFC 6960 section 4.4.3): which response types the asker understands.
pub const RESPONSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.4");
/// id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1).
pub const NOCHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");
/// id-pkix-ocsp-archive-cutoff (RFC 6960 section 4.4.4).
pub const ARCHIVE_CUTOFF: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.6");
/// id-pkix-ocsp-pref-sig-algs (RFC 6960 section 4.4.7.1).
pub const PREFERRED_SIGNATURE_ALGORITHMS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.8");
/// id-pkix-ocsp-extended-revoke (RFC 6960 section 4.4.8).
pub const EXTENDED_REVOKE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.9");
/// id-kp-OCSPSigning (RFC 6960 section 4.2.2.2).
pub const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

/// id-sha1 (RFC 3279 section 2.2.1).
pub const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
/// id-sha256 (RFC 5754 section 2.2).
pub const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// id-sha384 (RFC 5754 section 2.3).
pub const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
/// id-sha512 (RFC 5754 section 2.4).
pub const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
