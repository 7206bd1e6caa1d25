"""The library's errors from problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from borough import errors
from borough.errors import BoroughError, FixInput, NeedsOperator, Reevaluate, RetryLater

#: Class of an error with an unknown code, by HTTP status.
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

    :param problem: the decoded body of the answer; any value when a proxy answered.
    """
    known = problem if isinstance(problem, dict) else {}
    code, facts = str(known.get("code", "")), known.get("facts")
    message = str(known.get("detail") or f"the service answered with status {status}")
    made = _kind(code, status)(message)
    made.detail = facts if isinstance(facts, dict) else {}
    if isinstance(made, RetryLater) and not code:
        # A proxy answered: the outcome at the service is unknown.
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
    # This code is of errors without a code of their own, not of the base class.
    found["failed"] = NeedsOperator
    return found


def _kinds(kind: type[BoroughError]) -> Iterator[type[BoroughError]]:
    """The errors of the library, each before those below it."""
    if kind.__module__ == errors.__name__:
        yield kind
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from _kinds(each)
