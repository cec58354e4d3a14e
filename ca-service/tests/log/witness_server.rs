//! A witness as C2SP tlog-witness has it, and some that are not as they should be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use audit_log::{Checkpoint, Hash, LogVerifier, SignedCheckpoint, verify_consistency};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_service::WitnessSettings;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Honest,
    /// Its cosignature is of another text.
    Lying,
    /// It answers after so long.
    Slow(Duration),
    /// With this status.
    Failing(u16),
    /// It says that it has cosigned a tree of this size.
    Ahead(u64),
}

pub(crate) struct WitnessServer {
    pub(crate) settings: WitnessSettings,
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    key: Ed25519KeyPair,
    log: LogVerifier,
    manner: Mutex<Manner>,
    cosigned: Mutex<Option<SignedCheckpoint>>,
    /// How many questions came.
    questions: AtomicUsize,
    /// Statuses of the answers.
    answers: Mutex<Vec<u16>>,
}

impl WitnessServer {
    /// One that knows this log.
    pub(crate) fn start(name: &str, log: &LogVerifier) -> Self {
        let key = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let material = STANDARD.encode([[4].as_slice(), key.public_key().as_ref()].concat());
        let vkey = format!("{name}+{}+{material}", hex::encode(key_id(name, &key)));
        let (manner, cosigned, questions, answers) =
            (Mutex::new(Manner::Honest), Mutex::default(), AtomicUsize::default(), Mutex::default());
        let shared = Arc::new(Shared { name: name.to_owned(), key, log: log.clone(), manner, cosigned, questions, answers });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for connection in listener.incoming() {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.serve(connection.unwrap()));
                }
            }
        });
        Self { settings: WitnessSettings { url, key: vkey, monitoring_url: None, ca_file: None }, shared }
    }

    pub(crate) fn be(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// The size of the tree that it cosigned last.
    pub(crate) fn size(&self) -> u64 {
        self.shared.cosigned.lock().unwrap().as_ref().map_or(0, SignedCheckpoint::size)
    }

    /// How many questions it was asked, answered or not.
    pub(crate) fn questions(&self) -> usize {
        self.shared.questions.load(Ordering::SeqCst)
    }

    /// The statuses of its answers since the last time.
    pub(crate) fn answers(&self) -> Vec<u16> {
        std::mem::take(&mut *self.shared.answers.lock().unwrap())
    }
}

fn key_id(name: &str, key: &Ed25519KeyPair) -> [u8; 4] {
    let octets = [name.as_bytes(), b"\n\x04", key.public_key().as_ref()].concat();
    digest(&SHA256, &octets).as_ref()[..4].try_into().unwrap()
}

impl Shared {
    fn serve(&self, connection: TcpStream) {
        let mut reader = BufReader::new(&connection);
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).unwrap();
        let shown = line.strip_prefix("GET ").map(|rest| self.show(rest.split(' ').next().unwrap()));
        line.clear();
        while reader.read_line(&mut line).unwrap() > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let (status, answer) = shown.unwrap_or_else(|| {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            self.questions.fetch_add(1, Ordering::SeqCst);
            let answer = self.answer(&String::from_utf8(body).unwrap());
            self.answers.lock().unwrap().push(answer.0);
            answer
        });
        let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
        // Whoever asked may have gone.
        let _ = (&connection).write_all(format!("{head}{answer}").as_bytes());
    }

    /// What it shows to monitors.
    fn show(&self, path: &str) -> (u16, String) {
        let of_log = format!("/{}/checkpoint", hex::encode(digest(&SHA256, self.log.name().as_bytes())));
        match &*self.cosigned.lock().unwrap() {
            Some(cosigned) if path == of_log => (200, cosigned.note().to_owned()),
            _ => (404, String::new()),
        }
    }

    fn answer(&self, body: &str) -> (u16, String) {
        let manner = *self.manner.lock().unwrap();
        match manner {
            Manner::Failing(status) => return (status, String::new()),
            Manner::Ahead(size) => return (409, format!("{size}\n")),
            Manner::Slow(time) => thread::sleep(time),
            Manner::Honest | Manner::Lying => {}
        }
        let (head, note) = body.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old: u64 = lines.next().and_then(|line| line.strip_prefix("old ")).unwrap().parse().unwrap();
        let proof: Vec<Hash> = lines.map(|line| STANDARD.decode(line).unwrap().try_into().unwrap()).collect();
        let Ok(checkpoint) = Checkpoint::verify(note, &self.log) else { return (403, String::new()) };
        if old > checkpoint.size() {
            return (400, String::new());
        }
        let mut cosigned = self.cosigned.lock().unwrap();
        let known = cosigned.as_ref().map_or(0, SignedCheckpoint::size);
        if old != known {
            return (409, format!("{known}\n"));
        }
        let follows = match &*cosigned {
            None => proof.is_empty(),
            Some(known) => verify_consistency(&proof, old, known.root(), checkpoint.size(), checkpoint.root()).is_ok(),
        };
        if !follows {
            return (422, String::new());
        }
        let line = self.cosignature(checkpoint.text(), manner == Manner::Lying);
        *cosigned = Some(checkpoint);
        (200, line)
    }

    fn cosignature(&self, text: &str, is_lie: bool) -> String {
        let time = 1_795_270_000_u64;
        let said = if is_lie { text.replacen('\n', " \n", 1) } else { text.to_owned() };
        let signature = self.key.sign(format!("cosignature/v1\ntime {time}\n{said}").as_bytes());
        let octets = [key_id(&self.name, &self.key).as_slice(), &time.to_be_bytes(), signature.as_ref()].concat();
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(octets))
    }
}
