//! Fractions as exact numbers: what may fail, and from which part on an alert fires. No floating point decides here.

use std::cmp::Ordering;
use std::fmt;

/// A decimal fraction of at most nine digits behind the point, as it is written: `0.01`, `99.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fraction(u64);

/// One, in the unit of [`Fraction`].
const ONE: u64 = 1_000_000_000;

/// Says why a text is no fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFraction {
    /// Not a decimal number.
    NotANumber,
    /// More digits behind the point than are kept.
    TooFine,
    /// More than a thousand.
    TooLarge,
}

impl Fraction {
    /// Reads a decimal number; with `%` behind it a hundredth of it. Signs and exponents are not read.
    ///
    /// # Errors
    ///
    /// If it is no such number, has more than nine digits behind the point (seven with `%`), or is over 1,000.
    pub fn parse(text: &str) -> Result<Self, BadFraction> {
        let text = text.trim();
        let (number, places) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), 7),
            None => (text, 9),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && part.is_empty() || !digits(whole) || !digits(part) {
            return Err(BadFraction::NotANumber);
        }
        let part = part.trim_end_matches('0');
        if part.len() > places {
            return Err(BadFraction::TooFine);
        }
        let whole: u64 = match whole.trim_start_matches('0') {
            "" => 0,
            some => some.parse().map_err(|_| BadFraction::TooLarge)?,
        };
        if whole > 100_000 {
            return Err(BadFraction::TooLarge);
        }
        let unit = 10_u64.pow(u32::try_from(places).unwrap_or_default());
        let part: u64 = format!("{part:0<places$}").parse().unwrap_or_default();
        match whole * unit + part {
            nanos if nanos > 1000 * ONE => Err(BadFraction::TooLarge),
            nanos => Ok(Fraction(nanos)),
        }
    }

    /// Makes one of billionths.
    pub const fn nano(nanos: u64) -> Self {
        Fraction(nanos)
    }

    /// Gives it in billionths.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Gives what is missing to one, if it is at most one.
    pub fn rest(self) -> Option<Self> {
        ONE.checked_sub(self.0).map(Fraction)
    }

    /// Says whether it is more than nothing and less than all: what a budget has to be.
    pub fn is_proper(self) -> bool {
        0 < self.0 && self.0 < ONE
    }

    /// Gives it as a floating point number, to be shown.
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / ONE as f64
    }
}

/// Written as a decimal number without a tail of zeros.
impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:09}", self.0 % ONE);
        match part.trim_end_matches('0') {
            "" => write!(f, "{}", self.0 / ONE),
            part => write!(f, "{}.{part}", self.0 / ONE),
        }
    }
}

/// Counts events, and of those the bad ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// The bad ones, at most all.
    pub bad: u64,
}

impl Counts {
    /// Gives the part of bad ones, to be shown; nothing if there are no events.
    #[allow(clippy::cast_precision_loss)]
    pub fn ratio(self) -> Option<f64> {
        (self.total > 0).then(|| self.bad as f64 / self.total as f64)
    }

    /// Gives how many times as fast as allowed the budget burns, to be shown; nothing if there are no events.
    #[allow(clippy::cast_precision_loss)]
    pub fn burn(self, budget: Fraction) -> Option<f64> {
        let allowed = self.total as f64 * budget.0 as f64;
        (self.total > 0).then(|| self.bad as f64 * ONE as f64 / allowed)
    }

    /// Says whether the part of bad events is more than the threshold; exactly that much is not.
    pub fn over(self, threshold: Threshold) -> bool {
        let bad = u128::from(self.bad) * threshold.of;
        bad > threshold.part * u128::from(self.total)
    }
}

/// A part of all events above which an alert fires: an exact ratio of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    part: u128,
    of: u128,
}

/// The highest threshold: a total outage must always fire (Google's SRE workbook has none, and 50 % objectives then
/// never page).
const HIGHEST: Threshold = Threshold { part: 9, of: 10 };

impl Threshold {
    /// Makes the threshold at which `spent` of the budget of a whole `window` is gone within `long`, both in seconds:
    /// factor times budget, with factor = spent * window / long. At most 0.9.
    pub fn spending(spent: Fraction, window: u64, long: u64, budget: Fraction) -> Self {
        let part = u128::from(spent.0) * u128::from(window) * u128::from(budget.0);
        let of = u128::from(ONE) * u128::from(long) * u128::from(ONE);
        Threshold::reduced(part, of)
    }

    /// Makes the threshold of a budget that burns `factor` times as fast as allowed. At most 0.9.
    pub fn burning(factor: Fraction, budget: Fraction) -> Self {
        Threshold::reduced(
            u128::from(factor.0) * u128::from(budget.0),
            u128::from(ONE) * u128::from(ONE),
        )
    }

    fn reduced(part: u128, of: u128) -> Self {
        let by = gcd(part, of).max(1);
        Threshold { part: part / by, of: of / by }.min(HIGHEST)
    }

    fn min(self, other: Self) -> Self {
        match (self.part * other.of).cmp(&(other.part * self.of)) {
            Ordering::Greater => other,
            _ => self,
        }
    }

    /// Says whether it is as high as thresholds get, so that a higher one may have been asked for.
    pub fn is_highest(self) -> bool {
        self == HIGHEST
    }

    /// Gives it as a floating point number, to be shown.
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(self) -> f64 {
        self.part as f64 / self.of as f64
    }

    /// Gives how many times as fast as allowed a budget burns at this threshold, to be shown.
    #[allow(clippy::cast_precision_loss)]
    pub fn factor(self, budget: Fraction) -> f64 {
        (self.part * u128::from(ONE)) as f64 / (self.of * u128::from(budget.0)) as f64
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fraction(text: &str) -> Fraction {
        Fraction::parse(text).unwrap()
    }

    fn counts(bad: u64, total: u64) -> Counts {
        Counts { total, bad }
    }

    #[test]
    fn a_fraction_is_the_decimal_that_is_written() {
        for (text, nanos) in [
            ("0.01", 10_000_000),
            ("1%", 10_000_000),
            ("99.5%", 995_000_000),
            (" 99.5 % ", 995_000_000),
            (".5", 500_000_000),
            ("1.", ONE),
            ("0.999999999", ONE - 1),
            ("0.0000000010000", 1),
            ("14.4", 14_400_000_000),
            ("00.1", 100_000_000),
        ] {
            assert_eq!(fraction(text).nanos(), nanos, "{text}");
        }
        for text in ["", ".", "%", "-0.1", "+1", "1e-2", "0,1", "nan", "inf", "0x1", "1 1"] {
            assert_eq!(Fraction::parse(text), Err(BadFraction::NotANumber), "{text}");
        }
        assert_eq!(Fraction::parse("0.0000000001"), Err(BadFraction::TooFine));
        assert_eq!(Fraction::parse("0.00000001%"), Err(BadFraction::TooFine));
        assert_eq!(Fraction::parse("1001"), Err(BadFraction::TooLarge));
        assert_eq!(Fraction::parse(&"9".repeat(99)), Err(BadFraction::TooLarge));
        assert_eq!(fraction("0.0100").to_string(), "0.01");
        assert_eq!(fraction("1").to_string(), "1");
    }

    #[test]
    fn eight_percent_against_one_burns_eight_times() {
        let budget = fraction("0.01");
        assert_eq!(counts(8, 100).burn(budget), Some(8.0));
        assert_eq!(counts(0, 100).burn(budget), Some(0.0));
        assert_eq!(counts(0, 0).burn(budget), None);
        // An availability of 0.92 against 0.99 is the same.
        let budget = fraction("0.99").rest().unwrap();
        assert_eq!(counts(8, 100).burn(budget), Some(8.0));
    }

    #[test]
    fn exactly_on_the_threshold_is_not_over_it() {
        let hour = Threshold::spending(fraction("2%"), 30 * 86_400, 3600, fraction("1%"));
        assert_eq!((hour.as_f64(), hour.factor(fraction("1%"))), (0.144, 14.4));
        assert!(!counts(144, 1000).over(hour));
        assert!(counts(145, 1000).over(hour));
        assert!(!counts(0, 0).over(hour));
        assert_eq!(hour, Threshold::burning(fraction("14.4"), fraction("1%")));
        // 28 days: 13.44, and 0.9333... which no decimal is.
        let days = |n: u64| n * 86_400;
        let hour = Threshold::spending(fraction("2%"), days(28), 3600, fraction("1%"));
        assert_eq!(hour, Threshold::burning(fraction("13.44"), fraction("1%")));
        let slow = Threshold::spending(fraction("10%"), days(28), days(3), fraction("1%"));
        assert!(!counts(28, 3000).over(slow));
        assert!(counts(281, 30_000).over(slow));
    }

    #[test]
    fn a_total_outage_is_over_every_threshold() {
        let half = Threshold::burning(fraction("14.4"), fraction("50%"));
        assert!(half.is_highest());
        assert!(!counts(90, 100).over(half));
        assert!(counts(91, 100).over(half));
        // As large as counts get.
        assert!(counts(u64::MAX, u64::MAX).over(half));
        let fine =
            Threshold::spending(fraction("0.000000001"), 365 * 86_400, 1, fraction("0.999999999"));
        assert!(counts(u64::MAX, u64::MAX).over(fine));
    }
}
