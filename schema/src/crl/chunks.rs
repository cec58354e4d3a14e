//! A CRL's octets, stored and fetched in pieces.

use ca_core::issuer::CaKeyId;

use crate::codes;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

impl Reader {
    /// Gives a published list's octets piece by piece, in order, each in a look of its own; how many octets there were: none if the
    /// list is not there, or pruned.
    pub fn crl_chunks<E: From<StoreFault>>(
        &self,
        ca_key: CaKeyId,
        number: u64,
        mut visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut octets = 0;
        for sequence in 0.. {
            let Some(chunk) = self.crl_chunk(ca_key, number, sequence)? else { break };
            visit(&chunk)?;
            octets += chunk.len() as u64;
        }
        Ok(octets)
    }

    fn crl_chunk(&self, ca_key: CaKeyId, number: u64, sequence: i32) -> Result<Option<Vec<u8>>, StoreFault> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        self.read(|session| {
            sql("SELECT p.octets FROM crl_chunk AS p JOIN crl AS l ON l.ca_key_id = p.ca_key_id AND l.number = p.number \
                 WHERE p.ca_key_id = ? AND p.number = ? AND p.sequence = ? AND l.state = 2")
            .bind(ca_key.0)
            .bind(number)
            .bind(sequence)
            .optional(session, |row| row.bytes())
        })
    }
}

impl Transaction<'_> {
    /// Stores the next piece of a list under its reserved number: 1 octet to 16 MiB; pieces count from 0 on.
    ///
    /// Errors: [`StoreFault::Misuse`] if the number is not reserved, or the list published already; a fault of class `Unique` if the
    /// piece is there.
    pub fn append_crl_chunk(&mut self, ca_key: CaKeyId, number: u64, sequence: u32, octets: &[u8]) -> Result<(), StoreFault> {
        let sequence = i32::try_from(sequence).map_err(|_| StoreFault::Misuse("too many pieces of a CRL"))?;
        let number = codes::stored(number)?;
        // What is published does not change: its row is locked until the piece is there.
        let lock = self.session.share_lock();
        sql(format!("SELECT state FROM crl WHERE ca_key_id = ? AND number = ?{lock}"))
            .bind(ca_key.0)
            .bind(number)
            .optional(self.session, |row| row.small())?
            .filter(|state| *state == codes::RESERVED)
            .ok_or(StoreFault::Misuse("the CRL's number is not reserved, or its list is published already"))?;
        sql("INSERT INTO crl_chunk (ca_key_id, number, sequence, octets) VALUES (?, ?, ?, ?)")
            .bind(ca_key.0)
            .bind(number)
            .bind(sequence)
            .bind(octets)
            .execute(self.session)?;
        Ok(())
    }
}
