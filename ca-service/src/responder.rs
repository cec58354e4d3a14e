//! Responder certificates: renewed by the CA role well before they end, for the same key, so that the status service never
//! stands without one.

use ca_core::issuer::{Issuer, create_responder_certificate};
use ca_core::key::public_key_info;
use chrono::{DateTime, Duration, Utc};
use schema::authority::NewResponder;
use schema::intent::StoredIntents;
use schema::lease::Lease;
use schema::{Reader, Writer};

use crate::CaFault;
use crate::role::CaRole;

impl CaRole {
    /// Renews the responder certificate of each key generation of which less than a third of its life is left, a retired one's too: its
    /// answers are final, and are still asked for. One key that cannot sign keeps no other from it.
    pub(crate) fn renew_own_responders(&self) -> Result<(), CaFault> {
        let lease = self.current_lease()?;
        let (life, now) = (self.settings.responder_life, self.clock.now());
        let renew = |issuer| renew_responders(issuer, &self.reader, &self.writer, &lease, life, now);
        self.generations.iter().map(renew).fold(Ok(()), Result::and)
    }
}

/// Certifies again, for `life`, the responder key of `issuer`'s CA key if its certificate has less than a third of `life` left.
/// A CA key without any responder has none to renew.
fn renew_responders(
    issuer: &Issuer,
    reader: &Reader,
    writer: &Writer,
    lease: &Lease,
    life: Duration,
    now: DateTime<Utc>,
) -> Result<(), CaFault> {
    let ca_key = issuer.ca_key();
    let Some(responder) = reader.latest_responder(ca_key.id())? else {
        return Ok(());
    };
    let left = (responder.not_after - now).num_seconds().max(0) as f64 / life.num_seconds().max(1) as f64;
    metrics::gauge!("tsunagi_ca_responder_life_left", "ca_key" => ca_key.label()).set(left);
    // A CA key near its own end certifies no longer than that: then there is nothing to gain.
    if responder.not_after - now > life / 3 || responder.not_after >= ca_key.not_after() {
        return Ok(());
    }
    let mut ledger = StoredIntents::new(writer.clone(), now).under(lease.clone());
    let public_key_info = public_key_info(&responder.der).ok_or(CaFault::StoredResponder)?;
    let certificate = create_responder_certificate(issuer, &public_key_info, life, now, &mut ledger)
        .map_err(|fault| CaFault::Responder(Box::new(fault)))?;
    let certificate = NewResponder::from(&certificate);
    let lease = lease.clone();
    writer.write(move |tx| {
        tx.check_lease(&lease)?;
        tx.add_responder(&certificate, now)
    })?;
    tracing::info!(ca_key = ca_key.label(), "responder certificate renewed");
    Ok(())
}
