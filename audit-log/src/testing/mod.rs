//! Logs and exports that nobody took, for tests and measurements: made with the encoders of real ones, of any length.

mod chronicle;
mod exporter;
mod log;

pub use chronicle::{Chronicle, TestEvent};
pub use exporter::{Exporter, Leaf, Order};
pub use log::SyntheticLog;

/// Numbers that look random and are the same for the same seed (xorshift64*, Vigna 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub const fn throw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.throw() % bound
    }

    /// 32 octets.
    pub fn octets(&mut self) -> [u8; 32] {
        let mut octets = [0; 32];
        octets.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.throw().to_be_bytes()));
        octets
    }
}
