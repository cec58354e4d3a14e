//! Copying lists to an object store, apart from publishing: whatever becomes of it, nothing waits for it.

#[cfg(feature = "s3")]
mod s3;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ca_core::chain::Chain;

#[cfg(feature = "s3")]
pub use self::s3::S3Store;
use crate::shelf::{Shelf, ShelvedList};

/// Where objects are put under names.
pub trait ObjectStore: Send + Sync {
    /// The list's number that an object carries; `None` if there is no such object.
    ///
    /// # Errors
    /// See [`UploadFault`].
    fn number_of(&self, object: &str) -> Result<Option<u64>, UploadFault>;

    /// Puts a list's file there, in place of any object of that name. `immutable`: this name never gets another content.
    ///
    /// # Errors
    /// See [`UploadFault`].
    fn put(&self, object: &str, number: u64, file: &Path, immutable: bool) -> Result<(), UploadFault>;
}

/// A list could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum UploadFault {
    /// What is set cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The file cannot be read.
    #[error("the list's file")]
    File(#[from] std::io::Error),
    /// The store was not reached, or did not answer as one.
    #[error("the object store: {0}")]
    Exchange(String),
    /// The store refused.
    #[error("the object store answered {status} for {object}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Of which object.
        object: String,
    },
    /// The object there does not say which list it is.
    #[error("{0} is in the object store without a list's number: it was not put there by this program")]
    Stranger(String),
}

/// Copies every list that comes on the shelf.
pub struct Uploader {
    shelf: Arc<Shelf>,
    store: Arc<dyn ObjectStore>,
    /// Of each list's name the number that is there.
    there: BTreeMap<String, u64>,
    failing: BTreeMap<String, Failing>,
}

/// A list that could not be copied is tried again ever later.
struct Failing {
    wait: Duration,
    again: Instant,
}

/// The pause between two looks at the shelf.
const POLL: Duration = Duration::from_millis(200);

/// The shortest and the longest pause after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Uploader {
    /// Nothing is done yet.
    pub fn new(shelf: Arc<Shelf>, store: Arc<dyn ObjectStore>) -> Self {
        Self { shelf, store, there: BTreeMap::new(), failing: BTreeMap::new() }
    }

    /// Copies until `stop` is set, while `leads` says that this process leads. Faults are logged, counted and tried again. Blocks: it
    /// wants a thread of its own.
    pub fn run(&mut self, leads: &dyn Fn() -> bool, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if leads() {
                self.look(leads);
            } else {
                // Another copies meanwhile.
                self.there.clear();
                self.failing.clear();
            }
            std::thread::sleep(POLL);
        }
    }

    /// Copies what is new, and what may be tried again. Returns how many lists were copied.
    pub fn look(&mut self, leads: &dyn Fn() -> bool) -> usize {
        let mut copied = 0;
        for list in self.shelf.all_in_force() {
            let is_there = self.there.get(&list.label).is_some_and(|number| *number >= list.number);
            let must_wait = self.failing.get(&list.label).is_some_and(|failing| Instant::now() < failing.again);
            if is_there || must_wait || !leads() {
                continue;
            }
            let label = list.label.clone();
            match self.copy(&list, leads) {
                Ok(()) => {
                    self.failing.remove(&label);
                    metrics::counter!("tsunagi_crl_uploaded_total", "crl" => label).increment(1);
                    copied += 1;
                }
                Err(fault) => {
                    tracing::error!(crl = label, fault = %Chain(&fault), "a CRL is not in the object store; it is tried again");
                    metrics::counter!("tsunagi_crl_upload_faults_total", "crl" => label.clone()).increment(1);
                    let wait = self.failing.get(&label).map_or(RETRY.0, |failing| (failing.wait * 2).min(RETRY.1));
                    self.failing.insert(label, Failing { wait, again: Instant::now() + wait });
                }
            }
        }
        copied
    }

    /// First under its number, then as the one in force: whoever reads of a list there finds it. A lower number never takes the place
    /// of a higher one.
    fn copy(&mut self, list: &ShelvedList, leads: &dyn Fn() -> bool) -> Result<(), UploadFault> {
        let in_force = format!("{}.crl", list.label);
        let there = self.store.number_of(&in_force)?;
        if let Some(there) = there.filter(|there| *there >= list.number) {
            self.there.insert(list.label.clone(), there);
            return Ok(());
        }
        self.store.put(&format!("{}/{}.crl", list.label, list.number), list.number, &list.path, true)?;
        if leads() {
            self.store.put(&in_force, list.number, &list.path, false)?;
            self.there.insert(list.label.clone(), list.number);
        }
        Ok(())
    }
}
