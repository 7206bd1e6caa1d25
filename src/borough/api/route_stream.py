"""The routes of one host: a picture, or a stream of differences."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope, Send

from borough.api import reading
from borough.api import schema as s
from borough.api.answers import answer, refuse
from borough.api.operation import Operation
from borough.api.problem import Fault
from borough.api.service import Service
from borough.api.streaming import MEDIA_TYPE, run_stream, send_head, send_piece
from borough.domain.declared.lookup import check_scope
from borough.domain.encode import plain
from borough.engine.announcements import HostRoutes
from borough.errors import BoroughError, NotPermitted

#: Seconds between comments that keep a silent stream open through proxies.
HEARTBEAT: Final = 15.0

_ENCODER: Final = msgspec.json.Encoder()

_TAG: Final = re.compile(r"[0-9a-f]{24}")


class RouteEndpoint:
    """The routes of one host as one answer, or as a stream when the caller accepts one."""

    def __init__(self, service: Service, operation: Operation) -> None:
        self._service = service
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        service, headers = self._service, dict(scope["headers"])
        streams = MEDIA_TYPE.encode() in headers.get(b"accept", b"")
        log = service.request_log("route_stream" if streams else self._operation.name)
        try:
            caller = await service.guard.admit(self._operation, headers, scope["path_params"])
            log.caller = caller.name
            if caller.labels:
                raise NotPermitted("this is not for a token that is confined to labels")
            path = reading.read_path(s.HostName, scope["path_params"])
            query = reading.read_query(s.ScopeQuery, scope["query_string"])
            assert isinstance(path, s.HostName)
            assert isinstance(query, s.ScopeQuery)
            name = query.scope
            await service.workers.run(
                lambda: check_scope(service.ipam.catalogue(), name), caller.name
            )
            if not streams:
                found = await service.routes.picture(path.host, name, caller.name)
                status, body, extra = _page(found, headers)
                await answer(send, status, body, headers=extra, timeout=service.settings.send_time)
                log.done(status)
                return
            service.route_streams.take(caller.name)
        except Exception as error:
            known = error if isinstance(error, BoroughError) else Fault()
            log.done(await refuse(send, known), error)
            return
        try:
            log.done(200)
            tag = _resumed(headers)
            await run_stream(
                service, caller, self._send(path.host, name, tag, send), scope, receive
            )
        finally:
            service.route_streams.release(caller.name)

    async def _send(self, host: str, scope: str, tag: str | None, send: Send) -> None:
        limit = self._service.settings.send_time
        await send_head(send, limit)
        async for found, before in self._service.routes.follow(host, scope, tag, HEARTBEAT):
            data = b": \n\n" if found is None else _frame(found, before)
            await send_piece(send, data, limit)
        await send({"type": "http.response.body", "body": b""})


def _page(found: HostRoutes, headers: dict[bytes, bytes]) -> tuple[int, bytes, dict[str, str]]:
    extra = {"etag": f'"{found.tag}"'}
    if headers.get(b"if-none-match", b"").decode("latin-1") == extra["etag"]:
        return 304, b"", extra
    return 200, _ENCODER.encode(plain(found)), extra


def _resumed(headers: dict[bytes, bytes]) -> str | None:
    """The tag that a stream resumes after; None for a whole picture."""
    text = headers.get(b"last-event-id", b"").decode("latin-1")
    return text if _TAG.fullmatch(text) else None


def _frame(found: HostRoutes, before: HostRoutes | None) -> bytes:
    data: dict[str, Any] = {"horizon": found.horizon, "tag": found.tag}
    if before is None:
        act = "picture"
        data["prefixes"] = found.prefixes
    else:
        act = "difference"
        old, new = set(before.prefixes), set(found.prefixes)
        data["announce"] = [each for each in found.prefixes if each not in old]
        data["withdraw"] = [each for each in before.prefixes if each not in new]
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        found.tag.encode(),
        act.encode(),
        _ENCODER.encode(data),
    )
