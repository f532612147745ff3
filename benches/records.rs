//! What would worry us: `mcpcol stats` over a gigabyte of records in more than five seconds.
//!
//! The command as a process of its own, over OTLP JSON lines as the `file` exporter writes them, 20 spans a
//! line; medians, printed as MB/s and as spans a second beside `cat` of the same file. `MIB=1024` sets the size (256).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// Each command runs so often.
const TIMES: usize = 5;
/// Spans of a line: taps coalesce what comes within 200 ms.
const SPANS: usize = 20;

fn main() -> anyhow::Result<()> {
    let mib: u64 = std::env::var("MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(256);
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("spans.jsonl");
    let spans = write(&file, mib << 20)?;
    let bytes = file.metadata()?.len();
    let mut report = format!("{} MB, {spans} spans\n", bytes / 1_000_000);
    for (name, args) in [
        ("cat", &["cat"][..]),
        ("stats", &[env!("CARGO_BIN_EXE_mcpcol"), "stats"]),
        ("stats, foreign", &[env!("CARGO_BIN_EXE_mcpcol"), "stats", "--count", "client"]),
        ("sessions", &[env!("CARGO_BIN_EXE_mcpcol"), "sessions"]),
    ] {
        let mut took: Vec<_> = (0..TIMES).map(|_| run(args, &file)).collect::<Result<_, _>>()?;
        took.sort();
        let seconds = took[TIMES / 2].as_secs_f64();
        let (mb, rate) = (bytes as f64 / 1e6 / seconds, spans as f64 / seconds);
        writeln!(report, "{name:16}{seconds:8.2} s{mb:8.0} MB/s{rate:12.0} spans/s")?;
    }
    Ok(io::stdout().write_all(report.as_bytes())?)
}

fn run(args: &[&str], file: &Path) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut command = Command::new(args[0]);
    command.args(&args[1..]).arg(file).stdin(Stdio::null());
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    status.success().then_some(()).with_context(|| format!("{args:?} ended with {status}"))?;
    Ok(begun.elapsed())
}

/// Writes so many bytes, or a little more; how many spans that are.
fn write(file: &Path, bytes: u64) -> anyhow::Result<u64> {
    let mut out = BufWriter::new(File::create(file)?);
    let (mut written, mut spans) = (0, 0);
    while written < bytes {
        let mut line = String::from(HEAD);
        for n in 0..SPANS {
            line.push_str(if n == 0 { "" } else { "," });
            spans += 1;
            span(spans, &mut line)?;
        }
        line.push_str("]}]}]}\n");
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    out.flush()?;
    Ok(spans)
}

const HEAD: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"mcpcol"}},{"key":"mcpcol.server.name","value":{"stringValue":"files"}}]},"scopeSpans":[{"scope":{"name":"mcpcol","version":"0.1.0"},"spans":["#;

/// A call of one of a hundred tools, of a session of a thousand calls.
fn span(n: u64, out: &mut String) -> std::fmt::Result {
    let (start, tool, session) = (1_796_122_010_000_000_000 + n * 1_000_000, n % 100, n / 1000);
    let end = start + 1_000_000 + n * 7919 % 50_000_000;
    let texts = [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", &format!("tool_{tool}")),
        ("jsonrpc.request.id", &n.to_string()),
        ("mcp.protocol.version", "2025-11-25"),
        ("network.transport", "pipe"),
        ("peer.service", "files"),
        ("mcpcol.session.id", &format!("{session:032x}")),
        ("mcpcol.client.name", "agent"),
        ("mcpcol.client.version", "0.1.0"),
        ("mcpcol.outcome", "ok"),
        (
            "mcpcol.arguments.digest",
            "hmac-sha256:69a2610a:e1fa63e28eaf5d623ef860dc4e6cfe8969833be636364f56a9be340f73ff42f2",
        ),
    ];
    write!(
        out,
        r#"{{"traceId":"{:032x}","spanId":"{n:016x}","parentSpanId":"00f067aa0ba902b7","name":"tools/call tool_{tool}","kind":3,"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}","attributes":["#,
        u128::from(n) << 64 | 1
    )?;
    for (key, value) in texts {
        write!(out, r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}},"#)?;
    }
    out.push_str(r#"{"key":"mcpcol.request.size","value":{"intValue":"224"}},{"key":"mcpcol.response.size","value":{"intValue":"112"}}],"status":{},"flags":257}"#);
    Ok(())
}
