"""One process of the API of Neutron, with its ML2 plugin and segments, on a port of loopback.

python -m tests.neutron.server neutron.conf PORT
"""

from __future__ import annotations

import socketserver
import sys
import wsgiref.simple_server


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


def serve(config: str, port: int) -> None:
    """Answer requests until the process ends."""
    sys.argv = ["neutron-server", "--config-file", config]
    from neutron import server
    from neutron.server import api

    application = server.boot_server(api.api_server, prog="neutron-api")
    with wsgiref.simple_server.make_server(
        "127.0.0.1", port, application, server_class=_Server, handler_class=_Quiet
    ) as made:
        made.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
