//! Lists compressed once, not for each who asks (RFC 1952).

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::ShelfFault;
use super::durable::Part;

/// Where the compressed file lies.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("crl.gz")
}

/// Compresses a file into a part, brings that to disk and says where it is. The gzip header names no file and no time, so the same
/// list makes the same octets. Serial numbers are random and most of a list: a better method would take much longer and gain little.
pub(super) fn compress(path: &Path, part: Part) -> Result<PathBuf, ShelfFault> {
    let file = File::open(path).map_err(ShelfFault::at(path))?;
    let mut encoder = GzEncoder::new(Sink(part), Compression::fast());
    io::copy(&mut BufReader::with_capacity(65_536, file), &mut encoder).map_err(ShelfFault::at(path))?;
    encoder.finish().map_err(ShelfFault::at(path))?.0.finish()
}

struct Sink(Part);

impl Write for Sink {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
