"""Sends many calls at a steady rate through a stdio server and watches its memory.

    soak.py CALLS RATE CMD [ARG...]

CMD is a tap around a server that answers every line (examples/peer echo). Prints the tap's resident
memory in KiB once a second, then how many answers came. It deliberately judges nothing: a person
reads the column. Linux only (/proc).
"""

import subprocess
import sys
import threading
import time

calls, rate, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
tap = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
answers = 0


def read():
    global answers
    while chunk := tap.stdout.read1(1 << 16):
        answers += chunk.count(b"\n")


def resident() -> int:
    with open(f"/proc/{tap.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


reader = threading.Thread(target=read)
reader.start()
begun, shown, sent = time.monotonic(), 0.0, 0
while sent < calls:
    due = min(calls, int((time.monotonic() - begun) * rate))
    if due == sent:
        time.sleep(0.001)
        continue
    lines = [
        '{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"tool%d","arguments":{"query":"call %d","pad":"%s"}}}\n'
        % (n, n % 20, n, "x" * 90)
        for n in range(sent, due)
    ]
    tap.stdin.write("".join(lines).encode())
    tap.stdin.flush()
    sent = due
    if time.monotonic() - shown >= 1:
        shown = time.monotonic()
        print(f"{shown - begun:6.1f} s  {sent:9d} calls  {resident():8d} KiB", flush=True)
last = resident()
tap.stdin.close()
reader.join()
tap.wait()
print(f"{sent} calls, {answers} answers, {last} KiB at the end, exit code {tap.returncode}")
