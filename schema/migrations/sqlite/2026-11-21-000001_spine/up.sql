-- The spine. Times are Unix milliseconds (UTC). Codes of small integers, the same on both databases (src/codes.rs):
--   kind               1 signature, 2 authentication
--   certificate.state  1 live, 2 held, 3 revoked, 4 expired
--   application.state  1 accepted, 2 issued, 3 refused
--   card_state.state   1 good, 2 revoked
--   crl.state          1 reserved, 2 published
--   reason             CRLReason numbers (RFC 5280 section 5.3.1)
-- What the registration authority may write is checked so far that reading it back cannot fail: a broken-into one must not
-- stop those who follow events or take work.

CREATE TABLE store_meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    instance_id TEXT NOT NULL CHECK (octet_length(instance_id) = 32),
    created_at INTEGER NOT NULL
) STRICT;

-- One row for each key generation of each issuer.
CREATE TABLE ca_key (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 2147483647),
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    generation INTEGER NOT NULL CHECK (generation >= 1),
    certificate BLOB NOT NULL CHECK (octet_length(certificate) BETWEEN 1 AND 65536),
    key_identifier BLOB NOT NULL UNIQUE CHECK (octet_length(key_identifier) BETWEEN 1 AND 64),
    crl_url TEXT NOT NULL,
    ocsp_url TEXT NOT NULL,
    ca_url TEXT NOT NULL,
    not_after INTEGER NOT NULL,
    -- The highest CRL number ever given out: it only rises, so no number is given out twice.
    last_crl_number INTEGER NOT NULL DEFAULT 0 CHECK (last_crl_number >= 0),
    added_at INTEGER NOT NULL,
    UNIQUE (kind, generation)
) STRICT;

-- OCSP responder certificates, each signed by the key it answers for.
CREATE TABLE responder (
    id INTEGER PRIMARY KEY,
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    serial BLOB NOT NULL CHECK (octet_length(serial) BETWEEN 1 AND 20),
    certificate BLOB NOT NULL CHECK (octet_length(certificate) BETWEEN 1 AND 65536),
    public_key_sha256 BLOB NOT NULL CHECK (octet_length(public_key_sha256) = 32),
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL CHECK (not_after > not_before),
    added_at INTEGER NOT NULL,
    UNIQUE (ca_key_id, serial)
) STRICT;

CREATE TABLE beacon (
    value BLOB PRIMARY KEY CHECK (octet_length(value) = 32),
    drawn_at INTEGER NOT NULL
) STRICT;
CREATE INDEX beacon_by_time ON beacon (drawn_at);

CREATE TABLE application (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    challenge BLOB NOT NULL UNIQUE CHECK (octet_length(challenge) = 48),
    state INTEGER NOT NULL DEFAULT 1 CHECK (state IN (1, 2, 3)),
    accepted_at INTEGER NOT NULL CHECK (accepted_at BETWEEN 0 AND 253402300799999),
    decided_at INTEGER,
    refusal_code TEXT,
    refusal_detail TEXT,
    ticket_hash BLOB NOT NULL CHECK (octet_length(ticket_hash) = 32),
    CHECK ((state = 1) = (decided_at IS NULL)),
    CHECK ((state = 3) = (refusal_code IS NOT NULL)),
    CHECK ((refusal_code IS NULL) = (refusal_detail IS NULL))
) STRICT;
CREATE INDEX application_waiting ON application (id) WHERE state = 1;

-- A card CA's CRL, once for the many applications that rest on it.
CREATE TABLE card_crl (
    sha256 BLOB PRIMARY KEY CHECK (octet_length(sha256) = 32),
    der BLOB NOT NULL CHECK (octet_length(der) <= 16777216)
) STRICT;

-- The card-signed message and everything its acceptance rests on. Holds personal data.
CREATE TABLE application_evidence (
    application_id INTEGER PRIMARY KEY REFERENCES application (id),
    cms BLOB NOT NULL CHECK (octet_length(cms) <= 65536),
    holder_id TEXT NOT NULL CHECK (octet_length(holder_id) BETWEEN 1 AND 255),
    signature_ocsp BLOB CHECK (octet_length(signature_ocsp) <= 16384),
    signature_crl BLOB REFERENCES card_crl (sha256),
    authentication_certificate BLOB CHECK (octet_length(authentication_certificate) <= 8192),
    authentication_ocsp BLOB CHECK (octet_length(authentication_ocsp) <= 16384),
    authentication_crl BLOB REFERENCES card_crl (sha256),
    CHECK ((signature_ocsp IS NULL) <> (signature_crl IS NULL)),
    CHECK (authentication_ocsp IS NULL OR authentication_crl IS NULL),
    CHECK ((authentication_certificate IS NULL) = (authentication_ocsp IS NULL AND authentication_crl IS NULL))
) STRICT;

CREATE TABLE holder (
    id INTEGER PRIMARY KEY,
    holder_id TEXT NOT NULL UNIQUE CHECK (octet_length(holder_id) BETWEEN 1 AND 255)
) STRICT;

-- A serial number and the digest of what is to be signed, recorded before the signature is made.
CREATE TABLE issuance_intent (
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    serial BLOB NOT NULL CHECK (octet_length(serial) BETWEEN 1 AND 20),
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    tbs_sha256 BLOB NOT NULL CHECK (octet_length(tbs_sha256) = 32),
    application_id INTEGER REFERENCES application (id),
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (kind, serial)
) STRICT, WITHOUT ROWID;

-- The status table: narrow, for it is asked most.
CREATE TABLE certificate (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    serial BLOB NOT NULL CHECK (octet_length(serial) BETWEEN 1 AND 20),
    holder INTEGER NOT NULL REFERENCES holder (id),
    state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4)),
    reason INTEGER CHECK (reason IN (0, 1, 2, 3, 4, 5, 6, 9, 10)),
    revoked_at INTEGER,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL CHECK (not_after > not_before),
    CHECK ((state IN (2, 3)) = (revoked_at IS NOT NULL)),
    CHECK ((reason IS NULL) = (revoked_at IS NULL)),
    CHECK ((state = 2) = (reason IS NOT NULL AND reason = 6)),
    -- A certificate exists only where its intent was recorded first.
    FOREIGN KEY (kind, serial) REFERENCES issuance_intent (kind, serial)
) STRICT;
CREATE UNIQUE INDEX certificate_by_serial ON certificate (serial, kind);
-- At most one live certificate of each kind for each holder; a held one counts as live.
CREATE UNIQUE INDEX certificate_one_live ON certificate (holder, kind) WHERE state IN (1, 2);
CREATE INDEX certificate_by_holder ON certificate (holder);
CREATE INDEX certificate_revoked ON certificate (ca_key_id, serial) WHERE state IN (2, 3);

CREATE TABLE certificate_body (
    certificate_id INTEGER PRIMARY KEY REFERENCES certificate (id),
    application_id INTEGER NOT NULL REFERENCES application (id),
    der BLOB NOT NULL CHECK (octet_length(der) BETWEEN 1 AND 65536),
    policy_sha256 BLOB NOT NULL CHECK (octet_length(policy_sha256) = 32)
) STRICT;
CREATE INDEX certificate_body_by_application ON certificate_body (application_id);

-- What is known of each card certificate that certificates are linked to or that was reported revoked.
CREATE TABLE card_state (
    id INTEGER PRIMARY KEY,
    issuer_key_id BLOB NOT NULL CHECK (octet_length(issuer_key_id) BETWEEN 1 AND 64),
    serial BLOB NOT NULL CHECK (octet_length(serial) BETWEEN 1 AND 20),
    state INTEGER NOT NULL DEFAULT 1 CHECK (state IN (1, 2)),
    reason INTEGER CHECK (reason IN (0, 1, 2, 3, 4, 5, 9, 10)),
    revoked_at INTEGER,
    -- The highest sequence number of any event of this card; NULL before the first.
    last_sequence INTEGER,
    CHECK ((state = 2) = (revoked_at IS NOT NULL)),
    CHECK ((reason IS NULL) = (revoked_at IS NULL)),
    UNIQUE (issuer_key_id, serial)
) STRICT;

-- The directoryName (Name in DER) of a card CA's CRL distribution points.
CREATE TABLE card_distribution_point (
    id INTEGER PRIMARY KEY,
    issuer_key_id BLOB NOT NULL CHECK (octet_length(issuer_key_id) BETWEEN 1 AND 64),
    name_sha256 BLOB NOT NULL CHECK (octet_length(name_sha256) = 32),
    name BLOB NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 8192),
    UNIQUE (issuer_key_id, name_sha256)
) STRICT;

-- Which card certificate a certificate hangs on.
CREATE TABLE link (
    certificate_id INTEGER PRIMARY KEY REFERENCES certificate (id),
    card_id INTEGER NOT NULL REFERENCES card_state (id),
    card_sha256 BLOB NOT NULL CHECK (octet_length(card_sha256) = 32),
    distribution_point_id INTEGER REFERENCES card_distribution_point (id)
) STRICT;
CREATE INDEX link_by_card ON link (card_id);

-- Every public key ever certified (SHA-256 of its SubjectPublicKeyInfo).
CREATE TABLE certified_key (
    spki_sha256 BLOB PRIMARY KEY CHECK (octet_length(spki_sha256) = 32),
    certified_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The CA's own record of redeemed challenges; the RA cannot write it.
CREATE TABLE spent_challenge (
    challenge BLOB PRIMARY KEY CHECK (octet_length(challenge) = 48),
    spent_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE card_event_inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE CHECK (octet_length(event_id) BETWEEN 1 AND 255),
    issuer_key_id BLOB NOT NULL CHECK (octet_length(issuer_key_id) BETWEEN 1 AND 64),
    -- As it is read back: no octets too many in front, and never negative.
    serial BLOB NOT NULL CHECK (
        octet_length(serial) BETWEEN 1 AND 20
        AND (octet_length(serial) = 1 OR substr(serial, 1, 1) <> x'00')
        AND (octet_length(serial) < 20 OR substr(serial, 1, 1) < x'80')
    ),
    sequence INTEGER NOT NULL,
    reason INTEGER NOT NULL CHECK (reason IN (0, 1, 2, 3, 4, 5, 9, 10)),
    occurred_at INTEGER NOT NULL CHECK (occurred_at BETWEEN 0 AND 253402300799999),
    source INTEGER NOT NULL CHECK (source IN (1, 2, 3)),
    received_at INTEGER NOT NULL CHECK (received_at BETWEEN 0 AND 253402300799999),
    applied_at INTEGER
) STRICT;
CREATE INDEX card_event_waiting ON card_event_inbox (id) WHERE applied_at IS NULL;

-- Refusals of the RA after a valid card signature; the CA role makes events of them.
CREATE TABLE rejection (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL CHECK (octet_length(digest) = 32),
    code TEXT NOT NULL CHECK (octet_length(code) BETWEEN 1 AND 64),
    rejected_at INTEGER NOT NULL CHECK (rejected_at BETWEEN 0 AND 253402300799999)
) STRICT;

CREATE TABLE feed_cursor (
    name TEXT PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 64),
    cursor TEXT NOT NULL CHECK (octet_length(cursor) <= 1024)
) STRICT;

-- Positions have no gaps and rise in the order of commits: the counter is updated last in each transaction.
CREATE TABLE event (
    position INTEGER PRIMARY KEY CHECK (position >= 1),
    at INTEGER NOT NULL CHECK (at BETWEEN 0 AND 253402300799999),
    kind TEXT NOT NULL CHECK (octet_length(kind) BETWEEN 1 AND 64),
    certificate_id INTEGER REFERENCES certificate (id),
    application_id INTEGER REFERENCES application (id),
    data TEXT NOT NULL CHECK (octet_length(data) <= 65536 AND json_valid(data))
) STRICT;
CREATE INDEX event_by_certificate ON event (certificate_id, position) WHERE certificate_id IS NOT NULL;

CREATE TABLE event_counter (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL CHECK (position >= 0)
) STRICT;
INSERT INTO event_counter (id, position) VALUES (1, 0);

CREATE TABLE crl (
    ca_key_id INTEGER NOT NULL REFERENCES ca_key (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    state INTEGER NOT NULL CHECK (state IN (1, 2)),
    reserved_at INTEGER NOT NULL,
    this_update INTEGER,
    next_update INTEGER,
    entries INTEGER CHECK (entries >= 0),
    -- Every event up to here is in the list.
    event_position INTEGER CHECK (event_position >= 0),
    PRIMARY KEY (ca_key_id, number),
    CHECK ((state = 2) = (this_update IS NOT NULL)),
    CHECK ((state = 2) = (next_update IS NOT NULL)),
    CHECK ((state = 2) = (entries IS NOT NULL)),
    CHECK ((state = 2) = (event_position IS NOT NULL)),
    CHECK (next_update IS NULL OR next_update > this_update)
) STRICT;
CREATE INDEX crl_published ON crl (ca_key_id, number) WHERE state = 2;

CREATE TABLE crl_body (
    ca_key_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    der BLOB NOT NULL,
    PRIMARY KEY (ca_key_id, number),
    FOREIGN KEY (ca_key_id, number) REFERENCES crl (ca_key_id, number)
) STRICT;

-- Leaders. The epoch rises with each change of hands; what a leader writes is checked against it.
CREATE TABLE lease (
    name TEXT PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 64),
    owner TEXT NOT NULL CHECK (octet_length(owner) BETWEEN 1 AND 255),
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    expires_at INTEGER NOT NULL
) STRICT;
