"""HTTP/1.1 with bounds on what a connection may make the service keep.

The server library leaves these bounds to a proxy. Counted are the bytes that arrive without any of the body
among them (head, trailers, chunk sizes), the fields of head and trailers, and requests sent before the
answer to the first. ``tests/api/test_protocol.py`` names the attributes of the library that this relies on.
"""

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

#: Most bytes of a head, between two pieces of a body, and of the trailers behind it.
HEAD_LIMIT: Final = 64 << 10

#: Most fields of one request, those of its trailers included.
FIELD_LIMIT: Final = 128

#: Most bytes that all connections of a process together leave unfinished; beyond it each may leave
#: :data:`SMALL`, so that those who fill it do not shut out the others.
UNFINISHED_LIMIT: Final = 16 << 20
SMALL: Final = 4 << 10

#: Most requests of one connection that wait for the answer to the one before.
PIPELINED: Final = 8


class _TooMuch(Exception):
    """A bound was met inside a callback of the parser."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    #: Bytes that arrived on all connections of this process and have come to nothing yet.
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
        """Expect nothing any more."""
        self._stop_timer()
        self._progress()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes without being part of a body."""
        if self._is_refused:
            return
        if self._in_head and self._timer is None:
            self._expect()
        self._since += len(data)
        BoundedProtocol.unfinished += len(data)
        super().data_received(data)
        # What is left has come to nothing yet: one piece may end a head and begin a large body.
        if self._since > HEAD_LIMIT:
            self._refuse(_TOO_LARGE)
        elif self._since > SMALL and BoundedProtocol.unfinished > UNFINISHED_LIMIT:
            self._refuse(_FULL)

    def on_message_begin(self) -> None:
        """Tell the application how to end the connection of a caller that does not take its answer.

        An orderly close waits until the caller has taken everything, and keeps the rest until then.
        """
        if len(self.pipeline) >= PIPELINED:
            raise _TooMuch
        self._fields = self._kept = 0
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}

    def on_url(self, url: bytes) -> None:
        """Keep a piece of the target."""
        self._keep(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head, or of the trailers, which the library adds to the same list."""
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
        """Start to count anew: the application bounds the size of a body and its time."""
        self._progress()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect another head, whose time begins with its first byte."""
        super().on_message_complete()
        self._in_head = True
        self._progress()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or more of it than is taken."""
        if len(self.pipeline) >= PIPELINED:
            # An answer here would stand among those to the requests before.
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
            # The application answers this request, or has begun to.
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
        """Cut the connection, and give up what was kept for it."""
        self._is_refused = True
        self._stop_timer()
        self.transport.abort()


_TOO_LARGE: Final = Malformed("the head or the trailers of the request are too large", status=431)
_FULL: Final = Malformed("too many requests are unfinished; try again in a moment", status=503)
