"""Common to all event streams: their head, their pieces, and the ways in which they end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from borough.api.access import Identity
from borough.api.answers import CallerGone, abort
from borough.api.service import Service
from borough.errors import BoroughError

MEDIA_TYPE: Final = "text/event-stream"


async def run_stream(
    service: Service,
    caller: Identity,
    sending: Coroutine[Any, Any, None],
    scope: Scope,
    receive: Receive,
) -> None:
    """Send until the stream ends, the caller is gone, or its token has ended."""
    sender = asyncio.create_task(sending)
    closed = asyncio.create_task(_until_gone(receive))
    guard = asyncio.create_task(service.guard.until_refused(caller))
    done, pending = await asyncio.wait((sender, closed, guard), return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if guard in done:
        # Events in the send buffer must not reach a caller whose token has ended.
        abort(scope)
        await _until_gone(receive)
    for task in done:
        if isinstance(task.exception(), CallerGone):
            abort(scope)
        elif not isinstance(task.exception(), BoroughError | None):
            task.result()


async def send_head(send: Send, limit: float) -> None:
    """Begin the answer.

    :param limit: most seconds until the caller has read it.
    :raises CallerGone: the caller did not read it in time.
    """
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", MEDIA_TYPE.encode()),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"no"),
            ],
        }
    )
    # The head is sent with the first piece, and the first event may be long in coming.
    await send_piece(send, b"retry: 2000\n\n", limit)


async def send_piece(send: Send, data: bytes, limit: float) -> None:
    """Send a piece.

    :raises CallerGone: the caller did not read it in time.
    """
    try:
        async with asyncio.timeout(limit):
            await send({"type": "http.response.body", "body": data, "more_body": True})
    except TimeoutError:
        raise CallerGone from None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
