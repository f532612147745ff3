//! Measures what a batch takes of a queue, in both of the queue's measures. It does not decide what fits where.

use std::ops::{Add, AddAssign, SubAssign};

use crate::settings::Sizer;
use crate::telemetry::Telemetry;

/// Measures what a batch takes of a queue, or how much a queue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// In units of the sizer.
    pub(super) units: usize,
    /// In memory: its bytes, and what surrounds them.
    pub(super) bytes: usize,
}

/// Counts what surrounds a batch in a queue, in bytes: its place in line, its receipt, what shares its bytes.
const EACH: usize = 256;

impl Size {
    pub(super) fn of(sizer: Sizer, telemetry: &Telemetry) -> Size {
        Size { units: units(sizer, telemetry), bytes: telemetry.wire().len() + EACH }
    }

    pub(super) fn fits(self, limit: Size) -> bool {
        self.units <= limit.units && self.bytes <= limit.bytes
    }
}

impl Add for Size {
    type Output = Size;

    fn add(self, more: Size) -> Size {
        Size { units: self.units + more.units, bytes: self.bytes + more.bytes }
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, more: Size) {
        *self = *self + more;
    }
}

impl SubAssign for Size {
    fn sub_assign(&mut self, less: Size) {
        self.units -= less.units;
        self.bytes -= less.bytes;
    }
}

/// Counts a batch in units of the sizer; an empty one takes room too.
pub(super) fn units(sizer: Sizer, telemetry: &Telemetry) -> usize {
    let size = match sizer {
        Sizer::Requests => 1,
        Sizer::Items => telemetry.items(),
        Sizer::Bytes => telemetry.wire().len(),
    };
    size.max(1)
}
