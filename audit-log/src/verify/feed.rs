//! A file read once for two who look at it: who follows the rules reads it, and hands each piece on to who hashes it.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use crate::export::FileHash;

/// Octets of a piece.
const PIECE: usize = 1 << 18;

/// So many pieces may be on their way.
pub(super) const ON_THEIR_WAY: usize = 8;

type Piece = Arc<Vec<u8>>;

/// The reading end.
pub(super) struct Feed {
    file: io::Take<File>,
    sender: SyncSender<Piece>,
    piece: Piece,
    at: usize,
}

/// The other end, which learns the file's length and hash as it reads.
pub(super) struct Handed {
    receiver: Receiver<Piece>,
    piece: Piece,
    at: usize,
    hash: FileHash,
}

impl Feed {
    /// Reads so many octets of a file at most.
    pub(super) fn new(file: File, limit: u64, sender: SyncSender<Piece>) -> Self {
        Self { file: file.take(limit), sender, piece: Piece::default(), at: 0 }
    }

    /// Reads the rest, for the other end alone.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        loop {
            let rest = self.fill_buf()?.len();
            if rest == 0 {
                return Ok(());
            }
            self.consume(rest);
        }
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.piece.len() {
            let mut piece = Vec::with_capacity(PIECE);
            (&mut self.file).take(PIECE as u64).read_to_end(&mut piece)?;
            self.piece = Arc::new(piece);
            self.at = 0;
            if !self.piece.is_empty() {
                // The other end reads on until there is nothing more, so this fails only if it is gone, and then nobody misses it.
                let _ = self.sender.send(Arc::clone(&self.piece));
            }
        }
        Ok(&self.piece[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.piece.len());
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        copy(self, buffer)
    }
}

impl Handed {
    pub(super) fn new(receiver: Receiver<Piece>) -> Self {
        Self { receiver, piece: Piece::default(), at: 0, hash: FileHash::new() }
    }

    /// Takes what is still to come, and says what the whole is.
    pub(super) fn finish(mut self) -> FileHash {
        while let Ok(piece) = self.receiver.recv() {
            self.hash.update(&piece);
        }
        self.hash
    }
}

impl BufRead for Handed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.piece.len()
            && let Ok(piece) = self.receiver.recv()
        {
            self.hash.update(&piece);
            self.piece = piece;
            self.at = 0;
        }
        Ok(&self.piece[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.piece.len());
    }
}

impl Read for Handed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        copy(self, buffer)
    }
}

fn copy(source: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let found = source.fill_buf()?;
    let amount = found.len().min(buffer.len());
    buffer[..amount].copy_from_slice(&found[..amount]);
    source.consume(amount);
    Ok(amount)
}
