//! Data of persons that is masked unless somebody says otherwise: addresses of mail, numbers of cards and accounts.
//!
//! Numbers are told from others by their sums and by how issuers begin them.

use std::ops::Range;

use super::text::{ALNUM, Text, is};
use super::{Detector, Find};
use crate::privacy::redact::settings::Preset::Pii;

pub(super) static DETECTORS: &[Detector] = &[
    Detector { name: "email", preset: Pii, hooks: &["@", "%40"], find: Find::Around(email) },
    Detector { name: "card", preset: Pii, hooks: &[], find: Find::Numbers(cards) },
    Detector { name: "iban", preset: Pii, hooks: &[], find: Find::Numbers(ibans) },
];

/// Last parts of what has the form of an address and is a file or a unit of systemd. Sorted.
const NO_DOMAINS: [&[u8]; 20] = [
    b"css", b"gif", b"gz", b"html", b"jpeg", b"jpg", b"js", b"json", b"mount", b"path", b"png",
    b"scope", b"service", b"slice", b"socket", b"svg", b"target", b"tgz", b"timer", b"webp",
];

/// Finds an address of mail around its `@` (RFC 5321 section 4.1.2, without quoted ones).
fn email(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let from = local_begin(text, &hook);
    let end = domain_end(text, hook.end)?;
    let domain = text.get(hook.end..end);
    let local = text.get(from..hook.start);
    let first = domain.split(|b| *b == b'.').next().unwrap_or_default();
    let scaled = first.strip_suffix(b"x").unwrap_or(first);
    let version = !scaled.is_empty() && scaled.iter().all(u8::is_ascii_digit);
    let last = domain.rsplit(|b| *b == b'.').next().unwrap_or_default().to_ascii_lowercase();
    let clone = local == b"git" && text.at(end) == b':';
    let good = !local.is_empty()
        && !first.is_empty()
        && local[0] != b'.'
        && !version
        && !clone
        && NO_DOMAINS.binary_search(&&*last).is_err()
        && text.before(from) != b'@'
        && !is_user(text, from, end);
    good.then_some(from..end)
}

/// Finds where the part before the `@` begins: letters of any alphabet that needs two bytes a letter, so that no
/// half of a name is left; not those of scripts that write no spaces.
fn local_begin(text: &Text<'_>, hook: &Range<usize>) -> usize {
    /// The longest local part, in bytes.
    const LONG: usize = 64;
    let mut from = hook.start;
    while hook.start - from < LONG && from > 0 {
        let b = text.at(from - 1);
        // Percent-encoded marks are part of it where the `@` is encoded.
        let escape = hook.len() == 3 && from > 2 && text.at(from - 3) == b'%';
        if escape && matches!(text.get(from - 2..from), b"2B" | b"2b" | b"2D" | b"2E" | b"5F") {
            from -= 3;
        } else if escape {
            break;
        } else if is(b, ALNUM) || matches!(b, b'.' | b'_' | b'+' | b'-') {
            from -= 1;
        } else if (0x80..0xc0).contains(&b) && (0xc3..0xd2).contains(&text.before(from - 1)) {
            from -= 2;
        } else {
            break;
        }
    }
    from
}

/// Finds the end of a domain of two or more labels, the last of letters.
fn domain_end(text: &Text<'_>, from: usize) -> Option<usize> {
    /// The longest domain, in bytes.
    const LONG: usize = 255;
    let (mut at, mut end, mut labels) = (from, None, 0);
    while at - from < LONG {
        let start = at;
        let mut letters = true;
        while at - from < LONG {
            let b = text.at(at);
            let wide = (0xc3..0xd2).contains(&b) && (0x80..0xc0).contains(&text.at(at + 1));
            if !(is(b, ALNUM) || b == b'-' || wide) {
                break;
            }
            letters &= b.is_ascii_alphabetic();
            at += 1 + usize::from(wide);
        }
        let label = text.get(start..at);
        if label.is_empty() {
            break;
        }
        labels += 1;
        if labels > 1 && (letters && (2..=24).contains(&label.len()) || label.starts_with(b"xn--"))
        {
            end = Some(at);
        }
        if text.at(at) != b'.' {
            break;
        }
        at += 1;
    }
    end
}

/// Says whether what looks like an address is the user and the host of a URL.
fn is_user(text: &Text<'_>, from: usize, end: usize) -> bool {
    let before = text.get(from.saturating_sub(6)..from);
    let begins =
        before.ends_with(b"//") || before.ends_with(b"\\/\\/") || before.ends_with(b"%2F%2F");
    // Where an `@` follows, it was the user alone.
    let rest = text.get(end..end + 128).iter();
    begins && !rest.take_while(|b| !matches!(b, b'/' | b'?' | b'#' | b' ')).any(|b| *b == b'@')
}

/// Finds numbers of cards: digits in the groups in which cards are printed, or in none.
fn cards(text: &Text<'_>, found: &mut dyn FnMut(Range<usize>)) {
    /// Groups that are looked at together, and those of one card with one on each side.
    const MOST: usize = 64;
    const LAST: usize = 7;
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(next) = text.bytes[at..].iter().position(u8::is_ascii_digit) {
        let start = at + next;
        let digits = text.bytes[start..].iter().take_while(|b| b.is_ascii_digit());
        at = start + digits.count();
        let joined = groups
            .last()
            .is_some_and(|last| start == last.end + 1 && matches!(text.at(last.end), b' ' | b'-'));
        if !joined || groups.len() == MOST {
            cards_of(text, &groups, found);
            // A card may have begun in the last ones.
            groups.drain(..if joined { MOST - LAST } else { groups.len() });
        }
        // No card begins with another one.
        if !groups.is_empty() || matches!(at - start, 4 | 6 | 13..) {
            groups.push(start..at);
        }
    }
    cards_of(text, &groups, found);
}

/// Finds cards in groups of digits that stand one behind the other.
fn cards_of(text: &Text<'_>, groups: &[Range<usize>], found: &mut dyn FnMut(Range<usize>)) {
    const SHAPES: [&[usize]; 7] = [
        &[4, 4, 4, 4],
        &[4, 4, 4, 4, 3],
        &[4, 6, 5],
        &[4, 6, 4],
        &[4, 4, 4, 1],
        &[4, 4, 4, 4, 2],
        &[6, 13],
    ];
    let mut i = 0;
    while i < groups.len() {
        let first = groups[i].len();
        if !matches!(first, 4 | 6 | 13..) {
            i += 1;
            continue;
        }
        let shaped = SHAPES.iter().find_map(|shape| {
            let part = groups.get(i..i + shape.len())?;
            let mark = text.at(part[0].end);
            let fits = part.iter().map(Range::len).eq(shape.iter().copied())
                && part[1..].iter().all(|group| text.before(group.start) == mark)
                && !is_list(text, groups, i, shape.len());
            (fits && is_card(text, part)).then_some(shape.len())
        });
        let count = shaped.or_else(|| is_card(text, &groups[i..=i]).then_some(1));
        if let Some(count) = count {
            found(groups[i].start..groups[i + count - 1].end);
        }
        i += count.unwrap_or(1);
    }
}

/// Says whether groups of four are part of a list, as of ports, and no card: more of them stand beside them than
/// a year before or the month of expiry behind.
fn is_list(text: &Text<'_>, groups: &[Range<usize>], from: usize, count: usize) -> bool {
    let four = |group: Option<&Range<usize>>| {
        group.filter(|group| group.len() == 4).map(|group| text.get(group.clone()))
    };
    let before = four(from.checked_sub(1).and_then(|at| groups.get(at)));
    let behind = four(groups.get(from + count));
    let year = |group: &[u8]| group.starts_with(b"19") || group.starts_with(b"20");
    let month = |group: &[u8]| matches!(&group[..2], [b'0', b'1'..=b'9'] | [b'1', b'0'..=b'2']);
    before.is_some_and(|group| !year(group))
        || behind.is_some_and(|group| !month(group) && !year(group))
}

/// ISO/IEC 7812: an issuer's prefix, a length that goes with it, and the sum of Luhn.
fn is_card(text: &Text<'_>, groups: &[Range<usize>]) -> bool {
    let length: usize = groups.iter().map(Range::len).sum();
    if !(13..=19).contains(&length) {
        return false;
    }
    let (mut digits, mut n) = ([0u32; 19], 0);
    for b in groups.iter().flat_map(|group| text.get(group.clone())) {
        digits[n] = u32::from(b - b'0');
        n += 1;
    }
    let digits = &digits[..length];
    let head = |n: usize| digits[..n].iter().fold(0, |sum, digit| sum * 10 + digit);
    let issued = match (digits[0], length) {
        (4, 13 | 16 | 19) => true,
        (5, 16) => (51..=55).contains(&head(2)),
        (2, 16) => (2221..=2720).contains(&head(4)) || (2200..=2204).contains(&head(4)),
        (3, 15) => matches!(head(2), 34 | 37),
        (3, 14) => matches!(head(3), 300..=305 | 309) || matches!(head(2), 36 | 38 | 39),
        (3, 16 | 19) => (3528..=3589).contains(&head(4)),
        (6, 16 | 19) if head(4) == 6011 || head(2) == 65 || (644..=649).contains(&head(3)) => true,
        (6, 16..=19) => head(2) == 62,
        _ => false,
    };
    let (start, end) = (groups[0].start, groups[groups.len() - 1].end);
    issued && is_alone(text, start, end) && luhn(digits)
}

/// Says whether a number is one by itself: no letters or digits beside it, nor behind one of the marks in numbers,
/// ids and addresses.
fn is_alone(text: &Text<'_>, start: usize, end: usize) -> bool {
    let mark = |b: u8| matches!(b, b'-' | b'.' | b'_' | b':' | b'/');
    let part = |mark_: u8, next: u8| mark(mark_) && next.is_ascii_digit();
    text.begins(start)
        && !is(text.at(end), ALNUM)
        && !part(text.before(start), text.before(start.saturating_sub(1)))
        && !part(text.at(end), text.at(end + 1))
}

fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let each = digits.iter().rev().enumerate();
    let sum: u32 = each.map(|(i, d)| if i % 2 == 1 { doubled(*d) } else { *d }).sum();
    sum.is_multiple_of(10)
}

/// The countries of the registry of ISO 13616, each with the length of its numbers.
const COUNTRIES: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18\
                         FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21\
                         LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27\
                         ST25SV28TL23TN24TR26UA29VA22VG24XK20";

/// Finds numbers of accounts: a country, the length of its numbers, and the remainder by 97.
fn ibans(text: &Text<'_>, found: &mut dyn FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(next) = text.bytes[at..].iter().position(u8::is_ascii_uppercase) {
        let start = at + next;
        let end = iban_end(text, start);
        if let Some(end) = end {
            found(start..end);
        }
        at = end.unwrap_or(start + 1);
    }
}

fn iban_end(text: &Text<'_>, start: usize) -> Option<usize> {
    let begin: [u8; 4] = text.get(start..start + 4).try_into().ok()?;
    if !begin[1].is_ascii_uppercase() || !begin[2].is_ascii_digit() || !begin[3].is_ascii_digit() {
        return None;
    }
    let countries = COUNTRIES.as_bytes().as_chunks::<4>().0;
    let country = countries.binary_search_by(|c| c[..2].cmp(&begin[..2])).ok()?;
    let [.., tens, ones] = countries[country];
    let length = usize::from(tens - b'0') * 10 + usize::from(ones - b'0');
    // No sum is 0, 1 or 99.
    if !text.begins(start) || matches!(&begin[2..], b"00" | b"01" | b"99") {
        return None;
    }
    let (mut at, mut n, mut number) = (start + 4, 4, 0);
    while n < length {
        let b = text.at(at);
        if b.is_ascii_uppercase() || b.is_ascii_digit() {
            number = joined(number, b);
            n += 1;
        } else if !(matches!(b, b' ' | b'-') && n % 4 == 0 && is(text.before(at), ALNUM)) {
            return None;
        }
        at += 1;
    }
    let number = begin.into_iter().fold(number, joined);
    (number % 97 == 1 && !is(text.at(at), ALNUM)).then_some(at)
}

/// Writes a digit, or a letter as two, behind a number of which only the remainder by 97 matters. It is taken of
/// many digits at once.
fn joined(number: u64, b: u8) -> u64 {
    let number = if number < 1 << 50 { number } else { number % 97 };
    match b {
        b'0'..=b'9' => number * 10 + u64::from(b - b'0'),
        b => number * 100 + u64::from(b - b'A') + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_that_are_searched_are_sorted() {
        assert!(COUNTRIES.as_bytes().as_chunks::<4>().0.is_sorted());
        assert!(NO_DOMAINS.is_sorted());
    }
}
