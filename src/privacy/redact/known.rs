//! Exact secrets that somebody knows: values of variables, of headers, of our own settings. They are searched for
//! in every form in which they may turn up.
//!
//! Short values and common words are left out: they would blank what has nothing to do with them. It finds no part
//! of a value but the parts between the marks of a URL or a header that whoever collects them hands over.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::needles::{Needles, SHORTEST};
use crate::json::write_string;
use crate::privacy::cut::MARK;

/// The longest that is searched for in one piece, in bytes: a longer one, such as a certificate, is searched for in
/// several.
const LONGEST: usize = 4096;
/// Says how much pieces of one value overlap, in bytes: in base64 the ends of each are not searched for.
const OVERLAP: usize = 16;
/// The most values of one set.
const MAX_VALUES: usize = 1024;
/// The most words of a value at which it may be cut off.
const MAX_WORDS: usize = 16;
/// The most pieces of them behind their first ones: a mebibyte.
const MAX_PIECES: usize = 256;

/// Values that are no secrets, however they are called: in lower case. Sorted.
const COMMON: [&str; 36] = [
    "00000000",
    "11111111",
    "12345678",
    "123456789",
    "1234567890",
    "abcdefgh",
    "anonymous",
    "application",
    "authenticated",
    "automatic",
    "changeme",
    "completed",
    "credential",
    "credentials",
    "database",
    "default_value",
    "development",
    "disabled",
    "example.com",
    "localhost",
    "localhost:8080",
    "password",
    "password1",
    "postgres",
    "production",
    "readonly",
    "required",
    "resources",
    "resources/read",
    "secretsecret",
    "test1234",
    "testtest",
    "tools/call",
    "tools/list",
    "undefined",
    "username",
];

/// A set of exact secrets. Clones are cheap behind an `Arc`; nothing prints it.
pub struct KnownValues {
    forms: Option<Needles>,
    /// Holds what stands before a blank in values that have some, the longest first: a text that was cut ends behind a
    /// word.
    beginnings: Vec<String>,
    values: usize,
}

impl KnownValues {
    /// Takes values, the most that a set holds; those that are too short or common are left out.
    pub fn new<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Self {
        let values: BTreeSet<Vec<u8>> = values
            .into_iter()
            .map(|value| value.as_ref().trim_ascii().to_vec())
            .filter(|value| is_telling(value))
            .take(MAX_VALUES)
            .collect();
        let forms: BTreeSet<Vec<u8>> = searched(&values).flat_map(forms).collect();
        let forms = (!values.is_empty()).then(|| Needles::new(forms));
        let texts = values.iter().filter_map(|value| str::from_utf8(value).ok());
        let mut beginnings: Vec<String> = texts.flat_map(beginnings).map(str::to_owned).collect();
        beginnings.sort_by_key(|text| std::cmp::Reverse(text.len()));
        KnownValues { forms, beginnings, values: values.len() }
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.forms.is_none()
    }

    /// Shows where a text has any of them, in any form: begin and end. Of a text that was cut the beginning of one at
    /// the cut, too.
    pub(super) fn find<'k>(&'k self, text: &'k str) -> impl Iterator<Item = (usize, usize)> + 'k {
        let whole = self.forms.iter().flat_map(move |forms| forms.find(text.as_bytes()));
        whole.chain(self.cut_off(text))
    }

    /// Shows where a value was cut off between its words, by [`cut`](crate::privacy::cut::cut).
    fn cut_off<'k>(&'k self, text: &'k str) -> impl Iterator<Item = (usize, usize)> + 'k {
        let cuts = (!self.beginnings.is_empty()).then(|| text.match_indices(MARK));
        cuts.into_iter().flatten().filter_map(move |(at, _)| {
            let found =
                self.beginnings.iter().find(|words| text[..at].ends_with(words.as_str()))?;
            Some((at - found.len(), at))
        })
    }
}

impl fmt::Debug for KnownValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownValues({})", self.values)
    }
}

/// Finds the password of a URL (RFC 3986 section 3.2.1).
pub fn password_of_url(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Lists what is secret in the value of a header or a setting: all of it, what stands behind a scheme, user and
/// password that it encodes (RFC 7617), and the values of cookies.
pub fn parts_of_credential(value: &str) -> Vec<String> {
    let value = value.trim();
    let mut parts = vec![value.to_owned()];
    if let Some((scheme, rest)) = value.split_once(' ') {
        let rest = rest.trim();
        parts.push(rest.to_owned());
        let decoded =
            scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest).ok()).flatten();
        if let Some(pair) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
            parts.extend(pair.split_once(':').map(|(_, password)| password.to_owned()));
            parts.push(pair);
        }
    }
    parts.extend(
        value.split(';').filter_map(|cookie| Some(cookie.split_once('=')?.1.trim().to_owned())),
    );
    parts
}

/// Gives what is searched for: the first piece of each value, and of what is left of long ones as much as there is room
/// for, so that they take no place from others.
fn searched(values: &BTreeSet<Vec<u8>>) -> impl Iterator<Item = &[u8]> {
    let first = values.iter().filter_map(|value| pieces(value).next());
    first.chain(values.iter().flat_map(|value| pieces(value).skip(1)).take(MAX_PIECES))
}

/// Lists the words before each blank in a value of a few words, those that say nothing left out.
fn beginnings(value: &str) -> impl Iterator<Item = &str> {
    let ends = value.match_indices(char::is_whitespace).take(MAX_WORDS);
    ends.map(|(at, _)| value[..at].trim_end()).filter(|words| words.len() >= SHORTEST)
}

/// Takes a value apart into pieces that overlap, none of which begins or ends within a character.
fn pieces(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let boundary = |at: usize| {
        let within = |at: &usize| value.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
        (at.saturating_sub(3)..=at).rev().find(|at| !within(at)).unwrap_or(at)
    };
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let from = next?;
        // The last one is as long as the others: a short one could be a common word.
        let last = value.len() - from <= LONGEST + 3;
        let to = if last { value.len() } else { boundary(from + LONGEST) };
        next = (!last).then(|| boundary((to - OVERLAP).min(value.len() - LONGEST)));
        Some(&value[from..to])
    })
}

/// Tells whether a value says something by itself.
fn is_telling(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let common =
        || std::str::from_utf8(&lower).is_ok_and(|text| COMMON.binary_search(&text).is_ok());
    let first = value.first().copied().unwrap_or_default();
    value.len() >= SHORTEST && !common() && !value.iter().all(|b| *b == first)
}

/// Lists the forms in which a value turns up: as it is, escaped for JSON once and twice, percent-encoded, as forms are
/// sent, in hex, and in base64 behind any number of other bytes.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![value.to_vec(), hex(value, false), hex(value, true)];
    if let Ok(text) = std::str::from_utf8(value) {
        let once = escaped(text);
        all.push(escaped(&once).into_owned().into_bytes());
        all.push(once.replace('/', "\\/").into_bytes());
        all.push(once.into_owned().into_bytes());
    }
    for upper in [true, false] {
        all.push(percent(value, upper, b"-._~"));
        all.push(percent(value, upper, b"-._~/"));
        all.extend([&b"-._~ "[..], b"-._~/ ", b"-._* "].map(|stay| form(value, upper, stay)));
        all.push(percent(value, upper, b"-._~!$&'()*+,;=:@/?#"));
        all.push(
            value
                .iter()
                .map(|b| if upper { format!("%{b:02X}") } else { format!("%{b:02x}") })
                .collect::<String>()
                .into_bytes(),
        );
        all.push(percent(value, upper, b"-._~!$&'()*+,;=:@/"));
    }
    for alignment in 0..3 {
        all.extend(base64_behind(value, alignment));
    }
    all.retain(|form| form.len() >= SHORTEST);
    all
}

fn escaped(text: &str) -> Cow<'_, str> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    let inner = &out[1..out.len() - 1];
    if inner.len() == text.len() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(String::from_utf8_lossy(inner).into_owned())
}

fn hex(value: &[u8], upper: bool) -> Vec<u8> {
    let digit = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
    value.iter().map(digit).collect::<String>().into_bytes()
}

/// Percent-encodes all but letters, digits and `stay` (RFC 3986 section 2.1).
fn percent(value: &[u8], upper: bool, stay: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_alphanumeric() || stay.contains(byte) {
            out.push(*byte);
        } else {
            let text = if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// Encodes a value as forms are sent (WHATWG URL, "application/x-www-form-urlencoded"): a blank, among what stays,
/// becomes `+`.
fn form(value: &[u8], upper: bool, stay: &[u8]) -> Vec<u8> {
    let blank = |byte| if byte == b' ' { b'+' } else { byte };
    percent(value, upper, stay).into_iter().map(blank).collect()
}

/// Encodes a value as it stands in base64 behind `before` other bytes, without the characters that depend on its
/// neighbours. In both alphabets.
fn base64_behind(value: &[u8], before: usize) -> [Vec<u8>; 2] {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(value);
    // Characters that hold bits of what stands before; of the end, those that hold bits of what follows.
    let skip = [0, 2, 3][before];
    let keep = bytes.len() * 8 / 6;
    let cut = |text: String| text.as_bytes().get(skip..keep).unwrap_or_default().to_vec();
    [cut(STANDARD_NO_PAD.encode(&bytes)), cut(URL_SAFE_NO_PAD.encode(&bytes))]
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE;
    use proptest::prelude::*;

    use super::*;
    use crate::privacy::cut::cut;

    fn finds(known: &KnownValues, text: &str) -> bool {
        known.find(text).next().is_some()
    }

    #[test]
    fn common_words_are_sorted_and_left_out() {
        assert!(COMMON.is_sorted());
        for value in
            COMMON.iter().copied().chain(["short", "aaaaaaaaaaaa", "Completed", " password "])
        {
            assert!(KnownValues::new([value]).is_empty(), "{value}");
        }
        assert!(!KnownValues::new(["password12"]).is_empty());
    }

    #[test]
    fn it_prints_how_many_it_holds() {
        let value = ["hunter2", "hunter2"].concat();
        assert_eq!(format!("{:?}", KnownValues::new([value])), "KnownValues(1)");
    }

    #[test]
    fn credentials_have_parts_that_are_secret_by_themselves() {
        let pair = "jane:open sesame";
        let header = format!("Basic {}", STANDARD.encode(pair));
        let parts = parts_of_credential(&header);
        assert!(["open sesame", pair, &header].iter().all(|part| parts.iter().any(|p| p == part)));
        assert_eq!(parts_of_credential("Bearer abc"), ["Bearer abc", "abc"]);
        assert_eq!(parts_of_credential("a=1; b=22"), ["a=1; b=22", "b=22", "1", "22"]);
        assert_eq!(parts_of_credential("key"), ["key"]);
    }

    #[test]
    fn of_a_long_value_nothing_is_left_in_any_form() {
        let digits = |seed: usize| (0..).map(move |i: usize| (i * i * 7 + i + seed) % 1_000_003);
        for (of, length) in
            [(0, LONGEST), (1, LONGEST + 1), (2, 2 * LONGEST - OVERLAP), (3, 20_000)]
        {
            let value: String = digits(of).map(|n| format!("{n}é/")).take(length / 4).collect();
            let known = KnownValues::new([&value]);
            let json = serde_json::to_string(&value).unwrap();
            let text = format!("x {value} {} {json}", STANDARD.encode(&value));
            let mut left = 0;
            let end = known.find(&text).fold(2, |end, (from, to)| {
                left += from.saturating_sub(end);
                end.max(to)
            });
            // Blanks and a quote between the forms, and what of base64 depends on the last bytes.
            assert!(left <= 8 && text.len() - end <= 1, "{length}: {left}");
        }
    }

    #[test]
    fn a_value_of_many_pieces_takes_no_place_from_others() {
        let large = vec![b'x'; (MAX_PIECES + 9) * LONGEST];
        let all: BTreeSet<Vec<u8>> = [large, b"zz-kettle".to_vec()].into();
        assert_eq!(searched(&all).count(), 2 + MAX_PIECES);
        assert!(searched(&all).any(|piece| piece == b"zz-kettle"));
    }

    #[test]
    fn a_value_of_several_words_is_found_where_it_was_cut_off() {
        let value = ["open sesame ", "12 34 zz"].concat();
        let known = KnownValues::new([&value]);
        for before in 0..60 {
            let text = format!("{} {value} and more, {}", "p".repeat(before), "x".repeat(90));
            let shown = cut(text, 64, false);
            assert_eq!(shown.contains("sesame"), finds(&known, &shown), "{shown}");
        }
        let said: Vec<_> = known.find("open sesame… (400)").collect();
        assert_eq!(said, [(0, 11)]);
    }

    #[test]
    fn values_are_found_as_forms_send_them() {
        let value = ["open ", "sesame/", "12~34* ü"].concat();
        let known = KnownValues::new([&value]);
        for sent in [
            "open+sesame%2F12~34%2A+%C3%BC",
            "open+sesame/12~34%2A+%C3%BC",
            "open+sesame%2F12%7E34*+%C3%BC",
            "open+sesame%2f12%7e34*+%c3%bc",
        ] {
            assert!(finds(&known, sent), "{sent}");
        }
    }

    proptest! {
        #[test]
        fn every_form_is_found(value in "[ -~äß\u{1F600}]{8,40}", before in "[ -~]{0,9}", after in "[ -~]{0,9}") {
            let known = KnownValues::new([&value]);
            prop_assume!(!known.is_empty());
            let value = value.trim();
            let whole = format!("{before}{value}{after}");
            prop_assert!(finds(&known, &whole));
            let json = serde_json::to_string(&whole).unwrap();
            prop_assert!(finds(&known, &json));
            prop_assert!(finds(&known, &serde_json::to_string(&json).unwrap()));
            prop_assert!(finds(&known, &STANDARD.encode(&whole)));
            prop_assert!(finds(&known, &URL_SAFE.encode(&whole)));
            let hex: String = whole.bytes().map(|b| format!("{b:02x}")).collect();
            prop_assert!(finds(&known, &hex) && finds(&known, &hex.to_uppercase()));
            let percent: String = whole.bytes().map(|b| match b {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            }).collect();
            prop_assert!(finds(&known, &percent));
            prop_assert!(finds(&known, &percent.replace("%2F", "/")));
            let all: String = whole.bytes().map(|b| format!("%{b:02x}")).collect();
            prop_assert!(finds(&known, &all));
        }
    }
}
