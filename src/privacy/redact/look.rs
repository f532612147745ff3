//! The first look at a text: one pass that finds the hooks of all detectors, and whether numbers are worth a look.
//!
//! Three bytes in a row are a number of fifteen bits, letters in either case alike; a table of a bit each says which
//! of them begin a hook. No step waits for the one before to be looked up, as those of an automaton do.

use super::rules::{Detector, Find};

/// Digits in a row, single spaces and dashes apart, that are worth a look: the shortest card.
const MANY_DIGITS: u32 = 13;
/// How many bytes of a hook the table knows, and the bits of each.
const BEGIN: usize = 3;
const BITS: u32 = 5;
const MASK: u16 = (1 << (BITS * BEGIN as u32)) - 1;

/// Finds hooks. A set of detectors is a bit for each.
#[derive(Debug)]
pub(super) struct Look {
    /// A bit for each beginning of three bytes: whether a hook has it.
    begins: Box<[u64; 1 << 9]>,
    /// The hooks, sorted by their beginnings.
    hooks: Vec<(u16, Hook)>,
    /// The one that is a single mark.
    at_sign: Option<Hook>,
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
    /// Whether anything was seen at all.
    pub(super) any: bool,
}

/// What a byte is to the first look: the lowest five bits tell bytes apart that stand in hooks, two more what it is
/// to numbers, one that it is an `@`.
static BYTES: [u8; 256] = {
    let (mut bytes, mut i) = ([0; 256], 0);
    while i < 256 {
        let b = i as u8;
        bytes[i] = match b {
            b'a'..=b'z' => b - b'a' + 1,
            b'A'..=b'Z' => b - b'A' + 1 | CAPITAL << BITS,
            b'0'..=b'9' => 27 | DIGIT << BITS,
            b'-' => 28 | MARK << BITS,
            b' ' => 29 | MARK << BITS,
            b'_' => 30,
            b'@' => AT_SIGN,
            b'.' | b'/' | b':' | b'%' | b'\\' | b'+' | b',' | b'=' => 31,
            _ => 0,
        };
        i += 1;
    }
    bytes
};
/// Digits, capitals, single marks between digits.
const DIGIT: u8 = 1;
const CAPITAL: u8 = 2;
const MARK: u8 = 3;
const AT_SIGN: u8 = 1 << 7;
/// Two capitals and two digits, as kinds of two bits each: the beginning of an account number.
const ACCOUNT: u8 = CAPITAL << 6 | CAPITAL << 4 | DIGIT << 2 | DIGIT;

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
        let at_sign = hooks.iter().find(|hook| hook.text == "@").copied();
        let long = hooks.into_iter().filter(|hook| hook.text.len() >= BEGIN);
        let mut hooks: Vec<(u16, Hook)> =
            long.map(|hook| (begin_of(hook.text.as_bytes()), hook)).collect();
        hooks.sort_by_key(|(begin, hook)| (*begin, hook.text));
        let mut begins = Box::new([0; 1 << 9]);
        for (begin, _) in &hooks {
            begins[usize::from(begin >> 6)] |= 1u64 << (begin & 63);
        }
        Look { begins, hooks, at_sign, numbers, always }
    }

    /// Tells which patterns are tried on every text.
    pub(super) fn patterns_always(&self) -> u128 {
        self.always
    }

    /// Goes over a text once. `around` gets each hook: the detectors that it is for, where it begins and ends.
    pub(super) fn at(&self, text: &[u8], mut around: impl FnMut(u128, usize, usize)) -> Seen {
        let (mut worth, mut any) = (self.always, self.always != 0);
        let (mut kinds, mut digits, mut most, mut account) = (0u8, 0u32, 0u32, false);
        let mut begin = 0;
        for (i, b) in text.iter().enumerate() {
            let byte = BYTES[usize::from(*b)];
            let kind = byte >> BITS & 3;
            kinds = kinds << 2 | kind;
            account |= kinds == ACCOUNT;
            digits = (digits + u32::from(kind == DIGIT)) & 0u32.wrapping_sub(u32::from(kind & 1));
            most = most.max(digits);
            begin = (begin << BITS | u16::from(byte & 31)) & MASK;
            let begins = self.begins[usize::from(begin >> 6)] >> (begin & 63) & 1;
            if begins as u8 | byte & AT_SIGN != 0 {
                for hook in self.hooks_at(text, begin, i) {
                    any = true;
                    worth |= hook.patterns;
                    if hook.around != 0 {
                        let from = if hook.text.len() < BEGIN { i } else { i + 1 - BEGIN };
                        around(hook.around, from, from + hook.text.len());
                    }
                }
            }
        }
        if self.numbers != 0 && (account || most >= MANY_DIGITS) {
            worth |= self.numbers;
            any = true;
        }
        Seen { worth, any }
    }

    /// Lists the hooks whose first three bytes end at a place, or whose only one is there.
    fn hooks_at<'l>(
        &'l self,
        text: &'l [u8],
        begin: u16,
        at: usize,
    ) -> impl Iterator<Item = &'l Hook> + 'l {
        let from = self.hooks.partition_point(|(known, _)| *known < begin);
        let those = self.hooks[from..].iter().take_while(move |(known, _)| *known == begin);
        let rest =
            (at + 1).checked_sub(BEGIN).and_then(|from| text.get(from..)).unwrap_or_default();
        let stands = |hook: &&Hook| {
            let text = rest.get(..hook.text.len());
            text.is_some_and(|text| text.eq_ignore_ascii_case(hook.text.as_bytes()))
        };
        let at_sign = self.at_sign.as_ref().filter(|_| text.get(at) == Some(&b'@'));
        those.map(|(_, hook)| hook).filter(stands).chain(at_sign)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rules::detectors;
    use super::*;

    proptest! {
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
