//! Data of persons that is searched for only on demand: too often something else, or needed to find faults.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{Detector, Find, Match};
use crate::privacy::redact::settings::Preset;

const fn detector(
    name: &'static str,
    preset: Preset,
    hooks: &'static [&'static str],
    pattern: &'static str,
    guard: fn(&Match<'_>) -> bool,
) -> Detector {
    Detector { name, preset, hooks, find: Find::Pattern(pattern, guard) }
}

pub(super) static DETECTORS: &[Detector] = &[
    detector(
        "path_user",
        Preset::PathUser,
        &["/home/", "/Users/", "\\Users\\", "\\\\Users\\\\"],
        r#"(?:/home/|/Users/|(?i:[a-z]):\\{1,2}Users\\{1,2})(?P<v>[^/\\\s"':;,]{1,64})"#,
        |m| !matches!(m.value(), "Shared" | "Public" | "Default"),
    ),
    detector(
        "ssn",
        Preset::Ssn,
        &["ssn", "social security"],
        r"[0-9]{3}[ -][0-9]{2}[ -][0-9]{4}",
        is_ssn,
    ),
    detector(
        "phone",
        Preset::Phone,
        &["+"],
        r"\+[1-9][0-9]{0,2}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{2,5}(?:[ .-]?[0-9]{2,5}){1,4}",
        |m| m.begins() && m.ends() && (8..=15).contains(&digits(m.value()).count()),
    ),
    detector("ip", Preset::Ip, &["."], r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", is_ipv4),
    detector("ip", Preset::Ip, &[":"], r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}", is_ipv6),
    detector("mac", Preset::Mac, &[":", "-"], r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}", |m| {
        is_alone(m, b":-")
    }),
    detector("entropy", Preset::Entropy, &[], r"[A-Za-z0-9+/_=-]{20,256}", is_random),
];

fn digits(text: &str) -> impl Iterator<Item = u32> {
    text.chars().filter_map(|c| c.to_digit(10))
}

/// Tells whether neither letters or digits nor these marks with more behind them stand beside it.
fn is_alone(m: &Match<'_>, marks: &[u8]) -> bool {
    let text = m.text.as_bytes();
    let marked = |at: Option<usize>, next: Option<usize>| {
        let byte = |at: Option<usize>| at.and_then(|at| text.get(at)).copied();
        byte(at).is_some_and(|b| marks.contains(&b))
            && byte(next).is_some_and(|b| b.is_ascii_alphanumeric())
    };
    let (start, end) = (m.whole.start, m.whole.end);
    m.begins()
        && m.ends()
        && !marked(start.checked_sub(1), start.checked_sub(2))
        && !marked(Some(end), Some(end + 1))
}

fn is_ssn(m: &Match<'_>) -> bool {
    /// Says how far the word may stand before it, in bytes.
    const NEAR: usize = 48;
    let from = m.whole.start.saturating_sub(NEAR);
    let near =
        String::from_utf8_lossy(&m.text.as_bytes()[from..m.whole.start]).to_ascii_lowercase();
    let area = &m.value()[..3];
    (near.contains("ssn") || near.contains("social security"))
        && !matches!(area, "000" | "666")
        && !area.starts_with('9')
        && is_alone(m, b"-")
}

fn is_ipv4(m: &Match<'_>) -> bool {
    let address = m.value().parse::<Ipv4Addr>();
    is_alone(m, b".")
        && address.is_ok_and(|a| !a.is_loopback() && !a.is_unspecified() && !a.is_broadcast())
}

fn is_ipv6(m: &Match<'_>) -> bool {
    let address = m.value().parse::<Ipv6Addr>();
    is_alone(m, b":.") && address.is_ok_and(|a| !a.is_loopback() && !a.is_unspecified())
}

/// Tells random words by their characters: three kinds, and about as many different ones as chance gives.
fn is_random(m: &Match<'_>) -> bool {
    /// Bits a character: of base64 at random about 4.5 in 32 characters.
    const BITS: f64 = 3.8;
    let value = m.value().as_bytes();
    let mut counts = [0u32; 256];
    value.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let share = |n: &u32| f64::from(*n) / value.len() as f64;
    let bits: f64 = counts.iter().filter(|n| **n > 0).map(|n| -share(n) * share(n).log2()).sum();
    let has = |kind: fn(&u8) -> bool| value.iter().filter(|b| kind(b)).count() >= 2;
    bits >= BITS
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
}
