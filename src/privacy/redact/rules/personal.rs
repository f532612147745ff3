//! Data of persons: addresses of mail, numbers of cards and accounts; and what is searched for only on demand.
//!
//! Numbers are told from others by their sums and by how issuers begin them.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{Detector, Match};
use crate::privacy::redact::settings::Preset;

const fn detector(
    name: &'static str,
    preset: Preset,
    (hooks, digits): (&'static [&'static str], usize),
    pattern: &'static str,
    guard: fn(&Match<'_>) -> bool,
) -> Detector {
    Detector { name, preset, hooks, digits, pattern, guard }
}

pub(super) static DETECTORS: &[Detector] = &[
    detector(
        "email",
        Preset::Pii,
        (&["@", "%40"], 0),
        r"[A-Za-z0-9._+-]{1,64}(?:@|%40)(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}",
        is_email,
    ),
    detector("card", Preset::Pii, (&[], 13), r"[0-9](?:[ -]?[0-9]){12,18}", is_card),
    detector(
        "iban",
        Preset::Pii,
        (&[], 12),
        r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?",
        is_iban,
    ),
    detector(
        "path_user",
        Preset::PathUser,
        (&["/home/", "/Users/", "\\Users\\", "\\\\Users\\\\"], 0),
        r#"(?:/home/|/Users/|(?i:[a-z]):\\{1,2}Users\\{1,2})(?P<v>[^/\\\s"':;,]{1,64})"#,
        |m| !matches!(m.value(), "Shared" | "Public" | "Default"),
    ),
    detector(
        "ssn",
        Preset::Ssn,
        (&["ssn", "social security"], 9),
        r"[0-9]{3}[ -][0-9]{2}[ -][0-9]{4}",
        is_ssn,
    ),
    detector(
        "phone",
        Preset::Phone,
        (&["+"], 8),
        r"\+[1-9][0-9]{0,2}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{2,5}(?:[ .-]?[0-9]{2,5}){1,4}",
        |m| m.begins() && m.ends() && (8..=15).contains(&digits(m.value()).count()),
    ),
    detector("ip", Preset::Ip, (&["."], 4), r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", is_ipv4),
    detector("ip", Preset::Ip, (&[":"], 0), r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}", is_ipv6),
    detector(
        "mac",
        Preset::Mac,
        (&[":", "-"], 0),
        r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}",
        |m| is_alone(m, b":-"),
    ),
    detector("entropy", Preset::Entropy, (&[], 3), r"[A-Za-z0-9+/_=-]{20,256}", is_random),
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

fn is_email(m: &Match<'_>) -> bool {
    let (local, domain) = match m.value().split_once('@') {
        Some(parts) => parts,
        None => m.value().split_once("%40").unwrap_or_default(),
    };
    let first = domain.split('.').next().unwrap_or_default();
    let scaled = first.strip_suffix('x').unwrap_or(first);
    let version = scaled.bytes().all(|b| b.is_ascii_digit());
    let clone = local == "git" && m.behind() == Some(b':');
    let before = &m.text[..m.whole.start];
    // The user of a URL, the scope or version of a package.
    let user = before.ends_with("//") || before.ends_with("%2F%2F");
    !version
        && !clone
        && !user
        && m.before() != Some(b'@')
        && !local.starts_with('.')
        && !local.is_empty()
}

/// ISO/IEC 7812: an issuer's prefix, a length that goes with it, and the sum of Luhn.
fn is_card(m: &Match<'_>) -> bool {
    let value = m.value();
    let digits: Vec<u32> = digits(value).collect();
    let head = |n: usize| digits[..n].iter().fold(0, |sum, digit| sum * 10 + digit);
    let issued = match (digits[0], digits.len()) {
        (4, 13 | 16 | 19) => true,
        (5, 16) => (51..=55).contains(&head(2)),
        (2, 16) => (2221..=2720).contains(&head(4)),
        (3, 15) => matches!(head(2), 34 | 37),
        (3, 14) => matches!(head(3), 300..=305 | 309) || matches!(head(2), 36 | 38 | 39),
        (3, 16..=19) => (3528..=3589).contains(&head(4)),
        (6, 16..=19) => {
            head(4) == 6011 || head(2) == 65 || (644..=649).contains(&head(3)) || head(2) == 62
        }
        _ => false,
    };
    issued && is_grouped(value) && is_alone(m, b"-._:/") && luhn(&digits)
}

/// Tells whether digits stand in the groups in which cards are printed, or in none.
fn is_grouped(value: &str) -> bool {
    if value.bytes().all(|b| b.is_ascii_digit()) {
        return true;
    }
    let mark = if value.contains(' ') { ' ' } else { '-' };
    let groups: Vec<usize> = value.split(mark).map(str::len).collect();
    !(value.contains(' ') && value.contains('-'))
        && matches!(
            groups.as_slice(),
            [4, 4, 4, 1..=4] | [4, 4, 4, 4, 1..=3] | [4, 6, 4..=5] | [6, 13]
        )
}

fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| if i % 2 == 1 { doubled(*d) } else { *d })
        .sum();
    sum % 10 == 0
}

/// ISO 13616: a country that issues them, its length, and the remainder by 97.
fn is_iban(m: &Match<'_>) -> bool {
    /// The countries of the registry, each with the length of its numbers.
    const COUNTRIES: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18\
                             FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20\
                             LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24\
                             SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";
    let compact: Vec<u8> = m.value().bytes().filter(|b| *b != b' ').collect();
    let countries = COUNTRIES.as_bytes().as_chunks::<4>().0;
    let length = countries.iter().find(|c| compact.starts_with(&c[..2]));
    let length = length.map(|c| usize::from(c[2] - b'0') * 10 + usize::from(c[3] - b'0'));
    let turned = compact[4..].iter().chain(&compact[..4]);
    let remainder = turned.fold(0u32, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        b => (rest * 100 + u32::from(b - b'A') + 10) % 97,
    });
    length == Some(compact.len()) && remainder == 1 && m.begins() && m.ends()
}

fn is_ssn(m: &Match<'_>) -> bool {
    /// How far the word may stand before it, in bytes.
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
