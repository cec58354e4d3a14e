//! The directory of published lists, as it can be served, copied or put behind any web server.
//!
//! ```text
//! <directory>/<label>.crl             the list in force
//! <directory>/<label>/<number>.crl    this list and earlier ones; never changed
//! <directory>/….crl.gz                the same lists, compressed (RFC 1952)
//! <directory>/work                    what is not finished, a directory
//! <directory>/aside                   lists that the store does not know, a directory
//! ```
//!
//! The label is `signature-1` for a CA key's shard 0 and `signature-1-17` for shard 17. A name appears only when its octets are on
//! disk; the list in force is a second name of an immutable file and changes by being renamed, so whoever reads sees one list or the
//! other. Several processes of one machine may share a directory.

mod aside;
mod compress;
mod durable;
mod filler;
mod head;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKey;
use ca_core::signer::{DigestAlgorithm, StreamingDigest};
use chrono::{DateTime, Utc};
use schema::crl::PublishedCrl;

use self::durable::{Part, remove_if_there, sync_directory};
pub(crate) use self::filler::unknown_above;
pub use self::filler::{FillFault, Filler};

/// A directory of published lists.
pub struct Shelf {
    directory: PathBuf,
    in_force: RwLock<BTreeMap<String, Arc<ShelvedList>>>,
    /// Of each label the number that this process has put here last. One list is put here at a time; a file's lock keeps other
    /// processes apart.
    placed: Mutex<BTreeMap<String, u64>>,
}

/// A list on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelvedList {
    /// Its scope's label.
    pub label: String,
    /// Its CRLNumber.
    pub number: u64,
    /// thisUpdate
    pub this_update: DateTime<Utc>,
    /// nextUpdate
    pub next_update: DateTime<Utc>,
    /// How many octets it has.
    pub octets: u64,
    /// The file, immutable.
    pub path: PathBuf,
    /// How many octets the compressed file beside it has, if it is there.
    pub compressed_octets: Option<u64>,
}

/// What a file must be to be put on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The scope's label.
    pub label: String,
    /// The CRLNumber.
    pub number: u64,
    /// How many octets it has.
    pub octets: u64,
    /// Their SHA-256.
    pub sha256: Sha256Digest,
    /// The public key of the CA key that signed it, the content of the BIT STRING subjectPublicKey.
    pub signed_by: Vec<u8>,
}

/// The shelf could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ShelfFault {
    /// The file system failed.
    #[error("{path}")]
    File {
        /// What was touched.
        path: PathBuf,
        /// How it failed.
        #[source]
        source: io::Error,
    },
    /// The octets are not those of the list.
    #[error("{0}: not the octets of the published list")]
    Octets(PathBuf),
    /// It does not begin as a list does.
    #[error("{0}: does not begin as a CRL does")]
    Unreadable(PathBuf),
}

impl ShelvedList {
    /// Where the compressed file lies, if there is one.
    pub fn compressed_path(&self) -> PathBuf {
        compress::beside(&self.path)
    }
}

impl Expected {
    /// What a published list must be.
    pub fn of(ca_key: &CaKey, list: &PublishedCrl) -> Self {
        let signed_by = ca_key.subject_public_key().to_vec();
        Self { label: label(ca_key, list.shard), number: list.number, octets: list.octets, sha256: list.sha256, signed_by }
    }
}

impl ShelfFault {
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_path_buf(), source }
    }
}

/// The label of a scope: the last part of its list's address, without `.crl`.
pub fn label(ca_key: &CaKey, shard: u16) -> String {
    if shard == 0 { ca_key.label() } else { format!("{}-{shard}", ca_key.label()) }
}

/// What another process left unfinished is not touched before this age.
const ABANDONED: Duration = Duration::from_secs(3_600);

impl Shelf {
    /// Opens a directory, which is made if it is not there, and looks at what it holds.
    ///
    /// # Errors
    /// See [`ShelfFault`].
    pub fn open(directory: &Path) -> Result<Self, ShelfFault> {
        let shelf = Self { directory: directory.to_path_buf(), in_force: RwLock::default(), placed: Mutex::default() };
        let work = shelf.work_directory();
        fs::create_dir_all(&work).map_err(ShelfFault::at(&work))?;
        shelf.clear_abandoned()?;
        for label in shelf.labels()? {
            // The newest that reads as a list; an unreadable one is made again from the store.
            for number in shelf.numbers(&label)?.into_iter().rev() {
                match shelf.look(&label, number) {
                    Ok(Some(list)) => {
                        shelf.put_in_force(list)?;
                        break;
                    }
                    Ok(None) => {}
                    Err(fault) => tracing::warn!(fault = %ca_core::chain::Chain(&fault), "a file on the shelf of CRLs is no list"),
                }
            }
        }
        Ok(shelf)
    }

    /// Where unfinished files lie: on the same file system, so that a finished one needs only a new name.
    pub fn work_directory(&self) -> PathBuf {
        self.directory.join("work")
    }

    /// The list in force of a scope.
    pub fn in_force(&self, label: &str) -> Option<Arc<ShelvedList>> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).get(label).cloned()
    }

    /// All lists in force, by label.
    pub fn all_in_force(&self) -> Vec<Arc<ShelvedList>> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A list by its number, in force or an earlier one.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn look(&self, label: &str, number: u64) -> Result<Option<ShelvedList>, ShelfFault> {
        if !is_label(label) {
            return Ok(None);
        }
        let path = self.path(label, number);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ShelfFault::at(&path)(error)),
        };
        let octets = file.metadata().map_err(ShelfFault::at(&path))?.len();
        let mut head = Vec::with_capacity(head::OCTETS);
        file.by_ref().take(head::OCTETS as u64).read_to_end(&mut head).map_err(ShelfFault::at(&path))?;
        let head = head::read(&head).map_err(|_| ShelfFault::Unreadable(path.clone()))?;
        if head.octets != octets {
            return Err(ShelfFault::Unreadable(path));
        }
        let compressed_octets = fs::metadata(compress::beside(&path)).ok().map(|found| found.len());
        let head::Head { this_update, next_update, .. } = head;
        Ok(Some(ShelvedList { label: label.to_owned(), number, this_update, next_update, octets, path, compressed_octets }))
    }

    /// The numbers of a scope's lists that are here, rising.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn numbers(&self, label: &str) -> Result<Vec<u64>, ShelfFault> {
        let directory = self.directory.join(label);
        let mut numbers: Vec<u64> = names(&directory)?.iter().filter_map(|name| number_of(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The labels of all scopes that have something here.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn labels(&self) -> Result<Vec<String>, ShelfFault> {
        let mut labels = names(&self.directory)?;
        labels.retain(|name| is_label(name) && self.directory.join(name).is_dir());
        labels.sort_unstable();
        Ok(labels)
    }

    /// Puts a finished file of the work directory on the shelf; it is in force then unless a later one is here.
    ///
    /// # Errors
    /// See [`ShelfFault`]; nothing of it is on the shelf then.
    pub fn place(&self, expected: &Expected, finished: &Path) -> Result<(), ShelfFault> {
        let mut placed = self.lock();
        if self.holds(expected)? {
            remove_if_there(finished)?;
        } else {
            let file = File::open(finished).map_err(ShelfFault::at(finished))?;
            file.sync_all().map_err(ShelfFault::at(finished))?;
            self.name(expected, finished)?;
        }
        self.settle(&expected.label)?;
        placed.insert(expected.label.clone(), expected.number);
        Ok(())
    }

    /// Whether this process itself has put that list here, as the last of its label.
    pub fn has_placed(&self, label: &str, number: u64) -> bool {
        self.lock().get(label) == Some(&number)
    }

    /// Puts a list on the shelf whose octets `chunks` gives to whoever takes them, in order. Nothing is done if it is there already.
    /// Its SHA-256 is checked either way.
    ///
    /// # Errors
    /// Those of `chunks`, and [`ShelfFault`]; nothing of it is on the shelf then.
    pub fn fill<F: From<ShelfFault>>(
        &self,
        expected: &Expected,
        chunks: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), F>,
    ) -> Result<(), F> {
        let mut placed = self.lock();
        if !self.holds(expected)? {
            let mut part = Part::create(&self.work_directory(), &format!("{}-{}", expected.label, expected.number))?;
            let mut digest = StreamingDigest::new(DigestAlgorithm::Sha256);
            chunks(&mut |octets| {
                digest.update(octets);
                part.write(octets)
            })?;
            let path = part.finish()?;
            if digest.finish().as_bytes() != expected.sha256.as_bytes() {
                remove_if_there(&path)?;
                return Err(ShelfFault::Octets(path).into());
            }
            self.name(expected, &path)?;
        }
        self.settle(&expected.label)?;
        placed.insert(expected.label.clone(), expected.number);
        Ok(())
    }

    /// Compresses a list that is here, unless that has been done.
    ///
    /// # Errors
    /// See [`ShelfFault`].
    pub fn compress(&self, label: &str, number: u64) -> Result<(), ShelfFault> {
        let path = self.path(label, number);
        let compressed = compress::beside(&path);
        if !compressed.exists() {
            let part = Part::create(&self.work_directory(), &format!("{label}-{number}-gz"))?;
            let part = compress::compress(&path, part)?;
            fs::rename(&part, &compressed).map_err(ShelfFault::at(&compressed))?;
            sync_directory(&self.directory.join(label))?;
        }
        let _placing = self.lock();
        self.settle(label)
    }

    /// Takes an earlier list away; the one in force stays.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn remove(&self, label: &str, number: u64) -> Result<(), ShelfFault> {
        let _placing = self.lock();
        if self.numbers(label)?.last().is_none_or(|last| number < *last) {
            let path = self.path(label, number);
            remove_if_there(&compress::beside(&path))?;
            remove_if_there(&path)?;
        }
        Ok(())
    }

    /// Removes what a publisher left in the work directory before it died. To be called by whoever leads: nobody else writes lists.
    ///
    /// # Errors
    /// If the directory cannot be read, or a file not be removed.
    pub fn clear_unpublished(&self) -> Result<(), ShelfFault> {
        let work = self.work_directory();
        names(&work)?.iter().filter(|name| !name.ends_with(durable::PART)).try_for_each(|name| remove_if_there(&work.join(name)))
    }

    /// Removes parts that no process can still be writing.
    fn clear_abandoned(&self) -> Result<(), ShelfFault> {
        let work = self.work_directory();
        for name in names(&work)?.iter().filter(|name| name.ends_with(durable::PART)) {
            let path = work.join(name);
            let age = fs::metadata(&path).and_then(|found| found.modified()).ok().and_then(|touched| touched.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                remove_if_there(&path)?;
            }
        }
        Ok(())
    }

    /// Whether the list is here, with the right octets. Another list of that number is kept aside; what is none is removed.
    fn holds(&self, expected: &Expected) -> Result<bool, ShelfFault> {
        let path = self.path(&expected.label, expected.number);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(ShelfFault::at(&path)(error)),
        };
        let mut digest = StreamingDigest::new(DigestAlgorithm::Sha256);
        let mut buffer = vec![0; 65_536];
        loop {
            match file.read(&mut buffer).map_err(ShelfFault::at(&path))? {
                0 => break,
                read => digest.update(&buffer[..read]),
            }
        }
        if digest.finish().as_bytes() == expected.sha256.as_bytes() {
            return Ok(true);
        }
        remove_if_there(&compress::beside(&path))?;
        if !self.keep_aside(&path, expected)? {
            tracing::error!(file = %path.display(), "a list on the shelf is not the published one: it is made again");
            remove_if_there(&path)?;
        }
        Ok(false)
    }

    /// Gives a finished file its name.
    fn name(&self, expected: &Expected, finished: &Path) -> Result<(), ShelfFault> {
        let path = self.path(&expected.label, expected.number);
        let directory = self.directory.join(&expected.label);
        if !directory.is_dir() {
            fs::create_dir_all(&directory).map_err(ShelfFault::at(&directory))?;
            sync_directory(&self.directory)?;
        }
        fs::rename(finished, &path).map_err(ShelfFault::at(&path))?;
        sync_directory(&directory)
    }

    /// Puts the highest number of a scope in force.
    fn settle(&self, label: &str) -> Result<(), ShelfFault> {
        let Some(number) = self.numbers(label)?.last().copied() else { return Ok(()) };
        match self.look(label, number)? {
            Some(list) => self.put_in_force(list),
            None => Ok(()),
        }
    }

    fn put_in_force(&self, list: ShelvedList) -> Result<(), ShelfFault> {
        let lock_path = self.directory.join("lock");
        let lock = File::create(&lock_path).map_err(ShelfFault::at(&lock_path))?;
        lock.lock().map_err(ShelfFault::at(&lock_path))?;
        // Another process may have put a later one here meanwhile.
        if self.numbers(&list.label)?.last().is_none_or(|last| list.number >= *last) {
            let name = self.directory.join(format!("{}.crl", list.label));
            let compressed = compress::beside(&name);
            if !durable::is_same_file(&list.path, &name) {
                // A compressed list beside another one would be an older one to whoever serves such pairs.
                remove_if_there(&compressed)?;
                durable::second_name(&list.path, &name, &self.work_directory())?;
            }
            if list.compressed_octets.is_some() && !durable::is_same_file(&compress::beside(&list.path), &compressed) {
                durable::second_name(&compress::beside(&list.path), &compressed, &self.work_directory())?;
            }
            sync_directory(&self.directory)?;
        }
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if in_force.get(&list.label).is_none_or(|present| present.number <= list.number) {
            in_force.insert(list.label.clone(), Arc::new(list));
        }
        Ok(())
    }

    /// Where a list lies that has this number, if it is here.
    pub fn path(&self, label: &str, number: u64) -> PathBuf {
        self.directory.join(label).join(format!("{number}.crl"))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `signature-1`, `signature-1-17`: a word and one or two numbers. Nothing else may become part of a path.
fn is_label(text: &str) -> bool {
    let mut parts = text.split('-');
    let word = parts.next().is_some_and(|word| !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_lowercase()));
    let numbers: Vec<&str> = parts.collect();
    word && matches!(numbers.len(), 1 | 2) && numbers.iter().all(|number| canonical(number).is_some())
}

/// The number of `17.crl`.
fn number_of(name: &str) -> Option<u64> {
    canonical(name.strip_suffix(".crl")?)
}

/// A number written in the one way in which we write it.
pub(crate) fn canonical(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// The names in a directory; none if it is not there.
fn names(directory: &Path) -> Result<Vec<String>, ShelfFault> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ShelfFault::at(directory)(error)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    let names: Result<Vec<Option<String>>, io::Error> = names.collect();
    Ok(names.map_err(ShelfFault::at(directory))?.into_iter().flatten().collect())
}
