"""A proxy before a service, in a process of its own; see :class:`tests.neutron.serving.ServiceProxy`.

python -m tests.neutron.proxy PORT SERVICE-PORT FOLDER
"""

from __future__ import annotations

import http.client
import http.server
import json
import sys
import threading
from pathlib import Path
from typing import ClassVar


class Handler(http.server.BaseHTTPRequestHandler):
    """Forwards one request, or fails it by a rule."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    port: ClassVar[int]
    folder: ClassVar[Path]
    lock: ClassVar = threading.Lock()
    used: ClassVar[dict[str, int]] = {}

    def _applies(self, wanted: str, path: str) -> bool:
        text = (self.folder / "rules.json").read_text()
        for fault, method, start, times in json.loads(text):
            if fault != wanted or method not in ("", self.command) or not path.startswith(start):
                continue
            with self.lock:
                key = f"{text} {fault} {method} {start}"
                self.used[key] = self.used.get(key, 0) + 1
                return self.used[key] <= int(times)
        return False

    def _forward(self) -> None:
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.lock, (self.folder / "seen.log").open("a") as log:
            log.write(f"{self.command} {path}\n")
        self.close_connection = True
        if self._applies("refuse", path):
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(self.command, self.path, body or None, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
        except OSError:
            return
        finally:
            connection.close()
        if self._applies("lose", path):
            return
        self.close_connection = False
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("Content-Type") or "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _forward  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


if __name__ == "__main__":
    Handler.port, Handler.folder = int(sys.argv[2]), Path(sys.argv[3])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    server.serve_forever()
