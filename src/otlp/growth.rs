//! How much memory telemetry may take: who counts it, and how much larger than its text telemetry may become when it is decoded: a few bytes can stand for a
//! message of several hundred, and a limit on bytes alone would bound no memory.

/// Counts memory against a bound, for work whose result may be far larger than what it is made of.
pub trait Room {
    /// Asks for so many more bytes before they are allocated; says whether they may be.
    fn take(&mut self, bytes: usize) -> bool;

    /// Returns bytes that were taken and are free again.
    fn give_back(&mut self, bytes: usize);
}

/// A bound on growth.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Bytes in memory for each byte of text.
    times: usize,
    /// Holds what is always allowed, in bytes.
    floor: usize,
}

/// The shortest attributes that mean something grow 13 times, the shortest spans 12 times.
pub const MAX_GROWTH: Growth = Growth { times: 16, floor: 1 << 20 };

impl Growth {
    /// The most that so many bytes of text may become, in bytes.
    pub fn of(self, text: usize) -> usize {
        text.saturating_mul(self.times).saturating_add(self.floor)
    }
}
