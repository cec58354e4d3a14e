-- Revocation status for very many certificates: lists in shards and pieces, what a restored database has forgotten, and how long
-- revocations took to be told. More codes (src/codes.rs):
--   crl.cause                 first, regular, revocation, final
--   revocation_latency.stage  1 told by OCSP, 2 on a CRL
--   test_certificate.status   1 good, 2 revoked, 3 held, 4 expired

-- The epoch rises when a database is found restored: positions of different epochs do not compare.
ALTER TABLE store_meta ADD COLUMN epoch BIGINT NOT NULL DEFAULT 1 CHECK (epoch >= 1);
-- Since when it is restored and not yet reconciled with what was published before.
ALTER TABLE store_meta ADD COLUMN reconciling_since BIGINT;

-- When it was retired: nothing is issued with it any more, and nothing that it issued stands.
ALTER TABLE ca_key ADD COLUMN retired_at BIGINT;

-- The CRL shards that certificates of a CA key name or may name. They are never closed: a certificate names its own for ever.
CREATE TABLE crl_shard (
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    shard SMALLINT NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    opened_at BIGINT NOT NULL,
    PRIMARY KEY (ca_key_id, shard)
);
INSERT INTO crl_shard (ca_key_id, shard, opened_at) SELECT id, 0, added_at FROM ca_key;

ALTER TABLE certificate ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0 CHECK (shard BETWEEN 0 AND 4095);
ALTER TABLE certificate ADD COLUMN invalidity_at BIGINT CHECK (invalidity_at IS NULL OR revoked_at IS NOT NULL);
ALTER TABLE certificate ADD FOREIGN KEY (ca_key_id, shard) REFERENCES crl_shard (ca_key_id, shard);
DROP INDEX certificate_revoked;
-- Everything that a CRL needs, in its order.
CREATE INDEX certificate_revoked ON certificate (ca_key_id, shard, serial) INCLUDE (revoked_at, reason, not_after, invalidity_at)
    WHERE state IN (2, 3);
DROP INDEX certificate_ending;
-- With the CA key, so that what still stands of one is counted without a look at the table.
CREATE INDEX certificate_ending ON certificate (not_after, ca_key_id) WHERE state IN (1, 2);

ALTER TABLE crl ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE crl ALTER COLUMN shard DROP DEFAULT;
ALTER TABLE crl ADD FOREIGN KEY (ca_key_id, shard) REFERENCES crl_shard (ca_key_id, shard);
-- What it was made for.
ALTER TABLE crl ADD COLUMN cause TEXT CHECK (cause IN ('first', 'regular', 'revocation', 'final'));
-- Of the whole list in DER: length and SHA-256.
ALTER TABLE crl ADD COLUMN octets BIGINT CHECK (octets >= 1);
ALTER TABLE crl ADD COLUMN sha256 BYTEA CHECK (octet_length(sha256) = 32);
-- When its pieces were removed.
ALTER TABLE crl ADD COLUMN pruned_at BIGINT;
-- When and why it was not published.
ALTER TABLE crl ADD COLUMN failed_at BIGINT;
ALTER TABLE crl ADD COLUMN failure TEXT CHECK (octet_length(failure) BETWEEN 1 AND 1000);
ALTER TABLE crl ADD CHECK ((failed_at IS NULL) = (failure IS NULL));
ALTER TABLE crl ADD CHECK (state = 1 OR failure IS NULL);
UPDATE crl SET cause = 'regular', octets = octet_length(b.der), sha256 = sha256(b.der)
    FROM crl_body AS b WHERE b.ca_key_id = crl.ca_key_id AND b.number = crl.number AND crl.state = 2;
ALTER TABLE crl ADD CHECK ((state = 2) = (cause IS NOT NULL));
ALTER TABLE crl ADD CHECK ((state = 2) = (octets IS NOT NULL));
ALTER TABLE crl ADD CHECK ((state = 2) = (sha256 IS NOT NULL));
DROP INDEX crl_published;
CREATE INDEX crl_published ON crl (ca_key_id, shard, number) WHERE state = 2;
CREATE INDEX crl_kept ON crl (ca_key_id, shard, number) WHERE pruned_at IS NULL;

CREATE TABLE crl_chunk (
    ca_key_id INTEGER NOT NULL,
    number BIGINT NOT NULL,
    -- Its place, from 0 on.
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    octets BYTEA NOT NULL CHECK (octet_length(octets) BETWEEN 1 AND 16777216),
    PRIMARY KEY (ca_key_id, number, sequence),
    FOREIGN KEY (ca_key_id, number) REFERENCES crl (ca_key_id, number)
);
-- Revoked certificates do not compress: trying costs more than it saves.
ALTER TABLE crl_chunk ALTER COLUMN octets SET STORAGE EXTERNAL;
INSERT INTO crl_chunk (ca_key_id, number, sequence, octets)
    SELECT b.ca_key_id, b.number, piece, substr(b.der, piece * 1048576 + 1, 1048576)
    FROM crl_body AS b, generate_series(0, (octet_length(b.der) - 1) / 1048576) AS piece;
DROP TABLE crl_body;

-- Revoked by a published list, and unknown to this database since it was restored. Listed and told as revoked until the CA key ends.
CREATE TABLE forgotten_revocation (
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    serial BYTEA NOT NULL CHECK (octet_length(serial) BETWEEN 1 AND 20),
    shard SMALLINT NOT NULL,
    revoked_at BIGINT NOT NULL,
    reason SMALLINT NOT NULL CHECK (reason IN (0, 1, 2, 3, 4, 5, 6, 9, 10)),
    invalidity_at BIGINT,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (ca_key_id, serial),
    FOREIGN KEY (ca_key_id, shard) REFERENCES crl_shard (ca_key_id, shard)
);
CREATE INDEX forgotten_revocation_by_shard ON forgotten_revocation (ca_key_id, shard, serial);

-- How long revocations took from their commit until they were told, by the minute in which they were committed.
CREATE TABLE revocation_latency (
    stage SMALLINT NOT NULL CHECK (stage IN (1, 2)),
    -- Unix minutes.
    minute BIGINT NOT NULL CHECK (minute >= 0),
    count BIGINT NOT NULL CHECK (count >= 0),
    sum_milliseconds BIGINT NOT NULL CHECK (sum_milliseconds >= 0),
    max_milliseconds BIGINT NOT NULL CHECK (max_milliseconds BETWEEN 0 AND sum_milliseconds),
    -- How many took no longer than each of the bounds in src/latency.rs, and longer than the bound before.
    buckets TEXT NOT NULL CHECK (octet_length(buckets) <= 4096 AND buckets::json IS NOT NULL),
    -- How many more were given up: they were not told in time.
    lost BIGINT NOT NULL CHECK (lost >= 0),
    PRIMARY KEY (stage, minute),
    CHECK (count + lost >= 1)
);

-- Certificates that nobody holds, with which relying parties try their checks.
CREATE TABLE test_certificate (
    certificate_id BIGINT PRIMARY KEY REFERENCES certificate (id),
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    status SMALLINT NOT NULL CHECK (status IN (1, 2, 3, 4)),
    der BYTEA NOT NULL CHECK (octet_length(der) BETWEEN 1 AND 65536),
    made_at BIGINT NOT NULL
);
CREATE INDEX test_certificate_by_status ON test_certificate (ca_key_id, status, certificate_id);
ALTER TABLE test_certificate ALTER COLUMN der SET STORAGE EXTERNAL;
