"""Does to `mcpcol run` what a hostile client of OTLP would, and watches the process's memory.

    hostile_memory.py MCPCOL [ATTACK...]

Each attack has a process of its own, with default settings and a backend that takes connections and never answers.
Prints what was sent, how it was answered and the highest resident memory in MiB, beside the bound that
docs/reference/memory.md gives; ends with 1 if that was exceeded or the process died. Needs `zstd` on the PATH. Linux
only (/proc). It deliberately knows nothing of how memory is counted within.
"""

import collections
import concurrent.futures
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading

MIB = 1 << 20


def varint(n: int) -> bytes:
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(body)) + body


# A frame that zstd skips: the receiver refuses what becomes more than 4 MiB and 256 times its size.
SKIPPED = b"\x50\x2a\x4d\x18" + (256 << 10).to_bytes(4, "little") + bytes(256 << 10)


def zstd(body: bytes) -> bytes:
    return SKIPPED + subprocess.run(["zstd", "-q", "-9", "-c"], input=body, stdout=subprocess.PIPE, check=True).stdout


SPAN = field(1, b"\1" * 16) + field(2, b"\2" * 8)


def traces(spans: bytes) -> bytes:
    return field(1, field(2, spans))


def json_of(spans: str) -> bytes:
    return ('{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % spans).encode()


def large() -> tuple[str, bytes]:
    """One good span of 60 MiB."""
    return "traces", traces(field(2, SPAN + field(5, b"x" * (60 * MIB))))


def empties() -> tuple[str, bytes]:
    """3.4 million empty spans, one text that is not UTF-8, and filler."""
    spans = b"\x12\x00" * 3_400_000 + field(2, SPAN + field(5, b"\xff"))
    return "traces", traces(spans + field(2, SPAN + field(5, b"x" * (56 * MIB))))


def broken() -> tuple[str, bytes]:
    """60 MiB of text of which no byte is UTF-8."""
    return "traces", traces(field(2, SPAN + field(5, b"\xff" * (60 * MIB))))


def statuses() -> tuple[str, bytes]:
    """30 million empty messages that are merged as one."""
    return "traces", traces(field(2, SPAN + field(5, b"\xff") + b"\x7a\x00" * 30_000_000))


def json_empties() -> tuple[str, bytes]:
    """3.4 million empty spans as JSON, and filler."""
    filler = '{"name":"' + "x" * (50 * MIB) + '"}'
    return "traces", json_of("{}," * 3_400_000 + filler)


def json_counts() -> tuple[str, bytes]:
    """Numbers of two bytes that are eight in protobuf."""
    counts = "[0" + ",0" * (30 * MIB) + "]"
    metric = '{"histogram":{"dataPoints":[{"bucketCounts":%s}]}}' % counts
    return "metrics", ('{"resourceMetrics":[{"scopeMetrics":[{"metrics":[%s]}]}]}' % metric).encode()


def growing() -> tuple[str, bytes]:
    """Good spans that decode to sixteen times their size."""
    return "traces", traces(field(2, SPAN + b"\x5a\x00" * 4) * 1_000_000)


def secrets() -> tuple[str, bytes]:
    """Attributes as short as can be, of which each is masked, in one span."""
    attribute = field(9, field(1, b"token") + field(2, field(1, b"x")))
    return "traces", traces(field(2, SPAN + attribute * 3_500_000))


GRPC = "otlp_grpc: { endpoint: '127.0.0.1:%d', tls: { insecure: true }, timeout: 1h }"
HTTP_JSON = "otlp_http: { endpoint: 'http://127.0.0.1:%d', encoding: json, timeout: 1h }"
ZIPKIN = "zipkin: { endpoint: 'http://127.0.0.1:%d/api/v2/spans', timeout: 1h }"
DEBUG = "debug: { verbosity: detailed, sending_queue: { enabled: true } }"
FILE = "file: { path: /dev/null }"

# The bound of docs/reference/memory.md for defaults: the queue, what is in flight, what exporting takes, the program.
USUAL = 256 + 256 + 128 + 60
# And what redaction takes of a request of 64 MiB.
EDITED = 12 * 64

# What is sent, how often, how many at a time, to which exporter, and the bound in MiB.
ATTACKS = {
    "queue": (large, 40, 2, GRPC, USUAL),
    "empties": (empties, 8, 4, GRPC, USUAL),
    "broken": (broken, 8, 4, GRPC, USUAL),
    "statuses": (statuses, 8, 4, GRPC, USUAL),
    "json-empties": (json_empties, 8, 4, GRPC, USUAL),
    "json-counts": (json_counts, 8, 4, GRPC, USUAL),
    "export-json": (growing, 8, 4, HTTP_JSON, USUAL),
    "export-zipkin": (growing, 8, 4, ZIPKIN, USUAL),
    "export-debug": (growing, 8, 4, DEBUG, USUAL),
    "export-file": (growing, 8, 4, FILE, USUAL),
    "redaction": (secrets, 8, 4, GRPC, USUAL + EDITED),
}


def config(directory: str, processors: str, exporter: str, backend: int) -> str:
    path = os.path.join(directory, "hostile.yaml")
    exporter = exporter % backend if "%d" in exporter else exporter
    name = exporter.split(":", 1)[0]
    metrics = "" if name == "zipkin" else f"    metrics: {{ receivers: [otlp], exporters: [{name}] }}\n"
    with open(path, "w") as out:
        out.write(
            "receivers: { otlp: { protocols: { http: { endpoint: '127.0.0.1:0' } } } }\n"
            f"processors: {{ {processors + ': {}' if processors else ''} }}\nexporters: {{ {exporter} }}\n"
            "service:\n  telemetry: { logs: { level: info } }\n  pipelines:\n"
            f"    traces: {{ receivers: [otlp], processors: [{processors}], exporters: [{name}] }}\n{metrics}"
        )
    return path


def port_of(process: subprocess.Popen) -> int:
    for line in iter(process.stderr.readline, b""):
        if b"for OTLP over HTTP" in line:
            return int(line.split(b"http://", 1)[1].split(b" ")[0].rsplit(b":", 1)[1])
    raise SystemExit("mcpcol said no port")


def highest(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


def send(port: int, signal: str, packed: bytes, kind: str) -> str:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        headers = {"content-type": kind, "content-encoding": "zstd"}
        connection.request("POST", f"/v1/{signal}", packed, headers)
        return str(connection.getresponse().status)
    except OSError as error:
        return type(error).__name__


def attack(mcpcol: str, name: str, directory: str, backend: int) -> bool:
    make, times, together, exporter, bound = ATTACKS[name]
    signal, body = make()
    packed, kind = zstd(body), "application/json" if name.startswith("json") else "application/x-protobuf"
    process = subprocess.Popen(
        [mcpcol, "run", "--config", config(directory, name if name == "redaction" else "", exporter, backend)],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    try:
        port = port_of(process)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        before = highest(process.pid)
        with concurrent.futures.ThreadPoolExecutor(together) as pool:
            asked = [pool.submit(send, port, signal, packed, kind) for _ in range(times)]
            answers = collections.Counter(future.result() for future in asked)
        alive = process.poll() is None
        peak = highest(process.pid) if alive else 0
    finally:
        process.kill()
        process.wait()
    good = alive and peak <= bound
    words = ", ".join(f"{count} x {answer}" for answer, count in sorted(answers.items()))
    print(
        f"{name}: {times} requests of {len(packed)} bytes ({len(body) // MIB} MiB), {together} at a time: {words}; "
        f"resident {before} MiB before, {peak} MiB at most, bound {bound} MiB: {'good' if good else 'EXCEEDED'}",
        flush=True,
    )
    return good


def main() -> int:
    mcpcol, names = sys.argv[1], sys.argv[2:] or list(ATTACKS)
    backend = socket.create_server(("127.0.0.1", 0))
    with tempfile.TemporaryDirectory() as directory:
        results = [attack(mcpcol, name, directory, backend.getsockname()[1]) for name in names]
    return 0 if all(results) else 1


sys.exit(main())
