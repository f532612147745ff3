//! Configurations as users write them, good and bad, against a small set of test components.

mod kinds;
mod variables;
mod written_out;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use kinds::REGISTRIES;
use mcpcol::config::{Opens, Options, Registries, Sources, Tree, load, redacted, render, written};
use mcpcol::pipeline::Plan;
use mcpcol::settings::{Node, Problems, Severity};

/// The environment of all tests here.
fn environment(name: &str) -> Option<OsString> {
    let value = match name {
        "MCPCOL_DIGEST_KEY" => return Some("ab".repeat(32).into()),
        "PORT" => "8080",
        "ZEROS" => "0123",
        "EMPTY" => "",
        "NAMES" => "[a, b]",
        "DOLLARS" => "a$$b${PORT}",
        "ODD" => "a: b: c",
        "WHICH" => "PORT",
        "FLAGS" => "{wait: 2s, strict: true}",
        _ => return None,
    };
    Some(value.into())
}

fn options() -> Options<'static> {
    Options {
        registries: REGISTRIES,
        env: &environment,
        lenient_env: false,
        advice: false,
        stdout_is_mcp: false,
        opens: Opens::All,
        serves_metrics: false,
    }
}

fn inline(yaml: &str) -> Sources {
    Sources { config: vec![format!("yaml:{yaml}")], set: Vec::new() }
}

/// A configuration in which `debug` has these settings.
fn debug(settings: &str) -> String {
    format!(
        "receivers: {{tap: }}\nexporters:\n  debug: {settings}\n\
         service: {{pipelines: {{traces: {{receivers: [tap], exporters: [debug]}}}}}}\n"
    )
}

fn said(problems: &Problems) -> Vec<String> {
    problems.0.iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
}

fn good(sources: &Sources) -> Plan {
    let (plan, problems) = load(sources, &options());
    assert_eq!(render(&problems, false), "");
    plan.unwrap()
}

/// The settings of `debug` after merging and expansion.
fn debug_settings(sources: &Sources) -> kinds::Debug {
    let plan = good(sources);
    let mut problems = Problems::default();
    plan.exporters[0].settings.read("", &mut problems).unwrap()
}

fn json(node: &Node) -> String {
    serde_json::to_string(&Tree(node)).unwrap()
}

/// Every file in `bad/` has beside it the report that it gets, reviewed by hand. Set
/// `UPDATE_EXPECTED=1` to write the reports anew, and read the difference.
#[test]
fn every_bad_file_gets_its_report() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut files: Vec<_> = fs::read_dir("tests/data/config/bad")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() > 10);
    for file in files {
        let sources = Sources { config: vec![file.display().to_string()], set: Vec::new() };
        let (plan, problems) = load(&sources, &options());
        let report = render(&problems, false);
        let expected = file.with_extension("txt");
        if update {
            fs::write(&expected, &report).unwrap();
        }
        assert_eq!(report, fs::read_to_string(&expected).unwrap_or_default(), "{}", file.display());
        assert_eq!(plan.is_none(), report.contains("error: "), "{}", file.display());
    }
}

#[test]
fn a_good_file_becomes_a_plan() {
    let sources = Sources { config: vec!["tests/data/config/good.yaml".into()], set: vec![] };
    let plan = good(&sources);
    let ids =
        |ids: &[mcpcol::pipeline::Id]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(plan.base, Path::new("tests/data/config"));
    assert_eq!(plan.shutdown_timeout, Some(mcpcol::settings::Duration::secs(2)));
    assert_eq!(plan.pipelines.len(), 3);
    assert_eq!(ids(&plan.pipelines[0].processors), ["digest", "slo"]);
    assert_eq!(ids(&plan.pipelines[1].emitters), ["slo"]);
    assert_eq!(ids(&plan.pipelines[1].receivers), ["otlp"]);
    assert_eq!(plan.exporters.len(), 2);
    assert_eq!(plan.exporters[1].kind, "otlp_grpc");
    let telemetry = plan.telemetry;
    assert_eq!(telemetry.logs.level, Some(mcpcol::pipeline::plan::LogLevel::Warn));
    assert_eq!(telemetry.resource["service.name"].as_deref(), Some("here"));
    assert_eq!(
        ids(&plan.extensions.iter().map(|part| part.id.clone()).collect::<Vec<_>>()),
        ["service::telemetry::metrics"]
    );
    let again = load(&sources, &options()).0.unwrap();
    assert_eq!(plan.exporters[1].settings, again.exporters[1].settings);
}

#[test]
fn sections_without_effect_are_warned_of() {
    let yaml = format!("{}connectors:\nextensions: {{}}\n", debug("{}"));
    let with = |service: &str| yaml.replace("service: {", &format!("service: {{{service}, "));
    for (yaml, paths) in [
        (yaml.clone(), &["connectors", "extensions"][..]),
        (with("extensions: []"), &["service::extensions", "connectors", "extensions"]),
        (
            with("telemetry: {metrics: {level: normal}, resource: {a: b, c: }}"),
            &["connectors", "extensions"],
        ),
    ] {
        let (plan, problems) = load(&inline(&yaml), &options());
        assert!(plan.is_some(), "{}", render(&problems, false));
        let found: Vec<&str> = problems.0.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(found, paths, "{yaml}");
        assert!(problems.0.iter().all(|problem| problem.severity == Severity::Warning));
    }
}

/// Readers of mcpcol's own metrics, by what is written below `metrics`: how many are served, and what is said.
#[test]
fn readers_of_own_metrics_are_read_in_both_spellings() {
    let prometheus =
        |settings: &str| format!("readers: [{{pull: {{exporter: {{prometheus: {settings}}}}}}}]");
    let at = |rest: &str| format!("service::telemetry::metrics::{rest}");
    let switch = |name: &str| at(&format!("readers::0::pull::exporter::prometheus::{name}"));
    for (metrics, served, said) in [
        (prometheus("{host: '0.0.0.0', port: 9}"), 1, vec![]),
        (prometheus("{host: '::1', without_scope_info: true, without_units: true}"), 1, vec![]),
        ("address: ':9'".to_owned(), 1, vec![]),
        ("address: 'localhost:9'".to_owned(), 1, vec![]),
        ("address: localhost".to_owned(), 0, vec![at("address")]),
        ("readers: []".to_owned(), 0, vec![]),
        (format!("level: none, {}", prometheus("{}")), 0, vec![]),
        (
            format!("address: 'localhost:9', {}", prometheus("{}")),
            0,
            vec![at("address"), switch("port")],
        ),
        (
            "readers: [{periodic: {interval: 1, exporter: {otlp: {protocol: grpc, endpoint: ''}}}}]"
                .to_owned(),
            0,
            vec![at("readers::0::periodic::interval")],
        ),
        (
            "readers: [{periodic: {exporter: {otlp: {protocol: grpc, endpoint: 'localhost:9'}}}}, \
             {pull: {exporter: {prometheus: }}}]"
                .to_owned(),
            2,
            vec![],
        ),
        ("readers: [{}]".to_owned(), 0, vec![at("readers::0")]),
        (
            prometheus(
                "{without_scope_info: false, without_type_suffix: true, without_units: false}",
            ),
            1,
            vec![
                switch("without_scope_info"),
                switch("without_type_suffix"),
                switch("without_units"),
            ],
        ),
        (prometheus("{host: 'a b'}"), 0, vec![switch("host")]),
    ] {
        let yaml = debug("{}")
            .replace("service: {", &format!("service: {{telemetry: {{metrics: {{{metrics}}}}}, "));
        let (plan, problems) = load(&inline(&yaml), &options());
        let paths: Vec<&str> = problems.0.iter().map(|problem| problem.path.as_str()).collect();
        if metrics.starts_with("address: 'localhost:9', ") {
            assert!(plan.is_none() && paths.contains(&&*said[0]), "{metrics}: {paths:?}");
            continue;
        }
        assert_eq!(paths, said, "{metrics}: {}", render(&problems, false));
        assert_eq!(plan.map_or(0, |plan| plan.extensions.len()), served, "{metrics}");
    }
}

#[test]
fn own_metrics_are_served_by_default_where_the_command_says_so_and_nothing_else_is_written() {
    let serves = Options { serves_metrics: true, ..options() };
    for (telemetry, served) in [
        ("{}", 1),
        ("{metrics: {level: basic}}", 1),
        ("{metrics: {level: none}}", 0),
        ("{metrics: {readers: []}}", 0),
    ] {
        let yaml =
            debug("{}").replace("service: {", &format!("service: {{telemetry: {telemetry}, "));
        let plan = load(&inline(&yaml), &serves).0.unwrap();
        assert_eq!(plan.extensions.len(), served, "{telemetry}");
        assert_eq!(load(&inline(&yaml), &options()).0.unwrap().extensions.len(), 0);
    }
}

#[test]
fn own_metrics_cannot_have_the_port_of_another() {
    let yaml = debug("{}").replace(
        "service: {",
        "extensions: {probe: {endpoint: 'localhost:9'}}\n\
         service: {extensions: [probe], telemetry: {metrics: {address: '0.0.0.0:9'}}, ",
    );
    let (plan, problems) = load(&inline(&yaml), &options());
    assert!(plan.is_none());
    let expected = "service::telemetry::metrics::address: `extensions::probe::endpoint` listens there already, on \
                    `localhost:9`; choose another port";
    assert_eq!(said(&problems), [expected]);
}

#[test]
fn a_secret_that_is_missing_is_not_to_be_written_into_the_file() {
    for (settings, secret) in [
        ("{key: '${env:NOPE}'}", true),
        ("{labels: {authorization: 'Bearer ${NOPE}'}}", true),
        ("{name: '${env:MY_TOKEN}'}", true),
        ("{file: '${env:NOPE}', name: '${env:NOPE}'}", false),
    ] {
        let (_, problems) = load(&inline(&debug(settings)), &options());
        assert!(!problems.0.is_empty());
        for problem in &problems.0 {
            let default = problem.message.contains(":-default");
            assert_eq!(default, !secret, "{settings}: {}", problem.message);
            assert_eq!(problem.message.contains("${file:"), secret, "{}", problem.message);
        }
    }
}

#[test]
fn every_example_loads_with_the_components_of_this_build() {
    for entry in fs::read_dir("pipelines").unwrap() {
        let path = entry.unwrap().path();
        let sources = Sources { config: vec![path.display().to_string()], set: vec![] };
        let options = Options { registries: Registries::builtin(), advice: true, ..options() };
        let (plan, problems) = load(&sources, &options);
        assert!(plan.is_some() && problems.0.is_empty(), "{}", render(&problems, false));
    }
}

#[test]
fn what_redaction_does_to_others_is_said() {
    let yaml = "
        receivers: { mcp_http: { session_id: clear, routes: [{ upstream: 'http://h/mcp' }], capture: { errors: redacted } } }
        processors:
          redaction: { allowed_keys: [mcp.method.name] }
          redaction/open: { ignored_keys: [mcp.session.id] }
          digest: { mode: ephemeral }
        exporters: { debug: {} }
        service:
          pipelines:
            traces: { receivers: [mcp_http], processors: [redaction, digest], exporters: [debug] }
            traces/open: { receivers: [mcp_http], processors: [redaction/open], exporters: [debug] }
            traces/none: { receivers: [mcp_http], exporters: [debug] }";
    let sources = Sources { config: vec![format!("yaml:{yaml}")], set: vec![] };
    let told = |advice| {
        let options = Options { registries: Registries::builtin(), advice, ..options() };
        let problems = load(&sources, &options).1;
        let told = problems.0.iter().map(|p| format!("{}: {}", p.path, p.message));
        told.collect::<Vec<_>>()
    };
    let said = told(true);
    for (path, words) in [
        ("processors::redaction: removes", "`gen_ai.tool.name`"),
        ("receivers::mcp_http::session_id: shows nothing", "`ignored_keys: [mcp.session.id]`"),
        ("receivers::mcp_http::capture: captures content", "`traces/none`"),
        ("service::pipelines::traces/none: secrets", "`processors: { redaction: {} }`"),
    ] {
        let found = said.iter().find(|line| line.starts_with(path));
        assert!(found.is_some_and(|line| line.contains(words)), "{path}: {said:#?}");
    }
    assert_eq!((said.len(), told(false).len()), (4, 3), "the last is for those who ask");
}

#[test]
fn maps_merge_and_scalars_and_lists_replace() {
    let sources = Sources {
        config: vec![
            format!("yaml:{}", debug("{names: [a, b], wait: 1s, labels: {x: '1', y: '2'}}")),
            "yaml:exporters: {debug: {names: [c], labels: {y: '3'}}}".into(),
        ],
        set: vec!["exporters::debug::wait=5s".into(), "exporters.debug.labels.z=4".into()],
    };
    let settings = debug_settings(&sources);
    assert_eq!(settings.names, ["c"]);
    assert_eq!(settings.wait, mcpcol::settings::Duration::secs(5));
    let labels: BTreeMap<String, String> =
        [("x", "1"), ("y", "3"), ("z", "4")].map(|(k, v)| (k.into(), v.into())).into();
    assert_eq!(settings.labels, labels);
}

#[test]
fn an_empty_key_in_a_later_source_keeps_a_mapping_and_resets_a_scalar() {
    let sources = Sources {
        config: vec![
            format!("yaml:{}", debug("{wait: 1s, strict: true}")),
            "yaml:exporters:\nreceivers:\n".into(),
            "yaml:exporters: {debug: {wait: }}".into(),
        ],
        set: Vec::new(),
    };
    let settings = debug_settings(&sources);
    assert!(settings.strict);
    assert_eq!(settings.wait, mcpcol::settings::Duration::default());
}

#[test]
fn overrides_win_and_their_mistakes_point_at_them() {
    let mut sources = inline(&debug("{}"));
    sources.set = vec![
        "exporters::debug::wait=3s".into(),
        "exporters.debug.labls=[x]".into(),
        "exporters::debug::strict=yes".into(),
    ];
    let (_, problems) = load(&sources, &options());
    assert_eq!(
        render(&problems, false),
        "--set:2:17: error: exporters::debug::labls: unknown key; did you mean `labels`? accepted: `wait`, \
         `strict`, `port`, `name`, `names`, `labels`, `key`, `file`\n\
         2 | exporters.debug.labls=[x]\n  |                 ^^^^^\n\
         --set:3:26: error: exporters::debug::strict: found `yes`; accepted: `true` or `false`\n\
         3 | exporters::debug::strict=yes\n  |                          ^^^\n\
         2 errors\n"
    );
    for set in ["nonsense", "=1", "a..b=1", "a::=1"] {
        sources.set = vec![set.into()];
        let (_, problems) = load(&sources, &options());
        assert_eq!(said(&problems), [": write --set path::to::key=value"], "{set}");
    }
}

#[test]
fn references_are_expanded() {
    for (written, field, value) in [
        ("{port: '${env:PORT}'}", "port", "8080"),
        ("{port: \"${PORT}\"}", "port", "8080"),
        ("{port: '${env:NOPE:-99}'}", "port", "99"),
        ("{port: '${env:NOPE:-${env:PORT}}'}", "port", "8080"),
        ("{port: '${env:PORT:-${env:NOPE}}'}", "port", "8080"),
        ("{port: '${env:${env:WHICH}}'}", "port", "8080"),
        ("{port: '${yaml:80${env:NOPE:-80}}'}", "port", "8080"),
        ("{name: '${env:ZEROS}'}", "name", "\"0123\""),
        ("{name: '${env:ODD}'}", "name", "\"a: b: c\""),
        ("{name: '${env:DOLLARS}'}", "name", "\"a$$b${PORT}\""),
        ("{name: 'x-${env:PORT}-${PORT}'}", "name", "\"x-8080-8080\""),
        ("{name: '$PORT $$ $${PORT} ^a$'}", "name", "\"$PORT $ ${PORT} ^a$\""),
        ("{name: '${env:NOPE:-}'}", "name", "\"\""),
        ("{name: '${env:NOPE:-{}}'}", "name", "{}"),
        ("{names: '${env:NAMES}'}", "names", "[\"a\",\"b\"]"),
        ("'${env:FLAGS}'", "wait", "\"2s\""),
    ] {
        let (root, problems) = self::written(&inline(&debug(written)), &options());
        assert_eq!(said(&problems), Vec::<String>::new(), "{written}");
        let root = root.unwrap();
        assert_eq!(json(root.nearest(&format!("exporters.debug.{field}"))), value, "{written}");
    }
}

#[test]
fn files_are_referred_to_from_the_config_files_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), "s3$$cret${x}\r\n").unwrap();
    fs::write(
        dir.path().join("debug.yaml"),
        "names: ['${env:PORT}', \"$$x\"]\nkey: ${file:secret}\n",
    )
    .unwrap();
    let config = dir.path().join("config.yaml");
    fs::write(&config, debug("${file:debug.yaml}")).unwrap();
    let (root, problems) = written(
        &Sources { config: vec![format!("file:{}", config.display())], set: vec![] },
        &options(),
    );
    assert_eq!(said(&problems), Vec::<String>::new());
    assert_eq!(
        json(root.unwrap().nearest("exporters.debug")),
        r#"{"names":[8080,"$x"],"key":"s3$$cret${x}"}"#
    );
}

#[test]
fn a_reference_that_a_later_source_replaced_is_not_looked_up() {
    let mut sources = inline(&debug("{port: '${env:NOPE}'}"));
    sources.set = vec!["exporters::debug::port=1".into()];
    assert_eq!(debug_settings(&sources).port, 1);
}

#[test]
fn references_that_lead_to_each_other_end() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), format!("[{}]", vec!["'${file:a}'"; 50].join(","))).unwrap();
    let config = dir.path().join("config.yaml");
    fs::write(&config, debug("{names: '${file:a}'}")).unwrap();
    let (_, problems) =
        written(&Sources { config: vec![config.display().to_string()], set: vec![] }, &options());
    assert_eq!(problems.0.len(), 1, "{problems:?}");
    assert!(problems.0[0].message.contains("lead to each other"));

    let nested = format!("'{}x{}'", "${yaml:".repeat(5000), "}".repeat(5000));
    let (_, problems) = written(&inline(&debug(&nested)), &options());
    assert_eq!(problems.0.len(), 1, "{problems:?}");
}

#[test]
fn what_is_not_there_stops_run_and_warns_a_stdio_tap() {
    let yaml = debug("{name: '${env:NOPE}', port: '${env:NOPE}', file: missing.pem}");
    let (plan, problems) = load(&inline(&yaml), &options());
    assert!(plan.is_none());
    assert_eq!(
        said(&problems),
        [
            "exporters::debug::name: environment variable `NOPE` is not set; set it or write \
             `${env:NOPE:-default}`",
            "exporters::debug::port: environment variable `NOPE` is not set; set it or write \
             `${env:NOPE:-default}`",
            "exporters::debug::file: `missing.pem` is not there",
        ]
    );
    let lenient = Options { lenient_env: true, ..options() };
    let (plan, problems) = load(&inline(&yaml), &lenient);
    let settings = &plan.unwrap().exporters[0].settings;
    assert_eq!(settings.get("name").and_then(Node::text), Some(""), "not null: it was asked for");
    assert_eq!(problems.0.len(), 4, "and the check's complaint about the empty name");
    assert!(problems.0.iter().all(|p| p.severity == Severity::Warning));
}

#[test]
fn an_exporter_on_stdout_is_refused_where_stdout_carries_mcp() {
    let yaml = "receivers: {tap: }\nexporters: {stdout: }\n\
                service: {pipelines: {traces: {receivers: [tap], exporters: [stdout]}}}\n";
    assert!(load(&inline(yaml), &options()).0.is_some());
    let stdio = Options { stdout_is_mcp: true, ..options() };
    for (yaml, options) in [(yaml, stdio), (&yaml.replace("tap", "mcp_stdio"), options())] {
        let (plan, problems) = load(&inline(yaml), &options);
        assert!(plan.is_none());
        assert_eq!(
            said(&problems),
            [
                "exporters::stdout: stdout carries MCP in this process; use `file`, or `debug`, which \
              writes on stderr"
            ]
        );
    }
}

#[test]
fn relative_paths_start_at_the_first_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("there.pem"), "x").unwrap();
    let config = dir.path().join("config.yaml");
    fs::write(&config, debug("{file: there.pem}")).unwrap();
    let plan = good(&Sources {
        config: vec!["yaml:{}".into(), config.display().to_string(), "/dev/null".into()],
        set: vec![],
    });
    assert_eq!(plan.base, dir.path());
}

#[test]
fn unreadable_sources_are_all_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let sources = Sources {
        config: vec![
            file("binary", b"a: \xff"),
            file("big", &vec![b'#'; (1 << 20) + 1]),
            dir.path().join("none").display().to_string(),
            "https://example.com/x".into(),
        ],
        set: vec![],
    };
    let (plan, problems) = load(&sources, &options());
    assert!(plan.is_none());
    let report = render(&problems, false).replace(&dir.path().display().to_string(), "DIR");
    assert_eq!(
        report,
        "error: DIR/binary: is not UTF-8 text (byte 3)\n\
         error: DIR/big: is bigger than 1024 KiB\n\
         error: DIR/none: cannot be read: No such file or directory (os error 2)\n\
         error: https://example.com/x: configurations are not fetched; give a file\n\
         4 errors\n"
    );
    let (_, problems) = load(&Sources::default(), &options());
    assert_eq!(
        render(&problems, false),
        "error: no configuration: name a file with --config\n1 error\n"
    );
    let whole = format!("{}#{}", debug("{}"), " ".repeat((1 << 20) - debug("{}").len() - 1));
    assert_eq!(whole.len(), 1 << 20);
    good(&Sources { config: vec![file("just", whole.as_bytes())], set: vec![] });
}

#[test]
fn hostile_yaml_is_refused_and_does_not_hang() {
    let bomb = (0..9).fold(String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"), |text, i| {
        let refs = vec![format!("*a{i}"); 10].join(",");
        format!("{text}a{}: &a{} [{refs}]\n", i + 1, i + 1)
    });
    let wide = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(","));
    let chain = (0..200).fold(String::from("a0: &a0 x\n"), |text, i| {
        format!("{text}a{}: &a{} [*a{i}]\n", i + 1, i + 1)
    });
    let merges = (0..30).fold(String::from("m0: &m0 {k: v}\n"), |text, i| {
        format!("{text}m{}: &m{} {{<<: [*m{i}, *m{i}], k{i}: *m{i}}}\n", i + 1, i + 1)
    });
    for (yaml, message) in [
        (bomb, "the configuration is too big"),
        (wide, "the configuration is too big"),
        (merges, "the configuration is too big"),
        (chain, "nested too deeply"),
        ("[".repeat(20_000), "nested too deeply"),
        ((0..2000).map(|i| format!("{}a:\n", " ".repeat(i))).collect(), "nested too deeply"),
        ("{a: ".repeat(20_000), "nested too deeply"),
        ("a: &a [*a]".into(), "this alias is inside what it stands for"),
        ("a: *a".into(), "this alias has no anchor above it"),
        (format!("a: [{}]", "1,".repeat(200_000)), "the configuration is too big"),
    ] {
        let (plan, problems) = load(&inline(&yaml), &options());
        assert!(plan.is_none());
        assert_eq!(problems.0.len(), 1);
        assert!(problems.0[0].message.starts_with(message), "{}", problems.0[0].message);
    }
    let deep = format!("{}=1", vec!["a"; 1000].join("::"));
    let sources = Sources { config: vec!["yaml:{}".into()], set: vec![deep] };
    assert!(load(&sources, &options()).0.is_none());
}

#[test]
fn anchors_merge_keys_byte_order_marks_and_crlf_are_fine() {
    let yaml = "\u{feff}receivers: {tap: }\r\nexporters:\r\n  debug: &base {wait: 1s, strict: true}\r\n  \
                debug/2:\r\n    <<: *base\r\n    wait: 2s\r\nservice:\r\n  pipelines:\r\n    \
                traces: {receivers: [tap], exporters: [debug, debug/2]}\r\n";
    let plan = good(&inline(yaml));
    let mut problems = Problems::default();
    let second: kinds::Debug = plan.exporters[1].settings.read("", &mut problems).unwrap();
    assert!(second.strict);
    assert_eq!(second.wait, mcpcol::settings::Duration::secs(2));
}

#[test]
fn places_count_characters_not_bytes() {
    let yaml = debug("{name: 'öäü\u{1F980}', wait: x}");
    let (_, problems) = load(&inline(&yaml), &options());
    let mark = problems.0[0].mark.as_ref().unwrap();
    let line: Vec<char> = yaml.lines().nth(mark.line as usize - 1).unwrap().chars().collect();
    assert_eq!(line[mark.column as usize - 1], 'x');
}

#[test]
fn lines_that_sound_secret_are_not_shown_and_secrets_not_quoted() {
    let value = ["hun", "ter2"].concat();
    for yaml in [
        debug(&format!("{{key: [{value}]}}")),
        debug(&format!("\n    labels:\n      token: [{value}]")),
        debug(&format!("\n    headers:\n      x: \"{value}")),
        debug(&format!("\n    wait: 1s\n    key: {value}\n   bad: [")),
    ] {
        let (_, problems) = load(&inline(&yaml), &options());
        let report = render(&problems, true);
        assert!(!report.is_empty());
        assert!(!report.contains(&value), "{report}");
    }
}

#[test]
fn print_config_hides_secrets() {
    let yaml = "receivers:\n  mcp_stdio:\n    args: [--api-key, hidden1, --token=hidden2, -v]\n    \
                env: {A: hidden3}\n\
                exporters:\n  otlp_grpc:\n    endpoint: https://me:hidden4@host:1/p@th\n    \
                headers: {authorization: '${env:NOPE:-hidden5}', deep: [hidden6]}\n    \
                tls: {key_file: /shown, key_pem: hidden7}\n    key: hidden8\n    password:\n    \
                url: http://host/?token=hidden9\n    ratio: 0.5\n    version: 1.10\n";
    let (root, problems) = written(&inline(yaml), &options());
    assert_eq!(said(&problems), Vec::<String>::new());
    let root = redacted(&root.unwrap());
    assert_eq!(
        json(&root),
        r#"{"receivers":{"mcp_stdio":{"args":["--api-key","[REDACTED]","--token=[REDACTED]","-v"],"env":{"A":"[REDACTED]"}}},"exporters":{"otlp_grpc":{"endpoint":"https://[REDACTED]@host:1/p@th","headers":{"authorization":"[REDACTED]","deep":["[REDACTED]"]},"tls":{"key_file":"/shown","key_pem":"[REDACTED]"},"key":"[REDACTED]","password":null,"url":"http://host/?token=[REDACTED]","ratio":0.5,"version":"1.10"}}}"#
    );
    let yaml = serde_saphyr::to_string(&Tree(&root)).unwrap();
    let (again, problems) = written(&inline(&yaml), &options());
    assert_eq!(said(&problems), Vec::<String>::new());
    assert_eq!(json(&again.unwrap()), json(&root), "what is printed reads back\n{yaml}");
}

#[test]
fn colour_and_control_characters_do_not_reach_where_they_should_not() {
    let (_, problems) = load(&inline(&debug("{strict: \"\\e[31m\"}")), &options());
    assert!(!render(&problems, false).contains('\u{1b}'));
    assert!(render(&problems, true).contains("\u{1b}[1;31merror"));
}

/// The binary's exit code, stdout and stderr.
fn mcpcol(args: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mcpcol"))
        .args(args)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn validate_is_silent_on_a_good_file_and_says_the_rest_on_stderr() {
    let file = "pipelines/stdio-file.yaml";
    assert_eq!(mcpcol(&["validate", "--config", file]), (Some(0), String::new(), String::new()));

    let unused = "yaml:exporters: {debug/unused: {}}";
    let (code, out, err) = mcpcol(&["validate", "--config", file, "--config", unused]);
    assert_eq!((code, out.as_str()), (Some(0), ""));
    assert!(err.ends_with("\n1 warning\n"), "{err}");

    let (code, out, err) = mcpcol(&["validate", "--config", file, "--set", "exporters.debgu=1"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("--set:1:11: error: exporters::debgu: unknown exporter"), "{err}");
}

#[test]
fn components_and_print_config_write_json_too() {
    let (code, out, _) = mcpcol(&["components", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(0));
    assert!(rows.iter().any(|row| row["name"] == "mcp_stdio" && row["kind"] == "receiver"));

    let source = "yaml:exporters: {debug: {token: abc, wait: 1s}}";
    let (code, out, _) = mcpcol(&["print-config", "--config", source, "--format", "json"]);
    assert_eq!(code, Some(0));
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["exporters"]["debug"]["token"], "[REDACTED]");
    assert_eq!(value["exporters"]["debug"]["wait"], "1s");
    let missing = mcpcol(&["print-config", "--config", "yaml:a: '${env:NOPE}'"]);
    assert_eq!((missing.0, missing.1.as_str()), (Some(1), ""));
}
