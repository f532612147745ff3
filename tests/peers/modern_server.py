"""A small MCP server on the official Python SDK.

    modern_server.py          on stdio
    modern_server.py http     on a free port of 127.0.0.1
    modern_server.py mounted  the same below a path of another application, which
                              redirects to it with a slash

server-everything stops at 2025-11-25, so this is the peer that speaks
2026-07-28; asked with `initialize` it serves the older versions as well, over HTTP
with sessions and resumable streams. Every answer depends on the arguments only
(`interrupted` waits for what it is asked about). It writes nothing to stderr but
the SDK's own log and, over HTTP, `listening on URL` once it is.

It deliberately reads no files and has no options. It is no measure of speed
either: each call goes through the whole SDK.
"""

import contextlib
import socket
import sys
from typing import Annotated

import anyio
import uvicorn
from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.streamable_http import EventMessage, EventStore
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Mount

PATIENCE = 10.0  # seconds for an interruption to arrive

server = MCPServer("modern-server", version="1.0.0", instructions="A peer for tests.", log_level="WARNING")


@server.tool()
def echo(text: str) -> str:
    """Gives back the text."""
    return text


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def fail(reason: str) -> str:
    """Always fails, as a tool does: isError in a result."""
    raise ToolError(f"failed: {reason}")


@server.tool()
async def slow(ctx: Context, seconds: float, steps: int) -> str:
    """Takes its time and reports progress after each step."""
    try:
        for step in range(1, steps + 1):
            await anyio.sleep(seconds / steps)
            await ctx.report_progress(step, steps, f"step {step}")
    except anyio.get_cancelled_exc_class():
        interruptions.append(steps)
        raise
    return f"{steps} steps done"


interruptions: list[int] = []


@server.tool()
async def interrupted(count: int) -> str:
    """Waits until so many slow calls in all were interrupted: a client that gives up
    must reach the server, whatever is between them."""
    with anyio.move_on_after(PATIENCE):
        while len(interruptions) < count:
            await anyio.sleep(0.01)
    return f"{len(interruptions)} interrupted"


@server.tool()
async def hang_up(ctx: Context) -> str:
    """Ends the stream that its answer is to come on, where that is possible: the client
    comes back for the answer with the last event's id."""
    await ctx.close_sse_stream()
    return "after the end of the stream"


class Name(BaseModel):
    name: str


def who() -> Elicit[Name]:
    return Elicit("What is your name?", Name)


@server.tool()
async def ask(greeting: str, answer: Annotated[Name, Resolve(who)]) -> str:
    """Needs an answer from the user before it can greet."""
    return f"{greeting}, {answer.name}"


@server.tool()
async def touch(ctx: Context) -> str:
    """Tells listeners that the tools and the note have changed (they have not)."""
    await ctx.notify_tools_changed()
    await ctx.notify_resource_updated("note://today")
    return "touched"


@server.resource("note://today", mime_type="text/plain")
def today() -> str:
    """A note."""
    return "nothing to report"


@server.prompt()
def greet(name: str) -> str:
    """Asks for a greeting."""
    return f"Please greet {name}."


class Events(EventStore):
    """What was sent, so that a broken stream can be taken up again."""

    def __init__(self):
        self.events = []

    async def store_event(self, stream_id, message):
        self.events.append((stream_id, message))
        return str(len(self.events))

    async def replay_events_after(self, last_event_id, send_callback):
        index = int(last_event_id)
        stream = self.events[index - 1][0]
        for number, (stream_id, message) in enumerate(self.events[index:], index + 1):
            if stream_id == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


@contextlib.asynccontextmanager
async def running(_):
    async with server.session_manager.run():
        yield


async def over_http(mounted):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    path = "/" if mounted else "/mcp"
    app = server.streamable_http_app(streamable_http_path=path, event_store=Events(), retry_interval=100)
    if mounted:
        app = Starlette(routes=[Mount("/mcp", app)], lifespan=running)
    print(f"listening on http://127.0.0.1:{port}/mcp", file=sys.stderr, flush=True)
    await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve(sockets=[listener])


if __name__ == "__main__":
    if sys.argv[1:] in (["http"], ["mounted"]):
        anyio.run(over_http, sys.argv[1] == "mounted")
    else:
        server.run("stdio")
