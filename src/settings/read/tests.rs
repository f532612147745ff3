use std::collections::BTreeMap;

use serde::Deserialize;

use crate::settings::{Duration, Origin, Problems, QueueSettings};

use super::*;

fn node(yaml: &str) -> Node {
    let mut problems = Problems::default();
    let node = Node::parse(yaml, &Origin::file("f"), &mut problems);
    assert!(problems.0.is_empty(), "{problems:?}");
    node.unwrap()
}

/// The value, and what was said: `line:column path: message`.
fn read<T: DeserializeOwned>(yaml: &str) -> (Option<T>, Vec<String>) {
    let mut problems = Problems::default();
    let value = node(yaml).read("x", &mut problems);
    let said = problems.0.iter().map(|p| {
        let mark = p.mark.as_ref().unwrap();
        format!("{}:{} {}: {}", mark.line, mark.column, p.path, p.message)
    });
    (value, said.collect())
}

fn good<T: DeserializeOwned>(yaml: &str) -> T {
    let (value, said) = read(yaml);
    assert_eq!(said, Vec::<String>::new(), "{yaml}");
    value.unwrap()
}

fn bad<T: DeserializeOwned>(yaml: &str) -> Vec<String> {
    let (value, said) = read::<T>(yaml);
    assert!(value.is_none(), "{yaml}");
    said
}

#[derive(Debug, PartialEq, Deserialize)]
struct Secret(String);

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Server {
    #[serde(alias = "address")]
    endpoint: String,
    port: u16,
    wait: Duration,
    strict: bool,
    ratio: f64,
    limit: Option<u64>,
    queue: Option<QueueSettings>,
    names: Vec<String>,
    headers: BTreeMap<String, String>,
    key: Option<Secret>,
    mode: Mode,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    #[serde(alias = "")]
    Plain,
    Ttl(Duration),
    Limits {
        soft: u32,
        #[serde(default)]
        hard: u32,
    },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    path: String,
    upstream: String,
}

#[test]
fn every_type_is_read() {
    let server: Server = good(
        "{endpoint: 0123, port: 8080, wait: 1.5s, strict: true, ratio: 0.5, limit: 18446744073709551615, \
         queue: {queue_size: 7, sizer: bytes}, names: [a, 1, true, ~x], headers: {a: '1'}, key: abc, \
         mode: {ttl: 2s}}",
    );
    assert_eq!(server.endpoint, "0123");
    assert_eq!(server.port, 8080);
    assert_eq!(server.wait, Duration::millis(1500));
    assert!(server.strict);
    assert_eq!(server.ratio, 0.5);
    assert_eq!(server.limit, Some(u64::MAX));
    assert_eq!(server.queue.map(|q| q.queue_size), Some(7));
    assert_eq!(server.names, ["a", "1", "true", "~x"]);
    assert_eq!(server.headers["a"], "1");
    assert_eq!(server.key, Some(Secret("abc".into())));
    assert_eq!(server.mode, Mode::Ttl(Duration::secs(2)));
    assert_eq!(good::<Server>("mode: {limits: {soft: 1}}").mode, Mode::Limits { soft: 1, hard: 0 });
    assert_eq!(good::<Server>("mode: plain").mode, Mode::Plain);
    assert_eq!(good::<Server>("mode: ''").mode, Mode::Plain);
}

#[test]
fn an_empty_value_is_the_default() {
    assert_eq!(good::<Server>(""), Server::default());
    assert_eq!(good::<Server>("~"), Server::default());
    let server: Server = good("{endpoint: , limit: ~, queue: , names: null, headers: , mode: }");
    assert_eq!(server.queue, Some(QueueSettings::default()), "an empty section is switched on");
    assert_eq!(Server { queue: None, ..server }, Server::default());
}

#[test]
fn a_field_can_tell_an_empty_value_from_none_at_all() {
    #[derive(Debug, Deserialize)]
    struct Keys {
        #[serde(default, deserialize_with = "written")]
        key: Option<String>,
        #[serde(default)]
        list: Vec<Option<u8>>,
    }
    fn written<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
        Ok(Some(Option::deserialize(d)?.unwrap_or_default()))
    }
    assert_eq!(good::<Keys>("{key: }").key.as_deref(), Some(""));
    assert_eq!(good::<Keys>("{}").key, None);
    assert_eq!(good::<Keys>("{list: [1, ~]}").list, [Some(1), None]);
    assert_eq!(good::<Option<u8>>("~"), None);
}

#[test]
fn all_problems_of_a_section_are_reported_in_one_go() {
    assert_eq!(
        bad::<Server>(
            "endpont: a\nport: 70000\nwait: 300\nstrict: yes\nratio: half\nlimit: -1\nqueue:\n  \
             queue_size: many\n  sizer: bytez\n  nope: 1\nnames: a\nheaders: [a]\nmode: plian\n"
        ),
        [
            "1:1 x::endpont: unknown key; did you mean `endpoint`? accepted: `address`, `endpoint`, \
             `port`, `wait`, `strict`, `ratio`, `limit`, `queue`, `names`, `headers`, `key`, `mode`",
            "2:7 x::port: found `70000`; accepted: a whole number from 0 to 65535",
            "3:7 x::wait: duration `300` has no unit; write `300s` or `300ms`",
            "4:9 x::strict: found `yes`; accepted: `true` or `false`",
            "5:8 x::ratio: found `half`; accepted: a number",
            "6:8 x::limit: found `-1`; accepted: a whole number from 0 to 18446744073709551615",
            "8:15 x::queue::queue_size: found `many`; accepted: a whole number",
            "9:10 x::queue::sizer: found `bytez`; did you mean `bytes`? accepted: `requests`, \
             `items`, `bytes`",
            "10:3 x::queue::nope: unknown key; accepted: `enabled`, `num_consumers`, `queue_size`, \
             `sizer`, `max_bytes`, `block_on_overflow`, `wait_for_result`, `on_full`, `batch`",
            "11:8 x::names: found `a`; accepted: a list, such as `[a]`",
            "12:10 x::headers: found a list; accepted: a mapping",
            "13:7 x::mode: found `plian`; did you mean `plain`? accepted: `plain`, `ttl`, `limits`",
        ]
    );
}

#[test]
fn a_key_without_a_near_name_does_not_hide_the_rest() {
    let (server, said) = read::<Server>("{port: 1, colour: red}");
    assert_eq!(server.unwrap().port, 1);
    assert_eq!(said.len(), 1);
}

#[test]
fn what_is_missing_is_reported_once_and_only_if_nothing_else_explains_it() {
    assert_eq!(
        bad::<Vec<Route>>("[{path: /a}, {path: /b, upstrem: c}, {path: [], upstream: d}, 5]"),
        [
            "1:2 x::0: `upstream` is missing",
            "1:25 x::1::upstrem: unknown key; did you mean `upstream`? accepted: `path`, `upstream`",
            "1:45 x::2::path: found a list; accepted: a text",
            "1:63 x::3: found `5`; accepted: a mapping",
        ]
    );
    assert_eq!(
        bad::<Route>("path: /a\nupstream:\n"),
        ["2:1 x::upstream: is empty and has no default"]
    );
    assert_eq!(bad::<Route>(""), ["1:1 x: `path` is missing"]);
}

#[test]
fn an_empty_item_of_a_list_is_an_error() {
    assert_eq!(bad::<Server>("names: [a, ~, b]"), ["1:12 x::names::1: is empty; accepted: a text"]);
    assert_eq!(bad::<Vec<Vec<u8>>>("- [1]\n-\n"), ["2:2 x::1: is empty; accepted: a list"]);
}

#[test]
fn numbers_in_quotes_and_with_leading_zeros_are_not_numbers() {
    assert_eq!(
        bad::<Server>("{port: '80', limit: 0755, ratio: .inf}"),
        [
            "1:8 x::port: found the text `80`; accepted: a whole number, without quotes",
            "1:21 x::limit: found `0755`; accepted: a whole number",
            "1:34 x::ratio: found `.inf`; accepted: a number",
        ]
    );
}

#[test]
fn enums_with_data_report_what_is_wrong_inside() {
    assert_eq!(
        bad::<Server>("mode: {ttl: 5}"),
        ["1:13 x::mode::ttl: duration `5` has no unit; write `5s` or `5ms`"]
    );
    assert_eq!(
        bad::<Server>("mode: ttl"),
        ["1:7 x::mode: found `ttl`; accepted: `ttl` with settings"]
    );
    assert_eq!(
        bad::<Server>("mode: {limits: {soft: a, hard: b}}"),
        [
            "1:23 x::mode::limits::soft: found `a`; accepted: a whole number",
            "1:32 x::mode::limits::hard: found `b`; accepted: a whole number",
        ]
    );
    assert_eq!(
        bad::<Server>("mode: {ttl: 1s, plain: }"),
        ["1:7 x::mode: found a mapping; accepted: one of `plain`, `ttl`, `limits`"]
    );
}

#[test]
fn both_spellings_of_one_key_are_an_error_at_the_second() {
    assert_eq!(
        bad::<Server>("endpoint: a\naddress: b\n"),
        ["2:1 x::address: `endpoint` is set already, in another spelling"]
    );
}

#[test]
fn secrets_are_not_quoted() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read to fail")]
    struct Keys {
        token: u64,
        #[serde(default)]
        any: Option<Strict>,
        #[serde(default)]
        headers: BTreeMap<String, Duration>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Odd;
    #[derive(Debug, Deserialize)]
    #[serde(rename = "Secret")]
    struct Strict(Odd);
    impl TryFrom<String> for Odd {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            Err(format!("`{text}` is not hex"))
        }
    }
    assert_eq!(
        bad::<Keys>("{token: hunter2, any: hunter3, headers: {a: hunter4}}"),
        [
            "1:9 x::token: found a text; accepted: a whole number",
            "1:23 x::any: `[REDACTED]` is not hex",
            "1:45 x::headers::a: `[REDACTED]` is not a duration; write it like `300ms`, `1.5s`, `2m` or \
             `1h30m`",
        ]
    );
    assert_eq!(
        bad::<Server>("key:\n"),
        ["1:1 x::key: is empty; write a value or leave the key out"]
    );
}

#[test]
fn untagged_enums_are_read_by_what_the_text_looks_like() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Any {
        Flag(bool),
        Count(u64),
        Ratio(f64),
        Text(String),
        List(Vec<Any>),
    }
    for (yaml, value) in [
        ("true", Any::Flag(true)),
        ("12", Any::Count(12)),
        ("1.5", Any::Ratio(1.5)),
        ("0012", Any::Text("0012".into())),
        ("'12'", Any::Text("12".into())),
        ("yes", Any::Text("yes".into())),
        ("[1, a]", Any::List(vec![Any::Count(1), Any::Text("a".into())])),
    ] {
        assert_eq!(good::<Any>(yaml), value, "{yaml}");
    }
}

#[test]
fn a_section_full_of_mistakes_ends() {
    let yaml: String = (0..1000).map(|i| format!("k{i}: 1\n")).collect();
    let said = bad::<Server>(&yaml);
    assert_eq!(said.len(), MAX_PASSES + 1);
    assert!(said.last().unwrap().ends_with("has more problems than are listed"));
}
