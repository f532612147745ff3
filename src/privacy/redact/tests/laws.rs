//! Laws of the engine: work grows with the text and no faster, a panic costs one text, escapes hide nothing, JSON
//! keeps its shape.

use serde_json::Value;

use super::super::redactor::How;
use super::super::rules::WORK;
use super::*;

/// Beginnings that are repeated, and cost careless rules the most.
fn hostile() -> Vec<String> {
    let units = [
        "a",
        "a@a@",
        "%40",
        "%40a",
        "0-0-",
        "4-",
        "4111 ",
        "4111-1111-",
        "eyJ",
        "eyJaaaaaaaaa.",
        "token=",
        "token=x,",
        "token: ",
        "key=",
        "_key",
        "a_key=",
        "--token ",
        "-token \"",
        "bearer ",
        "bearer a",
        "://",
        "://a:a",
        "://a:b/",
        "://a@",
        "%3A%2F%2Fa:b/",
        ":\\/\\/a:",
        "?token=",
        "&token=<",
        "#code=",
        "DE00 ",
        "DE89",
        "AKIA",
        "sk-",
        "SG.",
        "1:AA",
        "cookie:",
        "authorization: ",
        "authorization: digest ",
        "password=\"<",
        "password='<\"",
        "password=\\\"<",
        "password=%22<",
        "AccountKey=",
        "hooks.slack.com/services/",
        "\\u0041",
        "\\u0041KIA",
        "[\"a\",",
        "{\"password\":",
        "mcp-session-id=",
        "\u{e9}@",
        "xn--.",
    ];
    let pem = ["-----BEGIN ", "-----END ", "-----BEGIN PRIVATE", " KEY", "-----END PRIVATE"];
    let key = [pem[2], pem[3]].concat();
    let end = [pem[4], pem[3], "-----"].concat();
    let owned = [pem[0].to_owned(), pem[1].to_owned(), key, end];
    units.iter().map(|unit| (*unit).to_owned()).chain(owned).collect()
}

#[test]
fn work_grows_no_faster_than_the_text() {
    /// Bytes looked at for each of a text, beside the first pass: names and places around hooks, in all rounds.
    const MOST: usize = 100;
    let redactor = usual();
    let mut scan = redactor.scan();
    let mut work = |text: &str| {
        WORK.set(0);
        let found = scan.text(text, Under::Open);
        assert_ne!(found, Found::Unscanned(Why::Panic));
        WORK.get()
    };
    let mut slow = Vec::new();
    for unit in hostile() {
        for (before, behind) in [("", ""), ("token=\"", ""), ("-----BEGIN X", ""), ("", "@x")] {
            let text = |n: usize| format!("{before}{}{behind}", unit.repeat(n / unit.len()));
            let (short, long) = (work(&text(4 << 10)), work(&text(32 << 10)));
            if long > short.max(1 << 12) * 10 || long > MOST * (32 << 10) {
                slow.push(format!("{before}{unit}: {short} then {long}"));
            }
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[test]
fn a_panic_in_a_rule_costs_one_text() {
    let mut redactor = with(|s| s.blocked_values = strings(&["boom"]));
    for finder in &mut redactor.finders {
        if let How::Own(pattern) = &finder.how {
            let pattern = pattern.clone();
            finder.how =
                How::Guarded { pattern, grouped: false, guard: |_| panic!("a rule fails") };
        }
    }
    let mut scan = redactor.scan();
    let token = token();
    assert_eq!(scan.text(&format!("boom {token}"), Under::Open), Found::Unscanned(Why::Panic));
    assert_eq!(scan.output(), UNSCANNED);
    assert_eq!(scan.text(&token, Under::Open), Found::Masked);
    assert_eq!(scan.output(), "[REDACTED:github]");
}

#[test]
fn secrets_that_are_no_text_are_masked_to_whole_characters() {
    let redactor = usual();
    let mut scan = redactor.scan();
    let text = "say \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9} twice";
    // From the middle of one character to the middle of another.
    scan.know([&Arc::new(KnownValues::new([&text.as_bytes()[5..15]]))]);
    assert_eq!(scan.text(text, Under::Open), Found::Masked);
    assert_eq!(scan.output(), "say [REDACTED:known_value] twice");
}

#[test]
fn what_follows_an_option_in_a_list_is_masked() {
    for (text, expected) in [
        (r#"["--password","x y","-v"]"#, r#"["--password","[REDACTED:key_name]","-v"]"#),
        (r#"{"args":["--api-key", 123456]}"#, r#"{"args":["--api-key", "[REDACTED:key_name]"]}"#),
        (r#"["--password=x","y"]"#, r#"["--password=x","y"]"#),
        (r#"["password","y"]"#, r#"["password","y"]"#),
    ] {
        assert_eq!(redacted(usual(), text), expected);
        assert_eq!(redacted(usual(), expected), expected);
    }
}

/// Writes some characters of a string as escapes.
fn escape(text: &str, at: &[prop::sample::Index]) -> String {
    let mut chars: Vec<String> = text.chars().map(String::from).collect();
    for index in at {
        let at = index.index(chars.len());
        let c = text.chars().nth(at).unwrap();
        chars[at] = format!("\\u{:04x}", u32::from(c));
    }
    chars.concat()
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é]{0,24}".prop_map(Value::from),
        "(token|password|api_key)[=:] ?[a-z0-9]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        let name = "[a-z_]{1,8}|password|apiKey|token|input_tokens|key";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(name, inner.clone(), 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            // JSON as a string of JSON.
            inner.prop_map(|inner| Value::from(inner.to_string())),
        ]
    })
}

/// Says whether two documents differ in nothing but strings, and numbers that became strings.
fn same_shape(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same_shape(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len()
                && one
                    .iter()
                    .all(|(name, one)| two.get(name).is_some_and(|two| same_shape(one, two)))
        }
        (Value::String(_) | Value::Number(_), Value::String(_)) => true,
        (one, two) => one == two,
    }
}

proptest! {
    #[test]
    fn escapes_hide_nothing(
        at in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        before in "[ a-z(]{0,9}[ (]",
        nested in any::<bool>(),
    ) {
        let escaped = escape(&token(), &at);
        let mut text = format!(r#"{{"a":["{before}{escaped}"]}}"#);
        if nested {
            text = serde_json::json!([text]).to_string();
        }
        let masked = redacted(usual(), &text);
        prop_assert!(masked.contains("[REDACTED:github]"), "{}", masked);
        // The beginning of a document, and one among words.
        for text in [&text[..text.len() - 1], &format!("got {text}")] {
            let masked = redacted(usual(), text);
            prop_assert!(masked.contains("[REDACTED:github]"), "{}", masked);
        }
    }

    #[test]
    fn documents_keep_their_shape(document in json()) {
        // A number alone is no document, and becomes a mask.
        let document = Value::from(vec![document]);
        let text = document.to_string();
        let once = redacted(usual(), &text);
        if once != UNSCANNED {
            let masked = serde_json::from_str::<Value>(&once);
            prop_assert!(masked.is_ok_and(|masked| same_shape(&document, &masked)), "{}", once);
        }
        prop_assert_eq!(redacted(usual(), &once), once);
    }

    #[test]
    fn every_secret_of_the_corpus_is_found_among_any_words(
        seed in any::<u64>(), before in "[ -~é]{0,30}[ \n(]", after in "[ )\n][ -~é]{0,30}",
    ) {
        for (rule, secret) in corpus::tokens(seed) {
            let text = format!("{before}{secret}{after}");
            let masked = redacted(usual(), &text);
            prop_assert!(!masked.contains(&*secret), "{}: {}", rule, text);
            prop_assert_eq!(redacted(usual(), &masked), &*masked, "{}", text);
        }
    }

    #[test]
    fn anything_at_all_is_looked_at(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let redactor = usual();
        let mut scan = redactor.scan();
        prop_assert_ne!(scan.text(&text, Under::Open), Found::Unscanned(Why::Panic));
        prop_assert_ne!(scan.bytes(&bytes, Under::Open), Found::Unscanned(Why::Panic));
        prop_assert_ne!(scan.name(&text), Found::Unscanned(Why::Panic));
    }
}
