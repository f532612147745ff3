"""Asks tests/peers/desk_server.py for its spans with the official Python client (`mcp`).

    passback.py -- CMD [ARG...]
    passback.py --http URL

Makes one call of each kind: nested, failing, with concurrent steps, a resource, all three
both short and detailed; unsampled; without a traceparent; without asking; and several at
once. Every call becomes one JSON line on stdout: what was called, the traceparent sent, and
the names of the spans that came back in the answer, so that a test can tell what a tap made
of them and that it left the answer alone. Judges nothing.
"""

import argparse
import json
import secrets

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


def parent(flags: str = "01") -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-{flags}"


def ask(detailed: bool, traceparent: str | None) -> dict:
    meta = {"otel": {"traces": {"request": True, "detailed": detailed}}}
    return meta | ({"traceparent": traceparent} if traceparent else {})


def say(label: str, meta: dict | None, answer) -> None:
    back = (answer.meta or {}).get("otel", {}).get("traces", {})
    names = [
        span["name"]
        for resource in back.get("resourceSpans", [])
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    line = {
        "label": label,
        "traceparent": (meta or {}).get("traceparent"),
        "otel": bool(answer.meta and "otel" in answer.meta),
        "spans": sorted(names),
    }
    print(json.dumps(line), flush=True)


async def main(client) -> None:
    async def call(label, tool, arguments, meta):
        say(label, meta, await client.call_tool(f"Desk_{tool}", arguments, meta=meta))

    tools = [tool.name for tool in (await client.list_tools()).tools]
    assert "Desk_Forecast" in tools, tools
    for detailed in (False, True):
        kind = "detailed" if detailed else "short"
        await call(f"nested {kind}", "Forecast", {"city": "Oslo"}, ask(detailed, parent()))
        await call(f"failing {kind}", "Alerts", {"region": "north"}, ask(detailed, parent()))
        await call(f"fan {kind}", "Stations", {"count": 3}, ask(detailed, parent()))
    meta = ask(True, parent())
    say("resource", meta, await client.read_resource("desk://status", meta=meta))
    await call("unsampled", "Forecast", {"city": "Rome"}, ask(True, parent("00")))
    await call("no traceparent", "Forecast", {"city": "Rome"}, ask(True, None))
    await call("not asked", "Forecast", {"city": "Rome"}, {"traceparent": parent()})
    await call("bare", "Forecast", {"city": "Rome"}, None)
    async with anyio.create_task_group() as group:
        for number in range(4):
            label, count = f"at once {number}", {"count": number + 2}
            group.start_soon(call, label, "Stations", count, ask(True, parent()))


async def run(arguments) -> None:
    if arguments.http:
        server = streamable_http_client(arguments.http)
    else:
        command, *rest = arguments.command
        server = StdioServerParameters(command=command, args=rest)
    with anyio.fail_after(60):
        async with Client(server, mode="legacy") as client:
            await main(client)


parser = argparse.ArgumentParser()
parser.add_argument("--http")
parser.add_argument("command", nargs="*")
anyio.run(run, parser.parse_args())
