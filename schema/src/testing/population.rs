//! Very many certificates at once, to measure with: rows as issuance leaves them, under the CA keys of an initialised store and with
//! every constraint on, but without certificates' bodies, links to cards, applications and events.

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKey;
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, TimeDelta, Utc};

use crate::codes;
use crate::connection::{AnyConnection, Purpose, Session};
use crate::database::{Database, OpenOptions};
use crate::fault::StoreFault;
use crate::location::Location;
use crate::sql::sql;

/// Rows in one statement: what is taken to pieces is walked through from its beginning for each.
const STATEMENT_ROWS: usize = 1_000;
/// Rows in one transaction.
const TRANSACTION_ROWS: usize = 500_000;

/// Which certificates are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Population {
    /// How many. Their numbers are 0 to this less one.
    pub certificates: u64,
    /// Of which kinds, in turns: number 0 is of the first, number 1 of the second, if there is one.
    pub kinds: Vec<CertificateKind>,
    /// Of a million, so many are revoked.
    pub revoked_per_million: u32,
    /// Over how many CRL shards of each CA key they are spread, 1 to 4096.
    pub shards: u16,
}

/// What was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Populated {
    /// Certificates, each with its recorded intent.
    pub certificates: u64,
    /// Those among them that are revoked.
    pub revoked: u64,
    /// Holders: each has one certificate of each kind.
    pub holders: u64,
}

/// The serial number of a population's certificate: the first 20 octets of the SHA-256 of `tsunagi population` and the number as 8
/// octets (big endian), with the top bit cleared, and with 1 for a first octet that is zero.
pub fn population_serial(number: u64) -> SerialNumber {
    SerialNumber::from_magnitude(&drawn(number).0).expect("20 octets, the first from 1 to 127")
}

/// Whether a population's certificate is among the revoked: the four octets of that SHA-256 after the serial number's, as a share of
/// 2^32, are below the share asked for.
pub fn population_is_revoked(number: u64, revoked_per_million: u32) -> bool {
    is_below(drawn(number).1, revoked_per_million)
}

fn drawn(number: u64) -> ([u8; 20], u32) {
    let mut text = *b"tsunagi population\0\0\0\0\0\0\0\0";
    text[18..].copy_from_slice(&number.to_be_bytes());
    let digest = Sha256Digest::of(&text).0;
    let (mut serial, mut share) = ([0; 20], [0; 4]);
    serial.copy_from_slice(&digest[..20]);
    share.copy_from_slice(&digest[20..24]);
    serial[0] = (serial[0] & 0x7f).max(1);
    (serial, u32::from_be_bytes(share))
}

fn is_below(share: u32, revoked_per_million: u32) -> bool {
    u64::from(share) * 1_000_000 < u64::from(revoked_per_million) << 32
}

/// Makes a population in an initialised store that has none, as of `now`; `progress` is told how many certificates are there so far.
///
/// They are stored by rising serial number, which is many times faster than by number and leaves fuller pages. Needs 24 octets of memory
/// for each certificate of a kind.
pub fn populate(url: &str, population: &Population, now: DateTime<Utc>, mut progress: impl FnMut(u64)) -> Result<Populated, StoreFault> {
    let database = Database::open(url, &OpenOptions::default())?;
    let ca_keys = newest(&database.reader().ca_keys()?, &population.kinds)?;
    for key in &ca_keys {
        let (key, shards) = (key.id(), population.shards);
        database.writer().write(move |tx| tx.open_crl_shards(key, shards, now))?;
    }
    let mut session = Session::connect(&Location::parse(url)?, Purpose::Write)?;
    if matches!(session.connection, AnyConnection::Sqlite(_)) {
        session.batch("PRAGMA cache_size = -262144; PRAGMA synchronous = NORMAL")?;
    }
    let first_holder = sql("SELECT COALESCE(MAX(id), 0) + 1 FROM holder").optional(&mut session, |row| row.big())?.unwrap_or(1);
    let mut made = Populated::default();
    for (turn, ca_key) in ca_keys.iter().enumerate() {
        let numbers = (turn as u64..population.certificates).step_by(ca_keys.len());
        let mut drawn: Vec<([u8; 20], bool)> = numbers
            .map(|number| {
                let (serial, share) = drawn(number);
                (serial, is_below(share, population.revoked_per_million))
            })
            .collect();
        drawn.sort_unstable();
        let mut holder = first_holder;
        for transaction in drawn.chunks(TRANSACTION_ROWS) {
            session.batch(session.begin_statement())?;
            for rows in transaction.chunks(STATEMENT_ROWS) {
                let new_holders = i64::try_from(made.holders).unwrap_or(i64::MAX) <= holder - first_holder;
                insert(&mut session, rows, ca_key, population.shards, holder, new_holders, now)?;
                holder += rows.len() as i64;
                made.certificates += rows.len() as u64;
                made.revoked += rows.iter().filter(|(_, is_revoked)| *is_revoked).count() as u64;
                made.holders = made.holders.max(u64::try_from(holder - first_holder).unwrap_or(0));
                progress(made.certificates);
            }
            session.batch("COMMIT")?;
        }
    }
    // What is planned by the numbers of rows is to be planned by these.
    session.batch(match session.connection {
        AnyConnection::Sqlite(_) => "PRAGMA wal_checkpoint(TRUNCATE)",
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => "VACUUM ANALYZE",
    })?;
    Ok(made)
}

/// The newest CA key of each kind.
fn newest(ca_keys: &[CaKey], kinds: &[CertificateKind]) -> Result<Vec<CaKey>, StoreFault> {
    let newest = |kind: &CertificateKind| ca_keys.iter().filter(|key| key.kind() == *kind).max_by_key(|key| key.generation()).cloned();
    kinds.iter().map(|kind| newest(kind).ok_or(StoreFault::Misuse("there is no CA key of a kind that is to be made"))).collect()
}

fn insert(
    session: &mut Session,
    rows: &[([u8; 20], bool)],
    ca_key: &CaKey,
    shards: u16,
    first_holder: i64,
    new_holders: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreFault> {
    // The statements take a few long values to pieces, which is faster than very many short ones.
    const NUMBERS: &str = "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)";
    let count = i64::try_from(rows.len()).map_err(|_| StoreFault::Misuse("too many rows"))?;
    let serials: Vec<u8> = rows.iter().flat_map(|(serial, _)| *serial).collect();
    if new_holders {
        let text = format!("{NUMBERS} INSERT INTO holder (id, holder_id) SELECT ? + n, 'population-' || CAST(? + n AS TEXT) FROM numbers");
        sql(text).bind(count).bind(first_holder).bind(first_holder).execute(session)?;
    }
    sql(format!(
        "{NUMBERS} INSERT INTO issuance_intent (kind, serial, ca_key_id, tbs_sha256, application_id, recorded_at) \
         SELECT ?, substr(?, n * 20 + 1, 20), ?, ?, NULL, ? FROM numbers"
    ))
    .bind(count)
    .bind(ca_key.kind())
    .bind(serials.as_slice())
    .bind(ca_key.id().0)
    .bind(&Sha256Digest([0; 32]))
    .bind(now)
    .execute(session)?;

    let marks: String = rows.iter().map(|(_, is_revoked)| if *is_revoked { '1' } else { '0' }).collect();
    let shards: String = rows.iter().map(|(serial, _)| format!("{:04}", shard(serial, shards))).collect();
    // Issued over the last four years for five, revoked a day later at least.
    let year = TimeDelta::days(365).num_milliseconds();
    let inserted = sql(format!(
        "{NUMBERS}, made AS (SELECT n, substr(?, n * 20 + 1, 20) AS serial, CAST(substr(?, n * 4 + 1, 4) AS SMALLINT) AS shard, \
         substr(?, n + 1, 1) = '1' AS is_revoked, ? - CAST(n % 1400 + 1 AS BIGINT) * 90000000 AS not_before FROM numbers) \
         INSERT INTO certificate (kind, ca_key_id, serial, shard, holder, state, reason, revoked_at, invalidity_at, not_before, not_after) \
         SELECT ?, ?, serial, shard, ? + n, CASE WHEN is_revoked THEN 3 ELSE 1 END, \
         CASE WHEN NOT is_revoked THEN NULL WHEN n % 8 = 0 THEN 1 WHEN n % 8 < 4 THEN 4 WHEN n % 8 < 7 THEN 5 ELSE 0 END, \
         CASE WHEN is_revoked THEN not_before + 86400000 END, CASE WHEN is_revoked AND n % 8 = 0 THEN not_before + 43200000 END, \
         not_before, not_before + ? FROM made"
    ))
    .bind(count)
    .bind(serials.as_slice())
    .bind(shards.as_str())
    .bind(marks.as_str())
    .bind(codes::whole_seconds(now))
    .bind(ca_key.kind())
    .bind(ca_key.id().0)
    .bind(first_holder)
    .bind(5 * year)
    .execute(session)?;
    if inserted == rows.len() { Ok(()) } else { Err(StoreFault::Corrupt("an insert of other rows")) }
}

/// The CRL shard of a serial number: its last four octets, big endian, modulo the number of shards, as at issuance.
fn shard(serial: &[u8; 20], shards: u16) -> u32 {
    let mut last = [0; 4];
    last.copy_from_slice(&serial[16..]);
    u32::from_be_bytes(last) % u32::from(shards.max(1))
}
