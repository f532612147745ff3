"""Connects to a stdio MCP server with the official Python client and closes again.

    close.py CMD [ARG...]

Prints `connected` once the handshake is done. What is of interest is which
processes are left afterwards; it deliberately calls nothing.
"""

import os
import sys

import anyio
from mcp import Client, StdioServerParameters


async def main():
    params = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:], env=dict(os.environ))
    async with Client(params, mode="legacy"):
        print("connected", flush=True)


anyio.run(main)
