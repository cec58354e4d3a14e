-- The log: a leaf for each event, in a tree that only grows, and what auditors have taken of it. More codes (src/codes.rs):
--   log_leaf.absent      1 purged, 2 lost
--   audit_export.format  1 JSON lines, 2 CSV
--   audit_export.state   1 preparing, 2 ready, 3 failed, 4 expired

-- The operator behind it, as `data` names one.
ALTER TABLE event ADD COLUMN operator TEXT CHECK (octet_length(operator) BETWEEN 1 AND 255);
UPDATE event SET operator = data::json #>> '{by,operator}'
    WHERE json_typeof(data::json #> '{by,operator}') = 'string' AND octet_length(data::json #>> '{by,operator}') BETWEEN 1 AND 255;
CREATE INDEX event_by_operator ON event (operator, position) WHERE operator IS NOT NULL;
CREATE INDEX event_by_application ON event (application_id, position) WHERE application_id IS NOT NULL;
CREATE INDEX event_by_time ON event (at, position);
-- What became of instructions, by the instruction's digest.
CREATE INDEX event_by_instruction ON event ((data::json ->> 'instruction'), position)
    WHERE kind IN ('instruction.done', 'instruction.refused', 'instruction.awaiting_approval');
-- For whoever purges: what refers to what goes.
CREATE INDEX device_command_by_event ON device_command (event_position) WHERE event_position IS NOT NULL;
CREATE INDEX application_evidence_by_signature_crl ON application_evidence (signature_crl) WHERE signature_crl IS NOT NULL;
CREATE INDEX application_evidence_by_authentication_crl ON application_evidence (authentication_crl)
    WHERE authentication_crl IS NOT NULL;

-- What is a leaf counts from 0 and follows from no position: a restored store gives positions out again, the log never does.
CREATE TABLE log_leaf (
    leaf BIGINT PRIMARY KEY CHECK (leaf >= 0),
    -- The event; NULL once it was purged, or if a restored store has forgotten it.
    position BIGINT UNIQUE REFERENCES event (position),
    salt BYTEA CHECK (octet_length(salt) = 32),
    -- SHA-256 of salt and content.
    commitment BYTEA NOT NULL CHECK (octet_length(commitment) = 32),
    absent SMALLINT CHECK (absent IN (1, 2)),
    CHECK ((absent IS NULL) = (position IS NOT NULL)),
    CHECK ((absent IS NULL) = (salt IS NOT NULL))
);

-- Tiles above level 0, full and growing ones; those of level 0 follow from the commitments.
CREATE TABLE log_tile (
    level SMALLINT NOT NULL CHECK (level BETWEEN 1 AND 7),
    number BIGINT NOT NULL CHECK (number >= 0),
    hashes BYTEA NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
    PRIMARY KEY (level, number)
);

-- The tree as it is committed, and the last signed note of it, which may be of a smaller one.
CREATE TABLE log_head (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    -- The log's name and its key (signed-note verifier key), once it has begun.
    origin TEXT CHECK (octet_length(origin) BETWEEN 1 AND 255),
    verifier_key TEXT CHECK (octet_length(verifier_key) BETWEEN 1 AND 1024),
    size BIGINT NOT NULL CHECK (size >= 0),
    root BYTEA NOT NULL CHECK (octet_length(root) = 32),
    -- The last event that has a leaf.
    position BIGINT NOT NULL CHECK (position >= 0),
    sequenced_at BIGINT,
    note_size BIGINT NOT NULL CHECK (note_size BETWEEN 0 AND size),
    note_position BIGINT NOT NULL CHECK (note_position BETWEEN 0 AND position),
    note TEXT CHECK (octet_length(note) BETWEEN 1 AND 65536),
    noted_at BIGINT,
    CHECK ((origin IS NULL) = (verifier_key IS NULL)),
    CHECK ((size = 0) = (sequenced_at IS NULL)),
    CHECK ((note_size = 0) = (note IS NULL)),
    CHECK ((note IS NULL) = (noted_at IS NULL))
);
-- The root of the empty tree is the SHA-256 of nothing.
INSERT INTO log_head (id, size, root, position, note_size, note_position)
    VALUES (1, 0, '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 0, 0, 0);

-- What is in the log stays as it is, but for purging what a note covers.
CREATE FUNCTION log_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER event_stays_as_it_is BEFORE UPDATE ON event
    FOR EACH ROW EXECUTE FUNCTION log_refuses('an event does not change');
CREATE FUNCTION event_may_be_purged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.position > (SELECT note_position FROM log_head) OR EXISTS (SELECT 1 FROM log_leaf WHERE position = OLD.position) THEN
        RAISE EXCEPTION 'an event is removed only after its leaf was purged' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER event_is_purged_after_its_leaf BEFORE DELETE ON event
    FOR EACH ROW EXECUTE FUNCTION event_may_be_purged();
CREATE FUNCTION log_leaf_may_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.leaf <> OLD.leaf OR NEW.commitment <> OLD.commitment OR OLD.absent IS NOT NULL OR NEW.absent IS DISTINCT FROM 1
        OR OLD.leaf >= (SELECT note_size FROM log_head) THEN
        RAISE EXCEPTION 'a leaf changes only by being purged, once a note covers it' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER log_leaf_only_purged BEFORE UPDATE ON log_leaf
    FOR EACH ROW EXECUTE FUNCTION log_leaf_may_change();
CREATE TRIGGER log_leaf_stays BEFORE DELETE ON log_leaf
    FOR EACH ROW EXECUTE FUNCTION log_refuses('a leaf is never removed');
CREATE TRIGGER log_tile_only_grows BEFORE UPDATE ON log_tile
    FOR EACH ROW WHEN (NEW.level <> OLD.level OR NEW.number <> OLD.number
        OR substr(NEW.hashes, 1, octet_length(OLD.hashes)) <> OLD.hashes)
    EXECUTE FUNCTION log_refuses('a tile only grows');
CREATE TRIGGER log_tile_stays BEFORE DELETE ON log_tile
    FOR EACH ROW EXECUTE FUNCTION log_refuses('a tile is never removed');
CREATE TRIGGER log_head_only_grows BEFORE UPDATE ON log_head
    FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.position < OLD.position OR NEW.note_size < OLD.note_size
        OR NEW.note_position < OLD.note_position OR (NEW.size = OLD.size AND NEW.root <> OLD.root))
    EXECUTE FUNCTION log_refuses('the log only grows');
CREATE FUNCTION log_head_counts_leaves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size <> COALESCE((SELECT MAX(leaf) + 1 FROM log_leaf), 0) THEN
        RAISE EXCEPTION 'the log has another number of leaves' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER log_head_has_every_leaf BEFORE UPDATE OF size ON log_head
    FOR EACH ROW EXECUTE FUNCTION log_head_counts_leaves();
CREATE TRIGGER log_head_stays BEFORE DELETE ON log_head
    FOR EACH ROW WHEN (OLD.size > 0) EXECUTE FUNCTION log_refuses('the log is never removed');
CREATE TRIGGER event_is_never_emptied BEFORE TRUNCATE ON event
    EXECUTE FUNCTION log_refuses('events are never removed at once');
CREATE TRIGGER log_leaf_is_never_emptied BEFORE TRUNCATE ON log_leaf
    EXECUTE FUNCTION log_refuses('a leaf is never removed');
CREATE TRIGGER log_tile_is_never_emptied BEFORE TRUNCATE ON log_tile
    EXECUTE FUNCTION log_refuses('a tile is never removed');
CREATE TRIGGER log_head_is_never_emptied BEFORE TRUNCATE ON log_head
    EXECUTE FUNCTION log_refuses('the log is never removed');

-- What auditors have taken; its files are made again from the leaves, but for the evidence.
CREATE TABLE audit_export (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    public_id TEXT NOT NULL UNIQUE CHECK (octet_length(public_id) = 32),
    -- By which it was asked for.
    instruction_id BIGINT NOT NULL UNIQUE REFERENCES instruction (id),
    taken_by TEXT NOT NULL CHECK (octet_length(taken_by) BETWEEN 1 AND 255),
    taken_at BIGINT NOT NULL,
    -- The leaves from the first up to, but not with, the second.
    from_leaf BIGINT NOT NULL CHECK (from_leaf >= 0),
    to_leaf BIGINT NOT NULL CHECK (to_leaf >= from_leaf),
    format SMALLINT NOT NULL CHECK (format IN (1, 2)),
    -- The size of the tree that the auditor knows already.
    previous_size BIGINT CHECK (previous_size >= 0),
    -- The auditor's age key, to which evidence is encrypted.
    recipient TEXT CHECK (octet_length(recipient) BETWEEN 1 AND 4096),
    state SMALLINT NOT NULL DEFAULT 1 CHECK (state IN (1, 2, 3, 4)),
    -- Its parts are prepared up to, but not with, this leaf.
    cursor BIGINT NOT NULL CHECK (cursor BETWEEN from_leaf AND to_leaf),
    -- The signed note that it stands under.
    checkpoint TEXT NOT NULL CHECK (octet_length(checkpoint) BETWEEN 1 AND 65536),
    manifest TEXT,
    failure TEXT CHECK (octet_length(failure) BETWEEN 1 AND 1000),
    settled_at BIGINT,
    CHECK ((state = 1) = (settled_at IS NULL)),
    CHECK ((state IN (2, 4)) = (manifest IS NOT NULL)),
    CHECK ((state = 3) = (failure IS NOT NULL))
);
CREATE INDEX audit_export_preparing ON audit_export (id) WHERE state = 1;
CREATE INDEX audit_export_ready ON audit_export (settled_at) WHERE state = 2;

-- An export's parts, each of the leaves of one aligned stretch of 65,536.
CREATE TABLE audit_export_part (
    export_id BIGINT NOT NULL REFERENCES audit_export (id),
    number BIGINT NOT NULL CHECK (number >= 0),
    from_leaf BIGINT NOT NULL CHECK (from_leaf / 65536 = number),
    to_leaf BIGINT NOT NULL CHECK (to_leaf > from_leaf AND (to_leaf - 1) / 65536 = number),
    -- What the manifest says of it.
    detail TEXT NOT NULL CHECK (octet_length(detail) <= 65536 AND detail::json IS NOT NULL),
    PRIMARY KEY (export_id, number)
);

-- The encrypted evidence of a part.
CREATE TABLE audit_evidence_chunk (
    export_id BIGINT NOT NULL REFERENCES audit_export (id),
    number BIGINT NOT NULL CHECK (number >= 0),
    -- Its place, from 0 on.
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    octets BYTEA NOT NULL CHECK (octet_length(octets) BETWEEN 1 AND 16777216),
    PRIMARY KEY (export_id, number, sequence)
);

-- Lifts that operators asked for while the log could not be written: found in order, and their challenges spent.
CREATE TABLE deferred_instruction (
    instruction_id BIGINT PRIMARY KEY REFERENCES instruction (id),
    since BIGINT NOT NULL
);

-- Certificates whose hold was to be lifted meanwhile because their card was released, and the card event by which.
CREATE TABLE deferred_lift (
    certificate_id BIGINT PRIMARY KEY REFERENCES certificate (id),
    event_id TEXT NOT NULL CHECK (octet_length(event_id) BETWEEN 1 AND 255),
    since BIGINT NOT NULL
);

-- The last recorded digest of each topic of a role's settings.
CREATE TABLE settings_topic (
    role TEXT NOT NULL CHECK (octet_length(role) BETWEEN 1 AND 16),
    name TEXT NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 64),
    sha256 BYTEA NOT NULL CHECK (octet_length(sha256) = 32),
    PRIMARY KEY (role, name)
);

-- Hashes and what is encrypted do not compress.
ALTER TABLE log_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
ALTER TABLE audit_evidence_chunk ALTER COLUMN octets SET STORAGE EXTERNAL;
