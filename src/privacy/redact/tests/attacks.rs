//! Secrets in places where careless rules miss them, and texts that careless rules take for secrets. Each was one
//! that got through, or was masked, once.

use super::*;

/// A password that nobody has.
fn secret() -> String {
    ["Tr0ub", "4dor", "And3"].concat()
}

/// A number of a card that is good, and nobody's: the usual one of tests.
fn card() -> [String; 4] {
    ["4111", "1111", "1111", "1111"].map(str::to_owned)
}

fn account() -> String {
    ["DE89", "3704", "0044", "0532", "0130", "00"].concat()
}

/// Says what of `secret` is left of a text: nothing may be.
fn check(text: &str, secret: &str) -> Option<String> {
    let masked = redacted(usual(), text);
    let again = redacted(usual(), &masked);
    let left = masked.contains(secret) || !masked.contains("[REDACTED:") || again != masked;
    left.then(|| format!("{text}\n   -> {masked}"))
}

fn all_hidden(texts: &[String], secret: &str) {
    let left: Vec<String> = texts.iter().filter_map(|text| check(text, secret)).collect();
    assert!(left.is_empty(), "{} of {}:\n{}", left.len(), texts.len(), left.join("\n"));
}

fn all_stay(texts: &[&str]) {
    let masked = |text: &&&str| redacted(usual(), text) != **text;
    let masked: Vec<String> = texts
        .iter()
        .filter(masked)
        .map(|t| format!("{t}\n   -> {}", redacted(usual(), t)))
        .collect();
    assert!(masked.is_empty(), "{} of {}:\n{}", masked.len(), texts.len(), masked.join("\n"));
}

#[test]
fn a_name_with_a_value_is_seen_behind_other_names_and_values() {
    let s = secret();
    all_hidden(
        &[
            format!("error: token={s}"),
            format!("config:password={s}"),
            format!("a=b=password={s}"),
            format!("level=error,password={s},x=1"),
            format!("Server=db;Password={s};Timeout=3"),
            format!("args: [\"--password\", \"{s}\"]"),
            format!("run --api-key={s} now"),
            format!("run --api-key {s} now"),
            format!("SMTP_PASS={s}"),
            format!("MYSQL_PWD={s}"),
            format!("token_2={s}"),
            format!("password1: {s}"),
            format!("{{'api_key': '{s}'}}"),
            format!("password=>\"{s}\""),
            format!("password := `{s}`"),
            format!("password%3D{s}"),
            format!("\"password\":\"{s}"),
            format!("\\\\\\\"password\\\\\\\":\\\\\\\"{s}\\\\\\\""),
            format!("x-api-key: {s}\r\nhost: h"),
            format!("Cookie: theme=dark; sid={s}"),
            format!("Authorization: Digest username=\"u\", response=\"{s}\""),
            format!("curl -H 'Authorization: Bearer {s}' https://h"),
            format!("npm.example/:_authToken={s}"),
        ],
        &s,
    );
}

#[test]
fn no_tail_of_a_value_is_left() {
    for tail in [
        ")tail",
        "(tail",
        "{tail",
        "}tail",
        ",tail",
        ";tail",
        "&tail",
        "%tail",
        "|tail",
        "\u{e9}tail",
    ] {
        let head = secret();
        let quoted = format!("password=\"{head}{tail}\"");
        assert_eq!(redacted(usual(), &quoted), "password=\"[REDACTED:assignment]\"", "{tail}");
        if !tail.starts_with(['&', '|']) {
            let bare = format!("password={head}{tail} x");
            assert_eq!(redacted(usual(), &bare), "password=[REDACTED:assignment] x", "{tail}");
        }
    }
    let s = secret();
    all_hidden(
        &[
            format!("password='{s}\\'tail'").replace(&s, &format!("{s}0")),
            format!("password={}", s.repeat(1000)),
            format!("password=\"{}\"", s.repeat(1000)),
            format!("https://h/p?token={}", s.repeat(1000)),
            format!("https://u:{}@h", s.repeat(300)),
        ],
        &s,
    );
    let escaped = format!(r#"say password="{s}\"tail\\end" now"#);
    assert_eq!(redacted(usual(), &escaped), r#"say password="[REDACTED:assignment]" now"#);
}

#[test]
fn parameters_and_users_of_urls_go_whole() {
    let s = secret();
    for (text, expected) in [
        (
            format!("https://h/p?a=1&token={s}.x,y;z%2F(k)&b=2#c"),
            "https://h/p?a=1&token=[REDACTED:url_query]&b=2#c",
        ),
        (format!("[x](https://h/p?token={s})"), "[x](https://h/p?token=[REDACTED:url_query])"),
        (format!("https://h/p?a=1&amp;sig={s}"), "https://h/p?a=1&amp;sig=[REDACTED:url_query]"),
        (
            format!("https%3A%2F%2Fh%3Ftoken%3D{s}%26x%3D1"),
            "https%3A%2F%2Fh%3Ftoken%3D[REDACTED:url_query]%26x%3D1",
        ),
        (
            format!("postgres://app:{s}/x@db:5432/y"),
            "postgres://app:[REDACTED:url_userinfo]@db:5432/y",
        ),
        (
            format!("postgres://app:{s}@x@db:5432/y"),
            "postgres://app:[REDACTED:url_userinfo]@db:5432/y",
        ),
        (format!("redis://:{s}@cache"), "redis://:[REDACTED:url_userinfo]@cache"),
        (format!("https:\\/\\/u:{s}@h\\/x"), "https:\\/\\/u:[REDACTED:url_userinfo]@h\\/x"),
        (
            format!("https://joe@corp.com:{s}@h/x"),
            "https://[REDACTED:email]:[REDACTED:url_userinfo]@h/x",
        ),
    ] {
        assert_eq!(redacted(usual(), &text), expected, "{text}");
        assert_eq!(redacted(usual(), expected), expected, "twice");
    }
}

#[test]
fn numbers_are_seen_beside_other_numbers() {
    let [a, b, c, d] = card();
    let card = format!("{a} {b} {c} {d}");
    for (text, expected) in [
        (format!("room 7 {card} 12/29"), "room 7 [REDACTED:card] 12/29"),
        (format!("{card} 12 29"), "[REDACTED:card] 12 29"),
        (format!("{card} 123"), "[REDACTED:card] 123"),
        (format!("2024 {card}"), "2024 [REDACTED:card]"),
        (format!("{card} 1229"), "[REDACTED:card] 1229"),
        (format!("card 0 - {card}"), "card 0 - [REDACTED:card]"),
        (format!("x_{}_y", card.replace(' ', "")), "x_[REDACTED:card]_y"),
        (format!("{} EUR NOW PLEASE", account()), "[REDACTED:iban] EUR NOW PLEASE"),
        (format!("to:{},X", account()), "to:[REDACTED:iban],X"),
    ] {
        assert_eq!(redacted(usual(), &text), expected, "{text}");
        assert_eq!(redacted(usual(), expected), expected, "twice");
    }
}

#[test]
fn addresses_go_whole() {
    for (text, expected) in [
        ("from jörg.x@example.com to", "from [REDACTED:email] to"),
        ("a@b.example.com.", "[REDACTED:email]."),
        ("<a.b+c@example.co.uk>", "<[REDACTED:email]>"),
        ("mailto:joe@example.com?subject=x", "mailto:[REDACTED:email]?subject=x"),
        ("joe%2Bx%40example.com", "[REDACTED:email]"),
    ] {
        assert_eq!(redacted(usual(), text), expected, "{text}");
    }
}

#[test]
fn tokens_are_seen_wherever_they_are_glued_to() {
    let t = token();
    all_hidden(
        &[
            format!("x{t}"),
            format!("_{t}_"),
            format!("{t})"),
            format!("é{t}é"),
            format!("{t}{t}"),
            format!("tool({t},1)"),
            format!("{{\"a\":\"\\u0067{}", &t[1..]),
            format!("said {{\"a\":\"\\u0067{}\"}} twice", &t[1..]),
        ],
        &t[1..],
    );
}

#[test]
fn names_say_what_they_hold_in_all_spellings() {
    for name in [
        "token_2",
        "password1",
        "cookies.0",
        "http.request.header.authorization.0",
        "SMTP_PASS",
        "MYSQL_PWD",
        "api_keys",
        "_authToken",
        "x-auth-token",
        "openai_key",
        "stripeKey",
        "X-Goog-Api-Key",
        "x-functions-key",
        "Ocp-Apim-Subscription-Key",
        "SECRET_KEY_BASE",
        "aws_session_token",
        "XApiKey",
        "client-secret",
        "userPassword",
        "jwt",
    ] {
        assert_ne!(usual().judge_name(name), Under::Open, "{name}");
    }
    for name in [
        "max_tokens",
        "stop_token",
        "price_per_token",
        "token_ids",
        "keys",
        "sort_key",
        "object_key",
        "issueKey",
        "project_key",
        "row_keys",
        "messaging.kafka.message.key",
        "messaging.rabbitmq.destination.routing_key",
        "host_key",
        "PARTITION_KEY_2",
        "function_signature",
        "method.signature",
    ] {
        assert_eq!(usual().judge_name(name), Under::Open, "{name}");
    }
}

#[test]
fn code_and_prose_stay() {
    all_stay(&[
        "token = get_token()",
        "password = getpass.getpass()",
        "api_key=os.environ[\"API_KEY\"]",
        "token: str | None = None",
        "def login(password: string, token: Optional[str])",
        "secret=$SECRET_NAME",
        "curl -H \"Authorization: Bearer $TOKEN\"",
        "password=<password>",
        "https://u:{token}@h/schema and https://h/p?token={secret}",
        "Reason::Token => StatusCode::UNAUTHORIZED,",
        "let secrets = Secrets::default();",
        "if_token: Token![if](span),",
        "signature = vec![0; length]",
        "token => \"a valid bearer token is needed\"",
        "as `Authorization: Bearer`.",
        "the token: please provide one",
        "api_key: missing or invalid",
        "ports 4111 4112 4113 4114 4115 4116",
        "systemctl start user@1000.service",
        "import x from '@scope/pkg@1.2.3'",
        "https://h.example/keys?sort_key=name&page_token=abcdef",
        "https://h.example:8080/@scope/pkg",
        "max_tokens=4096 stop_token=</s>",
        "key: value, other_key: value2",
        "cookie policy: we use cookies",
        "a token bucket, basic auth, bearer bonds",
        "[INFO] tokens=42 cached_tokens: 1234567",
        "signature: foo(bar: int) -> str",
        "basic understanding-of-things",
        "Token usage-by-model-and-day",
    ]);
}

#[test]
fn what_stands_before_a_secret_may_be_an_escape() {
    let (s, t) = (secret(), token());
    let [a, b, c, d] = card();
    let card = [a, b, c, d].concat();
    let open = ["sk", "-", &"Ab1".repeat(12)].concat();
    for (text, secret) in [
        (format!("{{\"x\":\"a\\ntoken={s}"), &s),
        (format!("{{\"x\":\"a\\tapi_key={s}"), &s),
        (format!("{{\"x\":\"a\\n{open}"), &open),
        (format!("{{\"x\":\"a\\n{card}"), &card),
        (format!("{{\"x\":\"a\\nBearer {t}"), &t),
        (format!("a%20{open}"), &open),
        (format!("a%0Atoken={s}"), &s),
        (format!("%22token%22%3A%22{s}%22"), &s),
    ] {
        all_hidden(&[text], secret);
    }
}

#[test]
fn names_beside_values_count_too() {
    let s = secret();
    for (text, expected) in [
        (
            format!("<db><password>{s}</password></db>"),
            "<db><password>[REDACTED:assignment]</password></db>",
        ),
        (
            format!(
                r#"{{"env":[{{"name":"DB_PASSWORD","value":"{s}"}},{{"name":"HOME","value":"/root"}}]}}"#
            ),
            r#"{"env":[{"name":"DB_PASSWORD","value":"[REDACTED:key_name]"},{"name":"HOME","value":"/root"}]}"#,
        ),
        (
            format!(r#"{{"key":"x-api-key","type":"t","value":["{s}",1]}}"#),
            r#"{"key":"x-api-key","type":"t","value":["[REDACTED:key_name]","[REDACTED:key_name]"]}"#,
        ),
    ] {
        assert_eq!(redacted(usual(), &text), expected);
        assert_eq!(redacted(usual(), expected), expected, "twice");
    }
    all_stay(&[
        r#"{"name":"page_token","value":"abcdef"}"#,
        r#"{"value":"abcdef","name":"x"}"#,
        "<token>",
        "<p>key</p>",
    ]);
}
