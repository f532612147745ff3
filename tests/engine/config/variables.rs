//! What variables and files hold: texts that stay texts, line ends, empty ones, and nothing that is expanded again.

use std::ffi::OsString;
use std::fs;

use mcpcol::config::{Options, Registries, Sources, load, redacted, written};
use mcpcol::pipeline::Plan;
use mcpcol::settings::{Problems, Severity};
use proptest::prelude::*;
use serde::Deserialize;

use super::{REGISTRIES, debug, inline, json, kinds, said};

/// Texts that YAML has another opinion of.
const TEXTS: [&str; 13] = [
    "null", "~", "NULL", "[a]", "{a: b}", "a: b", "- a", "? a", "true", "0123", "1.10", "# a", "[]",
];

/// What is loaded where the variable `X` has this value.
fn with(
    value: &str,
    registries: Registries,
    lenient_env: bool,
    sources: &Sources,
) -> (Option<Plan>, Problems) {
    let env = |name: &str| (name == "X").then(|| OsString::from(value));
    load(sources, &Options { registries, env: &env, lenient_env, ..Options::default() })
}

#[test]
fn a_text_from_a_variable_stays_the_text_where_one_is_wanted() {
    for value in TEXTS {
        for name in ["${env:X}", "\"${X}\"", "'${env:X}'", "!!str ${env:X}", "${env:NOPE:-${X}}"] {
            let yaml = debug(&format!("\n    name: {name}\n    names: [\"${{env:X}}\"]"));
            let (plan, problems) = with(value, REGISTRIES, false, &inline(&yaml));
            assert_eq!(said(&problems), [""; 0], "{value} {name}");
            let settings = &plan.unwrap().exporters[0].settings;
            let settings: kinds::Debug = settings.read("", &mut Problems::default()).unwrap();
            assert_eq!(settings.name.as_deref(), Some(value), "{name}");
            assert_eq!(settings.names, [value], "{name}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_a_variable_holds_is_the_text(value in "([-\\[\\]{}:,?&*!|>'\"%@`#~$ \na-c]|null){1,12}[a-z\\]}:]") {
        let yaml = debug("{name: '${env:X}', key: '${X}', names: ['<${X}>']}");
        let (plan, problems) = with(&value, REGISTRIES, false, &inline(&yaml));
        prop_assert_eq!(said(&problems), [""; 0]);
        let settings = &plan.unwrap().exporters[0].settings;
        let settings: kinds::Debug = settings.read("", &mut Problems::default()).unwrap();
        prop_assert_eq!(settings.name.as_deref(), Some(value.as_str()));
        prop_assert_eq!(settings.key.as_ref().map(|key| key.expose()), Some(value.as_str()));
        prop_assert_eq!(&settings.names[0], &format!("<{value}>"));
    }
}

#[test]
fn names_of_servers_and_services_do_not_fall_back_in_silence() {
    #[derive(Deserialize)]
    struct Tap {
        service_name: String,
        routes: Vec<Route>,
    }
    #[derive(Deserialize)]
    struct Route {
        name: Option<String>,
    }
    let tap = "yaml:receivers: {mcp_http: {service_name: '${env:X}', routes: [{upstream: 'http://localhost:1/mcp', \
               name: '${env:X}'}]}}\nexporters: {debug: }\n\
               service: {pipelines: {traces: {receivers: [mcp_http], exporters: [debug]}}}";
    let sources = Sources { config: vec![tap.into()], set: vec![] };
    for value in TEXTS {
        let (plan, problems) = with(value, Registries::builtin(), false, &sources);
        assert_eq!(said(&problems), [""; 0], "{value}");
        let settings = &plan.unwrap().receivers[0].settings;
        let tap: Tap = settings.read("", &mut Problems::default()).unwrap();
        assert_eq!(tap.service_name, value);
        assert_eq!(tap.routes[0].name.as_deref(), Some(value));
    }
    let (plan, problems) = with("", Registries::builtin(), false, &sources);
    assert!(plan.is_none());
    let paths: Vec<&str> = problems.0.iter().map(|p| p.path.as_str()).collect();
    assert!(paths.contains(&"receivers::mcp_http::service_name"), "{paths:?}");
    assert!(paths.contains(&"receivers::mcp_http::routes::0::name"), "{paths:?}");
}

#[test]
fn a_component_that_a_variable_names_is_not_left_out() {
    for value in ["null", "[digest]"] {
        let yaml =
            debug("{}").replace("exporters: [debug]}", "processors: ['${X}'], exporters: [debug]}");
        let (plan, problems) = with(value, REGISTRIES, false, &inline(&yaml));
        assert!(plan.is_none(), "{value}: {problems:?}");
    }
}

#[test]
fn processors_that_an_empty_variable_names_are_not_taken_for_none() {
    let yaml = |list: &str| {
        let list = format!("processors: {list}, exporters: [debug]}}");
        inline(&debug("{}").replace("exporters: [debug]}", &list))
    };
    for value in ["", "\n", "null", "~"] {
        for lenient in [false, true] {
            let (plan, problems) = with(value, REGISTRIES, lenient, &yaml("'${env:X}'"));
            assert!(plan.is_none(), "{value:?}");
            let path = "service::pipelines::traces::processors: is empty; write `[]` for none";
            assert!(said(&problems).iter().any(|said| said == path), "{value:?} {problems:?}");
        }
    }
    for list in ["", "null", "[]", "'${env:X}'"] {
        let (plan, problems) = with("[]", REGISTRIES, false, &yaml(list));
        assert!(plan.is_some(), "{list}: {problems:?}");
    }
}

#[test]
fn a_value_from_a_variable_is_still_whatever_else_is_wanted() {
    let yaml = debug("{names: '${env:X}', port: 1}");
    let names = |value: &str| {
        let (plan, problems) = with(value, REGISTRIES, false, &inline(&yaml));
        assert_eq!(said(&problems), [""; 0], "{value}");
        let settings = &plan.unwrap().exporters[0].settings;
        settings.read::<kinds::Debug>("", &mut Problems::default()).unwrap().names
    };
    assert_eq!(names("[a, ~x, 'null']"), ["a", "~x", "null"]);
    assert_eq!(names("- a"), ["a"]);
    assert_eq!(names("null"), [""; 0]);
}

#[test]
fn a_secret_that_reads_as_a_list_is_hidden_and_known_whole() {
    let secret = ["[hun", "ter2, hunter3]"].concat();
    let env = |_: &str| Some(OsString::from(&secret));
    let options = Options { registries: REGISTRIES, env: &env, ..Options::default() };
    let sources = inline(&debug("{key: '${env:X}', name: '${env:NULL}'}"));
    let (root, _) = written(&sources, &options);
    let shown = json(redacted(&root.unwrap()).nearest("exporters.debug.key"));
    assert_eq!(shown, "\"[REDACTED]\"");
    let plan = load(&sources, &options).0.unwrap();
    assert!(plan.secrets.iter().any(|known| known.expose() == secret));
}

#[test]
fn print_config_shows_a_text_that_looks_like_nothing() {
    let env = |_: &str| Some(OsString::from("null"));
    let options = Options { registries: REGISTRIES, env: &env, ..Options::default() };
    let (root, _) = written(&inline(&debug("{name: '${env:X}'}")), &options);
    assert_eq!(json(redacted(&root.unwrap()).nearest("exporters.debug")), r#"{"name":"null"}"#);
}

#[test]
fn what_came_out_of_a_variable_is_not_expanded_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), "s3cret").unwrap();
    let config = dir.path().join("config.yaml");
    fs::write(&config, debug("'${env:X}'")).unwrap();
    let sources = Sources { config: vec![config.display().to_string()], set: vec![] };
    let value =
        "{name: '${file:secret}', names: ['${env:PORT}', 'a$$b'], labels: {a: '${yaml:1}'}}";
    let (plan, problems) = with(value, REGISTRIES, false, &sources);
    assert_eq!(said(&problems), [""; 0]);
    let settings = &plan.unwrap().exporters[0].settings;
    let settings: kinds::Debug = settings.read("", &mut Problems::default()).unwrap();
    assert_eq!(settings.name.as_deref(), Some("${file:secret}"));
    assert_eq!(settings.names, ["${env:PORT}", "a$$b"]);
    assert_eq!(settings.labels["a"], "${yaml:1}");
}

#[test]
fn one_line_end_of_a_variable_or_a_file_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yaml");
    fs::write(&config, debug("{name: '${env:X}', names: ['<${X}>', '${file:f}', '<${file:f}>']}"))
        .unwrap();
    let sources = Sources { config: vec![config.display().to_string()], set: vec![] };
    for (value, text) in [
        ("a", "a"),
        ("a\n", "a"),
        ("a\r\n", "a"),
        ("a\n\n", "a\n"),
        ("a\r", "a\r"),
        (" a \n", " a "),
        ("a\nb\n", "a\nb"),
        ("8080\n", "8080"),
    ] {
        fs::write(dir.path().join("f"), value).unwrap();
        let (plan, problems) = with(value, REGISTRIES, false, &sources);
        assert_eq!(said(&problems), [""; 0], "{value:?}");
        let settings = &plan.unwrap().exporters[0].settings;
        let settings: kinds::Debug = settings.read("", &mut Problems::default()).unwrap();
        let inside = format!("<{text}>");
        assert_eq!(settings.name.as_deref(), Some(text), "{value:?}");
        assert_eq!(settings.names, [inside.as_str(), text, inside.as_str()], "{value:?}");
    }
    let port = inline(&debug("{port: '${env:X}'}"));
    let (plan, _) = with("8080\n", REGISTRIES, false, &port);
    let settings = &plan.unwrap().exporters[0].settings;
    assert_eq!(settings.read::<kinds::Debug>("", &mut Problems::default()).unwrap().port, 8080);
}

/// A gateway in which one setting is to be filled in.
fn gateway(receivers: &str, processors: &str) -> Sources {
    let names: Vec<&str> =
        ["otlp", "mcp_http"].into_iter().filter(|n| receivers.contains(n)).collect();
    let processor = if processors.contains("digest") { "digest" } else { "redaction" };
    let yaml = format!(
        "yaml:receivers: {{{receivers}}}\nprocessors: {{{processors}}}\nexporters: {{debug: }}\n\
         service: {{pipelines: {{traces: {{receivers: [{}], processors: [{processor}], exporters: [debug]}}}}}}",
        names.join(", ")
    );
    Sources { config: vec![yaml], set: vec![] }
}

#[test]
fn an_empty_value_never_switches_a_protection_off() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mutual = format!(
        "tls: {{cert_file: '{}', key_file: '{}', client_ca_file: @}}",
        cert.display(),
        key.display()
    );
    let tap = "mcp_http: {routes: [{upstream: 'https://localhost:1/mcp'";
    for (receivers, processors, path) in [
        (
            format!("otlp: {{protocols: {{grpc: {{{mutual}}}}}}}"),
            "redaction: ",
            "receivers::otlp::protocols::grpc::tls::client_ca_file",
        ),
        (
            format!("otlp: {{protocols: {{http: {{{mutual}}}}}}}"),
            "redaction: ",
            "receivers::otlp::protocols::http::tls::client_ca_file",
        ),
        (
            format!("{tap}}}], {mutual}}}"),
            "redaction: ",
            "receivers::mcp_http::tls::client_ca_file",
        ),
        (
            format!("{tap}, tls: {{ca_file: @}}}}]}}"),
            "redaction: ",
            "receivers::mcp_http::routes::0::tls::ca_file",
        ),
        (
            format!("{tap}}}], auth: {{bearer_token: @}}}}"),
            "redaction: ",
            "receivers::mcp_http::auth::bearer_token",
        ),
        (format!("{tap}}}], session_key: @}}"), "redaction: ", "receivers::mcp_http::session_key"),
        (
            format!("{tap}}}], session_key_file: @}}"),
            "redaction: ",
            "receivers::mcp_http::session_key_file",
        ),
        (
            format!("{tap}}}], allowed_hosts: [@]}}"),
            "redaction: ",
            "receivers::mcp_http::allowed_hosts::0",
        ),
        (
            format!("{tap}}}], allowed_origins: [@]}}"),
            "redaction: ",
            "receivers::mcp_http::allowed_origins::0",
        ),
        (
            "otlp: {protocols: {http: {auth: {bearer_token: @}}}}".into(),
            "redaction: ",
            "receivers::otlp::protocols::http::auth::bearer_token",
        ),
        (
            "otlp: {protocols: {http: {cors: {allowed_origins: [@]}}}}".into(),
            "redaction: ",
            "receivers::otlp::protocols::http::cors::allowed_origins::0",
        ),
        (
            format!("{tap}}}]}}"),
            "redaction: {hash_function: hmac-sha256, hmac_key: @}",
            "processors::redaction::hmac_key",
        ),
        (
            format!("{tap}}}]}}"),
            "redaction: {hash_function: hmac-sha256, hmac_key_file: @}",
            "processors::redaction::hmac_key_file",
        ),
        (format!("{tap}}}]}}"), "redaction: {rules: @}", "processors::redaction::rules"),
        (
            format!("{tap}}}]}}"),
            "redaction: {allowed_keys: @}",
            "processors::redaction::allowed_keys",
        ),
        (
            format!("{tap}}}]}}"),
            "redaction: {allow_all_keys: @}",
            "processors::redaction::allow_all_keys",
        ),
        (
            format!("{tap}}}]}}"),
            "redaction: {blocked_values: @}",
            "processors::redaction::blocked_values",
        ),
        (
            format!("{tap}}}]}}"),
            "redaction: {blocked_key_patterns: @}",
            "processors::redaction::blocked_key_patterns",
        ),
        (
            format!("{tap}}}]}}"),
            "redaction: {url_sanitizer: {enabled: @}}",
            "processors::redaction::url_sanitizer::enabled",
        ),
        (
            format!("{tap}}}]}}"),
            "redaction: {db_sanitizer: {sql: {enabled: @}}}",
            "processors::redaction::db_sanitizer::sql::enabled",
        ),
        (format!("{tap}}}]}}"), "digest: {key: @}", "processors::digest::key"),
        (format!("{tap}}}]}}"), "digest: {key_file: @}", "processors::digest::key_file"),
        (format!("{tap}}}]}}"), "digest: {mode: @}", "processors::digest::mode"),
    ] {
        for empty in ["'${env:X}'", "~", "null", "", "''"] {
            if empty.is_empty() && receivers.contains("[@]") {
                continue; // A list without items is what the default is, too.
            }
            let fill = |text: &str| text.replace('@', empty);
            let sources = gateway(&fill(&receivers), &fill(processors));
            let (plan, problems) = with("", Registries::builtin(), false, &sources);
            assert!(plan.is_none(), "{path} {empty}");
            let found = problems.0.iter().find(|p| p.path == path);
            let found = found.unwrap_or_else(|| panic!("{path} {empty}: {problems:?}"));
            assert!(found.severity > Severity::Warning && found.mark.is_some(), "{found:?}");
        }
    }
}

#[test]
fn credentials_that_no_client_can_send_are_refused() {
    let tap = "mcp_http: {routes: [{upstream: 'https://localhost:1/mcp'";
    for (receivers, path) in [
        (
            format!("{tap}}}], auth: {{bearer_token: '${{env:X}}'}}}}"),
            "receivers::mcp_http::auth::bearer_token",
        ),
        (
            "otlp: {protocols: {grpc: {auth: {bearer_token: '${env:X}'}}}}".into(),
            "receivers::otlp::protocols::grpc::auth::bearer_token",
        ),
        (
            "otlp: {protocols: {http: {response_headers: {x-a: '${env:X}'}}}}".into(),
            "receivers::otlp::protocols::http::response_headers::x-a",
        ),
        (
            format!("{tap}, headers: {{Authorization: 'Bearer ${{env:X}}'}}}}]}}"),
            "receivers::mcp_http::routes::0::headers::Authorization",
        ),
        (
            format!("{tap}, headers: [{{name: x-api-key, value: '${{env:X}}'}}]}}]}}"),
            "receivers::mcp_http::routes::0::headers::x-api-key",
        ),
    ] {
        let sources = gateway(&receivers, "redaction: ");
        let token = ["abc", "def"].concat();
        for fine in
            [token.clone(), format!("{token}\n"), format!("{token}\r\n"), format!("{token} x")]
        {
            let (plan, problems) = with(&fine, Registries::builtin(), false, &sources);
            assert!(plan.is_some(), "{path} {fine:?}: {problems:?}");
        }
        for (bad, part) in [
            (format!("{token}\n\n"), "line end"),
            (format!("{token} "), "blank"),
            (format!("{token}\t\n"), "blank"),
            (format!("{token}\nx"), "characters"),
            (format!("{token}\u{e4}"), "characters"),
        ] {
            let (plan, problems) = with(&bad, Registries::builtin(), false, &sources);
            assert!(plan.is_none(), "{path} {bad:?}");
            let found = problems.0.iter().find(|p| p.path == path);
            let found = found.unwrap_or_else(|| panic!("{path} {bad:?}: {problems:?}"));
            assert!(found.message.contains(part) && !found.message.contains(&token), "{found:?}");
        }
    }
}

#[test]
fn a_tap_goes_on_without_a_variable_that_a_guard_is_read_from() {
    let tap = |processors: &str| {
        gateway("mcp_http: {routes: [{upstream: 'http://localhost:1/mcp'}]}", processors)
    };
    for processors in
        ["redaction: {blocked_values: '${env:NOPE}'}", "digest: {mode: '${env:NOPE}'}"]
    {
        let (plan, problems) = with("", Registries::builtin(), true, &tap(processors));
        assert!(plan.is_some(), "{problems:?}");
        assert!(problems.0.iter().all(|p| p.severity == Severity::Warning));
        assert!(problems.0.iter().any(|p| p.message.starts_with("is empty")), "{problems:?}");
    }
}
