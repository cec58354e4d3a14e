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
    /// Signs commands.
    command_key: Key,
    commands: Mutex<Vec<String>>,
    /// What phones said: command and body.
    results: Mutex<Vec<(String, Value)>>,
    /// What holders wanted: the statements, as they came.
    instructions: Mutex<Vec<Value>>,
}

/// A running one; it ends with the test process.
pub struct BelievingRa {
    pub settings: RaSettings,
    state: web::Data<State>,
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
        let state = web::Data::new(State {
            hesitant,
            key: Key::generate(KeyAlgorithm::P256).unwrap(),
            decided: Mutex::default(),
            command_key: Key::generate(KeyAlgorithm::P256).unwrap(),
            commands: Mutex::default(),
            results: Mutex::default(),
            instructions: Mutex::default(),
        });
        let shared = state.clone();
        let (started, starting) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(state.clone())
                        .route("/v1/challenges", web::post().to(challenge))
                        .route("/v1/applications", web::post().to(apply))
                        .route("/v1/applications/{id}", web::get().to(ask))
                        .route("/v1/applications/{id}/commands", web::get().to(commands))
                        .route("/v1/applications/{id}/commands/{command}/result", web::post().to(result))
                        .route("/v1/device-command-keys", web::get().to(command_keys))
                        .route("/v1/instructions", web::post().to(instruct))
                        .route("/v1/instructions/{id}", web::get().to(instruction))
                        .route("/v1/key-compromises", web::post().to(report))
                });
                let server = server.workers(1).disable_signals().listen_rustls_0_23(listener, config).unwrap().run();
                started.send(()).unwrap();
                server.await.unwrap();
            });
        });
        starting.recv().unwrap();
        let settings = RaSettings { url, ca_certificate_pem: tls.cert.pem(), timeout: Duration::from_secs(10) };
        Self { settings, state: shared }
    }

    /// Gives phones a command.
    pub fn command(&self, id: &str, action: &str, certificates: &Value, lives: chrono::Duration) {
        let now = Utc::now();
        let payload = json!({ "type": "tsunagi.device-command.v1", "command": id, "device": "device-1", "action": action,
            "certificates": certificates, "issued_at": now, "expires_at": now + lives });
        let header = json!({ "alg": "ES256", "kid": "k1", "typ": "tsunagi-device-command+jwt" });
        let text = sandbox::jws::sign(&header, &payload, &self.state.command_key).unwrap();
        self.state.commands.lock().unwrap().push(text);
    }

    /// What phones said: command and body.
    pub fn results(&self) -> Vec<(String, Value)> {
        self.state.results.lock().unwrap().clone()
    }

    /// What holders wanted: the statements.
    pub fn instructions(&self) -> Vec<Value> {
        self.state.instructions.lock().unwrap().clone()
    }
}

async fn commands(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    if request.headers().get("Tsunagi-Application-Token").is_none_or(|token| token != "secret") {
        return HttpResponse::NotFound().finish();
    }
    let commands = state.commands.lock().unwrap();
    let commands: Vec<Value> = commands.iter().map(|command| json!({ "id": "…", "command": command, "expires_at": Utc::now() })).collect();
    HttpResponse::Ok().json(json!({ "commands": commands }))
}

async fn result(state: web::Data<State>, path: web::Path<(String, String)>, body: web::Json<Value>) -> HttpResponse {
    state.results.lock().unwrap().push((path.into_inner().1, body.into_inner()));
    HttpResponse::Accepted().json(json!({ "state": "received" }))
}

async fn command_keys(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "keys": [sandbox::jws::Jwk::of("k1", &state.command_key)] }))
}

async fn instruct(state: web::Data<State>, body: web::Bytes) -> HttpResponse {
    state.instructions.lock().unwrap().push(statement(&body).unwrap());
    HttpResponse::Accepted().json(json!({ "id": hex::encode(sha256(&body)), "state": "waiting" }))
}

async fn instruction(id: web::Path<String>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "id": id.as_str(), "state": "done", "outcome": { "certificates": 2 } }))
}

async fn report(body: web::Bytes) -> HttpResponse {
    let subject = CertReq::from_der(&body).unwrap().info.subject.to_string();
    match subject.as_str() {
        "CN=This key is compromised" => HttpResponse::Ok().json(json!({ "id": hex::encode(sha256(&body)), "state": "done" })),
        _ => HttpResponse::UnprocessableEntity().json(json!({ "code": "key_report_subject", "title": "No report" })),
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
    let answer = json!({"application_id": id, "state": "issued", "certificates": certificates, "token": "secret"});
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
