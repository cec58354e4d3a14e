//! Pushes events to the operators' listener, in order, until they are acknowledged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::desk::Desk;
use super::events::{CardEvent, EventsPushed};
use crate::http::{ClientIdentity, HttpClient, HttpFault, HttpSettings};

/// Most events of one push.
const LARGEST_PUSH: usize = 100;
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where to push, and as whom.
#[derive(Debug, Clone)]
pub struct PushTarget {
    /// The operators' listener: `https://127.0.0.1:8444`; `/v1/card-events` is appended.
    pub url: String,
    /// PEM of the CA of the listener's certificate.
    pub ca_certificate_pem: String,
    /// The back office's client certificate.
    pub identity: ClientIdentity,
}

/// The pushing thread's orders.
#[derive(Debug, Default)]
pub(crate) struct Push {
    target: Mutex<Option<(String, HttpClient)>>,
    stopping: AtomicBool,
}

impl Push {
    pub(crate) fn set_target(&self, target: Option<&PushTarget>) -> Result<(), HttpFault> {
        let client = target.map(|target| {
            let settings = HttpSettings {
                ca_certificate_pem: Some(target.ca_certificate_pem.clone()),
                identity: Some(target.identity.clone()),
                timeout: Duration::from_secs(10),
            };
            let url = format!("{}/v1/card-events", target.url.trim_end_matches('/'));
            Ok::<_, HttpFault>((url, HttpClient::new(&settings)?))
        });
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = client.transpose()?;
        Ok(())
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    fn target(&self) -> Option<(String, HttpClient)> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs until stopped. A refusal is retried like a failure: what is not acknowledged has not been told.
pub(crate) fn run(desk: &Arc<Desk>, push: &Push) {
    let mut pause = SHORTEST_PAUSE;
    while !push.stopping.load(Ordering::SeqCst) {
        let (next, events) = desk.registry().telling.to_push(LARGEST_PUSH);
        let sent = match (push.target(), events.is_empty()) {
            (Some((url, client)), false) => send(&client, &url, events),
            _ => {
                pause = SHORTEST_PAUSE;
                wait(desk, pause);
                continue;
            }
        };
        if sent {
            pause = SHORTEST_PAUSE;
            let mut registry = desk.registry();
            registry.telling.pushed = registry.telling.pushed.max(next);
            drop(registry);
            if let Err(fault) = desk.keep() {
                tracing::warn!(%fault, "the push position could not be kept");
            }
        } else {
            std::thread::sleep(pause.min(Duration::from_millis(500)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn wait(desk: &Desk, pause: Duration) {
    let registry = desk.registry();
    drop(desk.changed.wait_timeout(registry, pause));
}

fn send(client: &HttpClient, url: &str, events: Vec<CardEvent>) -> bool {
    let Ok(body) = serde_json::to_vec(&EventsPushed { events }) else { return false };
    match client.post(url, &[], "application/json", &body) {
        Ok(answer) if (200..300).contains(&answer.status) => true,
        Ok(answer) => {
            tracing::warn!(status = answer.status, "the operators' listener refused card events");
            false
        }
        Err(fault) => {
            tracing::debug!(%fault, "card events could not be pushed");
            false
        }
    }
}
