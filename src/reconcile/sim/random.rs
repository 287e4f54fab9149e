//! Chance that can be repeated: splitmix64.

use std::time::Duration;

use crate::model::{Exit, Signal};

#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n` - 1.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// True this often in a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.below(100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Up to so many milliseconds: often none, often short.
    pub(super) fn span(&mut self, millis: u64) -> Duration {
        match self.below(4) {
            0 => Duration::ZERO,
            1 => Duration::from_millis(1 + self.below(100)),
            _ => Duration::from_millis(self.below(millis)),
        }
    }

    pub(super) fn signal(&mut self) -> Signal {
        Signal::from_raw(1 + self.below(64) as i32).expect("1 to 64 are signals")
    }

    pub(super) fn killed(&mut self) -> Exit {
        Exit::Killed { signal: self.signal(), core_dumped: self.chance(10) }
    }
}
