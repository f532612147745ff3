//! The first look at a text: one pass that finds the hooks of all detectors, and whether numbers are worth a look.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

use super::rules::{Detector, Find};

/// Digits in a row, single spaces and dashes apart, that are worth a look: the shortest card.
const MANY_DIGITS: u32 = 13;

/// Finds hooks. A set of detectors is a bit for each.
#[derive(Debug)]
pub(super) struct Look {
    hooks: Option<DFA>,
    of_hook: Vec<Hook>,
    numbers: u128,
    /// Patterns that no hook tells.
    always: u128,
}

/// Says what a hook is for.
#[derive(Clone, Copy, Debug)]
struct Hook {
    len: usize,
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

/// Sorts bytes for the look at numbers: digits, capitals, single marks between digits, others.
const DIGIT: u8 = 1;
const CAPITAL: u8 = 2;
const MARK: u8 = 3;
static KINDS: [u8; 256] = {
    let (mut kinds, mut i) = ([0; 256], 0);
    while i < 256 {
        let b = i as u8;
        kinds[i] = if b.is_ascii_digit() {
            DIGIT
        } else if b.is_ascii_uppercase() {
            CAPITAL
        } else if b == b' ' || b == b'-' {
            MARK
        } else {
            0
        };
        i += 1;
    }
    kinds
};
/// Two capitals and two digits, as kinds of two bits each: the beginning of an account number.
const ACCOUNT: u8 = CAPITAL << 6 | CAPITAL << 4 | DIGIT << 2 | DIGIT;

impl Look {
    pub(super) fn new(detectors: &[&'static Detector]) -> Self {
        let mut hooks: Vec<(&str, Hook)> = Vec::new();
        let (mut always, mut numbers) = (0, 0);
        for (i, detector) in detectors.iter().enumerate() {
            let bit = 1u128 << i;
            let pattern = matches!(detector.find, Find::Pattern(..));
            match detector.find {
                Find::Numbers(_) => numbers |= bit,
                _ if detector.hooks.is_empty() => always |= bit,
                _ => {}
            }
            for hook in detector.hooks {
                let at = hooks.iter().position(|(known, _)| known.eq_ignore_ascii_case(hook));
                let at = at.unwrap_or_else(|| {
                    hooks.push((hook, Hook { len: hook.len(), around: 0, patterns: 0 }));
                    hooks.len() - 1
                });
                let known = &mut hooks[at].1;
                if pattern { known.patterns |= bit } else { known.around |= bit }
            }
        }
        let automaton = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(hooks.iter().map(|(hook, _)| hook));
        // It fails for tables much larger than this one.
        let automaton = automaton.ok().filter(|_| !hooks.is_empty());
        let of_hook = hooks.into_iter().map(|(_, hook)| hook).collect();
        Look { hooks: automaton, of_hook, numbers, always }
    }

    /// Tells which patterns are tried on every text.
    pub(super) fn patterns_always(&self) -> u128 {
        self.always
    }

    /// Goes over a text once. `around` gets each hook: the detectors that it is for, where it begins and ends.
    pub(super) fn at(&self, text: &[u8], mut around: impl FnMut(u128, usize, usize)) -> Seen {
        let (mut worth, mut any) = (self.always, self.always != 0);
        let (mut kinds, mut digits, mut most, mut account) = (0u8, 0u32, 0u32, false);
        let Some(hooks) = &self.hooks else { return Seen { worth, any } };
        // Only anchored searches are not built.
        let Ok(mut state) = hooks.start_state(Anchored::No) else { return Seen { worth, any } };
        for (i, b) in text.iter().enumerate() {
            let kind = KINDS[usize::from(*b)];
            kinds = kinds << 2 | kind;
            account |= kinds == ACCOUNT;
            digits = if kind == MARK { digits } else { (digits + 1) * u32::from(kind == DIGIT) };
            most = most.max(digits);
            state = hooks.next_state(Anchored::No, state, *b);
            if hooks.is_special(state) && hooks.is_match(state) {
                any = true;
                for n in 0..hooks.match_len(state) {
                    let hook = &self.of_hook[hooks.match_pattern(state, n).as_usize()];
                    worth |= hook.patterns;
                    if hook.around != 0 {
                        around(hook.around, i + 1 - hook.len, i + 1);
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
}
