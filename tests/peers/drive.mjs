// Drives an MCP server with the official TypeScript client
// (`@modelcontextprotocol/sdk`).
//
//   node drive.mjs [--dir DIR] SCRIPT -- CMD [ARG...]
//   node drive.mjs [--http2] SCRIPT --http URL
//   node drive.mjs SCRIPT --sse URL
//
// The second client beside drive.py: same scripts (everything, filesystem, memory,
// modern), same kind of output (one JSON line for each answer on stdout, times on
// stderr), same `{dir}`, same things hidden. With --http2 it speaks HTTP/2 and
// nothing else. Its SDK knows the handshake versions
// only, so there is no --mode, and `modern` runs in the legacy era. It ends the
// server differently, numbers its requests from 0 and reports errors in other
// words, so its lines are to be compared with its own and not with drive.py's.
//
// The SDK is taken from $MCPCOL_PEERS, or from .peers at the top of the checkout.
//
// It deliberately does not judge the answers, and does not look at the bytes on
// the wire.

import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { h2fetch } from "./h2.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const peers = path.resolve(process.env.MCPCOL_PEERS ?? path.join(here, "../../.peers"));
const load = createRequire(path.join(peers, "npm/package.json"));
const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = load("@modelcontextprotocol/sdk/client/stdio.js");
const { SSEClientTransport } = load("@modelcontextprotocol/sdk/client/sse.js");
const { StreamableHTTPClientTransport } = load("@modelcontextprotocol/sdk/client/streamableHttp.js");
const types = load("@modelcontextprotocol/sdk/types.js");

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const LOG = "notifications/message";
const UPDATED = "notifications/resources/updated";
const PATIENCE = 30_000; // ms for something the server does on its own
const LIMIT = 120_000; // ms for a whole script

// --- output -------------------------------------------------------------------
// Keys are sorted, so that the order in which a library built an object is no
// difference. What is hidden is listed in drive.py.
function tidy(value, scratch, key = "") {
  if (Array.isArray(value)) return value.map((v) => tidy(v, scratch));
  if (value !== null && typeof value === "object") {
    const sorted = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([k, v]) => [k, tidy(v, scratch, k)]));
  }
  if (typeof value !== "string") return value;
  if (key === "blob") {
    const bytes = Buffer.from(value, "base64");
    if (Buffer.from(bytes.toString("utf8")).equals(bytes)) value = bytes.toString("utf8");
  }
  value = value.replaceAll(scratch, "<dir>");
  value = value.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<uuid>");
  value = value.replace(/created at \d+:\d\d:\d\d(\s[AP]M)?/g, "created at <time>");
  value = value.replace(/^(created|modified|accessed): .+$/gm, "$1: <date>");
  if (/^\[(FILE|DIR)\] /.test(value)) value = value.split("\n").sort().join("\n");
  if (value.length > 1000) {
    value = `<${value.length} characters, sha256 ${createHash("sha256").update(value).digest("hex")}>`;
  }
  return value;
}

// An event that may happen before or after somebody waits for it.
class Count {
  value = 0;
  #waiting = [];
  add() {
    this.value += 1;
    this.#waiting = this.#waiting.filter(([n, go]) => this.value < n || go());
  }
  async reach(n) {
    if (this.value >= n) return;
    let timer;
    const late = new Promise((_, no) => {
      timer = setTimeout(() => no(new Error(`waited in vain for ${n}, have ${this.value}`)), PATIENCE);
    });
    await Promise.race([new Promise((go) => this.#waiting.push([n, go])), late]);
    clearTimeout(timer);
  }
}

// Everything that the client sends over HTTP goes through here.
class Wire {
  requests = {};
  resumed = 0;
  streams = false; // whether an answer comes on a stream of its own
  cutNext = false;
  // Off, but where a stream is broken on purpose: this SDK takes a stream that
  // ended with a JSON-RPC error for a broken one and asks for it again, and
  // server-everything then repeats all that it has said since, on any stream.
  reconnection = { initialReconnectionDelay: 1000, maxReconnectionDelay: 1000, reconnectionDelayGrowFactor: 1, maxRetries: 0 };

  transport(http, sse, http2) {
    this.streams = http !== undefined;
    this.under = http2 ? h2fetch(new URL(http ?? sse).origin) : globalThis.fetch;
    const Transport = http ? StreamableHTTPClientTransport : SSEClientTransport;
    const fetch = (url, init) => this.fetch(url, init);
    return new Transport(new URL(http ?? sse), { fetch, reconnectionOptions: this.reconnection });
  }

  async fetch(url, init) {
    const cut = this.cutNext;
    this.cutNext = false;
    this.count(init);
    const response = await this.under(url, init);
    return cut ? new Response(response.body.pipeThrough(this.cut()), response) : response;
  }

  count(init) {
    if (new Headers(init?.headers).has("last-event-id")) this.resumed += 1;
    if (init?.method !== "POST") return;
    const { id, method } = JSON.parse(init.body);
    if (id !== undefined && method !== undefined) this.requests[method] = (this.requests[method] ?? 0) + 1;
  }

  // Breaks a response's stream once it has brought progress.
  cut() {
    const text = new TextDecoder();
    return new TransformStream({
      transform(chunk, to) {
        to.enqueue(chunk);
        // Only later: an error would take back what has not been read yet.
        if (text.decode(chunk).includes("notifications/progress")) setTimeout(() => to.error("cut on purpose"), 50);
      },
    });
  }
}

class Driver {
  rootsAsked = new Count();
  news = {};
  introduced = new Count();
  notified = {};
  asked = {};
  elicited = 0;
  interrupted = 0;

  constructor(scratch, wire) {
    this.scratch = scratch;
    this.wire = wire;
    const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
    this.client = new Client({ name: "mcpcol-drive-mjs", version: "1" }, { capabilities });
    const c = this.client;

    c.setRequestHandler(types.CreateMessageRequestSchema, ({ params }) => {
      this.ask({ asked: "sampling/createMessage", params });
      const content = { type: "text", text: "a sampled answer" };
      return { role: "assistant", content, model: "drive-model", stopReason: "endTurn" };
    });
    c.setRequestHandler(types.ElicitRequestSchema, ({ params }) => {
      // The first question is accepted, the next declined, and so on.
      const accept = ++this.elicited % 2 === 1;
      this.ask({ asked: "elicitation/create", message: params.message, accept });
      if (!accept) return { action: "decline" };
      return params.mode === "url" ? { action: "accept" } : { action: "accept", content: { name: "Ada" } };
    });
    c.setRequestHandler(types.ListRootsRequestSchema, async () => {
      await this.introduced.reach(1); // a quick server must not get its line in first
      this.ask({ asked: "roots/list" });
      this.rootsAsked.add();
      return { roots: [{ uri: `file://${scratch}`, name: "scratch" }] };
    });
    c.fallbackNotificationHandler = async ({ method }) => this.note(method);
  }

  note(method) {
    if (this.wire && method.endsWith("/list_changed")) return;
    this.notified[method] = (this.notified[method] ?? 0) + 1;
    this.told(method).add();
  }

  // What the server has said on its own so far, and may say more of.
  told(method) {
    return (this.news[method] ??= new Count());
  }

  ask(line) {
    this.asked[line.asked] = (this.asked[line.asked] ?? 0) + 1;
    this.say(line);
  }

  say(line) {
    console.log(JSON.stringify(tidy(line, this.scratch)));
  }

  // What came of a call, as plain data.
  async answer(call) {
    try {
      return { result: await call };
    } catch (e) {
      return { error: { code: e.code ?? e.name, message: e.message, data: e.data } };
    }
  }

  async step(name, call) {
    this.say({ step: name, ...(await this.answer(call)) });
  }

  call(tool, args = {}, options = {}, _meta = undefined) {
    // The plain request and not callTool(): that one also checks the tool lists
    // it has seen, and would keep some of these calls from the wire.
    const params = { name: tool, arguments: args, ...(_meta && { _meta }) };
    return this.client.request({ method: "tools/call", params }, types.CallToolResultSchema, options);
  }

  async tool(name, tool, args, options, meta) {
    await this.step(name, this.call(tool, args, options, meta));
  }

  async withProgress(name, tool, args) {
    const seen = [];
    // The last step is left out: the SDK forgets the callback when the response
    // arrives in the same read as that notification, so it is a matter of luck.
    const onprogress = ({ progress, total, message }) => {
      if (progress < total) seen.push([progress, total, message ?? null]);
    };
    const got = await this.answer(this.call(tool, args, { onprogress }));
    this.say({ step: name, progress: seen, ...got });
  }

  // Gives the call up as soon as it has shown that it is running.
  async cancelled(name, tool, args) {
    const abort = new AbortController();
    const onprogress = () => abort.abort("seen enough");
    const got = await this.answer(this.call(tool, args, { onprogress, signal: abort.signal }));
    this.interrupted += 1;
    this.say({ step: name, ...got });
  }

  // Breaks the stream that the answer is to come on, where there is one: the
  // client comes back for it with the last event's id.
  async cut(name, tool, args) {
    if (!this.wire?.streams) return;
    this.wire.cutNext = true;
    await this.resumed(name, () => this.withProgress(name, tool, args));
  }

  async resumed(name, step) {
    if (!this.wire?.streams) return step();
    this.wire.reconnection.maxRetries = 2;
    this.wire.resumed = 0;
    await step();
    this.wire.reconnection.maxRetries = 0;
    this.say({ step: `${name}/asked-again`, count: this.wire.resumed });
  }

  // Sends all calls before any is answered; reports them by name.
  async atOnce(name, calls) {
    const got = await Promise.all(Object.entries(calls).map(async ([key, call]) => [key, await this.answer(call)]));
    for (const [key, line] of got.sort(([a], [b]) => (a < b ? -1 : 1))) this.say({ step: `${name}/${key}`, ...line });
  }

  connected(version) {
    const c = this.client;
    this.say({
      step: "connect",
      version,
      server: c.getServerVersion(),
      capabilities: c.getServerCapabilities(),
      instructions: c.getInstructions() ?? null,
    });
    this.introduced.add();
  }
}

// --- scripts: what each part is for is said in drive.py -------------------------
async function everything(d) {
  const c = d.client;
  await d.rootsAsked.reach(1);
  await d.told(LOG).reach(1);

  await d.step("tools/list", c.listTools());
  await d.tool("echo", "echo", { message: "hello" });
  await d.tool("echo-text", "echo", { message: 'h\u00e9llo \u2603 \u{1f600} "quoted" \\ tab\t line\n and \u2028 end' });
  await d.tool("echo-long", "echo", { message: "0123456789abcdef".repeat(20000) });
  await d.tool("echo-traced", "echo", { message: "traced" }, {}, { traceparent: TRACEPARENT });
  await d.tool("sum", "get-sum", { a: 2, b: 40 });
  await d.tool("bad-arguments", "get-sum", { a: "two" });
  await d.tool("unknown-tool", "no-such-tool");
  await d.tool("needs-a-task", "simulate-research-query", { topic: "otters" });
  await d.tool("structured", "get-structured-content", { location: "Chicago" });
  await d.tool("annotated", "get-annotated-message", { messageType: "error", includeImage: true });
  await d.tool("image", "get-tiny-image");
  await d.tool("links", "get-resource-links", { count: 3 });
  await d.tool("reference", "get-resource-reference", { resourceType: "Text", resourceId: 7 });
  await d.withProgress("progress", "trigger-long-running-operation", { duration: 0.6, steps: 3 });

  await d.step("resources/list", c.listResources());
  await d.step("templates/list", c.listResourceTemplates());
  await d.step("read-document", c.readResource({ uri: "demo://resource/static/document/features.md" }));
  await d.step("read-text", c.readResource({ uri: "demo://resource/dynamic/text/1" }));
  await d.step("read-blob", c.readResource({ uri: "demo://resource/dynamic/blob/2" }));
  await d.step("read-unknown", c.readResource({ uri: "demo://resource/nowhere" }));
  await d.step("subscribe", c.subscribeResource({ uri: "demo://resource/dynamic/text/1" }));
  await d.tool("updates-on", "toggle-subscriber-updates");
  await d.told(UPDATED).reach(1);
  await d.tool("updates-off", "toggle-subscriber-updates");
  await d.step("unsubscribe", c.unsubscribeResource({ uri: "demo://resource/dynamic/text/1" }));

  await d.step("prompts/list", c.listPrompts());
  await d.step("prompt", c.getPrompt({ name: "simple-prompt" }));
  await d.step("prompt-arguments", c.getPrompt({ name: "args-prompt", arguments: { city: "Oslo", state: "\u00d8st" } }));
  const embedded = { resourceType: "Blob", resourceId: "3" };
  await d.step("prompt-resource", c.getPrompt({ name: "resource-prompt", arguments: embedded }));
  await d.step("prompt-incomplete", c.getPrompt({ name: "args-prompt", arguments: {} }));
  await d.step("prompt-unknown", c.getPrompt({ name: "no-such-prompt" }));
  const ref = { type: "ref/prompt", name: "completable-prompt" };
  await d.step("complete", c.complete({ ref, argument: { name: "department", value: "S" } }));
  const context = { arguments: { department: "Sales" } };
  await d.step("complete-in-context", c.complete({ ref, argument: { name: "name", value: "" }, context }));
  await d.step("ping", c.ping());
  await d.step("set-level", c.setLoggingLevel("debug"));

  await d.tool("sampling", "trigger-sampling-request", { prompt: "say something", maxTokens: 20 });
  await d.tool("elicitation-accepted", "trigger-elicitation-request");
  await d.tool("elicitation-declined", "trigger-elicitation-request");
  const look = { url: "https://example.com/consent", message: "please look", elicitationId: "look-1" };
  await d.tool("elicitation-url", "trigger-url-elicitation", look);
  await d.tool("roots", "get-roots-list");
  const logs = d.told(LOG).value;
  await c.sendRootsListChanged();
  await d.told(LOG).reach(logs + 1);

  const calls = { slow: d.call("trigger-long-running-operation", { duration: 0.4, steps: 1 }) };
  for (let i = 0; i < 10; i++) calls[`sum-${i}`] = d.call("get-sum", { a: i, b: 100 });
  await d.atOnce("at-once", calls);
  await d.cut("cut", "trigger-long-running-operation", { duration: 0.6, steps: 3 });
  await d.cancelled("cancelled", "trigger-long-running-operation", { duration: 1.0, steps: 5 });
  await d.tool("timed-out", "trigger-long-running-operation", { duration: 1.0, steps: 1 }, { timeout: 300 });
  await d.tool("still-there", "echo", { message: "after the cancellation" });
  await d.tool("outlasting", "trigger-long-running-operation", { duration: 1.2, steps: 1 });
}

async function filesystem(d) {
  await d.rootsAsked.reach(1);
  const at = (...names) => path.join(d.scratch, ...names);
  await d.step("tools/list", d.client.listTools());
  await d.tool("allowed", "list_allowed_directories");
  await d.tool("write", "write_file", { path: at("a.txt"), content: "first line\nsecond l\u00efne\n" });
  await d.tool("read", "read_text_file", { path: at("a.txt") });
  await d.tool("read-head", "read_text_file", { path: at("a.txt"), head: 1 });
  const edit = { path: at("a.txt"), edits: [{ oldText: "second l\u00efne", newText: "line two" }] };
  await d.tool("edit-dry", "edit_file", { ...edit, dryRun: true });
  await d.tool("edit", "edit_file", edit);
  await d.tool("edit-again", "edit_file", edit);
  await d.tool("mkdir", "create_directory", { path: at("sub", "deep") });
  await d.tool("write-deep", "write_file", { path: at("sub", "deep", "b.txt"), content: "b" });
  await d.tool("list", "list_directory", { path: d.scratch });
  await d.tool("tree", "directory_tree", { path: at("sub") });
  await d.tool("search", "search_files", { path: d.scratch, pattern: "**/b.txt" });
  await d.tool("info", "get_file_info", { path: at("a.txt") });
  await d.tool("read-many", "read_multiple_files", { paths: [at("a.txt"), at("missing.txt")] });
  await d.tool("move", "move_file", { source: at("a.txt"), destination: at("c.txt") });
  await d.tool("read-moved", "read_text_file", { path: at("a.txt") });
  await d.tool("outside", "read_text_file", { path: "/etc/hostname" });
  const dots = `${d.scratch}/${path.relative(d.scratch, "/etc/hostname")}`;
  await d.tool("outside-by-dots", "write_file", { path: dots, content: "no" });
  await d.tool("bad-arguments", "write_file", { path: at("d.txt") });
  await d.tool("write-long", "write_file", { path: at("long.txt"), content: "long line \u2603\n".repeat(30000) });
  await d.tool("read-long", "read_text_file", { path: at("long.txt") });
  const calls = {};
  for (let i = 0; i < 8; i++) calls[`read-${i}`] = d.call("read_text_file", { path: at("c.txt"), head: 1 });
  await d.atOnce("at-once", calls);
  await d.step("resources/list", d.client.listResources());
}

async function memory(d) {
  const entities = [
    { name: "Ada", entityType: "person", observations: ["wrote notes", "likes engines"] },
    { name: "Engine", entityType: "machine", observations: ["never built"] },
    { name: "\u0141\u00f3d\u017a", entityType: "city", observations: ["has no \u2028 in it"] },
  ];
  const relation = { from: "Ada", to: "Engine", relationType: "describes" };
  await d.step("tools/list", d.client.listTools());
  await d.tool("empty", "read_graph");
  await d.tool("entities", "create_entities", { entities });
  await d.tool("relations", "create_relations", { relations: [relation] });
  await d.tool("observe", "add_observations", { observations: [{ entityName: "Ada", contents: ["born 1815"] }] });
  await d.tool("observe-unknown", "add_observations", { observations: [{ entityName: "Nobody", contents: ["?"] }] });
  await d.tool("graph", "read_graph");
  await d.tool("search", "search_nodes", { query: "engine" });
  await d.tool("open", "open_nodes", { names: ["Ada", "Nobody"] });
  await d.tool("bad-arguments", "create_entities", { entities: "none" });
  const calls = {};
  for (let i = 0; i < 6; i++) calls[`search-${i}`] = d.call("search_nodes", { query: "Ada" });
  await d.atOnce("at-once", calls);
  await d.tool("forget-relation", "delete_relations", { relations: [relation] });
  await d.tool("forget-entity", "delete_entities", { entityNames: ["Engine"] });
  await d.tool("graph-after", "read_graph");
  await d.step("resources/list", d.client.listResources());
}

async function modern(d) {
  const c = d.client;
  await d.step("tools/list", c.listTools());
  await d.tool("echo", "echo", { text: "h\u00e9llo \u2028 \u2603" });
  await d.tool("echo-long", "echo", { text: "0123456789abcdef".repeat(20000) });
  await d.tool("echo-traced", "echo", { text: "traced" }, {}, { traceparent: TRACEPARENT });
  await d.tool("add", "add", { a: 2, b: 40 });
  await d.tool("bad-arguments", "add", { a: "two" });
  await d.tool("fail", "fail", { reason: "on purpose" });
  await d.tool("unknown-tool", "no-such-tool");
  await d.withProgress("progress", "slow", { seconds: 0.3, steps: 3 });
  await d.tool("ask-accepted", "ask", { greeting: "Hello" });
  await d.tool("ask-declined", "ask", { greeting: "Hello" });
  await d.step("resources/list", c.listResources());
  await d.step("read", c.readResource({ uri: "note://today" }));
  await d.step("read-unknown", c.readResource({ uri: "note://nowhere" }));
  await d.step("prompts/list", c.listPrompts());
  await d.step("prompt", c.getPrompt({ name: "greet", arguments: { name: "Ada" } }));
  await d.step("prompt-unknown", c.getPrompt({ name: "no-such-prompt" }));
  await d.step("ping", c.ping());
  const calls = { slow: d.call("slow", { seconds: 0.4, steps: 1 }) };
  for (let i = 0; i < 10; i++) calls[`add-${i}`] = d.call("add", { a: i, b: 100 });
  await d.atOnce("at-once", calls);
  await d.cut("cut", "slow", { seconds: 0.6, steps: 3 });
  await d.resumed("hung-up", () => d.tool("hung-up", "hang_up"));
  await d.cancelled("cancelled", "slow", { seconds: 5, steps: 50 });
  await d.tool("server-knows", "interrupted", { count: d.interrupted });
  await d.tool("timed-out", "slow", { seconds: 5, steps: 1 }, { timeout: 300 });
  await d.tool("still-there", "echo", { text: "after the cancellation" });
}

// --- main ---------------------------------------------------------------------
const scripts = { everything, filesystem, memory, modern };

function usage(why) {
  console.error(`drive.mjs: ${why}\nusage: node drive.mjs [--dir DIR] SCRIPT (-- CMD [ARG...] | --http URL | --sse URL)`);
  process.exit(2);
}

const argv = process.argv.slice(2);
const split = argv.includes("--") ? argv.indexOf("--") : argv.length;
const command = argv.slice(split + 1);
const { values, positionals } = parseArgs({
  args: argv.slice(0, split),
  options: {
    dir: { type: "string" },
    http: { type: "string" },
    http2: { type: "boolean" },
    sse: { type: "string" },
  },
  allowPositionals: true,
});
const { dir, http, http2, sse } = values;
const [script] = positionals;
if (positionals.length !== 1 || !Object.hasOwn(scripts, script)) usage("want one SCRIPT");
if ([command.length > 0, http !== undefined, sse !== undefined].filter(Boolean).length !== 1) {
  usage("want one of -- CMD, --http and --sse");
}

const scratch = realpathSync(dir ?? mkdtempSync(path.join(tmpdir(), "drive-")));
if (readdirSync(scratch).length > 0) usage(`${dir} is not empty`);
const limit = setTimeout(() => {
  console.error(`drive.mjs: not done after ${LIMIT / 1000} s`);
  process.exit(1);
}, LIMIT);

function spawned() {
  const [cmd, ...args] = command.map((part) => part.replaceAll("{dir}", scratch));
  // Without MEMORY_FILE_PATH server-memory would write into its own installation.
  const env = { ...process.env, MEMORY_FILE_PATH: path.join(scratch, "memory.jsonl") };
  return new StdioClientTransport({ command: cmd, args, env, stderr: "inherit" });
}

try {
  const wire = command.length === 0 ? new Wire() : null;
  const transport = wire ? wire.transport(http, sse, http2) : spawned();
  let version = null;
  const pass = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (v) => {
    version = v;
    pass?.(v);
  };
  const d = new Driver(scratch, wire);
  const started = performance.now();
  await d.client.connect(transport);
  const ready = performance.now();
  d.connected(version);
  await scripts[script](d);
  d.say({ step: "notifications", counts: d.notified });
  if (wire) d.say({ step: "wire", asked: d.asked, requests: wire.requests });
  const session = transport.sessionId ?? transport._endpoint?.searchParams.get("sessionId");
  if (session) console.error(`session ${session}`); // so that a test can look for it
  const closing = performance.now();
  await transport.terminateSession?.();
  await d.client.close();
  const s = (from, to) => `${((to - from) / 1000).toFixed(2)} s`;
  console.error(
    `drive.mjs ${script}: connected after ${s(started, ready)}, script ${s(ready, closing)}, ` +
      `closing ${s(closing, performance.now())}`,
  );
} finally {
  clearTimeout(limit);
  if (dir === undefined) rmSync(scratch, { recursive: true, force: true });
}
// A grandchild that outlived its parent may still hold the pipe that the SDK
// reads, and that alone would keep this process from ending.
process.exit();
