"""A small MCP server on the official Python SDK, for stdio.

    modern_server.py

server-everything stops at 2025-11-25, so this is the peer that speaks
2026-07-28; asked with `initialize` it serves the older versions as well. Every
answer depends on the arguments only, and it writes nothing to stderr but the
SDK's own log.

It deliberately keeps no state, reads no files and has no options. It is no
measure of speed either: each call goes through the whole SDK.
"""

from typing import Annotated

import anyio
from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

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
    for step in range(1, steps + 1):
        await anyio.sleep(seconds / steps)
        await ctx.report_progress(step, steps, f"step {step}")
    return f"{steps} steps done"


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


if __name__ == "__main__":
    server.run("stdio")
