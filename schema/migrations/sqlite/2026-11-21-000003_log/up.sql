-- The log: a leaf for each event, in a tree that only grows, and what auditors have taken of it. More codes (src/codes.rs):
--   log_leaf.absent      1 purged, 2 lost
--   audit_export.format  1 JSON lines, 2 CSV
--   audit_export.state   1 preparing, 2 ready, 3 failed, 4 expired

-- The operator behind it, as `data` names one.
ALTER TABLE event ADD COLUMN operator TEXT CHECK (octet_length(operator) BETWEEN 1 AND 255);
UPDATE event SET operator = json_extract(data, '$.by.operator')
    WHERE json_type(data, '$.by.operator') = 'text' AND octet_length(json_extract(data, '$.by.operator')) BETWEEN 1 AND 255;
CREATE INDEX event_by_operator ON event (operator, position) WHERE operator IS NOT NULL;
CREATE INDEX event_by_application ON event (application_id, position) WHERE application_id IS NOT NULL;
CREATE INDEX event_by_time ON event (at, position);
-- What became of instructions, by the instruction's digest.
CREATE INDEX event_by_instruction ON event (json_extract(data, '$.instruction'), position)
    WHERE kind IN ('instruction.done', 'instruction.refused', 'instruction.awaiting_approval');
-- For whoever purges: what refers to what goes.
CREATE INDEX device_command_by_event ON device_command (event_position) WHERE event_position IS NOT NULL;
CREATE INDEX application_evidence_by_signature_crl ON application_evidence (signature_crl) WHERE signature_crl IS NOT NULL;
CREATE INDEX application_evidence_by_authentication_crl ON application_evidence (authentication_crl)
    WHERE authentication_crl IS NOT NULL;

-- What is a leaf counts from 0 and follows from no position: a restored store gives positions out again, the log never does.
CREATE TABLE log_leaf (
    leaf INTEGER PRIMARY KEY CHECK (leaf >= 0),
    -- The event; NULL once it was purged, or if a restored store has forgotten it.
    position INTEGER UNIQUE REFERENCES event (position),
    salt BLOB CHECK (octet_length(salt) = 32),
    -- SHA-256 of salt and content.
    commitment BLOB NOT NULL CHECK (octet_length(commitment) = 32),
    absent INTEGER CHECK (absent IN (1, 2)),
    CHECK ((absent IS NULL) = (position IS NOT NULL)),
    CHECK ((absent IS NULL) = (salt IS NOT NULL))
) STRICT;

-- Tiles above level 0, full and growing ones; those of level 0 follow from the commitments.
CREATE TABLE log_tile (
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 7),
    number INTEGER NOT NULL CHECK (number >= 0),
    hashes BLOB NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
    PRIMARY KEY (level, number)
) STRICT;

-- The tree as it is committed, and the last signed note of it, which may be of a smaller one.
CREATE TABLE log_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- The log's name and its key (signed-note verifier key), once it has begun.
    origin TEXT CHECK (octet_length(origin) BETWEEN 1 AND 255),
    verifier_key TEXT CHECK (octet_length(verifier_key) BETWEEN 1 AND 1024),
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (octet_length(root) = 32),
    -- The last event that has a leaf.
    position INTEGER NOT NULL CHECK (position >= 0),
    sequenced_at INTEGER,
    note_size INTEGER NOT NULL CHECK (note_size BETWEEN 0 AND size),
    note_position INTEGER NOT NULL CHECK (note_position BETWEEN 0 AND position),
    note TEXT CHECK (octet_length(note) BETWEEN 1 AND 65536),
    noted_at INTEGER,
    CHECK ((origin IS NULL) = (verifier_key IS NULL)),
    CHECK ((size = 0) = (sequenced_at IS NULL)),
    CHECK ((note_size = 0) = (note IS NULL)),
    CHECK ((note IS NULL) = (noted_at IS NULL))
) STRICT;
-- The root of the empty tree is the SHA-256 of nothing.
INSERT INTO log_head (id, size, root, position, note_size, note_position)
    VALUES (1, 0, x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 0, 0, 0);

-- What is in the log stays as it is, but for purging what a note covers.
CREATE TRIGGER event_stays_as_it_is BEFORE UPDATE ON event BEGIN
    SELECT RAISE(ABORT, 'an event does not change');
END;
CREATE TRIGGER event_is_purged_after_its_leaf BEFORE DELETE ON event
WHEN OLD.position > (SELECT note_position FROM log_head) OR EXISTS (SELECT 1 FROM log_leaf WHERE position = OLD.position) BEGIN
    SELECT RAISE(ABORT, 'an event is removed only after its leaf was purged');
END;
CREATE TRIGGER log_leaf_only_purged BEFORE UPDATE ON log_leaf
WHEN NEW.leaf <> OLD.leaf OR NEW.commitment <> OLD.commitment OR OLD.absent IS NOT NULL OR NEW.absent IS NOT 1
    OR OLD.leaf >= (SELECT note_size FROM log_head) BEGIN
    SELECT RAISE(ABORT, 'a leaf changes only by being purged, once a note covers it');
END;
CREATE TRIGGER log_leaf_stays BEFORE DELETE ON log_leaf BEGIN
    SELECT RAISE(ABORT, 'a leaf is never removed');
END;
CREATE TRIGGER log_tile_only_grows BEFORE UPDATE ON log_tile
WHEN NEW.level <> OLD.level OR NEW.number <> OLD.number OR substr(NEW.hashes, 1, octet_length(OLD.hashes)) <> OLD.hashes BEGIN
    SELECT RAISE(ABORT, 'a tile only grows');
END;
CREATE TRIGGER log_tile_stays BEFORE DELETE ON log_tile BEGIN
    SELECT RAISE(ABORT, 'a tile is never removed');
END;
CREATE TRIGGER log_head_only_grows BEFORE UPDATE ON log_head
WHEN NEW.size < OLD.size OR NEW.position < OLD.position OR NEW.note_size < OLD.note_size OR NEW.note_position < OLD.note_position
    OR (NEW.size = OLD.size AND NEW.root <> OLD.root) BEGIN
    SELECT RAISE(ABORT, 'the log only grows');
END;
CREATE TRIGGER log_head_has_every_leaf BEFORE UPDATE OF size ON log_head
WHEN NEW.size <> COALESCE((SELECT MAX(leaf) + 1 FROM log_leaf), 0) BEGIN
    SELECT RAISE(ABORT, 'the log has another number of leaves');
END;
CREATE TRIGGER log_head_stays BEFORE DELETE ON log_head
WHEN OLD.size > 0 BEGIN
    SELECT RAISE(ABORT, 'the log is never removed');
END;

-- What auditors have taken; its files are made again from the leaves, but for the evidence.
CREATE TABLE audit_export (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id TEXT NOT NULL UNIQUE CHECK (octet_length(public_id) = 32),
    -- By which it was asked for.
    instruction_id INTEGER NOT NULL UNIQUE REFERENCES instruction (id),
    taken_by TEXT NOT NULL CHECK (octet_length(taken_by) BETWEEN 1 AND 255),
    taken_at INTEGER NOT NULL,
    -- The leaves from the first up to, but not with, the second.
    from_leaf INTEGER NOT NULL CHECK (from_leaf >= 0),
    to_leaf INTEGER NOT NULL CHECK (to_leaf >= from_leaf),
    format INTEGER NOT NULL CHECK (format IN (1, 2)),
    -- The size of the tree that the auditor knows already.
    previous_size INTEGER CHECK (previous_size >= 0),
    -- The auditor's age key, to which evidence is encrypted.
    recipient TEXT CHECK (octet_length(recipient) BETWEEN 1 AND 4096),
    state INTEGER NOT NULL DEFAULT 1 CHECK (state IN (1, 2, 3, 4)),
    -- Its parts are prepared up to, but not with, this leaf.
    cursor INTEGER NOT NULL CHECK (cursor BETWEEN from_leaf AND to_leaf),
    -- The signed note that it stands under.
    checkpoint TEXT NOT NULL CHECK (octet_length(checkpoint) BETWEEN 1 AND 65536),
    manifest TEXT,
    failure TEXT CHECK (octet_length(failure) BETWEEN 1 AND 1000),
    settled_at INTEGER,
    CHECK ((state = 1) = (settled_at IS NULL)),
    CHECK ((state IN (2, 4)) = (manifest IS NOT NULL)),
    CHECK ((state = 3) = (failure IS NOT NULL))
) STRICT;
CREATE INDEX audit_export_preparing ON audit_export (id) WHERE state = 1;
CREATE INDEX audit_export_ready ON audit_export (settled_at) WHERE state = 2;

-- An export's parts, each of the leaves of one aligned stretch of 65,536.
CREATE TABLE audit_export_part (
    export_id INTEGER NOT NULL REFERENCES audit_export (id),
    number INTEGER NOT NULL CHECK (number >= 0),
    from_leaf INTEGER NOT NULL CHECK (from_leaf / 65536 = number),
    to_leaf INTEGER NOT NULL CHECK (to_leaf > from_leaf AND (to_leaf - 1) / 65536 = number),
    -- What the manifest says of it.
    detail TEXT NOT NULL CHECK (octet_length(detail) <= 65536 AND json_valid(detail)),
    PRIMARY KEY (export_id, number)
) STRICT, WITHOUT ROWID;

-- The encrypted evidence of a part.
CREATE TABLE audit_evidence_chunk (
    export_id INTEGER NOT NULL REFERENCES audit_export (id),
    number INTEGER NOT NULL CHECK (number >= 0),
    -- Its place, from 0 on.
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    octets BLOB NOT NULL CHECK (octet_length(octets) BETWEEN 1 AND 16777216),
    PRIMARY KEY (export_id, number, sequence)
) STRICT;

-- Lifts that operators asked for while the log could not be written: found in order, and their challenges spent.
CREATE TABLE deferred_instruction (
    instruction_id INTEGER PRIMARY KEY REFERENCES instruction (id),
    since INTEGER NOT NULL
) STRICT;

-- Certificates whose hold was to be lifted meanwhile because their card was released, and the card event by which.
CREATE TABLE deferred_lift (
    certificate_id INTEGER PRIMARY KEY REFERENCES certificate (id),
    event_id TEXT NOT NULL CHECK (octet_length(event_id) BETWEEN 1 AND 255),
    since INTEGER NOT NULL
) STRICT;

-- The last recorded digest of each topic of a role's settings.
CREATE TABLE settings_topic (
    role TEXT NOT NULL CHECK (octet_length(role) BETWEEN 1 AND 16),
    name TEXT NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 64),
    sha256 BLOB NOT NULL CHECK (octet_length(sha256) = 32),
    PRIMARY KEY (role, name)
) STRICT, WITHOUT ROWID;
