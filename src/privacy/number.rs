//! Numbers in canonical form: an IEEE double as ECMAScript prints it (RFC 8785 section 3.2.2.3).
//!
//! What a double cannot hold is rounded, as the RFC asks, and told: 64-bit ids beyond 2^53 collide.

/// A double keeps this many decimal digits whatever they are (DBL_DIG), so a number that has no more
/// prints as it stands if it is spelled as ECMAScript would: nearly all real arguments are.
const EXACT_DIGITS: usize = 15;

/// Appends `token`, a number by JSON's grammar. Tells whether its decimal value changed on the way;
/// `None` if it is beyond what a double can hold.
pub(super) fn write(out: &mut Vec<u8>, token: &str) -> Option<bool> {
    if is_canonical(token) {
        out.extend_from_slice(token.as_bytes());
        return Some(false);
    }
    let value: f64 = token.parse().ok().filter(|value: &f64| value.is_finite())?;
    let mut buffer = ryu_js::Buffer::new();
    let text = buffer.format_finite(value);
    out.extend_from_slice(text.as_bytes());
    Some(text != token && Decimal::of(token) != Decimal::of(text))
}

/// Says whether a token is its own canonical form, told from its spelling; `false` says nothing.
fn is_canonical(token: &str) -> bool {
    let digits = token.strip_prefix('-').unwrap_or(token).as_bytes();
    // A dot is counted as a digit: the limit is only lower for it.
    if digits.len() > EXACT_DIGITS || !digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'.')) {
        return false;
    }
    match digits {
        [b'0'] => token == "0",
        // Below 1e-6 the exponent form begins.
        [b'0', b'.', fraction @ ..] => {
            fraction.last() != Some(&b'0') && !fraction.starts_with(b"000000")
        }
        _ => !digits.contains(&b'.') || digits.last() != Some(&b'0'),
    }
}

/// A number token as `0.d1 d2 d3 .. * 10^point`, without leading or trailing zeros. So two documents
/// with one canonical form, neither of them lossy, hold the same decimal values.
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    leading: usize,
    significant: usize,
    point: i64,
}

impl<'a> Decimal<'a> {
    fn of(token: &'a str) -> Self {
        let (negative, rest) = match token.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, token),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(i) => (&rest[..i], exponent(&rest[i + 1..])),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (whole, fraction) = (whole.as_bytes(), fraction.as_bytes());
        let zero = |b: &&u8| **b == b'0';
        let leading = whole.iter().chain(fraction).take_while(zero).count();
        let all = whole.len() + fraction.len();
        let trailing = whole.iter().chain(fraction).rev().take_while(zero).count();
        let point = exponent.saturating_add(whole.len() as i64 - leading as i64);
        let significant = all.saturating_sub(leading + trailing);
        Decimal { negative, whole, fraction, leading, significant, point }
    }

    fn digits(&self) -> impl Iterator<Item = &u8> {
        self.whole.iter().chain(self.fraction).skip(self.leading).take(self.significant)
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        if self.significant != other.significant {
            return false;
        }
        let zero = self.significant == 0;
        zero || (self.negative == other.negative
            && self.point == other.point
            && self.digits().eq(other.digits()))
    }
}

/// The exponent after the `e`; one that no `i64` holds is as good as infinite.
fn exponent(text: &str) -> i64 {
    let end = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    text.parse().unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(token: &str) -> Option<(String, bool)> {
        let mut out = Vec::new();
        let lossy = write(&mut out, token)?;
        Some((String::from_utf8(out).unwrap(), lossy))
    }

    /// RFC 8785 appendix B: bit patterns and the text they must become.
    const APPENDIX_B: &[(u64, &str)] = &[
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];

    #[test]
    fn the_rfc_numbers_come_out_as_printed_there() {
        for (bits, text) in APPENDIX_B {
            let value = f64::from_bits(*bits);
            for token in [format!("{value:e}"), format!("{value:.17e}"), format!("{value:?}")] {
                assert_eq!(canonical(&token).unwrap().0, *text, "{bits:x} as {token}");
            }
        }
    }

    #[test]
    fn a_changed_decimal_value_is_told_and_another_spelling_is_not() {
        let cases = [
            ("7", "7", false),
            ("-0", "0", false),
            ("-0.0e9", "0", false),
            ("0e99999999999999999999", "0", false),
            ("1.0", "1", false),
            ("4.50", "4.5", false),
            ("1E2", "100", false),
            ("0.001e3", "1", false),
            ("1e23", "1e+23", false),
            ("1000000000000000000000000e-3", "1e+21", false),
            ("999999999999999", "999999999999999", false),
            ("9007199254740992", "9007199254740992", false),
            ("9007199254740993", "9007199254740992", true),
            ("-9007199254740993", "-9007199254740992", true),
            ("18446744073709551616", "18446744073709552000", true),
            ("333333333.33333329", "333333333.3333333", true),
            ("1424953923781206.25", "1424953923781206.2", true),
            ("0.1", "0.1", false),
            ("0.10000000000000000000000001", "0.1", true),
            ("1e-400", "0", true),
            ("-1e-99999999999999999999", "0", true),
        ];
        for (token, text, lossy) in cases {
            assert_eq!(canonical(token), Some((text.to_owned(), lossy)), "{token}");
        }
    }

    #[test]
    fn beyond_a_double_is_refused() {
        for token in ["1e400", "-1e400", "1e99999999999999999999", &"9".repeat(400)] {
            assert_eq!(canonical(token), None, "{token}");
        }
    }

    proptest! {
        #[test]
        fn every_double_survives_its_canonical_text(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let (text, _) = canonical(&format!("{value:?}")).unwrap();
            prop_assert_eq!(text.parse::<f64>().unwrap(), value);
            prop_assert_eq!(canonical(&text), Some((text, false)), "idempotent and then lossless");
        }

        #[test]
        fn numbers_taken_as_they_stand_are_canonical(token in "-?(0|[1-9][0-9]{0,7})(\\.0{0,7}[0-9]{1,7})?") {
            let value: f64 = token.parse().unwrap();
            let mut buffer = ryu_js::Buffer::new();
            let expected = buffer.format_finite(value);
            let lossy = Decimal::of(&token) != Decimal::of(expected);
            prop_assert_eq!(canonical(&token), Some((expected.to_owned(), lossy)));
            prop_assert!(!is_canonical(&token) || token == expected);
        }

        #[test]
        fn integers_are_lossy_exactly_when_their_text_changes(n: i64) {
            let (text, lossy) = canonical(&n.to_string()).unwrap();
            prop_assert_eq!(lossy, text != n.to_string());
        }
    }
}
