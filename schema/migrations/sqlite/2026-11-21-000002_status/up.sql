-- Revocation status for very many certificates: lists in shards and pieces, what a restored database has forgotten, and how long
-- revocations took to be told. More codes (src/codes.rs):
--   crl.cause                 first, regular, revocation, final
--   revocation_latency.stage  1 told by OCSP, 2 on a CRL
--   test_certificate.status   1 good, 2 revoked, 3 held, 4 expired

-- The epoch rises when a database is found restored: positions of different epochs do not compare.
ALTER TABLE store_meta ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1 CHECK (epoch >= 1);
-- Since when it is restored and not yet reconciled with what was published before.
ALTER TABLE store_meta ADD COLUMN reconciling_since INTEGER;

-- When it was retired: nothing is issued with it any more, and nothing that it issued stands.
ALTER TABLE ca_key ADD COLUMN retired_at INTEGER;

-- The CRL shards that certificates of a CA key name or may name. They are never closed: a certificate names its own for ever.
CREATE TABLE crl_shard (
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    shard INTEGER NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    opened_at INTEGER NOT NULL,
    PRIMARY KEY (ca_key_id, shard)
) STRICT, WITHOUT ROWID;
INSERT INTO crl_shard (ca_key_id, shard, opened_at) SELECT id, 0, added_at FROM ca_key;
CREATE TRIGGER crl_shard_stays BEFORE DELETE ON crl_shard BEGIN
    SELECT RAISE(ABORT, 'a CRL shard is never closed');
END;
CREATE TRIGGER crl_shard_keeps_its_name BEFORE UPDATE OF ca_key_id, shard ON crl_shard BEGIN
    SELECT RAISE(ABORT, 'a CRL shard is never closed');
END;

ALTER TABLE certificate ADD COLUMN shard INTEGER NOT NULL DEFAULT 0 CHECK (shard BETWEEN 0 AND 4095);
ALTER TABLE certificate ADD COLUMN invalidity_at INTEGER CHECK (invalidity_at IS NULL OR revoked_at IS NOT NULL);
-- A foreign key (ca_key_id, shard) to crl_shard, which cannot be added to a table that is there.
CREATE TRIGGER certificate_in_open_shard BEFORE INSERT ON certificate
WHEN NOT EXISTS (SELECT 1 FROM crl_shard WHERE ca_key_id = NEW.ca_key_id AND shard = NEW.shard) BEGIN
    SELECT RAISE(ABORT, 'the certificate names a CRL shard that is not open');
END;
CREATE TRIGGER certificate_stays_in_its_shard BEFORE UPDATE OF ca_key_id, shard ON certificate BEGIN
    SELECT RAISE(ABORT, 'a certificate''s CA key and CRL shard do not change');
END;
DROP INDEX certificate_revoked;
-- Everything that a CRL needs, in its order.
CREATE INDEX certificate_revoked ON certificate (ca_key_id, shard, serial, revoked_at, reason, not_after, invalidity_at)
    WHERE state IN (2, 3);
DROP INDEX certificate_ending;
-- With the CA key, so that what still stands of one is counted without a look at the table.
CREATE INDEX certificate_ending ON certificate (not_after, ca_key_id) WHERE state IN (1, 2);

-- The lists, with what they are called by, are copied into a table with more columns and rules; their octets into pieces.
ALTER TABLE crl RENAME TO former_crl;
CREATE TABLE crl (
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    shard INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (1, 2)),
    reserved_at INTEGER NOT NULL,
    -- What it was made for.
    cause TEXT CHECK (cause IN ('first', 'regular', 'revocation', 'final')),
    this_update INTEGER,
    next_update INTEGER,
    entries INTEGER CHECK (entries >= 0),
    -- Every event up to here is in the list.
    event_position INTEGER CHECK (event_position >= 0),
    -- Of the whole list in DER: length and SHA-256.
    octets INTEGER CHECK (octets >= 1),
    sha256 BLOB CHECK (octet_length(sha256) = 32),
    -- When its pieces were removed.
    pruned_at INTEGER,
    -- When and why it was not published.
    failed_at INTEGER,
    failure TEXT CHECK (octet_length(failure) BETWEEN 1 AND 1000),
    PRIMARY KEY (ca_key_id, number),
    FOREIGN KEY (ca_key_id, shard) REFERENCES crl_shard (ca_key_id, shard),
    CHECK ((state = 2) = (cause IS NOT NULL)),
    CHECK ((state = 2) = (this_update IS NOT NULL)),
    CHECK ((state = 2) = (next_update IS NOT NULL)),
    CHECK ((state = 2) = (entries IS NOT NULL)),
    CHECK ((state = 2) = (event_position IS NOT NULL)),
    CHECK ((state = 2) = (octets IS NOT NULL)),
    CHECK ((state = 2) = (sha256 IS NOT NULL)),
    CHECK ((failed_at IS NULL) = (failure IS NULL)),
    CHECK (state = 1 OR failure IS NULL),
    CHECK (next_update IS NULL OR next_update > this_update)
) STRICT;
INSERT INTO crl (ca_key_id, number, shard, state, reserved_at, cause, this_update, next_update, entries, event_position, octets, sha256)
    SELECT f.ca_key_id, f.number, 0, f.state, f.reserved_at, iif(f.state = 2, 'regular', NULL), f.this_update, f.next_update, f.entries,
        f.event_position, octet_length(b.der), sha256(b.der)
    FROM former_crl AS f LEFT JOIN crl_body AS b ON b.ca_key_id = f.ca_key_id AND b.number = f.number;
CREATE TABLE crl_chunk (
    ca_key_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    -- Its place, from 0 on.
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    octets BLOB NOT NULL CHECK (octet_length(octets) BETWEEN 1 AND 16777216),
    PRIMARY KEY (ca_key_id, number, sequence),
    FOREIGN KEY (ca_key_id, number) REFERENCES crl (ca_key_id, number)
) STRICT;
WITH RECURSIVE piece (ca_key_id, number, sequence) AS (
    SELECT ca_key_id, number, 0 FROM crl_body
    UNION ALL
    SELECT p.ca_key_id, p.number, p.sequence + 1 FROM piece AS p JOIN crl_body AS b ON b.ca_key_id = p.ca_key_id AND b.number = p.number
    WHERE (p.sequence + 1) * 1048576 < octet_length(b.der)
)
INSERT INTO crl_chunk (ca_key_id, number, sequence, octets)
    SELECT p.ca_key_id, p.number, p.sequence, substr(b.der, p.sequence * 1048576 + 1, 1048576)
    FROM piece AS p JOIN crl_body AS b ON b.ca_key_id = p.ca_key_id AND b.number = p.number;
DROP TABLE crl_body;
DROP TABLE former_crl;
CREATE INDEX crl_published ON crl (ca_key_id, shard, number) WHERE state = 2;
CREATE INDEX crl_kept ON crl (ca_key_id, shard, number) WHERE pruned_at IS NULL;

-- Revoked by a published list, and unknown to this database since it was restored. Listed and told as revoked until the CA key ends.
CREATE TABLE forgotten_revocation (
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    serial BLOB NOT NULL CHECK (octet_length(serial) BETWEEN 1 AND 20),
    shard INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL,
    reason INTEGER NOT NULL CHECK (reason IN (0, 1, 2, 3, 4, 5, 6, 9, 10)),
    invalidity_at INTEGER,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (ca_key_id, serial),
    FOREIGN KEY (ca_key_id, shard) REFERENCES crl_shard (ca_key_id, shard)
) STRICT, WITHOUT ROWID;
CREATE INDEX forgotten_revocation_by_shard ON forgotten_revocation (ca_key_id, shard, serial);

-- How long revocations took from their commit until they were told, by the minute in which they were committed.
CREATE TABLE revocation_latency (
    stage INTEGER NOT NULL CHECK (stage IN (1, 2)),
    -- Unix minutes.
    minute INTEGER NOT NULL CHECK (minute >= 0),
    count INTEGER NOT NULL CHECK (count >= 0),
    sum_milliseconds INTEGER NOT NULL CHECK (sum_milliseconds >= 0),
    max_milliseconds INTEGER NOT NULL CHECK (max_milliseconds BETWEEN 0 AND sum_milliseconds),
    -- How many took no longer than each of the bounds in src/latency.rs, and longer than the bound before.
    buckets TEXT NOT NULL CHECK (octet_length(buckets) <= 4096 AND json_valid(buckets)),
    -- How many more were given up: they were not told in time.
    lost INTEGER NOT NULL CHECK (lost >= 0),
    PRIMARY KEY (stage, minute),
    CHECK (count + lost >= 1)
) STRICT, WITHOUT ROWID;

-- Certificates that nobody holds, with which relying parties try their checks.
CREATE TABLE test_certificate (
    certificate_id INTEGER PRIMARY KEY REFERENCES certificate (id),
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    status INTEGER NOT NULL CHECK (status IN (1, 2, 3, 4)),
    der BLOB NOT NULL CHECK (octet_length(der) BETWEEN 1 AND 65536),
    made_at INTEGER NOT NULL
) STRICT;
CREATE INDEX test_certificate_by_status ON test_certificate (ca_key_id, status, certificate_id);
