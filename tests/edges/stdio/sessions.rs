//! The real binary as a stdio tap: recorded sessions pass byte by byte whatever the telemetry side
//! suffers, spans come out, the books add up, and the end comes in time.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::origin::{Nobody, Origin};
use crate::process::{Log, MCPCOL, example, mcpcol, piped, signal, text};
use crate::session::{END, play, sessions};
use crate::spans::{attribute, record_in, spans_in};

fn messages(session: &Path) -> Vec<Value> {
    let text = fs::read_to_string(session).unwrap();
    let raw = |event: &str| -> Value {
        let event: Value = serde_json::from_str(event).unwrap();
        serde_json::from_str(event["raw"].as_str().unwrap()).unwrap()
    };
    text.lines().map(raw).collect()
}

/// How many requests a recording has, both directions: what the books have to start from.
fn requests(session: &Path) -> u64 {
    let is_request = |m: &&Value| m.get("method").is_some() && m.get("id").is_some();
    messages(session).iter().filter(is_request).count() as u64
}

/// How many spans its server hands back, to requests with a context and to others.
fn handed_back(session: &Path) -> (u64, u64) {
    let messages = messages(session);
    let (mut with, mut without) = (0, 0);
    for answer in messages.iter().filter(|m| m.get("method").is_none()) {
        let resources = &answer["result"]["_meta"]["otel"]["traces"]["resourceSpans"];
        let spans = |resource: &Value| resource["scopeSpans"][0]["spans"].as_array().unwrap().len();
        let count: usize = resources.as_array().into_iter().flatten().map(spans).sum();
        let asked = messages.iter().find(|m| m.get("method").is_some() && m["id"] == answer["id"]);
        let context = asked.is_some_and(|m| m["params"]["_meta"]["traceparent"].is_string());
        *if context { &mut with } else { &mut without } += count as u64;
    }
    (with, without)
}

/// `mcpcol stdio` in a home of its own.
struct Tap {
    home: TempDir,
    config: Option<String>,
}

impl Tap {
    fn with(config: &str) -> Tap {
        Tap { home: tempfile::tempdir().unwrap(), config: Some(config.to_owned()) }
    }

    /// With these exporters behind a digest.
    fn exporting(exporters: &str) -> Tap {
        let names: Vec<_> = exporters
            .lines()
            .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
            .map(|l| l.trim().split(':').next().unwrap())
            .collect();
        Tap::with(&format!(
            "receivers: {{ mcp_stdio: {{}} }}\nprocessors: {{ digest: {{ mode: ephemeral }} }}\n\
             exporters:\n{exporters}\nservice:\n  pipelines:\n    traces: {{ receivers: [mcp_stdio], \
             processors: [digest], exporters: [{}] }}\n",
            names.join(", ")
        ))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, server: &[&Path]) -> Command {
        let mut command = mcpcol(self.home.path());
        command.arg("stdio");
        if let Some(config) = &self.config {
            let path = self.path("config.yaml");
            fs::write(&path, config).unwrap();
            command.arg("--config").arg(path);
        }
        command.arg("--").args(server);
        command
    }

    /// Plays the client's part of a recorded session; the tap's end.
    fn replay(&self, session: &Path) -> Output {
        let server = example("replay");
        let tap = self.command(&[&server, session]).spawn().unwrap();
        play(tap, session)
    }

    /// Spans in a file of OTLP JSON lines.
    fn spans(&self, file: &str) -> Vec<Value> {
        spans_in(&self.path(file))
    }
}

fn talk(output: &Output) -> String {
    text(&output.stderr)
}

/// The numbers of an exporter's last line.
fn books(talk: &str, exporter: &str) -> [u64; 4] {
    let line = talk
        .lines()
        .rev()
        .find(|l| l.contains("received=") && l.contains(exporter))
        .unwrap_or_else(|| panic!("no last line of {exporter} in:\n{talk}"));
    ["received=", "sent=", "dropped=", "held="].map(|key| {
        let at = line.find(key).unwrap() + key.len();
        let digits = line[at..].split(|c: char| !c.is_ascii_digit()).next().unwrap();
        digits.parse().unwrap()
    })
}

const VERBOSE: &str = "  telemetry: { logs: { level: info } }\n";

#[test]
fn recorded_sessions_pass_unchanged_and_leave_their_spans() {
    for session in sessions() {
        let mut tap = Tap::exporting("  file: { path: spans.jsonl }");
        tap.config.as_mut().unwrap().push_str(VERBOSE);
        let output = tap.replay(&session);
        let [received, sent, dropped, held] = books(&talk(&output), "file");
        let (theirs, orphans) = handed_back(&session);
        assert_eq!((sent + orphans, dropped, held), (received, orphans, 0), "{}", talk(&output));
        assert_eq!(tap.spans("spans.jsonl").len() as u64, sent);
        assert_eq!(sent, requests(&session) + theirs, "counted here, from the recording");
    }
}

#[test]
fn spans_that_a_server_hands_back_have_the_digests_of_their_calls_and_no_content() {
    let tap = Tap::exporting("  file: { path: spans.jsonl }");
    tap.replay(&sessions()[3]);
    let spans = tap.spans("spans.jsonl");
    let digest = |span: &Value| attribute(span, "mcpcol.arguments.digest");
    let theirs = |span: &&Value| attribute(span, "mcpcol.passback").is_some();
    let roots: Vec<_> = spans.iter().filter(theirs).filter(|span| digest(span).is_some()).collect();
    assert_eq!(roots.len(), 11, "every tool call with spans");
    for root in roots {
        let of_call = |span: &&Value| {
            !theirs(span)
                && attribute(span, "jsonrpc.request.id") == attribute(root, "jsonrpc.request.id")
        };
        let call = spans.iter().find(of_call).unwrap();
        assert_eq!((&call["traceId"], digest(call)), (&root["traceId"], digest(root)));
        assert_eq!(call["parentSpanId"], root["parentSpanId"]);
    }
    let text = fs::read_to_string(tap.path("spans.jsonl")).unwrap();
    for content in ["Traceback", "alerts backend unavailable", "Field required", "\\\"city\\\""] {
        assert!(!text.contains(content), "content in the file: {content}");
    }
}

#[test]
fn results_are_digested_where_one_of_several_pipelines_asks_for_it() {
    let tap = Tap::with(
        "receivers: { mcp_stdio: {} }\n\
         processors: { digest: { mode: ephemeral }, digest/more: { mode: ephemeral, result: true } }\n\
         exporters: { file: { path: a.jsonl }, file/more: { path: b.jsonl } }\n\
         service:\n  pipelines:\n\
         \x20   traces: { receivers: [mcp_stdio], processors: [digest], exporters: [file] }\n\
         \x20   traces/more: { receivers: [mcp_stdio], processors: [digest/more], exporters: [file/more] }\n",
    );
    tap.replay(&sessions()[1]);
    let digests = |file: &str| {
        let text = fs::read_to_string(tap.path(file)).unwrap();
        [
            text.matches("mcpcol.arguments.digest\"").count(),
            text.matches("mcpcol.result.digest\"").count(),
        ]
    };
    let ([calls, without], [same, with]) = (digests("a.jsonl"), digests("b.jsonl"));
    assert!(calls > 0 && same == calls, "{calls}, {same}");
    // An error is no result.
    assert!(without == 0 && (1..=calls).contains(&with), "{without}, {with}");
}

#[test]
fn task_ids_are_hashed_with_the_key_of_the_digest() {
    let named = |file: &PathBuf| file.to_string_lossy().contains("everything-handshake");
    let session = sessions().into_iter().find(named).unwrap();
    let shown = |digit: &str| {
        let tap = Tap::with(&format!(
            "receivers: {{ mcp_stdio: {{}} }}\n\
             processors: {{ digest: {{ key: \"{}\" }} }}\n\
             exporters: {{ file: {{ path: a.jsonl }} }}\n\
             service:\n  pipelines:\n\
             \x20   traces: {{ receivers: [mcp_stdio], processors: [digest], exporters: [file] }}\n",
            digit.repeat(64)
        ));
        tap.replay(&session);
        let text = fs::read_to_string(tap.path("a.jsonl")).unwrap();
        assert!(!text.contains("4a428501e92d260bc3f313ff50d09af5"), "the id itself");
        let mut told = text.split(r#""mcpcol.task.id","value":{"stringValue":""#).skip(1);
        let first = told.next().unwrap()[..32].to_owned();
        assert!(told.all(|next| next.starts_with(&first)), "of one task");
        first
    };
    assert_eq!(shown("1"), shown("1"));
    assert_ne!(shown("1"), shown("2"));
}

#[test]
fn without_a_config_spans_go_to_the_state_directory_with_a_keyed_digest() {
    let tap = Tap { home: tempfile::tempdir().unwrap(), config: None };
    let output = tap.replay(&sessions()[1]);
    assert_eq!(talk(&output), "", "agents' hosts count lines on stderr as errors");
    let dir = tap.path(".local/state/mcpcol");
    let file = record_in(&dir).unwrap();
    assert!(file.file_name().unwrap().to_str().unwrap().starts_with("replay-"));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("hmac-sha256:"));
    for secret in ["Echo: hi", "\"hi\"", "plaintext resource"] {
        assert!(!text.contains(secret), "content in the file: {secret}");
    }
}

/// Streams that no MCP peer should write and every tap must pass.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let mut long = vec![b'x'; 32 << 20];
    long.push(b'\n');
    long.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
    let mut noise = Vec::new();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    while noise.len() < 3 << 20 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        noise.extend_from_slice(&seed.to_le_bytes());
    }
    vec![
        ("nothing", Vec::new()),
        ("line ends of all kinds", b"a\r\n\r\n\n\rb\n\xe2\x80\xa8c\n".to_vec()),
        (
            "not UTF-8, NUL, BOM",
            b"\xff\xfe{\"id\":1}\n\0\0\n\xef\xbb\xbf{}\n\xed\xa0\x80\n".to_vec(),
        ),
        ("junk and half messages", b"banner\n{\"id\":\n[[[[\n}}}{\"method\":1}{}{}\n".to_vec()),
        ("a last line without an end", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}".to_vec()),
        ("a line of 32 MiB", long),
        ("noise", noise),
    ]
}

#[test]
fn hostile_streams_pass_byte_by_byte_both_ways() {
    for (what, stream) in hostile() {
        let tap = Tap::exporting("  file: { path: spans.jsonl }");
        let mut child = tap.command(&[Path::new("cat")]).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        let mut from = child.stdout.take().unwrap();
        let sent = stream.clone();
        let writer = std::thread::spawn(move || to.write_all(&sent).unwrap());
        let mut got = Vec::new();
        from.read_to_end(&mut got).unwrap();
        writer.join().unwrap();
        assert!(got == stream, "{what}: {} bytes of {}", got.len(), stream.len());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{what}: {}", talk(&output));
        assert!(!talk(&output).contains("bug"), "{what}: {}", talk(&output));
    }
}

/// `mcpcol run` with a server of its own between its stdin and stdout.
fn run_config(more: &str) -> String {
    format!(
        "receivers: {{ mcp_stdio: {{ command: cat{more} }} }}\nexporters: {{ file: {{ path: spans.jsonl }} }}\n\
         service:\n  pipelines: {{ traces: {{ receivers: [mcp_stdio], exporters: [file] }} }}\n"
    )
}

#[test]
fn run_reloads_on_sighup_keeps_the_old_on_a_bad_file_and_stops_in_order() {
    let tap = Tap::with(&run_config(""));
    let path = tap.path("config.yaml");
    fs::write(&path, tap.config.as_ref().unwrap()).unwrap();
    let mut run = Command::new(MCPCOL);
    run.args(["run", "--config"]).arg(&path);
    let mut run = piped(&mut run).spawn().unwrap();
    let mut to = run.stdin.take().unwrap();
    let mut from = BufReader::new(run.stdout.take().unwrap());
    let mut log = Log::of(&mut run);
    log.until("everything is ready");
    let mut call = |id: u32| {
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n");
        to.write_all(line.as_bytes()).unwrap();
        let mut got = String::new();
        from.read_line(&mut got).unwrap();
        assert_eq!(got, line);
    };
    call(1);
    for (config, word) in [
        ("receivers: [".to_owned(), "the old one goes on"),
        (run_config(", span_kind: server"), "the old configuration goes on"),
        (run_config("").replace("spans.jsonl", "more.jsonl"), "reloaded"),
    ] {
        fs::write(&path, config).unwrap();
        signal(&run, Signal::HUP);
        log.until(word);
        call(2);
    }
    signal(&run, Signal::TERM);
    log.until("held=0");
    assert_eq!(run.wait().unwrap().code(), Some(0), "an orderly stop is a success");
}

/// A backend that takes connections and never answers.
fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn otlp(port: u16, more: &str) -> String {
    format!("  otlp_grpc: {{ endpoint: \"127.0.0.1:{port}\", tls: {{ insecure: true }}{more} }}")
}

#[test]
fn a_collector_that_never_answers_changes_nothing_and_its_drops_are_counted() {
    let (_listener, port) = silent();
    for more in ["", ", sending_queue: { queue_size: 1, num_consumers: 1 }"] {
        for session in sessions() {
            let tap = Tap::exporting(&otlp(port, more));
            let output = tap.replay(&session);
            let [received, sent, dropped, held] = books(&talk(&output), "otlp_grpc");
            assert!(received > 5);
            assert_eq!((sent, dropped, held), (0, received, 0), "{}", talk(&output));
        }
    }
}

#[test]
fn a_dead_collector_beside_a_file_costs_the_file_nothing() {
    let nobody = Nobody::new();
    let exporters = format!("{}\n  file: {{ path: spans.jsonl }}", otlp(nobody.port, ""));
    let mut tap = Tap::exporting(&exporters);
    tap.config.as_mut().unwrap().push_str(VERBOSE);
    let output = tap.replay(&sessions()[0]);
    let file = books(&talk(&output), "file");
    let dead = books(&talk(&output), "otlp_grpc");
    assert_eq!((file[1], file[2]), (file[0], 0));
    assert_eq!((dead[1], dead[2]), (0, file[0]));
    assert_eq!(tap.spans("spans.jsonl").len() as u64, file[0]);
}

#[test]
#[cfg(target_os = "linux")] // which alone has a disk that is always full
fn a_full_disk_changes_nothing() {
    let tap = Tap::exporting("  file: { path: /dev/full }");
    let output = tap.replay(&sessions()[1]);
    let [received, sent, dropped, held] = books(&talk(&output), "file");
    assert_eq!((sent, dropped, held), (0, received, 0), "{}", talk(&output));
}

/// A pipe whose reader never reads, filled to the brim.
fn clogged() -> (std::io::PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let filler = writer.try_clone().unwrap();
    let filling = std::thread::spawn(move || {
        // Blocks for good once the pipe is full; the thread ends with the test's process.
        let mut filler = filler;
        while filler.write_all(&[b'x'; 4096]).is_ok() {}
    });
    // Full when a whole page no longer goes in: ask the kernel rather than the clock.
    while rustix::io::ioctl_fionread(&reader).unwrap() < 60 * 1024 {
        std::thread::yield_now();
    }
    drop(filling);
    writer.flush().unwrap();
    (reader, Stdio::from(writer))
}

#[test]
fn a_stderr_that_nobody_reads_neither_delays_the_session_nor_the_end() {
    let (_listener, port) = silent();
    let mut tap = Tap::exporting(&otlp(port, ", timeout: 100ms"));
    tap.config.as_mut().unwrap().push_str(VERBOSE);
    let session = &sessions()[1];
    let (_reader, stderr) = clogged();
    let server = example("replay");
    let child = tap.command(&[&server, session]).stderr(stderr).spawn().unwrap();
    play(child, session);
}

#[test]
fn a_config_that_does_not_parse_is_refused_before_the_child_starts() {
    let tap = Tap::with("receivers: { mcp_stdio: {} }\nexporters: { fiel: {} }\n");
    let witness = tap.path("started");
    let server = Path::new("touch");
    let output = tap.command(&[server, &witness]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(talk(&output).contains("did you mean `file`"), "{}", talk(&output));
    assert!(!witness.exists());
}

#[test]
fn a_stdout_exporter_is_refused_because_stdout_carries_mcp() {
    let tap = Tap::exporting("  stdout: {}");
    let output = tap.command(&[Path::new("true")]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let talk = talk(&output);
    assert!(talk.contains("`file`") && talk.contains("`debug`"), "{talk}");
}

#[test]
fn the_agents_own_environment_never_keeps_its_server_from_starting() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "no such thing"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://:::"),
        ("MCPCOL_NAME", ""),
        ("MCPCOL_DIGEST_KEY", "short"),
        ("XDG_STATE_HOME", "/proc/no/such"),
    ] {
        let tap = Tap { home: tempfile::tempdir().unwrap(), config: None };
        let mut command = tap.command(&[Path::new("sh"), Path::new("-c"), Path::new("exit 7")]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4317");
        command.env(name, value);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{name}={value}: {}", talk(&output));
        assert!(!talk(&output).contains("abc"), "no secret is said: {}", talk(&output));
    }
}

type Taken = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A backend over HTTP that takes everything: first lines and bodies of requests.
fn backend() -> (Origin, Taken) {
    let taken = Taken::default();
    let all = Arc::clone(&taken);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            assert!(asked.header("x-key").is_none_or(|key| key == "a b"));
            let body = conn.body(&asked);
            all.lock().unwrap().push((asked.line, body));
            conn.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (origin, taken)
}

/// Directly, and through the proxy of the environment: then the backend is the proxy.
#[test]
fn the_built_in_pipeline_sends_otlp_over_http_where_the_environment_says_so() {
    for proxied in [false, true] {
        let (backend, taken) = backend();
        let addr = &backend.address;
        let tap = Tap { home: tempfile::tempdir().unwrap(), config: None };
        let session = &sessions()[1];
        let mut command = tap.command(&[&example("replay"), session]);
        let origin = if proxied { "otel.test:4318" } else { addr };
        command
            .env("MCPCOL_OTLP_ENDPOINT", format!("http://{origin}"))
            .env("MCPCOL_OTLP_PROTOCOL", "http/json")
            .env("HTTP_PROXY", format!("http://{addr}"))
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=theirs");
        if !proxied {
            command.env("MCPCOL_OTLP_HEADERS", "x-key=a%20b");
        }
        let output = play(command.spawn().unwrap(), session);
        assert_eq!(talk(&output), "", "an end without losses is silent");
        let mut spans = 0;
        for (first, body) in taken.lock().unwrap().drain(..) {
            let base = if proxied { "http://otel.test:4318" } else { "" };
            let mut json = String::new();
            if first == format!("POST {base}/v1/logs HTTP/1.1") {
                continue;
            }
            assert_eq!(first, format!("POST {base}/v1/traces HTTP/1.1"));
            flate2::read::GzDecoder::new(&*body).read_to_string(&mut json).unwrap();
            spans += json.matches("\"spanId\"").count() as u64;
        }
        assert!(spans >= requests(session), "{spans} spans");
    }
}

#[test]
fn after_the_servers_end_we_take_our_own_time_and_no_more() {
    let (_listener, port) = silent();
    for (service, code) in [("", 3), ("  shutdown_timeout: 100ms\n", 4)] {
        let tap =
            Tap::with(&format!("{}{service}", Tap::exporting(&otlp(port, "")).config.unwrap()));
        let script = format!("read line; echo bye; exit {code}");
        let mut child =
            tap.command(&[Path::new("sh"), Path::new("-c"), Path::new(&script)]).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        writeln!(to, r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"}}"#).unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let begun = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(begun.elapsed() < END, "took {:?}", begun.elapsed());
        assert_eq!(output.status.code(), Some(code));
        let [received, _, dropped, held] = books(&talk(&output), "otlp_grpc");
        assert_eq!((received, dropped, held), (1, 1, 0), "{}", talk(&output));
    }
}

#[test]
fn a_missing_command_is_one_clear_line_and_127() {
    let tap = Tap { home: tempfile::tempdir().unwrap(), config: None };
    let output = tap.command(&[Path::new("no-such-mcp-server")]).output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(talk(&output).lines().count(), 1, "{}", talk(&output));
    assert!(talk(&output).contains("no-such-mcp-server"));
}

#[test]
fn the_childs_exit_code_is_ours() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 143", 143)] {
        let tap = Tap::exporting("  file: { path: spans.jsonl }");
        let server = [Path::new("sh"), Path::new("-c"), Path::new(script)];
        let output = tap.command(&server).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{script}: {}", talk(&output));
    }
}

#[test]
fn secrets_of_ours_do_not_reach_the_child() {
    let tap = Tap::exporting("  file: { path: spans.jsonl }");
    let mut command = tap.command(&[Path::new("env")]);
    command.env("MCPCOL_DIGEST_KEY", "x".repeat(64)).env("FOR_THE_SERVER", "yes");
    let output = command.output().unwrap();
    let seen = String::from_utf8_lossy(&output.stdout);
    assert!(seen.contains("FOR_THE_SERVER=yes") && !seen.contains("MCPCOL_"), "{seen}");
}

#[test]
fn an_empty_digest_key_in_the_environment_is_said_and_the_server_runs() {
    let tap = Tap::with(&format!(
        "receivers: {{ mcp_stdio: {{}} }}\nprocessors: {{ digest: {{ key: \"{}\" }} }}\n\
         exporters: {{ file: {{ path: spans.jsonl }} }}\nservice:\n  pipelines:\n    traces: {{ receivers: \
         [mcp_stdio], processors: [digest], exporters: [file] }}\n",
        "${env:MCPCOL_DIGEST_KEY}"
    ));
    let output = tap.replay(&sessions()[1]);
    assert!(talk(&output).contains("MCPCOL_DIGEST_KEY"), "{}", talk(&output));
    let text = fs::read_to_string(tap.path("spans.jsonl")).unwrap();
    assert!(text.contains("\"no_key\"") && text.contains("tools/call echo"), "spans go on");
    assert!(!text.contains("sha256:"), "never a silent unkeyed digest");
}

#[test]
fn a_missing_tls_file_is_said_and_the_server_runs() {
    let tap = Tap::exporting(
        "  otlp_grpc: { endpoint: \"https://127.0.0.1:1\", tls: { ca_file: nowhere.pem } }",
    );
    let output = tap.replay(&sessions()[1]);
    assert!(talk(&output).contains("nowhere.pem"), "{}", talk(&output));
    let [received, sent, dropped, held] = books(&talk(&output), "otlp_grpc");
    assert_eq!((sent, dropped, held), (0, received, 0));
}

#[test]
fn the_demo_shows_lines_a_span_a_table_a_tree_and_where_to_go_on() {
    let home = tempfile::tempdir().unwrap();
    let mut demo = Command::new(MCPCOL);
    demo.args(["demo", "--rounds", "4"]).env("XDG_STATE_HOME", home.path()).env("TZ", "IST-5:30");
    let output = demo.output().unwrap();
    assert!(output.status.success(), "{}", talk(&output));
    let shown = text(&output.stdout);
    let (failed, tool_error) = ("client_error -32602", "1 tool_error");
    for word in
        ["+05:30  files  tools/call search_files", failed, tool_error, "p50", "hmac-sha256:"]
    {
        assert!(shown.contains(word), "no {word} in:\n{shown}");
    }
    let state = home.path().join("mcpcol");
    assert!(shown.contains(&format!("\n  {}\n", state.display())), "{shown}");
    assert!(!state.exists(), "a demo leaves nothing behind");
    let path = state.display().to_string();
    for line in shown.lines().filter(|line| !line.contains(&path)) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!shown.contains('\x1b'), "colours in a pipe");
    assert!(shown.lines().count() < 90, "two screens");
    // The tap's two spans, the server's root and its steps.
    let tree = [
        " tools/call build_report ",
        " └ tools/call build_report ",
        "   ├ tools/call build_report ",
        "   │ ├ collect ",
        "   │ ├ render ",
        "   │ └ upload ",
        "   ├ progress 1 of 3",
    ];
    let (_, inside) = shown.split_once("--tool build_report").unwrap();
    let inside = inside.lines().skip_while(|line| !line.ends_with("outcome")).skip(1);
    for (line, expected) in inside.zip(tree) {
        assert!(line.contains(expected), "{line}");
    }
    assert_eq!(talk(&output), "");
}

#[test]
fn a_server_that_is_not_asked_is_a_black_box() {
    let home = tempfile::tempdir().unwrap();
    let mut demo = Command::new(MCPCOL);
    demo.args(["demo", "--rounds", "4", "--no-passback"]).env("XDG_STATE_HOME", home.path());
    let shown = text(&demo.output().unwrap().stdout);
    let (_, outside) = shown.split_once("a black box").unwrap();
    assert_eq!(outside.matches("tools/call build_report").count(), 1, "{shown}");
    assert!(!outside.contains("handed back") && !outside.contains("collect"), "{shown}");
}
