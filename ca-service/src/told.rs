//! What an event tells of a certificate, for those who follow events.

use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use schema::Event;
use schema::certificate::CertificateId;

/// A certificate as its events name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToldCertificate {
    pub(crate) id: CertificateId,
    pub(crate) kind: CertificateKind,
    pub(crate) ca_key: CaKeyId,
    pub(crate) serial: SerialNumber,
}

impl ToldCertificate {
    /// The certificate that an event is about; `None`, with an alarm, if the event does not name one as it should. A follower
    /// passes such an event over: to stop at it would keep everything after it from being done.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let told = Self::read(event);
        if told.is_none() {
            metrics::counter!("tsunagi_ca_events_unreadable_total").increment(1);
            tracing::error!(position = event.position.0, "an event does not name its certificate, and nobody is told of it");
        }
        told
    }

    fn read(event: &Event) -> Option<Self> {
        let word = |key: &str| event.data.get(key)?.as_str();
        let ca_key = event.data.get("ca_key")?.as_i64()?;
        Some(Self {
            id: event.certificate?,
            kind: word("kind")?.parse().ok()?,
            ca_key: CaKeyId(i32::try_from(ca_key).ok()?),
            serial: SerialNumber::from_hex(word("serial")?).ok()?,
        })
    }
}

/// A word of an event's data.
pub(crate) fn word<'e>(event: &'e Event, key: &str) -> Option<&'e str> {
    event.data.get(key)?.as_str()
}
