//! Keeping a shelf as the store is: how lists get from the machine that makes them to those that give them out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ca_core::chain::Chain;
use ca_core::issuer::CaKeyId;
use schema::crl::PublishedCrl;
use schema::{EventPosition, Reader, StoreFault, Wake};

use super::{Expected, Shelf, ShelfFault};

/// Fills a shelf from the store.
pub struct Filler {
    shelf: Arc<Shelf>,
    reader: Reader,
    /// What each CA key's lists are called.
    labels: BTreeMap<CaKeyId, ca_core::issuer::CaKey>,
    /// The number of each scope that was found or put on the shelf, and is what the store has.
    done: BTreeMap<(CaKeyId, u16), u64>,
    /// Lists on the shelf that the store does not know, of which somebody was told.
    unknown: BTreeSet<(String, u64)>,
    /// When earlier lists were last compared.
    tidied: Option<Instant>,
}

/// A list could not be put on the shelf.
#[derive(Debug, thiserror::Error)]
pub enum FillFault {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The shelf could not be written, or the store's octets are not those of the list.
    #[error(transparent)]
    Shelf(#[from] ShelfFault),
    /// The file being filled could not be written.
    #[error("the file being filled")]
    File(#[from] io::Error),
}

/// The longest pause between two looks at the store.
const POLL: Duration = Duration::from_millis(500);

/// The shortest.
const LEAST: Duration = Duration::from_millis(50);

/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// Earlier lists are compared so often.
const TIDY: Duration = Duration::from_secs(600);

impl Filler {
    /// Nothing is read yet.
    pub fn new(shelf: Arc<Shelf>, reader: Reader) -> Self {
        Self { shelf, reader, labels: BTreeMap::new(), done: BTreeMap::new(), unknown: BTreeSet::new(), tidied: None }
    }

    /// Keeps the shelf filled until `stop` is set. Faults are logged, counted and tried again; what is on the shelf stays meanwhile.
    /// Blocks: it wants a thread of its own.
    pub fn run(&mut self, wake: &Wake, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let position = wake.position();
            let whole = self.look_and_tell();
            if whole && self.tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY) {
                if let Err(fault) = self.tidy() {
                    tell(&fault);
                }
                self.tidied = Some(Instant::now());
            }
            // Many commits in a row are one look.
            std::thread::sleep(LEAST);
            if whole {
                wake.wait_timeout(position, POLL);
            } else {
                wake.wait_timeout(EventPosition(i64::MAX), RETRY);
            }
        }
    }

    /// Compresses what comes on the shelf, until `stop` is set. It rests longer than it works. Blocks, too.
    pub fn run_compressor(shelf: &Shelf, stop: &AtomicBool) {
        let pause = |least: Duration| {
            let until = Instant::now() + least;
            while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100).min(least));
            }
        };
        while !stop.load(Ordering::Relaxed) {
            let waiting: Vec<_> = shelf.all_in_force().into_iter().filter(|list| list.compressed_octets.is_none()).collect();
            for list in waiting {
                let began = Instant::now();
                if let Err(fault) = shelf.compress(&list.label, list.number) {
                    tell(&fault.into());
                    pause(RETRY);
                }
                pause(began.elapsed() * 4);
            }
            pause(POLL);
        }
    }

    fn look_and_tell(&mut self) -> bool {
        match self.look() {
            Ok(faults) => {
                faults.iter().for_each(tell);
                faults.is_empty()
            }
            Err(fault) => {
                tell(&fault);
                false
            }
        }
    }

    /// Puts every list in force on the shelf that is not there. One that fails does not keep back the others.
    ///
    /// # Errors
    /// If the store cannot say which lists are in force.
    pub fn look(&mut self) -> Result<Vec<FillFault>, FillFault> {
        let mut faults = Vec::new();
        for list in self.reader.latest_crls()? {
            self.hold_against(&list)?;
            if self.done.get(&(list.ca_key, list.shard)) == Some(&list.number) {
                continue;
            }
            // Where the CA role works on the same shelf, it has done so already.
            let label = self.expected(&list)?.label;
            let filled = if self.shelf.has_placed(&label, list.number) { Ok(()) } else { self.fill(&list) };
            match filled {
                Ok(()) => drop(self.done.insert((list.ca_key, list.shard), list.number)),
                Err(fault) => faults.push(fault),
            }
        }
        Ok(faults)
    }

    /// A list on the shelf above the store's latest was published, and the store has forgotten it.
    fn hold_against(&mut self, latest: &PublishedCrl) -> Result<(), FillFault> {
        let label = self.expected(latest)?.label;
        let Some(number) = unknown_above(&self.shelf, &self.reader, &label, latest)? else { return Ok(()) };
        if self.unknown.insert((label.clone(), number)) {
            metrics::counter!("tsunagi_crl_disputed_total").increment(1);
            tracing::error!(crl = label, number, latest = latest.number, "the shelf has a list that the store does not know: it went back");
        }
        Ok(())
    }

    /// Puts regular lists on the shelf that the store keeps, and takes those away that it does not keep any more.
    ///
    /// # Errors
    /// See [`FillFault`].
    pub fn tidy(&mut self) -> Result<(), FillFault> {
        self.remove_what_is_not_kept()?;
        for scope in self.reader.crl_scopes()? {
            let kept = self.reader.crls_kept(scope.ca_key, scope.shard)?;
            let Some(newest) = kept.first() else { continue };
            let label = self.expected(newest)?.label;
            let here = self.shelf.numbers(&label)?;
            for list in kept.iter().filter(|list| list.is_for_every_shelf() && !here.contains(&list.number)) {
                self.fill(list)?;
            }
        }
        Ok(())
    }

    /// Takes lists away that the store does not keep any more. What it does not know at all stays: it may have been restored from a
    /// time before them.
    ///
    /// # Errors
    /// See [`FillFault`].
    pub fn remove_what_is_not_kept(&mut self) -> Result<(), FillFault> {
        for scope in self.reader.crl_scopes()? {
            let kept = self.reader.crls_kept(scope.ca_key, scope.shard)?;
            let Some(newest) = kept.first() else { continue };
            let label = self.expected(newest)?.label;
            let is_kept = |number: &u64| kept.iter().any(|list| list.number == *number);
            for number in self.shelf.numbers(&label)?.into_iter().filter(|number| !is_kept(number)) {
                if self.reader.crl_in(scope.ca_key, scope.shard, number)?.is_some() {
                    self.shelf.remove(&label, number)?;
                }
            }
        }
        Ok(())
    }

    fn fill(&mut self, list: &PublishedCrl) -> Result<(), FillFault> {
        let expected = self.expected(list)?;
        let reader = self.reader.clone();
        self.shelf.fill(&expected, |sink| reader.crl_chunks(list.ca_key, list.number, |octets| Ok::<_, FillFault>(sink(octets)?)).map(drop))
    }

    fn expected(&mut self, list: &PublishedCrl) -> Result<Expected, FillFault> {
        if !self.labels.contains_key(&list.ca_key) {
            self.labels = self.reader.ca_keys()?.into_iter().map(|ca_key| (ca_key.id(), ca_key)).collect();
        }
        let ca_key = self.labels.get(&list.ca_key).ok_or(StoreFault::Corrupt("a CRL of no CA key"))?;
        Ok(Expected::of(ca_key, list))
    }
}

/// The number of the list in force on the shelf, if it is above the store's latest of its scope, and unknown to the store.
pub(crate) fn unknown_above(shelf: &Shelf, reader: &Reader, label: &str, latest: &PublishedCrl) -> Result<Option<u64>, StoreFault> {
    let Some(here) = shelf.in_force(label).filter(|here| here.number > latest.number) else { return Ok(None) };
    // It may have been published after the store was asked for the latest.
    Ok(reader.crl_in(latest.ca_key, latest.shard, here.number)?.is_none().then_some(here.number))
}

fn tell(fault: &FillFault) {
    metrics::counter!("tsunagi_crl_shelf_faults_total").increment(1);
    tracing::error!(fault = %Chain(fault), "the shelf of CRLs is not as the store is; what is on it stays");
}
