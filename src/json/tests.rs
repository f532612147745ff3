//! The reader against serde_json on valid, mutated and arbitrary bytes, and its own promises: spans,
//! depth, strings.

mod messages;

use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// Reads everything, as a caller that must be strict does.
fn strict(text: &[u8]) -> Result<Value> {
    let all = |mut reader: Reader<'_>| {
        let value = read(&mut reader)?;
        reader.end()?;
        Ok(value)
    };
    let value = all(Reader::new(text, MAX_DEPTH));
    // It makes no difference whether it is known before to be UTF-8.
    assert_eq!(value, all(Reader::of_strings(text, MAX_DEPTH)));
    value
}

fn read(r: &mut Reader<'_>) -> Result<Value> {
    Ok(match r.peek()?.0 {
        Kind::Null => r.null().map(|()| Value::Null)?,
        Kind::Bool => r.bool()?.into(),
        Kind::Number => number(r.number()?),
        Kind::String => {
            let decoded = r.clone().text()?.decode();
            let string = r.string();
            assert_eq!(string, decoded);
            string?.into()
        }
        Kind::Array => {
            let mut items = Vec::new();
            r.array()?;
            while r.item()? {
                items.push(read(r)?);
            }
            items.into()
        }
        Kind::Object => {
            let mut members = serde_json::Map::new();
            r.object()?;
            loop {
                let mut ahead = r.clone();
                let plain = ahead.plain_key();
                let Some(key) = r.key()? else {
                    assert_eq!(plain, None);
                    break;
                };
                if let Some(plain) = plain {
                    assert_eq!((plain, ahead.offset()), (key.raw(), r.offset()));
                    *r = ahead;
                }
                members.insert(key.decode()?.into_owned(), read(r)?);
            }
            members.into()
        }
    })
}

/// A number for comparison: the double it is, infinities included.
fn number(text: &str) -> Value {
    let value: f64 = text.parse().unwrap();
    Value::from(if value.is_finite() { format!("{value:e}") } else { "infinite".into() })
}

/// serde_json's view in the same terms.
fn flattened(value: Value) -> Value {
    match value {
        Value::Number(n) => number(&n.to_string()),
        Value::Array(items) => items.into_iter().map(flattened).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, flattened(value))).collect()
        }
        other => other,
    }
}

/// The two readers agree on `text`. serde_json alone refuses numbers beyond a double and nesting
/// beyond 127.
fn agree(text: &[u8]) -> std::result::Result<(), TestCaseError> {
    let ours = strict(text);
    let shown = String::from_utf8_lossy(text);
    // Halves of surrogate pairs are no texts, and yet JSON.
    if !matches!(&ours, Err(error) if error.kind == ErrorKind::Surrogate) {
        prop_assert_eq!(check(text, MAX_DEPTH).is_ok(), ours.is_ok(), "{}", shown);
    }
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => prop_assert_eq!(ours, Ok(flattened(value)), "{}", shown),
        Err(e) if e.to_string().contains("number out of range") => {}
        Err(e) => prop_assert!(ours.is_err(), "{shown}: accepted, but {e}"),
    }
    Ok(())
}

/// Says where the container that `text` begins with ends.
fn container(text: &[u8]) -> Result<usize> {
    let (mut open, mut inside, mut escaped) = (Vec::new(), false, false);
    for (at, b) in text.iter().enumerate() {
        let behind_backslash = std::mem::take(&mut escaped);
        let error = |kind| Err(Error { kind, at });
        match b {
            b'\\' if inside => escaped = !behind_backslash,
            b'\\' => return error(ErrorKind::Unexpected),
            b'"' => inside ^= !behind_backslash,
            _ if inside => {}
            b'{' | b'[' if open.len() == MAX_DEPTH => return error(ErrorKind::Depth),
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' if open.pop() != Some(*b) => return error(ErrorKind::Unexpected),
            b'}' | b']' if open.is_empty() => return Ok(at + 1),
            _ => {}
        }
    }
    Err(Error { kind: ErrorKind::Eof, at: text.len() })
}

/// Gives what may stand in a container: brackets that match, more of them than may be nested, strings, and a little of
/// what may not.
fn inner() -> impl Strategy<Value = Vec<u8>> {
    let any = prop::sample::select(br#"{}[]""\a ,"#.to_vec());
    let piece = prop_oneof![
        8 => Just(r#"{"key":["v\"}"],"a":"\\"},"#.to_owned()),
        8 => "[a \\\\]{0,70}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        1 => (1..140_usize).prop_map(|deep| "[".repeat(deep) + &"]".repeat(deep)),
        1 => any.prop_map(|byte| char::from(byte).to_string()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::String),
        "[\"\\\\/\u{0}-\u{1f}\u{10000}]{0,4}".prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes a document with one byte changed, inserted or removed.
fn mutated(value: &Value, at: prop::sample::Index, byte: u8, mode: u8) -> Vec<u8> {
    let mut text = value.to_string().into_bytes();
    let i = at.index(text.len());
    match mode {
        0 => text[i] = byte,
        1 => text.insert(i, byte),
        _ => drop(text.remove(i)),
    }
    text
}

proptest! {
    #[test]
    fn valid_texts_are_read_as_serde_json_reads_them(value in document(), pretty: bool) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        prop_assert_eq!(strict(text.as_bytes()), Ok(flattened(value)));
    }

    #[test]
    fn mutated_texts_are_judged_as_serde_json_judges_them(
        value in document(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![
            any::<u8>(),
            prop::sample::select(b"{}[],:\"\\0123-+eE.udDtfn \n\x00\x1f\x7f\xc3\xed".to_vec()),
        ],
        mode in 0..3u8,
    ) {
        let text = mutated(&value, at, byte, mode);
        agree(&text)?;
    }

    #[test]
    fn texts_of_json_characters_are_judged_as_serde_json_judges_them(
        text in proptest::collection::vec(
            prop::sample::select(b"{}[],:\"\\01-+eE. u8dc0tnrlsfa".to_vec()), 0..12),
    ) {
        agree(&text)?;
    }

    #[test]
    fn strings_are_judged_as_serde_json_judges_them(
        parts in proptest::collection::vec(prop_oneof![
            Just("\\ud83d".to_owned()), Just("\\ude00".to_owned()), Just("\\u00e9".to_owned()),
            Just("\\n".to_owned()), Just("\\x".to_owned()), Just("\\u12".to_owned()),
            Just("\\".to_owned()), "[ -~\u{e9}]{0,3}",
        ], 0..6),
    ) {
        agree(format!("\"{}\"", parts.concat()).as_bytes())?;
    }

    #[test]
    fn arbitrary_bytes_never_make_it_panic(text: Vec<u8>) {
        agree(&text)?;
        let mut reader = Reader::new(&text, 4);
        while reader.skip().is_ok() {}
        let mut reader = Reader::new(&text, 4);
        while let Ok(Some(key)) = reader.key() {
            let (_, _) = (key.is("a"), key.decode());
        }
        prop_assert!(reader.offset() <= text.len());
    }

    /// Skipping is weaker than reading, never stricter, and stops at the same place.
    #[test]
    fn what_is_skipped_is_the_value_that_reading_reads(value in document(), pad in "[ \n\t\r]{0,3}") {
        let text = value.to_string();
        let padded = format!("{pad}{text}{pad},");
        let mut reader = Reader::new(padded.as_bytes(), MAX_DEPTH);
        let span = reader.skip().unwrap();
        prop_assert_eq!(&padded[span.clone()], &text);
        prop_assert_eq!(reader.offset(), span.end);
        prop_assert_eq!(reader.end().unwrap_err().kind, ErrorKind::Trailing);
    }

    /// Finds the end of a container where a look at one byte after the other finds it, whatever the bytes.
    #[test]
    fn a_container_ends_where_its_brackets_say(
        text in prop_oneof![
            inner(),
            prop::collection::vec(prop::sample::select(br#"{}[]""\\a ,"#.to_vec()), 0..300),
        ],
        pad in 0..70_usize,
    ) {
        for text in [
            [b"[".as_slice(), &vec![b' '; pad], &text, b"]"].concat(),
            [b"{\"", &text[..]].concat(),
        ] {
            let skipped = Reader::new(&text, MAX_DEPTH).skip();
            let shown = String::from_utf8_lossy(&text);
            prop_assert_eq!(skipped, container(&text).map(|end| 0..end), "{}", shown);
        }
    }

    /// A whole number that is read in one step is what it says, and ends where it ends.
    #[test]
    fn a_plain_whole_number_is_what_it_says(
        quoted: bool,
        digits in "[0-9]{0,21}|0{0,3}[1-9]{0,9}|-?[0-9]{1,3}[.e]?[0-9]?",
        after in "[,}\\] \"]|",
    ) {
        let quote = if quoted { "\"" } else { "" };
        let text = format!("{quote}{digits}{quote}{after}");
        let mut reader = Reader::new(text.as_bytes(), 0);
        let plain = reader.plain_whole();
        let is_plain = digits.bytes().all(|b| b.is_ascii_digit())
            && (1..20).contains(&digits.len())
            && (digits.len() == 1 || !digits.starts_with('0'))
            && (quoted || after.starts_with([',', '}', ']']));
        prop_assert_eq!(plain, digits.parse().ok().filter(|_: &u64| is_plain), "{}", text);
        let read = if is_plain { text.len() - after.len() } else { 0 };
        prop_assert_eq!(reader.offset(), read);
    }

    #[test]
    fn a_text_for_people_is_bounded_and_whole_where_it_fits(text: String, max in 0..40usize) {
        let quoted = Value::from(text.as_str()).to_string();
        let read = Reader::new(quoted.as_bytes(), 0).text().unwrap();
        let (shown, cut) = read.lossy(max);
        prop_assert!(shown.len() <= max && text.starts_with(&shown));
        prop_assert_eq!(cut, shown.len() < text.len());
        prop_assert_eq!(read.lossy(text.len()), (text, false));
    }

    #[test]
    fn written_strings_are_read_back(
        text in prop_oneof![
            any::<String>(),
            "[ -~\u{e9}\u{7f}]{0,70}[\"\\\\\u{0}-\u{1f}]{0,2}[ -~]{0,40}",
        ],
    ) {
        let mut out = Vec::new();
        write_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.as_str());
        prop_assert_eq!(Reader::new(&out, 0).text().unwrap().decode().unwrap(), text);
    }

    #[test]
    fn a_string_is_passed_on_as_it_would_be_written_anew(
        parts in proptest::collection::vec(prop_oneof![
            any::<String>().prop_map(|text| Value::from(text).to_string().trim_matches('"').to_owned()),
            Just("\\/".to_owned()), Just("\\u0041\\u0000\\u001F".to_owned()), Just("\\b\\f".to_owned()),
            Just("\\ud83d\\ude00".to_owned()), Just("\\ud83d".to_owned()), "[ -~]{30,60}",
        ], 0..4),
    ) {
        let quoted = format!("\"{}\"", parts.concat());
        let Ok(read) = Reader::new(quoted.as_bytes(), 0).text() else { return Ok(()) };
        let (mut passed, mut anew) = (Vec::new(), Vec::new());
        let done = read.write(&mut passed);
        match read.decode() {
            Ok(text) => {
                write_string(&mut anew, &text);
                prop_assert_eq!((done, passed), (Ok(()), anew));
            }
            Err(error) => prop_assert_eq!(done, Err(error)),
        }
    }
}

#[test]
fn depth_is_limited_for_reading_and_for_skipping() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let nested = |n: usize| open.repeat(n) + "0" + &close.repeat(n);
        for limit in [1, 5, MAX_DEPTH] {
            let (fits, too_deep) = (nested(limit), nested(limit + 1));
            let error = |text: &str, read: fn(&mut Reader<'_>) -> Option<Error>| {
                read(&mut Reader::new(text.as_bytes(), limit)).map(|e| e.kind)
            };
            assert_eq!(error(&fits, |r| r.skip().err()), None);
            assert_eq!(error(&fits, |r| read(r).err()), None);
            assert_eq!(error(&too_deep, |r| r.skip().err()), Some(ErrorKind::Depth));
            assert_eq!(error(&too_deep, |r| read(r).err()), Some(ErrorKind::Depth));
        }
        let beyond = nested(MAX_DEPTH + 1);
        let asked = Reader::new(beyond.as_bytes(), usize::MAX).skip();
        assert_eq!(
            asked.unwrap_err().kind,
            ErrorKind::Depth,
            "no caller gets more than {MAX_DEPTH}"
        );
    }
}

#[test]
fn a_skip_counts_from_the_depth_it_starts_at() {
    let mut reader = Reader::new(b"[[[0]]]", 2);
    reader.array().unwrap();
    assert_eq!(reader.skip().unwrap_err(), Error { kind: ErrorKind::Depth, at: 2 });
}

#[test]
fn a_skip_sees_through_brackets_in_strings() {
    let text = br#"{"}":"]\"}","a":[{"b":"\\"}]} "#;
    assert_eq!(Reader::new(text, 8).skip(), Ok(0..text.len() - 1));
    for bad in ["[}", "{]", "[[]", r#"["]"#, r#"["\"]"#, "{\"a", ""] {
        assert!(Reader::new(bad.as_bytes(), 8).skip().is_err(), "{bad}");
    }
}

#[test]
fn errors_tell_the_place() {
    let error = |text: &str| strict(text.as_bytes()).unwrap_err();
    for (text, kind, at) in [
        ("", ErrorKind::Eof, 0),
        ("[1,2", ErrorKind::Eof, 4),
        ("[1 2]", ErrorKind::Unexpected, 3),
        ("[1,]", ErrorKind::Unexpected, 3),
        ("{1:2}", ErrorKind::Unexpected, 1),
        ("{\"a\"}", ErrorKind::Unexpected, 4),
        ("[1.x]", ErrorKind::Unexpected, 3),
        ("[tru]", ErrorKind::Unexpected, 1),
        ("tru", ErrorKind::Eof, 0),
        ("\"ab\ncd\"", ErrorKind::BadString, 3),
        ("\"ab\\q\"", ErrorKind::BadString, 3),
        ("[\"a\\ud800\"]", ErrorKind::Surrogate, 3),
        ("{} x", ErrorKind::Trailing, 3),
    ] {
        assert_eq!(error(text), Error { kind, at }, "{text}");
    }
    assert_eq!(strict(b"\"a\xff\""), Err(Error { kind: ErrorKind::Utf8, at: 2 }));
}

#[test]
fn asking_for_another_kind_is_told_apart_from_garbage() {
    let kinds = |text: &[u8]| {
        let r = || Reader::new(text, 1);
        [
            r().object().err(),
            r().array().err(),
            r().text().err(),
            r().number().err(),
            r().bool().err(),
            r().null().err(),
        ]
        .map(|e| e.map(|e| e.kind))
    };
    let all = [b"{".as_slice(), b"[", b"\"\"", b"1", b"true", b"null"];
    for (i, text) in all.into_iter().enumerate() {
        let mut expected = [Some(ErrorKind::WrongKind); 6];
        expected[i] = None;
        assert_eq!(kinds(text), expected);
    }
    assert_eq!(kinds(b"?"), [Some(ErrorKind::Unexpected); 6]);
    assert_eq!(kinds(b" "), [Some(ErrorKind::Eof); 6]);
}

#[test]
fn names_are_recognised_however_they_are_escaped() {
    let text = |raw: &'static str| Reader::new(raw.as_bytes(), 0).text().unwrap();
    assert!(text(r#""id""#).is("id"));
    assert!(text(r#""\u0069\u0064""#).is("id"));
    assert!(text(r#""\ud83d\ude00""#).is("\u{1f600}"));
    assert!(!text(r#""i\u0064x""#).is("id"));
    assert!(!text(r#""\ud83d""#).is("\u{fffd}"), "a malformed string equals nothing");
}

#[test]
fn only_what_must_be_is_escaped() {
    for at in [0, 1, 31, 32, 33, 64] {
        let mut out = Vec::new();
        let text = "x".repeat(at) + "\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f} \"\\/\u{7f}\u{e9}";
        write_string(&mut out, &text);
        let escaped = concat!(r#"\u0000\b\t\n\u000b\f\r\u001f \"\\/"#, "\u{7f}\u{e9}\"");
        let expected = format!("\"{}{escaped}", "x".repeat(at));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn what_is_malformed_is_shown_as_such() {
    let shown = |raw: &[u8]| {
        let quoted = [b"\"", raw, b"\""].concat();
        Reader::new(&quoted, 0).text().unwrap().lossy(100).0
    };
    assert_eq!(shown(b"a\xffb"), "a\u{fffd}b");
    assert_eq!(shown(br"a\ud800b"), "a\u{fffd}b");
    assert_eq!(shown(br"\ude00\ud83d\ude00"), "\u{fffd}\u{1f600}");
    assert_eq!(shown(br"a\qb"), "a\u{fffd}b");
}

#[test]
fn what_stands_next_to_the_letter_can_be_passed_over() {
    let mut reader = Reader::new(br#"[{"a":1},2]"#, 2);
    reader.array().unwrap();
    assert!(reader.item().unwrap() && reader.has_room(1) && !reader.has_room(2));
    assert!(!reader.exactly(b"{\"b\":"));
    assert!(reader.exactly(b"{\"a\":"));
    assert_eq!(reader.number().unwrap(), "1");
    assert!(reader.exactly(b"}") && reader.item().unwrap());
    assert_eq!(reader.number().unwrap(), "2");
    assert!(!reader.item().unwrap() && !reader.exactly(b"]") && reader.exactly(b""));
    reader.end().unwrap();
}

#[test]
fn a_text_is_checked_to_its_end_and_to_its_depth() {
    let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
    for text in ["1", r#" {"a":[{"b":[]},"\ud83d"],"c":{}} "#, &nested(128), "[[],{},[{}]]"] {
        assert_eq!(check(text.as_bytes(), MAX_DEPTH), Ok(()), "{text}");
    }
    for text in ["", "[]]", "[{]}", r#"{"a"}"#, "{1:2}", "NaN", "\u{feff}1", &nested(129)] {
        assert!(check(text.as_bytes(), MAX_DEPTH).is_err(), "{text}");
    }
    assert_eq!(check(b"[[1]]", 1).map_err(|error| error.kind), Err(ErrorKind::Depth));
}
