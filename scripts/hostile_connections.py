"""Clients that take places and do nothing with them, as seen from outside.

    hostile_connections.py MCPCOL

Starts MCPCOL as a tap and as a receiver and says of each attack what came of it: whether a place is given back and
after how long, who is served where descriptors are few, and what memory a client costs that does not read or is not
read. Ends with 1 if something is not as docs/reference/limits.md has it. Takes about three minutes: the limits that no
setting shortens are waited for. It deliberately knows nothing of the inside. Linux only (/proc).
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

MCPCOL = os.path.abspath(sys.argv[1])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
NO_WINDOW = b"\0\0\6\4\0\0\0\0\0" + b"\0\4\0\0\0\0"
GET = b"GET /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
KINDS = {
    "HTTP": (b"/v1/traces", b"application/x-protobuf"),
    "gRPC": (b"/opentelemetry.proto.collector.trace.v1.TraceService/Export", b"application/grpc"),
}
wrong = []


def verdict(name: str, good: bool, words: str) -> None:
    print(f"{'ok   ' if good else 'WRONG'} {name}: {words}", flush=True)
    if not good:
        wrong.append(name)


def upstream() -> int:
    """A server of MCP that reads no body after /deaf, answers at length after /much, and at once else."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            buffered = b""
            while True:
                while b"\r\n\r\n" not in buffered:
                    if not (more := client.recv(65536)):
                        return
                    buffered += more
                head, _, buffered = buffered.partition(b"\r\n\r\n")
                path = head.split(b" ")[1]
                if path == b"/deaf":
                    threading.Event().wait(600)
                elif path == b"/much":
                    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
                    while True:
                        client.sendall(bytes(65536))
                else:
                    length = re.search(rb"content-length: (\d+)", head.lower())
                    while len(buffered) < (int(length[1]) if length else 0):
                        buffered += client.recv(65536)
                    buffered = b""
                    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 36\r\n\r\n"
                                   b'{"jsonrpc":"2.0","id":1,"result":{}}')

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


class Process:
    def __init__(self, command: str, config: str, limit: int | None = None) -> None:
        self.dir = tempfile.mkdtemp()
        path = os.path.join(self.dir, "config.yaml")
        with open(path, "w") as file:
            file.write(config)
        ulimit = f"ulimit -n {limit};" if limit else ""
        arguments = ["sh", "-c", f'{ulimit} exec "$@"', "-", MCPCOL, command, "--config", path]
        self.child = subprocess.Popen(arguments, cwd=self.dir, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.ports, self.log, expected = {}, "", 1 if command == "http" else 2
        while len(self.ports) < expected:
            if not (line := self.child.stderr.readline().decode()):
                raise SystemExit(f"it did not start:\n{self.log}")
            self.log += line
            if found := re.search(r"listening on https?://127\.0\.0\.1:(\d+)(?:.*over (\w+))?", line):
                self.ports[found[2] or "MCP"] = int(found[1])
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.child.stderr:
            self.log += line.decode()

    def resident(self) -> int:
        with open(f"/proc/{self.child.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def settled(self) -> int:
        last, same = 0, 0
        while same < 10:
            now = self.resident()
            same = 0 if now > last else same + 1
            last = max(last, now)
            time.sleep(0.02)
        return last

    def end(self) -> str:
        self.child.terminate()
        self.child.wait(30)
        return self.log


def tap(port: int, settings: str, limit: int | None = None) -> Process:
    return Process("http", f"""
receivers:
  mcp_http: {{ endpoint: "127.0.0.1:0", drain_timeout: 1s, {settings}
    routes: [{{ upstream: "http://127.0.0.1:{port}", name: origin }}] }}
processors: {{ digest: {{ mode: ephemeral }} }}
exporters: {{ file: {{ path: spans.jsonl }} }}
service:
  pipelines: {{ traces: {{ receivers: [mcp_http], processors: [digest], exporters: [file] }} }}
""", limit)


def receiver(settings: str, http: str = "", limit: int | None = None) -> Process:
    return Process("run", f"""
receivers:
  otlp:
    {settings}
    protocols: {{ grpc: {{ endpoint: "127.0.0.1:0" }}, http: {{ endpoint: "127.0.0.1:0", {http} }} }}
exporters: {{ file: {{ path: spans.jsonl }} }}
service:
  telemetry: {{ logs: {{ level: info }} }}
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [file] }} }}
""", limit)


def post(path: str, body: bytes, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{more}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def asks(port: int, request: bytes) -> int:
    """The status that a client gets that comes now; 0 for none."""
    with contextlib.suppress(OSError), connect(port) as client:
        client.sendall(request)
        return int(client.recv(4096)[9:12] or 0)
    return 0


def speaks_http2(port: int) -> int:
    """200 if a client of HTTP/2 is let in."""
    with contextlib.suppress(OSError), connect(port) as client:
        client.sendall(PREFACE + SETTINGS)
        return 200 if client.recv(9)[3:4] == b"\4" else 0
    return 0


def pong(client: socket.socket) -> None:
    """Answers pings until the connection is closed."""
    def run() -> None:
        with contextlib.suppress(OSError):
            reader = client.makefile("rb")
            while len(head := reader.read(9)) == 9:
                payload = reader.read(int.from_bytes(head[:3], "big"))
                if head[3] == 6 and head[4] == 0:
                    client.sendall(b"\0\0\x08\6\1\0\0\0\0" + payload)
    client.settimeout(None)
    threading.Thread(target=run, daemon=True).start()


def fill(client: socket.socket, data: bytes) -> None:
    """Writes until nothing has been taken for a while."""
    client.settimeout(0.3)
    with contextlib.suppress(OSError):
        while True:
            client.send(data)


def fills(client: socket.socket, data: bytes) -> None:
    """Writes as long as the connection is there."""
    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                client.sendall(data)
    client.settimeout(None)
    threading.Thread(target=run, daemon=True).start()


def gives_back(name: str, port: int, attack, next_one, limit: float) -> None:
    """Takes all places by `attack` and looks how long it takes until the next client has one."""
    kept = []
    # Those of the attack before are free by then.
    while next_one() != 200:
        time.sleep(0.05)
    time.sleep(0.2)
    for _ in range(4):
        client = connect(port)
        with contextlib.suppress(OSError):
            attack(client)
        kept.append(client)
    time.sleep(0.2)
    taken, begun = next_one() != 200, time.monotonic()
    while next_one() != 200 and time.monotonic() - begun < limit:
        time.sleep(0.2)
    took = time.monotonic() - begun
    verdict(name, took < limit, f"{'' if taken else 'kept none; '}free after {took:.1f}s, limit {limit:.0f}s")
    for client in kept:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        client.close()


def headers(path: bytes, host: bytes, kind: bytes = b"", flags: int = 5) -> bytes:
    """A HEADERS frame of a POST: by static table and literals (RFC 7541); flags 5 are END_STREAM and END_HEADERS."""
    block = b"\x83\x86\x04" + bytes([len(path)]) + path + b"\x01" + bytes([len(host)]) + host
    if kind:
        block += b"\0\x0ccontent-type" + bytes([len(kind)]) + kind
    return len(block).to_bytes(3, "big") + b"\1" + bytes([flags]) + b"\0\0\0\1" + block


def places() -> None:
    port = upstream()
    token = "".join(["let", "me", "in"])
    process = tap(port, f"max_connections: 4, read_header_timeout: 2s, stall_timeout: 3s, "
                        f"auth: {{ bearer_token: {token} }},")
    door, bearer = process.ports["MCP"], f"authorization: Bearer {token}\r\n"
    ask = lambda: asks(door, post("/mcp", PING, bearer))
    head = post("/mcp", PING, bearer)
    much = f"GET /much HTTP/1.1\r\nhost: 127.0.0.1\r\n{bearer}\r\n".encode()
    for name, attack in {
        "nothing": lambda c: None,
        "half a preface": lambda c: c.sendall(PREFACE[:10]),
        "settings": lambda c: c.sendall(PREFACE + SETTINGS),
        "settings, pings answered": lambda c: (c.sendall(PREFACE + SETTINGS), pong(c)),
        "half a HEADERS frame": lambda c: c.sendall(PREFACE + SETTINGS + headers(b"/mcp", b"h")[:15]),
        "401s that nobody reads": lambda c: fills(c, GET * 1000),
        "401s over HTTP/2 without a window": lambda c: (
            c.sendall(PREFACE + NO_WINDOW + headers(b"/mcp", f"127.0.0.1:{door}".encode())), pong(c)),
        "answers that nobody reads": lambda c: c.sendall(much),
        "a body that does not come": lambda c: c.sendall(head.replace(b"length: 40", b"length: 99")),
    }.items():
        gives_back(f"tap, {name}", door, attack, ask, 15)
    process.end()

    process = receiver("max_connections: 4", "read_header_timeout: 2s, idle_timeout: 2s")
    for protocol, path, kind, next_one, limit in [
        ("HTTP", *KINDS["HTTP"], lambda: asks(process.ports["HTTP"], post("/v1/traces", b"{}")), 80),
        ("gRPC", *KINDS["gRPC"], lambda: speaks_http2(process.ports["gRPC"]), 150),
    ]:
        door = process.ports[protocol]
        for name, attack in {
            "settings, pings answered": lambda c: (c.sendall(PREFACE + SETTINGS), pong(c)),
            "no window, pings answered": lambda c: (
                c.sendall(PREFACE + NO_WINDOW + headers(b"/nowhere", b"h")), pong(c)),
            "settings": lambda c: c.sendall(PREFACE + SETTINGS),
            "settings after a request": lambda c: c.sendall(PREFACE + SETTINGS + headers(b"/nowhere", b"h")),
            "answers that nobody reads": lambda c: fills(c, GET * 1000),
            "half a HEADERS frame after a request": lambda c: c.sendall(
                PREFACE + SETTINGS + headers(b"/nowhere", b"h") + b"\0\0\x99\1\5\0\0\0\3"),
            "a body that does not come": lambda c: (
                c.sendall(PREFACE + SETTINGS + headers(path, b"h", kind, 4)), pong(c)),
        }.items():
            gives_back(f"OTLP over {protocol}, {name}", door, attack, next_one, limit)
    process.end()


def descriptors() -> None:
    clients, port = 1000, upstream()
    for name, process in [("tap", tap(port, "", 256)), ("OTLP over HTTP", receiver("", "", 256))]:
        door = process.ports.get("HTTP") or process.ports["MCP"]
        request = post("/mcp", PING) if name == "tap" else post("/v1/traces", b"{}")
        open_ones, statuses, begun = [], {}, time.monotonic()
        for _ in range(clients):
            client = connect(door)
            with contextlib.suppress(OSError):
                client.sendall(request)
            open_ones.append(client)
        for client in open_ones:
            status = "nothing"
            with contextlib.suppress(OSError):
                client.settimeout(5)
                status = client.recv(4096)[9:12].decode() or "a close"
            statuses[status] = statuses.get(status, 0) + 1
        took = time.monotonic() - begun
        good = statuses.get("200", 0) > 50 and set(statuses) == {"200", "503"}
        verdict(f"{name}, {clients} clients and 256 descriptors", good, f"{statuses} within {took:.1f}s")
        for client in open_ones:
            client.close()
        said = process.end()
        account = next((line for line in said.splitlines() if "received=" in line), "no account")
        verdict(f"{name}, its exporter", "dropped=0" in account, account.strip())


def memory() -> None:
    many, port = 100, upstream()
    for name, begin in {
        "uploads that nobody reads": lambda c: (
            c.sendall(b"POST /deaf HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000000000\r\n\r\n"),
            fill(c, bytes(65536))),
        "answers that nobody reads": lambda c: c.sendall(b"GET /much HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"),
    }.items():
        process = tap(port, "queue_size: 262144, max_message_bytes: 4096,")
        begin(first := connect(process.ports["MCP"]))
        before, kept = process.settled(), [first]
        for _ in range(many):
            begin(client := connect(process.ports["MCP"]))
            kept.append(client)
        each = (process.settled() - before) // many
        verdict(f"tap, {many} {name}", each <= 576, f"{each} KiB each, half a MiB is written")
        process.end()
    for protocol, (path, kind) in KINDS.items():
        process = receiver("")
        kept, before = [], process.settled()
        for _ in range(many):
            client = connect(process.ports[protocol])
            # A frame as large as it may be, of which the last byte does not come.
            client.sendall(PREFACE + SETTINGS + headers(path, b"h", kind, 4))
            client.sendall(b"\2\0\0\0\0\0\0\0\1" + bytes((128 << 10) - 1))
            kept.append(client)
        each = (process.settled() - before) // many
        verdict(f"OTLP over {protocol}, {many} frames that do not end", each <= 320,
                f"{each} KiB each, a quarter of a MiB is written")
        process.end()


for part in [descriptors, memory, places]:
    part()
sys.exit(1 if wrong else 0)
