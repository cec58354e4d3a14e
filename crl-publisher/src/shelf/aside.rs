//! Lists that the CA key signed and the store does not know: they prove that the store went back, and are never destroyed.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::durable::sync_directory;
use super::{Expected, Shelf, ShelfFault, names};
use crate::read_back::ReadBack;

impl Shelf {
    /// The files with lists that stood under the number of another published one.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn kept_aside(&self) -> Result<Vec<PathBuf>, ShelfFault> {
        let directory = self.aside();
        let mut names = names(&directory)?;
        names.retain(|name| name.ends_with(".crl"));
        names.sort_unstable();
        Ok(names.iter().map(|name| directory.join(name)).collect())
    }

    /// Puts a list aside, named by its label, number and SHA-256, if the CA key signed it. Whether it did.
    pub(super) fn keep_aside(&self, path: &Path, expected: &Expected) -> Result<bool, ShelfFault> {
        let file = File::open(path).map_err(ShelfFault::at(path))?;
        let ending = match ReadBack::begin(BufReader::new(file)).and_then(ReadBack::finish) {
            Ok(ending) if ending.is_signed_by(&expected.signed_by) => ending,
            _ => return Ok(false),
        };
        let aside = self.aside();
        fs::create_dir_all(&aside).map_err(ShelfFault::at(&aside))?;
        let kept = aside.join(format!("{}-{}-{}.crl", expected.label, expected.number, ending.sha256));
        fs::rename(path, &kept).map_err(ShelfFault::at(&kept))?;
        sync_directory(&aside)?;
        sync_directory(&self.directory)?;
        metrics::counter!("tsunagi_crl_disputed_total").increment(1);
        tracing::error!(
            crl = expected.label,
            number = expected.number,
            file = %kept.display(),
            "another list was published under this number: the store went back; the list is kept aside"
        );
        Ok(true)
    }

    fn aside(&self) -> PathBuf {
        self.directory.join("aside")
    }
}
