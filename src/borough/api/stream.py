"""Events as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec
from starlette.types import Receive, Scope, Send

from borough.api import reading
from borough.api import schema as s
from borough.api.access import View
from borough.api.answers import refuse
from borough.api.endpoint import Endpoint
from borough.api.operation import Operation
from borough.api.problem import Malformed
from borough.api.scoped import ScopedIpam
from borough.api.service import Service
from borough.api.streaming import MEDIA_TYPE, run_stream, send_head, send_piece
from borough.domain.encode import plain
from borough.domain.space.events import Event
from borough.errors import BoroughError

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
            caller = await service.guard.admit(self._operation, headers, scope["path_params"])
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
            sending = self._send_events(caller.name, view, after, labels, send)
            await run_stream(service, caller, sending, scope, receive)
        except BoroughError as error:
            log.done(await refuse(send, error), error)
        finally:
            service.streams.release(caller.name)

    async def _send_events(
        self,
        caller: str,
        view: View,
        after: int | None,
        labels: Mapping[str, list[str]],
        send: Send,
    ) -> None:
        limit = self._service.settings.send_time
        await send_head(send, limit)
        feed = self._service.feed
        async for batch in feed.follow(after, HEARTBEAT, caller):
            seen = batch
            if batch and (labels or isinstance(view, ScopedIpam)):
                # Read after the batch, so that the cohorts of its events exist.
                cohorts = await feed.ask(partial(self._service.cohorts, view, labels), caller)
                seen = [each for each in batch if cohorts is None or each.cohort_id in cohorts]
            if seen:
                await send_piece(send, b"".join(map(_frame, seen)), limit)
            else:
                # The id also after events that are hidden: a resumed stream must not begin before them.
                mark = f"id: {batch[-1].id}\n\n" if batch else ": \n\n"
                await send_piece(send, mark.encode(), limit)
        await send({"type": "http.response.body", "body": b""})


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
