// `fetch` over HTTP/2 without TLS, which Node's own does not offer: prior knowledge,
// one connection for all, and whoever stops reading resets the stream. As much of it
// as the drivers need.

import http2 from "node:http2";
import { Readable } from "node:stream";

const BODILESS = [204, 205, 304];

export function h2fetch(origin) {
  const session = http2.connect(origin);
  return (url, init = {}) =>
    new Promise((resolve, reject) => {
      const { pathname, search } = new URL(url);
      const headers = Object.fromEntries(new Headers(init.headers));
      const { method = "GET", signal } = init;
      const stream = session.request({ ":method": method, ":path": pathname + search, ...headers }, { signal });
      stream.on("error", reject);
      stream.on("response", ({ ":status": status, ...head }) => {
        const answer = Object.entries(head).map(([name, value]) => [name, String(value)]);
        if (BODILESS.includes(status)) stream.resume();
        const body = BODILESS.includes(status) ? null : Readable.toWeb(stream);
        resolve(new Response(body, { status, headers: answer }));
      });
      stream.end(init.body);
    });
}
