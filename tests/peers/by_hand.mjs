// Speaks 2026-07-28 to modern_server.py by hand: the TypeScript SDK knows the
// handshake versions only, and the Python SDK's HTTP/2 cannot hang up.
//
//   node by_hand.mjs [--http2] URL
//
// Prints one JSON line for each answer, with its status, as the drivers do, and in
// the end how many requests of each method it sent. What it is there for: a client
// that hangs up in the middle of a call gives the call up, and the server must hear
// of it, whatever is in between. It deliberately does not judge.

import { h2fetch } from "./h2.mjs";

const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "mcpcol-by-hand", version: "1" },
};

const [url] = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const get = process.argv.includes("--http2") ? h2fetch(new URL(url).origin) : fetch;
const requests = {};
let ids = 0;

const say = (line) => console.log(JSON.stringify(line));

function post(method, params = {}, _meta = {}, signal = undefined) {
  requests[method] = (requests[method] ?? 0) + 1;
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": VERSION,
    "mcp-method": method,
    ...((params.name ?? params.uri) && { "mcp-name": params.name ?? params.uri }),
  };
  const message = { jsonrpc: "2.0", id: ++ids, method, params: { ...params, _meta: { ...META, ..._meta } } };
  return get(url, { method: "POST", headers, body: JSON.stringify(message), signal });
}

// The messages of an answer, one at a time: all of a stream, or the one of a body.
async function* messages(response) {
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    yield await response.json();
    return;
  }
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (text + chunk).split(/\r?\n\r?\n/);
    text = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}

async function ask(step, method, params, meta) {
  const response = await post(method, params, meta);
  const seen = [];
  for await (const { method, params, result, error } of messages(response)) {
    seen.push(method ? { method, progress: params.progress } : { result, error });
  }
  return { step, status: response.status, seen };
}

const call = (step, name, args, meta) => ask(step, "tools/call", { name, arguments: args }, meta);

say(await ask("discover", "server/discover"));
say(await ask("tools", "tools/list"));
say(await call("add", "add", { a: 2, b: 40 }));
say(await call("long", "echo", { text: "0123456789abcdef".repeat(20000) }));
say(await call("fail", "fail", { reason: "on purpose" }));
say(await ask("unknown", "resources/read", { uri: "note://nowhere" }));
say(await ask("no-such-method", "no/such"));
say(await call("progress", "slow", { seconds: 0.3, steps: 3 }, { progressToken: "p" }));
const calls = Array.from({ length: 30 }, (_, i) => call(`at-once/${i}`, "add", { a: i, b: 100 }));
for (const line of await Promise.all(calls)) say(line);

const hangUp = new AbortController();
try {
  const params = { name: "slow", arguments: { seconds: 30, steps: 300 } };
  const response = await post("tools/call", params, { progressToken: "q" }, hangUp.signal);
  for await (const { method } of messages(response)) {
    say({ step: "hung-up", status: response.status, after: method });
    hangUp.abort();
    break;
  }
} catch (error) {
  if (!hangUp.signal.aborted) throw error;
}
say(await call("server-knows", "interrupted", { count: 1 }));
say({ step: "wire", requests });
process.exit();
