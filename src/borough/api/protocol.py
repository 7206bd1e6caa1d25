"""HTTP/1.1 with bounds on the memory of a connection.

The server library leaves these bounds to a proxy. They cover the bytes outside of bodies (head, trailers,
chunk sizes), the fields of head and trailers, and pipelined requests. ``tests/api/test_protocol.py`` names
the attributes of the library that this relies on.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from borough.api import problem
from borough.api.problem import Malformed

#: The extension of an ASGI scope that cuts a connection at once.
ABORT: Final = "borough.abort"

#: Most seconds until the head of a request has arrived, also on a new connection.
HEAD_TIME: Final = 15.0

#: Most bytes of a head, between two pieces of a body, and of the trailers behind it.
HEAD_LIMIT: Final = 64 << 10

#: Most fields of one request, trailers included.
FIELD_LIMIT: Final = 128

#: Most bytes of unfinished heads on all connections of a process. Beyond it each connection may still leave
#: :data:`SMALL`, so that callers who exhaust the bound do not shut out others.
UNFINISHED_LIMIT: Final = 16 << 20
SMALL: Final = 4 << 10

#: Most pipelined requests of one connection.
PIPELINED: Final = 8


class _TooMuch(Exception):
    """A bound was exceeded in a callback of the parser."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    #: Bytes of unfinished heads on all connections of this process.
    unfinished = 0

    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _is_refused = False
    _since = 0
    _fields = 0
    _kept = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock, and give up the bytes that arrived."""
        self._stop_timer()
        self._progress()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes outside of bodies."""
        if self._is_refused:
            return
        if self._in_head and self._timer is None:
            self._expect()
        self._since += len(data)
        BoundedProtocol.unfinished += len(data)
        super().data_received(data)
        # Checked after parsing: one piece may end a head and begin a large body.
        if self._since > HEAD_LIMIT:
            self._refuse(_TOO_LARGE)
        elif self._since > SMALL and BoundedProtocol.unfinished > UNFINISHED_LIMIT:
            self._refuse(_FULL)

    def on_message_begin(self) -> None:
        """Give the application a way to cut the connection of a caller that does not read.

        An orderly close would keep the unread rest until the caller has read it.
        """
        if len(self.pipeline) >= PIPELINED:
            raise _TooMuch
        self._fields = self._kept = 0
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}

    def on_url(self, url: bytes) -> None:
        """Count a piece of the target."""
        self._keep(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a field of the head or of the trailers; the library keeps both in one list."""
        self._fields += 1
        self._keep(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the clock of the head."""
        self._in_head = False
        self._stop_timer()
        self._progress()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Begin a new count: the application bounds the size and the time of a body."""
        self._progress()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect another head; its time begins with its first byte."""
        super().on_message_complete()
        self._in_head = True
        self._progress()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP, or that exceed a bound."""
        if len(self.pipeline) >= PIPELINED:
            # An answer here would come before the answers to earlier requests.
            self._end()
        elif self._is_too_large:
            self._refuse(_TOO_LARGE)
        else:
            self._refuse(Malformed(f"this is not HTTP: {msg.lower().rstrip('.')}"))

    @property
    def _is_too_large(self) -> bool:
        return self._fields > FIELD_LIMIT or self._kept > HEAD_LIMIT

    def _keep(self, size: int) -> None:
        self._kept += size
        if self._is_too_large:
            raise _TooMuch

    def _progress(self) -> None:
        BoundedProtocol.unfinished -= self._since
        self._since = 0

    def _expect(self) -> None:
        self._timer = self.loop.call_later(HEAD_TIME, self._give_up)

    def _give_up(self) -> None:
        self._refuse(Malformed("the head of the request did not arrive in time", status=408))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, error: Malformed) -> None:
        if self._is_refused:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The application has begun to answer this request.
            self._end()
            return
        self._is_refused = True
        self._stop_timer()
        body = problem.body_of(error, error.status)
        title = f"HTTP/1.1 {error.status} {problem.title_of(error.status)}\r\n"
        head = (
            f"content-type: {problem.MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write((title + head).encode() + body)
        self.transport.close()

    def _end(self) -> None:
        """Cut the connection."""
        self._is_refused = True
        self._stop_timer()
        self.transport.abort()


_TOO_LARGE: Final = Malformed("the head or the trailers of the request are too large", status=431)
_FULL: Final = Malformed("too many requests are unfinished; try again in a moment", status=503)
