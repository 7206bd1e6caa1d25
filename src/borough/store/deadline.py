"""The deadline of the present work: a store begins no statement after it."""

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
    """Set a deadline, in this thread or task.

    :param ends: on the clock of :func:`time.monotonic`, in seconds.
    :raises DeadlineExceeded: it has passed already.
    """
    before = _ENDS.set(ends)
    try:
        check()
        yield
    finally:
        _ENDS.reset(before)


def is_over() -> bool:
    """True when the deadline of the present work has passed; False where there is none."""
    return time.monotonic() >= _ENDS.get()


def seconds_left() -> float:
    """Time until the deadline of the present work; infinite where there is none."""
    return _ENDS.get() - time.monotonic()


def check() -> None:
    """Compare the time with the deadline.

    :raises DeadlineExceeded: it has passed.
    """
    if is_over():
        raise DeadlineExceeded("the request took longer than its deadline", outcome="not_done")
