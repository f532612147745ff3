// Connects to a stdio MCP server with the official TypeScript client and closes again.
//
//   node close.mjs CMD [ARG...]
//
// Prints `connected` once the handshake is done. What is of interest is which processes are left
// afterwards; it deliberately calls nothing. The SDK is found as drive.mjs finds it.

import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const peers = path.resolve(process.env.MCPCOL_PEERS ?? path.join(here, "../../.peers"));
const load = createRequire(path.join(peers, "npm/package.json"));
const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = load("@modelcontextprotocol/sdk/client/stdio.js");

const [command, ...args] = process.argv.slice(2);
const client = new Client({ name: "mcpcol-close-ts", version: "1" });
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
console.log("connected");
await client.close();
process.exit(0);
