//! The distribution of durations, in memory that grows with their range and not with their number (DDSketch).

use std::collections::BTreeMap;

use super::v1;

/// Says how far a quantile may be off.
const ERROR: f64 = 0.01;

/// Counts whole numbers by their logarithm: at most 2,250 places for all that there are.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    counts: BTreeMap<i32, u64>,
    zeros: u64,
    max: u64,
}

impl Sketch {
    /// Enters a number.
    pub(super) fn record(&mut self, number: u64) {
        self.max = self.max.max(number);
        match number {
            0 => self.zeros += 1,
            // Exact enough beyond 2^53: places are a fiftieth wide.
            number => *self.counts.entry(place(number as f64)).or_default() += 1,
        }
    }

    /// Gives it as it is sent.
    pub(super) fn message(&self) -> v1::Sketch {
        let first = self.counts.first_key_value().map_or(0, |(place, _)| *place);
        let last = self.counts.last_key_value().map_or(-1, |(place, _)| *place);
        let counts = (first..=last).map(|place| self.counts.get(&place).copied().unwrap_or(0));
        let (relative_error, counts) = (ERROR, counts.collect());
        v1::Sketch { relative_error, first, counts, zeros: self.zeros, max: self.max }
    }
}

fn place(number: f64) -> i32 {
    let base = (1.0 + ERROR) / (1.0 - ERROR);
    // Of u64 it is below 2,250.
    (number.ln() / base.ln()).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As clients read it, by what the message says of itself.
    fn quantile(sketch: &v1::Sketch, q: f64) -> f64 {
        let total = sketch.zeros + sketch.counts.iter().sum::<u64>();
        let mut rank = (q * (total - 1) as f64).floor() as u64;
        if rank < sketch.zeros {
            return 0.0;
        }
        rank -= sketch.zeros;
        let base = (1.0 + sketch.relative_error) / (1.0 - sketch.relative_error);
        for (place, count) in (sketch.first..).zip(&sketch.counts) {
            if rank < *count {
                return 2.0 * base.powi(place) / (base + 1.0);
            }
            rank -= count;
        }
        panic!("no such rank");
    }

    #[test]
    fn quantiles_are_within_the_error_that_is_told() {
        let mut sketch = Sketch::default();
        let numbers: Vec<u64> = (1..=10_000).map(|n: u64| n * n * 37).collect();
        numbers.iter().for_each(|number| sketch.record(*number));
        let message = sketch.message();
        for q in [0.0, 0.5, 0.95, 0.99, 1.0] {
            let exact = numbers[(q * 9_999.0) as usize] as f64;
            let off = (quantile(&message, q) - exact).abs() / exact;
            assert!(off <= 0.0101, "{q}: {off}");
        }
        assert_eq!((message.max, message.zeros), (3_700_000_000, 0));
    }

    #[test]
    fn every_number_has_a_place() {
        let mut sketch = Sketch::default();
        assert!(sketch.message().counts.is_empty());
        [0, 0, 1, u64::MAX].iter().for_each(|number| sketch.record(*number));
        let message = sketch.message();
        assert_eq!((message.zeros, message.max, message.first), (2, u64::MAX, 0));
        assert!(message.counts.len() < 2_250 && message.counts.iter().sum::<u64>() == 2);
    }
}
