//! The witness's listener.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

use super::{Cosigner, KnownLog, Records, WitnessFault, routes};
use crate::keys::sha256;

/// Octets of a request at most: a checkpoint with many signatures and a proof of 63 lines.
const REQUEST_OCTETS: usize = 128 << 10;

/// How to run a witness.
#[derive(Debug, Clone)]
pub struct WitnessSettings {
    /// Where it answers, by plain HTTP: what it says is signed. Port 0: any.
    pub listen: SocketAddr,
    /// Where its key and its records lie; made if it does not exist.
    pub directory: PathBuf,
    /// Its name, which is its key's.
    pub name: String,
    /// Verifier keys of the logs that it cosigns.
    pub logs: Vec<String>,
}

/// A running witness. Dropping it stops it.
pub struct Witness {
    records: Arc<Records>,
    url: String,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
    /// Keeps the directory for this one witness.
    _lock: File,
}

impl Witness {
    /// Starts it on a thread of its own; its listener is bound when this returns.
    pub fn start(settings: &WitnessSettings) -> Result<Self, WitnessFault> {
        let directory = &settings.directory;
        let at = |path: PathBuf| move |source| WitnessFault::File { path, source };
        fs::create_dir_all(directory).map_err(at(directory.clone()))?;
        let lock = File::create(directory.join("lock")).map_err(at(directory.join("lock")))?;
        lock.try_lock().map_err(|_| WitnessFault::Running(directory.clone()))?;
        let cosigner = Cosigner::open(&directory.join("witness.key.pem"), &settings.name)?;
        let records = Arc::new(Records::open(directory, cosigner, KnownLog::parse(&settings.logs)?)?);
        let failed = |reason: String| WitnessFault::Listen { address: settings.listen.to_string(), reason };
        let listener = TcpListener::bind(settings.listen).map_err(|error| failed(error.to_string()))?;
        let url = format!("http://{}", listener.local_addr().map_err(|error| failed(error.to_string()))?);
        let (thread, server) = serve(listener, records.clone()).map_err(failed)?;
        Ok(Self { records, url, server, thread: Some(thread), _lock: lock })
    }

    /// `http://ADDRESS:PORT`: the submission prefix and the monitoring prefix in one.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The verifier key that its cosignatures are known by.
    pub fn vkey(&self) -> String {
        self.records.cosigner().vkey()
    }

    /// The origins of the logs that it cosigns.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.records.logs().iter().map(KnownLog::origin)
    }

    /// The latest cosigned checkpoint of a log.
    pub fn checkpoint(&self, origin: &str) -> Option<String> {
        let note = self.records.checkpoint(&hex::encode(sha256(origin.as_bytes())))?;
        String::from_utf8(note).ok()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // The order to stop is sent by the call itself; the future only waits for it.
        drop(self.server.stop(false));
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the witness's thread failed");
        }
    }
}

fn serve(listener: TcpListener, records: Arc<Records>) -> Result<(JoinHandle<()>, ServerHandle), String> {
    let (started, starting) = mpsc::channel();
    let body = move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let limit = web::PayloadConfig::new(REQUEST_OCTETS);
                App::new().app_data(web::Data::new(records.clone())).app_data(limit).configure(routes::register)
            });
            let server = match server.workers(1).disable_signals().shutdown_timeout(1).listen(listener) {
                Ok(server) => server.run(),
                Err(error) => {
                    drop(started.send(Err(error.to_string())));
                    return;
                }
            };
            drop(started.send(Ok(server.handle())));
            if server.await.is_err() {
                tracing::error!("the witness's listener failed");
            }
        });
    };
    let thread = std::thread::Builder::new().name("witness".to_owned()).spawn(body).map_err(|error| error.to_string())?;
    match starting.recv() {
        Ok(Ok(handle)) => Ok((thread, handle)),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err("the server thread ended".to_owned()),
    }
}
