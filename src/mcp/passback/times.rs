//! Times that fit the call: clocks differ between machines, and servers may lie.
//!
//! Where the roots as a whole are off, all spans are shifted by as much as brings the roots into the
//! call; what is outside then is clamped. Nothing is moved that is off by less than the slack.

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::telemetry::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// The time in which spans must be.
#[derive(Clone, Copy, Debug)]
pub(in crate::mcp) struct Window {
    from: Nanos,
    to: Nanos,
    /// How far outside of it they may be.
    slack: Nanos,
    /// Where a span is put that has no time.
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
        /// How wrong a clock may be.
        const SLACK: Nanos = 3600 * SECOND;
        let to = now.max(1);
        Window { from: 1, to, slack: SLACK, unset: to, shifts: false }
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

    fn place(&self, at: Nanos, shift: i128) -> Nanos {
        if at == 0 {
            return self.unset;
        }
        let at = Nanos::try_from(i128::from(at) + shift).unwrap_or_default();
        if self.holds(at) { at } else { at.clamp(self.from, self.to) }
    }

    /// Moves spans into it. `spans` are all of an answer, with whether each is a root. Calls `moved` with
    /// the place and the first start of each that was moved.
    pub(super) fn fit(&self, spans: &mut [(&mut Span, bool)], mut moved: impl FnMut(usize, Nanos)) {
        let roots = spans.iter().filter(|(_, root)| *root).map(|(span, _)| &**span);
        let first = roots.clone().map(|root| root.start_time_unix_nano).min();
        let last = roots.map(|root| root.end_time_unix_nano.max(root.start_time_unix_nano)).max();
        let shift = first.zip(last).map_or(0, |(first, last)| self.shift(first, last));
        for (place, (span, _)) in spans.iter_mut().enumerate() {
            let told = (span.start_time_unix_nano, span.end_time_unix_nano);
            let start = self.place(told.0, shift);
            // A span that did not end, or before it began, took no time.
            let end = if told.1 < told.0 { start } else { self.place(told.1, shift).max(start) };
            (span.start_time_unix_nano, span.end_time_unix_nano) = (start, end);
            for event in &mut span.events {
                let at = if event.time_unix_nano == 0 {
                    0
                } else {
                    self.place(event.time_unix_nano, shift)
                };
                let near = at.saturating_add(SECOND) >= start && at <= end.saturating_add(SECOND);
                event.time_unix_nano = if near { at } else { at.clamp(start, end) };
            }
            if (start, end) != told {
                moved(place, told.0);
            }
        }
    }
}
