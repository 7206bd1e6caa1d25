"""Sending answers, to callers who may not take them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from starlette.types import Receive, Scope, Send

from borough.api import problem
from borough.api.protocol import ABORT
from borough.errors import BoroughError

#: Most bytes of an answer that are sent at once; what a caller has not taken is kept in pieces of this size.
_PIECE: Final = 64 << 10

JSON: Final = "application/json"

#: What every answer says: that nobody may keep it, or take it for something else.
_COMMON: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class CallerGone(Exception):
    """The caller is no longer there, or too slow to be waited for."""


async def answer(
    send: Send,
    status: int,
    body: bytes,
    media_type: str = JSON,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float = 30.0,
) -> None:
    """Send a whole answer.

    :param patience: how long the caller may leave a piece of it lying, in seconds.
    :raises CallerGone: he left it longer.
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
        # The server takes a whole body at once, and says only before the next piece that it should not have.
        for at in range(0, max(len(body), 1), _PIECE):
            piece, more = body[at : at + _PIECE], at + _PIECE < len(body)
            async with asyncio.timeout(timeout):
                await send({"type": "http.response.body", "body": piece, "more_body": more})
    except TimeoutError:
        raise CallerGone from None


def abort(scope: Scope) -> None:
    """End a connection whose caller does not take his answer, and forget what he has not taken."""
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
    :param patience: how long it may take to arrive, in seconds.
    :param count: is told the size of each piece before it is kept, and may refuse it.
    :raises Malformed: it is too large, or too slow.
    :raises CallerGone: the caller went away in the middle of it.
    """
    told = headers.get(b"content-length", b"0")
    if int(told) > limit:
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


def _too_large(limit: int) -> problem.Malformed:
    return problem.Malformed(
        f"the body is larger than {limit} bytes",
        status=413,
        headers={"connection": "close"},
        limit=limit,
    )
