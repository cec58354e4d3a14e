//! The card CA's status service with somebody in between, who passes questions on or answers something else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use sandbox::http::{HttpClient, HttpSettings};

/// What was asked.
pub struct Question {
    /// `/ocsp/signature`, or `/crl/signature/….crl`.
    pub path: String,
    /// The OCSPRequest, or nothing.
    pub body: Vec<u8>,
}

/// What to do about it.
pub enum Reply {
    /// Ask the real one.
    Forward,
    /// Answer this, with status 200.
    Content(Vec<u8>),
    /// Answer this status and nothing.
    Status(u16),
}

type Rule = Box<dyn Fn(&Question) -> Reply + Send>;

/// Listens, on loopback, until the test ends.
#[derive(Clone)]
pub struct CardStatusDesk {
    address: SocketAddr,
    rule: Arc<Mutex<Rule>>,
}

impl CardStatusDesk {
    /// Stands before the status service at `upstream`; passes everything on, at first.
    pub fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let desk = Self { address: listener.local_addr().unwrap(), rule: Arc::new(Mutex::new(Box::new(|_| Reply::Forward))) };
        let (rule, upstream) = (Arc::clone(&desk.rule), upstream.to_owned());
        let http = HttpClient::new(&HttpSettings::default()).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (rule, upstream, http) = (Arc::clone(&rule), upstream.clone(), http.clone());
                std::thread::spawn(move || drop(serve(stream, &rule, &upstream, &http)));
            }
        });
        desk
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, this rule holds.
    pub fn rule(&self, rule: impl Fn(&Question) -> Reply + Send + 'static) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    /// From now on, everything is passed on.
    pub fn forward(&self) {
        self.rule(|_| Reply::Forward);
    }
}

fn serve(stream: TcpStream, rule: &Mutex<Rule>, upstream: &str, http: &HttpClient) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let question = Question { path, body };
    let reply = (rule.lock().unwrap_or_else(PoisonError::into_inner))(&question);
    let (status, content) = match reply {
        Reply::Content(content) => (200, content),
        Reply::Status(status) => (status, Vec::new()),
        Reply::Forward => {
            let url = format!("{upstream}{}", question.path);
            let answer = match question.body.is_empty() {
                true => http.get(&url, &[]),
                false => http.post(&url, &[], "application/ocsp-request", &question.body),
            };
            answer.map_or((502, Vec::new()), |answer| (answer.status, answer.body))
        }
    };
    let kind = if question.path.starts_with("/crl/") { "application/pkix-crl" } else { "application/ocsp-response" };
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", content.len());
    let stream = reader.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(&content)?;
    stream.flush()
}
