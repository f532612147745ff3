"""A raw stdio MCP server that does not want to end.

    stubborn_server.py

It ignores SIGTERM and SIGINT and stays when stdin ends, so that only SIGKILL
removes it: the last rung of a kill ladder. It says on stderr, one line each,
when it has started (with its pid), when stdin has ended and when a signal was
ignored, so that a test can tell which rungs were tried.

It deliberately uses no SDK and knows three requests only (initialize, ping, and
tools/call of the tool echo); it checks no arguments and asks for no version.
"""

import json
import os
import signal
import sys
import time

LINGER = 120  # seconds after the end of stdin: a forgotten one must not stay forever


def note(text: str):
    # One write for each line, straight to the descriptor: a signal handler may
    # come in between, and must not meet a half-used buffer.
    os.write(2, f"stubborn: {text}\n".encode())


def ignore(number, _frame):
    note(f"ignored {signal.Signals(number).name}")


def result_of(method: str, params: dict) -> dict | None:
    if method == "initialize":
        return {
            "protocolVersion": params.get("protocolVersion", "2025-11-25"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "stubborn-server", "version": "1.0.0"},
        }
    if method == "ping":
        return {}
    if method == "tools/call" and params.get("name") == "echo":
        text = str(params.get("arguments", {}).get("text", ""))
        return {"content": [{"type": "text", "text": text}]}
    return None


def main():
    signal.signal(signal.SIGTERM, ignore)
    signal.signal(signal.SIGINT, ignore)
    note(f"started as {os.getpid()}")
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        result = result_of(message["method"], message.get("params", {}))
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        if result is None:
            reply["error"] = {"code": -32601, "message": "Method not found"}
        else:
            reply["result"] = result
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
    note("stdin ended")
    end = time.monotonic() + LINGER
    while time.monotonic() < end:
        time.sleep(1)


if __name__ == "__main__":
    main()
