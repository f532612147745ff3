//! The demo's agent: an MCP client that drives a server over two pipes, one call at a time.

use std::io::{BufRead, Write};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// A connection to a server.
pub(super) struct Client<W, R> {
    to: W,
    from: R,
    next_id: u64,
    /// Every call is made within one trace, as an instrumented agent would.
    trace_id: String,
}

impl<W: Write, R: BufRead> Client<W, R> {
    pub(super) fn new(to: W, from: R, trace_id: String) -> Self {
        Client { to, from, next_id: 1, trace_id }
    }

    /// The handshake.
    pub(super) fn initialize(&mut self) -> anyhow::Result<()> {
        self.request(
            "initialize",
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "demo-agent", "version": env!("CARGO_PKG_VERSION")},
            }),
        )?;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        self.request("tools/list", json!({}))?;
        Ok(())
    }

    /// Calls a tool; the whole answer, whatever it says.
    pub(super) fn call(&mut self, tool: &str, arguments: Value) -> anyhow::Result<Value> {
        let id = self.next_id;
        let parent = format!("00-{}-{:016x}-01", self.trace_id, id + 0xa9e0_0000_0000);
        let meta = json!({"traceparent": parent, "progressToken": id});
        self.request("tools/call", json!({"name": tool, "arguments": arguments, "_meta": meta}))
    }

    fn request(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.from.read_line(&mut line).context("cannot read from the tap")? == 0 {
                bail!("the server ended before it answered {method}");
            }
            let message: Value = serde_json::from_str(&line).context("not JSON")?;
            if message["id"] == json!(id) {
                return Ok(message);
            }
        }
    }

    fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        writeln!(self.to, "{message}")?;
        Ok(self.to.flush()?)
    }
}
