//! Many at once, and one who lies: several applications of one holder, several processes, events in any order, and an RA that is
//! in other hands. Whatever they do, a holder has at most one live certificate of each kind, on a card that stands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken_ra;
mod events;
mod holders;
mod leaders;
mod model;
#[cfg(feature = "postgres")]
mod ra_database;
mod races;
#[path = "../rooms/mod.rs"]
mod rooms;
mod stage;

use std::sync::Barrier;

/// Runs `work` for each number below `count` on a thread of its own, all starting at once; the results in that order.
fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
