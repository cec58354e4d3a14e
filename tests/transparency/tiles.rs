//! Tiles and checkpoint over HTTP: judged by the specification (C2SP tlog-tiles, tlog-checkpoint), and searched for what must not be in them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use audit_log::tile::parse_entry_bundle;
use audit_log::{Checkpoint, Commitment, LogVerifier, SignedCheckpoint, TileFault, TileKind, TilePath, TileSource, tree_root};
use ca_core::digest::Sha256Digest;
use sandbox::kind::Kind;
use sandbox::phone::Enrolment;

use crate::receipts::log_key;
use crate::support::{Installation, until};

/// What an answer brought.
struct Given {
    status: u16,
    headers: ureq::http::HeaderMap,
    octets: Vec<u8>,
}

impl Given {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The log of a status service.
struct Log {
    agent: ureq::Agent,
    url: String,
}

impl Log {
    fn of(installation: &Installation) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        Self { agent, url: format!("http://{}/log", installation.status) }
    }

    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Given {
        let request =
            headers.iter().fold(self.agent.get(format!("{}/{path}", self.url)), |request, (name, value)| request.header(*name, *value));
        let mut answer = request.call().unwrap();
        Given { status: answer.status().as_u16(), headers: answer.headers().clone(), octets: answer.body_mut().read_to_vec().unwrap() }
    }

    fn get(&self, path: &str) -> Given {
        self.get_with(path, &[])
    }

    /// The checkpoint, verified.
    fn checkpoint(&self, key: &LogVerifier) -> SignedCheckpoint {
        let given = self.get("checkpoint");
        assert_eq!((given.status, given.header("content-type")), (200, "text/plain; charset=utf-8"));
        Checkpoint::verify(std::str::from_utf8(&given.octets).unwrap(), key).unwrap()
    }

    fn tile(&self, path: TilePath) -> Vec<u8> {
        let given = self.get(&path.to_string());
        assert_eq!((given.status, given.header("content-type")), (200, "application/octet-stream"), "{path}");
        given.octets
    }
}

impl TileSource for Log {
    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, TileFault> {
        Ok(Log::tile(self, TilePath { kind: TileKind::Hashes { level }, number, width }))
    }

    fn commitments(&self, first: u64, count: usize) -> Result<Vec<Commitment>, TileFault> {
        assert_eq!(first % 256, 0);
        let path = TilePath { kind: TileKind::Entries, number: first / 256, width: count.try_into().unwrap() };
        parse_entry_bundle(&Log::tile(self, path)).ok_or(TileFault::Damaged(path))
    }
}

fn verifier(installation: &Installation) -> LogVerifier {
    LogVerifier::parse(&log_key(installation)).unwrap()
}

/// The published checkpoint, once it covers all that has happened so far.
fn settled(installation: &Installation) -> SignedCheckpoint {
    let (log, key) = (Log::of(installation), verifier(installation));
    let state = || installation.reader().store_state().unwrap().position;
    until("a checkpoint of everything", || {
        let (position, shown) = (state(), installation.json(&["log", "show"]));
        let covered = shown["position"].as_i64() == Some(position.0) && shown["note"]["size"] == shown["size"];
        let checkpoint = log.get("checkpoint").status == 200;
        let checkpoint = checkpoint.then(|| log.checkpoint(&key))?;
        (covered && shown["size"].as_u64() == Some(checkpoint.size()) && state() == position).then_some(checkpoint)
    })
}

/// What must not be found in anything public: octets, and of what.
pub(crate) struct Shown(Vec<(Vec<u8>, String)>);

/// More than a full tile of events.
pub(crate) fn grow(installation: &Installation) -> Shown {
    let mut secret = Vec::new();
    let mut add = |octets: &[u8], what: &str| secret.push((octets.to_vec(), what.to_owned()));
    for number in 0..60 {
        let card = installation.card();
        let enrolment: Enrolment = installation.apply(&card);
        add(card.holder_id.as_deref().unwrap().as_bytes(), "a holder's id");
        add(enrolment.application_id.as_bytes(), "an application's digest");
        add(&hex::decode(&enrolment.application_id).unwrap(), "an application's digest");
        for enrolled in &enrolment.certificates {
            let serial = hex::decode(&enrolled.serial).unwrap();
            add(&serial, "a serial number");
            add(enrolled.serial.as_bytes(), "a serial number");
            add(enrolled.serial.to_lowercase().as_bytes(), "a serial number");
            let digest = Sha256Digest::of(&enrolled.certificate);
            add(digest.as_bytes(), "a certificate's digest");
            add(digest.to_string().as_bytes(), "a certificate's digest");
        }
        if number % 20 == 0 {
            let serial = &enrolment.of(Kind::Signature).unwrap().serial;
            let held = installation.command(&["certificate", "hold", serial, "--cause", "phone-lost", "--ticket", "a test of the log"]);
            assert!(held.status.success(), "{}", crate::support::said(&held));
        }
    }
    for (_, side) in installation.card().sides() {
        add(&side.certificate[..40], "a card certificate");
    }
    for word in ["a test of the log", "administrator", "call-centre", "signature", "authentication", "certificate.issued"] {
        add(word.as_bytes(), word);
    }
    Shown(secret)
}

pub(crate) fn lead_to_the_root_of_the_checkpoint(installation: &Installation) {
    let (log, checkpoint) = (Log::of(installation), settled(installation));
    let size = checkpoint.size();
    assert!(size > 256, "{size} leaves are no full tile");
    assert_eq!(tree_root(&log, size).unwrap(), *checkpoint.root());
    // Each entry hashes to its leaf, and full tiles to the level above.
    for number in 0..size.div_ceil(256) {
        let width = (size - number * 256).min(256) as u16;
        let leaves = Log::tile(&log, TilePath { kind: TileKind::Hashes { level: 0 }, number, width });
        let entries = log.commitments(number * 256, width.into()).unwrap();
        assert_eq!(leaves, entries.iter().flat_map(Commitment::leaf_hash).collect::<Vec<u8>>());
    }
    // What is narrower is the beginning of what is wider.
    let full = log.get("tile/0/000").octets;
    assert_eq!(full.len(), 8_192);
    for width in [1, 17, 255] {
        assert_eq!(log.get(&format!("tile/0/000.p/{width}")).octets, full[..32 * width]);
    }
}

pub(crate) fn are_cached_by_what_they_are(installation: &Installation) {
    let log = Log::of(installation);
    settled(installation);
    for (path, caching) in [
        ("checkpoint", "public, max-age=1, must-revalidate"),
        ("tile/0/000", "public, max-age=31536000, immutable, no-transform"),
        ("tile/entries/000", "public, max-age=31536000, immutable, no-transform"),
        ("tile/1/000.p/1", "public, max-age=31536000, immutable, no-transform"),
    ] {
        let given = log.get(path);
        assert_eq!((given.status, given.header("cache-control")), (200, caching), "{path}");
        assert_eq!(given.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(given.header("content-encoding"), "", "{path}");
        let tag = given.header("etag").to_owned();
        let again = log.get_with(path, &[("If-None-Match", &tag)]);
        // Unless there is a new checkpoint meanwhile.
        assert!(again.status == 304 && again.octets.is_empty() || again.header("etag") != tag, "{path}: {}", again.status);
        assert_eq!(log.get_with(path, &[("If-None-Match", "\"other\"")]).status, 200, "{path}");
        let head = log.agent.head(format!("{}/{path}", log.url)).call().unwrap();
        assert_eq!(head.status(), 200, "{path}");
        assert!(head.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap() > 0, "{path}");
    }
    let post = log.agent.post(format!("{}/checkpoint", log.url)).send("").unwrap();
    assert_eq!(post.status(), 405);
}

pub(crate) fn have_no_other_paths(installation: &Installation) {
    let log = Log::of(installation);
    let size = settled(installation).size();
    let (last, width) = (size / 256, size % 256);
    let beyond = [
        format!("tile/0/{last:03}"),
        format!("tile/0/{last:03}.p/{}", width + 200),
        format!("tile/entries/{last:03}"),
        "tile/1/000".to_owned(),
        "tile/2/000.p/1".to_owned(),
        "tile/7/000.p/1".to_owned(),
        "tile/0/x018/x446/x744/x073/x709/x551/615".to_owned(),
        "tile/63/000.p/1".to_owned(),
    ];
    // Sent as they stand: a client would tidy them up.
    let hostile = [
        "tile/0/../0/000",
        "tile/../checkpoint",
        "tile/0/%30%30%30",
        "tile/0/000%00",
        "tile/%2e%2e/%2e%2e/tsunagi.sqlite",
        "tile/0/..%2f..%2fsettings.toml",
        "tile//0/000",
        "tile/0/000/",
        "tile/0/0",
        "tile/00/000",
        "tile/0/x000/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/entries/..",
        "tile/",
        "tile",
        "",
        ".lock",
        ".incoming",
        "checkpoint/",
        "checkpoint%00",
        "tile/18446744073709551616/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/000.p/99999999999999999999",
        "tile/-1/000",
    ];
    for path in beyond.iter().map(String::as_str).chain(hostile) {
        assert_eq!(raw(installation, &format!("/log/{path}")), 404, "{path}");
    }
    // No URI at all (RFC 3986).
    assert_eq!(raw(installation, "/log/tile/0/\u{fffd}"), 400);
    let long = format!("/log/tile/0/{}000", "x001/".repeat(5_000));
    assert_eq!(raw(installation, &long), 404);
    assert_eq!(log.get("checkpoint").status, 200, "it serves as before");
}

/// `scripts/verify-log`, which shares no line with us.
pub(crate) fn hold_for_a_program_of_the_specifications_alone(installation: &Installation) {
    let (key, size) = (log_key(installation), settled(installation).size());
    let said = verify_log(&["log", &key, &Log::of(installation).url]);
    let leaves: u64 = said.split("tiles of ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(said.starts_with("holds") && leaves >= size, "{said}");
    assert_eq!(verify_log(&["log", &key, installation.place().join("log").to_str().unwrap()]).split(':').next(), Some("holds"));
}

/// What `scripts/verify-log` says, if it holds.
pub(crate) fn verify_log(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/verify-log");
    let output = std::process::Command::new(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", crate::support::said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The status of an answer to a request line that is sent as it stands.
fn raw(installation: &Installation, path: &str) -> u16 {
    let mut stream = TcpStream::connect(installation.status).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: log\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let line = String::from_utf8_lossy(&answer);
    line.split(' ').nth(1).unwrap_or_else(|| panic!("no answer to {path}: {line}")).parse().unwrap()
}

/// Neither the directory nor anything that HTTP gives has anything of anybody.
pub(crate) fn show_nobody(installation: &Installation, shown: &Shown) {
    let checkpoint = settled(installation);
    let mut public = vec![("the checkpoint over HTTP".to_owned(), Log::of(installation).get("checkpoint").octets)];
    collect(&installation.place().join("log"), &mut public);
    assert!(public.len() > 5, "{:?}", public.iter().map(|(name, _)| name).collect::<Vec<_>>());
    let octets: usize = public.iter().map(|(_, octets)| octets.len()).sum();
    assert!(octets > 66 * usize::try_from(checkpoint.size()).unwrap(), "{octets} octets for {} leaves", checkpoint.size());
    for (secret, what) in &shown.0 {
        assert!(secret.len() >= 8, "{what} would be found by chance");
        for (name, octets) in &public {
            assert!(!octets.windows(secret.len()).any(|window| window == secret), "{what} is in {name}");
        }
    }
    // Two leaves never look alike, whatever happened.
    let mut leaves: Vec<[u8; 32]> = Vec::new();
    for number in 0..checkpoint.size().div_ceil(256) {
        let width = (checkpoint.size() - number * 256).min(256);
        let entries = Log::of(installation).commitments(number * 256, width as usize).unwrap();
        leaves.extend(entries.iter().map(|entry| entry.0));
    }
    leaves.sort_unstable();
    assert!(leaves.windows(2).all(|two| two[0] != two[1]));
}

fn collect(directory: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[cfg(feature = "postgres")]
pub(crate) fn come_through_the_store_to_a_status_machine() {
    use crate::support::{Store, free_addresses};

    let mut installation = Installation::prepare(Store::Postgres);
    installation.set("ra.limits.listener.requests_per_second", "0");
    let [ra_telemetry, status_telemetry] = free_addresses();
    let mut ca = installation.start_role("ca", &["ca"], None);
    let _ra = installation.start_role("ra", &["ra"], Some(ra_telemetry));
    let elsewhere = installation.scratch().join("status-log");
    installation.set("log.directory", elsewhere.to_str().unwrap());
    let mut status = installation.start_role("status", &["status"], Some(status_telemetry));
    installation.await_ready(ra_telemetry);
    installation.await_ready(status_telemetry);
    installation.await_beacon();
    for _ in 0..3 {
        installation.apply(&installation.card());
    }
    let first = settled(&installation);
    assert_eq!(tree_root(&Log::of(&installation), first.size()).unwrap(), *first.root());
    assert!(elsewhere.join("checkpoint").is_file(), "it has no directory of its own");

    // Without a CA it gives out what it has, and again from its files when it starts anew.
    assert!(ca.stop().success());
    assert!(status.stop().success());
    let _status = installation.start_role("status-again", &["status"], Some(status_telemetry));
    installation.await_ready(status_telemetry);
    let key = verifier(&installation);
    let kept = Log::of(&installation).checkpoint(&key);
    assert!(kept.size() >= first.size());
    assert_eq!(tree_root(&Log::of(&installation), kept.size()).unwrap(), *kept.root());

    // A store whose tiles are not those of its checkpoint brings nothing to it.
    schema::testing::tamper_with(&installation.store_url(), "UPDATE log_leaf SET commitment = sha256(commitment) WHERE leaf = 1").unwrap();
    std::fs::remove_dir_all(&elsewhere).unwrap();
    until("the mirror says so", || installation.logs().contains("do not lead to the root").then_some(()));
    assert_eq!(Log::of(&installation).get("checkpoint").status, 404);
}
