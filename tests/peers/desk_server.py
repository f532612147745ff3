"""An MCP server that hands its spans back (SEP-2448), on arcade-mcp-server and its own
middleware. `desk_server.py` speaks stdio, `desk_server.py http PORT` Streamable HTTP.

Runs in its own environment (PEERS/arcade/bin/python). Reports nothing to anybody: its
framework's usage tracking is off, and its spans go nowhere but into the answers.
"""

import asyncio
import os
import sys
import warnings
from typing import Annotated

os.environ["ARCADE_USAGE_TRACKING"] = "0"
warnings.simplefilter("ignore")

from arcade_mcp_server import MCPApp
from arcade_mcp_server.middleware import TelemetryPassbackMiddleware
from opentelemetry.sdk.trace import TracerProvider

provider = TracerProvider()
tracer = provider.get_tracer("desk")
app = MCPApp(
    name="desk",
    version="0.3.1",
    log_level="ERROR",
    middleware=[TelemetryPassbackMiddleware("desk", provider)],
)


@app.tool
async def forecast(city: Annotated[str, "Where"]) -> Annotated[str, "The forecast"]:
    """Looks a forecast up in two steps, the second of which has one of its own."""
    with tracer.start_as_current_span("auth.check"):
        await asyncio.sleep(0.001)
    with tracer.start_as_current_span("lookup") as span:
        span.set_attribute("cache.hit", False)
        with tracer.start_as_current_span("rows.read"):
            await asyncio.sleep(0.001)
    return f"dry in {city}"


@app.tool
async def alerts(region: Annotated[str, "Where"]) -> Annotated[str, "The alerts"]:
    """Fails after a step that recorded why."""
    with tracer.start_as_current_span("policy.evaluate"):
        raise ValueError(f"no desk for {region}")


@app.tool
async def stations(count: Annotated[int, "How many"]) -> Annotated[str, "What they say"]:
    """Reads several stations at once."""

    async def read(number: int) -> None:
        with tracer.start_as_current_span("station.read") as span:
            span.set_attribute("station", number)
            await asyncio.sleep(0.002)

    with tracer.start_as_current_span("fanout"):
        await asyncio.gather(*(read(number) for number in range(count)))
    return f"{count} stations"


@app.resource("desk://status")
async def status(uri: str) -> str:
    """A resource, to be read."""
    with tracer.start_as_current_span("status.read"):
        return "open"


if sys.argv[1:2] == ["http"]:
    app.run(transport="http", host="127.0.0.1", port=int(sys.argv[2]))
else:
    app.run(transport="stdio")
