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

/// The longest, in bytes: of a longer one, such as a certificate, the beginning tells.
const LONGEST: usize = 4096;
/// The most values of one set.
const MAX_VALUES: usize = 1024;

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
    values: usize,
}

impl KnownValues {
    /// Takes values, the most that a set holds; those that are too short or common are left out.
    pub fn new<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Self {
        let values: BTreeSet<Vec<u8>> = values
            .into_iter()
            .map(|value| trimmed(value.as_ref()).to_vec())
            .filter(|value| is_telling(value))
            .take(MAX_VALUES)
            .collect();
        let forms: BTreeSet<Vec<u8>> = values.iter().flat_map(|value| forms(value)).collect();
        let forms = (!values.is_empty()).then(|| Needles::new(forms));
        KnownValues { forms, values: values.len() }
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.forms.is_none()
    }

    /// Shows where a text has any of them, in any form: begin and end, in order.
    pub(super) fn find<'k>(&'k self, text: &'k str) -> impl Iterator<Item = (usize, usize)> + 'k {
        self.forms.iter().flat_map(move |forms| forms.find(text.as_bytes()))
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

fn trimmed(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value.get(..LONGEST).unwrap_or(value)
}

/// Tells whether a value says something by itself.
fn is_telling(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let common =
        || std::str::from_utf8(&lower).is_ok_and(|text| COMMON.binary_search(&text).is_ok());
    let first = value.first().copied().unwrap_or_default();
    value.len() >= SHORTEST && !common() && !value.iter().all(|b| *b == first)
}

/// Lists the forms in which a value turns up: as it is, escaped for JSON once and twice, percent-encoded, in hex,
/// and in base64 behind any number of other bytes.
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
