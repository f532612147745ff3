//! The first look at a text: one pass that finds the hooks of all detectors, and whether numbers are worth a look.
//!
//! Three bytes in a row are a number of fifteen bits, letters in either case alike; a table says which of them begin
//! hooks. No step waits for the one before to be looked up, as those of an automaton do.

use super::rules::{Detector, Find};

/// Digits in a row, single spaces and dashes apart, that are worth a look: the shortest card.
const MANY_DIGITS: usize = 13;
/// Digits that are in all numbers of cards and accounts.
const FEW_DIGITS: usize = 10;
/// Says how many bytes of a hook the table knows, and the bits of each.
const BEGIN: usize = 3;
const BITS: u32 = 5;
const MASK: u16 = (1 << (BITS * BEGIN as u32)) - 1;

/// Finds hooks. A set of detectors is a bit for each.
#[derive(Debug)]
pub(super) struct Look {
    /// For each beginning of three bytes the place of its hooks in the list, behind 0 for none.
    begins: Box<[u8; 1 << 15]>,
    /// Hooks of the same beginning together. The first list is for the one that is a single mark.
    hooks: Vec<Vec<Hook>>,
    numbers: u128,
    /// Patterns that no hook tells.
    always: u128,
}

/// Says what a hook is for.
#[derive(Clone, Copy, Debug)]
struct Hook {
    text: &'static str,
    /// Those that look around it.
    around: u128,
    /// Those that are patterns.
    patterns: u128,
}

/// Says what the first look saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Detectors of numbers, and patterns, that are worth a look.
    pub(super) worth: u128,
    /// Says whether anything was seen at all.
    pub(super) any: bool,
}

/// Sorts bytes for the first look: five bits tell bytes apart that stand in hooks, one that it is an `@`.
static BYTES: [u8; 256] = {
    let (mut bytes, mut i) = ([0; 256], 0);
    while i < 256 {
        let b = i as u8;
        bytes[i] = match b {
            b'a'..=b'z' => b - b'a' + 1,
            b'A'..=b'Z' => b - b'A' + 1,
            b'0'..=b'9' => 27,
            b'-' => 28,
            b' ' => 29,
            b'_' => 30,
            b'@' => AT_SIGN,
            b'.' | b'/' | b':' | b'%' | b'\\' | b'+' | b',' | b'=' => 31,
            _ => 0,
        };
        i += 1;
    }
    bytes
};
const AT_SIGN: u8 = 1 << 7;

fn begin_of(hook: &[u8]) -> u16 {
    let low = |b: &u8| u16::from(BYTES[usize::from(*b)] & 31);
    hook[..BEGIN].iter().fold(0, |begin, b| begin << BITS | low(b))
}

impl Look {
    pub(super) fn new(detectors: &[&'static Detector]) -> Self {
        let mut hooks: Vec<Hook> = Vec::new();
        let (mut always, mut numbers) = (0, 0);
        for (i, detector) in detectors.iter().enumerate() {
            let bit = 1u128 << i;
            let pattern = matches!(detector.find, Find::Pattern(..));
            match detector.find {
                Find::Numbers(_) => numbers |= bit,
                // The table knows none that are shorter.
                _ if detector.hooks.iter().any(|hook| hook.len() < BEGIN && *hook != "@") => {
                    always |= bit
                }
                _ if detector.hooks.is_empty() => always |= bit,
                _ => {}
            }
            for hook in detector.hooks {
                let at = hooks.iter().position(|known| known.text.eq_ignore_ascii_case(hook));
                let at = at.unwrap_or_else(|| {
                    hooks.push(Hook { text: hook, around: 0, patterns: 0 });
                    hooks.len() - 1
                });
                let known = &mut hooks[at];
                if pattern { known.patterns |= bit } else { known.around |= bit }
            }
        }
        let mut begins = Box::new([0; 1 << 15]);
        let mut lists = vec![Vec::new()];
        for hook in hooks {
            if hook.text == "@" {
                lists[0].push(hook);
            } else if hook.text.len() >= BEGIN {
                let begin = &mut begins[usize::from(begin_of(hook.text.as_bytes()))];
                if *begin == 0 {
                    lists.push(Vec::new());
                    *begin = u8::try_from(lists.len() - 1)
                        .expect("the table's hooks have few beginnings");
                }
                lists[usize::from(*begin)].push(hook);
            }
        }
        let hooks = lists;
        Look { begins, hooks, numbers, always }
    }

    /// Tells which patterns are tried on every text.
    pub(super) fn patterns_always(&self) -> u128 {
        self.always
    }

    /// Goes over a text once. `around` gets each hook: the detectors that it is for, where it begins and ends.
    pub(super) fn at(&self, text: &[u8], mut around: impl FnMut(u128, usize, usize)) -> Seen {
        let (mut worth, mut any) = (self.always, self.always != 0);
        let mut begin = 0;
        for (i, b) in text.iter().enumerate() {
            let byte = BYTES[usize::from(*b)];
            begin = (begin << BITS | u16::from(byte & 31)) & MASK;
            let list = self.begins[usize::from(begin)];
            if list | byte & AT_SIGN == 0 {
                continue;
            }
            let (list, from) =
                if *b == b'@' { (0, i) } else { (list, (i + 1).saturating_sub(BEGIN)) };
            for hook in &self.hooks[usize::from(list)] {
                let to = from + hook.text.len();
                let stands = text.get(from..to);
                if stands.is_some_and(|text| text.eq_ignore_ascii_case(hook.text.as_bytes())) {
                    any = true;
                    worth |= hook.patterns;
                    if hook.around != 0 {
                        around(hook.around, from, to);
                    }
                }
            }
        }
        if self.numbers != 0 && has_numbers(text) {
            worth |= self.numbers;
            any = true;
        }
        Seen { worth, any }
    }
}

/// Says whether numbers of cards or accounts may be in a text.
fn has_numbers(text: &[u8]) -> bool {
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    if digits < FEW_DIGITS {
        return false;
    }
    let account = |four: &[u8]| {
        four[0].is_ascii_uppercase()
            && four[1].is_ascii_uppercase()
            && four[2].is_ascii_digit()
            && four[3].is_ascii_digit()
    };
    let capitals = text.iter().filter(|b| b.is_ascii_uppercase()).count();
    has_many_digits(text) || capitals > 1 && text.windows(4).any(account)
}

/// Says whether that many digits stand in a row, spaces and dashes apart. A row that long has bytes in it at every
/// thirteenth place, and few others are looked at.
fn has_many_digits(text: &[u8]) -> bool {
    let part = |b: &&u8| b.is_ascii_digit() || matches!(b, b' ' | b'-');
    let (mut done, mut at) = (0, MANY_DIGITS - 1);
    while at < text.len() {
        let before = text[done..=at].iter().rev().take_while(part).count();
        if before > 0 {
            let from = at + 1 - before;
            let row = from + text[from..].iter().take_while(part).count();
            if text[from..row].iter().filter(|b| b.is_ascii_digit()).count() >= MANY_DIGITS {
                return true;
            }
            (done, at) = (row, row);
        }
        at += MANY_DIGITS;
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rules::detectors;
    use super::*;

    proptest! {
        #[test]
        fn rows_of_digits_are_seen(text in "[0-9 a-]{0,60}|([0-9]{4}[ -]?){0,8}x[0-9-]{0,30}") {
            let rows = text.split(|c: char| !c.is_ascii_digit() && c != ' ' && c != '-');
            let many = rows.map(|row| row.bytes().filter(u8::is_ascii_digit).count()).max() >= Some(MANY_DIGITS);
            prop_assert_eq!(has_many_digits(text.as_bytes()), many);
        }

        #[test]
        fn every_hook_is_seen_where_it_stands(
            text in r"([a-z]{0,6}|key|TOKEN|@|%40|://|eyJ|:AA|\\Users\\|sk-|SG\.|[ ./_=:0-9A-Z\\-]){0,24}",
        ) {
            let all: Vec<&'static Detector> = detectors().collect();
            let mut seen = Vec::new();
            let found = Look::new(&all).at(text.as_bytes(), |of, from, to| seen.push((from, to, of)));
            let lower = text.to_ascii_lowercase();
            let mut said = Vec::new();
            for (i, detector) in all.iter().enumerate() {
                let pattern = matches!(detector.find, Find::Pattern(..));
                for hook in detector.hooks.iter().map(|hook| hook.to_ascii_lowercase()) {
                    for from in (0..lower.len()).filter(|from| lower[*from..].starts_with(&hook)) {
                        if pattern {
                            prop_assert!(found.worth & 1 << i != 0, "{}", detector.name);
                        } else {
                            said.push((from, from + hook.len(), i));
                        }
                    }
                }
            }
            let each = seen.into_iter().flat_map(|(from, to, of)| {
                (0..all.len()).filter(move |i| of >> i & 1 == 1).map(move |i| (from, to, i))
            });
            let mut seen: Vec<_> = each.collect();
            seen.sort();
            said.sort();
            prop_assert_eq!(seen, said);
        }
    }
}
