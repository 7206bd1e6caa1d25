"""A TCP proxy that breaks a connection at a chosen moment."""

from __future__ import annotations

import contextlib
import socket
import threading

import sqlalchemy as sa


class Proxy:
    """Stands between clients and a server on loopback.

    :ivar broken: how many connections it has broken.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._left = 0
        self._answered = False
        self.broken = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, url: str) -> str:
        """A server's URL, by way of the proxy."""
        return sa.make_url(url).set(port=self.port).render_as_string(hide_password=False)

    def break_at(self, message: int, *, answered: bool) -> None:
        """Break the connection at a client's n-th message from now on.

        :param answered: let the server have the message and act on it; only its answer is lost.
        """
        with self._lock:
            self._left, self._answered = message, answered

    def _is_time(self) -> tuple[bool, bool]:
        with self._lock:
            self._left -= 1
            return self._left == 0, self._answered

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server))
                except OSError:
                    client.close()
                    continue
                muted = threading.Event()
                threading.Thread(
                    target=self._to_server, args=(client, server, muted), daemon=True
                ).start()
                threading.Thread(
                    target=self._to_client, args=(server, client, muted), daemon=True
                ).start()

    def _to_server(
        self, client: socket.socket, server: socket.socket, muted: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 20):
                now, answered = self._is_time()
                if now:
                    self.broken += 1
                    if answered:
                        muted.set()
                        server.sendall(data)
                        # The other thread swallows the answer, and breaks both sides then.
                        continue
                    break
                server.sendall(data)
        _shut(client, server)

    def _to_client(
        self, server: socket.socket, client: socket.socket, muted: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 20):
                if muted.is_set():
                    break
                client.sendall(data)
        _shut(client, server)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


def _shut(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
