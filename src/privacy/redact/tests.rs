//! Tests of the whole engine: what it finds, what it leaves alone, and its laws.

mod attacks;
mod corpus;
mod laws;

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;

/// Redacts a text that stands under a name.
fn redacted_under(redactor: &Redactor, name: &str, text: &str) -> String {
    let mut scan = redactor.scan();
    match scan.text(text, redactor.judge_name(name)) {
        Found::Nothing => text.to_owned(),
        Found::Masked | Found::Unscanned(_) => scan.output().to_owned(),
    }
}

/// Gives what stands in the place of a name in the usual redactor.
fn name_of(name: &str) -> String {
    usual().stand_in_for_name(name)
}

fn redacted(redactor: &Redactor, text: &str) -> String {
    redacted_under(redactor, "note", text)
}

/// Compiling takes long without optimization, so it is done once.
fn usual() -> &'static Redactor {
    static USUAL: LazyLock<Redactor> =
        LazyLock::new(|| Redactor::new(&Settings::default()).unwrap());
    &USUAL
}

fn with(change: impl FnOnce(&mut Settings)) -> Redactor {
    let mut settings = Settings::default();
    change(&mut settings);
    Redactor::new(&settings).unwrap()
}

/// A token of GitHub's form that nobody has.
fn token() -> String {
    ["gh", "p_", "A1b2C3d4E5f6", "G7h8I9j0K1l2", "M3n4O5p6Q7r8"].concat()
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn json_keeps_its_shape_and_all_that_is_clean_its_bytes() {
    let redactor = usual();
    let token = token();
    for (text, expected) in [
        (
            format!(r#"{{"a" : 1.50, "b":["x","{token}"],  "c":null}}"#),
            r#"{"a" : 1.50, "b":["x","[REDACTED:github]"],  "c":null}"#.to_owned(),
        ),
        (
            r#"{"password":{"a":"x","n":5,"t":true,"z":null,"l":["y"]},"q":"y"}"#.to_owned(),
            r#"{"password":{"a":"[REDACTED:key_name]","n":"[REDACTED:key_name]","t":true,"z":null,"l":["[REDACTED:key_name]"]},"q":"y"}"#.to_owned(),
        ),
        (format!(r#"{{"{token}":1,"k":2}}"#), format!(r#"{{"{}":1,"k":2}}"#, name_of(&token))),
        (
            format!(r#"{{"in":"{{\"token\":\"abc\",\"t\":\"{token}\"}}"}}"#),
            r#"{"in":"{\"token\":\"[REDACTED:key_name]\",\"t\":\"[REDACTED:github]\"}"}"#.to_owned(),
        ),
        // Split by an escape.
        (
            format!(r#"["\u0067{}"]"#, &token[1..]),
            r#"["[REDACTED:github]"]"#.to_owned(),
        ),
        (r#"{"n":4111111111111111,"m":12}"#.to_owned(), r#"{"n":"[REDACTED:card]","m":12}"#.to_owned()),
    ] {
        assert_eq!(redacted(redactor, &text), expected, "{text}");
        assert_eq!(redacted(redactor, &expected), expected);
    }
}

#[test]
fn json_that_is_long_or_not_alone_has_its_secrets_found_too() {
    let redactor = usual();
    let secret = ["hunter2", "zz"].concat();
    let long = format!(r#"{{"password":{{"a":"{secret}"}},"p":"{}"}}"#, "x".repeat(300_000));
    let found = redacted(redactor, &long);
    assert!(!found.contains(&secret) && found.len() > 300_000);
    for text in [
        format!(r#"log: {{"password":{{"a":"{secret}"}}}} and more"#),
        format!(r#"log: {{"password":["x]y","{secret}"],"b":1}}"#),
        format!(r#"{{"password":{{"a":"{secret}"}}}}x"#),
        format!(r#"{{"password":{{"a":"{secret}"}}"#),
        format!(r#"{{"password":{{"a":"b","c":{{"d":"{secret}"#),
        format!("password=[\"{secret}\"]"),
        format!("password:[{secret}] x"),
        format!(r#"cut {{\"token\":{{\"a}}\":\"{secret}\"}}"#),
    ] {
        let once = redacted(redactor, &text);
        assert!(!once.contains(&secret), "{text} -> {once}");
        assert_eq!(redacted(redactor, &once), once);
    }
    for text in ["token: []", "password: {}", "--token [TOKEN] is needed", "tokens: [a, b]"] {
        assert_eq!(redacted(redactor, text), text);
    }
}

#[test]
fn what_is_no_json_after_all_is_looked_at_as_text() {
    let (redactor, token) = (usual(), token());
    let text = format!(r#"{{"a":"{token}","b":"{token}"#);
    let mut scan = redactor.scan();
    assert_eq!(scan.text(&text, Under::Open), Found::Masked);
    assert_eq!(scan.output(), r#"{"a":"[REDACTED:github]","b":"[REDACTED:github]"#);
    assert_eq!(scan.hits().iter().map(|(_, times)| times).sum::<u32>(), 2);
}

#[test]
fn overlapping_rules_have_one_answer_in_any_order() {
    let patterns = [r"[0-9]{4} [0-9]{4}", r"^card.*$", r"5678 [0-9]+"];
    let text = "card 0 - 4532 1234 5678 9017";
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let redactor = &with(|s| s.blocked_values = order.map(|i| patterns[i].to_owned()).into());
        for _ in 0..100 {
            assert_eq!(redacted(redactor, text), "[REDACTED:blocked_value]");
        }
    }
}

#[test]
fn only_what_is_allowed_survives_and_nothing_under_a_blocked_name() {
    let redactor = &with(|s| {
        s.blocked_values = strings(&[r"\S+@\S+"]);
        s.allowed_values = strings(&[r"support@example\.com"]);
        s.blocked_key_patterns = strings(&["^internal"]);
    });
    let text = "mail support@example.com or joe@corp.com";
    let masked = redacted(redactor, text);
    assert_eq!(masked, "mail support@example.com or [REDACTED:email]");
    let under = redacted_under(redactor, "internal.note", text);
    assert_eq!(under, "[REDACTED:blocked_key]");
}

#[test]
fn ignored_names_come_first() {
    let redactor = &with(|s| {
        s.ignored_keys = strings(&["password"]);
        s.ignored_key_patterns = strings(&["^safe_"]);
        s.blocked_key_patterns = strings(&[".*"]);
    });
    assert_eq!(redacted_under(redactor, "password", "x"), "x");
    assert_eq!(redacted_under(redactor, "safe_token", &token()), token());
    assert_eq!(redacted_under(redactor, "other", "x"), "[REDACTED:blocked_key]");
}

#[test]
fn own_rules_have_their_names_and_masks() {
    let redactor = &with(|s| {
        s.rules = vec![
            OwnRule { name: "ticket".into(), pattern: "ACME-[0-9]{8}".into(), mask: None },
            OwnRule {
                name: "room".into(),
                pattern: r"\$[0-9]+$".into(),
                mask: Some("<$1 {rule}>".into()),
            },
        ];
    });
    let masked = redacted(redactor, "ACME-12345678 in $42");
    assert_eq!(masked, "[REDACTED:ticket] in <$1 room>");
    assert_eq!(redacted(redactor, &masked), masked);
}

#[test]
fn a_name_with_a_secret_in_it_is_replaced_whole() {
    let redactor = usual();
    let mut scan = redactor.scan();
    assert_eq!(scan.name("gen_ai.tool.name"), Found::Nothing);
    let (mail, other) = ("a@example.com", "b@example.com");
    assert_eq!(scan.name(mail), Found::Masked);
    let once = scan.output().to_owned();
    assert!(once.starts_with("[REDACTED]#") && once == name_of(mail), "{once}");
    assert_eq!((scan.name(mail), scan.output()), (Found::Masked, &*once));
    assert_eq!(scan.name(other), Found::Masked);
    assert_ne!(scan.output(), once, "two names stay two");
    assert_eq!(scan.name(&once), Found::Nothing);
}

#[test]
fn known_values_are_found_in_all_forms_and_patterns_do_not_allow_them() {
    let secret = ["correct-", "horse/", "battery"].concat();
    let known = Arc::new(KnownValues::new([&secret]));
    let redactor = &with(|s| s.allowed_values = strings(&[".+"]));
    let mut scan = redactor.scan();
    scan.know([&known]);
    for text in
        [format!("x{secret}y"), secret.replace('/', "%2F"), format!(r#"{{"a":["{secret}"]}}"#)]
    {
        assert_eq!(scan.text(&text, Under::Open), Found::Masked, "{text}");
        assert!(scan.output().contains("[REDACTED:known_value]"));
    }
    scan.know([]);
    assert_eq!(scan.text(&secret, Under::Open), Found::Nothing);
}

#[test]
fn known_values_are_found_with_all_but_ascii_escaped() {
    let secret = ["Grüße & ", "\"Köln\" 😀"].concat();
    let mut scan = usual().scan();
    scan.know([&Arc::new(KnownValues::new([&secret]))]);
    for form in [
        r#"Gr\u00fc\u00dfe & \"K\u00f6ln\" \ud83d\ude00"#,
        r#"Gr\u00FC\u00DFe \u0026 \u0022K\u00F6ln\u0022 \uD83D\uDE00"#,
        r#"Gr\\u00fc\\u00dfe & \\\"K\\u00f6ln\\\" \\ud83d\\ude00"#,
    ] {
        assert_eq!(scan.text(&format!("no: [{form}]"), Under::Open), Found::Masked, "{form}");
        assert_eq!(scan.output(), "no: [[REDACTED:known_value]]");
    }
}

#[test]
fn what_cannot_be_looked_at_is_withheld() {
    let redactor = &with(|s| {
        s.max_value_bytes = 10_000;
        s.blocked_values = strings(&["q"]);
    });
    let mut scan = redactor.scan();
    let mut withheld = |text: &str, why| {
        assert_eq!(scan.text(text, Under::Open), Found::Unscanned(why));
        assert_eq!(scan.output(), UNSCANNED);
        assert_eq!(redacted(redactor, UNSCANNED), UNSCANNED);
    };
    withheld(&"x".repeat(10_001), Why::Size);
    withheld(&format!("{}{}", "[".repeat(200), "]".repeat(200)), Why::Depth);
    withheld(&"q ".repeat(1001), Why::Matches);
    let mut nested = "\"x\"".to_owned();
    for _ in 0..10 {
        nested = format!("[{}]", serde_json::to_string(&nested).unwrap());
    }
    withheld(&nested, Why::Depth);
    assert_eq!(scan.bytes(&[0xff], Under::Open), Found::Unscanned(Why::Unreadable));
    assert_eq!(scan.bytes(b"clean", Under::Open), Found::Nothing);
}

#[test]
fn bad_settings_are_told_all_at_once_with_their_places() {
    let bad = Settings {
        presets: Vec::new(),
        rules: vec![
            OwnRule { name: "a b".into(), pattern: "x".into(), mask: None },
            OwnRule { name: "jwt2".into(), pattern: "(".into(), mask: None },
            OwnRule { name: "known_value".into(), pattern: "x".into(), mask: None },
        ],
        blocked_values: strings(&["ok", "(?<=a)b", r"(a)\1", ""]),
        allowed_values: vec!["x".repeat(5000), "(?:[a-z]{1000}){1000}".into()],
        ..Settings::default()
    };
    let invalid = Redactor::new(&bad).unwrap_err();
    let told: Vec<String> = invalid.iter().map(|i| format!("{}: {}", i.field, i.message)).collect();
    let fields: Vec<&str> = invalid.iter().map(|i| &*i.field).collect();
    assert_eq!(
        fields,
        [
            "rules.0.name",
            "rules.1.pattern",
            "rules.2.name",
            "blocked_values.1",
            "blocked_values.2",
            "blocked_values.3",
            "allowed_values.0",
            "allowed_values.1",
        ],
        "{told:#?}"
    );
    assert!(told[3].contains("look-around") && told[3].contains("character 1"), "{}", told[3]);
    let none = Settings { presets: Vec::new(), ..Settings::default() };
    assert_eq!(Redactor::new(&none).unwrap_err()[0].field, "presets");
}

#[test]
fn keyed_hashes_compare_and_are_left_alone_the_second_time() {
    let redactor = &with(|s| s.stand_in = StandIn::Keyed(Box::new(KeyedHash::sha256(&[7; 32]))));
    let text = format!("a {} b", token());
    let once = redacted(redactor, &text);
    assert!(once.starts_with("a hmac:") && once.ends_with(" b"), "{once}");
    assert_eq!(redacted(redactor, &once), once);
    let under = redacted_under(redactor, "password", "hunter2");
    assert_eq!(redacted_under(redactor, "password", &under), under);
}

/// Clean words that secrets are planted among.
fn prose() -> impl Strategy<Value = String> {
    "([a-z]{1,8} ){0,6}"
}

proptest! {
    #[test]
    fn a_planted_secret_is_found_at_any_place(before in prose(), after in prose(), depth in 0usize..6) {
        let (redactor, token) = (usual(), token());
        let text = format!("{before}{token} {after}");
        let expected = format!("{before}[REDACTED:github] {after}");
        prop_assert_eq!(redacted(redactor, &text), &*expected);
        let (mut json, mut clean) = (serde_json::json!(text), serde_json::json!(expected));
        for level in 0..depth {
            if level % 2 == 0 {
                (json, clean) = (serde_json::json!([1, json]), serde_json::json!([1, clean]));
            } else {
                (json, clean) = (serde_json::json!({ "k": json }), serde_json::json!({ "k": clean }));
            }
        }
        if depth > 0 {
            prop_assert_eq!(redacted(redactor, &json.to_string()), clean.to_string());
        }
    }

    /// Anything at all: no panic, a second pass changes nothing, JSON stays JSON.
    #[test]
    fn a_second_pass_changes_nothing(
        text in r#"([ -~]|bearer |token[=:]|password: |eyJ|://|@|%40|[0-9]{4}[ -]?|\\u00|["{}\[\]:,]|sk-|\n|AKIA|[a-zA-Z0-9]{16}){0,40}"#,
    ) {
        static ALL: LazyLock<Redactor> = LazyLock::new(|| with(|s| s.presets = Preset::ALL.into()));
        let redactor = &*ALL;
        let once = redacted(redactor, &text);
        prop_assert_eq!(redacted(redactor, &once), &*once);
        if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&once).is_ok(), "{}", once);
        }
    }
}
