"""From problem details back to the library's errors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from borough import errors
from borough.errors import BoroughError, FixInput, NeedsOperator, Reevaluate, RetryLater

#: What an error is whose code this release does not know, by HTTP status.
_BY_STATUS: Final[dict[int, type[BoroughError]]] = {
    401: errors.TokenRefused,
    403: errors.NotPermitted,
    409: Reevaluate,
    412: Reevaluate,
    429: RetryLater,
    502: RetryLater,
    503: RetryLater,
    504: RetryLater,
}


def failure(status: int, problem: Any) -> BoroughError:
    """The error that the service raised.

    :param problem: the body of the answer, decoded; anything at all when it is not from the service.
    """
    told = problem if isinstance(problem, dict) else {}
    code, facts = str(told.get("code", "")), told.get("facts")
    message = str(told.get("detail") or f"the service answered with status {status}")
    made = _kind(code, status)(message)
    made.detail = facts if isinstance(facts, dict) else {}
    if isinstance(made, RetryLater) and not code:
        # Something in between answered, and does not know what the service has done.
        made.detail.setdefault("outcome", "not_done" if status == 429 else "unknown")
    return made


@cache
def _kind(code: str, status: int) -> type[BoroughError]:
    known = _by_code().get(code)
    if known is not None:
        return known
    parent = _BY_STATUS.get(status, FixInput if 400 <= status < 500 else NeedsOperator)
    return type(parent.__name__, (parent,), {"code": code}) if code else parent


@cache
def _by_code() -> dict[str, type[BoroughError]]:
    found: dict[str, type[BoroughError]] = {}
    for kind in _kinds(BoroughError):
        found.setdefault(kind.code, kind)
    # What is wrong that needs no code of its own, not what the whole tree is called by.
    found["failed"] = NeedsOperator
    return found


def _kinds(kind: type[BoroughError]) -> Iterator[type[BoroughError]]:
    """The errors of the library, each before those below it."""
    if kind.__module__ == errors.__name__:
        yield kind
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from _kinds(each)
