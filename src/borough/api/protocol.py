"""HTTP/1.1 with bounds on the head of a request, which the server library leaves to a proxy."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from borough.api import problem
from borough.api.problem import Malformed

#: The extension of an ASGI scope with which the application ends a connection at once.
ABORT: Final = "borough.abort"

#: How long the head of a request may take to arrive, in seconds, and a new connection may say nothing.
HEAD_TIME: Final = 15.0

#: Largest head of a request, in bytes, and what of its body comes in one piece with it.
HEAD_LIMIT: Final = 256 << 10


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the end of a head."""
        if self._in_head:
            self._size += len(data)
            if self._size > HEAD_LIMIT:
                self._refuse(Malformed("the head of the request is too large", status=431))
                return
            if self._timer is None:
                self._expect()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Tell the application how to be rid of a caller who does not take his answer.

        To close a connection waits until he has; what he has not taken is kept until then.
        """
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next is another head, whose time begins with its first byte."""
        super().on_message_complete()
        self._in_head = True
        self._size = 0

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(Malformed(f"this is not HTTP: {msg.lower().rstrip('.')}"))

    def _expect(self) -> None:
        self._timer = self.loop.call_later(HEAD_TIME, self._give_up)

    def _give_up(self) -> None:
        self._refuse(Malformed("the head of the request did not arrive in time", status=408))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, error: Malformed) -> None:
        self._stop_timer()
        body = problem.body_of(error, error.status)
        title = f"HTTP/1.1 {error.status} {problem.title_of(error.status)}\r\n"
        head = (
            f"content-type: {problem.MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write((title + head).encode() + body)
        self.transport.close()
