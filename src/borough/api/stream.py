"""Events as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec
from starlette.types import Receive, Scope, Send

from borough.api import reading
from borough.api import schema as s
from borough.api.access import Identity, View
from borough.api.answers import CallerGone, abort, refuse
from borough.api.endpoint import Endpoint
from borough.api.operation import Operation
from borough.api.problem import Malformed
from borough.api.scoped import ScopedIpam
from borough.api.service import Service
from borough.domain.encode import plain
from borough.domain.space.events import Event
from borough.errors import BoroughError

MEDIA_TYPE: Final = "text/event-stream"

#: Seconds between comments that keep a silent stream open through proxies.
HEARTBEAT: Final = 15.0

_ENCODER: Final = msgspec.json.Encoder()

_AFTER: Final = re.compile(rb"(?:^|&)after=")

_ID: Final = re.compile(r"[0-9]{1,19}")


class EventEndpoint:
    """The audit trail in pages, or as a stream when the caller accepts one."""

    def __init__(self, service: Service, operation: Operation) -> None:
        self._service = service
        self._operation = operation
        self._pages = Endpoint(service, operation)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        if MEDIA_TYPE.encode() not in headers.get(b"accept", b""):
            await self._pages(scope, receive, send)
            return
        service = self._service
        log = service.request_log("event_stream")
        try:
            caller = await service.guard.admit(self._operation, headers)
            log.caller = caller.name
            view = service.view(caller)
            after, labels = _asked(scope["query_string"], headers)
            service.streams.take(caller.name)
        except BoroughError as error:
            log.done(await refuse(send, error), error)
            return
        try:
            # Nothing has been sent yet: a database that does not answer is still an error.
            if after is not None:
                await service.feed.check(after, caller.name)
            await service.feed.newest()
            await service.workers.run(partial(service.cohorts, view, labels), caller.name)
            log.done(200)
            await self._stream(caller, after, labels, scope, receive, send)
        except BoroughError as error:
            log.done(await refuse(send, error), error)
        finally:
            service.streams.release(caller.name)

    async def _stream(
        self,
        caller: Identity,
        after: int | None,
        labels: Mapping[str, list[str]],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        view = self._service.view(caller)
        sender = asyncio.create_task(self._send_events(caller.name, view, after, labels, send))
        closed = asyncio.create_task(_until_gone(receive))
        guard = asyncio.create_task(self._service.guard.until_refused(caller))
        tasks = (sender, closed, guard)
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
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

    async def _send_events(
        self,
        caller: str,
        view: View,
        after: int | None,
        labels: Mapping[str, list[str]],
        send: Send,
    ) -> None:
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
        await self._put(send, b"retry: 2000\n\n")
        feed = self._service.feed
        async for batch in feed.follow(after, HEARTBEAT, caller):
            seen = batch
            if batch and (labels or isinstance(view, ScopedIpam)):
                # Read after the batch, so that the cohorts of its events exist.
                cohorts = await feed.ask(partial(self._service.cohorts, view, labels), caller)
                seen = [each for each in batch if cohorts is None or each.cohort_id in cohorts]
            if seen:
                await self._put(send, b"".join(map(_frame, seen)))
            else:
                # The id also after events that are hidden: a resumed stream must not begin before them.
                mark = f"id: {batch[-1].id}\n\n" if batch else ": \n\n"
                await self._put(send, mark.encode())
        await send({"type": "http.response.body", "body": b""})

    async def _put(self, send: Send, data: bytes) -> None:
        """Send a piece.

        :raises CallerGone: the caller did not read it in time.
        """
        try:
            async with asyncio.timeout(self._service.settings.send_time):
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except TimeoutError:
            raise CallerGone from None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _frame(event: Event) -> bytes:
    data = _ENCODER.encode(plain(event))
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.id, event.act.encode(), data)


def _asked(
    query: bytes, headers: Mapping[bytes, bytes]
) -> tuple[int | None, Mapping[str, list[str]]]:
    """The id to go on after, None for events from now on; and the labels of the request.

    :raises Malformed: one of them cannot be read.
    """
    asked = reading.read_query(s.EventQuery, query)
    assert isinstance(asked, s.EventQuery)
    labels = s.gather(asked.label)
    last = headers.get(b"last-event-id")
    if last:
        text = last.decode("latin-1")
        if not _ID.fullmatch(text) or int(text) > s.LARGEST:
            raise Malformed("Last-Event-ID must be the id of an event")
        return int(text), labels
    return asked.after if _AFTER.search(query) else None, labels
