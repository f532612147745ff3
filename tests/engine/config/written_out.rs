//! How sources are written: paths as keys, null over a mapping, variables that hold a configuration, last lines.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use mcpcol::config::{Options, Sources, load, render, written};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{REGISTRIES, debug, debug_settings, inline, json, mcpcol, options, said};

#[test]
fn null_from_the_command_line_restores_the_defaults_of_a_mapping() {
    let whole = debug("{strict: true, wait: 1s, labels: {a: b}}");
    for set in ["exporters::debug=null", "exporters.debug=~", "exporters::debug="] {
        let sources = Sources { config: vec![format!("yaml:{whole}")], set: vec![set.into()] };
        let settings = debug_settings(&sources);
        assert!(!settings.strict && settings.labels.is_empty(), "{set}");
    }
    let sources = Sources {
        config: vec![format!("yaml:{whole}")],
        set: vec!["exporters::debug::labels=null".into(), "exporters::debug::labels::c=d".into()],
    };
    let settings = debug_settings(&sources);
    assert_eq!(settings.labels.into_iter().collect::<Vec<_>>(), [("c".into(), "d".into())]);
    assert!(settings.strict);
}

#[test]
fn a_written_null_of_a_later_source_does_so_too_and_a_bare_key_does_not() {
    let whole = debug("{strict: true}");
    for (later, strict) in [
        ("exporters: {debug: null}", false),
        ("exporters: {debug: ~}", false),
        ("exporters:\n  debug: null\n", false),
        ("exporters: {debug: }", true),
        ("exporters:\n  debug:\n", true),
        ("exporters:\n", true),
        ("", true),
        ("# nothing\n", true),
        ("exporters::debug: null", false),
        ("exporters::debug:", true),
    ] {
        let config = vec![format!("yaml:{whole}"), format!("yaml:{later}")];
        let sources = Sources { config, set: vec![] };
        assert_eq!(debug_settings(&sources).strict, strict, "{later}");
    }
}

#[test]
fn a_path_as_a_key_means_the_same_to_all_who_read_it() {
    let whole = format!("yaml:{}", debug("{strict: true}"));
    for path in ["yaml:exporters::debug::wait: 5s", "yaml:'exporters::debug::wait': 5s"] {
        let sources = Sources { config: vec![whole.clone(), path.into()], set: vec![] };
        let settings = debug_settings(&sources);
        assert_eq!(settings.wait, mcpcol::settings::Duration::secs(5));
        assert!(settings.strict);
        let shown = written(&sources, &options()).0.unwrap();
        assert_eq!(json(shown.nearest("exporters.debug")), r#"{"strict":true,"wait":"5s"}"#);
    }
    let (root, _) = written(&inline("a::b::c: v\na::b::d: w\na:\n  e: x"), &options());
    assert_eq!(json(&root.unwrap()), r#"{"a":{"b":{"c":"v","d":"w"},"e":"x"}}"#);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("later.yaml");
    fs::write(&file, "exporters::debug::port: 7\n").unwrap();
    let sources = Sources { config: vec![whole, file.display().to_string()], set: vec![] };
    assert_eq!(debug_settings(&sources).port, 7);
}

#[test]
fn only_keys_at_the_top_are_paths() {
    let settings = debug_settings(&inline(&debug("{labels: {'a::b': c}}")));
    assert_eq!(settings.labels["a::b"], "c");
}

#[test]
fn a_path_that_is_set_twice_or_has_a_gap_is_an_error() {
    for (yaml, report) in [
        ("a::b: 1\na: {b: 2}", "yaml::2:8: error: a::b: is set already, at line 1, column 7"),
        ("a: 1\na::b: 2", "yaml::2:1: error: a: is set already, at line 1, column 4"),
        ("a::: 1", "yaml::1:1: error: write path::to::key: value"),
        ("a::::b: 1", "yaml::1:1: error: write path::to::key: value"),
    ] {
        let (_, problems) = written(&inline(yaml), &options());
        let said = render(&problems, false);
        assert!(said.starts_with(report), "{yaml}: {said}");
    }
    let deep = format!("{}: 1", vec!["a"; 1000].join("::"));
    assert!(load(&inline(&deep), &options()).0.is_none());
}

#[test]
fn a_variable_can_hold_a_whole_configuration() {
    let text = debug("{name: '${env:WHO}', file: there.pem}");
    let env = |name: &str| match name {
        "WHOLE" => Some(OsString::from(&text)),
        "WHO" => Some("me".into()),
        _ => None,
    };
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("there.pem"), "x").unwrap();
    let file = dir.path().join("config.yaml");
    fs::write(&file, "exporters: {debug: {port: 7}}").unwrap();
    let options = Options { registries: REGISTRIES, env: &env, ..Options::default() };
    let config = vec!["env:WHOLE".into(), file.display().to_string()];
    let (plan, problems) = load(&Sources { config, set: vec![] }, &options);
    assert_eq!(said(&problems), [""; 0]);
    let plan = plan.unwrap();
    assert_eq!(plan.base, dir.path(), "a variable has no directory");
    assert_eq!(json(plan.exporters[0].settings.nearest("name")), "\"me\"");

    let config = vec!["env:NOPE".to_owned()];
    let (plan, problems) = load(&Sources { config, set: vec![] }, &options);
    assert!(plan.is_none());
    assert_eq!(said(&problems), ["env:NOPE: the environment variable is not set"]);

    let bad = |_: &str| Some(OsString::from("receivers: ["));
    let options = Options { env: &bad, ..options };
    let config = vec!["env:WHOLE".to_owned()];
    let (_, problems) = load(&Sources { config, set: vec![] }, &options);
    assert!(render(&problems, false).starts_with("env:WHOLE:1:"), "{problems:?}");
}

#[test]
fn a_last_line_of_dashes_is_no_second_document() {
    for end in ["---", "---\n", "---\n# the end\n", "...\n", "---\n...\n", "---\n---\n"] {
        let yaml = format!("---\n{}{end}", debug("{strict: true}"));
        assert!(debug_settings(&inline(&yaml)).strict, "{end:?}");
    }
    for end in ["---\na: 1\n", "--- null\n", "--- ''\n", "--- &a\n", "--- !!str\n", "--- []\n"] {
        let (plan, problems) = load(&inline(&format!("{}{end}", debug("{}"))), &options());
        assert!(plan.is_none(), "{end:?}");
        assert_eq!(said(&problems), [": a second document: write one a file"], "{end:?}");
    }
    assert_eq!(Path::new("."), load(&inline(&debug("{}")), &options()).0.unwrap().base);
}

#[test]
fn nothing_waits_for_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let name = fifo.display();
    for (config, part) in [
        (name.to_string(), "it is a pipe, not a file"),
        (
            format!("yaml:exporters: {{ debug: {{ verbosity: \"${{file:{name}}}\" }} }}"),
            "it is a pipe",
        ),
        (
            format!(
                "yaml:exporters: {{ otlp_grpc: {{ endpoint: \"localhost:1\", tls: {{ ca_file: {name} }} }} }}"
            ),
            "it is a pipe",
        ),
    ] {
        let (code, _, said) = mcpcol(&["validate", "--config", &config]);
        assert!(code == Some(1) && said.contains(part), "{config}: {said}");
    }
}

#[test]
fn no_message_quotes_a_secret_that_stands_at_the_wrong_place() {
    let shaped = ["gh", "p_", "A1b2C3d4E5f6", "G7h8I9j0K1l2", "M3n4O5p6Q7r8"].concat();
    let shapeless = ["kettle", "Window17"].concat();
    for secret in [&shaped, &shapeless] {
        for value in ["!SECRET", "${SECRET}", "${env:SECRET}", "!!binary SECRET"] {
            let value = value.replace("SECRET", secret);
            let yaml = format!(
                "receivers:\n  otlp:\n    protocols:\n      grpc:\n        auth:\n          bearer_token: {value}\n"
            );
            let (_, _, said) = mcpcol(&["validate", "--config", &format!("yaml:{yaml}")]);
            assert!(!said.contains(secret.as_str()), "{said}");
        }
    }
    for setting in
        ["endpoint: !SECRET", "endpoint: ${SECRET}", "SECRET: 1", "endpoint: ${file:SECRET}"]
    {
        let setting = setting.replace("SECRET", &shaped);
        let yaml = format!("receivers: {{ otlp: {{ protocols: {{ grpc: {{ {setting} }} }} }} }}");
        let (_, _, said) = mcpcol(&["validate", "--config", &format!("yaml:{yaml}")]);
        assert!(!said.contains(shaped.as_str()), "{said}");
    }
}
