//! A running installation.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use sandbox::back_office::{BackOffice, BackOfficeSettings, NewCard, PushTarget};
use sandbox::card::Card;
use sandbox::fcm::{PushService, PushServiceSettings};
use sandbox::http::{ClientIdentity, HttpAnswer, HttpClient, HttpSettings};
use sandbox::kind::Kind;
use sandbox::operator::{Operator, OperatorSettings};
use sandbox::phone::{ApplyWish, Enrolment, RaClient, RaSettings, Replaces};
use schema::testing::TestDatabase;
use schema::{Database, OpenOptions, Reader};
use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use super::{CardStatusDesk, free_addresses, program, until};

/// The name that applications are made for.
const RA_NAME: &str = "ra.test";

/// On which database an installation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// A file in the installation's directory.
    Sqlite,
    /// A fresh database on the server of `TSUNAGI_TEST_POSTGRES`.
    #[cfg(feature = "postgres")]
    Postgres,
}

/// A back office in this process and an installation that trusts it. Everything ends, and is removed, when it is dropped.
pub struct Installation {
    // In the order in which they are to end.
    processes: Vec<Process>,
    pub back_office: BackOffice,
    /// What the installation believes to be the card CA's status service.
    pub card_status: CardStatusDesk,
    pub ra: SocketAddr,
    pub operators: SocketAddr,
    pub status: SocketAddr,
    pub telemetry: SocketAddr,
    variables: Vec<(String, String)>,
    directory: TempDir,
    database: Option<TestDatabase>,
}

impl Installation {
    /// Makes one; nothing serves yet.
    pub fn prepare(store: Store) -> Self {
        Self::prepare_with(store, &[], &[])
    }

    /// The same with more options for `tsunagi init`, and environment variables for it and for every process.
    pub fn prepare_with(store: Store, options: &[&str], variables: &[(String, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let back_office = BackOffice::start(&BackOfficeSettings { generations: 2, ..BackOfficeSettings::default() }).unwrap();
        let card_status = CardStatusDesk::before(back_office.status_url());
        let sandbox = directory.path().join("sandbox");
        std::fs::create_dir(&sandbox).unwrap();
        back_office.write_files(&sandbox).unwrap();
        let reached = serde_json::json!({ "url": back_office.url(), "status_url": card_status.url() });
        std::fs::write(sandbox.join("sandbox.json"), reached.to_string()).unwrap();
        let database = empty_database(store);
        let [ra, operators, status, telemetry] = free_addresses();
        let installation = Self {
            processes: Vec::new(),
            back_office,
            card_status,
            ra,
            operators,
            status,
            telemetry,
            variables: variables.to_vec(),
            directory,
            database,
        };
        installation.init(options);
        installation
    }

    /// Makes one that serves, all roles in one process, with the back office pushing to it.
    pub fn serving(store: Store) -> Self {
        let mut installation = Self::prepare(store);
        installation.serve();
        installation
    }

    /// Has it serve, all roles in one process, with the back office pushing to it.
    pub fn serve(&mut self) {
        self.set("ra.limits.listener.requests_per_second", "0");
        self.start();
        self.back_office.set_push(Some(&self.push_target())).unwrap();
    }

    fn init(&self, options: &[&str]) {
        let (place, sandbox) = (self.place(), self.directory.path().join("sandbox"));
        let addresses = [self.ra, self.operators, self.status, self.telemetry].map(|address| address.to_string());
        let mut arguments = vec!["init", place.to_str().unwrap(), "--sandbox", sandbox.to_str().unwrap(), "--ra-name", RA_NAME];
        for (option, address) in ["--ra-listen", "--operators-listen", "--status-listen", "--telemetry-listen"].iter().zip(&addresses) {
            arguments.extend([*option, address.as_str()]);
        }
        let url = self.database.as_ref().map(|database| database.url().to_owned());
        if let Some(url) = &url {
            arguments.extend(["--store", url]);
        }
        let mut command = Command::new(program());
        command.args(arguments).args(options).stdin(Stdio::null()).env_remove("RUST_LOG");
        let output = command.envs(self.variables.iter().cloned()).output().unwrap();
        assert!(output.status.success(), "{}", super::tools::said(&output));
    }

    /// Sets a setting, by its environment variable, for processes that start later.
    pub fn set(&mut self, key: &str, value: &str) {
        let name = format!("TSUNAGI__{}", key.replace('.', "__").to_uppercase());
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
    }

    /// A push service, which processes that start later hand their commands to.
    pub fn push_service(&mut self) -> PushService {
        let push = PushService::start(&PushServiceSettings::default()).unwrap();
        let token = self.directory.path().join("push.token");
        push.write_access_token(&token).unwrap();
        let reached = [("push.url", push.url()), ("push.project", push.project()), ("push.token_file", token.to_str().unwrap())];
        reached.iter().for_each(|(key, value)| self.set(key, value));
        push
    }

    /// Starts a process with all roles, and waits until it can serve.
    pub fn start(&mut self) {
        let process = self.process("serve", &[], None);
        self.processes.push(process);
        self.await_ready(self.telemetry);
        self.await_beacon();
    }

    /// Starts a process of some roles with its metrics and health at an address of its own (a process that is only the CA has
    /// none). It may not be ready yet.
    pub fn start_role(&self, name: &str, roles: &[&str], telemetry: Option<SocketAddr>) -> Process {
        self.process(name, roles, telemetry)
    }

    /// Waits until a process says that it can serve.
    pub fn await_ready(&self, telemetry: SocketAddr) {
        let http = HttpClient::new(&HttpSettings { timeout: Duration::from_secs(2), ..HttpSettings::default() }).unwrap();
        let url = format!("http://{telemetry}/health/ready");
        until("a process is ready", || http.get(&url, &[]).ok().filter(|answer| answer.status == 200));
    }

    /// Waits until the RA can give challenges: a CA has drawn a beacon.
    pub fn await_beacon(&self) {
        until("the RA can give challenges", || self.get("/health/ready").ok().filter(|answer| answer.status == 200));
    }

    fn process(&self, name: &str, roles: &[&str], telemetry: Option<SocketAddr>) -> Process {
        let mut command = Command::new(program());
        command.args(["serve", "--settings"]).arg(self.place()).envs(self.variables.iter().cloned());
        command.env("RUST_LOG", "info,ra_api=debug,ca_service=debug,schema=debug,ocsp=debug,crl_publisher=debug,back_office=debug");
        for role in roles {
            command.args(["--role", role]);
        }
        if let Some(address) = telemetry {
            command.env("TSUNAGI__TELEMETRY__LISTEN", address.to_string());
        }
        Process::start(&mut command, &self.directory.path().join(format!("{name}.log")))
    }

    /// Stops all of its processes in good order, and starts one with all roles again.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Stops all of its processes in good order.
    pub fn stop(&mut self) {
        for mut process in self.processes.drain(..) {
            let status = process.stop();
            assert!(status.success(), "a process told to stop ended with {status}");
        }
    }

    /// The directory of `settings.toml`.
    pub fn place(&self) -> PathBuf {
        self.directory.path().join("installation")
    }

    /// A directory for whatever a test writes.
    pub fn scratch(&self) -> &Path {
        self.directory.path()
    }

    /// A file of the installation, as text.
    pub fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.place().join(path)).unwrap()
    }

    /// What all processes have logged.
    pub fn logs(&self) -> String {
        let entries = std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = entries.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect()
    }

    /// Runs our command on this installation.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program());
        command.args(arguments).arg("--settings").arg(self.place()).stdin(Stdio::null()).env_remove("RUST_LOG");
        command.envs(self.variables.iter().cloned()).output().unwrap()
    }

    /// Runs our command on this installation with `--output json`; panics if it fails.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--output", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", super::tools::said(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", super::tools::said(&output)))
    }

    /// All its certificates, as `tsunagi certificate list` tells.
    pub fn certificates(&self) -> Vec<Value> {
        self.json(&["certificate", "list", "--limit", "10000"]).as_array().unwrap().clone()
    }

    /// The store's URL.
    pub fn store_url(&self) -> String {
        match &self.database {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite://{}", self.place().join("tsunagi.sqlite").display()),
        }
    }

    /// Reads its store.
    pub fn reader(&self) -> Reader {
        Database::open(&self.store_url(), &OpenOptions::default()).unwrap().reader()
    }

    /// How a phone reaches the RA.
    pub fn ra_settings(&self) -> RaSettings {
        let timeout = Duration::from_secs(30);
        RaSettings { url: format!("https://{}", self.ra), ca_certificate_pem: self.text("ra/tls-ca.pem"), timeout }
    }

    /// A phone's connection to the RA.
    pub fn phone(&self) -> RaClient {
        RaClient::new(&self.ra_settings()).unwrap()
    }

    /// A stranger's connection to the holders' listener.
    pub fn stranger(&self) -> HttpClient {
        let settings = HttpSettings { ca_certificate_pem: Some(self.text("ra/tls-ca.pem")), ..HttpSettings::default() };
        HttpClient::new(&settings).unwrap()
    }

    /// GET at the holders' listener.
    pub fn get(&self, path: &str) -> Result<HttpAnswer, sandbox::http::HttpFault> {
        self.stranger().get(&format!("https://{}{path}", self.ra), &[])
    }

    /// POST at the holders' listener.
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> HttpAnswer {
        self.stranger().post(&format!("https://{}{path}", self.ra), &[], content_type, body).unwrap()
    }

    /// A connection to the operators' listener as whoever has this certificate, or without one.
    pub fn operator(&self, identity: Option<ClientIdentity>) -> HttpClient {
        let ca_certificate_pem = Some(self.text("operators/server-ca.pem"));
        HttpClient::new(&HttpSettings { ca_certificate_pem, identity, ..HttpSettings::default() }).unwrap()
    }

    /// The client certificate of one of the first operators.
    pub fn identity(&self, name: &str) -> ClientIdentity {
        ClientIdentity {
            certificate_pem: self.text(&format!("operators/{name}.pem")),
            key_pem: self.text(&format!("operators/{name}.key.pem")),
        }
    }

    /// Where the back office pushes to.
    pub fn push_target(&self) -> PushTarget {
        PushTarget {
            url: format!("https://{}", self.operators),
            ca_certificate_pem: self.text("operators/server-ca.pem"),
            identity: self.identity("back-office"),
        }
    }

    /// The certificate, DER, of the CA of a kind, from the status service.
    pub fn ca(&self, kind: Kind) -> Vec<u8> {
        let http = HttpClient::new(&HttpSettings::default()).unwrap();
        let answer = http.get(&format!("http://{}/ca/{kind}-1.cer", self.status), &[]).unwrap();
        assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/pkix-cert"));
        answer.body
    }

    /// One of the first operators, at work.
    pub fn operator_named(&self, name: &str) -> Operator {
        let url = format!("https://{}", self.operators);
        Operator::new(&OperatorSettings::new(&url, &self.text("operators/server-ca.pem"), self.identity(name), RA_NAME)).unwrap()
    }

    /// A card, with keys that other cards of this test have, too: to make new ones takes its time.
    pub fn card(&self) -> Card {
        self.card_with(NewCard::default())
    }

    /// A card as wished, with such keys.
    pub fn card_with(&self, wish: NewCard) -> Card {
        Card::from_file(&self.back_office.new_card(&NewCard { pooled_keys: true, ..wish }).unwrap()).unwrap()
    }

    /// A wish that succeeds: both kinds, P-256, whatever there is replaced.
    pub fn wish(&self) -> ApplyWish {
        ApplyWish { replaces: Replaces::Any, ..ApplyWish::new(RA_NAME) }
    }

    /// A card's application that succeeds.
    pub fn apply(&self, card: &Card) -> Enrolment {
        sandbox::phone::apply(&self.phone(), card, &self.wish()).unwrap()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // Before the back office, which they would miss and complain about.
        self.processes.clear();
    }
}

/// A database without tables, for `tsunagi init` to make them.
fn empty_database(store: Store) -> Option<TestDatabase> {
    match store {
        Store::Sqlite => None,
        #[cfg(feature = "postgres")]
        Store::Postgres => {
            let database = TestDatabase::postgres();
            database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").unwrap();
            Some(database)
        }
    }
}
