//! Messages: read as one of the official clients reads them, and what none reads is noted.

use serde::de::IgnoredAny;

use super::*;

/// Says whether a client reads `text`, which is walked member by member.
fn readable(text: &[u8]) -> bool {
    fn walk(r: &mut Reader<'_>) -> Result<()> {
        match r.peek()?.0 {
            Kind::Array => {
                r.array()?;
                while r.item()? {
                    walk(r)?;
                }
            }
            Kind::Object => {
                r.object()?;
                while r.key()?.is_some() {
                    walk(r)?;
                }
            }
            _ => {
                r.skip()?;
            }
        }
        Ok(())
    }
    let mut reader = Reader::of_messages(text, MAX_DEPTH);
    walk(&mut reader).and_then(|()| reader.end()).is_ok() && !reader.is_flawed()
}

/// Says whether a reader of messages takes a text that it passes over as a whole.
fn skippable(text: &[u8]) -> bool {
    let mut reader = Reader::of_messages(text, MAX_DEPTH);
    reader.skip().and_then(|_| reader.end()).is_ok() && !reader.is_flawed()
}

/// serde_json looks into no string further than that, if nobody asks what it says.
fn ignorable(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Makes pieces of strings, allowed in JSON or not; none of them ends the string.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = ["\\\\", "\\\"", r"\/", r"\b\f\n\r\t", r"\u00e9", r"\uD83D", r"\ude00\ud83d"];
    let wrong = [
        r"\x", r"\u12", r"\u12G4", r"\u", r"\U0041", r"\'", r"\u 123", "\\\u{e9}", "\0", "\t",
        "\u{1f}", "\n",
    ];
    let piece = prop_oneof![
        16 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => prop::sample::select(wrong.to_vec()).prop_map(str::to_owned),
        16 => "[ !#-\\[\\]-~\u{7f}\u{e9}]{0,20}",
    ];
    let piece = prop_oneof![
        32 => piece.prop_map(String::into_bytes),
        1 => Just(b"\xff".to_vec()),
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_mutated_message_is_readable_if_serde_json_passes_over_it(
        value in document(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![
            any::<u8>(),
            prop::sample::select(b"{}[],:\"\\0123-+eE.uxDtfn \n\x00\x1f\x7f\xc3\xed".to_vec()),
        ],
        mode in 0..3u8,
    ) {
        let text = mutated(&value, at, byte, mode);
        let shown = String::from_utf8_lossy(&text);
        prop_assert_eq!(readable(&text), ignorable(&text), "{}", shown);
        prop_assert!(skippable(&text) || !ignorable(&text), "{}", shown);
    }

    /// Wherever it stands, and wherever blocks end.
    #[test]
    fn a_string_is_flawed_where_serde_json_does_not_pass_over_it(
        string in pieces(), key in pieces(), pad in 0..70_usize, behind in 0..70_usize,
    ) {
        let (pad, behind) = (" ".repeat(pad), "x".repeat(behind));
        let (pad, behind) = (pad.as_bytes(), behind.as_bytes());
        let text = [b"[", pad, b"{\"", &key, b"\":[\"", &string, b"\",\"", behind, b"\"]}]"].concat();
        let shown = String::from_utf8_lossy(&text);
        let fine = ignorable(&text);
        prop_assert_eq!(readable(&text), fine, "{}", shown);
        prop_assert_eq!(skippable(&text), fine, "{}", shown);
        prop_assert_eq!(!is_flawed(&text), fine, "{}", shown);
        // What comes behind a value has nothing to do with it.
        let beside = [&text[..], br#"["\x"] "#].concat();
        let mut reader = Reader::of_messages(&beside, MAX_DEPTH);
        prop_assert_eq!(reader.skip(), Ok(0..text.len()));
        prop_assert_eq!(!reader.is_flawed(), fine);
        // Others look for nothing.
        let mut other = Reader::new(&text, MAX_DEPTH);
        prop_assert!(other.skip().is_ok() && !other.is_flawed());
    }
}

#[test]
fn words_for_what_is_no_number_are_numbers_in_messages_alone() {
    for word in ["NaN", "Infinity", "-Infinity"] {
        let text = format!("[ {word} ,{word}]");
        let mut reader = Reader::of_messages(text.as_bytes(), 1);
        reader.array().unwrap();
        assert!(reader.item().unwrap());
        assert_eq!((reader.peek().unwrap().0, reader.number()), (Kind::Number, Ok(word)));
        assert!(reader.item().unwrap() && reader.skip().is_ok() && !reader.item().unwrap());
        assert!(reader.end().is_ok() && !reader.is_flawed());
        assert!(!ignorable(text.as_bytes()) && strict(text.as_bytes()).is_err());
        assert!(Reader::new(word.as_bytes(), 0).skip().is_err());
    }
    for wrong in ["nan", "Inf", "-NaN", "+Infinity", "NaNs", "Na", "N", "-I", "-Infinit", "I"] {
        assert!(!readable(wrong.as_bytes()), "{wrong}");
    }
}

#[test]
fn a_string_without_its_end_is_looked_at_as_far_as_it_goes() {
    for (text, flawed) in [
        (r#""ab"#, false),
        ("\"a\tb", true),
        (r#""a\x"#, true),
        (r#""a\"#, false),
        (r#""a\u12"#, false),
        (r#"["a\u12"#, false),
        (r#"["a\u1x"#, true),
        ("[\"a\tb", true),
        ("[\n\"a", false),
    ] {
        let mut reader = Reader::of_messages(text.as_bytes(), 1);
        assert_eq!(reader.skip().unwrap_err().kind, ErrorKind::Eof);
        assert_eq!(reader.is_flawed(), flawed, "{text:?}");
    }
}
