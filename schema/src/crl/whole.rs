//! Whole lists of a CA key's first shard, in memory.

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use chrono::{DateTime, Utc};

use super::{CRL_CHUNK_OCTETS, CrlCause, PublishedCrl};
use crate::event::EventPosition;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::transaction::Transaction;

/// A published CRL, or one to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCrl {
    /// The key that signed it.
    pub ca_key: CaKeyId,
    /// Its CRLNumber (RFC 5280 section 5.2.3), as reserved.
    pub number: u64,
    /// The CertificateList in DER.
    pub der: Vec<u8>,
    /// thisUpdate
    pub this_update: DateTime<Utc>,
    /// nextUpdate
    pub next_update: DateTime<Utc>,
    /// How many certificates it lists.
    pub entries: u64,
    /// Every event up to here is in the list.
    pub event_position: EventPosition,
}

impl Reader {
    /// The CRL that was published last for a CA key.
    pub fn latest_crl(&self, ca_key: CaKeyId) -> Result<Option<StoredCrl>, StoreFault> {
        self.latest_crl_in(ca_key, 0)?.map(|crl| self.whole(&crl)).transpose()
    }

    /// A published CRL.
    pub fn crl(&self, ca_key: CaKeyId, number: u64) -> Result<Option<StoredCrl>, StoreFault> {
        self.crl_in(ca_key, 0, number)?.map(|crl| self.whole(&crl)).transpose()
    }

    fn whole(&self, crl: &PublishedCrl) -> Result<StoredCrl, StoreFault> {
        let mut der = Vec::new();
        self.crl_chunks(crl.ca_key, crl.number, |chunk| -> Result<(), StoreFault> {
            der.extend_from_slice(chunk);
            Ok(())
        })?;
        let PublishedCrl { ca_key, number, this_update, next_update, entries, event_position, .. } = *crl;
        Ok(StoredCrl { ca_key, number, der, this_update, next_update, entries, event_position })
    }
}

impl Transaction<'_> {
    /// Reserves the next CRL number of a CA key: higher than any given out before, published or not.
    pub fn reserve_crl_number(&mut self, ca_key: CaKeyId, now: DateTime<Utc>) -> Result<u64, StoreFault> {
        self.reserve_crl_number_in(ca_key, 0, now)
    }

    /// Publishes a CRL under its reserved number; see [`Transaction::publish_crl_in`].
    pub fn publish_crl(&mut self, crl: &StoredCrl, now: DateTime<Utc>) -> Result<(), StoreFault> {
        for (sequence, chunk) in (0..).zip(crl.der.chunks(CRL_CHUNK_OCTETS)) {
            self.append_crl_chunk(crl.ca_key, crl.number, sequence, chunk)?;
        }
        let StoredCrl { ca_key, number, this_update, next_update, entries, event_position, .. } = *crl;
        let (octets, sha256) = (crl.der.len() as u64, Sha256Digest::of(&crl.der));
        let cause = CrlCause::Regular;
        let crl = PublishedCrl { ca_key, shard: 0, number, this_update, next_update, entries, octets, sha256, event_position, cause };
        self.publish_crl_in(&crl, now)
    }
}
