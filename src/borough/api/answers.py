"""Sending of answers, bounded in memory and time, and reading of bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from starlette.types import Receive, Scope, Send

from borough.api import problem
from borough.api.protocol import ABORT
from borough.errors import BoroughError

#: Most bytes of an answer in one send, and so in the buffer of a caller that does not read.
_PIECE: Final = 64 << 10

JSON: Final = "application/json"

#: Headers of every answer: no cache stores it, and no browser guesses its type.
_COMMON: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class CallerGone(Exception):
    """The caller has closed the connection, or does not read from it."""


async def answer(
    send: Send,
    status: int,
    body: bytes,
    media_type: str = JSON,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float = 30.0,
) -> None:
    """Send an answer.

    :param timeout: most seconds until the caller has read a piece.
    :raises CallerGone: a piece was not read in time.
    """
    head = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *_COMMON,
    ]
    if headers:
        head += [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    try:
        async with asyncio.timeout(timeout):
            await send({"type": "http.response.start", "status": status, "headers": head})
        # The server buffers a whole body at once. It pauses the sender before the next piece only.
        for at in range(0, max(len(body), 1), _PIECE):
            piece, more = body[at : at + _PIECE], at + _PIECE < len(body)
            async with asyncio.timeout(timeout):
                await send({"type": "http.response.body", "body": piece, "more_body": more})
    except TimeoutError:
        raise CallerGone from None


def abort(scope: Scope) -> None:
    """Cut the connection of a caller that does not read, and drop its unread answer."""
    found = scope.get("extensions", {}).get(ABORT)
    if found:
        found["abort"]()


async def refuse(
    send: Send, error: BoroughError, status: int | None = None, scope: Scope | None = None
) -> int:
    """Send an error as a problem document; return its status."""
    status = problem.status_of(error) if status is None else status
    body = problem.body_of(error, status)
    try:
        await answer(send, status, body, problem.MEDIA_TYPE, problem.headers_of(error))
    except CallerGone:
        abort(scope or {})
    return status


async def read_body(
    receive: Receive,
    headers: Mapping[bytes, bytes],
    limit: int,
    timeout: float,
    count: Callable[[int], None],
) -> bytes:
    """Read a body.

    :param limit: its largest size, in bytes.
    :param timeout: most seconds until it has arrived.
    :param count: called with the size of each piece before the piece is kept; it may raise.
    :raises Malformed: the body is too large, or too slow.
    :raises CallerGone: the connection ended before the body did.
    """
    if int(headers.get(b"content-length", b"0")) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(timeout):
            return await _collect(receive, limit, count)
    except TimeoutError:
        raise problem.Malformed(
            f"the body did not arrive within {timeout:g} seconds",
            status=408,
            headers={"connection": "close"},
        ) from None


async def _collect(receive: Receive, limit: int, count: Callable[[int], None]) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        count(len(part))
        if not message.get("more_body"):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


async def refuse_writes(scope: Scope, send: Send) -> bool:
    """Refuse a request that is not a read; return True when it was refused."""
    if scope["method"] in ("GET", "HEAD"):
        return False
    headers = {"allow": "GET, HEAD"}
    await refuse(send, problem.Malformed("this is only read", status=405, headers=headers))
    return True


def _too_large(limit: int) -> problem.Malformed:
    return problem.Malformed(
        f"the body is larger than {limit} bytes",
        status=413,
        headers={"connection": "close"},
        limit=limit,
    )
