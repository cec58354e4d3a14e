//! A table by row number: dense where numbers are, and bounded where somebody made them not to be.

use std::collections::HashMap;

/// So many neighbours are kept together.
const PAGE: usize = 16;

/// What the room for a page costs besides its entries: the allocation, and its place in the index.
const OVERHEAD: usize = 64;

/// How much more may be kept in mind, in octets: one bound for several tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    left: usize,
}

/// No room is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Room {
    /// So many octets.
    pub(super) const fn new(octets: usize) -> Self {
        Self { left: octets }
    }

    /// So much is left.
    pub(super) const fn left(self) -> usize {
        self.left
    }

    /// Takes some of it.
    pub(super) fn take(&mut self, octets: usize) -> Result<(), NoRoom> {
        self.left = self.left.checked_sub(octets).ok_or(NoRoom)?;
        Ok(())
    }

    /// Gives some back.
    pub(super) fn give(&mut self, octets: usize) {
        self.left = self.left.saturating_add(octets);
    }
}

/// An entry for each row number; what was never written is the default.
#[derive(Debug, Clone, Default)]
pub(super) struct Table<T> {
    pages: HashMap<u32, Box<[T; PAGE]>>,
}

impl<T: Copy + Default> Table<T> {
    /// What stands at a row.
    pub(super) fn read(&self, row: u32) -> T {
        self.pages.get(&page(row)).map_or_else(T::default, |page| page[place(row)])
    }

    /// Writes it.
    pub(super) fn write(&mut self, row: u32, entry: T, room: &mut Room) -> Result<(), NoRoom> {
        if let Some(found) = self.pages.get_mut(&page(row)) {
            found[place(row)] = entry;
            return Ok(());
        }
        room.take(size_of::<[T; PAGE]>() + OVERHEAD)?;
        let mut fresh = Box::new([T::default(); PAGE]);
        fresh[place(row)] = entry;
        self.pages.insert(page(row), fresh);
        Ok(())
    }
}

#[allow(clippy::cast_possible_truncation)]
const fn page(row: u32) -> u32 {
    row / PAGE as u32
}

const fn place(row: u32) -> usize {
    row as usize % PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_and_the_rest_is_the_default() {
        let (mut table, mut room) = (Table::<u64>::default(), Room::new(1 << 20));
        for row in [0, 1, 15, 16, 4_000_000, u32::MAX] {
            table.write(row, u64::from(row) + 1, &mut room).unwrap();
        }
        for row in [0, 1, 15, 16, 4_000_000, u32::MAX] {
            assert_eq!(table.read(row), u64::from(row) + 1);
        }
        assert_eq!((table.read(2), table.read(17), table.read(1 << 30)), (0, 0, 0));
    }

    #[test]
    fn scattered_rows_end_where_the_room_ends() {
        let (mut table, mut room) = (Table::<u64>::default(), Room::new(1 << 20));
        let written = (0..u32::MAX).step_by(1 << 16).take_while(|row| table.write(*row, 1, &mut room).is_ok()).count();
        assert!((1_000..10_000).contains(&written), "{written}");
        // What is there already can still be written.
        assert_eq!(table.write(0, 2, &mut room), Ok(()));
    }
}
