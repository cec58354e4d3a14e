//! What was there before, of many things each of which may be there once: eight octets of a hash tell one, two of them by where the rest is kept.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

use super::table::{NoRoom, Room};

/// So many heaps, each in order.
const HEAPS: usize = 1 << 16;

/// What is kept of a hash.
type Rest = [u8; 6];

/// Things that were there. The hash has a key of its own, so that nobody can make records that fall into one heap, or that are taken for others.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    hasher: RandomState,
    heaps: Vec<Vec<Rest>>,
}

impl Seen {
    /// Keeps it in mind; whether it was there before.
    pub(super) fn again(&mut self, what: impl Hash, room: &mut Room) -> Result<bool, NoRoom> {
        let [high, low, rest @ ..] = self.hasher.hash_one(what).to_be_bytes();
        if self.heaps.is_empty() {
            room.take(HEAPS * size_of::<Vec<Rest>>())?;
            self.heaps.resize_with(HEAPS, Vec::new);
        }
        let heap = &mut self.heaps[usize::from(u16::from_be_bytes([high, low]))];
        let Err(place) = heap.binary_search(&rest) else { return Ok(true) };
        if heap.len() == heap.capacity() {
            let more = heap.len() / 8 + 8;
            room.take(more * size_of::<Rest>())?;
            heap.reserve_exact(more);
        }
        heap.insert(place, rest);
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_known_again_and_nothing_else_is() {
        let (mut seen, mut room) = (Seen::default(), Room::new(1 << 24));
        for number in 0..300_000_u32 {
            assert_eq!(seen.again((0, number), &mut room), Ok(false));
        }
        for number in (0..300_000_u32).step_by(997) {
            assert_eq!(seen.again((0, number), &mut room), Ok(true));
            assert_eq!(seen.again((1, number), &mut room), Ok(false));
        }
    }

    #[test]
    fn it_ends_where_the_room_ends() {
        let (mut seen, mut room) = (Seen::default(), Room::new(3 << 20));
        let kept = (0..1_000_000_u32).take_while(|number| seen.again(number, &mut room).is_ok()).count();
        assert!((10_000..300_000).contains(&kept), "{kept}");
        assert_eq!(Seen::default().again(1, &mut Room::new(10)), Err(NoRoom));
    }
}
