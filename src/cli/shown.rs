//! Writes names, times and sizes for the tables of commands. Whatever peers chose is escaped and cut.

use crate::exporters::debug::Timestamp;
use crate::settings::harmless;

/// The widest cell of a name, in characters.
const WIDEST: usize = 40;

/// Shows a name that a peer chose; `-` for none.
pub(super) fn name(name: &str) -> String {
    if name.is_empty() {
        return "-".to_owned();
    }
    // Escapes are longer than what they stand for: no more than this of a name can be seen.
    let seen: String = name.chars().take(WIDEST + 1).collect();
    let seen = harmless(&seen);
    match seen.char_indices().nth(WIDEST) {
        None => seen.into_owned(),
        Some(_) => seen.chars().take(WIDEST - 1).chain(['…']).collect(),
    }
}

/// Shows a method with its tool, if it is of one, in as many words as tell it.
pub(super) fn call(method: &str, tool: &str) -> String {
    name(if tool.is_empty() { method } else { tool })
}

/// Shows how long something took, in nanoseconds: in three or four digits.
pub(super) fn took(nanos: u64) -> String {
    let n = nanos as f64;
    match nanos {
        0..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{:.0}us", n / 1e3),
        1_000_000..10_000_000 => format!("{:.2}ms", n / 1e6),
        10_000_000..100_000_000 => format!("{:.1}ms", n / 1e6),
        100_000_000..1_000_000_000 => format!("{:.0}ms", n / 1e6),
        1_000_000_000..60_000_000_000 => format!("{:.2}s", n / 1e9),
        60_000_000_000..3_600_000_000_000 => {
            format!("{}m{:02}s", nanos / 60_000_000_000, nanos / 1_000_000_000 % 60)
        }
        _ => format!("{}h{:02}m", nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60),
    }
}

/// Shows a number of bytes, in two to four digits.
pub(super) fn size(bytes: u64) -> String {
    let n = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes}B"),
        1_000..1_000_000 => format!("{:.1}kB", n / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}MB", n / 1e6),
        _ => format!("{:.1}GB", n / 1e9),
    }
}

/// Shows a time in nanoseconds since the epoch, in UTC, to the second.
pub(super) fn time(nanos: u64) -> String {
    let time = Timestamp(nanos).to_string();
    format!("{}Z", time.get(..19).unwrap_or(&time).replace('T', " "))
}

/// Gives milliseconds, for programs.
pub(super) fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_peers_are_escaped_and_cut() {
        assert_eq!(name("search"), "search");
        assert_eq!(name(""), "-");
        assert_eq!(name("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
        for hostile in ["x".repeat(10_000), "\u{202e}".repeat(100), "漢".repeat(41)] {
            let shown = name(&hostile);
            assert_eq!((shown.chars().count(), shown.ends_with('…')), (WIDEST, true), "{shown}");
        }
        assert_eq!(name(&"漢".repeat(40)).chars().count(), 40);
    }

    #[test]
    fn times_and_sizes_are_short() {
        let told = [999, 36_000, 9_220_000, 53_000_000, 454_000_000, 2_500_000_000].map(took);
        assert_eq!(told, ["999ns", "36us", "9.22ms", "53.0ms", "454ms", "2.50s"]);
        assert_eq!([75_000_000_000, 7_260_000_000_000].map(took), ["1m15s", "2h01m"]);
        assert_eq!([0, 999, 1_800, 2_500_000].map(size), ["0B", "999B", "1.8kB", "2.5MB"]);
        assert_eq!(time(1_796_122_010_714_690_876), "2026-12-01 10:46:50Z");
    }
}
