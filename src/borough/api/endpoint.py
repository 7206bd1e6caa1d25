"""Endpoints: one object for each operation turns a request into an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from borough.api import problem, reading
from borough.api.access import Identity
from borough.api.answers import CallerGone, abort, answer, read_body, refuse
from borough.api.operation import Operation
from borough.api.problem import Malformed
from borough.api.quota import Load
from borough.api.service import Service
from borough.domain.encode import plain
from borough.errors import BoroughError, StaleSequence, StaleVersion
from borough.store.actor import acting

_JSON = frozenset({"application/json"})
_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})

_ENCODER = msgspec.json.Encoder()


class Endpoint:
    """An ASGI application that does one operation."""

    def __init__(self, service: Service, operation: Operation) -> None:
        self._service = service
        self._operation = operation
        self._decoder = (
            None if operation.body_type is None else msgspec.json.Decoder(operation.json_type)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        operation = self._operation
        log = self._service.request_log(operation.name)
        headers = dict(scope["headers"])
        load = Load(self._service.in_flight)
        try:
            caller = await self._service.guard.admit(operation, headers, scope["path_params"])
            log.caller = load.caller = caller.name
            deadline = self._service.deadline(operation.permission)
            work = await self._prepare(scope, receive, headers, caller, load)
            status, body, extra = await self._service.workers.run(work, caller.name, deadline)
            self._service.count()
            if operation.method == "GET":
                # The outcome of a write is answered even when the quota of bytes is used up.
                load.add(len(body))
            limit = self._service.settings.send_time
            await answer(send, status, body, headers=extra, timeout=limit)
            log.done(status)
        except CallerGone:
            abort(scope)
            log.done(499)
        except Exception as error:
            known = error if isinstance(error, BoroughError) else problem.Fault()
            status = _status(known, headers)
            log.done(status, error)
            await refuse(send, known, status, scope)
        finally:
            load.drop()

    async def _prepare(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        caller: Identity,
        load: Load,
    ) -> Callable[[], tuple[int, bytes, dict[str, str]]]:
        """Read a request, and return the work that a thread has to do for it."""
        operation, service = self._operation, self._service
        given: dict[str, Any] = {}
        if operation.path_type is not None:
            given["path"] = reading.read_path(operation.path_type, scope["path_params"])
        if operation.query_type is not None:
            given["query"] = reading.read_query(operation.query_type, scope["query_string"])
        elif scope["query_string"]:
            raise Malformed("this takes no query parameters")
        if "key" in operation.headers:
            given["key"] = reading.read_key(_text(headers, b"idempotency-key"))
        if "if_match" in operation.headers:
            given["if_match"] = reading.read_match(_text(headers, b"if-match"))
        data, read = b"", None
        if self._decoder is not None:
            limits = service.settings
            read = self._reader(headers)
            most = limits.body_limit
            if not operation.is_large:
                most = min(most, limits.request_limit)
            data = await read_body(receive, headers, most, limits.body_time, load.add)
        if operation.takes_caller:
            given["caller"] = caller

        def work() -> tuple[int, bytes, dict[str, str]]:
            # Decoded in the thread: megabytes would block every other connection.
            body = read(data) if read else None
            if operation.takes_body:
                given["body"] = body
            with acting(caller.name):
                return self._do(service.view(caller), given, headers)

        return work

    def _reader(self, headers: Mapping[bytes, bytes]) -> Callable[[bytes], Any]:
        """The function that decodes the body.

        :raises Malformed: the request does not declare JSON. A page of another site can make a browser
            send other types without a preflight request.
        """
        kind = (
            headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
        )
        if self._operation.takes_yaml and kind in _YAML:
            return reading.read_text
        if kind not in _JSON:
            raise Malformed("send Content-Type: application/json, also without a body", status=415)
        decoder = self._decoder
        assert decoder is not None
        if not self._operation.takes_body:
            return lambda data: reading.read_json(decoder, data or b"{}")
        return lambda data: reading.read_json(decoder, data)

    def _do(
        self, view: Any, given: dict[str, Any], headers: Mapping[bytes, bytes]
    ) -> tuple[int, bytes, dict[str, str]]:
        """Do the operation, in a thread of the pool."""
        operation = self._operation
        extra: dict[str, str] = {}
        if operation.tags and operation.method == "GET":
            # Read before the answer: a tag that is too old makes a later write fail, never pass wrongly.
            extra["etag"] = f'"{view.catalogue().version}"'
            if _text(headers, b"if-none-match") == extra["etag"]:
                return 304, b"", extra
        made = operation.function(view, **given)
        return operation.status, _ENCODER.encode(plain(made)), extra


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _status(error: BoroughError, headers: Mapping[bytes, bytes]) -> int:
    """The status of an error: 412 when the stale version or sequence came in ``If-Match``."""
    if isinstance(error, StaleVersion | StaleSequence) and b"if-match" in headers:
        return 412
    return problem.status_of(error)
