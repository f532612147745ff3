"""nginx as a plain reverse proxy, started as the HTTP tap is.

    nginx.py [--http2] --listen HOST:PORT --upstream URL

The yardstick of the HTTP bench, and a proxy known to be good to try the tests of
the tap on (with it the span checks fail, and they should). One worker, kept-alive
connections to the upstream, no buffering, no access log. Port 0 takes a free one.
The same rule about names as the tap has on a loopback address: 403 for a foreign
Host or Origin.

This process becomes nginx, so a signal to it reaches the proxy; SIGQUIT drains,
SIGTERM does not. nginx of this age speaks HTTP/2 or HTTP/1.1 on a cleartext port,
not both: hence --http2. It deliberately knows no TLS.
"""

import argparse
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

CONFIG = """
daemon off;
master_process on;
pid {dir}/pid;
error_log stderr error;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    scgi_temp_path {dir}/scgi;
    uwsgi_temp_path {dir}/uwsgi;
    map $http_host $foreign_host {{ default 1; "~^(localhost|127\\.0\\.0\\.1|\\[::1\\])(:\\d+)?$" 0; }}
    map $http_origin $foreign_origin {{ default 1; "" 0; "~^http://(localhost|127\\.0\\.0\\.1|\\[::1\\])(:\\d+)?$" 0; }}
    upstream peer {{ server {upstream}; keepalive 1024; keepalive_requests 100000000; }}
    server {{
        listen {listen}{http2};
        if ($foreign_host) {{ return 403; }}
        if ($foreign_origin) {{ return 403; }}
        client_max_body_size 0;
        location / {{
            proxy_pass http://peer;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host {upstream};
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""


def program() -> str:
    peers = os.environ.get("MCPCOL_PEERS") or Path(__file__).parents[2] / ".peers"
    found = shutil.which("nginx") or shutil.which(Path(peers) / "nginx/usr/sbin/nginx")
    if found is None:
        sys.exit(f"no nginx on PATH or in {peers}: run scripts/peers http")
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--http2", action="store_true")
    parser.add_argument("--listen", required=True)
    parser.add_argument("--upstream", required=True)
    options = parser.parse_args()
    nginx = program()

    # The socket is made here and handed over, the way nginx hands it to its own
    # successor: a free port without a gap in which somebody else could take it,
    # and connections are taken from this line on.
    host, port = options.listen.rsplit(":", 1)
    listener = socket.create_server((host, int(port)), backlog=4096)
    listener.set_inheritable(True)
    listen = "{}:{}".format(*listener.getsockname())

    scratch = tempfile.mkdtemp(prefix="nginx-")
    config = CONFIG.format(
        dir=scratch,
        listen=listen,
        upstream=urlsplit(options.upstream).netloc,
        http2=" http2" if options.http2 else "",
    )
    path = os.path.join(scratch, "nginx.conf")
    with open(path, "w") as file:
        file.write(config)
    print(f"listening on http://{listen}", file=sys.stderr, flush=True)
    os.execve(
        nginx,
        [nginx, "-e", "stderr", "-p", scratch, "-c", path],
        {**os.environ, "NGINX": f"{listener.fileno()};"},
    )


if __name__ == "__main__":
    main()
