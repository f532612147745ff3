//! Looks at texts and says what is to stand in their place.
//!
//! Matches of all rules are found in the text as it came, merged, and masked in one go: in whatever order rules
//! stand, no byte of a match is left. What cannot be looked at is withheld.

use std::cell::LazyCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::found::{Found, UNSCANNED, Why};
use super::json::{Document, Leaves};
use super::known::KnownValues;
use super::redactor::{Finder, How, Redactor, RuleId, Under};
use super::rules::{Find, Match, Text};
use super::stand_in::write_mask;
use super::unescaped::Unescaped;
use crate::json::{ErrorKind, MAX_DEPTH, Reader};

/// The most matches in one text; a text with more is withheld.
const MAX_MATCHES: usize = 1000;
/// Says how often a text is looked at again after something in it was masked.
const MAX_ROUNDS: usize = 8;
/// Says how deep JSON within strings of JSON is looked at.
const MAX_NESTED: usize = 8;

/// Scans texts one after the other, in memory that they share.
#[derive(Debug)]
pub struct Scan<'r> {
    redactor: &'r Redactor,
    known: Vec<Arc<KnownValues>>,
    matches: Vec<Hit<'r>>,
    /// Up to where each detector found something in the text at hand.
    passed: Vec<usize>,
    hits: Vec<(RuleId, u32)>,
    out: String,
    allowed: bool,
}

/// A match: where, by which rule, and what is put in its place, if not what is put for all.
#[derive(Clone, Copy, Debug)]
struct Hit<'r> {
    from: usize,
    to: usize,
    rule: RuleId,
    /// Its place among those that begin where it does: the first one gives the name.
    rank: usize,
    mask: Option<&'r str>,
}

impl Redactor {
    /// Begins to scan.
    pub fn scan(&self) -> Scan<'_> {
        Scan {
            redactor: self,
            known: Vec::new(),
            matches: Vec::new(),
            passed: Vec::new(),
            hits: Vec::new(),
            out: String::new(),
            allowed: false,
        }
    }
}

impl Scan<'_> {
    /// Searches for these exact secrets from here on, in place of those before.
    pub fn know<'k>(&mut self, known: impl IntoIterator<Item = &'k Arc<KnownValues>>) {
        self.known.clear();
        self.known.extend(known.into_iter().filter(|known| !known.is_empty()).cloned());
    }

    /// Looks at a text, and at JSON that it is.
    pub fn text(&mut self, text: &str, under: Under) -> Found {
        self.begin();
        if text.is_empty() {
            return Found::Nothing;
        }
        match under {
            Under::Ignored => Found::Nothing,
            Under::Masked(rule) => self.masked(text, rule),
            Under::Open if text.len() > self.redactor.max_value_bytes => self.withhold(Why::Size),
            Under::Open => self.guarded(|scan, out| scan.open(text, 0, out)),
        }
    }

    /// Looks at a name. One in which something is found is replaced whole, by one that stands for it alone.
    pub fn name(&mut self, name: &str) -> Found {
        self.begin();
        let found = if name.len() > self.redactor.max_value_bytes {
            self.withhold(Why::Size)
        } else {
            self.guarded(|scan, out| scan.plain(name, out))
        };
        if found != Found::Nothing {
            self.out = self.redactor.stand_in_for_name(name);
        }
        found
    }

    /// Looks at a number, written in decimal. What stands in its place is a text.
    pub fn number(&mut self, decimal: &str, under: Under) -> Found {
        self.begin();
        match under {
            Under::Ignored => Found::Nothing,
            Under::Masked(rule) => self.masked(decimal, rule),
            Under::Open => self.guarded(|scan, out| scan.plain(decimal, out)),
        }
    }

    /// Looks at bytes as the text that they should be.
    pub fn bytes(&mut self, bytes: &[u8], under: Under) -> Found {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(text, under),
            Err(_) if under == Under::Ignored => Found::Nothing,
            Err(_) => {
                self.begin();
                self.withhold(Why::Unreadable)
            }
        }
    }

    /// Gives what is to stand in the place of what was looked at last, if anything was found.
    pub fn output(&self) -> &str {
        &self.out
    }

    /// Lists the rules that matched last, each with how often.
    pub fn hits(&self) -> &[(RuleId, u32)] {
        &self.hits
    }

    /// Says whether something that matched last was allowed and stayed.
    pub fn allowed(&self) -> bool {
        self.allowed
    }

    fn begin(&mut self) {
        self.hits.clear();
        self.out.clear();
        self.allowed = false;
    }

    fn withhold(&mut self, why: Why) -> Found {
        self.out.clear();
        self.out.push_str(UNSCANNED);
        Found::Unscanned(why)
    }

    fn masked(&mut self, text: &str, rule: RuleId) -> Found {
        let mut out = std::mem::take(&mut self.out);
        let found = self.mask_whole(text, rule, &mut out);
        self.out = out;
        if found { Found::Masked } else { Found::Nothing }
    }

    /// Masks a whole value that stands under a name that says so. Returns whether that changes anything.
    fn mask_whole(&mut self, text: &str, rule: RuleId, out: &mut String) -> bool {
        if text.is_empty() || self.redactor.is_made_here(text) {
            return false;
        }
        let begin = out.len();
        self.redactor.stand_in.write(self.redactor.rule_name(rule), text, out);
        // A mask of the user's own may stand there already.
        if &out[begin..] == text {
            out.truncate(begin);
            return false;
        }
        self.hit(rule);
        true
    }

    /// Runs a look; a panic in it costs the text that was looked at and nothing else.
    fn guarded(&mut self, look: impl FnOnce(&mut Self, &mut String) -> Result<bool, Why>) -> Found {
        let mut out = std::mem::take(&mut self.out);
        let found =
            catch_unwind(AssertUnwindSafe(|| look(self, &mut out))).unwrap_or(Err(Why::Panic));
        self.out = out;
        match found {
            Ok(false) => Found::Nothing,
            Ok(true) => Found::Masked,
            Err(why) => self.withhold(why),
        }
    }

    /// Looks at a text that is `nested` levels within strings of JSON. Appends what is to stand in its place and
    /// returns true, if anything is found.
    fn open(&mut self, text: &str, nested: usize, out: &mut String) -> Result<bool, Why> {
        if matches!(text.trim_ascii_start().as_bytes().first(), Some(b'{' | b'[')) {
            if self.is_clear(text) {
                // A document that is nested too deeply is withheld, whatever is in it.
                let nested = Reader::new(text.trim_ascii_start().as_bytes(), MAX_DEPTH).skip();
                let deep = nested.is_err_and(|error| error.kind == ErrorKind::Depth);
                return if deep { Err(Why::Depth) } else { Ok(false) };
            }
            if nested == MAX_NESTED {
                return Err(Why::Depth);
            }
            let (begin, hits) = (out.len(), self.hits.clone());
            if let Some(found) = Document::new(text, nested).redact(self, out)? {
                return Ok(found);
            }
            // No JSON after all: what was found in its beginning is found again.
            out.truncate(begin);
            self.hits = hits;
        }
        self.plain(text, out)
    }

    /// Says whether a text that may be JSON need not be read as such, as there is nothing in it: no hook, and no
    /// escape that could hide one.
    fn is_clear(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let hides = |at: usize| matches!(bytes.get(at + 1), Some(b'u' | b'/'));
        self.redactor.reads_through()
            && !self.redactor.look.at(bytes, |_, _, _| {}).any
            && !memchr::memchr_iter(b'\\', bytes).any(hides)
            && self.known.iter().all(|known| known.find(text).next().is_none())
    }

    /// Looks at a text as it stands. Appends what is to stand in its place and returns true, if anything is found.
    ///
    /// What was masked may have hidden another match, so the result is looked at again until it is clean.
    fn plain(&mut self, text: &str, out: &mut String) -> Result<bool, Why> {
        let begin = out.len();
        if !self.once(text, out)? {
            return Ok(false);
        }
        if self.redactor.stand_in.is_known_again() {
            for _ in 0..MAX_ROUNDS {
                let text = out[begin..].to_owned();
                out.truncate(begin);
                if !self.once(&text, out)? {
                    out.push_str(&text);
                    return Ok(true);
                }
            }
            return Err(Why::Matches);
        }
        Ok(true)
    }

    fn once(&mut self, text: &str, out: &mut String) -> Result<bool, Why> {
        self.matches.clear();
        self.find(text)?;
        if let Some(unescaped) = Unescaped::new(text) {
            let seen = self.matches.len();
            self.find(&unescaped.text)?;
            for hit in &mut self.matches[seen..] {
                (hit.from, hit.to) = unescaped.places(hit.from, hit.to);
            }
        }
        if self.matches.is_empty() {
            return Ok(false);
        }
        self.spare(text);
        self.merge();
        // Secrets need not be UTF-8; what is put in their place is.
        for hit in &mut self.matches {
            hit.from = text.floor_char_boundary(hit.from);
            hit.to = text.ceil_char_boundary(hit.to);
        }
        Ok(self.write(text, out))
    }

    fn find(&mut self, text: &str) -> Result<(), Why> {
        let Scan { redactor, known, matches, .. } = self;
        for known in known.iter() {
            let rule = RuleId::KNOWN_VALUE;
            matches.extend(known.find(text).take(MAX_MATCHES + 1).map(|(from, to)| Hit {
                from,
                to,
                rule,
                rank: 0,
                mask: None,
            }));
        }
        detect(redactor, text, &mut self.passed, matches);
        if let Some(own) = &redactor.own {
            for i in own.matches(text) {
                find(redactor, redactor.first_own + i, text, matches);
            }
        }
        if matches.len() > MAX_MATCHES { Err(Why::Matches) } else { Ok(()) }
    }

    /// Takes out of the matches what is allowed, and what was put here before.
    fn spare(&mut self, text: &str) {
        let mut spared: Vec<(usize, usize)> = Vec::new();
        for begin in [super::MASK_BEGIN, super::HASH_BEGIN] {
            let begins = text.match_indices(begin).take(MAX_MATCHES);
            let ends = begins.map(|(at, _)| (at, self.redactor.made_here(&text[at..])));
            spared.extend(ends.filter_map(|(at, end)| Some((at, at + end?))));
        }
        let made_here = spared.len();
        if self.redactor.allows(text) {
            let each = self.redactor.allowed.iter();
            spared.extend(
                each.flat_map(|p| p.find_iter(text).take(MAX_MATCHES))
                    .map(|m| (m.start(), m.end())),
            );
        }
        if spared.is_empty() {
            return;
        }
        for (i, &(from, to)) in spared.iter().enumerate() {
            let before = std::mem::take(&mut self.matches);
            for hit in before {
                // What is known for certain is not let through by a pattern.
                let certain = hit.rule == RuleId::KNOWN_VALUE;
                if to <= hit.from || hit.to <= from || certain && i >= made_here {
                    self.matches.push(hit);
                    continue;
                }
                self.allowed |= i >= made_here;
                let parts =
                    [Hit { to: from.max(hit.from), ..hit }, Hit { from: to.min(hit.to), ..hit }];
                // Marks between two masks are no secret.
                let says = |part: &Hit<'_>| {
                    part.from < part.to
                        && text.as_bytes()[part.from..part.to]
                            .iter()
                            .any(|b| !b.is_ascii_punctuation())
                };
                self.matches.extend(parts.into_iter().filter(says));
            }
        }
    }

    /// Joins matches that overlap; the rule that stands first among those that begin first names them.
    fn merge(&mut self) {
        self.matches.sort_by_key(|hit| (hit.from, hit.rank));
        self.matches.dedup_by(|next, hit| {
            let overlaps = next.from < hit.to;
            if overlaps {
                hit.to = hit.to.max(next.to);
            }
            overlaps
        });
    }

    fn write(&mut self, text: &str, out: &mut String) -> bool {
        let matches = std::mem::take(&mut self.matches);
        let begin = out.len();
        let mut copied = 0;
        for hit in &matches {
            out.push_str(&text[copied..hit.from]);
            let (name, secret) = (self.redactor.rule_name(hit.rule), &text[hit.from..hit.to]);
            match hit.mask {
                Some(mask) => write_mask(mask, name, out),
                None => self.redactor.stand_in.write(name, secret, out),
            }
            copied = hit.to;
            self.hit(hit.rule);
        }
        out.push_str(&text[copied..]);
        self.matches = matches;
        if &out[begin..] == text {
            out.truncate(begin);
            return false;
        }
        !self.matches.is_empty()
    }

    fn hit(&mut self, rule: RuleId) {
        match self.hits.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, times)) => *times += 1,
            None => self.hits.push((rule, 1)),
        }
    }
}

/// Runs the detectors that the first look says are worth it.
fn detect<'r>(
    redactor: &'r Redactor,
    text: &str,
    passed: &mut Vec<usize>,
    matches: &mut Vec<Hit<'r>>,
) {
    // Most texts have no hook.
    let bytes = LazyCell::new(|| Text::new(text));
    passed.clear();
    let seen = redactor.look.at(text.as_bytes(), |mut detectors, from, to| {
        passed.resize(redactor.first_own, 0);
        while detectors != 0 {
            let i = detectors.trailing_zeros() as usize;
            detectors &= detectors - 1;
            // What is within a match of its own is no other.
            let How::Detector(detector) = redactor.finders[i].how else { continue };
            if from < passed[i] || matches.len() > MAX_MATCHES {
                continue;
            }
            if let Some(found) = detector.around(&bytes, from..to) {
                passed[i] = found.end;
                matches.push(hit(redactor, i, found.start, found.end));
            }
        }
    });
    let mut worth = seen.worth;
    while worth != 0 {
        let i = worth.trailing_zeros() as usize;
        worth &= worth - 1;
        match redactor.finders[i].how {
            How::Detector(detector) => {
                if let Find::Numbers(find) = detector.find {
                    find(&bytes, &mut |found| {
                        if matches.len() <= MAX_MATCHES {
                            matches.push(hit(redactor, i, found.start, found.end));
                        }
                    });
                }
            }
            _ => find(redactor, i, text, matches),
        }
    }
}

fn hit(redactor: &Redactor, finder: usize, from: usize, to: usize) -> Hit<'_> {
    let Finder { rule, mask, .. } = &redactor.finders[finder];
    Hit { from, to, rule: *rule, rank: finder + 1, mask: mask.as_deref() }
}

/// Finds by a pattern.
fn find<'r>(redactor: &'r Redactor, finder: usize, text: &str, matches: &mut Vec<Hit<'r>>) {
    let always: fn(&Match<'_>) -> bool = |_| true;
    let (pattern, grouped, guard) = match &redactor.finders[finder].how {
        How::Own(pattern) => (pattern, false, always),
        How::Guarded { pattern, grouped, guard } => (pattern, *grouped, *guard),
        How::Detector(_) => return,
    };
    let mut take = |whole: regex::Match<'_>, value: regex::Match<'_>| {
        let found = Match { text, whole: whole.range(), value: value.range() };
        if !value.is_empty() && guard(&found) {
            matches.push(hit(redactor, finder, value.start(), value.end()));
        }
        matches.len() <= MAX_MATCHES
    };
    if grouped {
        pattern.captures_iter(text).all(|c| {
            let Some(whole) = c.get(0) else { return true };
            take(whole, c.name("v").unwrap_or(whole))
        });
    } else {
        pattern.find_iter(text).all(|whole| take(whole, whole));
    }
}

impl Leaves for Scan<'_> {
    fn rename(&self, name: &str) -> String {
        self.redactor.stand_in_for_name(name)
    }

    fn judge(&self, name: &str) -> Under {
        self.redactor.judge_name(name)
    }

    fn text(&mut self, text: &str, nested: usize, out: &mut String) -> Result<bool, Why> {
        self.open(text, nested, out)
    }

    fn plain(&mut self, text: &str, out: &mut String) -> Result<bool, Why> {
        Scan::plain(self, text, out)
    }

    fn mask(&mut self, text: &str, rule: RuleId, out: &mut String) -> bool {
        self.mask_whole(text, rule, out)
    }
}
