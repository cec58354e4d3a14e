//! OCSP and downloads.

use sandbox::asn1;
use sandbox::card_status::{CertIdHash, MALFORMED_REQUEST, UNAUTHORIZED, error_answer, read_question};
use sandbox::http::{HttpClient, HttpSettings};
use sandbox::keys::random;
use sandbox::kind::Kind;
use sandbox::phone::Enrolment;
use sandbox::relying_party::{OcspMethod, OcspWish, Status, ask_ocsp, ocsp_request, verify_ocsp};

use crate::support::{Installation, openssl, until};

const REQUEST: &str = "application/ocsp-request";

/// An enrolment whose certificates have CRLs already; the CA certificates lie in files, too.
pub(crate) fn two_good_certificates(installation: &Installation) -> Enrolment {
    let phone = installation.apply(&installation.card());
    phone.save(installation.scratch()).unwrap();
    for kind in Kind::ALL {
        let pem = sandbox::pem::encode(sandbox::pem::CERTIFICATE, &installation.ca(kind));
        std::fs::write(installation.scratch().join(format!("ca-{kind}.pem")), pem).unwrap();
    }
    phone
}

pub(crate) fn ocsp_echoes_what_was_asked(installation: &Installation, phone: &Enrolment) {
    for enrolled in &phone.certificates {
        let ca = installation.ca(enrolled.kind);
        for (method, hash, nonce) in [
            (OcspMethod::Post, CertIdHash::Sha1, true),
            (OcspMethod::Post, CertIdHash::Sha256, false),
            (OcspMethod::Get, CertIdHash::Sha1, false),
            (OcspMethod::Get, CertIdHash::Sha256, true),
            (OcspMethod::Post, CertIdHash::Sha384, false),
            (OcspMethod::Get, CertIdHash::Sha512, false),
        ] {
            // The sandbox's relying party holds CertID and nonce of the answer against its own, octet for octet.
            let answer = ask_ocsp(&enrolled.certificate, &ca, &OcspWish { method, hash, nonce, url: None }).unwrap();
            assert_eq!(answer.status, Status::Good, "{method:?} {hash:?} {nonce}");
        }
        for length in [1, 16, 32, 33, 128] {
            let nonce = &random::<128>().unwrap()[..length];
            let request = ocsp_request(&enrolled.certificate, &ca, CertIdHash::Sha256, Some(nonce)).unwrap();
            let answer = ask(installation, &request);
            verify_ocsp(&answer, &request, &enrolled.certificate, &ca, CertIdHash::Sha256, Some(nonce)).unwrap();
        }
    }
    // Several certificates of one CA key in one answer, by both hashes.
    let other = installation.apply(&installation.card());
    let kind = Kind::Signature;
    let (ca, certificates) = (installation.ca(kind), [phone, &other].map(|enrolment| &enrolment.of(kind).unwrap().certificate));
    let asked = [(certificates[0], CertIdHash::Sha1), (certificates[1], CertIdHash::Sha256), (certificates[0], CertIdHash::Sha256)];
    let ids: Vec<Vec<u8>> = asked.iter().map(|(certificate, hash)| cert_id(certificate, &ca, *hash)).collect();
    let request = question(&ids);
    let answer = ask(installation, &request);
    for (certificate, hash) in asked {
        assert_eq!(verify_ocsp(&answer, &request, certificate, &ca, hash, None).unwrap().status, Status::Good);
    }
}

pub(crate) fn ocsp_never_calls_good_what_was_not_issued(installation: &Installation, phone: &Enrolment) {
    let url = format!("http://{}/ocsp", installation.status);
    for kind in Kind::ALL {
        let serial = phone.of(kind).unwrap().serial.clone();
        // The last digit changed, and numbers such as no CA of ours gives out.
        let digit = if serial.ends_with('0') { '1' } else { '0' };
        let near = format!("0x{}{digit}", &serial[..serial.len() - 1]);
        for number in [near.as_str(), "0x1", "0x0", "0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"] {
            let ca = format!("ca-{kind}.pem");
            let arguments = ["ocsp", "-issuer", &ca, "-serial", number, "-CAfile", &ca, "-url", &url, "-resp_text"];
            never_issued(&openssl(installation.scratch(), &arguments));
        }
        // Nor is it good by the word of the other kind's CA.
        let other = if kind == Kind::Signature { Kind::Authentication } else { Kind::Signature };
        let (number, ca) = (format!("0x{serial}"), format!("ca-{other}.pem"));
        let arguments = ["ocsp", "-issuer", &ca, "-serial", &number, "-CAfile", &ca, "-url", &url, "-resp_text"];
        never_issued(&openssl(installation.scratch(), &arguments));
        // The sandbox's relying party reads the same of a certificate with a serial number of its own making.
        let mut forged = phone.of(kind).unwrap().certificate.clone();
        let number = hex::decode(&serial).unwrap();
        let place = forged.windows(number.len()).position(|window| window == number).unwrap();
        forged[place + number.len() - 1] ^= 1;
        let answer = ask_ocsp(&forged, &installation.ca(kind), &OcspWish::default()).unwrap();
        assert_eq!(answer.status, Status::NeverIssued);
    }
}

/// RFC 6960 section 2.2: revoked, on hold since 1970, with the extension that says what that means, which openssl calls by an older
/// name of its object identifier.
#[track_caller]
fn never_issued(said: &str) {
    for sign in ["Response verify OK", ": revoked", "Reason: certificateHold", "Revocation Time: Jan  1 00:00:00 1970 GMT", "valid: "] {
        assert!(said.contains(sign), "{sign}: {said}");
    }
}

pub(crate) fn ocsp_refuses_what_it_cannot_answer(installation: &Installation, phone: &Enrolment) {
    let (unauthorized, malformed) = (error_answer(UNAUTHORIZED), error_answer(MALFORMED_REQUEST));
    let certificates = Kind::ALL.map(|kind| (&phone.of(kind).unwrap().certificate, installation.ca(kind)));
    let ids = certificates.each_ref().map(|(certificate, ca)| cert_id(certificate, ca, CertIdHash::Sha1));
    assert_eq!(ask(installation, &question(&ids)), unauthorized, "certificates of two CA keys in one request");
    let back_office = &installation.back_office;
    let (card_ca, card) = (back_office.card_ca(Kind::Signature, 2).unwrap(), installation.card());
    let stranger = cert_id(&card.signature.certificate, card_ca.certificate(), CertIdHash::Sha1);
    assert_eq!(ask(installation, &question(&[stranger])), unauthorized, "a certificate of another CA");

    let ((certificate, ca), nonce) = (&certificates[0], random::<129>().unwrap());
    for length in [0, 129] {
        let request = ocsp_request(certificate, ca, CertIdHash::Sha1, Some(&nonce[..length])).unwrap();
        assert_eq!(ask(installation, &request), malformed, "a nonce of {length} octets");
    }
    let good = ocsp_request(certificate, ca, CertIdHash::Sha1, None).unwrap();
    for octets in [&[][..], &good[..good.len() - 1], &[&good[..], &[0]].concat(), &nonce, &[0x30; 8_192]] {
        assert_eq!(ask(installation, octets), malformed, "{} octets that are no request", octets.len());
    }
    assert_eq!(ask(installation, &question(&[])), malformed, "a request about nothing");
    assert_eq!(ask(installation, &question(&vec![ids[0].clone(); 17])), malformed, "a request about too much");
    let http = client();
    let answer = http.get(&format!("http://{}/ocsp/no-base64!", installation.status), &[]).unwrap();
    assert_eq!((answer.status, answer.body), (200, malformed));
    let url = format!("http://{}/ocsp", installation.status);
    assert_eq!(http.post(&url, &[], "application/octet-stream", &good).unwrap().status, 415);
    for path in
        ["/ocs", "/crl/signature-2.crl", "/crl/..%2f..%2fsettings.toml", "/ca/signature-1.crl", "/crl/signature-1.cer", "/v1/challenges"]
    {
        let status = http.get(&format!("http://{}{path}", installation.status), &[]).unwrap().status;
        assert_eq!(status, 404, "{path}");
    }
}

pub(crate) fn downloads_are_cached_by_what_they_are(installation: &Installation) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    for path in ["crl/signature-1.crl", "crl/authentication-1.crl", "ca/signature-1.cer"] {
        let url = format!("http://{}/{path}", installation.status);
        let mut first = until(path, || agent.get(&url).call().ok().filter(|answer| answer.status() == 200));
        let header = |answer: &ureq::http::Response<ureq::Body>, name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let (tag, modified) = (header(&first, "etag"), header(&first, "last-modified"));
        let content = first.body_mut().read_to_vec().unwrap();
        assert_eq!(header(&first, "content-length"), content.len().to_string());
        assert!(header(&first, "cache-control").contains("max-age="));
        let among = format!("\"other\", {tag}");
        for (name, value) in
            [("if-none-match", tag.as_str()), ("if-none-match", &among), ("if-none-match", "*"), ("if-modified-since", &modified)]
        {
            let mut again = agent.get(&url).header(name, value).call().unwrap();
            assert_eq!(again.status(), 304, "{path} with {name}: {value}");
            assert!(again.body_mut().read_to_vec().unwrap().is_empty());
        }
        let other = agent.get(&url).header("if-none-match", "\"other\"").call().unwrap();
        assert_eq!(other.status(), 200, "{path}");
        let head = agent.head(&url).call().unwrap();
        assert_eq!((head.status().as_u16(), header(&head, "etag")), (200, tag));
    }
}

/// An OCSPRequest for these CertIDs.
fn question(ids: &[Vec<u8>]) -> Vec<u8> {
    let requests: Vec<Vec<u8>> = ids.iter().map(|id| asn1::sequence(&[id])).collect();
    asn1::sequence(&[asn1::sequence(&[asn1::sequence(&requests)])])
}

fn cert_id(certificate: &[u8], issuer: &[u8], hash: CertIdHash) -> Vec<u8> {
    let request = ocsp_request(certificate, issuer, hash, None).unwrap();
    read_question(&request).unwrap().certificates.remove(0).cert_id
}

fn ask(installation: &Installation, request: &[u8]) -> Vec<u8> {
    let answer = client().post(&format!("http://{}/ocsp", installation.status), &[], REQUEST, request).unwrap();
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/ocsp-response"));
    answer.body
}

fn client() -> HttpClient {
    HttpClient::new(&HttpSettings::default()).unwrap()
}
