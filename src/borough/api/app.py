"""The ASGI application: operations, system routes, and the page for people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from borough.api.answers import refuse
from borough.api.endpoint import Endpoint
from borough.api.openapi import describe
from borough.api.operation import Operation, operations_of
from borough.api.operations import addresses, declared, reading, routes, tokens, upkeep
from borough.api.page import page_routes
from borough.api.problem import Malformed
from borough.api.route_stream import RouteEndpoint
from borough.api.service import Service
from borough.api.settings import ServiceSettings
from borough.api.stream import EventEndpoint
from borough.api.system import system_routes
from borough.engine.ipam import Ipam

App = Callable[[Scope, Receive, Send], Any]

#: Every endpoint of the API. A new one is a function in one of these modules.
OPERATIONS: Final = operations_of(addresses, declared, reading, routes, tokens, upkeep)


class ByMethod:
    """An ASGI application that dispatches by the method of a request."""

    def __init__(self, endpoints: Mapping[str, App]) -> None:
        self._endpoints = dict(endpoints)
        if "GET" in self._endpoints:
            self._endpoints["HEAD"] = self._endpoints["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = self._endpoints.get(scope["method"])
        if found is not None:
            await found(scope, receive, send)
            return
        allow = ", ".join(sorted(self._endpoints))
        message = f"this takes {allow}, not {scope['method']}"
        await refuse(send, Malformed(message, status=405, headers={"allow": allow}))


class ByPath(Route):
    """A route that matches only its own methods, so that a host may be named ``a/drain``.

    When no route has the method, the first one with the path answers with its own methods.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.app(scope, receive, send)


class BySegments:
    """An ASGI application that is routed by the undecoded path.

    In a decoded path a slash inside a name would end a segment. :func:`borough.api.reading.read_path`
    decodes the segments.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            scope["path"] = scope["raw_path"].decode("ascii")
        await self._app(scope, receive, send)


def make_app(service: Service) -> App:
    """The application of one process."""
    by_path: dict[str, dict[str, App]] = {}
    for each in OPERATIONS:
        made: App = _endpoint(service, each)
        by_path.setdefault(each.path, {})[each.method] = made
    routes: list[BaseRoute] = [
        ByPath(path, ByMethod(endpoints), methods=list(endpoints))
        for path, endpoints in by_path.items()
    ]
    description = describe(OPERATIONS, secured=service.settings.requires_token)
    routes += system_routes(service, description)
    routes += page_routes(description)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        service.reclaimer.start()
        yield
        service.stop()
        service.close()

    router = Router(routes, redirect_slashes=False, default=_nothing_here, lifespan=lifespan)
    return BySegments(router)


def _endpoint(service: Service, operation: Operation) -> App:
    if operation.name == "events":
        return EventEndpoint(service, operation)
    if operation.name == "host_routes":
        return RouteEndpoint(service, operation)
    return Endpoint(service, operation)


async def _nothing_here(scope: Scope, _receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    await refuse(send, Malformed("there is nothing here; see /docs", status=404))


def open_app(ipam: Ipam, settings: ServiceSettings) -> tuple[Service, App]:
    """A service on an open address space, and its application."""
    service = Service(ipam, settings)
    return service, make_app(service)
