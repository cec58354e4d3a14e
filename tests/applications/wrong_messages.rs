//! Messages, statements, requests and card certificates that are wrong in one point each.

use ca_core::application::challenge::{Beacon, ChallengeKey};
use chrono::{Duration, Utc};
use sandbox::back_office::NewCard;
use sandbox::card::{Card, CardSide};
use sandbox::card_ca::{CardCa, CardCertificate, Municipality, Person};
use sandbox::keys::{Key, KeyAlgorithm, random};
use sandbox::kind::Kind;
use sandbox::phone::{Deviation, Replaces, build_deviating_application};

use crate::support::openssl;
use crate::{Refusing, Scene, phone_key, side};

pub(crate) fn are_refused(scene: &Scene) {
    deviations(scene);
    octets(scene);
    challenges(scene);
    keys(scene);
    card_certificates(scene);
}

/// The code for each way in which the sandbox's phone can go wrong.
fn expected(deviation: Deviation) -> &'static str {
    match deviation {
        Deviation::Empty | Deviation::Noise | Deviation::Truncated | Deviation::TrailingBytes => "cms_malformed",
        Deviation::Oversized => "body_too_large",
        Deviation::WrongContentType | Deviation::OtherStatedContentType => "cms_content_type",
        Deviation::NoStatedContentType | Deviation::NoMessageDigest | Deviation::NoSignedAttributes => "cms_signed_attributes",
        Deviation::WrongMessageDigest | Deviation::TamperedStatement => "cms_digest",
        Deviation::TwoSigners | Deviation::NoSigner => "cms_signers",
        Deviation::Detached => "cms_detached",
        Deviation::NoCertificate => "cms_no_certificate",
        Deviation::OtherDigest => "cms_algorithm",
        Deviation::BrokenSignature | Deviation::OtherCardKey => "cms_signature",
        Deviation::AuthenticationCard => "card_issuer_unknown",
        Deviation::NotJson | Deviation::UnknownMember => "statement_malformed",
        Deviation::OtherType => "statement_type",
        Deviation::OtherAudience => "statement_audience",
        Deviation::InventedChallenge => "challenge_not_ours",
        Deviation::UnreadableChallenge => "challenge_malformed",
        Deviation::NoRequests | Deviation::SameKindTwice => "statement_requests",
        Deviation::SameKeyTwice => "key_reused",
        Deviation::RequestNoise => "request_malformed",
        Deviation::OtherChallengeInRequest => "request_challenge",
        Deviation::NoChallengeInRequest => "request_without_challenge",
        Deviation::NoPossession => "request_possession",
        Deviation::SmallKey => "key_rsa_size",
        Deviation::SmallExponent => "key_rsa_exponent",
        Deviation::ClosePrimes => "key_rsa_close_primes",
        Deviation::Roca => "key_rsa_weak",
    }
}

fn deviations(scene: &Scene) {
    for deviation in Deviation::ALL {
        let octets = build_deviating_application(&scene.card, &scene.installation.wish(), &scene.challenge(), deviation).unwrap();
        scene.refused(&format!("{deviation:?}"), expected(deviation), Refusing::Ra, &octets);
    }
}

/// Octets that are hardly an application at all.
fn octets(scene: &Scene) {
    let good = scene.ordinary_application_of(&scene.card.signature);
    for content_type in ["application/octet-stream", "application/json", "text/plain", "application/cms+json", ""] {
        scene.refused_as(content_type, "content_type_unsupported", Refusing::Ra, content_type, &good);
    }
    for length in [1, 2, 16, 300, good.len() - 1] {
        scene.refused(&format!("the first {length} octets"), "cms_malformed", Refusing::Ra, &good[..length]);
    }
    let noise = random::<65_536>().unwrap();
    scene.refused("as much noise as allowed", "cms_malformed", Refusing::Ra, &noise);
    scene.refused("more than allowed", "body_too_large", Refusing::Ra, &[&noise[..], &[0]].concat());
    // A length of 2^64 - 1 octets, and a thousand sequences inside each other.
    scene.refused("an enormous length", "cms_malformed", Refusing::Ra, &[&[0x30, 0x88][..], &[0xFF; 8]].concat());
    scene.refused("deep nesting", "cms_malformed", Refusing::Ra, &[0x30, 0x80].repeat(1_000));
    scene.refused("PEM", "cms_malformed", Refusing::Ra, sandbox::pem::encode("CMS", &good).as_bytes());
}

/// Challenges that nobody can answer any more.
fn challenges(scene: &Scene) {
    // The RA's own key makes challenges, but no beacons: it cannot work ahead.
    let octets: [u8; 32] = hex::decode(scene.installation.text("ra/challenge.key").trim()).unwrap().try_into().unwrap();
    let beacon = Beacon { value: random().unwrap(), drawn_at: Utc::now() };
    let challenge = ChallengeKey::new(&octets).issue(&beacon).unwrap().to_base64();
    let octets = scene.application(&scene.card, &challenge, Replaces::Any, &[(Kind::Signature, &phone_key())]);
    scene.refused("a challenge on a beacon that the CA did not draw", "challenge_expired", Refusing::Ra, &octets);
}

/// Keys that the sandbox's phone would not take.
fn keys(scene: &Scene) {
    let challenge = scene.challenge();
    let octets = scene.application(&scene.card, &challenge, Replaces::Any, &[(Kind::Signature, &*scene.card.signature.key)]);
    scene.refused("the card's own key", "key_reused", Refusing::Ra, &octets);
    for (algorithm, option) in [("ED25519", None), ("EC", Some("ec_paramgen_curve:P-521")), ("EC", Some("ec_paramgen_curve:secp256k1"))] {
        let request = request_by_openssl(scene, &challenge, algorithm, option);
        let octets = scene.application_of(&scene.card.signature, &challenge, Replaces::Any, [(Kind::Authentication, request)]);
        scene.refused(&format!("{algorithm} {option:?}"), "key_not_allowed", Refusing::Ra, &octets);
    }
    let huge = [(Kind::Signature, vec![0x30; 5_000])];
    let octets = scene.application_of(&scene.card.signature, &challenge, Replaces::Any, huge);
    scene.refused("a request of 5,000 octets", "request_malformed", Refusing::Ra, &octets);
}

fn request_by_openssl(scene: &Scene, challenge: &str, algorithm: &str, option: Option<&str>) -> Vec<u8> {
    let directory = scene.installation.scratch();
    let configuration = format!(
        "[req]\nprompt = no\nstring_mask = utf8only\ndistinguished_name = name\nattributes = attributes\n[name]\ncommonName = phone\n\
         [attributes]\nchallengePassword = {challenge}\n"
    );
    std::fs::write(directory.join("request.cnf"), configuration).unwrap();
    let mut arguments = vec!["genpkey", "-algorithm", algorithm, "-out", "request.key.pem"];
    arguments.extend(option.iter().flat_map(|option| ["-pkeyopt", *option]));
    openssl(directory, &arguments);
    openssl(directory, &["req", "-new", "-config", "request.cnf", "-key", "request.key.pem", "-outform", "DER", "-out", "request.p10"]);
    std::fs::read(directory.join("request.p10")).unwrap()
}

/// Cards that are none, or not such a one, or not now.
fn card_certificates(scene: &Scene) {
    let (now, day) = (Utc::now(), Duration::days(1));
    let refused = |about: &str, code: &str, card: &Card| {
        scene.refused(about, code, Refusing::Ra, &scene.ordinary_application_of(&card.signature));
    };
    let with = |wish: NewCard| scene.installation.card_with(wish);
    let expired = NewCard { not_before: Some(now - day * 700), not_after: Some(now - day), ..NewCard::default() };
    refused("an expired card", "card_expired", &with(expired));
    let future = NewCard { not_before: Some(now + day), not_after: Some(now + day * 700), ..NewCard::default() };
    refused("a card of tomorrow", "card_not_yet_valid", &with(future));
    let policy = Some("1.2.392.200149.8.5.1.1.40".to_owned());
    refused("another policy", "card_policy", &with(NewCard { signature_policy: policy, ..NewCard::default() }));
    let policy = Some("1.2.392.200149.8.5.1.1.20".to_owned());
    refused("another policy for authentication", "card_policy", &with(NewCard { authentication_policy: policy, ..NewCard::default() }));
    let half = with(NewCard { without_authentication: true, ..NewCard::default() });
    refused("a card without authentication certificate", "card_without_authentication", &half);

    let sides = |about: &str, code: &str, side: &CardSide| scene.refused(about, code, Refusing::Ra, &scene.ordinary_application_of(side));
    let key = Key::generate(KeyAlgorithm::Rsa2048).unwrap();
    // A CA of the same name and another key; a genuine certificate that was changed; certificates of the card CA for other uses.
    let stranger = CardCa::create(Kind::Signature, 2, now - day * 30).unwrap();
    sides("the card of an unknown CA", "card_issuer_unknown", &side(&forge(&stranger, &key), &key));
    let genuine = &scene.card.signature;
    sides("another issuer's name", "card_issuer_name", &side(&replaced(&genuine.certificate, b"JPKI", b"JPKX"), &genuine.key));
    let (prefecture, city) = (Some("Tokyo-to".to_owned()), Some("Mitaka-shi".to_owned()));
    let moved = with(NewCard { prefecture, city, ..NewCard::default() }).signature;
    let changed = replaced(&moved.certificate, b"Mitaka", b"Mitako");
    sides("a changed certificate", "card_certificate_signature", &side(&changed, &moved.key));
    let ca = scene.installation.back_office.card_ca(Kind::Signature, 2).unwrap();
    sides("the card CA's own certificate", "card_certificate_issuer_unidentified", &side(ca.certificate(), ca.key()));
    sides("its OCSP responder's", "card_key_usage", &side(&ca.responder().certificate, &ca.responder().key));
    sides("a card that the back office does not know", "holder_unknown", &side(&forge(ca, &key), &key));
}

/// A card certificate by this CA that no back office knows.
pub(crate) fn forge(ca: &CardCa, key: &Key) -> Vec<u8> {
    let person = Person::invented(Municipality::any().unwrap()).unwrap();
    let now = Utc::now();
    let content = CardCertificate {
        serial: [0x11, 0x22, 0x33, 0x44],
        common_name: "2026010100000000000013204A",
        person: &person,
        public_key_info: key.public_key_info(),
        key_identifier: key.key_identifier(),
        not_before: now - Duration::days(1),
        not_after: now + Duration::days(365),
        policy: None,
        ocsp_url: "http://127.0.0.1:1/ocsp/signature",
    };
    content.issue(ca).unwrap()
}

/// The octets with the first occurrence of a word replaced by one of the same length.
fn replaced(octets: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = octets.windows(from.len()).position(|window| window == from).expect("the word is there");
    [&octets[..at], to, &octets[at + from.len()..]].concat()
}
