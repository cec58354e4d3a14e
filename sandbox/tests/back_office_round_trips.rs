//! The back office over its wire: lookups, the feed, the push, and its memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{back_office, card, pooled};
use sandbox::back_office::{
    BackOffice, BackOfficeClient, BackOfficeFault, BackOfficeSettings, CardReference, EventPage, FeedEvent, NewCard, PushTarget,
    RevocationRequest,
};
use sandbox::card::{Card, CardSide};
use sandbox::http::{ClientIdentity, HttpClient, HttpSettings};
use sandbox::keys::sha256;
use sandbox::kind::Kind;
use sandbox::reason::Reason;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

fn reference(side: &CardSide) -> CardReference {
    let certificate = side.decoded().unwrap();
    let tbs = certificate.tbs_certificate();
    let aki = tbs.get_extension::<AuthorityKeyIdentifier>().unwrap().unwrap().1;
    CardReference {
        issuer_key_id: hex::encode(aki.key_identifier.unwrap().as_bytes()),
        serial: hex::encode(tbs.serial_number().as_bytes()),
        sha256: hex::encode(sha256(&side.certificate)),
    }
}

fn both(reason: Reason) -> RevocationRequest {
    RevocationRequest { kinds: Kind::ALL.to_vec(), reason, at: None }
}

#[test]
fn a_lookup_finds_the_holder_and_the_authentication_certificate() {
    let office = back_office(1);
    let client = office.client().unwrap();
    let first = client.new_card(&pooled()).unwrap();
    let second = client.new_card(&NewCard { holder_id: Some(first.holder_id.clone()), without_authentication: true, ..pooled() }).unwrap();
    let cards = [Card::from_file(&first).unwrap(), Card::from_file(&second).unwrap()];
    let mut other_hash = reference(&cards[0].signature);
    other_hash.sha256 = hex::encode([0; 32]);
    let asked = [reference(&cards[0].signature), other_hash, reference(&cards[1].signature)];
    let found = client.look_up(&asked).unwrap();
    use base64::Engine as _;
    let authentication = base64::engine::general_purpose::STANDARD.encode(&cards[0].authentication.as_ref().unwrap().certificate);
    assert_eq!(found[0].authentication_certificate, Some(Some(authentication)));
    assert_eq!(found[0].holder_id.as_deref(), Some(first.holder_id.as_str()));
    assert!(!found[1].found && found[1].holder_id.is_none());
    assert!(found[2].found);
    assert_eq!(found[2].holder_id, found[0].holder_id);
    assert_eq!(found[2].authentication_certificate, Some(None), "null: the card has none");
}

#[test]
fn nobody_is_heard_without_the_token() {
    let office = back_office(1);
    let impostor = BackOfficeClient::new(office.url(), office.tls_ca_pem(), "wrong").unwrap();
    assert!(matches!(impostor.card_events("", 10), Err(BackOfficeFault::Answer { status: 401, .. })));
    assert!(matches!(impostor.new_card(&pooled()), Err(BackOfficeFault::Answer { status: 401, .. })));
    let other = back_office(1);
    let astray = BackOfficeClient::new(office.url(), other.tls_ca_pem(), office.token()).unwrap();
    assert!(matches!(astray.card_events("", 10), Err(BackOfficeFault::Http(_))), "another CA's certificate is not accepted");
}

#[test]
fn the_feed_gives_every_event_once_and_in_order() {
    let office = back_office(1);
    let client = office.client().unwrap();
    assert!(client.card_events("", 10).unwrap().events.is_empty());
    let cards: Vec<Card> = (0..3).map(|_| card(&office)).collect();
    for card in &cards {
        let id = card.card_id.as_ref().unwrap();
        assert_eq!(client.revoke(id, &both(Reason::Superseded)).unwrap().len(), 2);
        assert!(client.revoke(id, &both(Reason::KeyCompromise)).unwrap().is_empty(), "revocation is permanent");
    }
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let EventPage { events, cursor: next, more } = client.card_events(&cursor, 4).unwrap();
        seen.extend(events);
        cursor = next;
        if !more {
            break;
        }
    }
    assert_eq!(seen, office.events());
    assert_eq!(seen.len(), 6);
    let seen: Vec<_> = seen.iter().filter_map(FeedEvent::card).collect();
    assert!(seen.iter().all(|event| event.event_type == "revoked" && event.reason == Some(Reason::Superseded) && event.sequence == 1));
    assert_eq!(seen[0].serial, reference(&cards[0].signature).serial);
    assert!(client.card_events(&cursor, 4).unwrap().events.is_empty());
    assert!(matches!(client.card_events("nonsense", 4), Err(BackOfficeFault::Answer { status: 400, .. })));
    assert!(matches!(client.revoke("card-0", &both(Reason::Superseded)), Err(BackOfficeFault::Answer { status: 404, .. })));
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let office = back_office(1);
    let settings = HttpSettings { ca_certificate_pem: Some(office.tls_ca_pem().to_owned()), ..HttpSettings::default() };
    let http = HttpClient::new(&settings).unwrap();
    let authorization = format!("Bearer {}", office.token());
    let post = |path: &str, body: &str| {
        http.post(&format!("{}{path}", office.url()), &[("Authorization", &authorization)], "application/json", body.as_bytes()).unwrap()
    };
    for (path, body) in [
        ("/admin/cards", r#"{"colour":"red"}"#),
        ("/admin/cards", r#"{"city":"Mitaka-shi"}"#),
        ("/admin/cards", r#"{"prefecture":"東京都","city":"三鷹市"}"#),
        ("/admin/cards", r#"{"signature_policy":"not an oid"}"#),
        ("/admin/cards/bulk", r#"{"count":0}"#),
        ("/admin/cards/bulk", r#"{"count":1,"presign":["md5"]}"#),
        ("/v1/card-certificates/lookup", "{"),
        ("/admin/cards/card-1/revoke", r#"{"kinds":["signature"],"reason":"boredom"}"#),
    ] {
        let answer = post(path, body);
        assert_eq!(answer.status, 400, "{path} {body}");
        assert!(String::from_utf8(answer.body).unwrap().contains("error"));
    }
    assert_eq!(post("/elsewhere", "{}").status, 404);
}

#[test]
fn a_restarted_back_office_remembers() {
    let directory = tempfile::tempdir().unwrap();
    let settings = BackOfficeSettings { directory: Some(directory.path().to_owned()), ..BackOfficeSettings::default() };
    let office = BackOffice::start(&settings).unwrap();
    let (token, tls, authorities) = (office.token().to_owned(), office.tls_ca_pem().to_owned(), office.card_authorities());
    let (kept, ended) = (card(&office), card(&office));
    office.revoke(ended.card_id.as_ref().unwrap(), &both(Reason::CessationOfOperation)).unwrap();
    let events = office.events();
    office.stop();
    let office = BackOffice::start(&settings).unwrap();
    assert_eq!((office.token(), office.tls_ca_pem()), (token.as_str(), tls.as_str()));
    assert_eq!(office.card_authorities(), authorities);
    assert_eq!(office.events(), events);
    let client = BackOfficeClient::new(office.url(), &tls, &token).unwrap();
    assert!(client.look_up(&[reference(&kept.signature)]).unwrap()[0].found);
    assert!(client.revoke(ended.card_id.as_ref().unwrap(), &both(Reason::Unspecified)).unwrap().is_empty());
    assert_eq!(client.revoke(kept.card_id.as_ref().unwrap(), &both(Reason::Unspecified)).unwrap().len(), 2);
}

#[test]
fn events_are_pushed_with_a_client_certificate_until_acknowledged() {
    let listener = operators::Operators::start(2);
    let office = back_office(1);
    office.set_push(Some(&listener.target)).unwrap();
    let card = card(&office);
    office.revoke(card.card_id.as_ref().unwrap(), &both(Reason::AffiliationChanged)).unwrap();
    let start = Instant::now();
    while office.pushed() < 2 {
        assert!(start.elapsed() < Duration::from_secs(20), "not acknowledged in time");
        std::thread::sleep(Duration::from_millis(20));
    }
    let received = listener.received.lock().unwrap().clone();
    assert!(received.len() >= 3, "refused twice, then accepted");
    assert!(received.iter().all(|(subject, _)| subject.contains("back-office-1")));
    let body: serde_json::Value = serde_json::from_str(&received.last().unwrap().1).unwrap();
    assert_eq!(body["events"][0]["type"], "revoked");
    assert_eq!(body["events"][0]["reason"], "affiliationChanged");
    assert_eq!(body["events"].as_array().unwrap().len(), 2);
}

/// A listener with mutual TLS that refuses the first pushes.
mod operators {
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex, mpsc};

    use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use rustls::server::WebPkiClientVerifier;

    use super::{ClientIdentity, PushTarget};

    type Received = Arc<Mutex<Vec<(String, String)>>>;

    pub(super) struct Operators {
        pub(super) target: PushTarget,
        pub(super) received: Received,
    }

    impl Operators {
        pub(super) fn start(refusals: usize) -> Self {
            let ca_key = KeyPair::generate().unwrap();
            let mut ca = CertificateParams::new(vec![]).unwrap();
            ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let ca_pem = ca.self_signed(&ca_key).unwrap();
            let ca_der = ca_pem.der().clone();
            let issuer = Issuer::new(ca, ca_key);
            let leaf = |name: &str, addresses: Vec<String>| {
                let key = KeyPair::generate().unwrap();
                let mut params = CertificateParams::new(addresses).unwrap();
                params.distinguished_name.push(DnType::CommonName, name);
                (params.signed_by(&key, &issuer).unwrap(), key)
            };
            let (server, server_key) = leaf("operators", vec!["127.0.0.1".to_owned()]);
            let (client, client_key) = leaf("back-office-1", vec![]);
            let mut roots = rustls::RootCertStore::empty();
            roots.add(ca_der).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(verifier)
                .with_single_cert(vec![server.der().clone()], rustls_pki_types::PrivateKeyDer::Pkcs8(server_key.serialize_der().into()))
                .unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("https://{}", listener.local_addr().unwrap());
            let received: Received = Received::default();
            serve(listener, config, received.clone(), refusals);
            let identity = ClientIdentity { certificate_pem: client.pem(), key_pem: client_key.serialize_pem() };
            Self { target: PushTarget { url, ca_certificate_pem: ca_pem.pem(), identity }, received }
        }
    }

    /// The subject of the client certificate of a connection, as far as a test needs it.
    #[derive(Clone)]
    struct Subject(String);

    fn serve(listener: TcpListener, config: rustls::ServerConfig, received: Received, refusals: usize) {
        use actix_web::dev::Extensions;
        use actix_web::rt::net::TcpStream;
        let (started, starting) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let received = received.clone();
                    App::new().route(
                        "/v1/card-events",
                        web::post().to(move |request: HttpRequest, body: String| {
                            let received = received.clone();
                            async move {
                                let subject = request.conn_data::<Subject>().map(|subject| subject.0.clone()).unwrap_or_default();
                                let mut received = received.lock().unwrap();
                                received.push((subject, body));
                                if received.len() <= refusals {
                                    HttpResponse::ServiceUnavailable().finish()
                                } else {
                                    HttpResponse::Ok().finish()
                                }
                            }
                        }),
                    )
                });
                let server = server.on_connect(|connection, data: &mut Extensions| {
                    type Tls = actix_tls::accept::rustls_0_23::TlsStream<TcpStream>;
                    let Some(stream) = connection.downcast_ref::<Tls>() else { return };
                    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
                    let der = certificates.first().map(|der| String::from_utf8_lossy(der).into_owned()).unwrap_or_default();
                    data.insert(Subject(der));
                });
                let server = server.workers(1).disable_signals().listen_rustls_0_23(listener, config).unwrap().run();
                started.send(()).unwrap();
                server.await.unwrap();
            });
        });
        starting.recv().unwrap();
    }
}
