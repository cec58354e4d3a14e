//! A registration authority that verifies nothing: enough of the wire to try the phone and the load generator against.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use der::{Decode, Encode};
use sandbox::card_ca::{Certificate, certificate};
use sandbox::keys::{Key, KeyAlgorithm, random, sha256};
use sandbox::phone::RaSettings;
use sandbox::{names, oids};
use serde_json::{Value, json};
use x509_cert::request::CertReq;

/// Its state: whether it decides at once, and what it decided.
pub struct State {
    hesitant: bool,
    key: Key,
    decided: Mutex<HashMap<String, Value>>,
}

/// A running one; it ends with the test process.
pub struct BelievingRa {
    pub settings: RaSettings,
}

impl BelievingRa {
    /// A hesitant one answers 202 first.
    pub fn start(hesitant: bool) -> Self {
        let tls = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(tls.signing_key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![tls.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let state = web::Data::new(State { hesitant, key: Key::generate(KeyAlgorithm::P256).unwrap(), decided: Mutex::default() });
        let (started, starting) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(state.clone())
                        .route("/v1/challenges", web::post().to(challenge))
                        .route("/v1/applications", web::post().to(apply))
                        .route("/v1/applications/{id}", web::get().to(ask))
                });
                let server = server.workers(1).disable_signals().listen_rustls_0_23(listener, config).unwrap().run();
                started.send(()).unwrap();
                server.await.unwrap();
            });
        });
        starting.recv().unwrap();
        let settings = RaSettings { url, ca_certificate_pem: tls.cert.pem(), timeout: Duration::from_secs(10) };
        Self { settings }
    }
}

async fn challenge() -> HttpResponse {
    let challenge = STANDARD.encode(random::<48>().unwrap());
    HttpResponse::Created().json(json!({"challenge": challenge, "expires_at": Utc::now() + chrono::Duration::minutes(5)}))
}

async fn apply(state: web::Data<State>, body: web::Bytes) -> HttpResponse {
    let Some(statement) = statement(&body) else {
        return HttpResponse::BadRequest().json(json!({"code": "malformed", "title": "Malformed", "status": 400}));
    };
    if statement["audience"] != "Believing RA" {
        return HttpResponse::Forbidden().json(json!({"code": "wrong_audience", "title": "Not for us", "status": 403}));
    }
    let id = hex::encode(sha256(&body));
    let certificates: Vec<Value> = statement["requests"].as_array().unwrap().iter().map(|request| issue(&state, request)).collect();
    let answer = json!({"application_id": id, "state": "issued", "certificates": certificates});
    state.decided.lock().unwrap().insert(id.clone(), answer.clone());
    if state.hesitant {
        let place = format!("/v1/applications/{id}");
        return HttpResponse::Accepted().json(json!({"application_id": id, "state": "accepted", "status_url": place, "token": "secret"}));
    }
    HttpResponse::Created().json(answer)
}

async fn ask(state: web::Data<State>, id: web::Path<String>, request: HttpRequest) -> HttpResponse {
    let token = request.headers().get("Tsunagi-Application-Token").and_then(|value| value.to_str().ok());
    match state.decided.lock().unwrap().get(id.as_str()) {
        Some(answer) if token == Some("secret") => HttpResponse::Ok().json(answer),
        _ => HttpResponse::NotFound().finish(),
    }
}

fn statement(body: &[u8]) -> Option<Value> {
    let content = ContentInfo::from_der(body).ok()?.content;
    let signed_data = SignedData::from_der(&content.to_der().ok()?).ok()?;
    serde_json::from_slice(signed_data.encap_content_info.econtent?.value()).ok()
}

fn issue(state: &State, request: &Value) -> Value {
    let request_der = STANDARD.decode(request["pkcs10"].as_str().unwrap()).unwrap();
    let public_key_info = CertReq::from_der(&request_der).unwrap().info.public_key.to_der().unwrap();
    let serial = random::<16>().unwrap();
    let content = Certificate {
        serial: &serial,
        issuer: &names::name(&[(oids::COMMON_NAME, "Believing CA")]),
        not_before: Utc::now(),
        not_after: Utc::now() + chrono::Duration::days(1),
        subject: &names::name(&[(oids::COMMON_NAME, "phone")]),
        public_key_info: &public_key_info,
        extensions: vec![sandbox::asn1::extension(&oids::KEY_USAGE, true, &sandbox::asn1::named_bits(&[0]))],
    };
    let der = certificate(&content, &state.key).unwrap();
    json!({"kind": request["kind"], "serial": hex::encode(serial), "certificate": STANDARD.encode(der)})
}
