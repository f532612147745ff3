//! Adds up calls: counts, errors by class, times, sizes.

use std::collections::BTreeMap;

use sketches_ddsketch::{Config, DDSketch};

use super::Call;
use super::cut::cut;

/// Says how far a quantile may be from the call that has its rank, in parts of that call's time.
pub const RELATIVE_ERROR: f64 = 0.01;

/// Bins of a sketch: with this error they reach from 1 ns to 17 orders of magnitude above.
const BINS: u32 = 2048;
/// Times up to here, in nanoseconds, are told as 0.
const LEAST: f64 = 1.0;
/// Bounds how many classes of errors are told apart, and their names in bytes; all others are `_OTHER`.
const CLASSES: usize = 16;
const CLASS_NAME: usize = 64;

/// Adds up calls: in at most about 20 KiB, whatever comes. Figures of different sources can be merged.
#[derive(Clone)]
pub struct Figures {
    /// Calls.
    pub count: u64,
    /// Those that failed ([`Call::is_error`]).
    pub errors: u64,
    /// Those that failed, by class ([`Call::error_class`]).
    pub classes: BTreeMap<Box<str>, u64>,
    /// Those that may have ended in another way than they say.
    pub doubtful: u64,
    /// Bytes of the requests on the wire.
    pub request_bytes: u64,
    /// Bytes of the answers on the wire.
    pub response_bytes: u64,
    /// Says when the first began, in nanoseconds since the epoch.
    pub first: u64,
    /// Says when the last ended, likewise.
    pub last: u64,
    /// Says how long the longest took, in nanoseconds.
    pub max: u64,
    times: DDSketch,
}

impl Default for Figures {
    fn default() -> Self {
        Figures {
            count: 0,
            errors: 0,
            classes: BTreeMap::new(),
            doubtful: 0,
            request_bytes: 0,
            response_bytes: 0,
            first: u64::MAX,
            last: 0,
            max: 0,
            times: DDSketch::new(Config::new(RELATIVE_ERROR, BINS, LEAST)),
        }
    }
}

impl Figures {
    /// Adds a call.
    pub fn add(&mut self, call: &Call<'_>) {
        let took = call.duration();
        self.count += 1;
        if let Some(class) = call.error_class() {
            self.errors += 1;
            self.error(class, 1);
        }
        self.doubtful += u64::from(call.doubtful);
        self.request_bytes = self.request_bytes.saturating_add(call.request_size.unwrap_or(0));
        self.response_bytes = self.response_bytes.saturating_add(call.response_size.unwrap_or(0));
        self.first = self.first.min(call.start);
        self.last = self.last.max(call.end);
        self.max = self.max.max(took);
        self.times.add(took as f64);
    }

    /// Adds those of another source.
    pub fn merge(&mut self, other: &Figures) {
        self.count += other.count;
        self.errors += other.errors;
        other.classes.iter().for_each(|(class, count)| self.error(class, *count));
        self.doubtful += other.doubtful;
        self.request_bytes = self.request_bytes.saturating_add(other.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(other.response_bytes);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.max = self.max.max(other.max);
        let merged = self.times.merge(&other.times);
        debug_assert!(merged.is_ok(), "all have the same configuration");
    }

    fn error(&mut self, class: &str, count: u64) {
        let class = cut(class, CLASS_NAME);
        if let Some(known) = self.classes.get_mut(&*class) {
            *known += count;
        } else {
            let class = if self.classes.len() < CLASSES { &*class } else { "_OTHER" };
            *self.classes.entry(class.into()).or_default() += count;
        }
    }

    /// Says how long the call took that as large a part of all is not longer than, in nanoseconds, within
    /// [`RELATIVE_ERROR`]. `None` where there are too few calls to say: where none is beyond it.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        // 0.05 of 20 calls is not quite one in floating point.
        let beyond = self.count as f64 * (1.0 - part);
        if beyond < 1.0 - 1e-9 {
            return None;
        }
        let time = self.times.quantile(part).ok().flatten()?;
        Some((time.round() as u64).min(self.max))
    }

    /// Says how many calls there were a minute, from the beginning of the first to the end of the last. `None` of
    /// fewer than two, and of less than a second, which says nothing about a minute.
    pub fn per_minute(&self) -> Option<f64> {
        let nanos = self.last.checked_sub(self.first).filter(|nanos| *nanos >= 1_000_000_000)?;
        (self.count > 1).then(|| self.count as f64 / (nanos as f64 / 60e9))
    }
}
