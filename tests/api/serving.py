"""A service on loopback in a thread of the test's process, and a client of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import uvicorn

from borough import Ipam
from borough.api.app import open_app
from borough.api.protocol import BoundedProtocol
from borough.api.settings import ServiceSettings
from borough.client.ipam import RemoteIpam
from borough.client.transport import Transport
from borough.store.port import Store


class Served:
    """A service that runs until it is closed.

    :ivar url: where it listens.
    """

    def __init__(self, ipam: Ipam, settings: ServiceSettings | None = None, **server: Any) -> None:
        settings = settings or ServiceSettings()
        self.ipam = ipam
        self.service, app = open_app(ipam, settings)
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            log_config=None,
            access_log=False,
            lifespan="on",
            server_header=False,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.key,
            timeout_graceful_shutdown=10,
            **server,
        )
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(config)
        scheme = "https" if settings.certificate else "http"
        self.port: int = self._socket.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()

    @property
    def connections(self) -> int:
        """Number of streams."""
        return len(self._server.server_state.connections)

    def close(self) -> None:
        """Stop the service in order."""
        self.service.stop()
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._socket.close()


class ServedIpam(RemoteIpam):
    """A client and its service."""

    def __init__(self, served: Served, token: str | None = None) -> None:
        super().__init__(Transport(served.url, token))
        self.served = served

    @property
    def store(self) -> Store:
        """The store behind the service."""
        return self.served.ipam.store

    def close(self) -> None:
        """Close both."""
        super().close()
        self.served.close()


def serve(ipam: Ipam) -> Ipam:
    """The same address space over HTTP; its methods are those of the library."""
    return cast(Ipam, ServedIpam(Served(ipam)))


def wait_until(true: Callable[[], bool], timeout: float = 20) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
