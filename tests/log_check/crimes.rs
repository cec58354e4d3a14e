//! What somebody does to a database or a tile directory.

use std::fs;
use std::path::{Path, PathBuf};

use audit_log::{Commitment, Content, Salt};
use sandbox::keys::random_below;
use schema::log::LeafContent;
use schema::testing::tamper_with;
use schema::{Database, OpenOptions, Reader, StoreFault};

/// Without this, the database itself refuses most of it.
const UNCHECKED: &str = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crime {
    FlipData,
    OtherKind,
    Redate,
    OtherCertificate,
    OtherOperator,
    DropEvent,
    SwapEvents,
    DuplicateEvent,
    FlipCommitment,
    Resalt,
    /// With the commitment that belongs to the new salt.
    ResaltWell,
    DropLeaf,
    SwapLeaves,
    DuplicateLeaf,
    TruncateLeaves,
    /// With the head that belongs to fewer leaves.
    TruncateLog,
    CallPurged,
    CallLost,
    FlipTile,
    DropTile,
    FlipRoot,
    FlipNote,
    OtherPosition,
    ReviveCertificate,
    /// What is stored of a certificate is another's, or gone.
    OtherBody,
    OtherHolder,
    OtherEnd,
    OtherCard,
    OtherApplication,
    OtherDigest,
    OtherProfile,
    OtherEvidence,
    DropBody,
    DropLink,
    DropEvidence,
    FlipFile,
    TruncateFile,
    DropFile,
    SwapFiles,
    DuplicateFile,
    LengthenFile,
    StrayFile,
    FlipCheckpoint,
    DropCheckpoint,
}

/// What a finding must name.
#[derive(Debug)]
pub(crate) enum Named {
    Leaf(u64),
    /// Any of these.
    Place(Vec<String>),
}

use Crime::*;

impl Crime {
    pub(crate) const EVENTS: [Self; 8] =
        [FlipData, OtherKind, Redate, OtherCertificate, OtherOperator, DropEvent, SwapEvents, DuplicateEvent];
    pub(crate) const LEAVES: [Self; 10] =
        [FlipCommitment, Resalt, ResaltWell, DropLeaf, SwapLeaves, DuplicateLeaf, TruncateLeaves, TruncateLog, CallPurged, CallLost];
    pub(crate) const TREE: [Self; 6] = [FlipTile, DropTile, FlipRoot, FlipNote, OtherPosition, ReviveCertificate];
    pub(crate) const BODIES: [Self; 11] = [
        OtherBody,
        OtherHolder,
        OtherEnd,
        OtherCard,
        OtherApplication,
        OtherDigest,
        OtherProfile,
        OtherEvidence,
        DropBody,
        DropLink,
        DropEvidence,
    ];
    pub(crate) const FILES: [Self; 9] =
        [FlipFile, TruncateFile, DropFile, SwapFiles, DuplicateFile, LengthenFile, StrayFile, FlipCheckpoint, DropCheckpoint];

    /// Does it to the installation at `place`, whose log has `leaves` leaves; what is to be named.
    pub(crate) fn commit(self, place: &Path, leaves: u64) -> Named {
        if Self::FILES.contains(&self) { self.commit_on_files(&place.join("log")) } else { self.commit_on_store(place, leaves) }
    }

    fn commit_on_store(self, place: &Path, leaves: u64) -> Named {
        let url = format!("sqlite://{}", place.join("tsunagi.sqlite").display());
        let reader = Database::open(&url, &OpenOptions::default()).unwrap().reader();
        let leaf = random_below(leaves as usize - 1).unwrap() as u64;
        let other = (leaf + 1 + random_below(leaves as usize - 1).unwrap() as u64) % leaves;
        // No leaf is absent here, so positions follow.
        let (event, second) = (leaf + 1, other + 1);
        let named = Named::Leaf(leaf);
        let both = |statement: String| (statement, Named::Leaf(leaf.min(other)));
        let head = |statement: &str| (format!("UPDATE log_head SET {statement}"), Named::Place(vec!["log_head".to_owned()]));
        let noted = "the last note in the store".to_owned();
        let (statements, named) = match self {
            FlipData => {
                let length = reader.count_for_test(&format!("SELECT length(data) FROM event WHERE position = {event}")).unwrap();
                let at = random_below(length as usize).unwrap() + 1;
                let flipped = format!("char(unicode(substr(data, {at}, 1)) + 1)");
                (
                    format!(
                        "UPDATE event SET data = substr(data, 1, {at} - 1) || {flipped} || substr(data, {at} + 1) WHERE position = {event}"
                    ),
                    named,
                )
            }
            OtherKind => (format!("UPDATE event SET kind = kind || 'x' WHERE position = {event}"), named),
            Redate => {
                let by = random_below(1_000_000_000).unwrap() + 1;
                (format!("UPDATE event SET at = at - {by} WHERE position = {event}"), named)
            }
            OtherCertificate => {
                (format!("UPDATE event SET certificate_id = COALESCE(certificate_id, 0) + 1 WHERE position = {event}"), named)
            }
            OtherOperator => (
                format!("UPDATE event SET operator = COALESCE(operator, '') || 'x' WHERE position = {event}"),
                Named::Place(vec![format!("event {event}")]),
            ),
            DropEvent => (format!("DELETE FROM event WHERE position = {event}"), named),
            SwapEvents => both(format!(
                "UPDATE event SET position = -1 WHERE position = {event}; UPDATE event SET position = {event} \
                WHERE position = {second}; UPDATE event SET position = {second} WHERE position = -1"
            )),
            DuplicateEvent => (
                format!(
                    "UPDATE event SET (at, kind, certificate_id, application_id, data) = (SELECT e.at, e.kind, e.certificate_id, \
                e.application_id, e.data || ' ' FROM event AS e WHERE e.position = {second}) WHERE position = {event}"
                ),
                named,
            ),
            FlipCommitment => {
                let mut commitment = reader.log_commitments(leaf, 1).unwrap()[0];
                commitment[random_below(32).unwrap()] ^= 1 << random_below(8).unwrap();
                (format!("UPDATE log_leaf SET commitment = x'{}' WHERE leaf = {leaf}", hex::encode(commitment)), named)
            }
            Resalt => (format!("UPDATE log_leaf SET salt = randomblob(32) WHERE leaf = {leaf}"), named),
            ResaltWell => {
                let salt = Salt::draw(1).unwrap()[0];
                let commitment = Commitment::of(&salt, &content(&reader, leaf)).0;
                let (salt, commitment) = (hex::encode(salt.0), hex::encode(commitment));
                (format!("UPDATE log_leaf SET salt = x'{salt}', commitment = x'{commitment}' WHERE leaf = {leaf}"), named)
            }
            DropLeaf => (format!("DELETE FROM log_leaf WHERE leaf = {leaf}"), named),
            SwapLeaves => both(format!(
                "UPDATE log_leaf SET leaf = -1 WHERE leaf = {leaf}; UPDATE log_leaf SET leaf = {leaf} \
                WHERE leaf = {other}; UPDATE log_leaf SET leaf = {other} WHERE leaf = -1"
            )),
            DuplicateLeaf => (
                format!(
                    "INSERT INTO log_leaf (leaf, position, salt, commitment) SELECT {leaves}, -1, salt, commitment FROM log_leaf \
                WHERE leaf = {leaf}"
                ),
                Named::Leaf(leaves),
            ),
            TruncateLeaves => (format!("DELETE FROM log_leaf WHERE leaf >= {leaf}"), named),
            TruncateLog => {
                let root = audit_root(&reader, leaf);
                (
                    format!(
                        "DELETE FROM log_leaf WHERE leaf >= {leaf}; DELETE FROM event WHERE position > {leaf}; DELETE FROM notice WHERE event_position > {leaf}; \
                    UPDATE event_counter SET position = {leaf}; \
                    UPDATE log_head SET size = {leaf}, root = x'{root}', position = {leaf}, note_size = 0, note_position = 0, note = NULL, noted_at = NULL"
                    ),
                    named,
                )
            }
            CallPurged => (
                format!(
                    "UPDATE log_leaf SET position = NULL, salt = NULL, absent = 1 WHERE leaf = {leaf}; DELETE FROM event WHERE position = {event}"
                ),
                named,
            ),
            CallLost => (
                format!(
                    "UPDATE log_leaf SET position = NULL, salt = NULL, absent = 2 WHERE leaf = {leaf}; DELETE FROM event WHERE position = {event}"
                ),
                named,
            ),
            FlipTile => {
                let mut hashes = reader.log_tile(1, 0).unwrap().unwrap();
                let at = random_below(hashes.len()).unwrap();
                hashes[at] ^= 0x40;
                (
                    format!("UPDATE log_tile SET hashes = x'{}' WHERE level = 1", hex::encode(hashes)),
                    Named::Place(vec!["log_tile 1/0".to_owned()]),
                )
            }
            DropTile => ("DELETE FROM log_tile WHERE level = 1".to_owned(), Named::Place(vec!["log_tile 1/0".to_owned()])),
            FlipRoot => head("root = randomblob(32)"),
            OtherPosition => head("position = position - 1"),
            FlipNote => {
                let at = random_below(100).unwrap() + 1;
                let statement = format!(
                    "note = substr(note, 1, {at} - 1) || char((unicode(substr(note, {at}, 1)) + 1) % 127) || substr(note, {at} + 1)"
                );
                (head(&statement).0, Named::Place(vec![noted]))
            }
            ReviveCertificate => {
                let revoked = "(SELECT id FROM certificate WHERE state = 3 ORDER BY random() LIMIT 1)";
                let certificate =
                    reader.count_for_test(&format!("SELECT MIN(id) FROM certificate WHERE state = 3 AND id IN {revoked}")).unwrap();
                (
                    format!(
                        "UPDATE certificate SET state = 4, reason = NULL, revoked_at = NULL, invalidity_at = NULL WHERE id = {certificate}"
                    ),
                    Named::Place(vec![format!("certificate {certificate}")]),
                )
            }
            OtherBody | OtherHolder | OtherEnd | OtherCard | OtherApplication | OtherDigest | OtherProfile | OtherEvidence | DropBody
            | DropLink | DropEvidence => self.commit_on_certificate(&reader),
            _ => unreachable!("{self:?} is done to files"),
        };
        drop(reader);
        tamper_with(&url, &format!("{UNCHECKED} {statements}")).unwrap_or_else(|fault| panic!("{self:?}: {fault}: {statements}"));
        named
    }

    /// To one of those that were issued upon an application; another of them is at hand.
    fn commit_on_certificate(self, reader: &Reader) -> (String, Named) {
        let pick = |kind: i64, besides: i64| {
            let applications = format!(
                "application_id <> (SELECT COALESCE(MAX(application_id), 0) FROM certificate_body WHERE certificate_id = {besides})"
            );
            let picked = "SELECT b.certificate_id FROM certificate_body AS b JOIN certificate AS c ON c.id = b.certificate_id";
            let one =
                format!("SELECT MIN(certificate_id) FROM ({picked} WHERE c.kind = {kind} AND {applications} ORDER BY random() LIMIT 1)");
            reader.count_for_test(&one).unwrap()
        };
        let kind = 1 + random_below(2).unwrap() as i64;
        let one = pick(kind, 0);
        let other = pick(kind, one);
        let of = |column: &str, table: &str| format!("(SELECT {column} FROM {table} WHERE certificate_id = {other})");
        let application = format!("(SELECT application_id FROM certificate_body WHERE certificate_id = {one})");
        let statement = match self {
            OtherBody => format!("UPDATE certificate_body SET der = {} WHERE certificate_id = {one}", of("der", "certificate_body")),
            // One holder has one live certificate of a kind.
            OtherHolder => {
                let [mine, theirs] =
                    [one, other].map(|id| reader.count_for_test(&format!("SELECT holder FROM certificate WHERE id = {id}")).unwrap());
                format!(
                    "UPDATE certificate SET holder = -1 WHERE id = {one}; UPDATE certificate SET holder = {mine} WHERE id = {other}; \
                    UPDATE certificate SET holder = {theirs} WHERE id = {one}"
                )
            }
            OtherEnd => format!("UPDATE certificate SET not_after = not_after + 1000 WHERE id = {one}"),
            OtherCard => format!("UPDATE link SET card_id = {} WHERE certificate_id = {one}", of("card_id", "link")),
            OtherApplication => {
                format!(
                    "UPDATE certificate_body SET application_id = {} WHERE certificate_id = {one}",
                    of("application_id", "certificate_body")
                )
            }
            OtherDigest => format!("UPDATE application SET digest = randomblob(32) WHERE id = {application}"),
            OtherProfile => format!("UPDATE certificate_body SET policy_sha256 = randomblob(32) WHERE certificate_id = {one}"),
            OtherEvidence => format!("UPDATE application_evidence SET cms = randomblob(200) WHERE application_id = {application}"),
            DropBody => format!("DELETE FROM certificate_body WHERE certificate_id = {one}"),
            DropLink => format!("DELETE FROM link WHERE certificate_id = {one}"),
            DropEvidence => format!("DELETE FROM application_evidence WHERE application_id = {application}"),
            _ => unreachable!("{self:?} is done to something else"),
        };
        (statement, Named::Place(vec![format!("certificate {one}")]))
    }

    fn commit_on_files(self, log: &Path) -> Named {
        let checkpoint = log.join("checkpoint");
        let published = || Named::Place(vec!["the checkpoint in the tile directory".to_owned()]);
        let files = files(&log.join("tile"));
        let file = &files[random_below(files.len()).unwrap()];
        let other = files
            .iter()
            .cycle()
            .skip(random_below(files.len()).unwrap())
            .find(|other| fs::read(other).unwrap() != fs::read(file).unwrap())
            .unwrap();
        let name = |file: &PathBuf| file.strip_prefix(log).unwrap().display().to_string();
        let mut octets = fs::read(file).unwrap();
        match self {
            FlipFile => {
                let at = random_below(octets.len()).unwrap();
                octets[at] ^= 1 << random_below(8).unwrap();
                fs::write(file, octets).unwrap();
            }
            TruncateFile => fs::write(file, &octets[..random_below(octets.len()).unwrap()]).unwrap(),
            LengthenFile => {
                octets.push(0);
                fs::write(file, octets).unwrap();
            }
            DropFile => {
                // Narrower forms that a wider one has replaced need not be there.
                let current = fs::read_to_string(&checkpoint).unwrap().lines().nth(1).unwrap().parse::<u64>().unwrap();
                let needed: Vec<&PathBuf> = files
                    .iter()
                    .filter(|file| {
                        let name = name(file);
                        !name.contains(".p/")
                            || name.ends_with(&format!(".p/{}", current % 256))
                            || name.starts_with("tile/1/") && name.ends_with(&format!(".p/{}", current / 256))
                    })
                    .collect();
                let file = needed[random_below(needed.len()).unwrap()];
                fs::remove_file(file).unwrap();
                return Named::Place(vec![name(file)]);
            }
            SwapFiles => {
                let theirs = fs::read(other).unwrap();
                fs::write(other, octets).unwrap();
                fs::write(file, theirs).unwrap();
                return Named::Place(vec![name(file), name(other)]);
            }
            DuplicateFile => drop(fs::copy(other, file).unwrap()),
            StrayFile => {
                let stray = log.join(["tile/0/777", "tile/entries/003.p/9", "tile/7/000", "tile/0/notes.txt"][random_below(4).unwrap()]);
                fs::create_dir_all(stray.parent().unwrap()).unwrap();
                fs::copy(file, &stray).unwrap();
                return Named::Place(vec![name(&stray)]);
            }
            FlipCheckpoint => {
                let mut octets = fs::read(&checkpoint).unwrap();
                let at = random_below(octets.len()).unwrap();
                octets[at] ^= 1 << random_below(7).unwrap();
                fs::write(&checkpoint, octets).unwrap();
                return published();
            }
            DropCheckpoint => {
                fs::remove_file(&checkpoint).unwrap();
                return published();
            }
            _ => unreachable!("{self:?} is done to the store"),
        }
        Named::Place(vec![name(file)])
    }
}

fn content(reader: &Reader, leaf: u64) -> String {
    let mut text = String::new();
    reader
        .log_records(leaf, 1, |record| -> Result<(), StoreFault> {
            let LeafContent::Present { event, .. } = record.content else { panic!("it is absent") };
            let (application, certificate) = (event.application.map(|id| id.0), event.certificate.map(|id| id.0));
            Content { application, at: event.at, certificate, data: event.data, kind: event.kind, position: event.position.0 }
                .write(&mut text);
            Ok(())
        })
        .unwrap();
    text
}

fn audit_root(reader: &Reader, size: u64) -> String {
    let mut edge = audit_log::Edge::empty();
    edge.append(&reader.log_commitments(0, size as u32).unwrap().into_iter().map(Commitment).collect::<Vec<_>>());
    hex::encode(edge.root())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
