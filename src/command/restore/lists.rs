//! The published lists that are to be found: on the shelf, and where the command line says.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_core::chain::Chain;
use ca_core::issuer::CaKeyId;
use chrono::{DateTime, Utc};
use crl_publisher::read_back::ReadBack;
use crl_publisher::shelf::label;
use schema::crl::ListedRevocation;

use crate::failure::Failure;
use crate::installation::Installation;

/// Shards that there can be of a CA key.
const SHARDS: u16 = 4_096;
/// Octets of a list that is downloaded at most.
const DOWNLOAD_OCTETS: u64 = 4 << 30;
/// For a whole download.
const DOWNLOAD_TIME: Duration = Duration::from_secs(3_600);
/// Entries handed on at a time.
const SOME: usize = 512;

/// What a list covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) ca_key: CaKeyId,
    pub(super) shard: u16,
    pub(super) label: String,
}

/// A list that one of our CA keys signed, of one of its scopes.
pub(super) struct PublishedList {
    /// As it was named, or found.
    pub(super) name: String,
    pub(super) scope: Scope,
    pub(super) number: u64,
    pub(super) this_update: DateTime<Utc>,
    pub(super) next_update: DateTime<Utc>,
    pub(super) entries: u64,
    /// Whether no other of its scope that was found has a higher number.
    pub(super) is_newest: bool,
    copy: PrivateCopy,
}

/// What was found, by scope, the newest of each first.
pub(super) struct Lists {
    pub(super) lists: Vec<PublishedList>,
}

impl Lists {
    /// Copies and verifies what the shelf holds in force and everything that is given; `progress` hears what is being read. Only the
    /// copies are read from then on, so what was verified is what counts, whoever else writes where the lists were found. A list that is
    /// given and is not one of ours is a failure; one on the shelf is passed over with a warning.
    pub(super) fn gather(installation: &Installation, given: &[String], progress: impl Fn(&str)) -> Result<Self, Failure> {
        let scopes = Scopes::new(installation);
        let mut lists = Vec::new();
        for list in installation.shelf()?.all_in_force() {
            let name = list.path.display().to_string();
            progress(&name);
            match PrivateCopy::of_file(&name, &list.path).and_then(|copy| scopes.read(&name, copy)) {
                Ok(list) => lists.push(list),
                Err(failure) => tracing::warn!(%failure, "a list on the shelf is left out"),
            }
        }
        for name in given {
            progress(name);
            if name.starts_with("http://") {
                lists.push(scopes.read(name, PrivateCopy::fetch(name)?)?);
            } else if name.contains("://") {
                return Err(Failure::usage(format!("{name}: CRLs are fetched over http://, everything in them is signed")));
            } else if Path::new(name).is_dir() {
                for path in lists_in(Path::new(name))? {
                    let name = path.display().to_string();
                    lists.push(scopes.read(&name, PrivateCopy::of_file(&name, &path)?)?);
                }
            } else {
                lists.push(scopes.read(name, PrivateCopy::of_file(name, Path::new(name))?)?);
            }
        }
        // One that was found twice is one.
        lists.sort_by(|one, other| (&one.scope.label, other.number).cmp(&(&other.scope.label, one.number)));
        lists.dedup_by(|later, earlier| later.scope == earlier.scope && later.number == earlier.number);
        let mut last = None;
        for list in &mut lists {
            list.is_newest = last.as_ref() != Some(&list.scope);
            last = Some(list.scope.clone());
        }
        Ok(Self { lists })
    }

    /// The newest list of each scope, by its label.
    pub(super) fn newest(&self) -> BTreeMap<&str, &PublishedList> {
        self.lists.iter().filter(|list| list.is_newest).map(|list| (list.scope.label.as_str(), list)).collect()
    }
}

impl PublishedList {
    /// Hands on the entries that are wanted, some hundreds at a time. The copy was verified before, as a whole.
    pub(super) fn walk(
        &self,
        wants: impl Fn(&ListedRevocation) -> bool,
        mut each: impl FnMut(&[ListedRevocation]) -> Result<(), Failure>,
        mut passed: impl FnMut(u64),
    ) -> Result<(), Failure> {
        let unreadable = |fault| Failure::other(format!("{}: {}", self.name, Chain(&fault)));
        let file = self.copy.open().map_err(|error| Failure::other(format!("{}: {error}", self.name)))?;
        let mut list = ReadBack::begin(BufReader::new(file)).map_err(unreadable)?;
        let mut some = Vec::with_capacity(SOME);
        let mut read = 0;
        while let Some(entry) = list.next_entry().map_err(unreadable)? {
            read += 1;
            if wants(&entry) {
                some.push(entry);
            }
            if some.len() == SOME {
                each(&some)?;
                some.clear();
            }
            if read % SOME as u64 == 0 {
                passed(SOME as u64);
            }
        }
        passed(read % SOME as u64);
        each(&some)
    }
}

/// Our scopes, by the distribution point in their lists.
struct Scopes<'a> {
    installation: &'a Installation,
    by_point: HashMap<Vec<u8>, Scope>,
}

impl<'a> Scopes<'a> {
    /// All that there can be: the store may have forgotten shards.
    fn new(installation: &'a Installation) -> Self {
        let mut by_point = HashMap::new();
        for ca_key in &installation.ca_keys {
            for shard in 0..SHARDS {
                let scope = Scope { ca_key: ca_key.id(), shard, label: label(ca_key, shard) };
                by_point.insert(ca_key.distribution_point(shard).name_der, scope);
            }
        }
        Self { installation, by_point }
    }

    /// Reads a list to its end and believes it only if the CA key signed it whose scope it says to be of.
    fn read(&self, name: &str, copy: PrivateCopy) -> Result<PublishedList, Failure> {
        let refuse = |why: String| Failure::refused(format!("{name}: {why}")).with_code("list_unbelievable");
        let file = copy.open().map_err(|error| Failure::other(format!("{name}: {error}")))?;
        let list = ReadBack::begin(BufReader::new(file)).map_err(|fault| refuse(Chain(&fault).to_string()))?;
        let head = list.head().clone();
        let ending = list.finish().map_err(|fault| refuse(Chain(&fault).to_string()))?;
        let scope = ending.distribution_point().and_then(|point| self.by_point.get(point));
        let scope = scope.ok_or_else(|| refuse("it is of no distribution point of a CA key of this store".to_owned()))?;
        let ca_key = self.installation.ca_keys.iter().find(|key| key.id() == scope.ca_key);
        if !ca_key.is_some_and(|key| ending.is_signed_by(key.subject_public_key())) {
            return Err(refuse("the CA key whose list it says to be did not sign it".to_owned()));
        }
        let number = ending.number().ok_or_else(|| refuse("it has no number".to_owned()))?;
        Ok(PublishedList {
            name: name.to_owned(),
            scope: scope.clone(),
            number,
            this_update: head.this_update,
            next_update: head.next_update,
            entries: ending.entries,
            is_newest: false,
            copy,
        })
    }
}

/// The files of a directory that are called as lists are, as on a shelf: those in force.
fn lists_in(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| Failure::other(format!("{}: {error}", directory.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "crl") && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Failure::not_found(format!("{}: there is no file called ….crl", directory.display())));
    }
    paths.sort();
    Ok(paths)
}

/// A copy of a list that nobody else may write, where temporary files lie; gone when this is dropped.
struct PrivateCopy(PathBuf);

impl PrivateCopy {
    fn of_file(name: &str, path: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::not_found(format!("{name}: {error}")),
            _ => Failure::other(format!("{name}: {error}")),
        };
        Self::of(&mut File::open(path).map_err(failed)?, failed)
    }

    fn fetch(url: &str) -> Result<Self, Failure> {
        let unreachable = |error: String| Failure::unreachable(format!("{url}: {error}"));
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(DOWNLOAD_TIME)).proxy(None).build().into();
        let mut answer = agent.get(url).call().map_err(|error| unreachable(error.to_string()))?;
        let mut body = answer.body_mut().with_config().limit(DOWNLOAD_OCTETS).reader();
        Self::of(&mut body, |error| unreachable(error.to_string()))
    }

    fn of(from: &mut impl Read, failed: impl Fn(std::io::Error) -> Failure) -> Result<Self, Failure> {
        let mut octets = [0; 8];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut octets)
            .map_err(|_| Failure::other("the machine gives no random octets"))?;
        let path = std::env::temp_dir().join(format!("tsunagi-{}.crl", hex::encode(octets)));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(|error| Failure::other(format!("{}: {error}", path.display())))?;
        let copy = Self(path);
        std::io::copy(from, &mut file).map_err(failed)?;
        Ok(copy)
    }

    fn open(&self) -> std::io::Result<File> {
        File::open(&self.0)
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_the_copy_whatever_becomes_of_the_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("list.crl");
        std::fs::write(&path, "as it was verified").unwrap();
        let copy = PrivateCopy::of_file("list.crl", &path).ok().unwrap();
        std::fs::write(&path, "as somebody would have it").unwrap();
        let mut text = String::new();
        copy.open().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "as it was verified");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy.0).unwrap().permissions()) & 0o777, 0o600);
        let left = copy.0.clone();
        drop(copy);
        assert!(!left.exists());
        assert!(PrivateCopy::of_file("nothing", &place.path().join("nothing")).is_err());
    }
}
