//! The CRL shards that new certificates name.

use std::sync::PoisonError;

use crate::CaFault;
use crate::role::CaRole;

impl CaRole {
    /// Opens the shards over which the issuers spread their certificates: what a certificate names is there before the certificate. Once for each
    /// time that this process takes the lead; what is open stays so.
    pub(crate) fn open_shards(&self) -> Result<(), CaFault> {
        let lease = self.current_lease()?;
        let mut opened = self.shards_opened.lock().unwrap_or_else(PoisonError::into_inner);
        if *opened == Some(lease.epoch) {
            return Ok(());
        }
        let shards: Vec<_> = self.issuers.values().map(|issuer| (issuer.ca_key().id(), issuer.shards().get())).collect();
        let now = self.clock.now();
        let new = self.write(move |tx| {
            let opened = shards.iter().map(|(ca_key, count)| tx.open_crl_shards(*ca_key, *count, now));
            opened.sum::<Result<usize, _>>()
        })?;
        if new > 0 {
            tracing::info!(new, "CRL shards were opened");
        }
        *opened = Some(lease.epoch);
        Ok(())
    }
}
