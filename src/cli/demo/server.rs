//! The demo's MCP server: a real child process that speaks MCP 2025-11-25 on stdio, one line a message.
//!
//! Small on purpose: it answers what the demo's client sends and nothing else.

use std::io::{self, BufRead, Write};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use super::telemetry::Telemetry;

/// Serves until stdin ends.
pub(super) fn serve(input: impl BufRead, output: impl Write) -> io::Result<()> {
    let mut server = Server { output, calls: 0 };
    for line in input.lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        server.answer(&message)?;
    }
    Ok(())
}

struct Server<W> {
    output: W,
    calls: u32,
}

impl<W: Write> Server<W> {
    fn answer(&mut self, message: &Value) -> io::Result<()> {
        let (Some(id), Some(method)) = (message.get("id"), message["method"].as_str()) else {
            return Ok(());
        };
        let outcome = match method {
            "initialize" => Ok(json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}, "serverExecutionTelemetry": {
                    "version": "2026-03-01", "signals": {"traces": {"supported": true}},
                }},
                "serverInfo": {"name": "demo-files", "version": env!("CARGO_PKG_VERSION")},
            })),
            "tools/list" => Ok(json!({"tools": TOOLS.map(tool)})),
            "tools/call" => self.call(&message["params"])?,
            _ => Err((-32601, "Method not found")),
        };
        let body = match outcome {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err((code, text)) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": text}})
            }
        };
        self.send(&body)
    }

    fn call(&mut self, params: &Value) -> io::Result<Result<Value, (i32, &'static str)>> {
        self.calls += 1;
        // Uneven on purpose, so that p50 and p95 differ.
        let work = Duration::from_millis(u64::from(2 + self.calls * 7 % 23));
        Ok(match params["name"].as_str() {
            Some("search_files") => {
                pause(work);
                Ok(text("src/main.rs\nsrc/lib.rs", false))
            }
            Some("read_file") => {
                pause(work / 2);
                Ok(text(&"fn main() {}\n".repeat(40), false))
            }
            Some("write_file") => {
                pause(work / 2);
                Ok(text("permission denied: the workspace is read-only", true))
            }
            Some("build_report") => {
                let mut telemetry = Telemetry::of(&params["_meta"], "build_report");
                for (step, name) in (1..).zip(["collect", "render", "upload"]) {
                    let begun = telemetry.now();
                    pause(Duration::from_millis(150));
                    telemetry.step(name, begun);
                    self.progress(&params["_meta"]["progressToken"], step)?;
                }
                let mut result = text("report built", false);
                if let Some(spans) = telemetry.hand_back() {
                    result["_meta"] = json!({"otel": {"traces": spans}});
                }
                Ok(result)
            }
            _ => Err((-32602, "Unknown tool")),
        })
    }

    fn progress(&mut self, token: &Value, step: u32) -> io::Result<()> {
        if token.is_null() {
            return Ok(());
        }
        self.send(&json!({
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": {"progressToken": token, "progress": step, "total": 3},
        }))
    }

    fn send(&mut self, message: &Value) -> io::Result<()> {
        writeln!(self.output, "{message}")?;
        self.output.flush()
    }
}

const TOOLS: [&str; 4] = ["search_files", "read_file", "write_file", "build_report"];

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "", "inputSchema": {"type": "object"}})
}

fn text(text: &str, is_error: bool) -> Value {
    json!({"content": [{"type": "text", "text": text}], "isError": is_error})
}

/// Work that takes time: a wait on a channel that nobody writes to.
fn pause(time: Duration) {
    let (_writer, reader) = mpsc::sync_channel::<()>(0);
    reader.recv_timeout(time).ok();
}
