"""Until when the present work may take: a store begins no statement after that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from borough.errors import DeadlineExceeded

_ENDS: Final[ContextVar[float]] = ContextVar("borough_deadline", default=float("inf"))


@contextmanager
def until(ends: float) -> Iterator[None]:
    """Work with a deadline, in this thread or task.

    :param ends: on the clock of :func:`time.monotonic`, in seconds.
    :raises DeadlineExceeded: it is over already.
    """
    before = _ENDS.set(ends)
    try:
        check()
        yield
    finally:
        _ENDS.reset(before)


def is_over() -> bool:
    """True when the deadline of the present work is over; never where there is none."""
    return time.monotonic() >= _ENDS.get()


def check() -> None:
    """Go on, if there is time.

    :raises DeadlineExceeded: there is none left.
    """
    if is_over():
        raise DeadlineExceeded("the request took longer than it may", outcome="not_done")
