"""Drives an MCP server with the official Python client (`mcp`).

    drive.py [--mode auto|legacy] [--dir DIR] SCRIPT -- CMD [ARG...]
    drive.py [--mode auto|legacy] SCRIPT --http URL
    drive.py [--mode auto|legacy] SCRIPT --sse URL

SCRIPT is one of everything, filesystem, memory, modern. CMD is spawned by the
SDK's own stdio client with this process's environment; it is the server itself
or a wrapper around it. `{dir}` in an ARG stands for the scratch directory: DIR,
which must be empty, or a temporary one. URL is a server, or a proxy before one,
that speaks streamable HTTP or the older HTTP with server-sent events. Every answer
becomes one JSON line on stdout, so that a test can compare a direct run with one
through a tap; how long the work and the closing took goes to stderr, and `session
ID` where HTTP had one. Exits with 0 when the script ran to its end, whatever the
answers were.

Over HTTP the scripts also break a stream in the middle of a call, and the last
line counts what went over the wire, as a check on whoever counts it on the way.

It deliberately does not judge the answers (an expected error and a result are
both just lines), does not look at the bytes on the wire, and hides nothing but
what no two runs can have in common:
  - the scratch directory's path              -> <dir>
  - random ids (sessions, elicitations)       -> <uuid>
  - over HTTP, how often lists were said to have changed: most of it is said while
    the stream for it is being opened, and whoever loses that race is not told
  - the clock time in server-everything's dynamic resources
                                              -> created at <time>
  - dates of file info in server-filesystem   -> <date>
  - the order of a directory listing, which is the file system's own
  - text longer than 1000 characters          -> its length and SHA-256
Blobs are decoded first when they are text, so that the rules reach into them.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
import warnings

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

# A parent the client is supposed to have, for the one call that carries it.
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LOG = "notifications/message"
UPDATED = "notifications/resources/updated"
PATIENCE = 30.0  # seconds for something the server does on its own
LIMIT = 120.0  # seconds for a whole script


class Cut(httpx2.AsyncByteStream):
    """A response's stream that breaks once it has brought progress."""

    def __init__(self, stream: httpx2.AsyncByteStream):
        self.stream = stream

    async def __aiter__(self):
        async for chunk in self.stream:
            yield chunk
            if b"notifications/progress" in chunk:
                raise httpx2.ReadError("cut on purpose")

    async def aclose(self):
        await self.stream.aclose()


class Wire(httpx2.AsyncHTTPTransport):
    """Everything that the client sends over HTTP goes through here."""

    def __init__(self):
        super().__init__()
        self.requests: dict[str, int] = {}
        self.sessions: set[str] = set()
        self.resumed = 0
        self.streams = False  # whether an answer comes on a stream of its own
        self.cut_next = False

    async def handle_async_request(self, request):
        self.count(request)
        response = await super().handle_async_request(request)
        if response.has_redirect_location:
            return response
        cut, self.cut_next = self.cut_next, False
        if session := response.headers.get("mcp-session-id"):
            self.sessions.add(session)
        if cut:
            response.stream = Cut(response.stream)
        return response

    def count(self, request):
        try:
            content = request.content
        except httpx2.RequestNotRead:
            return  # the same again, because it was redirected
        self.resumed += "last-event-id" in request.headers
        if request.method == "POST":
            message = json.loads(content)
            if "id" in message and "method" in message:
                self.requests[message["method"]] = self.requests.get(message["method"], 0) + 1

    @contextlib.asynccontextmanager
    async def streamable(self, url: str):
        self.streams = True
        async with self.client() as client, streamable_http_client(url, http_client=client) as streams:
            yield streams

    def sse(self, url: str):
        return sse_client(url, httpx_client_factory=self.client, on_session_created=self.sessions.add)

    def client(self, headers=None, timeout=None, auth=None):
        return httpx2.AsyncClient(transport=self, timeout=timeout or PATIENCE)


class Driver:
    def __init__(self, server, mode: str, scratch: str, wire: Wire | None = None):
        self.scratch = scratch
        self.wire = wire
        self.introduced = anyio.Event()
        self.roots_asked = anyio.Event()
        self.news = anyio.Condition()
        self.notified: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.elicited = 0
        self.interrupted = 0
        self.client = Client(
            server,
            mode=mode,
            client_info=types.Implementation(name="mcpcol-drive-py", version="1"),
            sampling_callback=self.on_sampling,
            elicitation_callback=self.on_elicitation,
            list_roots_callback=self.on_roots,
            message_handler=self.on_message,
        )

    # --- output ---------------------------------------------------------------
    def tidy(self, value, key=""):
        if isinstance(value, dict):
            return {k: self.tidy(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.tidy(v) for v in value]
        if not isinstance(value, str):
            return value
        if key == "blob":
            with contextlib.suppress(UnicodeDecodeError):
                value = base64.b64decode(value).decode()
        value = value.replace(self.scratch, "<dir>")
        value = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", value)
        value = re.sub(r"created at \d+:\d\d:\d\d(\s[AP]M)?", "created at <time>", value)
        value = re.sub(r"(?m)^(created|modified|accessed): .+$", r"\1: <date>", value)
        if re.match(r"\[(FILE|DIR)\] ", value):
            value = "\n".join(sorted(value.split("\n")))
        if len(value) > 1000:
            value = f"<{len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()}>"
        return value

    def say(self, **line):
        print(json.dumps(self.tidy(line), sort_keys=True), flush=True)

    def ask(self, method: str, **line):
        self.asked[method] = self.asked.get(method, 0) + 1
        self.say(asked=method, **line)

    async def answer(self, call) -> dict:
        """Waits for a call; what came of it, as plain data."""
        try:
            result = await call
        except MCPError as e:
            error = {"code": e.error.code, "message": e.error.message, "data": e.error.data}
            return {"error": {k: v for k, v in error.items() if v is not None}}
        return {"result": result.model_dump(mode="json", by_alias=True, exclude_unset=True)}

    async def step(self, name: str, call):
        self.say(step=name, **await self.answer(call))

    async def tool(self, name: str, tool: str, arguments: dict | None = None, **options):
        await self.step(name, self.client.call_tool(tool, arguments or {}, **options))

    # --- what the server asks of the client -----------------------------------
    async def on_sampling(self, _context, params):
        self.ask(method="sampling/createMessage", params=params.model_dump(mode="json", by_alias=True, exclude_unset=True))
        return types.CreateMessageResult(
            role="assistant",
            content=types.TextContent(type="text", text="a sampled answer"),
            model="drive-model",
            stop_reason="endTurn",
        )

    async def on_elicitation(self, _context, params):
        # The first question is accepted, the next declined, and so on.
        self.elicited += 1
        accept = self.elicited % 2 == 1
        self.ask(method="elicitation/create", message=params.message, accept=accept)
        if not accept:
            return types.ElicitResult(action="decline")
        if isinstance(params, types.ElicitRequestURLParams):
            return types.ElicitResult(action="accept")
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def on_roots(self, _context):
        await self.introduced.wait()  # a quick server must not get its line in first
        self.ask(method="roots/list")
        self.roots_asked.set()
        return types.ListRootsResult(roots=[types.Root(uri="file://" + self.scratch, name="scratch")])

    async def on_message(self, message):
        # Progress is shown with its call; some of it comes after a cancellation,
        # and how much is a matter of luck.
        method = getattr(message, "method", type(message).__name__)
        if method == "notifications/progress" or (self.wire and method.endswith("/list_changed")):
            return
        async with self.news:
            self.notified[method] = self.notified.get(method, 0) + 1
            self.news.notify_all()

    async def told(self, method: str, count: int):
        """Waits until the server has sent that many of these notifications in all."""
        with anyio.fail_after(PATIENCE):
            async with self.news:
                while self.notified.get(method, 0) < count:
                    await self.news.wait()

    # --- calls that need more than one line -----------------------------------
    async def with_progress(self, name: str, tool: str, arguments: dict):
        seen = []

        async def progress(done, total, message):
            seen.append([done, total, message])

        got = await self.answer(self.client.call_tool(tool, arguments, progress_callback=progress))
        self.say(step=name, progress=seen, **got)

    async def cancelled(self, name: str, tool: str, arguments: dict):
        """Gives the call up as soon as it has shown that it is running."""
        with anyio.CancelScope() as scope:

            async def progress(done, total, message):
                scope.cancel()

            await self.client.call_tool(tool, arguments, progress_callback=progress)
        self.interrupted += 1
        self.say(step=name, cancelled=scope.cancelled_caught)

    async def cut(self, name: str, tool: str, arguments: dict):
        """Breaks the stream that the answer is to come on, where there is one: the
        client may have a way to get the answer all the same, or say that it is lost."""
        if self.wire is None or not self.wire.streams:
            return
        self.wire.cut_next = True
        await self.with_progress(name, tool, arguments)
        if not self.legacy:
            self.interrupted += 1  # in this era whoever hangs up gives up
        self.say(step=f"{name}/asked-again", count=self.wire.resumed)
        self.wire.resumed = 0

    async def at_once(self, name: str, calls: dict):
        """Sends all calls before any is answered; reports them by name."""
        got = {}

        async def one(key, call):
            got[key] = await self.answer(call)

        async with anyio.create_task_group() as group:
            for key, call in calls.items():
                group.start_soon(one, key, call)
        for key in sorted(got):
            self.say(step=f"{name}/{key}", **got[key])

    async def connected(self):
        c = self.client
        info = c.server_info.model_dump(mode="json", by_alias=True, exclude_unset=True) if c.server_info else None
        caps = c.server_capabilities.model_dump(mode="json", by_alias=True, exclude_unset=True)
        self.say(step="connect", version=c.protocol_version, server=info, capabilities=caps, instructions=c.instructions)
        self.introduced.set()

    @property
    def legacy(self) -> bool:
        return self.client.protocol_version < "2026-07-28"


async def everything(d: Driver):
    c = d.client
    # The server asks for the roots a moment after the handshake. Going on only
    # then keeps the order of events the same in every run.
    with anyio.fail_after(PATIENCE):
        await d.roots_asked.wait()
    await d.told(LOG, 1)

    await d.step("tools/list", c.list_tools())
    await d.tool("echo", "echo", {"message": "hello"})
    await d.tool("echo-text", "echo", {"message": 'h\u00e9llo \u2603 \U0001f600 "quoted" \\ tab\t line\n and \u2028 end'})
    await d.tool("echo-long", "echo", {"message": "0123456789abcdef" * 20000})
    await d.tool("echo-traced", "echo", {"message": "traced"}, meta={"traceparent": TRACEPARENT})
    await d.tool("sum", "get-sum", {"a": 2, "b": 40})
    await d.tool("bad-arguments", "get-sum", {"a": "two"})
    await d.tool("unknown-tool", "no-such-tool")
    await d.tool("needs-a-task", "simulate-research-query", {"topic": "otters"})
    await d.tool("structured", "get-structured-content", {"location": "Chicago"})
    await d.tool("annotated", "get-annotated-message", {"messageType": "error", "includeImage": True})
    await d.tool("image", "get-tiny-image")
    await d.tool("links", "get-resource-links", {"count": 3})
    await d.tool("reference", "get-resource-reference", {"resourceType": "Text", "resourceId": 7})
    await d.with_progress("progress", "trigger-long-running-operation", {"duration": 0.6, "steps": 3})

    await d.step("resources/list", c.list_resources())
    await d.step("templates/list", c.list_resource_templates())
    await d.step("read-document", c.read_resource("demo://resource/static/document/features.md"))
    await d.step("read-text", c.read_resource("demo://resource/dynamic/text/1"))
    await d.step("read-blob", c.read_resource("demo://resource/dynamic/blob/2"))
    await d.step("read-unknown", c.read_resource("demo://resource/nowhere"))
    await d.step("subscribe", c.subscribe_resource("demo://resource/dynamic/text/1"))
    await d.tool("updates-on", "toggle-subscriber-updates")
    await d.told(UPDATED, 1)
    await d.tool("updates-off", "toggle-subscriber-updates")
    await d.step("unsubscribe", c.unsubscribe_resource("demo://resource/dynamic/text/1"))

    await d.step("prompts/list", c.list_prompts())
    await d.step("prompt", c.get_prompt("simple-prompt"))
    await d.step("prompt-arguments", c.get_prompt("args-prompt", {"city": "Oslo", "state": "\u00d8st"}))
    await d.step("prompt-resource", c.get_prompt("resource-prompt", {"resourceType": "Blob", "resourceId": "3"}))
    await d.step("prompt-incomplete", c.get_prompt("args-prompt", {}))
    await d.step("prompt-unknown", c.get_prompt("no-such-prompt"))
    prompt = types.PromptReference(type="ref/prompt", name="completable-prompt")
    await d.step("complete", c.complete(prompt, {"name": "department", "value": "S"}))
    await d.step("complete-in-context", c.complete(prompt, {"name": "name", "value": ""}, {"department": "Sales"}))
    await d.step("ping", c.send_ping())
    await d.step("set-level", c.set_logging_level("debug"))

    await d.tool("sampling", "trigger-sampling-request", {"prompt": "say something", "maxTokens": 20})
    await d.tool("elicitation-accepted", "trigger-elicitation-request")
    await d.tool("elicitation-declined", "trigger-elicitation-request")
    await d.tool(
        "elicitation-url",
        "trigger-url-elicitation",
        {"url": "https://example.com/consent", "message": "please look", "elicitationId": "look-1"},
    )
    await d.tool("roots", "get-roots-list")
    logs = d.notified[LOG]
    await c.send_roots_list_changed()
    await d.told(LOG, logs + 1)

    # The slow one is sent first and answered last; ten overtake it.
    calls = {"slow": c.call_tool("trigger-long-running-operation", {"duration": 0.4, "steps": 1})}
    for i in range(10):
        calls[f"sum-{i}"] = c.call_tool("get-sum", {"a": i, "b": 100})
    await d.at_once("at-once", calls)
    await d.cut("cut", "trigger-long-running-operation", {"duration": 0.6, "steps": 3})
    await d.cancelled("cancelled", "trigger-long-running-operation", {"duration": 1.0, "steps": 5})
    await d.tool(
        "timed-out", "trigger-long-running-operation", {"duration": 1.0, "steps": 1}, read_timeout_seconds=0.3
    )
    await d.tool("still-there", "echo", {"message": "after the cancellation"})
    # This server goes on with what was given up, progress included, and the SDK's SSE
    # client breaks when something arrives while it closes: this call outlasts all that.
    await d.tool("outlasting", "trigger-long-running-operation", {"duration": 1.2, "steps": 1})


async def filesystem(d: Driver):
    c = d.client
    # This server replaces its directories by the client's roots, soon after the
    # handshake: the same directory here, but only then does it hold still.
    with anyio.fail_after(PATIENCE):
        await d.roots_asked.wait()

    def at(*names):
        return os.path.join(d.scratch, *names)

    await d.step("tools/list", c.list_tools())
    await d.tool("allowed", "list_allowed_directories")
    await d.tool("write", "write_file", {"path": at("a.txt"), "content": "first line\nsecond l\u00efne\n"})
    await d.tool("read", "read_text_file", {"path": at("a.txt")})
    await d.tool("read-head", "read_text_file", {"path": at("a.txt"), "head": 1})
    edit = {"path": at("a.txt"), "edits": [{"oldText": "second l\u00efne", "newText": "line two"}]}
    await d.tool("edit-dry", "edit_file", {**edit, "dryRun": True})
    await d.tool("edit", "edit_file", edit)
    await d.tool("edit-again", "edit_file", edit)
    await d.tool("mkdir", "create_directory", {"path": at("sub", "deep")})
    await d.tool("write-deep", "write_file", {"path": at("sub", "deep", "b.txt"), "content": "b"})
    await d.tool("list", "list_directory", {"path": d.scratch})
    await d.tool("tree", "directory_tree", {"path": at("sub")})
    await d.tool("search", "search_files", {"path": d.scratch, "pattern": "**/b.txt"})
    await d.tool("info", "get_file_info", {"path": at("a.txt")})
    await d.tool("read-many", "read_multiple_files", {"paths": [at("a.txt"), at("missing.txt")]})
    await d.tool("move", "move_file", {"source": at("a.txt"), "destination": at("c.txt")})
    await d.tool("read-moved", "read_text_file", {"path": at("a.txt")})
    await d.tool("outside", "read_text_file", {"path": "/etc/hostname"})
    dots = os.path.relpath("/etc/hostname", d.scratch)
    await d.tool("outside-by-dots", "write_file", {"path": at(dots), "content": "no"})
    await d.tool("bad-arguments", "write_file", {"path": at("d.txt")})
    await d.tool("write-long", "write_file", {"path": at("long.txt"), "content": "long line \u2603\n" * 30000})
    await d.tool("read-long", "read_text_file", {"path": at("long.txt")})
    await d.at_once(
        "at-once", {f"read-{i}": c.call_tool("read_text_file", {"path": at("c.txt"), "head": 1}) for i in range(8)}
    )
    await d.step("resources/list", c.list_resources())


async def memory(d: Driver):
    c = d.client
    entities = [
        {"name": "Ada", "entityType": "person", "observations": ["wrote notes", "likes engines"]},
        {"name": "Engine", "entityType": "machine", "observations": ["never built"]},
        {"name": "\u0141\u00f3d\u017a", "entityType": "city", "observations": ["has no \u2028 in it"]},
    ]
    relation = {"from": "Ada", "to": "Engine", "relationType": "describes"}
    await d.step("tools/list", c.list_tools())
    await d.tool("empty", "read_graph")
    await d.tool("entities", "create_entities", {"entities": entities})
    await d.tool("relations", "create_relations", {"relations": [relation]})
    await d.tool("observe", "add_observations", {"observations": [{"entityName": "Ada", "contents": ["born 1815"]}]})
    await d.tool("observe-unknown", "add_observations", {"observations": [{"entityName": "Nobody", "contents": ["?"]}]})
    await d.tool("graph", "read_graph")
    await d.tool("search", "search_nodes", {"query": "engine"})
    await d.tool("open", "open_nodes", {"names": ["Ada", "Nobody"]})
    await d.tool("bad-arguments", "create_entities", {"entities": "none"})
    await d.at_once("at-once", {f"search-{i}": c.call_tool("search_nodes", {"query": "Ada"}) for i in range(6)})
    await d.tool("forget-relation", "delete_relations", {"relations": [relation]})
    await d.tool("forget-entity", "delete_entities", {"entityNames": ["Engine"]})
    await d.tool("graph-after", "read_graph")
    await d.step("resources/list", c.list_resources())


async def modern(d: Driver):
    c = d.client
    await d.step("tools/list", c.list_tools())
    await d.tool("echo", "echo", {"text": "h\u00e9llo \u2028 \u2603"})
    await d.tool("echo-long", "echo", {"text": "0123456789abcdef" * 20000})
    await d.tool("echo-traced", "echo", {"text": "traced"}, meta={"traceparent": TRACEPARENT})
    await d.tool("add", "add", {"a": 2, "b": 40})
    await d.tool("bad-arguments", "add", {"a": "two"})
    await d.tool("fail", "fail", {"reason": "on purpose"})
    await d.tool("unknown-tool", "no-such-tool")
    await d.with_progress("progress", "slow", {"seconds": 0.3, "steps": 3})
    # Modern: the question comes inside a result and the call is sent again.
    # Legacy: the same tool sends elicitation/create while the call waits.
    await d.tool("ask-accepted", "ask", {"greeting": "Hello"})
    await d.tool("ask-declined", "ask", {"greeting": "Hello"})
    await d.step("resources/list", c.list_resources())
    await d.step("read", c.read_resource("note://today"))
    await d.step("read-unknown", c.read_resource("note://nowhere"))
    await d.step("prompts/list", c.list_prompts())
    await d.step("prompt", c.get_prompt("greet", {"name": "Ada"}))
    await d.step("prompt-unknown", c.get_prompt("no-such-prompt"))
    if d.legacy:
        await d.step("ping", c.send_ping())
    else:
        async with c.listen(tools_list_changed=True, resource_subscriptions=["note://today"]) as events:
            await d.tool("touch", "touch")
            seen = [type(await anext(events)).__name__ for _ in range(2)]
        d.say(step="listen", events=sorted(seen))
    calls = {"slow": c.call_tool("slow", {"seconds": 0.4, "steps": 1})}
    for i in range(10):
        calls[f"add-{i}"] = c.call_tool("add", {"a": i, "b": 100})
    await d.at_once("at-once", calls)
    await d.cut("cut", "slow", {"seconds": 0.6, "steps": 3})
    await d.tool("hung-up", "hang_up")
    await d.cancelled("cancelled", "slow", {"seconds": 5, "steps": 50})
    await d.tool("server-knows", "interrupted", {"count": d.interrupted})
    await d.tool("timed-out", "slow", {"seconds": 5, "steps": 1}, read_timeout_seconds=0.3)
    await d.tool("still-there", "echo", {"text": "after the cancellation"})


SCRIPTS = {"everything": everything, "filesystem": filesystem, "memory": memory, "modern": modern}


async def run(options, command: list[str], scratch: str):
    wire = Wire() if options.http or options.sse else None
    if options.http:
        server = wire.streamable(options.http)
    elif options.sse:
        server = wire.sse(options.sse)
    else:
        env = dict(os.environ)
        # Without it server-memory would write into its own installation.
        env["MEMORY_FILE_PATH"] = os.path.join(scratch, "memory.jsonl")
        command = [part.replace("{dir}", scratch) for part in command]
        server = StdioServerParameters(command=command[0], args=command[1:], env=env)
    started = time.monotonic()
    with anyio.fail_after(LIMIT):
        d = Driver(server, options.mode, scratch, wire)
        async with d.client:
            ready = time.monotonic()
            await d.connected()
            await SCRIPTS[options.script](d)
            d.say(step="notifications", counts=d.notified)
            if wire:
                d.say(step="wire", asked=d.asked, requests=wire.requests)
            closing = time.monotonic()
        ended = time.monotonic()
    for session in wire.sessions if wire else ():
        print("session", session, file=sys.stderr)  # so that a test can look for it
    print(
        f"drive.py {options.script}: connected after {ready - started:.2f} s, script {closing - ready:.2f} s, "
        f"closing {ended - closing:.2f} s",
        file=sys.stderr,
    )


def main() -> int:
    parser = argparse.ArgumentParser(usage="drive.py [OPTIONS] SCRIPT (-- CMD [ARG...] | --http URL | --sse URL)")
    parser.add_argument("--mode", choices=["auto", "legacy"], default="auto")
    parser.add_argument("--dir")
    parser.add_argument("--http", metavar="URL")
    parser.add_argument("--sse", metavar="URL")
    parser.add_argument("script", choices=list(SCRIPTS))
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    options, command = parser.parse_args(argv[:split]), argv[split + 1 :]
    if [bool(command), bool(options.http), bool(options.sse)].count(True) != 1:
        parser.error("want one of -- CMD, --http and --sse")
    # Deprecated calls are made on purpose: older servers still answer them.
    warnings.simplefilter("ignore")
    scratch = os.path.realpath(options.dir or tempfile.mkdtemp(prefix="drive-"))
    if os.listdir(scratch):
        parser.error(f"{options.dir} is not empty")  # leftovers would show in the answers
    try:
        anyio.run(run, options, command, scratch)
    finally:
        if not options.dir:
            shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
