"""System routes: health, readiness, metrics, OpenAPI description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from borough.api.answers import answer, refuse, refuse_writes
from borough.api.metrics import MEDIA_TYPE, Numbers
from borough.api.problem import Overloaded
from borough.api.schema import Health, Readiness
from borough.api.service import Service
from borough.domain.declared.tokens import Permission
from borough.domain.encode import plain
from borough.errors import BoroughError, NotPermitted

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

_ENCODER: Final = msgspec.json.Encoder()


class _Get:
    """An ASGI application for one path that is only read."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if await refuse_writes(scope, send):
            return
        try:
            await self._handler(scope, receive, send)
        except BoroughError as error:
            await refuse(send, error)


def system_routes(service: Service, description: dict[str, Any]) -> list[BaseRoute]:
    """The system routes.

    :param description: of the service, by :func:`borough.api.openapi.describe`.
    """
    described = _ENCODER.encode(description)
    numbers = Numbers(service.ipam)

    async def health(_scope: Scope, _receive: Receive, send: Send) -> None:
        """The process answers; nothing else is checked."""
        await answer(send, 200, _ENCODER.encode(plain(Health("ok"))))

    async def reads_all(scope: Scope) -> bool:
        """True when the caller of a request may read everything."""
        try:
            caller = await service.guard.identify(dict(scope["headers"]))
        except BoroughError:
            return False
        return caller.reads_all

    async def ready(scope: Scope, _receive: Receive, send: Send) -> None:
        """The process takes requests: it is not stopping, and its database answers.

        Only callers who may read everything get the reason of a refusal and the warnings.
        """
        try:
            if service.feed.closed:
                raise Overloaded("the service is stopping")
            await service.workers.run(service.ipam.newest_event)
            trusted = await reads_all(scope)
            risks = await service.workers.run(service.ipam.risks) if trusted else ()
        except BoroughError as error:
            if await reads_all(scope):
                raise
            raise type(error)("the service is not ready") from None
        await answer(
            send, 200, _ENCODER.encode(plain(Readiness("ok", risks) if trusted else Health("ok")))
        )

    async def openapi(_scope: Scope, _receive: Receive, send: Send) -> None:
        await answer(send, 200, described)

    async def metrics(scope: Scope, _receive: Receive, send: Send) -> None:
        """Metrics for Prometheus. With tokens, they need one that may read and is not confined."""
        caller = await service.guard.identify(dict(scope["headers"]))
        if not caller.reads_all:
            raise NotPermitted("this is not for a token that is confined to labels or to a host")
        service.count()
        long = service.deadline(Permission.ADMINISTER)
        text = await service.workers.run(numbers.text, caller.name, long)
        await answer(send, 200, text, MEDIA_TYPE)

    return [
        Route(path, _Get(handler))
        for path, handler in (
            ("/healthz", health),
            ("/readyz", ready),
            ("/openapi.json", openapi),
            ("/metrics", metrics),
        )
    ]
