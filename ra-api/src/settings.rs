//! Settings of the two listeners.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The bounds of one listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerSettings {
    /// Requests under way at once; one more is answered 503. Default 1,024.
    pub concurrent_requests: usize,
    /// Connections open at once, for each worker. Default 4,096.
    pub connections: usize,
    /// Requests each second from one client address (an IPv6 network /64 counts as one) in the long run; 0 for no limit.
    /// Default 50.
    pub requests_per_second: u32,
    /// Requests at once from one client address before the rate counts. Default 200.
    pub requests_at_once: u32,
    /// Milliseconds for a TLS handshake. Default 5,000.
    pub handshake_timeout_ms: u64,
    /// Milliseconds for a request's head to arrive. Default 5,000.
    pub head_timeout_ms: u64,
    /// Milliseconds for a request's body to arrive. Default 10,000.
    pub body_timeout_ms: u64,
    /// Milliseconds until a request is answered 503 if it is not answered otherwise. Default 40,000.
    pub request_timeout_ms: u64,
    /// Seconds an idle connection is kept. Default 30.
    pub keep_alive_seconds: u64,
    /// Worker threads; 0 for as many as there are cores. Default 0.
    pub workers: usize,
    /// Threads of each worker for work that blocks (verification, the store, the back office). Default 128.
    pub blocking_threads: usize,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            concurrent_requests: 1_024,
            connections: 4_096,
            requests_per_second: 50,
            requests_at_once: 200,
            handshake_timeout_ms: 5_000,
            head_timeout_ms: 5_000,
            body_timeout_ms: 10_000,
            request_timeout_ms: 40_000,
            keep_alive_seconds: 30,
            workers: 0,
            blocking_threads: 128,
        }
    }
}

impl ListenerSettings {
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    fn check(&self) -> Result<(), SettingsRefusal> {
        let positive = [
            ("concurrent_requests", self.concurrent_requests as u64),
            ("connections", self.connections as u64),
            ("handshake_timeout_ms", self.handshake_timeout_ms),
            ("head_timeout_ms", self.head_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("blocking_threads", self.blocking_threads as u64),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(SettingsRefusal(format!("{name} must be more than 0")));
        }
        if self.body_timeout_ms >= self.request_timeout_ms {
            return Err(SettingsRefusal("body_timeout_ms must be less than request_timeout_ms".into()));
        }
        Ok(())
    }

    /// A request that waits for the CA must be answered before its time is up.
    fn check_wait(&self, decision_wait_ms: u64) -> Result<(), SettingsRefusal> {
        if self.body_timeout_ms.saturating_add(decision_wait_ms) < self.request_timeout_ms {
            return Ok(());
        }
        Err(SettingsRefusal("body_timeout_ms and decision_wait_ms together must be less than request_timeout_ms".into()))
    }
}

/// The public listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HolderSettings {
    /// Its bounds.
    pub listener: ListenerSettings,
    /// Octets of an application at most. Default 65,536: the card's certificate and two RSA-4096 requests have about 6,000.
    pub application_octets: usize,
    /// Octets of an instruction at most, and never more than 65,536. Default 32,768: signer, two more certificates and a push
    /// token have about 10,000.
    pub instruction_octets: usize,
    /// Octets of a report of a compromised key at most, and never more than 65,536. Default 8,192: a PKCS#10 with RSA-8192 has
    /// about 2,200.
    pub key_compromise_octets: usize,
    /// Octets of a phone's answer to a command at most, and never more than 8,192. Default 4,096.
    pub command_result_octets: usize,
    /// Milliseconds that the answer to an application or an instruction waits for the CA's decision before it is 202. Default
    /// 10,000.
    pub decision_wait_ms: u64,
}

/// What the store takes of an instruction.
const INSTRUCTION_OCTETS: usize = 65_536;
/// What the store takes of a phone's answer to a command.
const COMMAND_RESULT_OCTETS: usize = 8_192;

impl Default for HolderSettings {
    fn default() -> Self {
        Self {
            listener: ListenerSettings::default(),
            application_octets: 64 << 10,
            instruction_octets: 32 << 10,
            key_compromise_octets: 8 << 10,
            command_result_octets: 4 << 10,
            decision_wait_ms: 10_000,
        }
    }
}

impl HolderSettings {
    /// Checks the numbers against each other.
    pub fn check(&self) -> Result<(), SettingsRefusal> {
        self.listener.check()?;
        if self.application_octets == 0 {
            return Err(SettingsRefusal("application_octets must be more than 0".into()));
        }
        check_octets("instruction_octets", self.instruction_octets, INSTRUCTION_OCTETS)?;
        check_octets("key_compromise_octets", self.key_compromise_octets, INSTRUCTION_OCTETS)?;
        check_octets("command_result_octets", self.command_result_octets, COMMAND_RESULT_OCTETS)?;
        self.listener.check_wait(self.decision_wait_ms)
    }
}

/// The operators' listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperatorSettings {
    /// Its bounds.
    pub listener: ListenerSettings,
    /// Octets of a delivery of card events at most. Default 1 MiB.
    pub card_events_octets: usize,
    /// Card events in one delivery at most. Default 1,000.
    pub card_events: usize,
    /// Octets of an instruction at most, and never more than 65,536. Default 32,768.
    pub instruction_octets: usize,
    /// Milliseconds that the answer to an instruction waits for the CA's decision before it is 202. Default 10,000.
    pub decision_wait_ms: u64,
}

impl Default for OperatorSettings {
    fn default() -> Self {
        Self {
            listener: ListenerSettings::default(),
            card_events_octets: 1 << 20,
            card_events: 1_000,
            instruction_octets: 32 << 10,
            decision_wait_ms: 10_000,
        }
    }
}

impl OperatorSettings {
    /// Checks the numbers against each other.
    pub fn check(&self) -> Result<(), SettingsRefusal> {
        self.listener.check()?;
        if self.card_events == 0 || self.card_events_octets == 0 {
            return Err(SettingsRefusal("card_events and card_events_octets must be more than 0".into()));
        }
        check_octets("instruction_octets", self.instruction_octets, INSTRUCTION_OCTETS)?;
        self.listener.check_wait(self.decision_wait_ms)
    }
}

fn check_octets(name: &str, octets: usize, most: usize) -> Result<(), SettingsRefusal> {
    if (1..=most).contains(&octets) { Ok(()) } else { Err(SettingsRefusal(format!("{name} must be 1 to {most}"))) }
}

/// Settings that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsRefusal(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_do_not_contradict_each_other() {
        HolderSettings::default().check().unwrap();
        OperatorSettings::default().check().unwrap();
    }

    #[test]
    fn waiting_longer_for_a_decision_than_a_request_may_last_is_refused() {
        let settings = HolderSettings { decision_wait_ms: 30_000, ..HolderSettings::default() };
        assert!(settings.check().unwrap_err().to_string().contains("decision_wait_ms"));
        let settings = OperatorSettings { decision_wait_ms: 30_000, ..OperatorSettings::default() };
        assert!(settings.check().unwrap_err().to_string().contains("decision_wait_ms"));
    }

    #[test]
    fn what_the_store_would_not_take_is_not_let_in() {
        for (settings, name) in [
            (HolderSettings { instruction_octets: 65_537, ..HolderSettings::default() }, "instruction_octets"),
            (HolderSettings { key_compromise_octets: 0, ..HolderSettings::default() }, "key_compromise_octets"),
            (HolderSettings { command_result_octets: 8_193, ..HolderSettings::default() }, "command_result_octets"),
        ] {
            assert!(settings.check().unwrap_err().to_string().starts_with(name));
        }
    }
}
