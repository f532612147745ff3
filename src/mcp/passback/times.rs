//! Times that fit the call: clocks differ between machines, and servers may lie.
//!
//! Where the roots as a whole are off, all spans are shifted by as much as brings the roots into the
//! call; what is outside then is clamped. Nothing is moved that is off by less than the slack.

use crate::telemetry::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// The time in which spans must be.
#[derive(Clone, Copy, Debug)]
pub(in crate::mcp) struct Window {
    from: Nanos,
    to: Nanos,
    /// Says how far outside of it they may be.
    slack: Nanos,
    /// Says where a span is put that has no time.
    unset: Nanos,
    /// Spans may be shifted into it.
    shifts: bool,
}

impl Window {
    /// That of a call that was seen.
    pub(in crate::mcp) fn call(from: Nanos, to: Nanos) -> Self {
        Window { from, to: to.max(from), slack: SECOND, unset: from, shifts: true }
    }

    /// Whatever is not in the future, for a call that was not seen.
    pub(super) fn before(now: Nanos) -> Self {
        /// Says how wrong a clock may be.
        const SLACK: Nanos = 3600 * SECOND;
        let to = now.max(1);
        Window { from: 1, to, slack: SLACK, unset: to, shifts: false }
    }

    /// Says how spans are moved into it whose roots began and ended then.
    pub(super) fn fit(&self, roots: impl Iterator<Item = (Nanos, Nanos)> + Clone) -> Fit<'_> {
        let first = roots.clone().map(|(start, _)| start).min();
        let last = roots.map(|(start, end)| end.max(start)).max();
        let shift = first.zip(last).map_or(0, |(first, last)| self.shift(first, last));
        Fit { window: self, shift }
    }

    /// By how much spans are shifted whose roots take from `first` to `last`.
    fn shift(&self, first: Nanos, last: Nanos) -> i128 {
        let (taken, room) = (last.saturating_sub(first), self.to - self.from);
        let off = !self.holds(first) || !self.holds(last);
        if !self.shifts || !off || first == 0 || taken > room.saturating_add(self.slack) {
            return 0;
        }
        // In the middle of the call: it takes as long to get there as to get back.
        let start = self.from + room.saturating_sub(taken) / 2;
        i128::from(start) - i128::from(first)
    }

    fn holds(&self, at: Nanos) -> bool {
        at >= self.from.saturating_sub(self.slack) && at <= self.to.saturating_add(self.slack)
    }
}

/// Says how the spans of one answer are moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit<'w> {
    window: &'w Window,
    shift: i128,
}

impl Fit<'_> {
    /// Says where a span is put that says it began and ended then.
    pub(super) fn span(&self, (start, end): (Nanos, Nanos)) -> (Nanos, Nanos) {
        let from = self.place(start);
        // A span that did not end, or before it began, took no time.
        let to = if end < start { from } else { self.place(end).max(from) };
        (from, to)
    }

    /// Says where an event of a span that was put there is put.
    pub(super) fn event(&self, (start, end): (Nanos, Nanos), at: Nanos) -> Nanos {
        let at = if at == 0 { 0 } else { self.place(at) };
        let near = at.saturating_add(SECOND) >= start && at <= end.saturating_add(SECOND);
        if near { at } else { at.clamp(start, end) }
    }

    fn place(&self, at: Nanos) -> Nanos {
        let Fit { window, shift } = self;
        if at == 0 {
            return window.unset;
        }
        let at = Nanos::try_from(i128::from(at) + shift).unwrap_or_default();
        if window.holds(at) { at } else { at.clamp(window.from, window.to) }
    }
}
