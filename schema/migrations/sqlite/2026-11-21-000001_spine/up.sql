-- Times are Unix milliseconds (UTC). Codes of small integers, the same on both databases (src/codes.rs):
--   kind               1 signature, 2 authentication
--   certificate.state  1 live, 2 held, 3 revoked, 4 expired
--   application.state  1 accepted, 2 issued, 3 refused
--   card_state.state   1 good, 2 revoked, 3 held
--   crl.state          1 reserved, 2 published
--   card event change  1 revoked, 2 held, 3 released, 4 renewed, 5 expired, 6 record changed, 7 died, 8 emigrated, 9 record error
--   card event source  1 push, 2 feed, 3 card CRL, 4 comparison
--   hold.cause         1 card held, 2 phone lost, 3 operator
--   instruction.form   1 operator's, 2 holder's, 3 report of a compromised key
--   instruction.state  1 waiting, 2 done, 3 refused, 4 awaiting approval
--   device_command     action 1 erase, 2 lock, 3 unlock; state 1 pending, 2 sent, 3 confirmed, 4 claimed, 5 failed, 6 expired
--   notice.state       1 waiting, 2 told
--   batch              change 1 revoke, 2 hold; state 1 running, 2 finished
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

CREATE TABLE holder (
    id INTEGER PRIMARY KEY,
    holder_id TEXT NOT NULL UNIQUE CHECK (octet_length(holder_id) BETWEEN 1 AND 255)
) STRICT;

-- A holder's phone, added when certificates are issued to it.
CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    public_id TEXT NOT NULL UNIQUE CHECK (octet_length(public_id) = 32),
    holder INTEGER NOT NULL REFERENCES holder (id),
    platform TEXT NOT NULL CHECK (octet_length(platform) BETWEEN 1 AND 255),
    model TEXT NOT NULL CHECK (octet_length(model) <= 1024),
    key_storage TEXT NOT NULL CHECK (octet_length(key_storage) <= 255),
    push_token TEXT CHECK (octet_length(push_token) BETWEEN 1 AND 4096),
    -- Whether the push service said that it knows the token no more.
    push_dead INTEGER NOT NULL DEFAULT 0 CHECK (push_dead IN (0, 1)),
    -- The SubjectPublicKeyInfo of the key by which the phone confirms commands.
    command_key BLOB CHECK (octet_length(command_key) BETWEEN 1 AND 1024),
    added_at INTEGER NOT NULL
) STRICT;
CREATE INDEX device_by_holder ON device (holder);

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
    -- The phone it was issued to.
    device_id INTEGER REFERENCES device (id),
    CHECK ((state = 1) = (decided_at IS NULL)),
    CHECK (device_id IS NULL OR state = 2),
    CHECK ((state = 3) = (refusal_code IS NOT NULL)),
    CHECK ((refusal_code IS NULL) = (refusal_detail IS NULL))
) STRICT;
CREATE INDEX application_waiting ON application (id) WHERE state = 1;
CREATE INDEX application_by_device ON application (device_id) WHERE device_id IS NOT NULL;

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
CREATE INDEX certificate_ending ON certificate (not_after) WHERE state IN (1, 2);
CREATE INDEX certificate_held ON certificate (revoked_at) WHERE state = 2;

CREATE TABLE certificate_body (
    certificate_id INTEGER PRIMARY KEY REFERENCES certificate (id),
    application_id INTEGER NOT NULL REFERENCES application (id),
    der BLOB NOT NULL CHECK (octet_length(der) BETWEEN 1 AND 65536),
    policy_sha256 BLOB NOT NULL CHECK (octet_length(policy_sha256) = 32)
) STRICT;
CREATE INDEX certificate_body_by_application ON certificate_body (application_id);

-- What is known of each card certificate that certificates are linked to or that an event told of.
CREATE TABLE card_state (
    id INTEGER PRIMARY KEY,
    issuer_key_id BLOB NOT NULL CHECK (octet_length(issuer_key_id) BETWEEN 1 AND 64),
    serial BLOB NOT NULL CHECK (octet_length(serial) BETWEEN 1 AND 20),
    state INTEGER NOT NULL DEFAULT 1 CHECK (state IN (1, 2, 3)),
    reason INTEGER CHECK (reason IN (0, 1, 2, 3, 4, 5, 9, 10)),
    revoked_at INTEGER,
    held_since INTEGER,
    -- When it was last released: batches of holds that began before cover it no more.
    released_at INTEGER,
    -- The highest sequence number of any event of this card that the CA pulled itself; NULL before the first.
    last_sequence INTEGER,
    CHECK ((state = 2) = (revoked_at IS NOT NULL)),
    CHECK ((reason IS NULL) = (revoked_at IS NULL)),
    CHECK ((state = 3) = (held_since IS NOT NULL)),
    UNIQUE (issuer_key_id, serial)
) STRICT;
CREATE INDEX card_state_by_issuer ON card_state (issuer_key_id, id);

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
    distribution_point_id INTEGER REFERENCES card_distribution_point (id),
    -- When the card certificate is to be looked at again; NULL once that is done.
    second_look_at INTEGER
) STRICT;
CREATE INDEX link_by_card ON link (card_id);
CREATE INDEX link_by_distribution_point ON link (distribution_point_id, card_id);
CREATE INDEX link_second_look ON link (second_look_at) WHERE second_look_at IS NOT NULL;

-- Every public key ever certified (SHA-256 of its SubjectPublicKeyInfo).
CREATE TABLE certified_key (
    spki_sha256 BLOB PRIMARY KEY CHECK (octet_length(spki_sha256) = 32),
    certificate_id INTEGER NOT NULL UNIQUE REFERENCES certificate (id),
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
    change INTEGER NOT NULL CHECK (change BETWEEN 1 AND 9),
    reason INTEGER CHECK (reason IN (0, 1, 2, 3, 4, 5, 9, 10)),
    occurred_at INTEGER NOT NULL CHECK (occurred_at BETWEEN 0 AND 253402300799999),
    source INTEGER NOT NULL CHECK (source BETWEEN 1 AND 4),
    received_at INTEGER NOT NULL CHECK (received_at BETWEEN 0 AND 253402300799999),
    applied_at INTEGER,
    CHECK ((change = 1) = (reason IS NOT NULL))
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

-- When something was last heard over each way by which news of cards come.
CREATE TABLE channel (
    name TEXT PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 64),
    last_success_at INTEGER NOT NULL
) STRICT;

-- What somebody asked the CA to do, with the signature by which it is believed.
CREATE TABLE instruction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    form INTEGER NOT NULL CHECK (form IN (1, 2, 3)),
    message BLOB NOT NULL CHECK (octet_length(message) BETWEEN 1 AND 65536),
    received_at INTEGER NOT NULL CHECK (received_at BETWEEN 0 AND 253402300799999),
    state INTEGER NOT NULL DEFAULT 1 CHECK (state IN (1, 2, 3, 4)),
    decided_at INTEGER,
    refusal_code TEXT,
    refusal_detail TEXT,
    outcome TEXT CHECK (json_valid(outcome)),
    -- The instruction by which another person approved it.
    approved_by INTEGER REFERENCES instruction (id),
    CHECK ((state IN (2, 3)) = (decided_at IS NOT NULL)),
    CHECK ((state = 3) = (refusal_code IS NOT NULL)),
    CHECK ((refusal_code IS NULL) = (refusal_detail IS NULL)),
    CHECK (outcome IS NULL OR state IN (2, 4)),
    CHECK (approved_by IS NULL OR (form = 1 AND approved_by <> id))
) STRICT;
CREATE INDEX instruction_waiting ON instruction (id) WHERE state = 1;
CREATE INDEX instruction_awaiting_approval ON instruction (id) WHERE state = 4;

-- The causes for which certificates are on hold now.
CREATE TABLE hold (
    certificate_id INTEGER NOT NULL REFERENCES certificate (id),
    cause INTEGER NOT NULL CHECK (cause IN (1, 2, 3)),
    placed_at INTEGER NOT NULL,
    instruction_id INTEGER REFERENCES instruction (id),
    PRIMARY KEY (certificate_id, cause)
) STRICT, WITHOUT ROWID;

-- A change of all certificates that hang on the cards of one card CA key, or of one of its distribution points.
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    -- The card event or instruction that asked for it, so that it is started once.
    name TEXT NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 300),
    issuer_key_id BLOB NOT NULL CHECK (octet_length(issuer_key_id) BETWEEN 1 AND 64),
    distribution_point_sha256 BLOB CHECK (octet_length(distribution_point_sha256) = 32),
    change INTEGER NOT NULL CHECK (change IN (1, 2)),
    reason INTEGER CHECK (reason IN (0, 1, 2, 3, 4, 5, 9, 10)),
    -- By whom, as its events tell it.
    origin TEXT NOT NULL CHECK (json_valid(origin)),
    instruction_id INTEGER REFERENCES instruction (id),
    state INTEGER NOT NULL DEFAULT 1 CHECK (state IN (1, 2)),
    -- The last card certificate's row that was done.
    cursor INTEGER NOT NULL DEFAULT 0 CHECK (cursor >= 0),
    -- Card certificates done so far, and certificates changed.
    cards INTEGER NOT NULL DEFAULT 0 CHECK (cards >= 0),
    changed INTEGER NOT NULL DEFAULT 0 CHECK (changed >= 0),
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    CHECK ((change = 1) = (reason IS NOT NULL)),
    CHECK ((state = 2) = (finished_at IS NOT NULL))
) STRICT;
CREATE INDEX batch_by_issuer ON batch (issuer_key_id);
CREATE INDEX batch_running ON batch (id) WHERE state = 1;

CREATE TABLE schedule (
    name TEXT PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 64),
    expression TEXT NOT NULL CHECK (octet_length(expression) BETWEEN 1 AND 255),
    last_started_at INTEGER,
    last_finished_at INTEGER,
    last_outcome TEXT CHECK (octet_length(last_outcome) <= 1024),
    requested_at INTEGER
) STRICT;

-- Who asked what about whom: verifiers' lookups, recorded by the RA.
CREATE TABLE lookup (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    verifier TEXT NOT NULL CHECK (octet_length(verifier) BETWEEN 1 AND 255),
    purpose TEXT NOT NULL CHECK (octet_length(purpose) BETWEEN 1 AND 4096),
    question TEXT NOT NULL CHECK (octet_length(question) BETWEEN 1 AND 65536),
    found INTEGER NOT NULL CHECK (found >= 0),
    at INTEGER NOT NULL CHECK (at BETWEEN 0 AND 253402300799999)
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

-- How far each of the CA's own followers has come.
CREATE TABLE follower (
    name TEXT PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 64),
    position INTEGER NOT NULL CHECK (position >= 0)
) STRICT;

-- What holders are told over another way than their phone.
CREATE TABLE notice (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_position INTEGER NOT NULL UNIQUE REFERENCES event (position),
    holder INTEGER NOT NULL REFERENCES holder (id),
    template TEXT NOT NULL CHECK (octet_length(template) BETWEEN 1 AND 64),
    arguments TEXT NOT NULL CHECK (octet_length(arguments) <= 65536 AND json_valid(arguments)),
    state INTEGER NOT NULL DEFAULT 1 CHECK (state IN (1, 2)),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at INTEGER NOT NULL,
    told_at INTEGER,
    CHECK ((state = 2) = (told_at IS NOT NULL))
) STRICT;
CREATE INDEX notice_waiting ON notice (next_attempt_at, id) WHERE state = 1;

-- The public halves of the keys that sign commands to phones.
CREATE TABLE command_key (
    key_id TEXT PRIMARY KEY CHECK (octet_length(key_id) BETWEEN 1 AND 128),
    public_key BLOB NOT NULL CHECK (octet_length(public_key) BETWEEN 1 AND 1024),
    added_at INTEGER NOT NULL
) STRICT;

-- What phones are told to do; a certificate's revocation never waits for it.
CREATE TABLE device_command (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id TEXT NOT NULL UNIQUE CHECK (octet_length(public_id) = 32),
    device_id INTEGER NOT NULL REFERENCES device (id),
    action INTEGER NOT NULL CHECK (action IN (1, 2, 3)),
    message TEXT NOT NULL CHECK (octet_length(message) BETWEEN 1 AND 65536),
    state INTEGER NOT NULL DEFAULT 1 CHECK (state IN (1, 2, 3, 4, 5, 6)),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at INTEGER,
    created_at INTEGER NOT NULL,
    sent_at INTEGER,
    settled_at INTEGER,
    expires_at INTEGER NOT NULL,
    -- The event it follows from, so that it is made once.
    event_position INTEGER REFERENCES event (position),
    CHECK ((state IN (1, 2)) = (settled_at IS NULL)),
    UNIQUE (device_id, event_position)
) STRICT;
CREATE INDEX device_command_due ON device_command (next_attempt_at) WHERE state IN (1, 2);
CREATE INDEX device_command_expiring ON device_command (expires_at) WHERE state IN (1, 2);

-- The certificates that a command names.
CREATE TABLE device_command_certificate (
    command_id INTEGER NOT NULL REFERENCES device_command (id),
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    serial BLOB NOT NULL CHECK (octet_length(serial) BETWEEN 1 AND 20),
    PRIMARY KEY (command_id, kind, serial)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_command_certificate_by_serial ON device_command_certificate (serial, kind);

-- What phones say they did, as the RA received it.
CREATE TABLE device_command_result (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command_public_id TEXT NOT NULL CHECK (octet_length(command_public_id) = 32),
    body TEXT NOT NULL CHECK (octet_length(body) <= 8192),
    signed INTEGER NOT NULL CHECK (signed IN (0, 1)),
    received_at INTEGER NOT NULL CHECK (received_at BETWEEN 0 AND 253402300799999),
    taken_at INTEGER
) STRICT;
CREATE INDEX device_command_result_waiting ON device_command_result (id) WHERE taken_at IS NULL;

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
