//! The times of an orderly stop.

use std::time::Duration;

use tokio::time::Instant;

/// Names what exporters have for themselves at the end of a stop, at most.
const EXPORTERS: Duration = Duration::from_secs(1);

/// Says when what is due within the time that a stop may take. Front to back: first whoever is observed or served ends
/// by itself, then receivers cut it off and return, then exporters empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    begun: Instant,
    over: Instant,
}

impl Deadline {
    /// A stop that begins now and has this long.
    pub fn within(limit: Duration) -> Self {
        let begun = Instant::now();
        Deadline { begun, over: begun + limit }
    }

    /// A stop that begins now and has until then.
    pub fn at(over: Instant) -> Self {
        Deadline { begun: Instant::now(), over }
    }

    /// Half of it is over: what has not ended by itself is asked more firmly.
    pub fn half(self) -> Instant {
        self.begun + self.length() / 2
    }

    /// Says when what is still under way at the receivers is cut off. The last quarter, at most 1 s, is the exporters'.
    pub fn cut(self) -> Instant {
        self.over - self.exporters()
    }

    /// Receivers are waited for no longer: half of the exporters' part is left.
    pub fn returned(self) -> Instant {
        self.over - self.exporters() / 2
    }

    /// Everything has ended.
    pub fn over(self) -> Instant {
        self.over
    }

    fn exporters(self) -> Duration {
        (self.length() / 4).min(EXPORTERS)
    }

    fn length(self) -> Duration {
        self.over.saturating_duration_since(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_quarter_and_at_most_a_second_is_the_exporters() {
        let begun = Instant::now();
        for (limit, [half, cut, returned]) in [
            (25_000, [12_500, 24_000, 24_500]),
            (4_000, [2_000, 3_000, 3_500]),
            (1_000, [500, 750, 875]),
            (0, [0, 0, 0]),
        ] {
            let over = begun + Duration::from_millis(limit);
            let deadline = Deadline { begun, over };
            let ms = |at: Instant| (at - begun).as_millis();
            let times = [deadline.half(), deadline.cut(), deadline.returned()].map(ms);
            assert_eq!(times, [half, cut, returned], "{limit}");
            assert_eq!(deadline.over(), over);
        }
    }

    #[test]
    fn one_that_is_past_is_due_at_once() {
        let begun = Instant::now();
        let deadline = Deadline { begun, over: begun - Duration::from_secs(1) };
        assert!(deadline.half() <= begun && deadline.cut() <= begun);
    }
}
