//! Starting and stopping.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use chrono::{Duration, Utc};

use super::desk::{CardAuthority, Desk};
use super::events::{CardEvent, EventScope, FeedEvent};
use super::kept::{self, Foundation};
use super::notices::KeptNotice;
use super::orders::{BatchDone, BatchOrder, CardChanged, CardOrder, Faults, OrderDetail};
use super::push::{self, Push, PushTarget};
use super::registry::{IssuedCertificate, Registry};
use super::routes::{self, TokenHash};
use super::tls::TlsAuthority;
use super::wire::{BulkCards, BulkRequest, CardFile, NewCard, RevocationRequest};
use super::{BackOfficeClient, BackOfficeFault, status_routes};
use crate::card_ca::CardCa;
use crate::keys::{random, sha256};
use crate::kind::Kind;
use crate::pem;

/// How to run a back office.
#[derive(Debug, Clone)]
pub struct BackOfficeSettings {
    /// HTTPS: the product's questions and the administrator. Port 0: any.
    pub listen: SocketAddr,
    /// HTTP: card status. Port 0: any; but the address stands in every card certificate, so a back office that is to be
    /// restarted needs a fixed one.
    pub status_listen: SocketAddr,
    /// Under which URL others reach the status listener, if not its own address.
    pub status_url: Option<String>,
    /// More names and addresses for the TLS certificate; loopback is always in it.
    pub tls_names: Vec<String>,
    /// Key generations of the card CA at the first start, 1 to 8, four years apart; the newest issues.
    pub generations: u32,
    /// Where to keep the state; in memory only if not said.
    pub directory: Option<PathBuf>,
    /// The bearer token at the first start; a random one if not said.
    pub token: Option<String>,
    /// Where to push events; can be set later.
    pub push: Option<PushTarget>,
}

impl Default for BackOfficeSettings {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: any,
            status_listen: any,
            status_url: None,
            tls_names: Vec::new(),
            generations: 1,
            directory: None,
            token: None,
            push: None,
        }
    }
}

/// A running back office. Dropping it stops it.
#[derive(Debug)]
pub struct BackOffice {
    desk: Arc<Desk>,
    push: Arc<Push>,
    url: String,
    token: String,
    tls_ca_pem: String,
    servers: Vec<ServerHandle>,
    threads: Vec<JoinHandle<()>>,
}

impl BackOffice {
    /// Starts a back office on threads of its own; its listeners are bound when this returns. Making the card CA's keys takes a
    /// second or two at the first start.
    pub fn start(settings: &BackOfficeSettings) -> Result<Self, BackOfficeFault> {
        let listener = bind(settings.listen)?;
        let status_listener = bind(settings.status_listen)?;
        let url = format!("https://{}", address(&listener)?);
        let status_url = match &settings.status_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", address(&status_listener)?),
        };
        let (foundation, authorities, registry) = found(settings)?;
        let kept_at = settings.directory.as_ref().map(|directory| directory.join("cards.json"));
        let desk = Arc::new(Desk::new(authorities, registry, status_url, kept_at));
        let push = Arc::new(Push::default());
        push.set_target(settings.push.as_ref())?;
        let tls = foundation.tls.server(&settings.tls_names)?;
        let token_hash = TokenHash(sha256(foundation.token.as_bytes()));
        let (server_thread, servers) = serve(listener, status_listener, tls, desk.clone(), token_hash)?;
        let pusher = {
            let (desk, push) = (desk.clone(), push.clone());
            std::thread::Builder::new().name("back-office-push".to_owned()).spawn(move || push::run(&desk, &push))
        };
        let pusher = pusher.map_err(|error| BackOfficeFault::Listen { address: url.clone(), reason: error.to_string() })?;
        Ok(Self {
            desk,
            push,
            url,
            token: foundation.token,
            tls_ca_pem: foundation.tls.certificate_pem,
            servers,
            threads: vec![server_thread, pusher],
        })
    }

    /// The HTTPS listener: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The status listener: `http://127.0.0.1:PORT`.
    pub fn status_url(&self) -> &str {
        &self.desk.status_url
    }

    /// The CRL URL of a kind with `{distribution_point}` in it: lower-case hex SHA-256 of the point's Name.
    pub fn crl_url_template(&self, kind: Kind) -> String {
        format!("{}/crl/{kind}/{{distribution_point}}.crl", self.desk.status_url)
    }

    /// The OCSP URL of a kind, as the card certificates name it.
    pub fn ocsp_url(&self, kind: Kind) -> String {
        format!("{}/ocsp/{kind}", self.desk.status_url)
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// PEM of the CA that the HTTPS listener's certificate leads to.
    pub fn tls_ca_pem(&self) -> &str {
        &self.tls_ca_pem
    }

    /// The card CA's certificates, every kind and key generation.
    pub fn card_authorities(&self) -> Vec<CardAuthority> {
        self.desk.card_authorities()
    }

    /// A key generation of the card CA, keys included: for tests that forge.
    pub fn card_ca(&self, kind: Kind, generation: u32) -> Option<&CardCa> {
        self.desk.authority(kind, Some(generation))
    }

    /// A client of this back office.
    pub fn client(&self) -> Result<BackOfficeClient, BackOfficeFault> {
        BackOfficeClient::new(&self.url, &self.tls_ca_pem, &self.token)
    }

    /// Hands out a card.
    pub fn new_card(&self, wish: &NewCard) -> Result<CardFile, BackOfficeFault> {
        self.desk.hand_out(wish)
    }

    /// Hands out many cards.
    pub fn new_cards(&self, wish: &BulkRequest) -> Result<BulkCards, BackOfficeFault> {
        self.desk.hand_out_many(wish)
    }

    /// Ends certificates of a card; gives the events of it, none if they had ended already.
    pub fn revoke(&self, card_id: &str, request: &RevocationRequest) -> Result<Vec<CardEvent>, BackOfficeFault> {
        self.desk.revoke(card_id, request)?.ok_or_else(|| BackOfficeFault::Refused("no such card".to_owned()))
    }

    /// Carries out an order about a card.
    pub fn order(&self, card_id: &str, order: CardOrder, detail: &OrderDetail) -> Result<CardChanged, BackOfficeFault> {
        self.desk.carry_out(card_id, order, detail)?.ok_or_else(|| BackOfficeFault::Refused("no such card".to_owned()))
    }

    /// Changes every card certificate in a scope, and tells of it by one event in the feed.
    pub fn order_batch(&self, order: &BatchOrder) -> Result<BatchDone, BackOfficeFault> {
        self.desk.carry_out_batch(order)
    }

    /// The municipality's scope of a card's certificate of a kind; without its distribution point, that of the whole card CA key.
    pub fn scope(&self, card_id: &str, kind: Kind) -> Option<EventScope> {
        let registry = self.desk.registry();
        registry.cards.get(registry.place(card_id)?)?.current(kind).map(IssuedCertificate::scope)
    }

    /// Orders what is to go wrong from now on; `Faults::default()` sets everything right again.
    pub fn set_faults(&self, faults: Faults) -> Result<(), BackOfficeFault> {
        self.desk.set_faults(faults)
    }

    /// What is left of the faults.
    pub fn faults(&self) -> Faults {
        self.desk.registry().telling.faults()
    }

    /// What holders were told, in the order in which it first came.
    pub fn notices(&self) -> Vec<KeptNotice> {
        self.desk.registry().notices.clone()
    }

    /// Every event about one card certificate so far, in the order in which it happened, told or not.
    pub fn events(&self) -> Vec<CardEvent> {
        self.desk.registry().telling.happened.iter().filter_map(FeedEvent::card).cloned().collect()
    }

    /// How many events the operators' listener has acknowledged; one that was told twice counts twice.
    pub fn pushed(&self) -> usize {
        self.desk.registry().telling.pushed
    }

    /// Begins, changes or ends pushing.
    pub fn set_push(&self, target: Option<&PushTarget>) -> Result<(), BackOfficeFault> {
        self.push.set_target(target)?;
        self.desk.changed.notify_all();
        Ok(())
    }

    /// Writes what the product has to be told into a directory: `back-office-tls-ca.pem`, `back-office.token` and
    /// `card-ca-<kind>-<generation>.pem`. Gives the paths of the card CA's certificates.
    pub fn write_files(&self, directory: &Path) -> Result<Vec<PathBuf>, BackOfficeFault> {
        pem::write(&directory.join("back-office-tls-ca.pem"), &self.tls_ca_pem)?;
        pem::write_secret(&directory.join("back-office.token"), &self.token)?;
        let mut paths = Vec::new();
        for authority in self.card_authorities() {
            let path = directory.join(format!("card-ca-{}-{}.pem", authority.kind, authority.generation));
            pem::write(&path, &authority.pem)?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// Stops listening and pushing, and waits until both have ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.push.stop();
        self.desk.changed.notify_all();
        for server in self.servers.drain(..) {
            // The order to stop is sent by the call itself; the future only waits for it.
            drop(server.stop(false));
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the back office failed");
            }
        }
    }
}

impl Drop for BackOffice {
    fn drop(&mut self) {
        self.end();
    }
}

fn found(settings: &BackOfficeSettings) -> Result<(Foundation, Vec<CardCa>, Registry), BackOfficeFault> {
    let Some(directory) = &settings.directory else {
        let (foundation, authorities) = lay_foundation(settings)?;
        return Ok((foundation, authorities, Registry::default()));
    };
    std::fs::create_dir_all(directory).map_err(|error| BackOfficeFault::Kept(error.to_string()))?;
    let path = directory.join("back-office.json");
    if let Some(foundation) = kept::read::<Foundation>(&path)? {
        let authorities = foundation.authorities()?;
        return Ok((foundation, authorities, kept::read_registry(&directory.join("cards.json"))?));
    }
    let (foundation, authorities) = lay_foundation(settings)?;
    foundation.keep(&path)?;
    Ok((foundation, authorities, Registry::default()))
}

fn lay_foundation(settings: &BackOfficeSettings) -> Result<(Foundation, Vec<CardCa>), BackOfficeFault> {
    if !(1..=8).contains(&settings.generations) {
        return Err(BackOfficeFault::Refused("the card CA has 1 to 8 key generations".to_owned()));
    }
    let now = Utc::now();
    let mut wanted = Vec::new();
    for generation in 1..=settings.generations {
        let age = Duration::days(30 + 4 * 365 * i64::from(settings.generations - generation));
        wanted.extend(Kind::ALL.into_iter().map(|kind| (kind, generation, now - age)));
    }
    // RSA keys take their time: all at once, on as many processors as there are.
    let made = std::thread::scope(|scope| {
        let makers: Vec<_> =
            wanted.into_iter().map(|(kind, generation, from)| scope.spawn(move || CardCa::create(kind, generation, from))).collect();
        let finished = makers.into_iter().map(|maker| maker.join());
        finished.map(|made| made.map_err(|_| BackOfficeFault::Kept("a maker of keys failed".to_owned()))).collect::<Vec<_>>()
    });
    let mut authorities = Vec::with_capacity(made.len());
    for authority in made {
        authorities.push(authority??);
    }
    let token = match &settings.token {
        Some(token) => token.clone(),
        None => hex::encode(random::<32>()?),
    };
    Ok((Foundation::new(token, TlsAuthority::create()?, &authorities), authorities))
}

fn bind(address: SocketAddr) -> Result<TcpListener, BackOfficeFault> {
    TcpListener::bind(address).map_err(|error| BackOfficeFault::Listen { address: address.to_string(), reason: error.to_string() })
}

fn address(listener: &TcpListener) -> Result<SocketAddr, BackOfficeFault> {
    listener.local_addr().map_err(|error| BackOfficeFault::Listen { address: "?".to_owned(), reason: error.to_string() })
}

fn serve(
    listener: TcpListener,
    status_listener: TcpListener,
    tls: rustls::ServerConfig,
    desk: Arc<Desk>,
    token: TokenHash,
) -> Result<(JoinHandle<()>, Vec<ServerHandle>), BackOfficeFault> {
    let failed = |reason: String| BackOfficeFault::Listen { address: "the back office".to_owned(), reason };
    let (started, starting) = mpsc::channel();
    let body = move || {
        actix_web::rt::System::new().block_on(async move {
            let status_desk = desk.clone();
            let questions = HttpServer::new(move || {
                App::new()
                    .app_data(web::Data::new(desk.clone()))
                    .app_data(web::Data::new(token))
                    .app_data(web::PayloadConfig::new(1 << 20))
                    .configure(routes::configure)
            });
            let status = HttpServer::new(move || {
                App::new()
                    .app_data(web::Data::new(status_desk.clone()))
                    .app_data(web::PayloadConfig::new(16 << 10))
                    .configure(status_routes::configure)
            });
            let questions = questions.workers(1).disable_signals().shutdown_timeout(1).listen_rustls_0_23(listener, tls);
            let status = status.workers(1).disable_signals().shutdown_timeout(1).listen(status_listener);
            let (questions, status) = match (questions, status) {
                (Ok(questions), Ok(status)) => (questions.run(), status.run()),
                (Err(error), _) | (_, Err(error)) => {
                    drop(started.send(Err(error.to_string())));
                    return;
                }
            };
            drop(started.send(Ok(vec![questions.handle(), status.handle()])));
            let status = actix_web::rt::spawn(status);
            if questions.await.is_err() || !matches!(status.await, Ok(Ok(()))) {
                tracing::error!("a listener of the back office failed");
            }
        });
    };
    let thread = std::thread::Builder::new().name("back-office".to_owned()).spawn(body).map_err(|error| failed(error.to_string()))?;
    match starting.recv() {
        Ok(Ok(handles)) => Ok((thread, handles)),
        Ok(Err(reason)) => Err(failed(reason)),
        Err(_) => Err(failed("the server thread ended".to_owned())),
    }
}
