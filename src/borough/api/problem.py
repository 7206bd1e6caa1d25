"""Errors as problem details (RFC 9457), with the library's stable codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec

from borough.domain.encode import plain
from borough.errors import (
    BoroughError,
    EventsPruned,
    FixInput,
    KeyReused,
    NeedsSpace,
    NotAllocated,
    NotPermitted,
    Reevaluate,
    RetryLater,
    TokenRefused,
    UnknownObject,
)

MEDIA_TYPE: Final = "application/problem+json"

#: The first kind that matches. A request that cannot be read is 400, one with values that are not valid 422.
_STATUS: Final[tuple[tuple[type[BoroughError], int], ...]] = (
    (UnknownObject, 404),
    (NotAllocated, 404),
    (TokenRefused, 401),
    (NotPermitted, 403),
    (KeyReused, 422),
    (EventsPruned, 410),
    (FixInput, 422),
    (NeedsSpace, 409),
    (Reevaluate, 409),
    (RetryLater, 503),
)


class Malformed(FixInput):
    """A request that cannot be read: HTTP, JSON or schema are violated.

    :ivar status: the HTTP status.
    :ivar headers: further headers of the answer.
    """

    def __init__(
        self,
        message: str,
        /,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        **detail: Any,
    ) -> None:
        super().__init__(message, **detail)
        self.status = status
        self.headers = dict(headers or {})


class Overloaded(RetryLater):
    """The service has too much work: ask again in a moment."""

    code = "overloaded"


class Fault(BoroughError):
    """A fault of the service. The log has the cause; the answer does not."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("an unexpected error; the log of the service says more")


@dataclass(frozen=True)
class Problem:
    """The reason of a refusal.

    :ivar type: kind of the problem: `urn:borough:` and the code.
    :ivar title: the status in words.
    :ivar status: the HTTP status.
    :ivar detail: one sentence for a person: the reason, and the remedy.
    :ivar code: stable identifier for a program.
    :ivar facts: details for a program; they depend on the code.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    facts: dict[str, Any]


def status_of(error: BoroughError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, Malformed):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def headers_of(error: BoroughError) -> dict[str, str]:
    """Further headers of the answer to an error."""
    if isinstance(error, Malformed):
        return error.headers
    if isinstance(error, RetryLater):
        return {"retry-after": "1"}
    if isinstance(error, TokenRefused):
        return {"www-authenticate": 'Bearer realm="borough"'}
    return {}


def title_of(status: int) -> str:
    """A status in words."""
    return HTTPStatus(status).phrase


def body_of(error: BoroughError, status: int) -> bytes:
    """The problem document of an error."""
    problem = Problem(
        f"urn:borough:{error.code}",
        title_of(status),
        status,
        error.message,
        error.code,
        error.detail,
    )
    return msgspec.json.encode(plain(problem))
