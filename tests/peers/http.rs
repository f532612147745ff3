//! The HTTP tap of the real binary between official SDK clients, the conformance suite or a browser and
//! real servers: what comes out is what comes without the tap, and the spans say what went by. Needs
//! what `scripts/peers http` installs, therefore ignored in plain `cargo test`; CI installs it and runs
//! these with `--ignored`.
//!
//! `MCPCOL_HTTP_TAP` names another proxy to try the tests on, such as `python3 tests/peers/nginx.py`:
//! with it all that is said about spans must fail, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::common::{Driver, Span, attribute, bin, driver, named, peers, python, signal, spans};

/// A server or a proxy may take this long to start or to end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const MODERN: &str = "2026-07-28";

// === Processes ===

/// What a process has said on stderr so far; read all the time, so that it never waits for us.
#[derive(Clone, Default)]
struct Talk(Arc<(Mutex<Said>, Condvar)>);

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    ended: bool,
}

impl Talk {
    fn of(stderr: ChildStderr) -> Talk {
        let talk = Talk::default();
        let writer = talk.clone();
        thread::spawn(move || {
            let (said, news) = &*writer.0;
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                said.lock().unwrap().lines.push(line);
                news.notify_all();
            }
            said.lock().unwrap().ended = true;
            news.notify_all();
        });
        talk
    }

    /// Waits for a line in which `find` finds something; nothing if the process is silent or gone.
    fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (said, news) = &*self.0;
        let limit = Instant::now() + PATIENCE;
        let mut said = said.lock().unwrap();
        loop {
            if let Some(found) = said.lines.iter().find_map(|line| find(line)) {
                return Some(found);
            }
            let left = limit.saturating_duration_since(Instant::now());
            if said.ended || left.is_zero() {
                return None;
            }
            said = news.wait_timeout(said, left).unwrap().0;
        }
    }

    fn text(&self) -> String {
        self.0.0.lock().unwrap().lines.join("\n")
    }
}

/// A server or a proxy, ended when dropped.
struct Service {
    child: Child,
    talk: Talk,
    /// Such as `http://127.0.0.1:8931`.
    origin: String,
}

impl Service {
    /// Starts a program that says where it listens.
    fn start(command: &mut Command) -> Service {
        let mut service = Service::spawn(command, String::new());
        let Some(origin) = service.talk.wait_for(origin_in) else {
            panic!("{command:?} does not listen:\n{}", service.talk.text());
        };
        service.origin = origin;
        service
    }

    /// Starts a program that has to be told its port; nothing when somebody else was quicker.
    fn start_at(command: &mut Command, port: u16, ready: &str) -> Option<Service> {
        let service = Service::spawn(command, format!("http://127.0.0.1:{port}"));
        let said = service.talk.wait_for(|line| line.contains(ready).then_some(()));
        match said {
            Some(()) => Some(service),
            None if service.talk.text().contains("EADDRINUSE") => None,
            None => panic!("{command:?} does not listen:\n{}", service.talk.text()),
        }
    }

    fn spawn(command: &mut Command, origin: String) -> Service {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let talk = Talk::of(child.stderr.take().unwrap());
        Service { child, talk, origin }
    }

    /// Asks it to end and waits until it has.
    fn end(&mut self) -> ExitStatus {
        signal(self.child.id(), "TERM");
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > limit {
                self.child.kill().unwrap();
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

fn origin_in(line: &str) -> Option<String> {
    let at = line.find("listening on http")? + "listening on ".len();
    let url = line[at..].split_whitespace().next()?;
    let path = url.find("://")? + "://".len();
    let host = url[path..].find('/').map_or(url, |slash| &url[..path + slash]);
    Some(host.trim_end_matches(['"', '.', ',']).to_owned())
}

/// A server, by how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    /// server-everything over streamable HTTP.
    Everything,
    /// server-everything over the HTTP with server-sent events of 2024.
    EverythingSse,
    /// The Python server that speaks 2026-07-28, over streamable HTTP.
    Modern,
    /// The same, mounted in an application that redirects every request to its path with a slash.
    Mounted,
}

impl Peer {
    fn start(self) -> Service {
        let how = match self {
            Peer::Modern => Some("http"),
            Peer::Mounted => Some("mounted"),
            Peer::Everything | Peer::EverythingSse => None,
        };
        if let Some(how) = how {
            return Service::start(Command::new(python()).arg(driver("modern_server.py")).arg(how));
        }
        // server-everything cannot say which port it took, so it is told a free one.
        loop {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(bin("mcp-server-everything"));
            let (transport, ready) = match self {
                Peer::EverythingSse => ("sse", "running on port"),
                _ => ("streamableHttp", "listening on port"),
            };
            command.arg(transport).env("PORT", port.to_string());
            if let Some(service) = Service::start_at(&mut command, port, ready) {
                return service;
            }
        }
    }

    fn script(self) -> &'static str {
        if matches!(self, Peer::Modern | Peer::Mounted) { "modern" } else { "everything" }
    }

    fn path(self) -> &'static str {
        if self == Peer::EverythingSse { "/sse" } else { "/mcp" }
    }

    /// How a driver is told to reach it.
    fn at(self, origin: &str) -> Vec<String> {
        let flag = if self == Peer::EverythingSse { "--sse" } else { "--http" };
        vec![flag.into(), format!("{origin}{}", self.path())]
    }
}

/// `mcpcol http` before a server, with a config of its own.
struct Tap {
    service: Service,
    dir: TempDir,
    spans: PathBuf,
}

impl Tap {
    fn before(peer: Peer, server: &Service) -> Tap {
        let dir = tempfile::tempdir().unwrap();
        let (config, spans) = super::common::config(&dir, "mcp_http", &[]);
        let mut command = match std::env::var("MCPCOL_HTTP_TAP") {
            Ok(given) => {
                let mut words = given.split_whitespace();
                let mut command = Command::new(words.next().unwrap());
                command.args(words).env("TMPDIR", dir.path()).env("MCPCOL_PEERS", peers());
                command
            }
            Err(_) => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_mcpcol"));
                command.args(["http", "--config"]).arg(config);
                command
            }
        };
        let upstream = format!("{}{}", server.origin, peer.path());
        command.args(["--listen", "127.0.0.1:0", "--upstream", &upstream]);
        Tap { service: Service::start(&mut command), dir, spans }
    }

    fn origin(&self) -> &str {
        &self.service.origin
    }

    /// Ends it in an orderly way, which writes what it holds: the spans, and the file as it is.
    fn stop(mut self) -> (Vec<Span>, String) {
        let status = self.service.end();
        assert!(status.success(), "the tap ended with {status}:\n{}", self.service.talk.text());
        let text = fs::read_to_string(&self.spans)
            .unwrap_or_else(|error| panic!("no spans in {}: {error}", self.dir.path().display()));
        (spans(&self.spans), text)
    }
}

// === SDK clients ===

/// What a driver printed, as the spans should tell it.
struct Story {
    version: String,
    /// Requests on the wire by initiator and method.
    requests: BTreeMap<(&'static str, String), usize>,
    /// Tool results that say `isError`.
    tool_errors: usize,
    /// Codes of the JSON-RPC errors that the server gave.
    codes: Vec<String>,
    /// Calls that the client gave up.
    given_up: usize,
}

impl Story {
    fn of(client: Driver, output: &str) -> Story {
        let lines: Vec<Value> =
            output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let step = |name: &str| lines.iter().find(|line| line["step"] == name);
        let version = step("connect").unwrap()["version"].as_str().unwrap().to_owned();
        let modern = version.as_str() >= MODERN;
        let wire = step("wire").unwrap();
        let mut requests = BTreeMap::new();
        let mut count = |initiator, methods: &Value| {
            for (method, count) in methods.as_object().unwrap() {
                requests.insert((initiator, method.clone()), count.as_u64().unwrap() as usize);
            }
        };
        count("client", &wire["requests"]);
        if !modern {
            // In the modern era a question comes inside a result and is no request.
            count("server", &wire["asked"]);
        }

        // Errors that the client made up itself, each for a call that it gave up.
        let mut own = BTreeSet::from(["cancelled", "timed-out"]);
        let mut given_up = own.len();
        if modern {
            own.insert("cut");
            given_up += 2; // a cut stream is a call given up, and so is the end of listening
        }
        let of_server = |line: &&Value| !own.contains(line["step"].as_str().unwrap_or_default());
        let mut codes: Vec<String> = lines
            .iter()
            .filter(|line| !line["error"].is_null())
            .filter(of_server)
            .map(|line| line["error"]["code"].to_string())
            .collect();
        if client == Driver::PythonAuto && !modern {
            // The question whether the server is modern, which the driver does not show. Over HTTP
            // server-everything asks for a session first.
            let sse = requests.contains_key(&("client", "server/discover".into()));
            assert!(sse, "an old server is asked whether it is modern");
            codes.push("discover".into());
        }
        codes.sort();
        let tool_errors = lines.iter().filter(|line| line["result"]["isError"] == true).count();
        Story { version, requests, tool_errors, codes, given_up }
    }
}

/// Drives a server directly and through the tap: the answers are the same. `how` is for the driver when it
/// talks to the tap. What came, what the driver said of its way through the tap, and the tap.
fn driven(client: Driver, peer: Peer, how: &[&str]) -> (String, String, Tap) {
    // Two servers, because these keep things over the end of a session; at once, because most of the
    // time is waiting.
    let server = peer.start();
    let tap = Tap::before(peer, &server);
    let (direct, through) = thread::scope(|scope| {
        let direct = scope.spawn(|| {
            let server = peer.start();
            client.drive(peer.script(), &peer.at(&server.origin))
        });
        let mut to = peer.at(tap.origin());
        to.extend(how.iter().map(|&word| word.to_owned()));
        let through = client.drive(peer.script(), &to);
        (direct.join().unwrap(), through)
    });
    let direct = String::from_utf8(direct.stdout).unwrap();
    let talk = String::from_utf8(through.stderr).unwrap();
    let through = String::from_utf8(through.stdout).unwrap();
    assert_same(&direct, &through, &format!("{client:?}, {peer:?}"));
    (direct, talk, tap)
}

/// The same, and the spans tell the same story.
fn same_answers(client: Driver, peer: Peer, how: &[&str]) -> Vec<Span> {
    let (direct, talk, tap) = driven(client, peer, how);
    let story = Story::of(client, &direct);
    let sessions: Vec<_> = talk.lines().filter_map(|line| line.strip_prefix("session ")).collect();
    assert_eq!(sessions.is_empty(), story.version.as_str() >= MODERN, "{talk}");

    let (spans, text) = tap.stop();
    check(&story, &spans);
    for session in sessions {
        assert!(!text.contains(session), "a session's id is a secret");
    }
    spans
}

fn assert_same(direct: &str, through: &str, what: &str) {
    let pairs = direct.lines().zip(through.lines());
    for (direct, through) in pairs {
        assert_eq!(through, direct, "{what}: an answer through the tap differs");
    }
    assert_eq!(through.lines().count(), direct.lines().count(), "{what}: more or fewer answers");
}

/// Every request is one span, and each says what became of it.
fn check(story: &Story, spans: &[Span]) {
    let mut requests = BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    for span in spans {
        assert!(span.end >= span.start, "{span:?}");
        assert_eq!(attribute(span, "network.transport"), "tcp", "{span:?}");
        assert_eq!(attribute(span, "network.protocol.name"), "http", "{span:?}");
        let initiator =
            if attribute(span, "mcpcol.initiator") == "server" { "server" } else { "client" };
        let method = attribute(span, "mcp.method.name").to_owned();
        if method != "server/discover" {
            assert_eq!(attribute(span, "mcp.protocol.version"), story.version, "{span:?}");
        }
        *requests.entry((initiator, method)).or_default() += 1;
        *outcomes.entry(attribute(span, "mcpcol.outcome")).or_insert(0) += 1;
    }
    assert_eq!(
        requests, story.requests,
        "requests in spans, against those that the client counted"
    );

    let outcome =
        |names: &[&str]| names.iter().filter_map(|name| outcomes.get(name)).sum::<usize>();
    // In the legacy era a client says why it gives up; in the modern era it hangs up.
    let timeouts = usize::from(story.version.as_str() < MODERN);
    assert_eq!(outcome(&["timeout"]), timeouts, "{outcomes:?}");
    assert_eq!(outcome(&["cancelled"]), story.given_up - timeouts, "{outcomes:?}");
    assert_eq!(outcome(&["tool_error"]), story.tool_errors, "{outcomes:?}");
    assert_eq!(outcome(&["client_error", "protocol_error"]), story.codes.len(), "{outcomes:?}");
    let good = outcome(&["ok", "input_required"]);
    let bad = story.given_up + story.tool_errors + story.codes.len();
    assert_eq!(good + bad, spans.len(), "an outcome out of place: {outcomes:?}");

    let failed = |span: &&Span| span.status == 2;
    let is_probe = |span: &Span| attribute(span, "mcp.method.name") == "server/discover";
    let refused = |span: &&Span| is_probe(span) && attribute(span, "mcpcol.outcome") != "ok";
    let mut errors: Vec<String> = spans
        .iter()
        .filter(|span| failed(span) || refused(span))
        .filter(|span| !["tool_error", "timeout"].contains(&attribute(span, "mcpcol.outcome")))
        .map(|span| match attribute(span, "mcp.method.name") {
            "server/discover" => "discover".into(),
            _ => attribute(span, "error.type").to_owned(),
        })
        .collect();
    errors.sort();
    assert_eq!(errors, story.codes, "error.type where, and only where, the server gave an error");
    let tool_errors =
        spans.iter().filter(failed).filter(|s| attribute(s, "error.type") == "tool_error");
    assert_eq!(tool_errors.count(), story.tool_errors);
}

/// The one call that carries the client's own trace context.
fn is_traced(spans: &[Span]) {
    let traced: Vec<_> =
        spans.iter().filter(|s| s.trace == "0af7651916cd43dd8448eb211c80319c").collect();
    assert_eq!(traced.len(), 1, "one call carries the client's traceparent");
    assert_eq!(traced[0].name, "tools/call echo");
    assert_eq!(traced[0].parent, "b7ad6b7169203331");
    assert_eq!(traced[0].kind, 3);
    assert!(attribute(traced[0], "mcpcol.arguments.digest").starts_with("hmac-sha256:"));
}

#[test]
#[ignore = "needs scripts/peers http"]
fn the_python_client_gets_the_same_answers_from_server_everything() {
    let spans = same_answers(Driver::PythonAuto, Peer::Everything, &[]);
    is_traced(&spans);
    let probe = named(&spans, "server/discover");
    assert_eq!(attribute(probe[0], "mcpcol.outcome"), "client_error", "it wants a session first");
    let harm = (probe[0].status, attribute(probe[0], "error.type"));
    assert_eq!(harm, (0, ""), "which is how the client finds out");
}

#[test]
#[ignore = "needs scripts/peers http"]
fn the_python_client_in_the_legacy_era_gets_the_same_answers() {
    let spans = same_answers(Driver::PythonLegacy, Peer::Everything, &[]);
    is_traced(&spans);
    assert!(named(&spans, "server/discover").is_empty());
}

#[test]
#[ignore = "needs scripts/peers http"]
fn the_typescript_client_gets_the_same_answers_from_server_everything() {
    is_traced(&same_answers(Driver::TypeScript, Peer::Everything, &[]));
}

#[test]
#[ignore = "needs scripts/peers http"]
fn all_clients_get_the_same_answers_over_the_http_of_2024() {
    for client in [Driver::PythonAuto, Driver::PythonLegacy, Driver::TypeScript] {
        is_traced(&same_answers(client, Peer::EverythingSse, &[]));
    }
}

#[test]
#[ignore = "needs scripts/peers http"]
fn the_python_client_gets_the_same_answers_from_a_modern_server() {
    let spans = same_answers(Driver::PythonAuto, Peer::Modern, &[]);
    is_traced(&spans);
    assert!(named(&spans, "initialize").is_empty(), "the modern era has no handshake");
    let first = named(&spans, "server/discover");
    assert_eq!(attribute(first[0], "mcp.protocol.version"), MODERN);
    assert!(spans.iter().any(|s| attribute(s, "mcpcol.outcome") == "input_required"));
    let listen = named(&spans, "subscriptions/listen");
    assert_eq!(attribute(listen[0], "mcpcol.outcome"), "cancelled", "ended by the client");
}

/// Each request is a call that was sent elsewhere, and one that was answered there.
#[test]
#[ignore = "needs scripts/peers http"]
fn clients_that_are_redirected_get_the_same_answers() {
    for client in [Driver::PythonAuto, Driver::PythonLegacy, Driver::TypeScript] {
        let (_, _, tap) = driven(client, Peer::Mounted, &[]);
        let (spans, _) = tap.stop();
        let sent_elsewhere = |span: &&Span| attribute(span, "error.type") == "307";
        let (elsewhere, here): (Vec<_>, Vec<_>) = spans.iter().partition(sent_elsewhere);
        // What the server asks comes on streams.
        let asked = ["sampling/", "elicitation/", "roots/"];
        let asked = |span: &&&Span| asked.iter().any(|method| span.name.starts_with(method));
        let asked = here.iter().filter(asked).count();
        assert_eq!(elsewhere.len(), here.len() - asked, "{client:?}: {spans:?}");
        assert!(here.iter().any(|span| attribute(span, "mcpcol.outcome") == "ok"));
    }
}

#[test]
#[ignore = "needs scripts/peers http"]
fn a_modern_server_driven_in_the_legacy_era_gives_the_same_answers() {
    for client in [Driver::PythonLegacy, Driver::TypeScript] {
        is_traced(&same_answers(client, Peer::Modern, &[]));
    }
}

#[test]
#[ignore = "needs scripts/peers http"]
fn http_2_through_the_tap_gives_what_http_1_gives_without_it() {
    // The Python client's HTTP/2 mixes up concurrent calls and cannot hang up: not a peer for this.
    for peer in [Peer::Everything, Peer::Modern] {
        is_traced(&same_answers(Driver::TypeScript, peer, &["--http2"]));
    }
}

/// 2026-07-28 by hand, with 30 calls at once, and one that the client hangs up on: the server must
/// hear of it, which the answers show.
#[test]
#[ignore = "needs scripts/peers http"]
fn a_modern_client_that_hangs_up_is_heard_by_the_server_over_either_http() {
    let by_hand = |origin: &str, how: &[&str]| {
        let mut command = Command::new("node");
        command.arg(driver("by_hand.mjs")).args(how).arg(format!("{origin}/mcp"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let server = Peer::Modern.start();
    let direct = by_hand(&server.origin, &[]);
    assert!(direct.contains("1 interrupted"), "{direct}");
    drop(server);

    for how in [&[][..], &["--http2"]] {
        let server = Peer::Modern.start();
        let tap = Tap::before(Peer::Modern, &server);
        let through = by_hand(tap.origin(), how);
        assert_same(&direct, &through, &format!("by hand, {how:?}"));
        let (spans, _) = tap.stop();
        let calls = spans.iter().filter(|s| attribute(s, "mcp.method.name") == "tools/call");
        let mut outcomes = BTreeMap::new();
        for call in calls {
            *outcomes.entry(attribute(call, "mcpcol.outcome")).or_insert(0) += 1;
        }
        let expected = BTreeMap::from([("ok", 34), ("tool_error", 1), ("cancelled", 1)]);
        assert_eq!(outcomes, expected, "{how:?}");
        assert_eq!(spans.len(), 36 + 4, "and discover, tools/list, resources/read, no/such");
    }
}

// === The conformance suite ===

/// The versions that the suite knows.
const VERSIONS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", MODERN];

fn npm_http(name: &str) -> PathBuf {
    peers().join("npm-http/node_modules/.bin").join(name)
}

/// Id, verdict and reason of each check, by scenario.
type Verdicts = BTreeMap<String, Vec<(String, String, String)>>;

/// Runs the suite's scenarios for one version, or all that there are.
fn conformance(url: &str, version: Option<&str>) -> Verdicts {
    let results = tempfile::tempdir().unwrap();
    let mut command = Command::new(npm_http("node"));
    command.arg(npm_http("conformance")).args(["server", "--url", url, "--suite", "all", "-o"]);
    command.arg(results.path());
    if let Some(version) = version {
        command.args(["--spec-version", version]);
    }
    // Its exit code says whether all passed; here it matters only that the same ones did.
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("=== SUMMARY ==="), "{command:?} broke off:\n{said}\n{trouble}");
    let mut verdicts = read_verdicts(results.path());
    // A scenario that broke off wrote no checks, only its reason.
    for line in trouble.lines().filter_map(|line| line.strip_prefix("Failed to run scenario ")) {
        let (name, reason) = line.split_once(": ").unwrap();
        let checks = verdicts.entry(format!("server-{name}")).or_default();
        checks.push(("broke off".into(), reason.into(), String::new()));
    }
    let empty = verdicts.iter().find(|(_, checks)| checks.is_empty());
    assert!(empty.is_none(), "{empty:?} has no verdict");
    verdicts
}

fn read_verdicts(results: &Path) -> Verdicts {
    let mut verdicts = Verdicts::new();
    for scenario in fs::read_dir(results).unwrap().map(Result::unwrap) {
        // server-NAME-2026-07-28T12-00-00-000Z
        let name = scenario.file_name().into_string().unwrap();
        let name = name[..name.len() - "-2026-07-28T12-00-00-000Z".len()].to_owned();
        let checks = fs::read_to_string(scenario.path().join("checks.json"));
        let checks = checks.unwrap_or_else(|_| "[]".into());
        let checks: Vec<Value> = serde_json::from_str(&checks).unwrap();
        let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
        let checks =
            checks.iter().map(|c| (text(c, "id"), text(c, "status"), text(c, "errorMessage")));
        let old = verdicts.insert(name, checks.collect());
        assert!(old.is_none(), "a scenario ran twice");
    }
    verdicts
}

/// A call under a foreign name is refused. The tap does that itself, so it may do better in this check
/// than a server that looks at no names; in this one only.
const REBINDING: &str = "localhost-host-rebinding-rejected";

fn differences(direct: &Verdicts, through: &Verdicts) -> Vec<String> {
    let verdicts = |all: &Verdicts, name: &str, ours: bool| -> Option<Vec<(String, String)>> {
        let verdict = |(id, status, _): &(String, String, String)| {
            let fixed = !ours && id == REBINDING;
            (id.clone(), if fixed { "SUCCESS".into() } else { status.clone() })
        };
        Some(all.get(name)?.iter().map(verdict).collect())
    };
    let names: BTreeSet<&String> = direct.keys().chain(through.keys()).collect();
    let differ = |name: &&&String| verdicts(direct, name, false) != verdicts(through, name, true);
    let show = |name: &String| {
        let (direct, through) = (direct.get(name), through.get(name));
        format!("{name}:\n  directly {direct:?}\n  through the tap {through:?}")
    };
    names.iter().filter(differ).map(|name| show(name)).collect()
}

fn same_verdicts(peer: Peer) {
    let mut scenarios = BTreeSet::new();
    for version in VERSIONS.map(Some).into_iter().chain([None]) {
        let server = peer.start();
        let tap = Tap::before(peer, &server);
        let (direct, through) = thread::scope(|scope| {
            let direct = scope.spawn(|| {
                let server = peer.start();
                conformance(&format!("{}/mcp", server.origin), version)
            });
            let through = conformance(&format!("{}/mcp", tap.origin()), version);
            (direct.join().unwrap(), through)
        });
        let found = differences(&direct, &through);
        assert!(found.is_empty(), "{peer:?}, {version:?}:\n{}", found.join("\n"));
        let (spans, _) = tap.stop();
        assert!(!spans.is_empty(), "{version:?}: the tap saw nothing of it");
        scenarios.extend(direct.into_keys());
    }
    assert!(scenarios.len() > 60, "the suite has shrunk to {}", scenarios.len());
}

#[test]
#[ignore = "needs scripts/peers http"]
fn the_conformance_suite_has_the_same_verdicts_on_server_everything() {
    same_verdicts(Peer::Everything);
}

#[test]
#[ignore = "needs scripts/peers http"]
fn the_conformance_suite_has_the_same_verdicts_on_a_modern_server() {
    same_verdicts(Peer::Modern);
}

// === A browser ===

/// What became of each attempt, by its name.
fn browse(origin: &str) -> BTreeMap<String, Value> {
    let output = Command::new(npm_http("node"))
        .arg(driver("browser.mjs"))
        .arg(origin)
        .env("MCPCOL_PEERS", peers())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (line["step"].as_str().unwrap().to_owned(), line)).collect()
}

/// A page may use the tap as it may use the server, if it is of this machine; without the tap every
/// page may, and one whose name was rebound to this machine as well.
#[test]
#[ignore = "needs scripts/peers http"]
fn a_page_of_this_machine_may_use_the_tap_and_a_foreign_one_may_not() {
    let server = Peer::Everything.start();
    let direct = browse(&server.origin);
    for step in ["local-page", "foreign-page", "rebound-page"] {
        assert_eq!(direct[step]["status"], 200, "without a tap: {}", direct[step]);
    }

    let tap = Tap::before(Peer::Everything, &server);
    let through = browse(tap.origin());
    let local = &through["local-page"];
    assert_eq!(local, &direct["local-page"]);
    assert_eq!(local["session"], true, "the page can read mcp-session-id");
    assert!(local["tools"].as_array().unwrap().len() > 5, "{local}");
    assert_eq!(through["foreign-page"]["error"], "TypeError: Failed to fetch");
    assert_eq!(through["rebound-visit"]["status"], 403);
    assert_eq!(through["rebound-page"]["status"], 403);

    let (spans, _) = tap.stop();
    let seen: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(seen, ["initialize", "tools/list"], "only what the local page asked");
}
