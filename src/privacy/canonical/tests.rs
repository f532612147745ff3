//! The canonical form against RFC 8785's own examples, against another implementation on random
//! documents, and on what must be refused.

use super::*;
use crate::privacy::Pointer;
use proptest::prelude::*;
use serde_json::Value;

fn canonical(text: impl AsRef<[u8]>) -> Result<(String, bool), (Reason, usize)> {
    let mut out = b"kept ".to_vec();
    let done = Canonicalizer::default().write(text.as_ref(), &mut out);
    let out = String::from_utf8(out).unwrap();
    let appended = out.strip_prefix("kept ").unwrap().to_owned();
    match done {
        Ok(written) => Ok((appended, written.lossy)),
        Err(rejected) => {
            assert_eq!(appended, "", "a rejected text leaves nothing behind");
            Err((rejected.reason, rejected.at))
        }
    }
}

fn text_of(text: impl AsRef<[u8]>) -> String {
    canonical(text).unwrap().0
}

fn reason_of(text: impl AsRef<[u8]>) -> Reason {
    canonical(text).unwrap_err().0
}

#[test]
fn the_rfc_example_comes_out_as_printed_there() {
    // RFC 8785 section 3.2.2 and 3.2.3.
    let text = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let expected = concat!(
        r#"{"literals":[null,true,false],"#,
        r#""numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
        "\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}",
    );
    assert_eq!(canonical(text), Ok((expected.to_owned(), true)));
}

#[test]
fn the_rfc_key_order_is_that_of_utf_16() {
    // RFC 8785 section 3.2.3: the emoji's surrogates sort before U+FB33.
    let text = r#"{
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One", "\ud83d\ude00": "Emoji", "\u0080": "Control", "\u00f6": "o with diaeresis"
    }"#;
    let sorted: Value = serde_json::from_str(text).unwrap();
    let order = ["\r", "1", "\u{80}", "\u{f6}", "\u{20ac}", "\u{1f600}", "\u{fb33}"];
    let members: Vec<String> =
        order.iter().map(|key| format!("{}:{}", Value::from(*key), sorted[key])).collect();
    assert_eq!(text_of(text), format!("{{{}}}", members.join(",")));
}

#[test]
fn strings_are_escaped_as_little_as_possible() {
    let cases = [
        (r#""\/\u002f""#, r#""//""#),
        (r#""\u0008\u0009\u000a\u000c\u000d""#, r#""\b\t\n\f\r""#),
        (r#""\u0000\u001F\u007f""#, "\"\\u0000\\u001f\u{7f}\""),
        (r#""\u2028\u003c""#, "\"\u{2028}<\""),
        (r#""\u0041\u030a""#, "\"A\u{30a}\""),
        ("\"\u{c5}\"", "\"\u{c5}\""),
        (r#""\ud83d\ude00""#, "\"\u{1f600}\""),
    ];
    for (text, expected) in cases {
        assert_eq!(text_of(text), expected, "{text}");
    }
}

#[test]
fn any_value_stands_at_the_top() {
    for (text, expected) in [
        (" null ", "null"),
        ("true", "true"),
        ("\tfalse\n", "false"),
        ("1.0", "1"),
        (r#""a""#, r#""a""#),
        ("[ ]", "[]"),
        ("{ }", "{}"),
        ("[ 1 , [ ] , { } ]", "[1,[],{}]"),
    ] {
        assert_eq!(text_of(text), expected);
    }
}

#[test]
fn objects_are_sorted_at_every_level() {
    let text = r#"{"b":{"z":1,"y":{"q":[{"b":1,"a":2}],"p":0}},"a":{},"":0}"#;
    let expected = r#"{"":0,"a":{},"b":{"y":{"p":0,"q":[{"a":2,"b":1}]},"z":1}}"#;
    assert_eq!(text_of(text), expected);
}

#[test]
fn the_same_key_twice_is_refused_wherever_and_however_it_is_spelled() {
    for (text, at) in [
        (r#"{"a":1,"a":2}"#, 8),
        (r#"{"a":1,"\u0061":2}"#, 8),
        (r#"{"a":1,"b":2,"a":3}"#, 14),
        (r#"{"b":1,"a":2,"b":3}"#, 14),
        (r#"[{"":{"a":{}},"":0}]"#, 15),
        (r#"{"a":{"x":1,"x":1}}"#, 13),
    ] {
        assert_eq!(canonical(text), Err((Reason::DuplicateKey, at)), "{text}");
    }
    assert_eq!(text_of(r#"{"a":{"a":1},"b":{"a":1}}"#), r#"{"a":{"a":1},"b":{"a":1}}"#);
}

#[test]
fn what_is_not_unambiguous_json_is_refused_with_its_reason() {
    use Reason::{InvalidUtf8, LoneSurrogate, NotJson, NumberRange};
    let cases: &[(&[u8], Reason)] = &[
        (b"", NotJson),
        (b"  ", NotJson),
        (b"\xef\xbb\xbf{}", NotJson),
        (b"{} {}", NotJson),
        (b"{}x", NotJson),
        (b"[1,]", NotJson),
        (b"[,1]", NotJson),
        (b"[1 2]", NotJson),
        (b"{\"a\":1,}", NotJson),
        (b"{a:1}", NotJson),
        (b"{\"a\" 1}", NotJson),
        (b"{1:1}", NotJson),
        (b"[", NotJson),
        (b"[}", NotJson),
        (b"'a'", NotJson),
        (b"NaN", NotJson),
        (b"Infinity", NotJson),
        (b"-", NotJson),
        (b"01", NotJson),
        (b"+1", NotJson),
        (b"1.", NotJson),
        (b".5", NotJson),
        (b"1e", NotJson),
        (b"0x10", NotJson),
        (b"tru", NotJson),
        (b"nulll", NotJson),
        (b"\"a\nb\"", NotJson),
        (b"\"\\x\"", NotJson),
        (b"\"\\u12g4\"", NotJson),
        (b"\"open", NotJson),
        (b"\"\\ud800\"", LoneSurrogate),
        (b"\"\\udc00\\ud800\"", LoneSurrogate),
        (b"\"\\ud800\\u0041\"", LoneSurrogate),
        (b"{\"\\ud800\":1}", LoneSurrogate),
        (b"\"\xff\"", InvalidUtf8),
        (b"\"\xed\xa0\x80\"", InvalidUtf8),
        (b"\"\xc0\xaf\"", InvalidUtf8),
        (b"{\"\xff\":1}", InvalidUtf8),
        (b"1e400", NumberRange),
        (b"[0,-1e309]", NumberRange),
    ];
    for (text, reason) in cases {
        assert_eq!(reason_of(text), *reason, "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(canonical("[0,-1e309]"), Err((NumberRange, 3)));
}

#[test]
fn depth_and_size_stop_at_their_limits() {
    let nested = |open: &str, n: usize, close: &str| open.repeat(n) + "0" + &close.repeat(n);
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        assert_eq!(text_of(nested(open, 128, close)), nested(open, 128, close));
        assert_eq!(reason_of(nested(open, 129, close)), Reason::Depth);
    }
    assert_eq!(reason_of("[".repeat(1 << 20)), Reason::Depth);
    let string = |n: usize| format!("\"{}\"", "x".repeat(n - 2));
    assert_eq!(text_of(string(MAX_BYTES)).len(), MAX_BYTES);
    assert_eq!(canonical(string(MAX_BYTES + 1)), Err((Reason::Size, MAX_BYTES)));
}

#[test]
fn a_canonicalizer_forgets_a_rejected_text() {
    let mut canonicalizer = Canonicalizer::default();
    let mut out = Vec::new();
    for bad in [r#"{"z":{"y":[{"x":1"#, r#"{"b":0,"a":{"c":1,"c":2}}"#, "[[[[1e999"] {
        canonicalizer.write(bad.as_bytes(), &mut out).unwrap_err();
        canonicalizer.write(br#"{"z":1,"a":{"b":1}}"#, &mut out).unwrap();
        assert_eq!(out, br#"{"a":{"b":1},"z":1}"#);
        out.clear();
    }
}

/// Gives what is left of `text` without `exclude`, whether it is lossy, and the `fields` by number.
fn selected(text: &str, exclude: &[&str], fields: &[&str]) -> (String, bool, Vec<(usize, String)>) {
    let parse = |all: &[&str]| all.iter().map(|p| Pointer::parse(p).unwrap()).collect();
    let paths = Paths::new(parse(exclude), parse(fields)).unwrap();
    let (mut out, mut found) = (Vec::new(), Vec::new());
    let written = Canonicalizer::default()
        .write_selected(text.as_bytes(), &paths, &mut out, &mut |n, value| {
            found.push((n, String::from_utf8(value.to_vec()).unwrap()));
        })
        .unwrap();
    (String::from_utf8(out).unwrap(), written.lossy, found)
}

#[test]
fn excluded_values_leave_no_trace() {
    let left = |text, exclude: &[&str]| selected(text, exclude, &[]).0;
    assert_eq!(left(r#"{"a":1,"nonce":{"x":[1]},"b":2}"#, &["/nonce"]), r#"{"a":1,"b":2}"#);
    assert_eq!(left(r#"{"nonce":1,"b":2,"a":3}"#, &["/nonce"]), r#"{"a":3,"b":2}"#);
    assert_eq!(left(r#"{"b":2,"a":3,"nonce":1}"#, &["/nonce"]), r#"{"a":3,"b":2}"#);
    assert_eq!(left(r#"{"nonce":1}"#, &["/nonce"]), "{}");
    assert_eq!(left(r#"{"a":{"nonce":1}}"#, &["/nonce"]), r#"{"a":{"nonce":1}}"#);
    assert_eq!(left(r#"{"a":{"b":1,"c":2}}"#, &["/a/b", "/x"]), r#"{"a":{"c":2}}"#);
    let items = r#"{"items":[{"t":1,"id":2},{"id":3,"t":4},5,[6]]}"#;
    assert_eq!(left(items, &["/items/*/t"]), r#"{"items":[{"id":2},{"id":3},5,[6]]}"#);
    assert_eq!(left(items, &["/items/0"]), r#"{"items":[{"id":3,"t":4},5,[6]]}"#);
    assert_eq!(left(items, &["/items/*"]), r#"{"items":[]}"#);
    assert_eq!(left("[1,2,3]", &["/0", "/2"]), "[2]");
    assert_eq!(left("7", &["/a"]), "7");
    assert_eq!(left(r#"{"*":1,"a":2}"#, &["/*"]), r#"{"a":2}"#);
}

#[test]
fn what_is_excluded_must_be_json_all_the_same_but_loses_nothing() {
    let (text, lossy, _) = selected(r#"{"id":9007199254740993,"a":1}"#, &["/id"], &[]);
    assert_eq!((text.as_str(), lossy), (r#"{"a":1}"#, false));
    let paths = Paths::new(vec![Pointer::parse("/x").unwrap()], vec![]).unwrap();
    for bad in [r#"{"x":{"a":1,"a":2}}"#, r#"{"x":1e400}"#, r#"{"x":1,"x":2}"#] {
        let mut out = Vec::new();
        let done = Canonicalizer::default().write_selected(
            bad.as_bytes(),
            &paths,
            &mut out,
            &mut |_, _| (),
        );
        assert!(done.is_err() && out.is_empty(), "{bad}");
    }
}

#[test]
fn fields_are_handed_out_in_canonical_form() {
    let text = r#"{"user":{"name":"n","id":1.0},"q":[{"b":1,"a":2}],"x":3}"#;
    let (left, _, fields) =
        selected(text, &["/x"], &["/user/id", "/q", "/user", "/none", "/q/0/a"]);
    assert_eq!(left, r#"{"q":[{"a":2,"b":1}],"user":{"id":1,"name":"n"}}"#);
    let expected = [(0, "1"), (2, r#"{"id":1,"name":"n"}"#), (4, "2"), (1, r#"[{"a":2,"b":1}]"#)];
    assert_eq!(fields, expected.map(|(n, text)| (n, text.to_owned())));
}

#[test]
fn many_keys_deep_nesting_and_long_numbers_stay_cheap() {
    // Unsorted at each of 128 levels around one large string: the most that sorting can copy.
    let mut text = format!("\"{}\"", "x".repeat(1_000_000));
    for _ in 0..128 {
        text = format!(r#"{{"b":{text},"a":0}}"#);
    }
    assert!(text_of(&text).starts_with(r#"{"a":0,"b":{"a":0,"#));
    // An odd factor permutes the residues: 90,000 different keys in no order.
    let key = |n: u32| n.wrapping_mul(2_654_435_761) & 0xf_ffff;
    let members: Vec<String> = (0..90_000).map(|n| format!(r#""{:05x}":0"#, key(n))).collect();
    let mut sorted = members.clone();
    sorted.sort();
    assert_eq!(text_of(format!("{{{}}}", members.join(","))), format!("{{{}}}", sorted.join(",")));
    assert_eq!(reason_of("9".repeat(1_000_000)), Reason::NumberRange);
    assert!(canonical(format!("0.{}", "3".repeat(1_000_000))).unwrap().1, "lossy");
}

/// Documents, with the numbers and strings that go wrong more often than by chance.
fn document() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1000..1000i32).prop_map(Value::from),
        any::<f64>().prop_filter_map("JSON has finite numbers", |f| {
            serde_json::Number::from_f64(f).map(Value::Number)
        }),
    ];
    let string = prop_oneof![
        "[a-e]{0,3}".boxed(),
        any::<String>().boxed(),
        "[\"\\\\/\u{0}-\u{1f}\u{7f}\u{e000}\u{ffff}\u{10000}]{0,4}".boxed(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        string.clone().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            proptest::collection::vec((string.clone(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes a document with the freedoms that JSON leaves: white space, escapes, the order of members.
fn spell(value: &Value, dice: &mut impl Iterator<Item = u8>, out: &mut String) {
    let space = |dice: &mut dyn Iterator<Item = u8>, out: &mut String| {
        out.push_str(["", "", "", " ", "\n\t", "\r\n"][usize::from(dice.next().unwrap_or(0) % 6)]);
    };
    space(dice, out);
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                spell(item, dice, out);
            }
            space(dice, out);
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_cached_key(|_| dice.next());
            out.push('{');
            for (i, (key, item)) in members.into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                space(dice, out);
                spell_string(key, dice, out);
                space(dice, out);
                out.push(':');
                spell(item, dice, out);
            }
            space(dice, out);
            out.push('}');
        }
        Value::String(text) => spell_string(text, dice, out),
        other => out.push_str(&other.to_string()),
    }
    space(dice, out);
}

fn spell_string(text: &str, dice: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '\0'..='\u{1f}' => {}
            _ if dice.next().is_none_or(|d| d % 4 > 0) => {
                out.push(c);
                continue;
            }
            _ => {}
        }
        let mut units = [0; 2];
        for unit in c.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out.push('"');
}

proptest! {
    #[test]
    fn the_form_is_that_of_another_implementation(
        value in document(),
        dice in proptest::collection::vec(any::<u8>(), 0..256),
    ) {
        let mut text = String::new();
        spell(&value, &mut dice.into_iter(), &mut text);
        let expected = serde_json_canonicalizer::to_string(&value).unwrap();
        let (made, _) = canonical(&text).unwrap();
        prop_assert_eq!(&made, &expected, "{}", text);
        prop_assert_eq!(canonical(&made), Ok((made.clone(), false)), "idempotent, then lossless");
    }

    #[test]
    fn what_is_accepted_is_accepted_by_serde_json_and_means_the_same(
        value in document(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"{}[],:\"\\0-e.u".to_vec())],
        mode in 0..3u8,
    ) {
        let mut text = value.to_string().into_bytes();
        let i = at.index(text.len());
        match mode {
            0 => text[i] = byte,
            1 => text.insert(i, byte),
            _ => drop(text.remove(i)),
        }
        if let Ok((made, _)) = canonical(&text) {
            let meant: Value = serde_json::from_slice(&text).unwrap();
            prop_assert_eq!(made, serde_json_canonicalizer::to_string(&meant).unwrap());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(text: Vec<u8>) {
        drop(canonical(text));
    }

    #[test]
    fn excluding_is_removing(
        value in document(),
        dice in proptest::collection::vec(any::<u8>(), 0..64),
        path in proptest::collection::vec(prop_oneof!["[a-e]{0,2}", "[0-3]", Just("*".into())], 1..4),
    ) {
        let pointer = format!("/{}", path.join("/"));
        let mut text = String::new();
        spell(&value, &mut dice.into_iter(), &mut text);
        let mut left = value;
        remove(&mut left, &path);
        let expected = serde_json_canonicalizer::to_string(&left).unwrap();
        prop_assert_eq!(selected(&text, &[&pointer], &[]).0, expected, "{} of {}", pointer, text);
    }
}

/// Removes on the tree what an excluded pointer selects.
fn remove(value: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else { return };
    match value {
        Value::Object(members) if rest.is_empty() => drop(members.remove(step)),
        Value::Object(members) => {
            if let Some(member) = members.get_mut(step) {
                remove(member, rest);
            }
        }
        Value::Array(items) => {
            let mut n = 0;
            items.retain_mut(|item| {
                let meant = step == "*" || *step == n.to_string();
                n += 1;
                if meant && !rest.is_empty() {
                    remove(item, rest);
                }
                !(meant && rest.is_empty())
            });
        }
        _ => {}
    }
}
